"""The Vultr types that wait for nothing: keys, networks, addresses, domains, firewalls, reverse DNS."""

from __future__ import annotations

from provider.client import Client, VultrError
from provider.protocol.base import Failure, Props
from provider.resource import VultrResource, changed, filled, refusal, unwrap


class SSHKey(VultrResource):
    """A public key for new instances."""

    token = "vultr:index/sSHKey:SSHKey"  # noqa: S105 (a type's name, here and below)
    path, wrapper = "/v2/ssh-keys", "ssh_key"
    sent, seen = ("name", "sshKey"), ("name", "sshKey", "dateCreated")

    def alter(self, client: Client, id: str, olds: Props, news: Props) -> None:
        """Only what has changed is sent: nothing at all after a refused update."""
        body = filled(changed(olds, news, "name", "sshKey"))
        self.ask(client, self.words.update, "PATCH", f"{self.path}/{id}", body, id)


class Vpc(VultrResource):
    """A private network."""

    token = "vultr:index/vpc:Vpc"  # noqa: S105
    path, wrapper = "/v2/vpcs", "vpc"
    sent = ("region", "description", "v4Subnet", "v4SubnetMask")
    seen = (*sent, "dateCreated")

    def alter(self, client: Client, id: str, olds: Props, news: Props) -> None:
        """The description is always sent."""
        body = {"description": news.get("description", "")}
        self.ask(client, self.words.update, "PUT", f"{self.path}/{id}", body, id)

    def drop(self, client: Client, id: str, state: Props) -> None:
        """Repeated while an instance is attached."""
        attempt = lambda: client.call("DELETE", f"{self.path}/{id}")  # noqa: E731
        try:
            client.repeat_while(attempt, "attached to this VPC network", 19 * 60)
        except VultrError as error:
            raise Failure(self.words.delete.format(id=id) + str(error)) from error


class ReservedIp(VultrResource):
    """An address that stays when its instance goes."""

    token = "vultr:index/reservedIp:ReservedIp"  # noqa: S105
    path, wrapper = "/v2/reserved-ips", "reserved_ip"
    sent = ("region", "ipType", "label", "instanceId")
    seen = (*sent, "subnet", "subnetSize")

    def settle(self, client: Client, id: str, inputs: Props) -> None:
        """Attached a second time after the POST."""
        if inputs.get("instanceId"):
            self.attach(
                client,
                id,
                inputs["instanceId"],
                f"error attaching reserved IP: {id} {inputs['instanceId']} : ",
            )

    def attach(self, client: Client, id: str, instance: str, words: str) -> None:
        """One attach request."""
        self.ask(client, words, "POST", f"{self.path}/{id}/attach", {"instance_id": instance})

    def alter(self, client: Client, id: str, olds: Props, news: Props) -> None:
        """Detach from where the state says it is, attach, label."""
        new = news.get("instanceId") or ""
        if (olds.get("instanceId") or "") != new:
            if olds.get("instanceId"):
                self.ask(
                    client,
                    "error detaching Reserved IP ({id}): ",
                    "POST",
                    f"{self.path}/{id}/detach",
                    None,
                    id,
                )
            if new:
                self.attach(client, id, new, f"error attaching Reserved IP ({id}): ")
        if changed(olds, news, "label"):
            body = {"label": news.get("label", "")}
            self.ask(client, self.words.update, "PATCH", f"{self.path}/{id}", body, id)

    def fetch(self, client: Client, id: str, state: Props) -> Props | None:
        """An answer without the wrapper counts as gone."""
        try:
            answer = client.call("GET", f"{self.path}/{id}")
        except VultrError as error:
            if self.words.gone in str(error):
                return None
            raise refusal(self.words.read, error, id, state) from error
        return self.taken(answer["reserved_ip"]) if answer.get("reserved_ip") else None


class DnsDomain(VultrResource):
    """A zone. Its id is its name."""

    token = "vultr:index/dnsDomain:DnsDomain"  # noqa: S105
    path, wrapper = "/v2/domains", "domain"
    sent, seen = ("domain", "ip", "dnsSec"), ("domain", "dnsSec", "dateCreated")

    def post(self, client: Client, inputs: Props) -> tuple[str, Props]:
        """The id is the name in the answer."""
        answer = self.ask(client, self.words.create, "POST", self.path, self.body(inputs))
        return str(unwrap(answer, self.wrapper).get("domain", "")), {}

    def alter(self, client: Client, id: str, olds: Props, news: Props) -> None:
        """DNSSEC is always sent."""
        body = {"dns_sec": news.get("dnsSec", "")}
        self.ask(client, self.words.update, "PUT", f"{self.path}/{id}", body, id)


class DnsRecord(VultrResource):
    """A record of a zone. A fixed name asks for the old one to be deleted first when it is replaced."""

    token = "vultr:index/dnsRecord:DnsRecord"  # noqa: S105
    wrapper = "record"
    seen = ("type", "name", "data", "priority", "ttl")

    def where(self, props: Props) -> str:
        """Records live in their domain."""
        return f"/v2/domains/{props['domain']}/records"

    def body(self, inputs: Props) -> Props:
        """All fields, priority too."""
        return {"name": inputs.get("name", ""), "type": inputs["type"], **self.content(inputs)}

    @staticmethod
    def content(inputs: Props) -> Props:
        """Fields of both POST and PATCH."""
        return {
            "data": inputs["data"],
            "ttl": inputs.get("ttl") or 0,
            "priority": inputs.get("priority") or 0,
        }

    def alter(self, client: Client, id: str, olds: Props, news: Props) -> None:
        """All fields but the type, always."""
        body = {"name": news.get("name", ""), **self.content(news)}
        self.ask(client, self.words.update, "PATCH", f"{self.where(news)}/{id}", body, id)

    def fetch(self, client: Client, id: str, state: Props) -> Props | None:
        """Any failure of the read counts as gone."""
        try:
            return self.taken(unwrap(client.call("GET", f"{self.where(state)}/{id}"), self.wrapper))
        except VultrError:
            return None

    def imported(self, id: str) -> tuple[str, Props]:
        """Import ids are `<domain>,<record>`."""
        domain, comma, record = id.partition(",")
        if not comma:
            raise Failure('invalid import format, expected "domain,resourceID"')
        return record, {"domain": domain}


class FirewallGroup(VultrResource):
    """A set of rules of the cloud firewall."""

    token = "vultr:index/firewallGroup:FirewallGroup"  # noqa: S105
    path, wrapper = "/v2/firewalls", "firewall_group"
    sent = ("description",)
    seen = ("description", "dateCreated", "dateModified", "instanceCount", "ruleCount", "maxRuleCount")

    def body(self, inputs: Props) -> Props:
        """The description is sent even if it is empty."""
        return {"description": inputs.get("description", "")}

    def alter(self, client: Client, id: str, olds: Props, news: Props) -> None:
        """The description is always sent."""
        self.ask(client, self.words.update, "PUT", f"{self.path}/{id}", self.body(news), id)


class FirewallRule(VultrResource):
    """A rule of a group. Its id is a number, unique in its group only."""

    token = "vultr:index/firewallRule:FirewallRule"  # noqa: S105
    wrapper = "firewall_rule"
    sent = ("ipType", "protocol", "subnet", "subnetSize", "port", "source", "notes")
    seen = sent

    def where(self, props: Props) -> str:
        """Rules live in their group."""
        return f"/v2/firewalls/{props['firewallGroupId']}/rules"

    def body(self, inputs: Props) -> Props:
        """A length of 0 is sent, unlike other zero values."""
        return filled(super().body(inputs)) | {"subnet_size": inputs["subnetSize"]}

    def imported(self, id: str) -> tuple[str, Props]:
        """Import ids are `<group>,<rule>`."""
        group, comma, rule = id.partition(",")
        if not comma:
            raise Failure('invalid import format, expected "firewallGroupID,firewallRuleID"')
        return rule, {"firewallGroupId": group}


class ReverseIpv4(VultrResource):
    """The name of an instance's IPv4 address. Its id is the address."""

    token = "vultr:index/reverseIpv4:ReverseIpv4"  # noqa: S105
    family = "ipv4"

    def at(self, props: Props) -> str:
        """Path of the instance's addresses of this family."""
        return f"/v2/instances/{props['instanceId']}/{self.family}"

    def post(self, client: Client, inputs: Props) -> tuple[str, Props]:
        """The id is the address as the program spells it."""
        body = {"ip": inputs["ip"], "reverse": inputs["reverse"]}
        self.ask(client, self.words.create, "POST", f"{self.at(inputs)}/reverse", body)
        return str(inputs["ip"]), {}

    def fetch(self, client: Client, id: str, state: Props) -> Props | None:
        """Search all pages; an address that is not listed is an error."""
        cursor = ""
        while True:
            answer = self.listed(client, self.at(state) + (f"?cursor={cursor}" if cursor else ""), state)
            for entry in answer.get("ipv4s") or []:
                if entry.get("ip") == id:
                    return {name: entry.get(name, "") for name in ("ip", "reverse", "netmask", "gateway")}
            cursor = unwrap(unwrap(answer, "meta"), "links").get("next", "")
            if not cursor:
                raise Failure(f"error getting reverse IPv4s: <nil>, {state['instanceId']}")

    def listed(self, client: Client, path: str, state: Props) -> Props:
        """One page; a failure names the instance."""
        try:
            return client.call("GET", path)
        except VultrError as error:
            raise Failure(f"{self.words.read}{error}, {state['instanceId']}") from error

    def drop(self, client: Client, id: str, state: Props) -> None:
        """Back to the name the address had by default."""
        self.ask(client, self.words.delete, "POST", f"{self.at(state)}/reverse/default", {"ip": id}, id)

    def imported(self, id: str) -> tuple[str, Props]:
        """There is no import: the address does not tell its instance."""
        raise Failure("resource does not support import")


class ReverseIpv6(ReverseIpv4):
    """The name of an instance's IPv6 address. Its id is the address; the API must spell it alike."""

    token = "vultr:index/reverseIpv6:ReverseIpv6"  # noqa: S105
    family = "ipv6"

    def fetch(self, client: Client, id: str, state: Props) -> Props | None:
        """An address that is not listed is gone."""
        answer = self.listed(client, f"{self.at(state)}/reverse", state)
        for entry in answer.get("reverse_ipv6s") or []:
            if entry.get("ip") == id:
                return {"ip": entry["ip"], "reverse": entry.get("reverse", "")}
        return None

    def drop(self, client: Client, id: str, state: Props) -> None:
        """The entry is deleted."""
        self.ask(client, self.words.delete, "DELETE", f"{self.at(state)}/reverse/{id}", None, id)
