"""A DNS zone at Vultr and every record in it.

Makes a vultr.DnsDomain and one vultr.DnsRecord for each planned record. Leaves alone: the delegation at the
registrar, and records that somebody made by hand, as long as the zone itself is wanted: it goes with all that is in
it when the stack file has no name in it any more, unless it is protected.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import ediri_vultr as vultr
import pulumi

import settings
from components.host import Host
from components.server import later


@dataclass(frozen=True)
class Record:
    """One record of a zone."""

    name: str  # relative to the zone; `` is the apex
    type: str  # A, AAAA, MX, ...
    data: pulumi.Input[str]
    ttl: int  # seconds
    priority: int | None = None  # MX and SRV only
    key: str = ""  # tells several records of one name and type apart


def records(
    stack: settings.Stack,
    hosts: Mapping[str, Host],
    after: Mapping[str, pulumi.Output[Any]] | None = None,
) -> dict[str, list[Record]]:
    """Everything that the stack file wants in each zone, over all servers.

    `after` is, by server, what a record that leads visitors to it waits for: a site that moves is not looked for on the
    new server while it still serves on the old one.
    """

    @cache  # an address is one output, in however many records it stands
    def address(server: str, source: str, application: str | None) -> pulumi.Output[str]:
        host, waits = hosts[server], [after[server]] if after and server in after else []
        match source:
            case "ipv4":
                return later(host.server.ipv4, waits)
            case "host_ipv6":
                return host.server.ipv6
            case "web_ipv6":
                return later(host.plan.apply(lambda addresses: str(addresses.web)), waits)
            case _:
                return host.plan.apply(lambda addresses: addresses.statics[str(application)])

    found: dict[str, list[Record]] = {zone: [] for zone in settings.zones_of(stack)}
    taken: set[tuple[str, str, str, str]] = set()
    for server in stack.servers:
        there = set(settings.dns_records(stack, server))
        for plan in settings.dns_records(stack, server, even_drained=True):
            # The first of several servers has the record without a key: it stays what it is when others come.
            key = _key(plan)
            key = server if plan.data is None and (plan.zone, plan.name, plan.type, key) in taken else key
            taken.add((plan.zone, plan.name, plan.type, key))
            if plan in there:
                data = address(server, plan.source, plan.application) if plan.data is None else plan.data
                found[plan.zone].append(Record(plan.name, plan.type, data, plan.ttl, plan.priority, key))
    return found


def _key(plan: settings.RecordPlan) -> str:
    return "" if plan.data is None else hashlib.sha256(plan.data.encode()).hexdigest()[:8]


class Zone(pulumi.ComponentResource):
    """One zone, named by its domain."""

    def __init__(
        self,
        name: str,
        records: Sequence[Record],
        *,
        protect: bool = False,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("apiary:dns:Zone", name, None, opts)
        domain = vultr.DnsDomain(
            name,
            domain=name,
            # The zone alone: its records come and go.
            opts=pulumi.ResourceOptions(parent=self, protect=protect),
        )
        for record in records:
            vultr.DnsRecord(
                # `/` because no domain name holds one: a-b.example and b.example must not meet.
                "/".join(part for part in (name, record.name or "@", record.type, record.key) if part),
                domain=domain.id,
                name=record.name,
                type=record.type,
                data=record.data,
                ttl=record.ttl,
                priority=record.priority,
                # Not `deleted_with` the zone: of a destroy that is interrupted before it comes to the zone, the
                # state would have no record, Vultr all of them, and the next update would make each once more.
                opts=pulumi.ResourceOptions(parent=self),
            )
        self.register_outputs({"domain": domain.domain})
