"""Checks of who may log in to a server, and of what the cloud firewall can hold."""

from ipaddress import IPv4Network, IPv6Network, ip_network

from settings.checks.common import applications_on
from settings.container_texts import parse_open
from settings.draft import Draft
from settings.reach import openings_of

# Rules of a firewall group at Vultr.
MOST_RULES = 50


def check(draft: Draft) -> None:
    """Report a server that nobody could log in to, or whose firewall can't be said at Vultr."""
    for name, server in draft.stack.servers.items():
        if server.ssh_from is not None:
            _sources(draft, name, [ip_network(source) for source in server.ssh_from])
            _port_22(draft, name)
        _room(draft, name)


def _sources(draft: Draft, name: str, sources: list[IPv4Network | IPv6Network]) -> None:
    at = ("servers", name, "ssh_from")
    if not draft.whole(*at):
        pass  # what is missing may be what could not be read
    elif not sources:
        draft.report("is empty: nobody could log in, this program neither; leave it out for anywhere", *at)
    elif not any(isinstance(source, IPv4Network) for source in sources):
        draft.report(
            "holds IPv6 only, but this program logs in over IPv4; add the IPv4 address of the machine that runs it",
            *at,
        )
    for index, source in enumerate(sources):
        for first, other in enumerate(sources):
            if first != index and _holds(other, source) and (other != source or first < index):
                draft.report(f"{source} lies in {draft.written(*at, first)}, {other}; leave it out", *at, index)
                break


def _holds(outer: IPv4Network | IPv6Network, inner: IPv4Network | IPv6Network) -> bool:
    if isinstance(outer, IPv4Network) and isinstance(inner, IPv4Network):
        return inner.subnet_of(outer)
    return isinstance(outer, IPv6Network) and isinstance(inner, IPv6Network) and inner.subnet_of(outer)


def _port_22(draft: Draft, name: str) -> None:
    """The cloud firewall knows ports, not a server's addresses: opened for a container, 22 is open for the host too."""
    for app_name, app in applications_on(draft, name).items():
        if not app.has_address or draft.stack.servers[name].ipv6.is_nat:
            continue  # port 22 of the server itself is refused anyway
        published = [
            ("ports", index, ports[0].proto, ports[0].container, ports[-1].container)
            for index, ports in enumerate(app.ports_published)
        ]
        opened = [
            ("open", index, one.proto, one.first, one.last) for index, one in enumerate(map(parse_open, app.open))
        ]
        for key, index, proto, first, last in [*published, *opened]:
            if proto == "tcp" and first <= 22 <= last:
                draft.report(
                    "port 22 of this container would open port 22 of the server in the cloud firewall, which "
                    f"servers.{name}.ssh_from narrows; have it listen on another port, or leave ssh_from out",
                    *("applications", app_name, key, index),
                )


def _room(draft: Draft, name: str) -> None:
    server = draft.stack.servers[name]
    opened = len(openings_of(applications_on(draft, name).values(), is_nat=server.ipv6.is_nat))
    sources = 2 if server.ssh_from is None else len(server.ssh_from)
    needed = 2 + sources + opened  # ICMP, SSH, and what is published or opened
    if needed > MOST_RULES:
        draft.report(
            f"its firewall would need {needed} rules, and Vultr allows {MOST_RULES}: {sources} for SSH and "
            f"{opened} for ports that are published or opened; "
            + ("write larger networks" if sources > 2 else "publish fewer ports, or open ranges, as in tcp/6000-6010"),
            *("servers", name, *(("ssh_from",) if sources > 2 else ())),
        )
