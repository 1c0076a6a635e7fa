"""The addresses of one server of a stack.

Makes: a `Plan` from the server's suffixes and those of its applications. Leaves alone: the arithmetic
(`addresses`) and clashes (`checks.addresses`).
"""

from collections.abc import Iterable
from hashlib import sha256
from ipaddress import IPv4Network, IPv6Address, IPv6Network

from settings.addresses import Plan, Suffix, make_plan, parse_suffix
from settings.models import Stack

FIRST_IPV4 = 2  # behind the network's own address and the gateway
_FIRST = 0x100  # of the addresses that nobody chooses; below are the gateway and the usual static web address


def static_suffixes(stack: Stack, server: str) -> dict[str, str]:
    """Return the suffix of every application of a server that has a static IPv6 address, by name.

    With `ipv6: nat` those are the ones to which ports are forwarded: nobody else needs to know their addresses, so
    nobody has to choose them.
    """
    wanted = stack.servers[server].ipv6
    web = wanted.docker.static_web
    found: dict[str, str] = {}
    for name, app in stack.applications_on(server).items():
        if app.ipv6_web:
            found[name] = web
        elif app.static_ipv6 is not None and not wanted.is_nat:
            found[name] = app.static_ipv6
    if wanted.is_nat:
        unchosen = [name for name, app in stack.applications_on(server).items() if app.ports and not app.ipv6_web]
        net, bits = parse_suffix(wanted.docker.suffix_net), parse_suffix(web).bits
        places = _places(unchosen, _FIRST, (net.last + 1 - net.first) // 2, taken={bits - net.first})
        found |= {name: str(Suffix(net.first + place, None)) for name, place in places.items()}
    return found


def with_fixed_ipv4(stack: Stack, server: str) -> list[str]:
    """Return the applications of a server that always have the same IPv4 address on the containers' network.

    Those that shall not speak IPv4 with the world: Docker gives every container one, and the firewall has to know
    which. And those with a static IPv6 address: Docker (before 28) makes the MAC address of the IPv4 one, and with
    another MAC the host would not find the container after a restart until it asks again, half a minute later.
    """
    static = static_suffixes(stack, server)
    return [name for name, app in stack.applications_on(server).items() if not app.ipv4 or name in static]


def fixed_ipv4(stack: Stack, server: str) -> dict[str, str]:
    """Return the IPv4 addresses of those `with_fixed_ipv4`, by name."""
    net = IPv4Network(stack.servers[server].ipv4_net)
    places = _places(with_fixed_ipv4(stack, server), FIRST_IPV4, net.num_addresses // 2)
    return {name: str(net[place]) for name, place in places.items()}


def _places(names: Iterable[str], first: int, end: int, taken: Iterable[int] = ()) -> dict[str, int]:
    """Choose a number from `first` to before `end` for each name: by the name, so that it stays when others come."""
    used = set(taken)
    found: dict[str, int] = {}
    for name in sorted(names):
        if len(used) >= end - first:
            break  # reported with the whole file (checks.addresses)
        place = int.from_bytes(sha256(name.encode()).digest()) % (end - first)
        while first + place in used:
            place = (place + 1) % (end - first)
        used.add(first + place)
        found[name] = first + place
    return found


def private_prefix(stack: Stack, server: str) -> str:
    """Return a private /64 (RFC 4193) of the server's own: no other stack or server is likely to have the same."""
    tail = sha256(f"apiary/{stack.name}/{server}".encode()).digest()[:7]
    return str(IPv6Network((IPv6Address(b"\xfd" + tail + bytes(8)), 64)))


def plan(stack: Stack, server: str, prefix: str | None) -> Plan:
    """Return every address of a server whose /64 is `prefix`; None, while it is unknown, leaves IPv6 ones
    None.
    """
    ipv6 = stack.servers[server].ipv6
    return make_plan(
        prefix,
        bridge=ipv6.docker.suffix_bridge,
        net=ipv6.docker.suffix_net,
        web=ipv6.docker.static_web,
        ipv4_net=stack.servers[server].ipv4_net,
        statics=static_suffixes(stack, server),
        private=private_prefix(stack, server) if ipv6.is_nat else None,
        ipv4_statics=fixed_ipv4(stack, server),
    )
