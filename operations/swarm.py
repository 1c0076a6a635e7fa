"""Who of the stack's servers decides about its swarm, as they tell it themselves."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from operations.hosts import Host, Unreachable
from operations.state import Resource, Server, State

COMMAND = "command:local:Command"
JOINED, BEGUN = "-joined", "-begun"  # components/swarm.py
TELL = ("docker", "info", "--format", "{{json .Swarm}}")


@dataclass
class Told:
    """What servers say of their part in it; each is in one of these, or decides nothing (a worker, or of no swarm)."""

    deciding: list[Server] = field(default_factory=list)
    leaderless: list[Server] = field(default_factory=list)  # managers, of which most are away
    silent: list[Server] = field(default_factory=list)
    nodes: dict[str, str] = field(default_factory=dict)  # by server: its number as a node, of those that answer


def joined(state: State) -> dict[str, Resource]:
    """By server of the swarm: the command by which it joins. Empty where there is no swarm."""
    return {one.name.removesuffix(JOINED): one for one in _commands(state) if one.name.endswith(JOINED)}


def members(state: State) -> list[Server]:
    """The servers of the swarm, as the state has them."""
    there = joined(state)
    return [server for server in state.servers() if server.name in there and server.instance is not None]


def of_it(exported: Mapping[str, Any]) -> set[str]:
    """The URNs of all that the swarm itself has in an exported state, whichever servers it is on."""
    begun = {one.urn for one in _commands(State.of(exported)) if one.name.endswith(BEGUN)}
    entries = (exported.get("deployment") or {}).get("resources") or []
    return begun | {str(entry["urn"]) for entry in entries if entry.get("deletedWith") in begun}


def tell(servers: Iterable[Server]) -> Told:
    """Ask each of them. Raises OperationError where one answers and does not tell."""
    told = Told()
    for server in servers:
        try:
            said: dict[str, Any] = json.loads(Host(server).run(*TELL))
        except Unreachable:
            told.silent.append(server)
            continue
        told.nodes[server.name] = str(said.get("NodeID") or "")
        if said.get("ControlAvailable"):
            (told.leaderless if said.get("Error") else told.deciding).append(server)
    return told


def _commands(state: State) -> list[Resource]:
    return [one for one in state.of_type(COMMAND) if "apiary:docker:Swarm$" in one.full_type and not one.doomed]
