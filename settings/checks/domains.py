"""Checks of domains: who lists them, who serves them."""

from collections.abc import Iterator, Mapping

from settings import entries
from settings.checks.common import Placed, applications_on, led_to, placed, readable
from settings.domains import enclosing_zone, www_of
from settings.draft import Draft
from settings.errors import Key, did_you_mean, show
from settings.models import Application, Dns
from settings.order import gets_certificates
from settings.site import Site, Www


def check(draft: Draft) -> None:
    """Report domains listed or served twice, served but not listed, or in nobody's zone."""
    listed, said = _listed(draft), www_of(draft.stack)
    served: dict[str, str] = {}
    for one in placed(draft):
        domains = one.container.env.get("domains")
        if isinstance(one.container, Application) and not domains and one.container.site != Site():
            remedy = "write env.domains and http_port beside it, or leave it out"
            draft.report(f"it serves no domain; {remedy}", one.section, one.name, "site")
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
            _site(draft, one.name, one.container, said)
    _own_certificates(draft, listed)


def _listed(draft: Draft) -> dict[str, list[str]]:
    """Check the names under every `dns`; return the servers of each web domain: several where they are of the swarm."""
    seen: dict[str, str] = {}
    web: dict[str, list[str]] = {}
    for kind, domain, at in _names(draft):
        _name(draft, domain, kind, at)
        if (first := seen.get(domain)) and not (".dns.web[" in first and _shares(draft, at, web.get(domain, []))):
            draft.report(f"{show(domain)} is listed at {first} already; leave one out", *at)
        seen.setdefault(domain, draft.written(*at))
        if kind == "web":
            web.setdefault(domain, []).append(str(at[1]))
    for server_name, server in draft.stack.servers.items():
        if server.dns.private and server.private_ip is None and draft.whole("servers", server_name, "private_ip"):
            at_private = ("servers", server_name, "dns", "private")
            draft.report("the server has no private address for these names; write private_ip as well", *at_private)
    for domain in web:
        if (shadow := seen.get(f"www.{domain}")) and ".web[" not in shadow:
            draft.problems_at(shadow, f'"www.{domain}" leads to the web domain {show(domain)} already; leave it out')
    return web


def _shares(draft: Draft, at: tuple[Key, ...], others: list[str]) -> bool:
    """Whether a domain may lead to one more server: one of the swarm, as the others are."""
    together = [str(at[1]), *others]
    return (
        at[2:4] == ("dns", "web")
        and len(set(together)) == len(together)
        and all(draft.stack.servers[name].swarm is not None for name in together)
    )


def _names(draft: Draft) -> Iterator[tuple[str, str, tuple[Key, ...]]]:
    """Yield every name under a `dns`: its kind (`own` for an application's), the name, where it stands."""
    for server_name, server in draft.stack.servers.items():
        for kind in Dns.model_fields:
            for index, name in enumerate(getattr(server.dns, kind)):
                yield kind, name, ("servers", server_name, "dns", kind, index)
        for source in server.redirects:
            if "/" not in source:
                yield "web", source, ("servers", server_name, "redirects", source)
    for app_name, app in draft.stack.applications.items():
        for index, name in enumerate(app.dns):
            yield "own", name, ("applications", app_name, "dns", index)


def _name(draft: Draft, domain: str, kind: str, at: tuple[Key, ...]) -> None:
    if kind == "web" and domain.removeprefix(entries.WILDCARD).startswith("www."):
        draft.report(f"{show(domain)}: www. is added by itself; write {show(domain.replace('www.', '', 1))}", *at)
    elif kind == "web" and len(domain) > 249:
        draft.report(f"{show(domain)} is too long for www. before it; a web domain has at most 249 characters", *at)
    elif enclosing_zone(domain.removeprefix(entries.WILDCARD), draft.names["zones"]) is None and draft.whole("zones"):
        draft.report(f"{show(domain)} is a public suffix, under which others register; write a domain of yours", *at)


def _served_domain(
    draft: Draft,
    one: Placed,
    text: str,
    at: tuple[Key, ...],
    *,
    listed: dict[str, list[str]],
    served: dict[str, str],
) -> None:
    try:
        host = entries.check(text).host
    except ValueError as error:
        draft.report(str(error), *at)
        return
    if host.startswith("www."):
        draft.report(f"{show(text)}: www. is added by itself; write {show(text[4:])}", *at)
        return
    if one.section != "applications":
        return
    if first := served.get(text):
        draft.report(f"{show(text)} is served by {first} already; leave one out", *at)
    served.setdefault(text, draft.written("applications", one.name))
    if host in listed:
        _leads_here(draft, one, host, at, listed[host])
    elif all(draft.whole("servers", name, "dns", "web") for name in draft.names["servers"]) and draft.names["servers"]:
        server = one.server or "NAME"
        remedy = did_you_mean(host, listed)
        hint = f"{remedy[:-1]}, or add it there?" if remedy.startswith("did") else "add it there"
        draft.report(f"no server answers for {show(host)}: it is not in servers.{server}.dns.web; {hint}", *at)


def _leads_here(draft: Draft, one: Placed, host: str, at: tuple[Key, ...], servers: list[str]) -> None:
    """Report a domain that leads to a server which the application is not on."""
    if isinstance(one.container, Application) and one.container.is_replicated:
        for server in servers:
            if draft.stack.servers[server].swarm is None and draft.whole("servers", server, "swarm"):
                draft.report(
                    f"{show(host)} leads to {server}, which is no server of the swarm; write "
                    f"servers.{server}.swarm: worker, or list the domain at one that is",
                    *at,
                )
    elif one.server is not None and one.server not in servers:
        message = f"{show(host)} leads to {servers[0]}, but this application runs on {one.server}"
        draft.report(f"{message}; move the domain or the application", *at)
    elif one.server is not None and len(servers) > 1:
        draft.report(
            f"{show(host)} leads to {' and '.join(servers)}, but this application runs on {one.server} alone; write "
            "replicas in place of server, or list the domain at that server only",
            *at,
        )


def _site(draft: Draft, name: str, app: Application, said: Mapping[str, Www]) -> None:
    """Report what is said of a site and can't be for its domains, and passwords that nobody has set."""
    at = ("applications", name, "site")
    known = readable(app)
    if app.site.strip and known and not any(entry.below for _, entry in known):
        draft.report(
            "there is no path to take off; write one behind a domain, as in env.domains: "
            f"[{known[0][1].host}/{name}], or leave it out",
            *at, "strip",
        )  # fmt: skip
    for _, entry in known:
        says = said[entry.host]
        if entry.below and app.site.www != says and "www" in app.site.model_fields_set:
            draft.report(
                f"www of {show(entry.host)} is {says}, as its other applications say; write the same, or leave it out",
                *at, "www",
            )  # fmt: skip
    for user, secret in app.site.secret_names.items():
        if secret not in draft.names["secrets"] and draft.whole("secrets"):
            remedy = did_you_mean(secret, draft.names["secrets"], sign="_secrets^")
            draft.report(f"{show(secret)} is not a secret; {remedy}", *at, "password", user)
        elif why := _unusable(draft.stack.secrets.get(secret, "x")):
            draft.report(f"the secret {show(secret)} {why}; set another", *at, "password", user)


def _unusable(password: str) -> str | None:
    """Why nobody can log in with it; None when somebody can."""
    if not password or not password.isprintable():
        return "can't be typed: it is empty, or of more than one line"
    # As hasetup says too (images/HAProxySetup/hasetup/passwords.py).
    return "is of more than 256 bytes" if len(password.encode()) > 256 else None


def _own_certificates(draft: Draft, listed: dict[str, list[str]]) -> None:
    """Report names without a certificate: an authority gives none over http for those below a domain, and of a domain
    of several servers it asks any, so each has to have the job that answers it.
    """
    getting = {one.server for one in placed(draft) if gets_certificates(one.container)}
    setups = [one for one in placed(draft) if one.section == "jobs" and one.container.env.get("domains") == "all"]
    for server in draft.stack.servers:
        https = any(
            (port.host, port.proto) == (443, "tcp")
            for proxy in applications_on(draft, server).values()
            if proxy.ipv6_web
            for port in proxy.published
        )
        here = [one for one in setups if one.server in (server, None)]
        given = any(key.startswith("certificate_") for one in here for key in one.container.env)
        job = here[0].name if here else setups[0].name if setups else "hasetup"
        led = [(name, index, entry) for name, app in led_to(draft, server).items() for index, entry in readable(app)]
        for name, index, entry in led:
            if entry.is_wildcard and https and not given and draft.whole("jobs"):
                draft.report(
                    f"no authority gives a certificate for {show(entry.host)} over http; give your own: "
                    f"jobs.{job}.env: {{certificate_wildcard: _secrets^NAME}} (docs/certificates.md)",
                    "applications", name, "env", "domains", index,
                )  # fmt: skip
            elif getting & set(listed.get(entry.host, [])) and server not in getting and draft.whole("jobs"):
                draft.report(
                    f"{server} is one of several that {show(entry.host)} leads to, and an authority asks any of them, "
                    f"but no job of {server} gets certificates, and its proxy would answer wrongly; add one beside its "
                    f"HAProxySetup: {{server: {server}, build_dir: CertBot, env: {{domains: all, ...}}, ...}} "
                    "(docs/certificates.md), or list it at one server",
                    "applications", name, "env", "domains", index,
                )  # fmt: skip


def _http_port(draft: Draft, name: str, app: Application) -> None:
    at = ("applications", name, "env", "http_port")
    if app.http_port is not None or not app.domains:
        return
    if "http_port" in app.env:
        draft.report("is not a port the proxy could ask; write a number from 1 to 65535, e.g. http_port: 8080", *at)
    elif draft.whole(*at):
        draft.report("missing; an application with domains says where it listens, e.g. http_port: 8080", *at)
