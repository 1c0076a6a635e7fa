"""Checks of what may be reached from outside: ports opened without an address, or twice."""

from settings.checks.common import server_of
from settings.container_texts import OpenPort, parse_open
from settings.draft import Draft
from settings.errors import show
from settings.models import Application


def check(draft: Draft) -> None:
    """Report ports and names that nothing could answer for."""
    for name, app in draft.stack.applications.items():
        if not app.ipv4 and app.ports:
            opened = ", ".join(str(port) for port in app.opened)
            message = (
                f"ports are published over IPv4, which ipv4: false takes away; open them over IPv6: open: [{opened}]"
            )
            draft.report(message, "applications", name, "ports")
        if not app.ipv4 and app.private:
            message = "the private network is IPv4, which ipv4: false takes away; leave one of them out"
            draft.report(message, "applications", name, "private")
        server = server_of(draft, "applications", name, app)
        if server is None or not draft.whole("servers", server, "ipv6"):
            continue  # whether it has public addresses is not known
        if server in draft.stack.servers and draft.stack.servers[server].ipv6.is_nat:
            _with_nat(draft, name, app, server)
            continue
        _address(draft, name, app)
        _twice(draft, name, app)


def _address(draft: Draft, name: str, app: Application) -> None:
    at = ("applications", name)
    if app.has_address or not (draft.whole(*at, "static_ipv6") and draft.whole(*at, "ipv6_web")):
        return
    for key, value, what in (("open", app.open, "ports"), ("dns", app.dns, "names")):
        if value:
            remedy = 'write static_ipv6: "2:0:b" as well'
            draft.report(f"the application has no IPv6 address of its own for these {what}; {remedy}", *at, key)


def _with_nat(draft: Draft, name: str, app: Application, server: str) -> None:
    """Report what needs a public address on a server whose containers have none."""
    at = ("applications", name)
    why = f"servers.{server}.ipv6 is nat, so containers have no public address"
    if app.static_ipv6 is not None:
        draft.report(
            f"{why}; leave it out, and publish ports, which are forwarded from the server's own", *at, "static_ipv6"
        )
    if app.open:
        ports = ", ".join(f"{port.first}" + ("/udp" if port.proto == "udp" else "") for port in app.opened)
        draft.report(f"{why} to open ports at; publish them on the server's own instead: ports: [{ports}]", *at, "open")
    if app.dns and not app.ports and draft.whole(*at, "ports"):
        draft.report(f"{why} for these names to lead to; publish ports, and they lead to the server's own", *at, "dns")


def _twice(draft: Draft, name: str, app: Application) -> None:
    """Report ports that `open` holds twice, or `ports` opens already at the same address."""
    at = ("applications", name)
    taken = [
        (OpenPort(ports[0].proto, ports[0].container, ports[-1].container), draft.written(*at, "ports", index))
        for index, ports in enumerate(app.ports_published)
    ]
    for index, text in enumerate(app.open):
        wanted = parse_open(text)
        first = next((path for other, path in taken if other.overlaps(wanted)), None)
        if first:
            draft.report(f"{show(text)} is opened by {first} already; leave one out", *at, "open", index)
        taken.append((wanted, draft.written(*at, "open", index)))
