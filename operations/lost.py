"""What an interrupted update made at Vultr without recording it, told from everything else in the account.

Pure: gets the state and the account's lists, gives verdicts. The rule is to remove only what has a witness: a
pending operation of the state that was creating just that. The name alone proves nothing, because another
backend may know a stack of the same name. An address that may ever have served is never released, and block storage,
whatever is on it, never deleted.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from operations.state import (
    BLOCK,
    DOMAIN,
    FIREWALL,
    FIREWALL_RULE,
    INSTANCE,
    RECORD,
    RESERVED_IP,
    SSH_KEY,
    VPC,
    Resource,
    State,
)
from provider import spelling

Entry = Mapping[str, Any]
NAME_SERVERS = ("ns1.vultr.com", "ns2.vultr.com")  # what Vultr writes into each new zone


@dataclass(frozen=True)
class Lists:
    """The account's objects, as the API lists them."""

    instances: Sequence[Entry] = ()
    firewall_groups: Sequence[Entry] = ()
    vpcs: Sequence[Entry] = ()
    ssh_keys: Sequence[Entry] = ()
    reserved_ips: Sequence[Entry] = ()
    blocks: Sequence[Entry] = ()
    domains: Sequence[Entry] = ()
    records: Mapping[str, Sequence[Entry]] = field(default_factory=dict)  # by zone
    rules: Mapping[str, Sequence[Entry]] = field(default_factory=dict)  # by firewall group


@dataclass(frozen=True)
class Lost:
    """One object that is not in the state, and what to do with it."""

    path: str  # at the API
    what: str
    action: Literal["remove", "adopt", "ask", "leave"]
    why: str
    adopt: tuple[str, Entry] | None = None  # urn, and the API's entry


def zones(state: State) -> set[str]:
    """The zones whose records matter: recorded ones, and those that the stack wanted to create."""
    return {*state.ids(DOMAIN), *(str(resource.inputs.get("domain")) for resource in state.creating(DOMAIN))}


def find(state: State, tag: str, lists: Lists) -> list[Lost]:
    """Everything of the stack in the account that the state doesn't know, in the order of removal."""
    return [
        *_named(state, INSTANCE, ("instances", "instance", "label"), _tagged(lists.instances, tag)),
        *_named(
            state, FIREWALL, ("firewalls", "firewall group", "description"),
            [group for group in lists.firewall_groups if _is_label(group.get("description"), tag, state)],
        ),
        *_named(
            state, VPC, ("vpcs", "VPC", "description"),
            [vpc for vpc in lists.vpcs if vpc.get("description") == f"{tag}-{vpc.get('region')}"],
        ),
        *_named(
            state, SSH_KEY, ("ssh-keys", "SSH key", "name"),
            [key for key in lists.ssh_keys if key.get("name") == tag],
        ),
        *_addresses(state, tag, lists),
        *_blocks(state, tag, lists),
        *_domains(state, lists),
        *_records(state, lists),
        *_rules(state, lists),
    ]  # fmt: skip


def _named(state: State, type_: str, where: tuple[str, str, str], entries: Iterable[Entry]) -> Iterable[Lost]:
    """Objects with a label, which must be their witness's; `where`: API path, name, and key of the label."""
    path, what, key = where
    known = state.ids(type_)
    witnesses = {resource.inputs.get(key) for resource in state.creating(type_)}
    for entry in entries:
        if entry["id"] in known:
            continue
        label = entry.get(key)
        seen = label in witnesses
        yield Lost(
            f"/{path}/{entry['id']}",
            f"{what} {label} ({entry['id']})",
            "remove" if seen else "ask",
            "its creation was cut off" if seen else "it has this stack's name, and nothing tells who made it",
        )


def _addresses(state: State, tag: str, lists: Lists) -> Iterable[Lost]:
    known = state.ids(RESERVED_IP)
    lost = [
        entry for entry in lists.reserved_ips if entry["id"] not in known and _is_label(entry.get("label"), tag, state)
    ]
    for entry in lost:
        label = entry["label"]
        # A server's IPv4 address and its IPv6 network have one label.
        kind = (label, entry.get("ip_type"))
        witnesses = [address for address in state.creating(RESERVED_IP) if _kind(address) == kind]
        rivals = [other for other in lost if (other["label"], other.get("ip_type")) == kind]
        recorded = any(_kind(address) == kind for address in state.of_type(RESERVED_IP))
        action: Literal["remove", "adopt", "ask"] = "ask"
        why = "it may have served"
        # A network is attached by the end of its own creation, and then to a server of this state.
        if entry.get("instance_id") and not (entry.get("ip_type") == "v6" and witnesses and not recorded):
            why = "it is attached to a server"
        elif witnesses and recorded and len(rivals) <= len(witnesses):
            action, why = "remove", "its creation was cut off, and the state has another"
        elif witnesses and not recorded and len(rivals) == 1:
            action, why = "adopt", "its creation was cut off"
        yield Lost(
            f"/reserved-ips/{entry['id']}",
            f"reserved address {entry.get('subnet')} of {label} ({entry['id']})",
            action,
            why,
            (witnesses[0].urn, entry) if action == "adopt" else None,
        )


def _blocks(state: State, tag: str, lists: Lists) -> Iterable[Lost]:
    """Block storage of a server's name: taken into the state where its creation was cut off, else only told of."""
    known = state.ids(BLOCK)
    lost = [entry for entry in lists.blocks if entry["id"] not in known and _is_label(entry.get("label"), tag, state)]
    for entry in lost:
        label = entry["label"]
        witnesses = [block for block in state.creating(BLOCK) if block.inputs.get("label") == label]
        recorded = any(block.inputs.get("label") == label for block in state.of_type(BLOCK))
        alone = len([other for other in lost if other["label"] == label]) == 1
        cut_off = bool(witnesses) and not recorded and alone
        yield Lost(
            f"/blocks/{entry['id']}",
            f"block storage {label} of {entry.get('size_gb')} GB ({entry['id']})",
            "adopt" if cut_off else "leave",
            "its creation was cut off"
            if cut_off
            else "the state does not know it, and it may hold data; to delete it is for Vultr's portal",
            (witnesses[0].urn, entry) if cut_off else None,
        )


def _kind(address: Resource) -> tuple[object, object]:
    return address.inputs.get("label"), address.inputs.get("ipType")


def _domains(state: State, lists: Lists) -> Iterable[Lost]:
    """Zones whose creation is open. Another one that the next update finds taken may be anybody's: it says so then."""
    wanted = {str(resource.inputs.get("domain")) for resource in state.creating(DOMAIN)} - state.ids(DOMAIN)
    for entry in lists.domains:
        domain = entry["domain"]
        if domain not in wanted:
            continue
        more = [record for record in lists.records.get(domain, ()) if not _comes_with_a_zone(record)]
        signed = entry.get("dns_sec") == "enabled"
        why = f"it holds {len(more)} records that this stack did not make" if more else "it is signed (DNSSEC)"
        yield Lost(
            f"/domains/{domain}",
            f"zone {domain}",
            "ask" if more or signed else "remove",
            f"{why} (make adopt ZONE={domain} takes it over)"
            if more or signed
            else "it is empty, and the state does not know it",
        )


def _comes_with_a_zone(record: Entry) -> bool:
    """Whether Vultr makes it with each zone. Other name servers were written by somebody, for all of it or a part."""
    own = not record.get("name") and spelling.data(record.get("data"), {"type": "NS"}) in NAME_SERVERS
    return record.get("type") == "SOA" or (record.get("type") == "NS" and own)


def _records(state: State, lists: Lists) -> Iterable[Lost]:
    """Records that equal a recorded one, or one that was being created, in zones that the state owns."""
    known = state.ids(RECORD)
    ours = {
        (resource.inputs.get("domain"), *_record(resource.inputs))
        for resource in [*state.of_type(RECORD), *state.creating(RECORD)]
    }
    for zone in sorted(state.ids(DOMAIN)):
        for entry in lists.records.get(zone, ()):
            if entry["id"] not in known and (zone, *_record(entry)) in ours:
                yield Lost(
                    f"/domains/{zone}/records/{entry['id']}",
                    f"record {entry.get('name') or '@'} {entry.get('type')} {entry.get('data')} in {zone}",
                    "remove",
                    "it doubles one of this stack",
                )


def _rules(state: State, lists: Lists) -> Iterable[Lost]:
    known = {(resource.inputs.get("firewallGroupId"), resource.id) for resource in state.of_type(FIREWALL_RULE)}
    ours = {
        (resource.inputs.get("firewallGroupId"), *_rule(resource.inputs, "ipType", "subnetSize"))
        for resource in [*state.of_type(FIREWALL_RULE), *state.creating(FIREWALL_RULE)]
    }
    for group in sorted(state.ids(FIREWALL)):
        for entry in lists.rules.get(group, ()):
            if (group, str(entry["id"])) not in known and (group, *_rule(entry, "ip_type", "subnet_size")) in ours:
                yield Lost(
                    f"/firewalls/{group}/rules/{entry['id']}",
                    f"firewall rule {entry.get('protocol')} {entry.get('port') or ''} {entry.get('ip_type')}",
                    "remove",
                    "it doubles one of this stack",
                )


def _tagged(instances: Iterable[Entry], tag: str) -> list[Entry]:
    return [entry for entry in instances if tag in (entry.get("tags") or [entry.get("tag")])]


def _is_label(label: object, tag: str, state: State) -> bool:
    """Whether it is `<tag>-<server>` of a server that the state knows, or has heard of."""
    everything = [*state.resources, *(resource for _, resource in state.pending)]
    servers = {resource.name for resource in everything if resource.full_type.startswith("apiary:host:Server")}
    return label in {f"{tag}-{server}" for server in servers}


def _record(entry: Entry) -> tuple[Any, ...]:
    """What a record says, whichever way it is spelled."""
    beside = dict(entry)
    return (
        entry.get("type"), spelling.name(entry.get("name") or "", beside), spelling.data(entry.get("data"), beside),
        spelling.priority(entry.get("priority"), beside),
    )  # fmt: skip


def _rule(entry: Entry, family: str, size: str) -> tuple[Any, ...]:
    """Whom a rule lets in, whichever way it is spelled; `family`, `size`: what the entry calls them."""
    return (
        entry.get(family), entry.get("protocol"), str(entry.get("port") or ""), entry.get("source") or "",
        spelling.address(entry.get("subnet"), {}), int(entry.get(size) or 0),
    )  # fmt: skip


def adopted(exported: Mapping[str, Any], lost: Lost) -> dict[str, Any]:
    """The exported state with a lost object in it, as if its creation had been recorded.

    A refresh afterwards completes its outputs.
    """
    assert lost.adopt is not None  # noqa: S101 - only called for action "adopt"
    urn, entry = lost.adopt
    state = dict(exported)
    deployment = dict(state["deployment"])
    operations = list(deployment["pending_operations"])
    index = next(
        i for i, operation in enumerate(operations)
        if operation["type"] == "creating" and operation["resource"]["urn"] == urn
    )  # fmt: skip
    resource = dict(operations.pop(index)["resource"])
    resource["id"] = entry["id"]
    resource["outputs"] = {
        **resource["inputs"], "id": entry["id"],
        **(
            {"mountId": entry["mount_id"], "attachedToInstance": entry.get("attached_to_instance") or ""}
            if resource["type"] == BLOCK
            else {"subnet": entry["subnet"], "subnetSize": entry["subnet_size"],
                  "instanceId": entry.get("instance_id") or ""}
        ),
    }  # fmt: skip
    resource["outputs"].pop("__defaults", None)
    deployment["pending_operations"] = operations
    deployment["resources"] = [*deployment["resources"], resource]
    state["deployment"] = deployment
    return state
