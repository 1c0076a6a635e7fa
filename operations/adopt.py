"""Takes what exists in the account into the stack: zones with records, reserved addresses, block storage, the object
storage of the backups, the SSH key.

Shows first what is there and what the stack file would make of it; then imports what both have, so that the next update
changes instead of creating. Deletes only what it has listed as in the way, when that is agreed to by itself. Leaves
alone: what the stack file does not name, and the update.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field

from operations import adoption, recovery
from operations.account import Account
from operations.adoption import Comparison, Import, Planned, Record
from operations.cli import OperationError, Pulumi, say
from operations.state import BLOCK, DOMAIN, OBJECT_STORAGE, RECORD, RESERVED_IP, SSH_KEY, State


@dataclass(frozen=True)
class Wish:
    """What the caller asked for. `zones`: only these; `addresses`: `server=address or id`."""

    zones: Sequence[str] = ()
    addresses: Sequence[str] = ()
    yes: bool = False
    delete: bool = False


@dataclass
class Found:
    """What there is to take over, and what is in its way."""

    imports: list[Import] = field(default_factory=list)
    in_the_way: list[tuple[str, Record]] = field(default_factory=list)  # with the zone


def arguments(parser: argparse.ArgumentParser) -> None:
    """What the verb is told."""
    parser.add_argument("--zone", action="append", default=[], help="only this zone; may be said again")
    parser.add_argument("--address", action="append", default=[], metavar="SERVER=ADDRESS",
                          help="a reserved address that a server is to have")  # fmt: skip
    parser.add_argument("--yes", action="store_true", help="don't ask before the import")
    parser.add_argument("--delete", action="store_true", help="delete the records that are listed as in the way")


def adopt(pulumi: Pulumi, wish: Wish) -> None:
    """Import what the account has of the stack's plan. Raises OperationError with the step that could not be done."""
    with recovery.alone(pulumi):
        pulumi.select()
        state, plan = pulumi.export(), pulumi.preview()
        wanted, account = adoption.planned(plan), Account.of(pulumi)
        found = Found()
        _zones(wanted, account, State.of(state), wish, found)
        if not wish.zones:
            _addresses(wanted, account, wish, found)
            _blocks(wanted, account, found)
            _storage(pulumi, wanted, account, found)
            _keys(wanted, account, found)
        if not found.imports and not found.in_the_way:
            say("adopt: the account has nothing that this stack would create; nothing was changed")
            return
        recorded = [resource.urn for resource in State.of(state).resources if not resource.custom]
        plugin, within = adoption.plugin(plan, state), adoption.within(plan)
        _import(pulumi, adoption.import_file(found.imports, recorded, plugin, within), found, wish)
        _clear(account, found, wish)
        left = {step["urn"] for step in pulumi.preview().get("steps") or () if step["op"] == "create"}
        missed = sorted(entry.plan.name for entry in found.imports if entry.plan.urn in left)
        if missed:
            raise OperationError(f"the next update would still create what exists: {', '.join(missed)}")
        say(f"adopt: done; `pulumi preview --stack {pulumi.stack}` creates none of these, and shows what it changes")


def _zones(wanted: Sequence[Planned], account: Account, state: State, wish: Wish, found: Found) -> None:
    """Every zone of the stack that the account has, with the records that the state does not know."""
    held = {resource.id for resource in state.of_type(DOMAIN)}
    domains = {str(plan.inputs["domain"]): plan for plan in wanted if plan.type == DOMAIN}
    there = {str(entry["domain"]) for entry in account.list("/domains", "domains")}
    ours = sorted({*domains, *held})
    if unknown := sorted(set(wish.zones) - set(ours)):
        raise OperationError(f"{unknown[0]} is no zone of this stack; its zones: {', '.join(ours) or 'none'}")
    for zone in sorted(set(wish.zones or ours) & there):
        records = [p for p in wanted if p.type == RECORD and _name(p.parent) == zone]
        listed = account.list(f"/domains/{zone}/records", "records")
        there_already = [r for r in state.of_type(RECORD) if _name(r.parent) == zone]
        compared = adoption.compare(records, listed, [Record.of({**r.outputs, "id": r.id}) for r in there_already])
        if zone in domains:
            found.imports.append(Import(domains[zone], zone))
        elif not compared.matched and not compared.in_the_way:
            continue
        say("\n".join(adoption.report(zone, compared)))
        _take(zone, compared, found)


def _name(urn: str) -> str:
    """Of a record's component, which has the zone's name."""
    return urn.rsplit("::", 1)[-1]


def _take(zone: str, compared: Comparison, found: Found) -> None:
    found.imports += [Import(plan, f"{zone},{record.id}") for plan, record in compared.matched]
    found.in_the_way += [(zone, record) for record, _ in compared.in_the_way]


def _addresses(wanted: Sequence[Planned], account: Account, wish: Wish, found: Found) -> None:
    """Reserved addresses: those of this stack's own label, and those that the caller names for a server."""
    plans = {plan.name: plan for plan in wanted if plan.type == RESERVED_IP}
    named = dict(_pair(word, plans) for word in wish.addresses)
    if not plans:
        return
    there = account.list("/reserved-ips", "reserved_ips")
    for name, plan in sorted(plans.items()):
        like = [ip for ip in there if (ip["region"], ip["ip_type"]) == (plan.inputs["region"], plan.inputs["ipType"])]
        text = named.pop(name, None)
        chosen = [ip for ip in like if text in (ip["id"], ip["subnet"])] if text else []
        if text and not chosen:
            known = ", ".join(f"{ip['subnet']} ({ip.get('label') or 'no label'})" for ip in like) or "none"
            where = f"{plan.inputs['ipType']} address of region {plan.inputs['region']}"
            raise OperationError(f"{text} is no reserved {where}; the account has: {known}")
        chosen = chosen or [ip for ip in like if ip.get("label") == plan.inputs.get("label")]
        if len(chosen) == 1:
            _take_address(name, plan, chosen[0], found)
        elif like:
            say(f"server {name}: a new address would be reserved. The account has in {plan.inputs['region']}:")
            for ip in like:
                use = f", attached to instance {ip['instance_id']}" if ip.get("instance_id") else ""
                whose = f"{ip.get('label') or 'no label'}{use}"
                say(f"  {ip['subnet']} ({whose}): take it by ADDRESS={name}={ip['subnet']}")


def _take_address(name: str, plan: Planned, ip: dict[str, str], found: Found) -> None:
    say(f"server {name}\n  kept        reserved address {ip['subnet']} ({ip.get('label') or 'no label'})")
    if ip.get("instance_id"):
        say(
            f"  it is attached to instance {ip['instance_id']}, which has to go before the update: `make retire` saves "
            "a server of a lost state and deletes it; from any other one, detach it in Vultr's portal"
        )
    found.imports.append(Import(plan, ip["id"]))


def _pair(word: str, plans: dict[str, Planned]) -> tuple[str, str]:
    name, equals, address = word.partition("=")
    if not equals or name not in plans:
        known = ", ".join(sorted(plans)) or "none: the state has an address for each"
        raise OperationError(f"{word!r} is not SERVER=ADDRESS for a server without an address yet; there are: {known}")
    return name, address


def _blocks(wanted: Sequence[Planned], account: Account, found: Found) -> None:
    """Block storage of a server's label, from a state that was lost: another one would be empty."""
    plans = [plan for plan in wanted if plan.type == BLOCK]
    there = account.list("/blocks", "blocks") if plans else []
    for plan in plans:
        where = (plan.inputs["label"], plan.inputs["region"])
        like = [block for block in there if (block["label"], block["region"]) == where]
        if len(like) > 1:
            known = ", ".join(f"{block['id']} ({block['size_gb']} GB)" for block in like)
            raise OperationError(
                f"server {plan.name}: the account has {len(like)} block storages of its label, {known}; give those "
                "that are not the one another label in Vultr's portal, and say it again"
            )
        for block in like:
            holder = block.get("attached_to_instance")
            use = f", attached to instance {holder}, from which the update takes it" if holder else ""
            say(f"server {plan.name}\n  kept        block storage of {block['size_gb']} GB, {block['id']}{use}")
            found.imports.append(Import(plan, str(block["id"])))


def _storage(pulumi: Pulumi, wanted: Sequence[Planned], account: Account, found: Found) -> None:
    """The object storage of the backups, from a state that was lost: in another one there would be none of them.

    Raises OperationError where it can't be found though the stack file names the password of what was saved.
    """
    for plan in (plan for plan in wanted if plan.type == OBJECT_STORAGE):
        label, there = plan.inputs["label"], account.list("/object-storage", "object_storages")
        like = [one for one in there if one["label"] == label]
        if len(like) == 1:
            say(f"backups\n  kept        object storage {like[0]['id']} ({label})")
            found.imports.append(Import(plan, str(like[0]["id"])))
            continue
        known = ", ".join(f"{one['id']} ({one.get('label') or 'no label'})" for one in there) or "none"
        told = json.loads(pulumi.setting(f"{pulumi.project}:backups") or "{}")
        if like or "password" in told:
            raise OperationError(
                f"the backups are in the object storage with the label {label}, and the account has {len(like)} of it; "
                f"all it has: {known}. Nothing was changed. Give the right one, and no other, that label in Vultr's "
                "portal, and say it again; where it is gone for good, take `password` out of backups, and pulumi up "
                "makes an empty one"
            )
        say(f"backups: a new object storage would be rented, with nothing in it. The account has: {known}")


def _keys(wanted: Sequence[Planned], account: Account, found: Found) -> None:
    """The SSH key of this stack's name, from a state that was lost: the update puts the new public key into it."""
    for plan in (plan for plan in wanted if plan.type == SSH_KEY):
        like = [key for key in account.list("/ssh-keys", "ssh_keys") if key["name"] == plan.inputs["name"]]
        if len(like) == 1:
            say(f"SSH key {plan.inputs['name']}\n  changed     its public key, for the one of this state")
            found.imports.append(Import(plan, str(like[0]["id"])))


def _import(pulumi: Pulumi, file: dict[str, object], found: Found, wish: Wish) -> None:
    if not found.imports:
        return
    question = f"Import these {len(found.imports)} into the state of stack {pulumi.stack}? Nothing at Vultr changes."
    agree(question, wish.yes)
    path = pulumi.folder / "adopt.json"
    path.write_text(json.dumps(file, indent=1) + "\n")
    options = ("--yes", "--skip-preview", "--protect=false", "--generate-code=false", "--suppress-outputs")
    try:
        pulumi.run("import", "--file", str(path), *options)
    finally:
        path.unlink()


def _clear(account: Account, found: Found, wish: Wish) -> None:
    """Delete what is in the way, one agreement for all of it: it was listed with its reasons."""
    if not found.in_the_way:
        return
    listed = "\n".join(f"  {zone}: {record}" for zone, record in found.in_the_way)
    if not wish.delete:
        if not sys.stdin.isatty():
            say(f"adopt: in the way, and left as they are (DELETE=1 deletes these at Vultr):\n{listed}")
            return
        print(f"In the way of the update:\n{listed}")
        if input("Delete these at Vultr? Type `delete`: ").strip() != "delete":
            say("adopt: left as they are")
            return
    for zone, record in found.in_the_way:
        account.delete(f"/domains/{zone}/records/{record.id}")
        say(f"adopt: deleted {zone}: {record}")


def agree(question: str, yes: bool) -> None:
    """Ask; raises OperationError where the answer is no, or nobody is there to give one."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise OperationError("there is no terminal to ask on, and nothing was changed; to agree beforehand: YES=1")
    if input(f"{question} [y/N] ").strip().lower() not in ("y", "yes"):
        raise OperationError("not confirmed; nothing was changed")
