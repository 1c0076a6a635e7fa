"""Has this server's proxy lead its visitors to the replicas that run beside it: the others are one hop away.

By weights, which the proxy keeps over its reloads: 256 for a replica on this server, 1 for any other. So none is ever
out of rotation because of this: where those beside it are down, draining or not there, the others have all visitors at
once, and while they serve they have a few of a thousand. What the proxy is told late costs a hop and no answer.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from apiary_nodes import SwarmError, ask
from apiary_proxy import PROXY_LABEL, HostError, Proxy, socket_of

TASK = "com.docker.swarm.task.id"  # the label of every container of a service
NEAR, FAR = "256", "1"


def beside(containers: Sequence[Mapping[str, Any]]) -> set[str]:
    """The addresses of this server's replicas, of all containers that run."""
    replicas = [one for one in containers if TASK in (one.get("Labels") or {})]
    networks = [network for one in replicas for network in (one["NetworkSettings"].get("Networks") or {}).values()]
    return {network["IPAddress"] for network in networks if network.get("IPAddress")}


def changes(state: str, near: set[str]) -> Iterator[str]:
    """The commands that a proxy lacks, by its `show servers state`.

    A weight of 0 is a release's (apiary-drain), and any other but these two nobody's here: they stay.
    """
    _, header, *lines = state.splitlines()
    columns = header.removeprefix("# ").split()
    for line in lines:
        server = dict(zip(columns, line.split(), strict=False))
        wanted = NEAR if server.get("srv_addr") in near else FAR
        if server.get("srv_uweight") in {NEAR, FAR} - {wanted}:
            yield f"set server {server['be_name']}/{server['srv_name']} weight {wanted}"


def prefer() -> None:
    """Have the proxy know. Raises SwarmError where Docker or the proxy does not answer; the next time will do."""
    containers = ask("GET", "/containers/json")
    label, _, value = PROXY_LABEL.partition("=")
    for proxy in [one for one in containers if (one.get("Labels") or {}).get(label) == value]:
        path = socket_of(proxy)
        if path is None:
            continue
        try:
            spoken = Proxy(path)
            for command in changes(spoken.ask("show servers state"), beside(containers)):
                if said := spoken.ask(command).strip():
                    raise SwarmError(f"the proxy refused `{command}`: {said}")
        except HostError as error:
            raise SwarmError(str(error)) from None
