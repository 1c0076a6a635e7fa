"""Stand-in for the official Vultr plugin: keys, networks, reserved addresses, domains, firewalls, reverse DNS.

Held to the recorded behaviour of version 2.27.1: the same requests in the same order, the same words. Properties
and texts are tables in `vultr_types.py`; requests and waits are in `vultr_client.py`; the instance and the volume,
which wait, are in `vultr_compute.py`. Left out: Vpc2 and all types the recordings do not hold.
"""

from __future__ import annotations

import os
import re
from typing import Any

from lab.plugins.base import UNKNOWN, CheckFailure, Context, Failure, PartialFailure, Plugin, Props, Secret
from lab.plugins.bridge import BridgedResource
from lab.plugins.vultr_client import Client, VultrError
from lab.plugins.vultr_types import PROPERTIES, WORDS, Words


def snake(name: str) -> str:
    """dateCreated -> date_created, v4SubnetMask -> v4_subnet_mask, dnsSec -> dns_sec."""
    return re.sub(r"(?<!^)([A-Z])", r"_\1", name).lower()


def filled(values: Props) -> Props:
    """Without what the official client leaves out of a request: null, empty text, zero, empty lists."""
    return {k: v for k, v in values.items() if v not in (None, "", 0, []) or v is False}


class VultrResource(BridgedResource):
    """One type: a collection of objects at a path, wrapped in a key. Most types differ in these tables only."""

    path = ""  # of the collection; {group}, {domain} stand for properties
    wrapper = ""
    sent: tuple[str, ...] = ()  # properties of the POST
    seen: tuple[str, ...] = ()  # properties taken from the answer to a read
    words: Words
    zero_defaults = True
    repeats_reasons = False

    def __init__(self) -> None:
        self.properties = PROPERTIES[self.token]
        self.words = WORDS[self.token.rpartition(":")[2]]

    # What the types override

    def where(self, props: Props) -> str:
        """Path of the collection that holds the object."""
        return self.path

    def body(self, inputs: Props) -> Props:
        """Body of the POST that makes the object."""
        return filled({snake(name): inputs.get(name) for name in self.sent})

    def settle(self, client: Client, id: str, inputs: Props) -> None:
        """What follows the POST, before the object is read back."""

    def alter(self, client: Client, id: str, olds: Props, news: Props) -> None:
        """The requests of an update."""

    def fetch(self, client: Client, id: str, state: Props) -> Props | None:
        """Read the object: the properties that a read sets, or None when it is gone."""
        try:
            found = unwrap(client.call("GET", f"{self.where(state)}/{id}"), self.wrapper)
        except VultrError as error:
            if self.words.gone in str(error):
                return None
            raise refusal(self.words.read, error, id, state) from error
        return self.taken(found)

    def taken(self, found: Props) -> Props:
        """Properties from the API's object; what is missing there is the kind's zero value."""
        zero: dict[str, Any] = {"string": "", "int": 0, "bool": False}
        return {
            name: int(value) if self.properties[name].kind == "int" else value
            for name in self.seen
            for value in (found.get(snake(name), zero.get(self.properties[name].kind)),)
        }

    def drop(self, client: Client, id: str, state: Props) -> None:
        """The requests of a deletion."""
        self.ask(client, self.words.delete, "DELETE", f"{self.where(state)}/{id}", None, id)

    # What the bridge calls

    def make(self, ctx: Context, inputs: Props) -> tuple[str, Props]:
        """POST, wait if need be, read back. What fails after the POST leaves the object in the state."""
        client = client_of(ctx)
        id, made = self.post(client, inputs)
        state = {**inputs, **made}
        try:
            self.settle(client, id, inputs)
            found = self.fetch(client, id, state)
        except Failure as error:
            raise PartialFailure(str(error), id, {**state, "id": id}) from error
        if found is None:
            raise Gone(f"expected non-nil error with nil state during Create of {ctx.urn}")
        return id, made | found

    def post(self, client: Client, inputs: Props) -> tuple[str, Props]:
        """Make the object: its id, and the outputs that only this answer tells."""
        answer = self.ask(client, self.words.create, "POST", self.where(inputs), self.body(inputs))
        return str(unwrap(answer, self.wrapper).get("id", "")), {}

    def look(self, ctx: Context, id: str, state: Props) -> tuple[str, Props] | None:
        """Read the object for a refresh or an import."""
        known: Props = {}
        if not state:
            id, known = self.imported(id)
        found = self.fetch(client_of(ctx), id, {**state, **known})
        return None if found is None else (id, known | found)

    def imported(self, id: str) -> tuple[str, Props]:
        """From an import's id to the object's own id, and the properties that the id holds."""
        return id, {}

    def change(self, ctx: Context, id: str, olds: Props, news: Props) -> Props:
        """Send what has changed and read back."""
        client = client_of(ctx)
        self.alter(client, id, olds, news)
        found = self.fetch(client, id, news)
        if found is None:
            raise Gone(f"Resource provider reported that the resource did not exist while updating {ctx.urn}.")
        return found

    def remove(self, ctx: Context, id: str, state: Props) -> None:
        """Delete the object; that it is gone already is an error."""
        self.drop(client_of(ctx), id, state)

    def planned(self, olds: Props | None, inputs: Props, ctx: Context) -> Props:
        """A list with an unknown element is unknown as a whole."""
        planned = super().planned(olds, inputs, ctx)
        vague = {n for n, v in planned.items() if isinstance(v, list) and UNKNOWN in v}
        return planned | dict.fromkeys(vague, UNKNOWN)

    def _followed(self, inputs: Props, state: Props, outputs: Props) -> Props:
        """After a read, sets are spelled as they were read."""
        sets = {n for n, p in self.properties.items() if p.kind == "set" and outputs.get(n)}
        return {k: outputs[k] if k in sets else v for k, v in super()._followed(inputs, state, outputs).items()}

    @staticmethod
    def ask(
        client: Client, words: str, method: str, path: str, body: Props | None = None, id: str = "", **more: str
    ) -> Props:
        """One request; its refusal carries `words`."""
        try:
            return client.call(method, path, body)
        except VultrError as error:
            raise Failure(words.format(id=id, **more) + str(error)) from error


def refusal(words: str, error: VultrError, id: str, state: Props) -> Failure:
    """A failed read in the type's words."""
    return Failure(words.format(id=id, group=state.get("firewallGroupId", "")) + str(error))


class Gone(Failure):
    """A text that stands for itself, without the bridge's frame."""

    framed = False


def unwrap(answer: Props, key: str) -> Props:
    """The object in an answer. The official plugin crashes where it is missing."""
    found = answer.get(key)
    if not isinstance(found, dict):
        raise Failure(f"error reading from server: EOF (the API's answer has no {key!r}: the official plugin crashes here)")
    return found


def changed(olds: Props, news: Props, *names: str) -> Props:
    """Those of `names` whose value differs, with their new values, by the API's names."""
    return {snake(n): news.get(n) for n in names if (olds.get(n) or None) != (news.get(n) or None)}


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
            self.attach(client, id, inputs["instanceId"], f"error attaching reserved IP: {id} {inputs['instanceId']} : ")

    def attach(self, client: Client, id: str, instance: str, words: str) -> None:
        """One attach request."""
        self.ask(client, words, "POST", f"{self.path}/{id}/attach", {"instance_id": instance})

    def alter(self, client: Client, id: str, olds: Props, news: Props) -> None:
        """Detach from where the state says it is, attach, label."""
        new = news.get("instanceId") or ""
        if (olds.get("instanceId") or "") != new:
            if olds.get("instanceId"):
                self.ask(client, "error detaching Reserved IP ({id}): ", "POST", f"{self.path}/{id}/detach", None, id)
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
        return {"data": inputs["data"], "ttl": inputs.get("ttl") or 0, "priority": inputs.get("priority") or 0}

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
    """The name of an instance's IPv6 address. Its id is the address as spelled; the API must spell it alike."""

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


class VultrPlugin(Plugin):
    """The provider: an API key and the retries."""

    client: Client

    def check_config(self, ctx: Context, olds: Props, news: Props) -> tuple[Props, list[CheckFailure]]:
        """The key may come from VULTR_API_KEY; it is a secret."""
        if not news.get("apiKey") and not os.environ.get("VULTR_API_KEY"):
            reason = (
                "Provider is missing a required configuration key, try `pulumi config set vultr:apiKey`: "
                "The API Key that allows interaction with the API"
            )
            return news, [CheckFailure("", reason)]
        key = news.get("apiKey")
        return (news if key in (None, UNKNOWN) else {**news, "apiKey": Secret(key)}), []

    def configure(self, ctx: Context, args: Props) -> None:
        """The key is not tried: a wrong one shows at the first request."""
        key = args.get("apiKey") or os.environ.get("VULTR_API_KEY") or ""
        self.client = Client(str(key), int(args.get("rateLimit") or 500), int(args.get("retryLimit") or 3))


def client_of(ctx: Context) -> Client:
    """The client of the plugin that serves this call."""
    assert isinstance(ctx.plugin, VultrPlugin)  # noqa: S101 (for the type checker)
    return ctx.plugin.client


def plugin(version: str) -> Plugin:
    """The plugin, for the launcher."""
    from lab.plugins.vultr_compute import BlockStorage, Instance

    types = (SSHKey, Vpc, ReservedIp, DnsDomain, DnsRecord, FirewallGroup, FirewallRule, ReverseIpv4, ReverseIpv6,
             BlockStorage, Instance)  # fmt: skip
    return VultrPlugin("vultr", version, [kind() for kind in types])
