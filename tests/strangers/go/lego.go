package main

import (
	"fmt"

	"github.com/go-acme/lego/v4/challenge/dns01"
	"github.com/go-acme/lego/v4/providers/dns/vultr"
	"github.com/vultr/govultr/v3"
)

// legoLife shows the TXT records of DNS-01 challenges, two at a time for a name and its wildcard, and cleans them up.
func legoLife() error {
	client := newClient()
	zone := "lego.example.org"
	if _, _, err := client.Domain.Create(ctx, &govultr.DomainReq{Domain: zone}); err != nil {
		return fmt.Errorf("making the zone: %w", err)
	}
	provider, err := vultr.NewDNSProvider()
	if err != nil {
		return fmt.Errorf("lego's provider: %w", err)
	}
	domain := "www." + zone
	values := map[string]bool{}
	for _, keyAuth := range []string{"token.one", "token.two"} {
		if err := provider.Present(domain, "token", keyAuth); err != nil {
			return fmt.Errorf("presenting: %w", err)
		}
		values[`"`+dns01.GetChallengeInfo(domain, keyAuth).Value+`"`] = true
	}
	shown, err := challenges(client, zone)
	if err != nil {
		return err
	}
	for _, value := range shown {
		if !values[value] {
			return fmt.Errorf("a challenge was spelled %s", value)
		}
	}
	if len(shown) != 2 {
		return fmt.Errorf("two challenges were presented, %d are there", len(shown))
	}
	if err := provider.CleanUp(domain, "token", "token.one"); err != nil {
		return fmt.Errorf("cleaning up: %w", err)
	}
	if left, err := challenges(client, zone); err != nil || len(left) != 0 {
		return fmt.Errorf("after cleaning up there are %v, %w", left, err)
	}
	return client.Domain.Delete(ctx, zone)
}

func challenges(client *govultr.Client, zone string) ([]string, error) {
	records, _, _, err := client.DomainRecord.List(ctx, zone, &govultr.ListOptions{PerPage: 100})
	if err != nil {
		return nil, fmt.Errorf("listing records: %w", err)
	}
	var found []string
	for _, record := range records {
		if record.Type == "TXT" && record.Name == "_acme-challenge.www" {
			found = append(found, record.Data)
		}
	}
	return found, nil
}
