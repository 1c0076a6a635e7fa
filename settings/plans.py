"""The addresses of one server of a stack.

Makes: a `Plan` from the server's suffixes and those of its applications. Leaves alone: the arithmetic
(`addresses`) and clashes (`checks.addresses`).
"""

from settings.addresses import Plan, make_plan
from settings.models import Stack


def static_suffixes(stack: Stack, server: str) -> dict[str, str]:
    """Return the suffix of every application of a server that has an IPv6 address of its own, by name."""
    web = stack.servers[server].ipv6.docker.static_web
    found: dict[str, str] = {}
    for name, app in stack.applications_on(server).items():
        if app.ipv6_web:
            found[name] = web
        elif app.static_ipv6 is not None:
            found[name] = app.static_ipv6
    return found


def plan(stack: Stack, server: str, prefix: str | None) -> Plan:
    """Return every address of a server whose /64 is `prefix`; None, while it is unknown, leaves IPv6 ones
    None.
    """
    docker = stack.servers[server].ipv6.docker
    return make_plan(
        prefix,
        bridge=docker.suffix_bridge,
        net=docker.suffix_net,
        web=docker.static_web,
        ipv4_net=stack.servers[server].ipv4_net,
        statics=static_suffixes(stack, server),
    )
