package main

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/vultr/govultr/v3"
)

var ctx = context.Background()

const publicKey = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGenericGenericGenericGenericGenericGeneric1 admin@example.com"

// authorized adds the key to each request; the proxy and the roots are those of the environment.
type authorized struct{ key string }

func (a authorized) RoundTrip(request *http.Request) (*http.Response, error) {
	copied := request.Clone(request.Context())
	copied.Header.Set("Authorization", "Bearer "+a.key)
	return http.DefaultTransport.RoundTrip(copied)
}

func newClient() *govultr.Client {
	client := govultr.NewClient(&http.Client{Transport: authorized{os.Getenv("VULTR_API_KEY")}})
	client.SetRateLimit(100 * time.Millisecond)
	return client
}

// made is what has been made, in its order.
type made struct {
	client                                         *govultr.Client
	key, group, vpc, second, reserved, ipv4, block string
	reserved6, instance                            string
}

type step struct {
	name string
	do   func(*made) error
}

// govultrLife makes, reads, lists, changes and deletes one object of every kind that a web host is made of.
func govultrLife() error {
	life := &made{client: newClient()}
	for _, step := range []step{
		{"the catalogue", catalogue}, {"keys", keys}, {"firewall", firewall}, {"VPCs", vpcs},
		{"reserved IPv4", reservedIPv4}, {"the instance", instance}, {"its addresses", addresses},
		{"its VPCs", attachments}, {"a volume", volume}, {"a reserved IPv6", reservedIPv6},
		{"a larger plan", plan}, {"a zone", zone}, {"the end", end},
	} {
		if err := step.do(life); err != nil {
			return fmt.Errorf("%s: %w", step.name, err)
		}
	}
	return nil
}

// check is an error with the words when it does not hold.
func check(holds bool, words string, values ...any) error {
	if holds {
		return nil
	}
	return fmt.Errorf(words, values...)
}

// until asks until it is true, for at most 30 seconds.
func until(words string, ask func() (bool, error)) error {
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(100 * time.Millisecond) {
		done, err := ask()
		if done {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%s did not come true: %w", words, err)
		}
	}
}

func (m *made) ready() error {
	return until("the instance is ok", func() (bool, error) {
		found, _, err := m.client.Instance.Get(ctx, m.instance)
		return err == nil && found.Status == "active" && found.ServerStatus == "ok", err
	})
}

func catalogue(m *made) error {
	regions, _, _, err := m.client.Region.List(ctx, &govultr.ListOptions{PerPage: 500})
	if err != nil {
		return err
	}
	available, _, err := m.client.Region.Availability(ctx, "ewr", "vc2")
	if err != nil {
		return err
	}
	plans, _, _, err := m.client.Plan.List(ctx, "vhp", &govultr.ListOptions{PerPage: 500})
	if err != nil {
		return err
	}
	systems, _, _, err := m.client.OS.List(ctx, &govultr.ListOptions{PerPage: 500})
	if err != nil {
		return err
	}
	account, _, err := m.client.Account.Get(ctx)
	return errors.Join(err,
		check(len(regions) > 30, "%d regions", len(regions)),
		check(len(available.AvailablePlans) > 5, "%d plans in ewr", len(available.AvailablePlans)),
		check(len(plans) > 10 && plans[0].Type == "vhp", "%d plans of vhp", len(plans)),
		check(len(systems) > 40, "%d systems", len(systems)), check(account.Email != "", "no account"))
}

func keys(m *made) error {
	key, _, err := m.client.SSHKey.Create(ctx, &govultr.SSHKeyReq{Name: "stranger", SSHKey: publicKey})
	if err != nil {
		return err
	}
	m.key = key.ID
	if err := m.client.SSHKey.Update(ctx, m.key, &govultr.SSHKeyReq{Name: "stranger-2"}); err != nil {
		return err
	}
	read, _, err := m.client.SSHKey.Get(ctx, m.key)
	if err != nil {
		return err
	}
	listed, meta, _, err := m.client.SSHKey.List(ctx, nil)
	return errors.Join(err, check(read.Name == "stranger-2" && read.SSHKey == publicKey, "read %+v", read),
		check(len(listed) == 1 && meta.Total == 1, "listed %+v", listed))
}

func firewall(m *made) error {
	group, _, err := m.client.FirewallGroup.Create(ctx, &govultr.FirewallGroupReq{Description: "stranger"})
	if err != nil {
		return err
	}
	m.group = group.ID
	rule, _, err := m.client.FirewallRule.Create(ctx, m.group, &govultr.FirewallRuleReq{
		IPType: "v6", Protocol: "tcp", Subnet: "2001:0DB8:5::", SubnetSize: 48, Port: "8000:8100", Notes: "n"})
	if err != nil {
		return err
	}
	read, _, err := m.client.FirewallRule.Get(ctx, m.group, rule.ID)
	if err != nil {
		return err
	}
	if err := check(read.Subnet == "2001:db8:5::" && read.Port == "8000:8100", "read %+v", read); err != nil {
		return err
	}
	if err := m.client.FirewallRule.Delete(ctx, m.group, rule.ID); err != nil {
		return err
	}
	_, _, err = m.client.FirewallRule.Get(ctx, m.group, rule.ID)
	return check(err != nil && strings.Contains(err.Error(), "Firewall rule ID not found."), "of a deleted rule: %v", err)
}

func vpcs(m *made) error {
	for _, id := range []*string{&m.vpc, &m.second} {
		vpc, _, err := m.client.VPC.Create(ctx, &govultr.VPCReq{Region: "ewr", Description: "stranger"})
		if err != nil {
			return err
		}
		*id = vpc.ID
	}
	if err := m.client.VPC.Update(ctx, m.vpc, "stranger-2"); err != nil {
		return err
	}
	read, _, err := m.client.VPC.Get(ctx, m.vpc)
	return errors.Join(err, check(read != nil && read.Description == "stranger-2" && read.V4SubnetMask == 20, "read %+v", read))
}

func reservedIPv4(m *made) error {
	reserved, _, err := m.client.ReservedIP.Create(ctx, &govultr.ReservedIPReq{Region: "ewr", IPType: "v4", Label: "stranger"})
	if err != nil {
		return err
	}
	m.reserved, m.ipv4 = reserved.ID, reserved.Subnet
	label := "stranger-2"
	changed, _, err := m.client.ReservedIP.Update(ctx, m.reserved, &govultr.ReservedIPUpdateReq{Label: &label})
	return errors.Join(err, check(changed != nil && changed.Label == label, "changed %+v", changed))
}

func (m *made) request() *govultr.InstanceCreateReq {
	return &govultr.InstanceCreateReq{
		Region: "ewr", Plan: "vc2-1c-1gb", OsID: 2136, Label: "stranger", Tags: []string{"one", "two"},
		Hostname: "stranger.example.com", EnableIPv6: govultr.BoolToBoolPtr(true), AttachVPC: []string{m.vpc},
		SSHKeys: []string{m.key}, FirewallGroupID: m.group, ReservedIPv4: m.reserved,
		UserData: base64.StdEncoding.EncodeToString([]byte("#cloud-config\n")),
	}
}

func instance(m *made) error {
	first, _, err := m.client.Instance.Create(ctx, m.request())
	if err != nil {
		return err
	}
	m.instance = first.ID
	if err := errors.Join(check(first.MainIP == "0.0.0.0" && first.Disk == 0 && first.DefaultPassword != "", "first %+v", first),
		m.ready()); err != nil {
		return err
	}
	if _, _, err = m.client.Instance.Create(ctx, m.request()); err == nil {
		return errors.New("its reserved address was given away twice")
	}
	label := "stranger-2"
	changed, _, err := m.client.Instance.Update(ctx, m.instance, &govultr.InstanceUpdateReq{Label: label, Tags: []string{"three"}})
	if err != nil {
		return err
	}
	listed, _, _, err := m.client.Instance.List(ctx, &govultr.ListOptions{Tag: "three"})
	if err != nil {
		return err
	}
	data, _, err := m.client.Instance.GetUserData(ctx, m.instance)
	if err != nil {
		return err
	}
	schedule := &govultr.BackupScheduleReq{Type: "daily", Hour: govultr.IntToIntPtr(3)}
	if _, err := m.client.Instance.SetBackupSchedule(ctx, m.instance, schedule); err != nil {
		return err
	}
	for _, power := range []func(context.Context, string) error{m.client.Instance.Halt, m.client.Instance.Start, m.client.Instance.Reboot} {
		if err := power(ctx, m.instance); err != nil {
			return err
		}
	}
	return errors.Join(check(changed.Label == label, "changed %+v", changed), check(len(listed) == 1, "listed %d", len(listed)),
		check(data.Data == m.request().UserData, "user data %q", data.Data))
}

func addresses(m *made) error {
	read, _, err := m.client.Instance.Get(ctx, m.instance)
	if err != nil {
		return err
	}
	reverse4 := &govultr.ReverseIP{IP: m.ipv4, Reverse: "stranger.example.org"}
	reverse6 := &govultr.ReverseIP{IP: read.V6MainIP, Reverse: "stranger.example.org"}
	if err := errors.Join(m.client.Instance.CreateReverseIPv4(ctx, m.instance, reverse4),
		m.client.Instance.CreateReverseIPv6(ctx, m.instance, reverse6)); err != nil {
		return err
	}
	four, _, _, err := m.client.Instance.ListIPv4(ctx, m.instance, nil)
	if err != nil {
		return err
	}
	six, _, err := m.client.Instance.ListReverseIPv6(ctx, m.instance)
	if err != nil {
		return err
	}
	own, _, _, err := m.client.Instance.ListIPv6(ctx, m.instance, nil)
	if err != nil {
		return err
	}
	return errors.Join(
		check(len(four) == 2 && four[0].IP == m.ipv4 && four[0].Reverse == reverse4.Reverse && four[1].Type == "private", "IPv4 %+v", four),
		check(len(six) == 1 && six[0] == *reverse6, "reverse IPv6 %+v", six),
		check(len(own) == 1 && own[0].IP == read.V6MainIP && len(read.V6MainIP) == 39, "IPv6 %+v", own),
		m.client.Instance.DefaultReverseIPv4(ctx, m.instance, m.ipv4),
		m.client.Instance.DeleteReverseIPv6(ctx, m.instance, read.V6MainIP))
}

func attachments(m *made) error {
	if err := m.client.Instance.AttachVPC(ctx, m.instance, m.second); err != nil {
		return err
	}
	both, _, _, err := m.client.Instance.ListVPCInfo(ctx, m.instance, nil)
	if err != nil {
		return err
	}
	if err := m.client.Instance.DetachVPC(ctx, m.instance, m.second); err != nil {
		return err
	}
	held := m.client.VPC.Delete(ctx, m.second)
	return errors.Join(check(len(both) == 2, "%d VPCs", len(both)), check(held != nil, "a VPC was let go of at once"),
		until("the VPC is let go of", func() (bool, error) {
			err := m.client.VPC.Delete(ctx, m.second)
			return err == nil, err
		}))
}

func volume(m *made) error {
	block, _, err := m.client.BlockStorage.Create(ctx, &govultr.BlockStorageCreate{Region: "ewr", SizeGB: 10, Label: "stranger", BlockType: "high_perf"})
	if err != nil {
		return err
	}
	m.block = block.ID
	if err := until("the volume is active", func() (bool, error) {
		read, _, err := m.client.BlockStorage.Get(ctx, m.block)
		return err == nil && read.Status == "active", err
	}); err != nil {
		return err
	}
	live := govultr.BoolToBoolPtr(true)
	same := m.client.BlockStorage.Update(ctx, m.block, &govultr.BlockStorageUpdate{SizeGB: 10})
	if err := errors.Join(check(same != nil && strings.Contains(same.Error(), "Nothing to change"), "no change: %v", same),
		m.client.BlockStorage.Update(ctx, m.block, &govultr.BlockStorageUpdate{SizeGB: 20, Label: "stranger-2"}),
		m.client.BlockStorage.Attach(ctx, m.block, &govultr.BlockStorageAttach{InstanceID: m.instance, Live: live})); err != nil {
		return err
	}
	attached, _, err := m.client.BlockStorage.Get(ctx, m.block)
	if err != nil {
		return err
	}
	return errors.Join(check(attached.AttachedToInstance == m.instance && attached.SizeGB == 20, "attached %+v", attached),
		m.client.BlockStorage.Detach(ctx, m.block, &govultr.BlockStorageDetach{Live: live}),
		m.client.BlockStorage.Delete(ctx, m.block))
}

func reservedIPv6(m *made) error {
	reserved, _, err := m.client.ReservedIP.Create(ctx, &govultr.ReservedIPReq{Region: "ewr", IPType: "v6", Label: "stranger", InstanceID: m.instance})
	if err != nil {
		return err
	}
	m.reserved6 = reserved.ID
	held := m.client.ReservedIP.Detach(ctx, m.reserved6)
	if err := errors.Join(check(held != nil && strings.Contains(held.Error(), "please restart your server"), "detached at once: %v", held),
		m.client.Instance.Reboot(ctx, m.instance)); err != nil {
		return err
	}
	if err := until("the IPv6 network is let go of", func() (bool, error) {
		err := m.client.ReservedIP.Detach(ctx, m.reserved6)
		return err == nil, err
	}); err != nil {
		return err
	}
	return m.client.ReservedIP.Delete(ctx, m.reserved6)
}

func plan(m *made) error {
	changed, _, err := m.client.Instance.Update(ctx, m.instance, &govultr.InstanceUpdateReq{Plan: "vc2-1c-2gb", Tags: []string{}})
	if err != nil {
		return err
	}
	return errors.Join(check(changed.Status == "resizing" && changed.Plan == "vc2-1c-2gb", "changed %+v", changed), m.ready())
}

func zone(m *made) error {
	const name = "stranger.example.net"
	if _, _, err := m.client.Domain.Create(ctx, &govultr.DomainReq{Domain: name, IP: "192.0.2.1"}); err != nil {
		return err
	}
	record, _, err := m.client.DomainRecord.Create(ctx, name, &govultr.DomainRecordCreateReq{Name: "www", Type: "TXT", Data: "plain", TTL: 300})
	if err != nil {
		return err
	}
	www := "www"
	update := &govultr.DomainRecordUpdateReq{Name: &www, Data: "other", TTL: 600}
	if err := errors.Join(check(record.Data == `"plain"` && record.Priority == -1, "record %+v", record),
		m.client.DomainRecord.Update(ctx, name, record.ID, update), m.client.Domain.Update(ctx, name, "enabled"),
		m.client.Domain.UpdateSoa(ctx, name, &govultr.Soa{NSPrimary: "ns1.vultr.com", Email: "dns@example.com"})); err != nil {
		return err
	}
	read, _, err := m.client.DomainRecord.Get(ctx, name, record.ID)
	if err != nil {
		return err
	}
	listed, _, _, err := m.client.DomainRecord.List(ctx, name, nil)
	if err != nil {
		return err
	}
	soa, _, err := m.client.Domain.GetSoa(ctx, name)
	if err != nil {
		return err
	}
	return errors.Join(check(read.Data == `"other"` && read.TTL == 600, "read %+v", read),
		check(len(listed) == 6, "%d records", len(listed)), check(soa.Email == "dns@example.com", "SOA %+v", soa),
		m.client.DomainRecord.Delete(ctx, name, record.ID), m.client.Domain.Delete(ctx, name))
}

func end(m *made) error {
	if err := m.client.Instance.Delete(ctx, m.instance); err != nil {
		return err
	}
	_, _, err := m.client.Instance.Get(ctx, m.instance)
	if err := check(err != nil && strings.Contains(err.Error(), "pending destruction"), "of a deleted instance: %v", err); err != nil {
		return err
	}
	deletions := map[string]func(context.Context, string) error{
		m.vpc: m.client.VPC.Delete, m.reserved: m.client.ReservedIP.Delete,
		m.group: m.client.FirewallGroup.Delete, m.key: m.client.SSHKey.Delete,
	}
	for id, remove := range deletions {
		if err := until("it is deleted", func() (bool, error) {
			err := remove(ctx, id)
			return err == nil, err
		}); err != nil {
			return err
		}
	}
	return until("the instance is gone", func() (bool, error) {
		_, _, err := m.client.Instance.Get(ctx, m.instance)
		return err != nil && strings.Contains(err.Error(), "instance not found"), err
	})
}
