"""A Vultr instance whose IPv4 address and host key outlive it, and its IPv6 network too where that is reserved.

Makes: reserved IPv4, firewall group and rules, SSH host key, instance with IPv6, where wanted a reserved /64 and block
storage that are attached to it, reverse DNS of both families, and the Docker provider that everything on the host uses.
Leaves alone: what runs on the host (bootstrap.py and later), its address on the private network and in the reserved /64
and what is on the block storage included, and forward DNS (zone.py).

The graph is tied so that a rebuild is one replace that carries everything on the host along: to the engine the provider
depends on the reserved address only, so that it is known in every preview and does not go with the instance. It comes
after the instance all the same: what is deleted ahead of a rebuild goes by the provider that the state has.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_network
from typing import Any, TypeVar, cast

import ediri_vultr as vultr
import pulumi
import pulumi_docker as docker
import pulumi_tls as tls

import settings
from components import majority
from components.access import Access
from components.connection import Connection
from components.labels import stack_tag
from components.vpc import Vpc

T = TypeVar("T")

ANYWHERE = {"v4": "0.0.0.0/0", "v6": "::/0"}


@dataclass(frozen=True)
class ServerArgs:
    """What to rent, and what shall be reachable on it."""

    plan: str  # Vultr plan, e.g. `vc2-1c-2gb`
    region: str  # Vultr region, e.g. `ewr`
    os_id: int  # Vultr's number of the operating system, 2136 is Debian 12
    public_name: str  # what the addresses' reverse DNS says, e.g. `web1.example.com`
    openings: Sequence[settings.Opening]  # what the cloud firewall lets through besides ICMP and SSH
    ssh_from: Sequence[str]  # networks that may log in; empty: from anywhere
    reserve_prefix: bool  # whether the /64 shall outlive the instance
    data: settings.Data | None = None  # block storage for its volumes
    managers: Mapping[str, str] = field(default_factory=dict)  # of the swarm, where it is one of several (majority.py)

    @classmethod
    def of(cls, stack: settings.Stack, name: str) -> ServerArgs:
        """What the stack file says of the server `name`."""
        wanted, managers = stack.servers[name], majority.made_of(stack)
        return cls(
            plan=wanted.plan,
            region=wanted.region,
            os_id=wanted.os,
            public_name=wanted.dns.public[0] if wanted.dns.public else name,
            openings=settings.openings(stack, name),
            ssh_from=wanted.ssh_from or (),
            reserve_prefix=wanted.ipv6.reserved,
            data=wanted.data,
            managers=managers if name in managers else {},
        )


class Server(pulumi.ComponentResource):
    """One server and its addresses."""

    instance: vultr.Instance
    provider: docker.Provider
    connection: Connection
    ipv4: pulumi.Output[str]  # reserved: survives a rebuild
    ipv6: pulumi.Output[str]  # the host's own address, in `prefix`
    data: vultr.BlockStorage | None  # survives a rebuild
    prefix: pulumi.Output[str]  # its public network, `2001:db8:1:2::/64`; unless reserved, a rebuild changes it

    def __init__(
        self,
        name: str,
        args: ServerArgs,
        access: Access,
        vpc: Vpc | None = None,
        *,
        after: Sequence[pulumi.Resource] = (),
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("apiary:host:Server", name, None, opts)
        own = pulumi.ResourceOptions(parent=self)
        label = f"{stack_tag()}-{name}"

        reserved = vultr.ReservedIp(name, region=args.region, ip_type="v4", label=label, opts=own)
        host_key = tls.PrivateKey(f"{name}-host-key", algorithm="ED25519", opts=own)
        self.ipv4 = reserved.subnet
        self.connection = Connection(
            host=self.ipv4,
            host_key=host_key.public_key_openssh.apply(str.strip),
            private_key=access.private_key,
            key_file=access.key_file,
        )
        firewall = vultr.FirewallGroup(name, description=label, opts=own)
        for rule in firewall_rules(args):
            vultr.FirewallRule(
                f"{name}-{rule.name}",
                firewall_group_id=firewall.id,
                protocol=rule.protocol,
                port=rule.port,
                ip_type=f"v{rule.source.version}",
                subnet=str(rule.source.network_address),
                subnet_size=rule.source.prefixlen,
                opts=own,
            )

        before = [*after, *([majority.spared(name, args.managers, self.connection, own)] if args.managers else [])]
        self.instance = vultr.Instance(
            name,
            plan=args.plan,
            region=args.region,
            os_id=args.os_id,
            # Not the public name: another hostname is another instance.
            hostname=name,
            label=label,
            tags=[stack_tag()],
            enable_ipv6=True,
            reserved_ip_id=reserved.id,
            firewall_group_id=firewall.id,
            # Empty, not left out: what is left out stays as it was.
            vpc_ids=[vpc.id] if vpc else [],
            ssh_key_ids=[access.ssh_key_id],
            # Secret, because the private key in it is.
            user_data=pulumi.Output.all(host_key.private_key_openssh, host_key.public_key_openssh).apply(
                lambda pair: user_data(private_key=pair[0], public_key=pair[1])
            ),
            opts=pulumi.ResourceOptions(
                parent=self,
                depends_on=before,
                # A second instance can't have the reserved address while the first one holds it.
                delete_before_replace=True,
                # The address of its console, which holds a token: whoever has it is at the console.
                additional_secret_outputs=["kvm"],
            ),
        )
        self.provider = docker.Provider(
            # Another region is another address: what is on the old host is deleted over the old one meanwhile. A
            # provider whose host is unknown in a preview can't be asked about anything, so that one stays as it is.
            f"{name}-{args.region}",
            host=self.connection.docker_host(),
            # The plugin agrees with a Docker on a version once, and an older one refuses that of a newer one. Other
            # options are another process of it, begun when the server of the other system is there: not of what the
            # stack file says, which may be ahead of it. Unlike the instance's id this is known in a preview.
            ssh_opts=self.connection.ssh_options(apart(self.instance.os_id).apply(lambda number: f"os-{number}")),
            opts=own,
        )
        # The API spells it in full, which nobody reads.
        self.ipv6 = self.instance.v6_main_ip.apply(lambda address: str(IPv6Address(address)))
        self.prefix = pulumi.Output.concat(self.instance.v6_network, "/64")
        if args.reserve_prefix:
            network = vultr.ReservedIp(
                f"{name}/ipv6",  # no server is called so
                region=args.region,
                ip_type="v6",
                label=label,
                # It can't be attached before the instance runs, and still is no part of it: what drops an instance with
                # its dependents must not give the network away, nor the records that lead into it.
                instance_id=apart(self.instance.id),
                opts=own,
            )
            self.prefix = pulumi.Output.concat(network.subnet, "/64")
            self.ipv6 = self.prefix.apply(settings.own_address)

        self.data = None
        if args.data is not None:
            self.data = vultr.BlockStorage(
                name,
                region=args.region,
                size_gb=args.data.gb,
                block_type=args.data.type,
                label=label,
                # As for the reserved network: what drops an instance with its dependents must not touch the data.
                attached_to_instance=apart(self.instance.id),
                live=True,  # otherwise the server is restarted for it
                opts=pulumi.ResourceOptions(
                    parent=self,
                    # No update deletes or replaces it; one that is let go of stays until it is deleted at Vultr.
                    protect=True,
                    retain_on_delete=True,
                ),
            )

        # The entries die with their instance.
        with_instance = pulumi.ResourceOptions(parent=self, delete_before_replace=True, deleted_with=self.instance)
        vultr.ReverseIpv4(
            name, instance_id=self.instance.id, ip=self.ipv4, reverse=args.public_name, opts=with_instance
        )
        vultr.ReverseIpv6(
            name, instance_id=self.instance.id, ip=self.ipv6, reverse=args.public_name, opts=with_instance
        )
        self.register_outputs({"ipv4": self.ipv4, "ipv6": self.ipv6, "prefix": self.prefix})


def later(value: pulumi.Output[str], after: Sequence[pulumi.Output[Any]]) -> pulumi.Output[str]:
    """The same value, once all of `after` are there too, which the engine is told nothing of."""

    async def waited() -> str:
        for one in after:
            await one.future()
        return cast(str, await value.future())

    return pulumi.Output(value.resources(), waited(), value.is_known(), value.is_secret())


@dataclass(frozen=True)
class FirewallRule:
    """What the cloud firewall lets through."""

    name: str  # unique among the server's rules
    protocol: str
    port: str  # empty for ICMP
    source: IPv4Network | IPv6Network


def firewall_rules(args: ServerArgs) -> list[FirewallRule]:
    """ICMP, SSH, and what is published or opened.

    When SSH is narrowed the engine makes the new rules first and removes the old ones last, after the host has
    narrowed its own firewall: a host that refuses, because the update itself would be locked out, leaves the cloud's
    as it was.
    """
    rules = [FirewallRule(f"icmp-{family}", "icmp", "", ip_network(network)) for family, network in ANYWHERE.items()]
    who = {network: network for network in args.ssh_from} or ANYWHERE
    rules += [FirewallRule(f"tcp22-{name}", "tcp", "22", ip_network(network)) for name, network in who.items()]
    for opening in args.openings:
        name = f"{opening.protocol}{opening.port}-{opening.family}"
        rules.append(FirewallRule(name, opening.protocol, opening.port, ip_network(ANYWHERE[opening.family])))
    return rules


def user_data(private_key: str, public_key: str) -> str:
    """The cloud-config that gives a new instance the host key which the program has pinned.

    As JSON, which is YAML too: another text would replace the instance and its disk, and how a YAML library
    lays out its text may change with its version.
    """
    config = {
        "ssh_deletekeys": True,
        "ssh_keys": {"ed25519_private": private_key, "ed25519_public": public_key.strip()},
        "disable_root": False,
        "ssh_pwauth": False,
    }
    return f"#cloud-config\n{json.dumps(config, sort_keys=True)}\n"


def apart(value: pulumi.Output[T]) -> pulumi.Output[T]:
    """The same value, of which the engine is not told whose it is: what is made of it does not go with that."""
    return pulumi.Output(set(), value.future(), value.is_known(), value.is_secret())  # type: ignore[arg-type]


def undo(instance: str, command: str) -> str:
    """The script that undoes on a host what was done for `instance`, and nothing when it has been rebuilt.

    Its address answers for another instance then, for which the same has just been done anew. Standard input is read,
    because a command that has one and leaves it unread fails with `EOF`, also in `delete`.
    """
    return f"set -eu\ncat >/dev/null\ngrep -qxF {shlex.quote(instance)} /etc/apiary/instance || exit 0\n{command}\n"
