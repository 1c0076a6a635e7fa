"""Backups by hand: save now, see what there is, remove what is old.

All is done by the servers themselves (playbooks/roles/backups), but for `prune` of a repository that lets servers only
add (pruning.py).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

from operations import pruning
from operations.cli import OperationError, Pulumi, say
from operations.hosts import Ended, Host, ensure_key
from operations.state import Server, State
from operations.status import words
from settings import saved
from settings.backup_texts import ON_SERVER

COMPONENT, COMMAND = "apiary:backups:Backups", "command:remote:Command"
MADE = "made the repository at"  # playbooks/roles/backups: repository.py
PASSWORD = "backups-password"  # noqa: S105 - its name
# As its timer would: below what visitors ask for, and what it has stopped runs again whatever becomes of it.
NOW = [
    "systemd-run", "--quiet", "--pipe", "--wait", "--collect", "--property=Nice=10", "--property=CPUWeight=20",
    "--property=ExecStopPost=/usr/local/sbin/apiary-backups resume", "/usr/local/sbin/apiary-backups", "run",
]  # fmt: skip
CONFIG = "/etc/apiary/backups.json"
LIST_SECONDS, TELL_SECONDS = 300, 12 * 3600


def backup(pulumi: Pulumi, wanted: str | None, *, is_anew: bool = False) -> int:
    """Save one server, or all of them; where its repository is gone, one may begin anew. 1 when anything of it went
    wrong. Raises OperationError.
    """
    failed = []
    if is_anew and wanted is None:
        raise OperationError("which server's repository is begun anew? make backup SERVER=... ANEW=1")
    for server in saved_servers(pulumi, wanted):
        say(f"backup {server.name}")
        try:
            _tell_again(pulumi, server)
        except OperationError as error:
            say(f"  {error}")
            failed.append(server.name)
            continue
        if Host(server).stream(*NOW, *(["--anew"] if is_anew else [])) != 0:
            failed.append(server.name)
    if failed:
        say(f"backup: not all is well on {', '.join(failed)} (above)")
    return 1 if failed else 0


def _tell_again(pulumi: Pulumi, server: Server) -> None:
    """A server that has lost what it was told is told that again, and fills what is empty and new to it: the program
    sees no change there, and would not. Raises OperationError.
    """
    try:
        Host(server).run("test", "-s", CONFIG)
    except Ended:
        commands = State.of(pulumi.export(secrets=True)).of_type(COMMAND)
        told = [one.inputs for one in commands if one.name == f"{server.name}-backups" and not one.doomed]
        if not told:
            raise OperationError(f"{server.name} was never told what to save; run pulumi up") from None
        say(f"  {CONFIG} is not there; {server.name} is told anew what to save")
        content = str(json.loads(told[0]["stdin"]["plaintext"]))
        said = Host(server).run("sh", "-c", str(told[0]["update"]), timeout=TELL_SECONDS, stdin=content)
        say("\n".join(f"  {line}" for line in said.splitlines()))


def must_be_filled(pulumi: Pulumi, names: Sequence[str]) -> list[str]:
    """Of servers that are to come back on empty disks those that are filled from what they have saved. Raises
    OperationError where the stack file names another place now: there it would begin empty, and all would be well.
    """
    now = json.loads(pulumi.setting(f"{pulumi.project}:backups") or "{}").get("repository")
    written = f"{ON_SERVER}{now.get('server')}" if isinstance(now, dict) else now
    wanted = json.loads(pulumi.setting(f"{pulumi.project}:servers") or "{}")
    found = []
    for name in names:
        told = _told(pulumi, name)
        if told is None or (wanted.get(name) or {}).get("restore") is False:
            continue
        there = told.get("place") or told["repository"]
        # A state of before knows an address alone, which is not what is written of these.
        is_known = "place" in told or not str(written).startswith((ON_SERVER, "vultr"))
        if written is None or (is_known and there != saved.place(written, name)):
            said = "has no apiary:backups any more" if written is None else f"says {written}"
            first = f"{name} has saved to {there}, and the stack file {said}, where it would come back empty"
            raise OperationError(
                f"{first}; nothing was changed. Write that place again, and another one when {name} is back; or "
                f"servers.{name}.restore: false for an empty start"
            )
        found.append(name)
    return found


def began_anew(state: State, name: str) -> bool:
    """Whether a server has found no repository when it was told of it, and has made it."""
    made = [one.outputs for one in state.of_type(COMMAND) if one.name == f"{name}-backups" and not one.doomed]
    return any(MADE in str(one.get("stdout", "")) for one in made)


def _told(pulumi: Pulumi, name: str) -> dict[str, Any] | None:
    """What a server was told when it was told last, with its secrets."""
    commands = State.of(pulumi.export(secrets=True)).of_type(COMMAND)
    found = [one.inputs["stdin"]["plaintext"] for one in commands if one.name == f"{name}-backups" and not one.doomed]
    return dict(json.loads(json.loads(found[0]))) if found else None


def show(pulumi: Pulumi, wanted: str | None, *, as_json: bool = False, is_whole: bool = False) -> int:
    """Print what there is of each server, every snapshot of it where it is to be whole; 1 when one could not be asked.
    Raises OperationError.
    """
    servers = saved_servers(pulumi, wanted)
    with ThreadPoolExecutor(max_workers=8) as pool:
        told = list(pool.map(_listed, servers))
    if as_json:
        print(json.dumps(dict(zip((server.name for server in servers), told, strict=True)), indent=2))
    else:
        for server, found in zip(servers, told, strict=True):
            print("\n".join(_page(server.name, found, is_whole=is_whole)))
    return 1 if any("error" in found for found in told) else 0


def prune(pulumi: Pulumi, wanted: str | None) -> int:
    """Remove what is not kept any more; 1 when that failed on one server. Raises OperationError."""
    backups = json.loads(pulumi.setting(f"{pulumi.project}:backups") or "{}")
    servers = saved_servers(pulumi, wanted)
    if backups.get("append_only"):
        return pruning.prune(pulumi, backups, password(pulumi, backups), [server.name for server in servers])
    statuses = [Host(server).stream("/usr/local/sbin/apiary-backups", "prune") for server in servers]
    return 1 if any(statuses) else 0


def saved_servers(pulumi: Pulumi, wanted: str | None) -> list[Server]:
    """The servers that have backups, or the one that is wanted. Raises OperationError."""
    state = State.of(pulumi.export())
    having = {resource.name for resource in state.of_type(COMPONENT)}
    found = [server for server in state.servers() if server.name in having]
    if not found:
        raise OperationError("no server has backups; write apiary:backups into the stack file, and pulumi up")
    if wanted is not None:
        known = ", ".join(server.name for server in found)
        found = [server for server in found if server.name == wanted]
        if not found:
            raise OperationError(f"{wanted} is no server with backups; there are: {known}")
    ensure_key(pulumi, state)
    return found


def _listed(server: Server) -> dict[str, Any]:
    try:
        told: dict[str, Any] = json.loads(
            Host(server).run("/usr/local/sbin/apiary-backups", "list", "--json", timeout=LIST_SECONDS)
        )
    except (OperationError, ValueError) as error:
        return {"error": str(error)}
    return told


def _page(server: str, told: Mapping[str, Any], *, is_whole: bool) -> list[str]:
    """What there is of a server, a line an item."""
    if "error" in told:
        return [f"{server}: {told['error']}"]
    lines = [f"{server}, at {told['repository']}:"]
    rows: list[tuple[str, ...]] = [("what", "last saved", "size", "kept", "proved", "")]
    rows += [_row(item) for item in told["items"]]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for item, row in zip([None, *told["items"]], rows, strict=True):
        lines.append("  " + "  ".join(map(str.ljust, row, widths)).rstrip())
        snapshots = item["snapshots"] if item and is_whole else []
        lines += [
            f"    {one['id'][:12]}  {_moment(one['time'])}  {words.size(one['bytes'])}"
            + ("  later than now" if one.get("ahead") else "")
            for one in snapshots
        ]
    lines += [f"  left out: {name}: {why}" for name, why in sorted(told["left_out"].items())]
    return lines


def _row(item: Mapping[str, Any]) -> tuple[str, ...]:
    snapshots, last, proved = item["snapshots"], item["last"] or {}, item["proved"]
    newest = snapshots[-1] if snapshots else None
    return (
        item["item"],
        _moment(newest["time"]) if newest else "never",
        words.size(newest["bytes"]) if newest else "",
        str(len(snapshots)),
        _moment(proved["time"]) if isinstance(proved, dict) and proved.get("time") else "never",
        "; ".join(_remarks(snapshots, last)),
    )


def _remarks(snapshots: Sequence[Mapping[str, Any]], last: Mapping[str, Any]) -> Iterator[str]:
    if last.get("status") not in (None, "ok"):
        yield f"{last['status']}: {last['reason']}"
    # A server from before this word says nothing of it.
    if ahead := [one["id"][:8] for one in snapshots if one.get("ahead")]:
        yield f"dated later than now, by a clock that was wrong, and not taken for the newest: {', '.join(ahead)}"


def _moment(text: str) -> str:
    return f"{datetime.fromisoformat(text).astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def password(pulumi: Pulumi, backups: Mapping[str, Any]) -> str:
    """The repository's password, from the stack file where it is there, else from the state."""
    if own := backups.get("password"):
        secrets = json.loads(pulumi.setting(f"{pulumi.project}:secrets") or "{}")
        return str(secrets[str(own).removeprefix("_secrets^")])
    opened = State.of(pulumi.export(secrets=True))
    found = [one for one in opened.of_type("random:index/randomPassword:RandomPassword") if one.name == PASSWORD]
    if not found:
        raise OperationError("the state holds no password of the repository; run pulumi up first")
    return str(json.loads(found[0].outputs["result"]["plaintext"]))
