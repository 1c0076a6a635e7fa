"""DNS domains and their records. A new domain has the provider's two NS records, as the real one's has.

Records are kept as the API reads them back: TXT in quotes, a priority of -1 where the type has none; the same record
may exist twice, but those of one name and type have one TTL. Answering queries is another
program's job, which reads the state file.
"""

import re
import uuid
from collections.abc import Iterable
from ipaddress import ip_address

from lab.api import fields
from lab.api.errors import INNER_QUOTE, ONE_QUOTE, OTHER_TTL, gone, refused
from lab.api.paging import page
from lab.api.region import JSON, Call, Region, Reply, Routes
from lab.api.store import now

_TYPES = ("A", "AAAA", "CNAME", "NS", "MX", "SRV", "TXT", "CAA", "SSHFP")
_LABEL = r"(?!-)[a-z0-9_-]{1,63}(?<!-)"
_DOMAIN = re.compile(rf"{_LABEL}(\.{_LABEL})+", re.IGNORECASE)
_NAME = re.compile(rf"(\*|{_LABEL})(\.{_LABEL})*", re.IGNORECASE)
_NAMESERVERS = ("ns1.vultr.com", "ns2.vultr.com")
_TTL = 300
_PRIORITIZED = ("MX", "SRV")
_NO_PRIORITY = -1


def _get(region: Region, call: Call) -> JSON:
    return region.store.get("domains", call.params["domain"].lower())


def _shown(name: str, domain: JSON) -> JSON:
    return {"domain": name, "date_created": domain["date_created"], "dns_sec": domain["dns_sec"]}


def _add(domain: JSON, type_: str, name: str, data: str, *, priority: int = _NO_PRIORITY, ttl: int = _TTL) -> JSON:
    record = {"id": str(uuid.uuid4()), "type": type_, "name": name, "data": data,
              "priority": priority, "ttl": ttl}  # fmt: skip
    domain["records"].append(record)
    return record


def _dns_sec(body: JSON, default: str) -> str:
    value = fields.text(body, "dns_sec") or default
    if value not in ("enabled", "disabled"):
        raise refused("Invalid dns_sec: must be enabled or disabled")
    return value


def create(region: Region, call: Call) -> Reply:
    """A new domain; with `ip` it starts with A, CNAME and MX records too."""
    name = fields.text(call.body, "domain", None).lower()
    if len(name) > 253 or not _DOMAIN.fullmatch(name):
        raise refused("Invalid domain name")
    if name in region.store.table("domains"):
        raise refused("Unable to create domain: Domain already exists")
    ip = fields.text(call.body, "ip")
    if ip:
        fields.address(ip, 6 if ":" in ip else 4)
    domain: JSON = {
        "date_created": now(), "dns_sec": _dns_sec(call.body, "disabled"), "records": [],
        "soa": {"nsprimary": _NAMESERVERS[0], "email": f"admin@{name}"},
    }  # fmt: skip
    for server in _NAMESERVERS:
        _add(domain, "NS", "", server)
    if ip:
        _add(domain, "AAAA" if ":" in ip else "A", "", ip)
        _add(domain, "CNAME", "*", name)
        _add(domain, "MX", "", name, priority=10)
    region.store.table("domains")[name] = domain
    return 200, {"domain": _shown(name, domain)}


def listing(region: Region, call: Call) -> Reply:
    """All domains."""
    domains = [_shown(name, domain) for name, domain in region.store.table("domains").items()]
    return 200, page(call.query, domains, "domains")


def read(region: Region, call: Call) -> Reply:
    """One domain."""
    domain = _get(region, call)
    return 200, {"domain": _shown(call.params["domain"].lower(), domain)}


def update(region: Region, call: Call) -> Reply:
    """Switch DNSSEC on or off."""
    domain = _get(region, call)
    domain["dns_sec"] = _dns_sec(call.body, domain["dns_sec"])
    return 204, None


def delete(region: Region, call: Call) -> Reply:
    """Remove a domain with all its records."""
    _get(region, call)
    del region.store.table("domains")[call.params["domain"].lower()]
    return 204, None


def soa(region: Region, call: Call) -> Reply:
    """Primary name server and contact."""
    return 200, {"dns_soa": _get(region, call)["soa"]}


def update_soa(region: Region, call: Call) -> Reply:
    """Change them."""
    current = _get(region, call)["soa"]
    current.update({name: fields.text(call.body, name, current[name]) for name in ("nsprimary", "email")})
    return 204, None


def dnssec(region: Region, call: Call) -> Reply:
    """DNSKEY and DS lines: none, the lab signs nothing."""
    _get(region, call)
    return 200, {"dns_sec": []}


def _check(type_: str, name: str, data: str, ttl: int, priority: int) -> None:
    if name and not _NAME.fullmatch(name):
        raise refused("Invalid record name")
    if not data:
        raise refused("Invalid record data: must not be empty")
    if type_ in ("A", "AAAA"):
        try:
            version = ip_address(data).version
        except ValueError as error:
            raise refused(f"Invalid record data: {data!r} is not an IP address") from error
        if version != (4 if type_ == "A" else 6):
            raise refused(f"Invalid record data: {data!r} is of the wrong address family")
    if type_ == "CNAME" and not name:
        raise refused("Invalid record: a CNAME can't be at the apex")
    if not 60 <= ttl <= 2147483647:
        raise refused("Invalid ttl: must be at least 60 seconds")
    if not _NO_PRIORITY <= priority <= 65535:
        raise refused("Invalid priority")


def _spelled(type_: str, data: str, priority: int) -> tuple[str, int]:
    """Data and priority as they are read back. ApiError 400 for quotes where the API allows none."""
    if type_ == "TXT":
        data = data.strip()
        if len(data) < 2 or data.startswith('"') != data.endswith('"'):
            if '"' in (data[:1], data[-1:]):
                raise refused(ONE_QUOTE)
        elif data.startswith('"'):
            data = data[1:-1]
        if '"' in data:
            raise refused(INNER_QUOTE)
        data = f'"{data}"'
    return data, max(0, priority) if type_ in _PRIORITIZED else _NO_PRIORITY


def _one_ttl(verb: str, others: Iterable[JSON], type_: str, name: str, ttl: int) -> None:
    """ApiError 400 for another TTL than those of the same name and type have."""
    for other in others:
        if (other["type"], other["name"].lower()) == (type_, name.lower()) and other["ttl"] != ttl:
            raise refused(OTHER_TTL.format(verb, ttl, other["ttl"]))


def create_record(region: Region, call: Call) -> Reply:
    """Add a record; the apex is the empty name."""
    domain, body = _get(region, call), call.body
    type_ = fields.text(body, "type", None).upper()
    if type_ not in _TYPES:
        raise refused(f"Invalid record type: must be one of {', '.join(_TYPES)}")
    name, data = fields.text(body, "name"), fields.text(body, "data", None)
    ttl, priority = fields.whole(body, "ttl", _TTL), fields.whole(body, "priority", 0)
    _check(type_, name, data, ttl, priority)
    data, priority = _spelled(type_, data, priority)
    _one_ttl("add", domain["records"], type_, name, ttl)
    return 201, {"record": _add(domain, type_, name, data, priority=priority, ttl=ttl)}


def records(region: Region, call: Call) -> Reply:
    """All records of a domain."""
    return 200, page(call.query, _get(region, call)["records"], "records")


def _record(region: Region, call: Call) -> JSON:
    for record in _get(region, call)["records"]:
        if record["id"] == call.params["record"]:
            found: JSON = record
            return found
    raise gone("records")


def read_record(region: Region, call: Call) -> Reply:
    """One record."""
    return 200, {"record": _record(region, call)}


def update_record(region: Region, call: Call) -> Reply:
    """Change name, data, ttl, priority."""
    record, body = _record(region, call), call.body
    name, data = fields.text(body, "name", record["name"]), fields.text(body, "data", record["data"])
    ttl = fields.whole(body, "ttl", record["ttl"])
    priority = fields.whole(body, "priority", record["priority"])
    _check(record["type"], name, data, ttl, priority)
    data, priority = _spelled(record["type"], data, priority)
    others = (other for other in _get(region, call)["records"] if other is not record)
    _one_ttl("update", others, record["type"], name, ttl)
    record.update(name=name, data=data, ttl=ttl, priority=priority)
    return 204, None


def delete_record(region: Region, call: Call) -> Reply:
    """Remove one record."""
    _get(region, call)["records"].remove(_record(region, call))
    return 204, None


ROUTES: Routes = [
    ("GET", "/v2/domains", listing),
    ("POST", "/v2/domains", create),
    ("GET", "/v2/domains/{domain}", read),
    ("PUT", "/v2/domains/{domain}", update),
    ("DELETE", "/v2/domains/{domain}", delete),
    ("GET", "/v2/domains/{domain}/soa", soa),
    ("PATCH", "/v2/domains/{domain}/soa", update_soa),
    ("GET", "/v2/domains/{domain}/dnssec", dnssec),
    ("GET", "/v2/domains/{domain}/records", records),
    ("POST", "/v2/domains/{domain}/records", create_record),
    ("GET", "/v2/domains/{domain}/records/{record}", read_record),
    ("PATCH", "/v2/domains/{domain}/records/{record}", update_record),
    ("DELETE", "/v2/domains/{domain}/records/{record}", delete_record),
]
