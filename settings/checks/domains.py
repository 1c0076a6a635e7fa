"""Checks of domains: who lists them, who serves them."""

import re
from collections.abc import Iterator

from settings import texts
from settings.checks.common import Placed, placed
from settings.domains import enclosing_zone
from settings.draft import Draft
from settings.errors import Key, did_you_mean, show
from settings.models import Application, Dns


def check(draft: Draft) -> None:
    """Report domains listed or served twice, served but not listed, or in nobody's zone."""
    listed = _listed(draft)
    served: dict[str, str] = {}
    for one in placed(draft):
        domains = one.container.env.get("domains")
        at = (one.section, one.name, "env", "domains")
        if domains is None or domains == "all":
            continue
        if not isinstance(domains, list):
            draft.report("must be a list such as [example.com], or all for every domain", *at)
            continue
        for index, domain in enumerate(domains):
            _served_domain(draft, one, domain, (*at, index), listed=listed, served=served)
        if isinstance(one.container, Application):
            _http_port(draft, one.name, one.container)


def _listed(draft: Draft) -> dict[str, str]:
    """Check the names under every `dns`; return the server of each web domain."""
    seen: dict[str, str] = {}
    web: dict[str, str] = {}
    for kind, domain, at in _names(draft):
        _name(draft, domain, kind, at)
        if first := seen.get(domain):
            draft.report(f"{show(domain)} is listed at {first} already; leave one out", *at)
        seen.setdefault(domain, draft.written(*at))
        if kind == "web":
            web.setdefault(domain, str(at[1]))
    for server_name, server in draft.stack.servers.items():
        if server.dns.private and server.private_ip is None and draft.whole("servers", server_name, "private_ip"):
            at_private = ("servers", server_name, "dns", "private")
            draft.report("the server has no private address for these names; write private_ip as well", *at_private)
    for domain in web:
        if (shadow := seen.get(f"www.{domain}")) and ".web[" not in shadow:
            draft.problems_at(shadow, f'"www.{domain}" leads to the web domain {show(domain)} already; leave it out')
    return web


def _names(draft: Draft) -> Iterator[tuple[str, str, tuple[Key, ...]]]:
    """Yield every name under a `dns`: its kind (`own` for an application's), the name, where it stands."""
    for server_name, server in draft.stack.servers.items():
        for kind in Dns.model_fields:
            for index, name in enumerate(getattr(server.dns, kind)):
                yield kind, name, ("servers", server_name, "dns", kind, index)
    for app_name, app in draft.stack.applications.items():
        for index, name in enumerate(app.dns):
            yield "own", name, ("applications", app_name, "dns", index)


def _name(draft: Draft, domain: str, kind: str, at: tuple[Key, ...]) -> None:
    if kind == "web" and domain.startswith("www."):
        draft.report(f"{show(domain)}: www. is added by itself; write {show(domain[4:])}", *at)
    elif kind == "web" and len(domain) > 249:
        draft.report(f"{show(domain)} is too long for www. before it; a web domain has at most 249 characters", *at)
    elif enclosing_zone(domain, draft.names["zones"]) is None and draft.whole("zones"):
        draft.report(f"{show(domain)} is a public suffix, under which others register; write a domain of yours", *at)


def _served_domain(
    draft: Draft,
    one: Placed,
    domain: str,
    at: tuple[Key, ...],
    *,
    listed: dict[str, str],
    served: dict[str, str],
) -> None:
    if match := re.fullmatch(r"([^/]+)/(\d{1,5})", domain):
        draft.report(f"{show(domain)} holds a port; write {show(match[1])}, and http_port: {match[2]} beside it", *at)
        return
    try:
        texts.domain(domain)
    except ValueError as error:
        draft.report(str(error), *at)
        return
    if domain.startswith("www."):
        draft.report(f"{show(domain)}: www. is added by itself; write {show(domain[4:])}", *at)
        return
    if one.section != "applications":
        return
    if first := served.get(domain):
        draft.report(f"{show(domain)} is served by {first} already; leave one out", *at)
    served.setdefault(domain, draft.written("applications", one.name))
    if domain in listed:
        if one.server is not None and listed[domain] != one.server:
            message = f"{show(domain)} leads to {listed[domain]}, but this application runs on {one.server}"
            draft.report(f"{message}; move the domain or the application", *at)
    elif all(draft.whole("servers", name, "dns", "web") for name in draft.names["servers"]) and draft.names["servers"]:
        server = one.server or "NAME"
        remedy = did_you_mean(domain, listed)
        hint = f"{remedy[:-1]}, or add it there?" if remedy.startswith("did") else "add it there"
        draft.report(f"no server answers for {show(domain)}: it is not in servers.{server}.dns.web; {hint}", *at)


def _http_port(draft: Draft, name: str, app: Application) -> None:
    at = ("applications", name, "env", "http_port")
    if app.http_port is not None or not app.domains:
        return
    if "http_port" in app.env:
        draft.report("is not a port the proxy could ask; write a number from 1 to 65535, e.g. http_port: 8080", *at)
    elif draft.whole(*at):
        draft.report("missing; an application with domains says where it listens, e.g. http_port: 8080", *at)
