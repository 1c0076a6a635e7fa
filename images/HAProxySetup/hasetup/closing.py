"""What the next configuration closes, closed in the one that serves. Pure.

Comes before the releases that the next one belongs to. Who visits an application then passes what serves and what is
wanted, the stricter of both; what leads to it stays as it is, until what is wanted is there: what opens has to wait.
An application is known by its name, since by that the proxy finds its containers, those of the next release too.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

from hasetup.domains import Domain
from hasetup.made import Made
from hasetup.site import Site

NO_ADDRESS = "0.0.0.0/32"  # that a visitor has
# Who has it, none that the next configuration knows, is let in by no password: what no text has as its hash.
NO_USER, NO_PASSWORD = "nobody", f"$6$nobody${'.' * 86}"


def closed(serving: Made, wanted: Made) -> Made:
    """What serves, without what the next one closes; the same where it closes nothing."""
    next_sites = {domain.app: domain.site for domain in wanted.domains if domain.app}
    domains: list[Domain] = []
    passwords: dict[str, dict[str, str]] = {}
    for domain in serving.domains:
        if domain.app not in next_sites:  # it gets no release that visitors are led to
            domains.append(domain)
            if domain.site.password:
                passwords[domain.app] = dict(serving.passwords[domain.app])
            continue
        site = next_sites[domain.app]
        hashes = _users(serving.passwords.get(domain.app, {}), wanted.passwords.get(domain.app, {}))
        if hashes:
            passwords[domain.app] = hashes
        strict = replace(_stricter(domain.site, site), password=tuple(hashes))
        if any(_is_within(other, domain) for other in wanted.domains):
            domains.append(replace(domain, site=strict))
        elif domain.redirects:  # those of its host, which others may have as well
            domains.append(replace(domain, app="", port=0, site=Site(www=domain.site.www)))
    metrics = _common(serving.metrics_from, wanted.metrics_from)
    return replace(serving, domains=tuple(domains), metrics_from=metrics, passwords=passwords)


def _stricter(one: Site, other: Site) -> Site:
    """The first one, for those alone who may come by both."""
    return replace(
        one,
        allow_from=_of_both(one.allow_from, other.allow_from),
        trusted_proxies=_trusted(one, other),
        rate_limit=min(
            (limit for limit in (one.rate_limit, other.rate_limit) if limit),
            key=lambda limit: (limit[0] / limit[1], limit),
            default=None,
        ),
        body_limit=min((limit for limit in (one.body_limit, other.body_limit) if limit is not None), default=None),
    )


def _of_both(one: Sequence[str], other: Sequence[str]) -> tuple[str, ...]:
    """Those who may come by both lists, of which an empty one means everybody."""
    if not one or not other:
        return tuple(one or other)
    return _common(one, other) or (NO_ADDRESS,)


def _common(one: Sequence[str], other: Sequence[str]) -> tuple[str, ...]:
    """The networks that are in both, none if there are none."""
    if tuple(one) == tuple(other):
        return tuple(one)
    found = set()
    for mine in map(ipaddress.ip_network, one):
        for theirs in map(ipaddress.ip_network, other):
            if mine.version == theirs.version and mine.overlaps(theirs):
                found.add(str(max(mine, theirs, key=lambda network: network.prefixlen)))
    return tuple(sorted(found))


def _trusted(one: Site, other: Site) -> tuple[str, ...]:
    """Who is believed about a visitor's address: whom that one believes which asks for it, both where both do."""
    asks, other_asks = (bool(site.allow_from or site.rate_limit) for site in (one, other))
    if asks and other_asks:
        return _common(one.trusted_proxies, other.trusted_proxies)
    return other.trusted_proxies if other_asks else one.trusted_proxies


def _users(one: Mapping[str, str], other: Mapping[str, str]) -> dict[str, str]:
    """Those who may come by both, with their next passwords: one that is changed is changed because it is known."""
    if not one or not other:
        return dict(one or other)
    return {user: other[user] for user in one if user in other} or {NO_USER: NO_PASSWORD}


def _is_within(other: Domain, domain: Domain) -> bool:
    """Whether something is still served, or leads elsewhere, at this address or below it."""
    name = other.name == domain.name or (
        domain.is_wildcard and re.fullmatch(rf"[^.]+{re.escape(domain.name[1:])}", other.name)
    )
    return bool(name) and f"{other.below}/".startswith(f"{domain.below}/")
