"""Checks of the records listed under `zones`: their data, and clashes with each other and with derived
records.
"""

from ipaddress import IPv6Address
from re import fullmatch

from settings import texts
from settings.domains import enclosing_zone, record_data
from settings.draft import Draft
from settings.errors import Key, show
from settings.models import Record


def check(draft: Draft) -> None:
    """Report records that can't be made, or can't stand beside one another."""
    derived = _derived(draft)
    for zone_name, zone in draft.stack.zones.items():
        kinds: dict[str, dict[str, str]] = {}  # name -> type -> first path
        seen: dict[tuple[str, str, str], str] = {}
        for index, record in enumerate(zone.records):
            at = ("zones", zone_name, "records", index)
            if not _usable(draft, zone_name, record, at) or not draft.whole(*at, "name"):
                continue  # without its name it would be taken for one of the zone itself
            key = (record.name, record.type, record_data(record))
            if first := seen.get(key):
                draft.report(f"the same record stands at {first}; leave one out", *at)
            seen.setdefault(key, draft.written(*at))
            kinds.setdefault(record.name, {}).setdefault(record.type, draft.written(*at))
            full = f"{record.name}.{zone_name}".lstrip(".")
            if full in derived and record.type in ("A", "AAAA", "CNAME"):
                message = f"{record.type} of {show(full)} follows from {derived[full]}; leave the record out"
                draft.report(message, *at)
            elif (nearer := enclosing_zone(full, draft.stack.zones)) != zone_name and record.type != "NS":
                draft.report(f"{show(full)} lies in the zone {show(nearer)}, which is listed too; write it there", *at)
        for name, types in kinds.items():
            if "CNAME" in types and (len(types) > 1 or _count(seen, name) > 1):
                draft.problems_at(
                    types["CNAME"], f"a CNAME stands alone, but {show(name)} has other records; leave one out"
                )


def _count(seen: dict[tuple[str, str, str], str], name: str) -> int:
    return sum(key[0] == name for key in seen)


def _derived(draft: Draft) -> dict[str, str]:
    """Return every name whose address records follow from a `dns`, and where it is listed."""
    found: dict[str, str] = {}
    for server_name, server in draft.stack.servers.items():
        dns = server.dns
        for kind, names in (("public", dns.public), ("private", dns.private), ("web", dns.web)):
            path = draft.written("servers", server_name, "dns", kind)
            for name in names:
                found.setdefault(name, path)
                if kind == "web":
                    found.setdefault(f"www.{name}", path)
    for app_name, app in draft.stack.applications.items():
        for name in app.dns:
            found.setdefault(name, draft.written("applications", app_name, "dns"))
    return found


def _usable(draft: Draft, zone: str, record: Record, at: tuple[Key, ...]) -> bool:
    before = len(draft.problems)
    if record.name == zone or record.name.endswith(f".{zone}"):
        short = record.name[: -len(zone)].rstrip(".")
        draft.report(f"{show(record.name)} repeats the zone; write {show(short)}", *at, "name")
    if record.type == "CNAME" and not record.name:
        draft.report("the zone's own name can't be a CNAME; write A and AAAA", *at, "type")
    if (record.type in ("MX", "SRV")) != (record.priority is not None) and draft.whole(*at, "priority"):
        need = "missing; write e.g. priority: 10" if record.priority is None else "is for MX and SRV only; leave it out"
        draft.report(need, *at, "priority")
    if problem := _data_problem(record.type, record.data.strip()):
        draft.report(problem, *at, "data")
    return len(draft.problems) == before


def _data_problem(kind: str, data: str) -> str | None:
    try:
        if kind in ("A", "AAAA"):
            texts.ip_text(data, 4 if kind == "A" else 6)
            if kind == "AAAA" and IPv6Address(data).ipv4_mapped:
                return f"{show(data)} is an IPv4 address in disguise; write a record of type A"
        elif kind in ("CNAME", "MX", "NS"):
            texts.domain(data.rstrip("."))
        elif kind == "SRV":
            match = fullmatch(r"(\d{1,5}) (\d{1,5}) (\S+)", data)
            if not match or int(match[1]) > 65535 or int(match[2]) > 65535:
                return f'{show(data)} is not SRV data; write weight, port, target: "5 5060 sip.example.com"'
            texts.domain(match[3].rstrip("."))
        elif kind == "CAA" and not fullmatch(r'(0|128) [a-z0-9]+ "[^"]*"', data):
            return f"{show(data)} is not CAA data; write e.g. '0 issue \"letsencrypt.org\"'"
    except ValueError as error:
        return str(error)
    return None
