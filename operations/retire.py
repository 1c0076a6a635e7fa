"""Lets go of servers that still run although the state is lost: nobody can operate them any more, and they hold the
addresses and the block storage that the next update is to have.

Saves what they have a last time, over SSH with the key of the recovery kit: once while all is served, and again when
who writes has stopped. Then deletes the instances. Leaves alone: a server that the state knows (`make revive`), what is
reserved, and all of it where a last backup fails.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from operations import adoption, backups, recovery
from operations.account import Account
from operations.adopt import agree
from operations.cli import OperationError, Pulumi, say
from operations.hosts import STACK_LABEL, Ended, Host, Unreachable
from operations.state import INSTANCE, Server

KEY, KNOWN_HOSTS = "kit_ed25519", "kit_hosts"  # beside the stack's own key; the page's lines write them
RUN = ["/usr/local/sbin/apiary-backups", "run", "--final"]
STOP_SECONDS = 10


@dataclass(frozen=True)
class Wish:
    """What the caller agrees to: the deletion; and that what can't be saved is lost."""

    yes: bool = False
    lose: bool = False


def arguments(parser: argparse.ArgumentParser) -> None:
    """What the verb is told."""
    parser.add_argument("--yes", action="store_true", help="don't ask; needed where there is no terminal")
    parser.add_argument("--lose", action="store_true", help="delete also what can't be saved")


def retire(pulumi: Pulumi, wish: Wish) -> None:
    """Delete the instances in whose place the next update makes others. Raises OperationError, with none deleted, where
    one lives and can't be saved, and nobody has agreed to that loss.
    """
    with recovery.alone(pulumi):
        pulumi.select()
        wanted = {str(plan.inputs["label"]): plan.name for plan in adoption.planned(pulumi.preview(), INSTANCE)}
        account = Account.of(pulumi)
        left = [one for one in account.list("/instances", "instances") if one["label"] in wanted]
        told = json.loads(pulumi.setting(f"{pulumi.project}:backups") or "{}")
        if not wish.lose:
            _expect_place(pulumi, told, set(wanted.values()), {wanted[one["label"]] for one in left})
        if not left:
            say("retire: no server runs in whose place this stack would make another")
            return
        for one in left:
            say(f"server {wanted[one['label']]}: instance {one['id']} at {one['main_ip']} is none of this state")
        agree(f"Save these {len(left)} a last time, and delete them with their disks (block storage stays)?", wish.yes)
        keeper = _keeper(told)
        if told and keeper not in wanted.values():
            hosts = [host(pulumi, wanted[one["label"]], one["main_ip"]) for one in left]
            _save(pulumi, [one for one in hosts if _lives(one, lose=wish.lose)], lose=wish.lose)
        for one in left:
            account.delete(f"/instances/{one['id']}")
            say(f"retire: server {wanted[one['label']]}: instance {one['id']} is deleted")


def host(pulumi: Pulumi, name: str, address: str) -> Host:
    """A server that no state knows, by the keys that the recovery kit has, or those of the caller's own agent."""
    options = (
        "-o", f"UserKnownHostsFile={pulumi.folder / KNOWN_HOSTS}", "-o", "StrictHostKeyChecking=yes",
        "-o", "BatchMode=yes", "-i", str(pulumi.folder / KEY),
    )  # fmt: skip
    return Host(Server(name, "", f"ssh://root@{address}:22", options, None))


def _expect_place(pulumi: Pulumi, told: Mapping[str, Any], anew: set[str], left: set[str]) -> None:
    """Raises OperationError where the backups themselves are on a server that is to be made anew, or there are none."""
    lose = f"to lose what is there: make retire LOSE=1 STACK={pulumi.name}"
    if left and not told:
        raise OperationError(
            f"the stack has no backups: what {', '.join(sorted(left))} has on its disk goes with it (block storage "
            f"stays); nothing was changed; {lose}"
        )
    keeper = _keeper(told)
    if keeper in anew:
        raise OperationError(
            f"the backups are on the disk of server {keeper}, which is made anew without them, so that all begins "
            "empty; nothing was changed. Fetch them from it first, where it still runs: "
            f"docs/restore.md#the-backups-are-on-a-server-of-the-stack; {lose}"
        )


def _keeper(told: Mapping[str, Any]) -> str | None:
    """The server that keeps the backups of the others, if one does."""
    repository = told.get("repository")
    return str(repository["server"]) if isinstance(repository, dict) else None


def _lives(server: Host, *, lose: bool) -> bool:
    """Whether there is anything to save. Raises OperationError where that can't be told, and is not to be lost."""
    try:
        server.run("true", timeout=45)
    except OperationError as error:
        sign = server.sign_of_life() if isinstance(error, Unreachable) else "it answers"
        if sign is None:
            say(f"  {error}: it is dead, and comes back as of its last backup")
        else:
            _fail(server, f"{error}, though {sign}", lose=lose)
        return False
    return True


def _fail(server: Host, why: str, *, lose: bool) -> None:
    """Raises OperationError with `why` and the remedy, or says it, where the loss was agreed to."""
    if lose:
        say(f"  {why}: what it has written since its last backup is lost, as agreed to")
        return
    raise OperationError(
        f"{why}; nothing was deleted. Say it from an address that may log in (`ssh_from`), with the key and the host "
        f"keys of the recovery kit as .apiary/STACK/{KEY} and {KNOWN_HOSTS}; to lose what {server.server.name} has "
        "written since its last backup: LOSE=1"
    )


def _save(pulumi: Pulumi, servers: Sequence[Host], *, lose: bool) -> None:
    for one in servers:
        _run(one, "while all is served", lose=lose)
    with _stopped(pulumi, servers):
        for one in servers:
            _run(one, "with nobody writing", lose=lose)


def _run(server: Host, when: str, *, lose: bool) -> None:
    say(f"  {server.server.name}: a last backup, {when}")
    if server.stream(*RUN) != 0:
        _fail(server, f"the last backup of {server.server.name} has failed (above), {when}", lose=lose)


@contextmanager
def _stopped(pulumi: Pulumi, servers: Sequence[Host]) -> Iterator[None]:
    """All containers of the stack but those whose databases are dumped; started again where what follows fails."""
    stopped: list[tuple[Host, list[str]]] = []
    try:
        for one in servers:
            databases = json.loads(one.run("cat", backups.CONFIG)).get("databases", {})
            label = '{{.ID}} {{.Label "apiary.resource"}}'
            ours = one.run("docker", "ps", "--filter", f"label={STACK_LABEL}={pulumi.tag}", "--format", label)
            rows = [line.partition(" ") for line in ours.splitlines()]
            ids = [id_ for id_, _, what in rows if what.removeprefix("applications.") not in databases]
            if ids:
                stopped.append((one, ids))  # before: it may break off half-way
                one.run("docker", "stop", "--time", str(STOP_SECONDS), *ids)
        yield
    except BaseException:
        for one, ids in stopped:
            _start(one, ids)
        raise


def _start(server: Host, ids: Sequence[str]) -> None:
    try:
        server.run("docker", "start", *ids)
        say(f"  {server.server.name}: what was stopped runs again")
    except (Ended, Unreachable) as error:
        say(f"  {error}; on {server.server.name}: docker start {' '.join(ids)}")
