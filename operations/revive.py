"""Brings a server back that is dead, unreachable, or was deleted out of band; what is reserved stays.

Drops the instance and all that lived on it without contacting it, then lets the engine make everything anew.
What the server had on its own disk is lost, but for what its last backup has, from which the update fills the new one;
its block storage (`data`), which hangs on the new instance then, loses nothing that had been written there.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from operations import backups, closed, guard, jobs, maintenance, recovery, swarm, sweep
from operations.account import Account
from operations.cli import OperationError, Pulumi, say
from operations.hosts import Host, Unreachable, ensure_key
from operations.state import Server, State, alone, without

COMMAND, FILL = "command:remote:Command", "-fill"  # components/backups.py


def revive(pulumi: Pulumi, *names: str, yes: bool, force: bool) -> None:
    """Rebuild the servers `names`, all at once: one that is dead too would end the update of another.

    Raises OperationError with the step that could not be done.
    """
    what = f"revive {', '.join(names)}"
    with recovery.alone(pulumi):
        say(f"{what}: 1/4 what is left of an interrupted update on this machine")
        recovery.clear(pulumi)
        pulumi.select()
        recovery.repair(pulumi)
        state = State.of(pulumi.export())
        servers = [_server(state, name) for name in dict.fromkeys(names)]
        had_backups = backups.must_be_filled(pulumi, [server.name for server in servers])
        has_swarm_left = _may_be_dropped(pulumi, state, servers, yes=yes, force=force)
        if shut := list(closed.remembered(pulumi).values()):
            ensure_key(pulumi, state)

        say(f"{what}: 2/4 dropping {'the server' if len(servers) == 1 else 'the servers'} and what lived there")
        urns = [server.instance.urn for server in servers if server.instance is not None]
        if not urns:
            say("  the state has no instance of it")
        else:
            _drop(pulumi, urns)
        if not has_swarm_left:
            say("  nobody is left who decides about the swarm: another one is begun, and replicas start anew")
            pulumi.restore(without(exported := pulumi.export(), swarm.of_it(exported)))

        say(f"{what}: 3/4 what was made without being recorded")
        state = State.of(pulumi.export())
        swept = sweep.account(pulumi, state, remove_asked=False, release_ips=False)
        for found in swept.asked:
            say(f"  left alone: {found.what}: {found.why}")
        if not swept.removed:
            say("  nothing to remove")

        say(f"{what}: 4/4 up")
        if shut:
            say(f"  closed by make maintenance, before visitors come: {', '.join(one.application for one in shut)}")
        with closed.before_visitors(shut, servers):
            pulumi.run("up", "--yes", "--skip-preview", "--suppress-outputs")
        maintenance.again(pulumi)
        state = State.of(pulumi.export())
        for server in servers:
            if said := filled(state, server.name):
                say("\n  ".join([f"revive {server.name}: its data", *said]))
            say(f"revive {server.name}: done; it is back as {_server(state, server.name).host}")
        if empty := [name for name in had_backups if backups.began_anew(state, name)]:
            raise OperationError(
                f"{', '.join(empty)} began empty: there was no repository any more where it has saved to, and another "
                "one was made there. Where that one can be had again, bring it back, and put it in its place: "
                f"{', '.join(f'make restore WHAT={name}' for name in empty)}"
            )


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


def _may_be_dropped(pulumi: Pulumi, state: State, servers: list[Server], *, yes: bool, force: bool) -> bool:
    """Raise OperationError where one is not dead, could not come back, or is not meant.

    Whether a swarm of theirs has somebody left who decides about it; True where they are of none.
    """
    api = Account.of(pulumi)
    there = [one for one in servers if one.instance and api.exists(f"/instances/{one.instance.id}")]
    for server in there:
        _must_be_dead(pulumi, state, server, force=force)
    has_swarm_left = _could_join(pulumi, state, [server.name for server in servers], force=force)
    _spare_others(pulumi, [server.name for server in servers])
    for server in there:
        wanted = _wanted(pulumi, server.name)
        if "region" in wanted and "plan" in wanted:
            api.must_sell(wanted["region"], wanted["plan"])
    for server in servers:
        if server.instance is not None and not yes:
            _confirm(pulumi, state, server.name, exists=server in there)
    return has_swarm_left


def _could_join(pulumi: Pulumi, state: State, dead: list[str], *, force: bool) -> bool:
    """Raise OperationError where servers of a swarm could not join it again; else whether it is still there."""
    if not set(dead) & set(swarm.joined(state)):
        return True
    ensure_key(pulumi, state)
    told = swarm.tell(one for one in swarm.members(state) if one.name not in dead)
    silent = [one.name for one in told.silent]
    if silent and not force:
        raise OperationError(
            f"server {', '.join(silent)} of the swarm does not answer either, and the update at the end needs it; "
            "nothing was changed. Where it is dead too, all at once: "
            f'make revive SERVER="{" ".join([*dead, *silent])}" STACK={pulumi.name}'
        )
    if told.leaderless and not told.deciding:
        raise OperationError(
            "most managers of the swarm are away, so nobody could join; nothing was changed. One that comes back by "
            "itself (restart it in Vultr's portal) ends that, with nothing lost; else first make recover "
            f"SERVER={told.leaderless[0].name} STACK={pulumi.name}"
        )
    return bool(told.deciding or silent)


def _spare_others(pulumi: Pulumi, names: list[str]) -> None:
    """A stack file that was changed meanwhile must not cost the servers that live.

    Asked before anything is dropped, so that a stack file with a mistake is found before, too.
    """
    others = [lost for lost in guard.costs(pulumi) if lost not in names]
    if others:
        raise OperationError(
            f"what the stack file says now replaces or deletes server {', '.join(others)} with its disk as well, and "
            f"nothing was changed. Undo that in the stack file, revive {', '.join(names)}, and do it afterwards with "
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


def _drop(pulumi: Pulumi, urns: list[str]) -> None:
    """Out of the state with these and their dependents; of an instance's only records are deleted at the API.

    But for which commit or digest a branch or tag was at: the new server gets what ran, and not what is there by now.
    """
    exported = pulumi.export()
    if found := {one.urn for one in jobs.all_look_ups(State.of(exported))}:
        pulumi.restore(alone(exported, found))
    targets = [word for urn in urns for word in ("--target", urn)]
    pulumi.run("destroy", "--yes", "--skip-preview", *targets, "--target-dependents")
