"""Closes an application to visitors while somebody works on it, and opens it again: at once, without an update.

What is closed is written on the server, beside its proxy (playbooks/roles/tools/files/apiary-maintenance), and stays so
until it is taken back; beside the state too (closed.py), for a server that is made anew. Leaves alone: the application
itself, and the stack.
"""

from __future__ import annotations

import argparse
import datetime
import re
import time

from operations import closed
from operations.cli import OperationError, Pulumi, say
from operations.hosts import Ended, Host, ensure_key
from operations.jobs import find
from operations.releases import APPLICATION
from operations.state import SERVICE, Server, State
from operations.status.stack import served

LINE = re.compile(r"(\S+) closed since (\S+?)(?:, but for (.+))?$")  # as apiary-maintenance says it
NOT_FOUND = 127  # of a shell, whose server has not had its bootstrap since there is the tool


def arguments(parser: argparse.ArgumentParser) -> None:
    """What the verb is told."""
    parser.add_argument("application", nargs="?", help="NAME or SERVER:NAME; without one: what is closed")
    parser.add_argument("--off", action="store_true", help="open it again")
    parser.add_argument("--let-in", nargs="*", default=[], metavar="ADDRESS", help="who may come all the same")


def maintain(pulumi: Pulumi, wanted: str | None, let_in: list[str], *, off: bool) -> None:
    """Close `NAME` or `SERVER:NAME` but for visitors from `let_in`, or open it; without a name, say what is closed, and
    close again what a server that was made anew has opened.

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
    if wanted and off:  # first: whatever comes of the rest, no server is to close it again
        closed.forget(pulumi, name)
    elif not wanted:
        again(pulumi)
    for server in servers:
        try:
            told = Host(server).run(closed.TOOL, *command)
        except OperationError as error:
            is_old = isinstance(error, Ended) and error.there == NOT_FOUND
            why = f"server {server.name} does not know {closed.TOOL} yet; say pulumi up first" if is_old else str(error)
            failed.append(why if is_old or len(servers) == 1 else f"{server.name}: {why}")
            continue
        for line in told.splitlines() or ["nothing is closed"]:
            say(f"{server.name}: {line}")
        if not off:
            _remember(pulumi, state, told)
    if failed:
        raise OperationError("\n".join(failed))


def again(pulumi: Pulumi) -> None:
    """Close what is to be closed wherever it is open: on servers that were made anew.

    Says what it did, and what it could not do. What is no more in the stack is not remembered any more.
    """
    try:
        there = closed.remembered(pulumi)
    except OperationError as error:
        say(f"whether something is to be closed (make maintenance) could not be looked up: {error}")
        return
    state = State.of(pulumi.export()) if there else State((), ())
    for one in there.values():
        try:
            _, servers = _where(state, one.application)
        except OperationError:
            closed.forget(pulumi, one.application)
            continue
        ensure_key(pulumi, state)
        for server in servers:
            try:
                listed = [LINE.match(line) for line in Host(server).run(closed.TOOL, "list").splitlines()]
                if all(found is None or found[1] != one.application for found in listed):
                    one.close(server)
                    say(f"{server.name}: {one.application} was open there, and is closed again")
            except OperationError as error:
                say(f"{server.name}: {one.application} is to be closed, and may be open: {error}")


def _remember(pulumi: Pulumi, state: State, told: str) -> None:
    """What a server says it has closed, for when that is made anew."""
    there = closed.remembered(pulumi)
    for found in filter(None, map(LINE.match, told.splitlines())):
        name, since, let_in = found[1], found[2], (found[3] or "").replace(",", "").split()
        when = datetime.datetime.fromisoformat(since).timestamp() if since[:1].isdigit() else time.time()
        one = closed.Closed(name, int(when), tuple(let_in))
        if there.get(name) == one or not _is_there(state, name):
            continue
        try:
            closed.remember(pulumi, one)
        except OperationError as error:
            say(f"{name} is closed; a server that is made anew will open it, as the backend does not keep it: {error}")


def _is_there(state: State, name: str) -> bool:
    try:
        _where(state, name)
    except OperationError:
        return False
    return True


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
