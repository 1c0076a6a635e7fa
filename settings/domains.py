"""What follows from domains: zones, DNS records, the proxy's map.

Makes: pure functions of a checked `Stack`. Leaves alone: whether a domain may stand where it stands
(`checks.domains`), and making anything (the components do).
"""

from collections.abc import Container, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal, NotRequired, TypedDict

from publicsuffixlist import PublicSuffixList

from settings.entries import WILDCARD, Entry, Visited
from settings.entries import parse as parse_entry
from settings.models import Application, Record, Stack, Zone
from settings.site import Told, Www
from settings.texts import ip_text

QUOTE = '"'
PROVIDER_TTL = 300  # seconds, of the records that the provider puts into a new zone: its name servers
PROVIDER_NAMESERVERS = ("ns1.vultr.com", "ns2.vultr.com")

# Containers that the proxy knows of one application (images/HAProxySetup/hasetup/config.py), and those beside replicas:
# the new one of a release, and those of a server that has just died.
USUAL_SLOTS, SPARE_SLOTS = 8, 8

Source = Literal["ipv4", "host_ipv6", "web_ipv6", "own_ipv6", "private_ip", "literal"]


class Route(TypedDict):
    """How the proxy reaches one domain's application."""

    app: str
    port: int
    path: str  # of the health check
    status: str  # which statuses count as healthy there: `200-399,401`
    www: bool  # whether www. leads here too
    tls: bool  # whether it is served over https
    site: NotRequired[Told]  # what the proxy does for its visitors, where that is not the usual
    visited: NotRequired[Visited]  # what visitors are asked for, where that is not `path`
    slots: NotRequired[int]  # how many containers of it there may be at a time, where that is more than the usual


class Moved(TypedDict):
    """Where a domain, or some of its paths, lead."""

    www: bool  # whether www. leads there too
    tls: bool  # whether it answers over https
    redirects: dict[str, str]  # path -> URL or path; "" is the whole domain


@dataclass(frozen=True)
class RecordPlan:
    """A DNS record to make. `data` is its text where the stack file knows it, else None and `source` says
    whose.
    """

    zone: str
    name: str  # within the zone; "" is the apex
    type: str
    source: Source
    ttl: int  # seconds
    priority: int | None = None  # MX and SRV only
    data: str | None = None
    application: str | None = None  # whose own address, with `own_ipv6`


@lru_cache(maxsize=1)
def _suffixes() -> PublicSuffixList:
    return PublicSuffixList()


def registrable(domain: str) -> str | None:
    """Return the domain one can register (`a.b.example.co.uk` -> `example.co.uk`); None for a public suffix
    itself.

    The list's private part counts: names under `github.io` belong to different people.
    """
    return _suffixes().privatesuffix(domain)


def enclosing_zone(domain: str, listed: Container[str]) -> str | None:
    """Return a domain's zone: the longest of the listed zones it lies in, else its registrable domain."""
    labels = domain.split(".")
    within = (".".join(labels[first:]) for first in range(len(labels)))
    return next((zone for zone in within if zone in listed), None) or registrable(domain)


def zone_for(stack: Stack, domain: str) -> tuple[str, str]:
    """Return (zone, record name) of a domain; the apex is `""`. ValueError for a public suffix."""
    zone = enclosing_zone(domain, stack.zones)
    if zone is None:
        raise ValueError(f"{domain} is a public suffix; nobody can hold its zone")
    return zone, domain[: -len(zone)].rstrip(".")


def zones_of(stack: Stack) -> dict[str, Zone]:
    """Return every zone, listed or derived, by name and sorted, with its settings."""
    names = set(stack.zones) | {
        zone_for(stack, name)[0] for server in stack.servers for name in names_on(stack, server)
    }
    return {name: stack.zones.get(name, Zone()) for name in sorted(names)}


def names_on(stack: Stack, server: str) -> list[str]:
    """Return every name that leads to a server or to an application's own address on it, `www.` aside."""
    dns = stack.servers[server].dns
    own = [name for app in stack.applications_on(server).values() for name in app.dns]
    return [*dns.public, *dns.private, *stack.servers[server].web_domains, *own]


def bare_only(stack: Stack) -> set[str]:
    """Return the domains of which there is no `www.` name; wildcards are among them."""
    served = {entry.host for app in stack.applications.values() for entry in app.entries}
    listed = {domain for server in stack.servers.values() for domain in server.dns.web}
    said = www_of(stack)
    return {host for host in served | listed if host.startswith(WILDCARD) or said.get(host) == "none"}


def www_of(stack: Stack) -> dict[str, Www]:
    """Return what becomes of each served domain's `www.`: as the application says that serves all of it; where there
    is none, the first one that serves a part. Of a domain that nobody serves it is `bare`.
    """
    whole: dict[str, Www] = {}
    parts: dict[str, Www] = {}
    for app in stack.applications.values():
        for entry in app.entries:
            (parts if entry.below else whole).setdefault(entry.host, app.site.www)
    return {**parts, **whole}


def dns_records(stack: Stack, server: str, *, even_drained: bool = False) -> list[RecordPlan]:
    """Return a server's DNS records, in a stable order; with `even_drained` those too that it lacks meanwhile.

    The records of `zones` belong to the first server with a name in the zone (else to the first server), so
    that the lists of all servers together hold every record once.
    """
    dns = stack.servers[server].dns
    is_nat = stack.servers[server].ipv6.is_nat
    own: Source = "host_ipv6" if is_nat else "own_ipv6"
    bare = bare_only(stack)
    plans = [
        *(_derived(stack, name, kind, source) for name in dns.public for kind, source in _HOST),
        *(
            _derived(stack, name, kind, source)
            for domain in stack.servers[server].web_domains
            if even_drained or not stack.servers[server].drain
            for name in (domain, *([] if domain in bare else [f"www.{domain}"]))
            for kind, source in (_HOST if is_nat else _WEB)
        ),
        *(_derived(stack, name, "A", "private_ip", data=stack.servers[server].private_ip) for name in dns.private),
    ]
    for app_name, app in stack.applications_on(server).items():
        for name in app.dns:
            plans.append(replace(_derived(stack, name, "AAAA", own), application=None if is_nat else app_name))
            if app.ports:
                plans.append(_derived(stack, name, "A", "ipv4"))
    owners = _owners(stack)
    for name, zone in stack.zones.items():
        if owners.get(name, next(iter(stack.servers))) == server:
            plans += [_listed(name, zone, record) for record in zone.records]
    return plans


def reverse_names(stack: Stack) -> dict[str, str]:
    """Return the reverse name of every application's own public IPv6 address: the first of its names."""
    return {
        name: app.dns[0]
        for name, app in stack.applications.items()
        if app.dns and not stack.servers[stack.server_of(app)].ipv6.is_nat
    }


_HOST: tuple[tuple[str, Source], ...] = (("A", "ipv4"), ("AAAA", "host_ipv6"))
_WEB: tuple[tuple[str, Source], ...] = (("A", "ipv4"), ("AAAA", "web_ipv6"))


def _derived(stack: Stack, domain: str, kind: str, source: Source, *, data: str | None = None) -> RecordPlan:
    zone, name = zone_for(stack, domain)
    return RecordPlan(zone, name, kind, source, stack.zones.get(zone, Zone()).ttl, data=data)


def _listed(zone_name: str, zone: Zone, record: Record) -> RecordPlan:
    ttl = zone.ttl if record.ttl is None else record.ttl
    return RecordPlan(zone_name, record.name, record.type, "literal", ttl, record.priority, record_data(record))


def _owners(stack: Stack) -> dict[str, str]:
    """Return the first server with a name in each zone, of those where there is one."""
    found: dict[str, str] = {}
    for server in stack.servers:
        for name in names_on(stack, server):
            found.setdefault(zone_for(stack, name)[0], server)
    return found


def record_data(record: Record) -> str:
    """Spell a record's data as the API stores it, so that a read is no change.

    TXT stands in quotes and holds none (the API adds them, and takes a backslash for itself); addresses are
    canonical; names have no final dot but the root, which is `.` (DNSControl's provider for Vultr, 2026-07).
    """
    data = record.data
    if record.type == "TXT":
        return f'"{txt(data)}"'
    data = data.strip()
    if record.type in ("A", "AAAA"):
        return ip_text(data, 4 if record.type == "A" else 6)
    if record.type == "CAA":
        flags, tag, value = data.split(None, 2)
        return f'{flags} {tag} "{value.strip(QUOTE)}"'
    if record.type == "SSHFP":
        return " ".join(data.lower().split())
    if record.type == "SRV":
        weight, port, target = data.split()
        return f"{int(weight)} {int(port)} {_without_dot(target)}"
    return _without_dot(data)


def txt(data: str) -> str:
    """Return the text of a TXT record: what is written, or what is written between one pair of outer quotes."""
    outer = data.strip()
    return outer[1:-1] if len(outer) > 1 and outer[0] == outer[-1] == QUOTE else data


def _without_dot(target: str) -> str:
    return target if target == "." else target.removesuffix(".")


def domains_map(stack: Stack, server: str) -> dict[str, Route]:
    """Return what a server's proxy needs of every domain served on it, sorted by domain."""
    tls = serves_https(stack, server)
    said, routes = www_of(stack), dict[str, Route]()
    web = set(stack.servers[server].dns.web)
    for name, app in stack.led_to(server).items():
        for domain, entry in zip(app.domains, app.entries, strict=True):
            if app.http_port is not None and (entry.host in web or not app.is_replicated):
                routes[domain] = _route(said, name, app, entry, app.http_port, tls=tls)
    return dict(sorted(routes.items()))


def _route(said: Mapping[str, Www], name: str, app: Application, entry: Entry, port: int, *, tls: bool) -> Route:
    path, status = app.health.path, app.health.status
    www: Www = "none" if entry.is_wildcard else said[entry.host]
    route = Route(app=name, port=port, path=path, status=status, www=www != "none", tls=tls)
    if told := app.site.model_copy(update={"www": www}).told:
        route["site"] = told
    if visited := entry.visited(path, strip=app.site.strip):
        route["visited"] = visited
    if app.replicas is not None and (slots := app.replicas + SPARE_SLOTS) > USUAL_SLOTS:
        route["slots"] = slots
    return route


def redirects_map(stack: Stack, server: str) -> dict[str, Moved]:
    """Return what leads elsewhere on a server, by domain, sorted."""
    tls, moved = serves_https(stack, server), dict[str, Moved]()
    for one in stack.servers[server].parsed_redirects:
        moved.setdefault(one.host, Moved(www=True, tls=tls, redirects={}))["redirects"][one.path] = one.to
    return dict(sorted(moved.items()))


def proxy_map(stack: Stack, server: str) -> dict[str, dict[str, object]]:
    """Return all that a server's proxy needs: the domains that are served, and those that lead elsewhere."""
    served: dict[str, dict[str, object]] = {domain: {**route} for domain, route in domains_map(stack, server).items()}
    firsts = {parse_entry(key).host: key for key in reversed(served)}
    for domain, moved in redirects_map(stack, server).items():
        # Of a domain of which only parts are served, with the first of them.
        key = firsts.get(domain, domain)
        served[key] = {**moved, **served.get(key, {})}
    return dict(sorted(served.items()))


def serves_https(stack: Stack, server: str) -> bool:
    """Whether the proxy of a server, the application with `ipv6_web`, publishes port 443."""
    return any(
        (port.host, port.proto) == (443, "tcp")
        for app in stack.applications_on(server).values()
        if app.ipv6_web
        for port in app.published
    )


def shared(stack: Stack, server: str) -> dict[str, list[str]]:
    """Return the domains of a server that lead to others too, sorted, with those; whoever is being emptied is none."""
    others = {name: set(there.dns.web) for name, there in stack.servers.items() if name != server and not there.drain}
    found = {
        domain: [name for name, web in others.items() if domain in web] for domain in stack.servers[server].dns.web
    }
    return {domain: found[domain] for domain in sorted(found) if found[domain]}


def zones_served(stack: Stack, server: str) -> set[str]:
    """Return the zones whose records visitors of a server's sites need."""
    return {zone_for(stack, parse_entry(domain).host)[0] for domain in proxy_map(stack, server)}
