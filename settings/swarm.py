"""The stack's swarm: which servers are of it, what runs on them, and which networks it has.

Makes: pure functions of a checked `Stack`. A swarm is there where a server says so (`servers.NAME.swarm`); all of its
servers are on one private network. Leaves alone: whether that can be (`checks.swarm`), and making it (the components,
playbooks/roles/swarm).
"""

from ipaddress import IPv4Network
from typing import TypedDict

from settings.addresses import private_net
from settings.models import Application, Stack
from settings.neighbours import named_by

# Candidates for the networks between the servers; the first that touches no other of theirs.
_POOLS = tuple(IPv4Network(net) for net in ("10.201.0.0/16", "172.29.0.0/16", "192.168.192.0/18"))

# How long visitors of what a release replaces may go on: a download that is longer is cut by it.
DRAIN_SECONDS = 60


class Nets(TypedDict):
    """The swarm's own networks, in CIDR."""

    pool: str  # what Docker takes further networks from
    overlay: str  # the one that replicas, proxies and whoever names a replica share
    gateway: str  # of each server alone: by it replicas reach what is outside


def members(stack: Stack) -> list[str]:
    """Return the servers of the swarm, in the order of the file; none where there is no swarm."""
    return [name for name, server in stack.servers.items() if server.swarm is not None]


def managers(stack: Stack) -> list[str]:
    """Return the servers that decide about the swarm, in the order of the file."""
    return [name for name, server in stack.servers.items() if server.swarm == "manager"]


def is_encrypted(stack: Stack) -> bool:
    """Whether containers speak encrypted with those of other servers."""
    return stack.swarm is not None and stack.swarm.encrypted


def replicated(stack: Stack) -> dict[str, Application]:
    """Return the applications with replicas by name."""
    return {name: app for name, app in stack.applications.items() if app.is_replicated}


def runs_on(stack: Stack, name: str) -> list[str]:
    """Return the servers that a container may run on: of replicas several, else its own."""
    container = stack.containers()[name]
    if not (isinstance(container, Application) and container.is_replicated):
        return [stack.server_of(container)]
    return [server for server in members(stack) if server in (container.servers or members(stack))]


def spread_over(stack: Stack, name: str) -> list[str]:
    """Return the servers that the replicas of an application are spread over: without those that are being emptied."""
    return [server for server in runs_on(stack, name) if not stack.servers[server].drain]


def grace(app: Application) -> int:
    """Return how many seconds a replica has to end, from its stop signal on.

    Where the proxies lead to it nobody waits for its visitors before that: unless written, it has as long for them as
    the proxy gives those of an application on one server.
    """
    return app.grace_seconds if "grace_seconds" in app.model_fields_set or not app.domains else DRAIN_SECONDS


def is_attached(stack: Stack, name: str) -> bool:
    """Whether a container of one server is on the swarm's network too: the proxy of one of its servers, and whoever
    names an application with replicas.
    """
    container = stack.containers()[name]
    if stack.server_of(container) not in members(stack):
        return False
    if isinstance(container, Application) and container.ipv6_web:
        return True
    return bool(named_by(name, container) & set(replicated(stack)))


def nets(stack: Stack) -> Nets:
    """Return the swarm's networks: apart from the private network and every network of its servers."""
    taken = [IPv4Network(stack.servers[name].ipv4_net) for name in members(stack)]
    taken += [private_net(str(stack.servers[name].private_ip)) for name in members(stack)]
    free = [pool for pool in _POOLS if not any(pool.overlaps(other) for other in taken)]
    pool = (free or _POOLS)[0]
    halves = list(pool.subnets(new_prefix=pool.prefixlen + 2))
    # An encrypted one beside a plain one, for as long as it takes to move all from one to the other.
    overlay = list(halves[1].subnets(new_prefix=20))[is_encrypted(stack)]
    return Nets(pool=str(halves[0]), overlay=str(overlay), gateway=str(halves[2]))
