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
from operations.state import State

TOOL = "apiary-maintenance"
NOT_FOUND = 127  # of a shell, whose server has not had its bootstrap since there is the tool


def arguments(parser: argparse.ArgumentParser) -> None:
    """What the verb is told."""
    parser.add_argument("application", nargs="?", help="NAME or SERVER:NAME; without one: what is closed")
    parser.add_argument("--off", action="store_true", help="open it again")
    parser.add_argument("--let-in", nargs="*", default=[], metavar="ADDRESS", help="who may come all the same")


def maintain(pulumi: Pulumi, wanted: str | None, let_in: list[str], *, off: bool) -> None:
    """Close `NAME` or `SERVER:NAME` but for visitors from `let_in`, or open it; without a name, say what is closed.

    Raises OperationError when there is no such application, and when its server or proxy can't be told.
    """
    state = State.of(pulumi.export())
    servers = state.servers()
    command = ["list"]
    if wanted:
        container = find(state, wanted, APPLICATION)
        servers = [one for one in servers if container.provider.startswith(f"{one.urn}::")]
        command = ["off", container.name] if off else ["on", container.name, *let_in]
    elif off or let_in:
        raise OperationError("say which application: make maintenance APP=web1:shop")
    ensure_key(pulumi, state)
    for server in servers:
        try:
            told = Host(server).run(TOOL, *command)
        except Ended as error:
            if error.there == NOT_FOUND:
                raise OperationError(f"server {server.name} does not know {TOOL} yet; say pulumi up first") from None
            raise
        for line in told.splitlines() or ["nothing is closed"]:
            say(f"{server.name}: {line}")
