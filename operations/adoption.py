"""What is in an account already against what a first update would make. Pure: reads nothing and starts nothing.

A zone's records are matched by name and type, and by what they say as far as that is known before the update. Makes
the comparison, its lines for a person, and the file that `pulumi import` reads. Leaves alone: whether it is done.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import yaml

from operations.state import BLOCK, DOMAIN, OBJECT_STORAGE, RECORD, RESERVED_IP, SSH_KEY
from provider import spelling
from provider.protocol.base import UNKNOWN_TEXT

SINGLE = ("A", "AAAA", "CNAME")  # of these, one of a name is another one's successor
NAMESERVERS = ("ns1.vultr.com", "ns2.vultr.com")
ADOPTED = (BLOCK, DOMAIN, OBJECT_STORAGE, RECORD, RESERVED_IP, SSH_KEY)


@dataclass(frozen=True)
class Planned:
    """A resource that the next update would create."""

    urn: str
    type: str  # `vultr:index/dnsRecord:DnsRecord`, ...
    inputs: Mapping[str, Any]
    parent: str  # urn

    @property
    def name(self) -> str:
        return self.urn.rsplit("::", 1)[-1]


@dataclass(frozen=True)
class Record:
    """A record of a zone. `data` is None where only the update will tell it."""

    name: str  # relative to the zone; empty is the apex
    type: str
    data: str | None
    ttl: int
    priority: int
    id: str = ""

    @classmethod
    def of(cls, entry: Mapping[str, Any]) -> Record:
        """From the API's record, or from the inputs of a planned one."""
        kind, data = str(entry["type"]), entry.get("data")
        priority = spelling.priority(entry.get("priority"), {"type": kind})
        known = None if data == UNKNOWN_TEXT else str(data)
        ttl = int(entry.get("ttl") or 0)
        return cls(str(entry.get("name") or "").lower(), kind, known, ttl, priority, str(entry.get("id") or ""))

    @property
    def place(self) -> tuple[str, str]:
        """Where it stands: names that only look different are one."""
        return spelling.host(self.name), self.type

    @property
    def meaning(self) -> Any:  # noqa: ANN401 (a value to compare by)
        """What it says, however that is spelled."""
        return None if self.data is None else spelling.data(self.data, {"type": self.type})

    def __str__(self) -> str:
        priority = f"{self.priority} " if self.type in spelling.PRIORITIZED else ""
        data = "an address that the update will tell" if self.data is None else self.data
        return f"{self.name or '@'} {self.type} {priority}{data}, ttl {self.ttl}"


@dataclass
class Comparison:
    """A zone of the account against the plan of it."""

    kept: list[tuple[Planned, Record]] = field(default_factory=list)
    changed: list[tuple[Planned, Record]] = field(default_factory=list)
    new: list[Planned] = field(default_factory=list)
    in_the_way: list[tuple[Record, str]] = field(default_factory=list)  # with the reason
    unlike: list[tuple[Record, int]] = field(default_factory=list)  # with the ttl that is planned beside it
    others: list[Record] = field(default_factory=list)  # in no stack file
    vultrs: list[Record] = field(default_factory=list)  # every zone has them

    @property
    def matched(self) -> list[tuple[Planned, Record]]:
        """What there is to import."""
        return [*self.kept, *self.changed]


def planned(plan: Mapping[str, Any], *types: str) -> list[Planned]:
    """What an update would create of these types, or of all that is adopted (`pulumi preview --json`)."""
    wanted = types or ADOPTED
    states = [step["newState"] for step in plan.get("steps") or () if step["op"] == "create"]
    return [
        Planned(
            str(state["urn"]),
            str(state["type"]),
            {key: _plain(value) for key, value in (state.get("inputs") or {}).items()},
            str(state.get("parent") or ""),
        )
        for state in states
        if state["type"] in wanted
    ]


def _plain(value: Any) -> Any:  # noqa: ANN401 (a property's value)
    """The value of a secret as the plan shows it, `[secret]` or encrypted, is not known here."""
    return UNKNOWN_TEXT if isinstance(value, Mapping) and "ciphertext" in value else value


def compare(
    wanted: Sequence[Planned], existing: Iterable[Mapping[str, Any]], held: Sequence[Record] = ()
) -> Comparison:
    """The planned records of one zone against those that the API lists. `held`: what the state has of it already."""
    result, ids = Comparison(), {record.id for record in held}
    left = [record for record in map(Record.of, existing) if record.id not in ids]
    open_: list[Planned] = []
    for plan in wanted:
        record = Record.of(plan.inputs)
        same = next((r for r in left if r.place == record.place and r.meaning == record.meaning), None)
        if same is None:
            open_.append(plan)
            continue
        left.remove(same)
        like = (same.ttl, same.priority) == (record.ttl or same.ttl, record.priority)
        (result.kept if like else result.changed).append((plan, same))
    for plan in open_:
        record = Record.of(plan.inputs)
        old = next((r for r in left if r.place == record.place and record.type in SINGLE), None)
        if old is None:
            result.new.append(plan)
        else:
            left.remove(old)
            result.changed.append((plan, old))
    records = [*held, *(Record.of(plan.inputs) for plan in wanted)]
    for record in left:
        if reason := _in_the_way(record, records):
            result.in_the_way.append((record, reason))
        elif ttl := next((r.ttl for r in records if r.place == record.place and r.ttl not in (0, record.ttl)), None):
            result.unlike.append((record, ttl))
        elif record.type == "NS" and not record.name and record.meaning in NAMESERVERS:
            result.vultrs.append(record)
        else:
            result.others.append(record)
    return result


def _in_the_way(record: Record, planned: Sequence[Record]) -> str:
    """Why the plan and this record can't both be; empty when they can."""
    beside = [other for other in planned if other.name == record.name]
    if record.type in ("A", "AAAA") and any(other.type == record.type for other in beside):
        return "answers beside the planned one, so that every other visitor goes there"
    if record.type == "CNAME" and beside:
        return f"a CNAME allows nothing beside it, and {beside[0].type} is planned"
    if any(other.type == "CNAME" for other in beside):
        return "the planned CNAME allows nothing beside it"
    return ""


def report(zone: str, found: Comparison) -> list[str]:
    """The comparison for a person, a line a record."""
    lines = [f"zone {zone}"]
    lines += [f"  kept        {record}" for _, record in found.kept]
    lines += [f"  changed     {record}  ->  {Record.of(plan.inputs)}" for plan, record in found.changed]
    lines += [f"  new         {Record.of(plan.inputs)}" for plan in found.new]
    lines += [f"  in the way  {record}: {reason}" for record, reason in found.in_the_way]
    lines += [
        f"  unlike      {record}: Vultr takes one ttl for a name and type, and {ttl} is planned; write "
        f"`ttl: {record.ttl}` at those in the stack file, or add this one there with theirs"
        for record, ttl in found.unlike
    ]
    lines += [f"  Vultr's     {record}" for record in found.vultrs]
    lines += [f"  not in the stack file, and stays  {record}" for record in found.others]
    if others := [*found.others, *(record for record, _ in found.unlike)]:
        lines += ["  to have these in the stack file, too, add:", *_indented(pasted(zone, others), 4)]
    return lines


def pasted(zone: str, records: Iterable[Record]) -> str:
    """The lines of a stack file's `config` that say these records."""
    entries = [
        {"type": record.type}
        | ({"name": record.name} if record.name else {})
        | {"data": spelling.unquoted(str(record.data)) if record.type == "TXT" else record.data}
        | ({"priority": record.priority} if record.type in spelling.PRIORITIZED else {})
        | {"ttl": record.ttl}
        for record in records
    ]
    lines = ["apiary:zones:", f"  {zone}:", "    records:"]
    for entry in entries:
        text = yaml.safe_dump(entry, default_flow_style=True, sort_keys=False, width=10_000, allow_unicode=True)
        lines.append(f"      - {text.strip()}")
    return "\n".join(lines)


def _indented(text: str, by: int) -> list[str]:
    return [" " * by + line for line in text.splitlines()]


@dataclass(frozen=True)
class Import:
    """One object of the account that becomes a resource."""

    plan: Planned
    id: str  # as `pulumi import` takes it


def plugin(plan: Mapping[str, Any], exported: Mapping[str, Any]) -> dict[str, str]:
    """Version and address of the Vultr plugin that the program asks for: another one would be another provider."""
    states = [step.get("newState") or {} for step in plan.get("steps") or ()]
    states += (exported.get("deployment") or {}).get("resources") or []
    inputs = next((state.get("inputs") or {} for state in states if state.get("type") == "pulumi:providers:vultr"), {})
    address = (inputs.get("__internal") or {}).get("pluginDownloadURL")
    known = {"version": inputs.get("version"), "pluginDownloadUrl": address}
    return {key: str(value) for key, value in known.items() if value}


def within(plan: Mapping[str, Any]) -> dict[str, str]:
    """Of each component of a plan that is in another one, by URN: which."""
    states = [step.get("newState") or {} for step in plan.get("steps") or ()]
    told = {str(state["urn"]): str(state.get("parent") or "") for state in states if not state.get("custom")}
    return {urn: parent for urn, parent in told.items() if told.get(parent)}  # the stack is nobody's


def import_file(
    imports: Sequence[Import], recorded: Iterable[str], plugin: Mapping[str, str], within: Mapping[str, str]
) -> dict[str, Any]:
    """What `pulumi import --file` reads. `recorded`: URNs of components that the state has; `within`: as that says.

    Each name is an index, because a component and what is in it may be called alike.
    """
    held, parents = set(recorded), dict[str, None]()
    for entry in imports:
        chain = [entry.plan.parent] if entry.plan.parent else []
        while chain and chain[-1] not in held and chain[-1] in within:
            chain.append(within[chain[-1]])
        parents |= dict.fromkeys(reversed(chain))
    new = {urn: f"component-{number}" for number, urn in enumerate(parents) if urn not in held}
    old = {urn: f"recorded-{number}" for number, urn in enumerate(parents) if urn in held}
    names = {**new, **old}
    entries: list[dict[str, Any]] = []
    for urn, name in new.items():
        kind = urn.split("::")[2].rsplit("$", 1)[-1]
        entries.append(
            {"type": kind, "name": name, "logicalName": urn.rsplit("::", 1)[-1], "component": True}
            | ({"parent": names[within[urn]]} if urn in within else {})
        )
    for number, entry in enumerate(imports):
        entries.append(
            {"type": entry.plan.type, "name": f"resource-{number}", "logicalName": entry.plan.name, "id": entry.id}
            | ({"parent": names[entry.plan.parent]} if entry.plan.parent else {})
            | dict(plugin)
        )
    return {"nameTable": {name: urn for urn, name in old.items()}, "resources": entries}
