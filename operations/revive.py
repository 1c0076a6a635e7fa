"""Brings a server back that is dead, unreachable, or was deleted out of band; what is reserved stays.

Drops the instance and all that lived on it without contacting it, then lets the engine make everything anew.
What the server had on its own disk is lost, but for what its last backup has, from which the update fills the new one;
its block storage (`data`), which hangs on the new instance then, loses nothing that had been written there.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from operations import backups, guard, recovery, sweep
from operations.account import Account
from operations.cli import OperationError, Pulumi, say
from operations.hosts import Host, Unreachable, ensure_key
from operations.state import Server, State

COMMAND, FILL = "command:remote:Command", "-fill"  # components/backups.py


def revive(pulumi: Pulumi, name: str, *, yes: bool, force: bool) -> None:
    """Rebuild the server `name`. Raises OperationError with the step that could not be done."""
    with recovery.alone(pulumi):
        say(f"revive {name}: 1/4 what is left of an interrupted update on this machine")
        recovery.clear(pulumi)
        pulumi.select()
        recovery.repair(pulumi)
        state = State.of(pulumi.export())
        server = _server(state, name)
        api = Account.of(pulumi)
        exists = server.instance is not None and api.exists(f"/instances/{server.instance.id}")
        if server.instance is not None and exists:
            _must_be_dead(pulumi, state, server, force=force)
        _spare_others(pulumi, name)
        wanted = _wanted(pulumi, name) if exists else {}
        if "region" in wanted and "plan" in wanted:
            api.must_sell(wanted["region"], wanted["plan"])
        if server.instance is not None and not yes:
            _confirm(pulumi, state, name, exists=exists)

        say(f"revive {name}: 2/4 dropping the server and what lived on it")
        if server.instance is None:
            say("  the state has no instance of it")
        else:
            _drop(pulumi, server.instance.urn)

        say(f"revive {name}: 3/4 what was made without being recorded")
        state = State.of(pulumi.export())
        swept = sweep.account(pulumi, state, remove_asked=False, release_ips=False)
        for found in swept.asked:
            say(f"  left alone: {found.what}: {found.why}")
        if not swept.removed:
            say("  nothing to remove")

        say(f"revive {name}: 4/4 up")
        pulumi.run("up", "--yes", "--skip-preview", "--suppress-outputs")
        state = State.of(pulumi.export())
        if said := filled(state, name):
            say("\n  ".join([f"revive {name}: its data", *said]))
        say(f"revive {name}: done; it is back as {_server(state, name).host}")


def filled(state: State, name: str) -> list[str]:
    """What the server's backups have filled, and from when: a line for each volume and database."""
    theirs = {one.urn for one in state.of_type(backups.COMPONENT) if one.name == name}
    fills = [one for one in state.of_type(COMMAND) if one.parent in theirs and one.name.endswith(FILL)]
    return [line for one in fills for line in str(one.outputs.get("stdout", "")).splitlines()]


def _server(state: State, name: str) -> Server:
    servers = {server.name: server for server in state.servers()}
    if name not in servers:
        known = ", ".join(servers) or "none yet: `pulumi up` makes them"
        raise OperationError(f"the state has no server {name!r}; it has: {known}")
    return servers[name]


def _must_be_dead(pulumi: Pulumi, state: State, server: Server, *, force: bool) -> None:
    assert server.instance is not None  # noqa: S101 - the caller has looked
    ensure_key(pulumi, state)
    host = Host(server)
    drop = f"python -m operations revive --stack {pulumi.stack} {server.name} --force"
    try:
        host.run("true", timeout=45)
    except Unreachable as error:
        say(f"  {error}")
        if force or (sign := host.sign_of_life()) is None:
            return
        raise OperationError(
            f"server {server.name} is not proved dead: nobody can log in, but {sign}. It may hang, or be overloaded, "
            "or let nobody in from here. Restart it in Vultr's portal first: that keeps its disk. "
            f"To drop it as it is: {drop}"
        ) from None
    except OperationError as error:  # it answers, though not well
        say(f"  {error}")
    if not force:
        raise OperationError(
            f"server {server.name} answers. To rebuild one that lives, stopping in order what runs on it: "
            f"pulumi up --stack {pulumi.stack} --replace '{server.instance.urn}'. "
            f"To drop it as it is: {drop}"
        )


def _spare_others(pulumi: Pulumi, name: str) -> None:
    """A stack file that was changed meanwhile must not cost the servers that live.

    Asked before anything is dropped, so that a stack file with a mistake is found before, too.
    """
    others = [lost for lost in guard.costs(pulumi) if lost != name]
    if others:
        raise OperationError(
            f"what the stack file says now replaces or deletes server {', '.join(others)} with its disk as well, and "
            f"nothing was changed. Undo that in the stack file, revive {name}, and do it afterwards with "
            f"`pulumi up --stack {pulumi.stack}`, which shows it first"
        )


def _confirm(pulumi: Pulumi, state: State, name: str, *, exists: bool) -> None:
    if not sys.stdin.isatty():
        raise OperationError(
            f"the server {name} would be dropped with its disk, and there is no terminal to ask on; "
            "if that is meant: revive --yes (make revive SERVER=... YES=1)"
        )
    fate = "is deleted with its disk (block storage stays)" if exists else "is gone already"
    print(f"The instance of {name} in stack {pulumi.stack} {fate}, and a new one is made with what is reserved.")
    print(_fate_of_data(pulumi, state, name))
    if input("Type the server's name to go on: ").strip() != name:
        raise OperationError("not confirmed; nothing was changed")


def _fate_of_data(pulumi: Pulumi, state: State, name: str) -> str:
    if all(one.name != name for one in state.of_type(backups.COMPONENT)):
        return "It has no backups: what was on its disk is lost."
    if _wanted(pulumi, name).get("restore") is False:
        return f"It begins empty, as servers.{name}.restore says: what was on its disk is lost."
    return "Its volumes and databases are filled from its last backup; what was written since then is lost."


def _wanted(pulumi: Pulumi, name: str) -> dict[str, Any]:
    """What the stack file says of the server."""
    servers = json.loads(pulumi.setting(f"{pulumi.project}:servers") or "{}")
    return dict(servers.get(name) or {})


def _drop(pulumi: Pulumi, urn: str) -> None:
    """Out of the state with the instance and its dependents; of these only records are deleted at the API."""
    pulumi.run("destroy", "--yes", "--skip-preview", "--target", urn, "--target-dependents")
