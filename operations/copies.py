"""`python -m operations copy HOST`: data of an old host, compose's or Bee2's, into the volumes of a server here."""

from __future__ import annotations

import argparse
import json
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from operations import recovery
from operations.carry import TOOL, CarryError, Place
from operations.cli import OperationError, Pulumi, say
from operations.copying import dumps, items, plan, quiet, volumes, words
from operations.hosts import ensure_key
from operations.state import State


@dataclass(frozen=True)
class Wish:
    """What the caller asked for."""

    host: str
    what: Sequence[str] = ()
    server: str = ""
    project: str = ""
    ssh: str = ""  # options for `ssh` to the old host
    over: Sequence[str] = ()
    final: bool = False
    back: bool = False


def arguments(parser: argparse.ArgumentParser) -> None:
    """Say what the verb takes."""
    parser.add_argument("host", help="the old host, to which root can log in by SSH from here")
    parser.add_argument("what", nargs="*", help="VOLUME, OLD=NEW, /folder=NEW, or a database, "
                        "CONTAINER:DATABASE=APPLICATION[:DATABASE]; else the volumes that both hosts have")  # fmt: skip
    parser.add_argument("--server", default="", help="to which server, where there are several")
    parser.add_argument("--project", default="", help="compose project, whose volumes are PROJECT_NAME there")
    parser.add_argument("--ssh", default="", metavar="OPTIONS", help="options for ssh to the old host: '-i key -p 22'")
    parser.add_argument("--over", action="append", default=[], metavar="VOLUME",
                        help="put aside what this volume has here; replace what APPLICATION:DATABASE has")  # fmt: skip
    parser.add_argument("--final", action="store_true",
                        help="stop what writes there, close databases, and bring it over for good")  # fmt: skip
    parser.add_argument("--back", action="store_true",
                        help="copy nothing: start and open what --final has stopped and closed there")  # fmt: skip


def copy(pulumi: Pulumi, wish: Wish) -> None:
    """Copy. Raises OperationError; what is not as before then is said by it."""
    with recovery.alone(pulumi):
        state = State.of(pulumi.export())
        ensure_key(pulumi, state)
        try:
            _copy(_server(state, wish.server), _old(wish), wish)
        except CarryError as error:
            raise OperationError(str(error)) from error


def _old(wish: Wish) -> Place:
    host = wish.host.removeprefix("root@")
    if "@" in host or not host or host.startswith("-"):
        raise OperationError(f"{wish.host!r} is no host that root can log in to; write e.g. old.example.org")
    return Place(host, "", host, tuple(shlex.split(wish.ssh)))


def _server(state: State, name: str) -> Place:
    found = {server.name: server for server in state.servers()}
    if name not in found and (name or len(found) != 1):
        raise OperationError(f"say to which server: --server, one of {', '.join(sorted(found)) or 'none: pulumi up'}")
    server = found[name] if name else next(iter(found.values()))
    return Place(server.name, server.instance.id if server.instance else "",
                 str(urlsplit(server.host).hostname), server.ssh_options)  # fmt: skip


def _copy(new: Place, old: Place, wish: Wish) -> None:
    if wish.back:
        running = ", ".join(quiet.back(old, new)) or "nothing: no copy to this server has stopped anything there"
        say(f"serves again on {old.server}: {running}")
        return
    others, databases = words.split(wish.what)
    own = {f"{one.application}:{one.target}" for one in databases}
    if unknown := sorted(one for one in set(wish.over) - own if ":" in one):
        raise OperationError(
            f"--over {unknown[0]}: is none of those copied: {', '.join(map(str, databases)) or 'none'}"
        )
    # Whatever can be refused is, before anything is stopped.
    pairs = dumps.plan(old, new, databases, wish.project, wish.over, final=wish.final)
    steps: list[plan.Step] = []
    how = plan.Wish(old.server, wish.final, frozenset(set(wish.over) - own))
    if others or not databases:
        steps = _steps(new, old, replace(wish, what=others), how)
    elif how.over:
        raise OperationError(f"--over {min(how.over)}: no volume is copied; name it, or take --over out")
    for pair in pairs:
        if files := [step.item for step in steps if pair.door.there.container in step.stop]:
            raise OperationError(
                f"nothing is copied: {pair.one} comes by a dump, and {files[0]} by its files; take one"
            )
    if steps:
        volumes.copy(old, new, how, steps)
    try:
        dumps.copy(old, new, pairs, final=wish.final)
    except BaseException:
        if wish.final and steps:
            _half(new, old, steps)
        raise


def _half(new: Place, old: Place, steps: Sequence[plan.Step]) -> None:
    """Say what is done where the databases did not come."""
    names = ", ".join(str(step.item) for step in steps)
    say(f"{names}: on {new.server} for good, the databases not yet: the same line goes on with these")
    if left := quiet.told(old, new):
        over = " ".join(f"--over {step.item.volume}" for step in steps)
        say(f"{left}, and for the volumes to come once more then: {over}")


def _steps(new: Place, old: Place, wish: Wish, how: plan.Wish) -> list[plan.Step]:
    """What is to be done with volumes. Raises OperationError, CarryError with all that is in the way."""
    volumes.check(old)
    chosen = items.wanted(wish.what, volumes.names(old), volumes.names(new), wish.project)
    if unknown := sorted(set(how.over) - {item.volume for item in chosen}):
        raise OperationError(f"--over {unknown[0]}: is none of those copied: {', '.join(map(str, chosen))}")
    there = volumes.look(old, chosen)
    here = json.loads(new.ask(TOOL, "look", *(item.volume for item in chosen)))["there"]
    versions = {
        item.volume: volumes.version(new, new.ask(TOOL, "where", item.volume).splitlines()[0])
        for item in chosen
        if there[item].version and here[item.volume]["exists"]
    }
    steps, told = plan.plan(how, chosen, there, here, versions)
    for line in told:
        say(line)
    if not steps:
        say("copy: nothing is left to be copied")
    return steps
