"""Closes an application to visitors while somebody works on it, and opens it again: at once, without an update.

What is closed is written on the server, beside its proxy (playbooks/roles/tools/files/apiary-maintenance), and stays so
until it is taken back. Leaves alone: the application itself, and the stack.
"""

from __future__ import annotations

import argparse

from operations.cli import OperationError, Pulumi, say
from operations.hosts import Ended, Host, ensure_key
from operations.jobs import find
from operations.releases import APPLICATION
from operations.state import SERVICE, Server, State
from operations.status.stack import served

TOOL = "apiary-maintenance"
NOT_FOUND = 127  # of a shell, whose server has not had its bootstrap since there is the tool


def arguments(parser: argparse.ArgumentParser) -> None:
    """What the verb is told."""
    parser.add_argument("application", nargs="?", help="NAME or SERVER:NAME; without one: what is closed")
    parser.add_argument("--off", action="store_true", help="open it again")
    parser.add_argument("--let-in", nargs="*", default=[], metavar="ADDRESS", help="who may come all the same")


def maintain(pulumi: Pulumi, wanted: str | None, let_in: list[str], *, off: bool) -> None:
    """Close `NAME` or `SERVER:NAME` but for visitors from `let_in`, or open it; without a name, say what is closed.

    An application with replicas is closed at every server whose proxy leads to it. Raises OperationError when there is
    no such application, and when a server or its proxy can't be told; the others are told all the same.
    """
    state = State.of(pulumi.export())
    servers = state.servers()
    command = ["list"]
    if wanted:
        name, servers = _where(state, wanted)
        command = ["off", name] if off else ["on", name, *let_in]
    elif off or let_in:
        raise OperationError("say which application: make maintenance APP=web1:shop")
    ensure_key(pulumi, state)
    failed: list[str] = []
    for server in servers:
        try:
            told = Host(server).run(TOOL, *command)
        except OperationError as error:
            is_old = isinstance(error, Ended) and error.there == NOT_FOUND
            why = f"server {server.name} does not know {TOOL} yet; say pulumi up first" if is_old else str(error)
            failed.append(why if is_old or len(servers) == 1 else f"{server.name}: {why}")
            continue
        for line in told.splitlines() or ["nothing is closed"]:
            say(f"{server.name}: {line}")
    if failed:
        raise OperationError("\n".join(failed))


def _where(state: State, wanted: str) -> tuple[str, list[Server]]:
    """An application, and the servers whose proxies lead to it. Raises OperationError where there is none."""
    there, _, name = wanted.rpartition(":")
    if not any(one.name == name and not one.doomed for one in state.of_type(SERVICE)):
        container = find(state, wanted, APPLICATION)
        return container.name, [one for one in state.servers() if container.provider.startswith(f"{one.urn}::")]
    if there:
        raise OperationError(f"{name} has replicas, to which every proxy leads; say make maintenance APP={name}")
    serving = served(state)
    servers = [one for one in state.servers() if name in serving.get(one.name, ())]
    if not servers:
        raise OperationError(f"no proxy leads to {name}, so nobody comes to it; give it domains in its env")
    return name, servers
