"""Checks of the records listed under `zones`: their data, and clashes with each other and with derived
records.
"""

from collections import Counter
from ipaddress import IPv6Address
from re import ASCII, fullmatch

from settings import texts
from settings.domains import (
    PROVIDER_NAMESERVERS,
    PROVIDER_TTL,
    QUOTE,
    bare_only,
    enclosing_zone,
    record_data,
    txt,
)
from settings.draft import Draft
from settings.errors import Key, show
from settings.models import Record, Zone

# Hexadecimal digits of a fingerprint by its type (RFC 4255, 6594), and the keys there are (RFC 4255 to 8709).
_FINGERPRINTS = {"1": 40, "2": 64}
_KEYS = ("1", "2", "3", "4", "6")


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
        _lifetimes(draft, zone_name, zone)
        _nowhere(draft, zone_name, zone)
        for name, types in kinds.items():
            if "CNAME" in types and (len(types) > 1 or _count(seen, name) > 1):
                draft.problems_at(
                    types["CNAME"], f"a CNAME stands alone, but {show(name)} has other records; leave one out"
                )


def _lifetimes(draft: Draft, zone_name: str, zone: Zone) -> None:
    """Report records of one name and type that would live for different times: the API takes no such record."""
    first: dict[tuple[str, str], tuple[int, str]] = {("", "NS"): (PROVIDER_TTL, "the provider's own name servers")}
    for index, record in enumerate(zone.records):
        at = ("zones", zone_name, "records", index)
        if not draft.whole(*at) or not draft.whole("zones", zone_name, "ttl"):
            continue
        ttl = zone.ttl if record.ttl is None else record.ttl
        wanted, where = first.setdefault((record.name, record.type), (ttl, draft.written(*at)))
        if ttl != wanted:
            message = f"records of one name and type have one lifetime, and {where} has ttl: {wanted} (seconds)"
            draft.report(f"{message}; write the same here, not {ttl}", *at, "ttl")


def _nowhere(draft: Draft, zone_name: str, zone: Zone) -> None:
    """Report what says that there is no server, beside one that says where it is (RFC 7505, 2782)."""
    many = Counter((record.name, record.type) for record in zone.records)
    for index, record in enumerate(zone.records):
        is_alone = many[record.name, record.type] == 1
        if record.type in ("MX", "SRV") and record.data.split()[-1:] == ["."] and not is_alone:
            message = (
                f'"." says that there is no server, and {show(record.name)} has other records of type {record.type}'
            )
            draft.report(f"{message}; leave one out", "zones", zone_name, "records", index, "data")


def _count(seen: dict[tuple[str, str, str], str], name: str) -> int:
    return sum(key[0] == name for key in seen)


def _derived(draft: Draft) -> dict[str, str]:
    """Return every name whose address records follow from a `dns`, and where it is listed."""
    found: dict[str, str] = {}
    bare = bare_only(draft.stack)
    for server_name, server in draft.stack.servers.items():
        dns = server.dns
        for kind, names in (("public", dns.public), ("private", dns.private), ("web", dns.web)):
            path = draft.written("servers", server_name, "dns", kind)
            for name in names:
                found.setdefault(name, path)
                if kind == "web" and name not in bare:
                    found.setdefault(f"www.{name}", path)
        path = draft.written("servers", server_name, "redirects")
        for one in server.parsed_redirects:
            if not one.path:
                found.setdefault(one.host, path)
                found.setdefault(f"www.{one.host}", path)
    for app_name, app in draft.stack.applications.items():
        for name in app.dns:
            found.setdefault(name, draft.written("applications", app_name, "dns"))
    return found


def _usable(draft: Draft, zone: str, record: Record, at: tuple[Key, ...]) -> bool:
    before = len(draft.problems)
    if record.name == zone or record.name.endswith(f".{zone}"):
        short = record.name[: -len(zone)].rstrip(".")
        draft.report(f"{show(record.name)} repeats the zone; write {show(short)}", *at, "name")
    if record.type == "CNAME" and not record.name and draft.whole(*at, "name"):
        draft.report("the zone's own name can't be a CNAME; write A and AAAA", *at, "type")
    if (record.type in ("MX", "SRV")) != (record.priority is not None) and draft.whole(*at, "priority"):
        need = "missing; write e.g. priority: 10" if record.priority is None else "is for MX and SRV only; leave it out"
        draft.report(need, *at, "priority")
    if record.type == "NS" and not record.name and record.data.strip().rstrip(".") in PROVIDER_NAMESERVERS:
        draft.report("the zone has this name server by itself; leave the record out", *at)
    if problem := _data_problem(record.type, record.data):
        draft.report(problem, *at, "data")
    return len(draft.problems) == before


def _data_problem(kind: str, written: str) -> str | None:  # noqa: PLR0911 - one a type
    data = written.strip()
    try:
        match kind:
            case "A" | "AAAA":
                texts.ip_text(data, 4 if kind == "A" else 6)
                if kind == "AAAA" and IPv6Address(data).ipv4_mapped:
                    return f"{show(data)} is an IPv4 address in disguise; write a record of type A"
            case "CNAME":
                texts.name_target(data)
            case "NS":
                texts.host_target(data)
            case "MX" if data != ".":
                texts.host_target(data)
            case "SRV":
                return _srv_problem(data)
            case "CAA":
                return _caa_problem(data)
            case "SSHFP":
                return _sshfp_problem(data)
            case "TXT" if not written.isascii():
                return "holds a character beyond ASCII, and DNS does not say how that is spelled; write plain letters"
            case "TXT" if QUOTE in txt(written):
                return _quotes_problem(written)
    except ValueError as error:
        return str(error)
    return None


def _srv_problem(data: str) -> str | None:
    match = fullmatch(r"(\d{1,5}) +(\d{1,5}) +(\S+)", data, ASCII)
    if not match or int(match[1]) > 65535 or int(match[2]) > 65535:
        return f'{show(data)} is not SRV data; write weight, port, target: "5 5060 sip.example.com"'
    if match[3] != ".":
        texts.name_target(match[3])
    return None


def _caa_problem(data: str) -> str | None:
    match = fullmatch(r'(?:0|128) +[a-z0-9]+ +(?:"([^"]*)"|([^"\s]+))', data, ASCII)
    if not match:
        return f"{show(data)} is not CAA data; write e.g. '0 issue \"letsencrypt.org\"'"
    value = match[1] if match[2] is None else match[2]
    if any(char.isspace() for char in value):
        bare = "".join(value.split())
        return f"{show(value)} holds blanks, which the API does not take; they mean nothing there, write {show(bare)}"
    return None


def _sshfp_problem(data: str) -> str | None:
    words = data.split()
    if len(words) == 3 and words[0] in _KEYS and words[1] in _FINGERPRINTS:
        if fullmatch(rf"[0-9A-Fa-f]{{{_FINGERPRINTS[words[1]]}}}", words[2]):
            return None
        return f"{show(words[2])} is no fingerprint of type {words[1]}, {_FINGERPRINTS[words[1]]} hexadecimal digits"
    return f'{show(data)} is not SSHFP data; write what `ssh-keygen -r NAME` prints behind "SSHFP"'


def _quotes_problem(written: str) -> str:
    """The API refuses quotes but one pair around the whole, and a backslash escapes none."""
    joined = fullmatch(r'\s*"[^"]*"(?:\s+"[^"]*")+\s*', written)
    if joined:
        return "is several texts in quotes; write one, without them: it is cut where it has to be by itself"
    return "holds a quote, which the API does not take in a TXT record; take it out"
