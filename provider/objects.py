"""The Vultr types that are there as soon as they are made: keys, networks, addresses, domains, firewalls, names."""

from __future__ import annotations

from provider import clock, spelling
from provider.client import Client
from provider.creation import filled
from provider.errors import ApiError
from provider.protocol.base import Context, Difference, Failure, Props
from provider.resource import VultrResource, changed, unlike

LEAVING = 10.0 * 60  # seconds for which an address is waited for that its last server still holds
GOING = 20.0  # seconds until a server that is being deleted has let go of its network; one that stays is restarted then
VPC_LEAVING = 40.0 * 60  # 15 minutes and more have been seen (dstack PR 2132)
ALREADY_ATTACHED = "already attached"
NOT_ATTACHED = "not attached"
RESTART = "restart your server"


class SSHKey(VultrResource):
    """A public key for new instances."""

    token = "vultr:index/sSHKey:SSHKey"  # noqa: S105 (a type's name, here and below)
    noun = "SSH key"
    path, wrapper, listed = "/v2/ssh-keys", "ssh_key", "ssh_keys"
    sent, seen = ("name", "sshKey"), ("name", "sshKey", "dateCreated")
    alike = ("name", "sshKey")
    spelled = {"sshKey": spelling.keys}  # noqa: RUF012 (a table, here and below)

    def alter(self, client: Client, id: str, olds: Props, news: Props) -> None:
        """Only what has changed is sent."""
        if body := changed(olds, news, "name", "sshKey"):
            client.call("PATCH", f"{self.path}/{id}", body)


class Vpc(VultrResource):
    """A private network."""

    token = "vultr:index/vpc:Vpc"  # noqa: S105
    noun = "VPC"
    path, wrapper, listed = "/v2/vpcs", "vpc", "vpcs"
    sent = ("region", "description", "v4Subnet", "v4SubnetMask")
    seen = (*sent, "dateCreated")
    alike = ("description", "region", "v4Subnet", "v4SubnetMask")
    spelled = {"v4Subnet": spelling.address}  # noqa: RUF012

    def alter(self, client: Client, id: str, olds: Props, news: Props) -> None:
        """Nothing but the description can be changed."""
        if unlike(olds, news, "description"):
            client.call("PUT", f"{self.path}/{id}", {"description": news.get("description") or ""})

    def drop(self, client: Client, id: str, state: Props) -> None:
        """Servers leave it some time after they have been detached or deleted."""
        client.insist(
            f"VPC {id} to be left by its servers", lambda: client.call("DELETE", f"{self.path}/{id}"),
            "attached to this VPC", limit=VPC_LEAVING,
        )  # fmt: skip


class ReservedIp(VultrResource):
    """An address that stays when its instance goes."""

    token = "vultr:index/reservedIp:ReservedIp"  # noqa: S105
    noun = "reserved IP"
    path, wrapper, listed = "/v2/reserved-ips", "reserved_ip", "reserved_ips"
    sent = ("region", "ipType", "label")
    seen = ("region", "ipType", "label", "instanceId", "subnet", "subnetSize")
    alike = ("label", "region", "ipType")
    afterwards = ("instanceId",)

    def settle(self, client: Client, id: str, inputs: Props) -> None:
        """Attached once it is there: an attachment in the POST could be refused with the address already reserved."""
        if inputs.get("instanceId"):
            self.attach(client, id, str(inputs["instanceId"]))

    def attach(self, client: Client, id: str, instance: str) -> None:
        """Have it attached to an instance, and to no other, from wherever it is now."""
        restarted: list[str] = []

        def look() -> str:
            holder = str(client.get(f"{self.path}/{id}", self.wrapper).get("instance_id") or "")
            if holder == instance:
                return ""
            if holder:
                self.detach(client, id)
            try:
                client.call("POST", f"{self.path}/{id}/attach", {"instance_id": instance})
            except ApiError as error:
                if error.says(RESTART):
                    self.restart_once(client, instance, error, restarted)
                elif not error.says(ALREADY_ATTACHED, "locked"):
                    raise
                return error.said
            return ""

        client.wait(f"reserved IP {id} to be attached to instance {instance}", look, limit=LEAVING, first=0.0)

    def detach(self, client: Client, id: str) -> None:
        """Have it attached to nothing; that it is not attached is as good."""
        restarted: list[str] = []
        begun = clock.now()

        def look() -> str:
            try:
                client.call("POST", f"{self.path}/{id}/detach")
            except ApiError as error:
                if error.gone or error.says(NOT_ATTACHED):
                    return ""
                holder = client.get(f"{self.path}/{id}", self.wrapper).get("instance_id")
                if not holder:
                    return ""
                if error.says(RESTART):
                    # On `destroy` both go side by side.
                    if clock.now() - begun >= GOING:
                        self.restart_once(client, str(holder), error, restarted)
                elif not error.says("locked"):
                    raise
                return error.said
            return ""

        client.wait(f"reserved IP {id} to be detached", look, limit=LEAVING, first=0.0)

    @staticmethod
    def restart_once(client: Client, instance: str, why: ApiError, restarted: list[str]) -> None:
        """Restart an instance, which lets a network come or go while it starts; one that is gone needs it no more."""
        if restarted:
            return
        restarted.append(instance)
        client.ctx.log(f"restarting instance {instance}: {why.said}", "warning")
        try:
            client.insist(
                f"instance {instance} to restart", lambda: client.call("POST", f"/v2/instances/{instance}/reboot")
            )
        except ApiError as error:
            if not error.gone:
                raise

    def drop(self, client: Client, id: str, state: Props) -> None:
        """An attached one is refused at times, and is detached first then."""
        try:
            super().drop(client, id, state)
        except ApiError as error:
            if not error.says(RESTART, "attached"):
                raise
            self.detach(client, id)
            super().drop(client, id, state)

    def diff(self, ctx: Context, id: str, olds: Props, news: Props) -> Difference:
        """A move to another region is said to cost the address."""
        found = super().diff(ctx, id, olds, news)
        if "region" in found.replaces:
            kind = "network" if olds.get("ipType") == "v6" else "address"
            ctx.log(
                f"{olds.get('subnet')} stays in region {olds.get('region')}: another {kind}, of {news.get('region')}, "
                "takes its place. Whoever has noted it down has to be told",
                severity="warning",
            )
        return found

    def alter(self, client: Client, id: str, olds: Props, news: Props) -> None:
        """To the instance that the program names, from wherever it is now; one it does not name is left alone."""
        if news.get("instanceId") and unlike(olds, news, "instanceId"):
            self.attach(client, id, str(news["instanceId"]))
        if unlike(olds, news, "label"):
            client.call("PATCH", f"{self.path}/{id}", {"label": news.get("label") or ""})


class DnsDomain(VultrResource):
    """A zone. Its id is its name."""

    token = "vultr:index/dnsDomain:DnsDomain"  # noqa: S105
    noun = "DNS zone"
    path, wrapper, listed, key = "/v2/domains", "domain", "domains", "domain"
    sent, seen = ("domain", "ip", "dnsSec"), ("domain", "dnsSec", "dateCreated")
    alike = ("domain",)
    spelled = {"domain": spelling.name, "ip": spelling.address}  # noqa: RUF012

    def ordered(self, client: Client, inputs: Props) -> Props:
        """A zone that somebody has made already is taken over on request alone: all its records come with it."""
        try:
            return super().ordered(client, inputs)
        except ApiError as error:
            if not error.says("already exists"):
                raise
            raise Failure(
                f"{inputs['domain']} exists already ({error.said}). make adopt ZONE={inputs['domain']} STACK=... shows "
                "what is in it, and takes it into this stack without deleting anything"
            ) from error

    def alter(self, client: Client, id: str, olds: Props, news: Props) -> None:
        """Nothing but DNSSEC can be changed."""
        if unlike(olds, news, "dnsSec"):
            client.call("PUT", f"{self.path}/{id}", {"dns_sec": news.get("dnsSec") or "disabled"})


class FirewallGroup(VultrResource):
    """A set of rules of the cloud firewall."""

    token = "vultr:index/firewallGroup:FirewallGroup"  # noqa: S105
    noun = "firewall group"
    path, wrapper, listed = "/v2/firewalls", "firewall_group", "firewall_groups"
    sent = ("description",)
    seen = ("description", "dateCreated", "dateModified", "instanceCount", "ruleCount", "maxRuleCount")
    alike = ("description",)

    def body(self, inputs: Props) -> Props:
        """The description is sent even if it is empty."""
        return {"description": inputs.get("description") or ""}

    def alter(self, client: Client, id: str, olds: Props, news: Props) -> None:
        """Nothing but the description can be changed."""
        if unlike(olds, news, "description"):
            client.call("PUT", f"{self.path}/{id}", self.body(news))


class FirewallRule(VultrResource):
    """A rule of a group. Its id is a number, unique in its group only."""

    token = "vultr:index/firewallRule:FirewallRule"  # noqa: S105
    noun = "firewall rule"
    wrapper, listed = "firewall_rule", "firewall_rules"
    sent = ("ipType", "protocol", "subnet", "subnetSize", "port", "source", "notes")
    seen = sent
    alike = ("protocol", "ipType", "subnet", "subnetSize", "port", "source", "notes")
    spelled = {"subnet": spelling.address}  # noqa: RUF012

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
            raise Failure(f"a firewall rule is imported by `<group id>,<rule id>`, not by {id!r}")
        return rule, {"firewallGroupId": group}


class ReverseIpv4(VultrResource):
    """The name of an instance's IPv4 address. Its id is the address, as the program spells it."""

    token = "vultr:index/reverseIpv4:ReverseIpv4"  # noqa: S105
    noun = "reverse name"
    family, listed = "ipv4", "ipv4s"
    seen: tuple[str, ...] = ("ip", "reverse", "netmask", "gateway")
    spelled = {"ip": spelling.address, "reverse": spelling.name}  # noqa: RUF012

    def where(self, props: Props) -> str:
        """The list in which the names are."""
        return f"{self.at(props)}/ipv4"

    def at(self, props: Props) -> str:
        """Path of the instance."""
        return f"/v2/instances/{props['instanceId']}"

    def body(self, inputs: Props) -> Props:
        """IPv6 addresses in full."""
        return {"ip": spelling.full(str(inputs["ip"])), "reverse": inputs["reverse"]}

    def post(self, client: Client, inputs: Props) -> tuple[str, Props]:
        """To name an address twice does no harm."""
        path = f"{self.at(inputs)}/{self.family}/reverse"
        try:
            client.insist(f"{self.noun} of {inputs['ip']}", lambda: client.call("POST", path, self.body(inputs)))
        except ApiError as error:
            found = self.by_id(client, str(inputs["ip"]), inputs) if error.sent else None
            if found is None or found.get("reverse") != inputs["reverse"]:
                raise
        return str(inputs["ip"]), {}

    def by_id(self, client: Client, id: str, state: Props) -> Props | None:
        """Gone: not in the list, or the instance is gone."""
        try:
            return self.one_of(client, id, state, shared=False)
        except ApiError as error:
            if error.gone:
                return None
            raise

    def from_list(self, client: Client, id: str, state: Props) -> Props | None:
        """One list holds the names of all of an instance's addresses."""
        try:
            return self.one_of(client, id, state, shared=True)
        except ApiError as error:
            if error.gone:
                return None
            raise

    def one_of(self, client: Client, id: str, state: Props, *, shared: bool) -> Props | None:
        """The entry of an address, however it is spelled."""
        entries = client.entries(self.where(state), self.listed, paged=self.family == "ipv4", shared=shared)
        wanted = spelling.address(id, {})
        return next((entry for entry in entries if spelling.address(entry.get("ip"), {}) == wanted), None)

    def drop(self, client: Client, id: str, state: Props) -> None:
        """Back to the name that the address had by default; an address that has left its instance has none here."""
        try:
            self.unname(client, id, state)
        except ApiError as error:
            if error.gone or error.status != 400 or self.by_id(client, id, state) is not None:
                raise

    def unname(self, client: Client, id: str, state: Props) -> None:
        """The request that takes the name away."""
        client.insist(
            f"{self.noun} of {id} to be deleted",
            lambda: client.call("POST", f"{self.at(state)}/ipv4/reverse/default", {"ip": id}),
        )

    def imported(self, id: str) -> tuple[str, Props]:
        """Import ids are `<instance>,<address>`: the address alone does not tell its instance."""
        instance, comma, ip = id.partition(",")
        if not comma:
            raise Failure(f"a reverse name is imported by `<instance id>,<address>`, not by {id!r}")
        return ip, {"instanceId": instance}


class ReverseIpv6(ReverseIpv4):
    """The name of an instance's IPv6 address. Its id is the address, as the program spells it."""

    token = "vultr:index/reverseIpv6:ReverseIpv6"  # noqa: S105
    family, listed = "ipv6", "reverse_ipv6s"
    seen = ("ip", "reverse")

    def where(self, props: Props) -> str:
        """The list in which the names are."""
        return f"{self.at(props)}/ipv6/reverse"

    def unname(self, client: Client, id: str, state: Props) -> None:
        """The entry is deleted, under the spelling in which Vultr lists it."""
        entry = self.one_of(client, id, state, shared=False)
        if entry is not None:
            path = f"{self.where(state)}/{entry['ip']}"
            client.insist(f"{self.noun} of {id} to be deleted", lambda: client.call("DELETE", path))
