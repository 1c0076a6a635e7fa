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


def neighbours(stack: Stack) -> dict[str, Neighbours]:
    """Return what each container may do among those of its server, by name."""
    here = {server: stack.containers_on(server) for server in stack.servers}
    visited = {server: _visited(stack, server) for server in stack.servers}
    found: dict[str, Neighbours] = {}
    for name, container in stack.containers().items():
        server = stack.server_of(container)
        named = {*named_by(name, container), *databases.made_by(stack, name)} - {name}
        reached = tuple(sorted(one for one in named if one in here[server]))
        found[name] = Neighbours(reached, name in visited[server])
    return found


def named_by(name: str, container: Container) -> set[str]:
    """Return the containers that one names, wherever they run."""
    found = {*container.reach, *(used.server for used in databases.used(name, container))}
    for reference in container.referred:
        match reference:
            case AppRef(other) | SecretRef(application=other):
                found.add(other)
    return found


def _visited(stack: Stack, server: str) -> set[str]:
    """Whom the proxy leads visitors to, and whom its setup names: the proxy then writes its lines there."""
    routed = {route["app"] for route in domains_map(stack, server).values()}
    told = {other for job in proxy_setups(stack, server) for other in named_by(job, stack.jobs[job])}
    proxies = {other for other, app in stack.applications_on(server).items() if app.ipv6_web}
    return (routed | told) - proxies
