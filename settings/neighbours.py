"""Which containers of a server may reach which: those that name each other's, and the proxy what it routes to.

Makes: pure functions of a checked `Stack`. A container reaches what it names (`$app`, `_app^password`, `db`, `_dbmap`,
`reach`) and nothing else of its server; whoever is named answers, and reaches nobody for that. Leaves alone: what is
published or opened, which is everybody's, and other servers, where a private port is reached by `private`.
"""

from dataclasses import dataclass

from settings import databases
from settings.domains import domains_map
from settings.models import Container, Stack
from settings.order import proxy_setups
from settings.references import AppRef, SecretRef


@dataclass(frozen=True)
class Neighbours:
    """What a container may do among those of its server, itself aside."""

    reached: tuple[str, ...]  # names of those that it may reach, sorted
    is_visited: bool  # whether the proxy may reach it


def neighbours(stack: Stack, name: str) -> Neighbours:
    """Return what a container may do among those of its server."""
    container = stack.containers()[name]
    server = stack.server_of(container)
    named = {*named_by(name, container), *databases.made_by(stack, name)}
    here = stack.containers_on(server)
    return Neighbours(tuple(sorted(one for one in named if one in here and one != name)), _is_visited(stack, name))


def named_by(name: str, container: Container) -> set[str]:
    """Return the containers that one names, wherever they run."""
    found = {*container.reach, *(used.server for used in databases.used(name, container))}
    for reference in container.referred:
        match reference:
            case AppRef(other) | SecretRef(application=other):
                found.add(other)
    return found


def _is_visited(stack: Stack, name: str) -> bool:
    """Whether the proxy leads visitors to it, or its setup names it: the proxy then writes its lines there."""
    server = stack.server_of(stack.containers()[name])
    routed = {route["app"] for route in domains_map(stack, server).values()}
    told = {other for job in proxy_setups(stack, server) for other in named_by(job, stack.jobs[job])}
    proxies = {other for other, app in stack.applications_on(server).items() if app.ipv6_web}
    return name in (routed | told) - proxies
