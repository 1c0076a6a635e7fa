"""What was saved put back by hand, and tried by hand.

All is done by the servers themselves (playbooks/roles/backups), which also says beforehand what would be done. Writes
the page of a rehearsal into `.apiary/STACK/`, and nothing else here.
"""

from __future__ import annotations

import re
import socket
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from operations import backend as files
from operations import backups, processes
from operations.cli import OperationError, Pulumi, say
from operations.hosts import Host
from operations.state import Server

COMMAND = "/usr/local/sbin/apiary-backups"
PLAN_SECONDS = 300
HIVE = "hive"  # all servers
DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
MOMENT = re.compile(r"\d{4}-\d{2}-\d{2}[ T]\d{2}:\d{2}.*")
CANCEL = "Where nothing runs there any more: pulumi cancel"


@dataclass(frozen=True)
class Wish:
    """What the caller asked for."""

    what: str  # `web1:shop`, `web1:postgres/shop`, `web1`, `hive`
    at: str = ""
    to: str = ""
    yes: bool = False


def restore(pulumi: Pulumi, wish: Wish) -> int:
    """Put back what is meant, one server after another; 1 where one was not. Raises OperationError."""
    known = [one.name for one in backups.saved_servers(pulumi, None)]
    _alone(pulumi)
    server, name = meant(wish.what, known)
    servers = backups.saved_servers(pulumi, server)
    options = _options(name, wish)
    for one in servers:
        for line in Host(one).run(COMMAND, "restore", "--plan", *options, timeout=PLAN_SECONDS).splitlines():
            say(f"{one.name}: {line}")
    if not wish.yes:
        _confirm()
    failed = [one.name for one in servers if not _restored(pulumi, one, options)]
    if failed:
        say(
            f"restore: not done on {', '.join(failed)} (above). Where the connection broke off, it goes on there; "
            "the same line says how it ended, finishes it, or takes it back"
        )
    else:
        say(f"restore: done; {'nothing else was touched' if wish.to else 'what uses it runs again, and is healthy'}")
    return 1 if failed else 0


def _restored(pulumi: Pulumi, server: Server, options: Sequence[str]) -> bool:
    try:
        _alone(pulumi)  # one may have begun while it was asked, or while another server was at it
    except OperationError as error:
        say(f"{server.name}: {error}")
        return False
    return Host(server).stream(COMMAND, "restore", *options) == 0


def _alone(pulumi: Pulumi) -> None:
    """An update makes containers anew, also those that are to stand still meanwhile. Raises OperationError."""
    url = pulumi.backend()
    backend = files.FileBackend.of(url)
    wait = f"it starts what has to stand still meanwhile; wait until it has ended. {CANCEL} --stack {pulumi.stack}"
    if backend is None:
        if updating := pulumi.updating(is_service=url.startswith(("http:", "https:"))):
            raise OperationError(f"lock: an update of stack {pulumi.stack} runs ({updating}), and {wait}")
        return
    for lock in backend.locks(pulumi.project, pulumi.stack):
        # On another machine it can't be seen whether it lives; of one whose process is dead nothing runs any more.
        is_dead = lock.host == socket.gethostname() and files.verdict(lock, processes.read) is not None
        if not is_dead:
            whose = f"{lock.user} updates stack {pulumi.stack} on {lock.host} (process {lock.pid})"
            raise OperationError(f"lock: {whose}, and {wait}")


def meant(what: str, known: Sequence[str]) -> tuple[str | None, str]:
    """The server that is meant, None for all of them, and what of it, empty for all of it. Raises OperationError."""
    if what in known:
        return what, ""
    if what == HIVE:
        return None, ""
    server, _, name = what.partition(":")
    if server in known and name:
        return server, name
    # Where there is one server, its name may be left out, as with jobs.
    if len(known) == 1 and server not in known and what:
        return known[0], what
    servers = ", ".join(known)
    raise OperationError(
        f"WHAT={what or '...'} names no server; write SERVER:NAME, a server ({servers}), or {HIVE} for all; what there "
        "is of each: make backups"
    )


def _options(name: str, wish: Wish) -> list[str]:
    """The words of the server's own line. As `--at=...`, since what a person writes may begin with a dash."""
    return [
        *([f"--at={moment(wish.at)}"] if wish.at else []),
        *([f"--to={wish.to}"] if wish.to else []),
        *(["--", name] if name else []),
    ]


def moment(at: str) -> str:
    """A day or a moment as the server is to read it: without a zone it is that of who has written it, and a day goes to
    its end there. Anything else as it is: a snapshot's id, and what the server refuses.
    """
    text = re.sub(r" ?UTC$", "+00:00", at.strip())  # as `make backups` shows it
    is_day = DAY.fullmatch(text) is not None
    whole = f"{text} 23:59:59" if is_day else text
    try:
        meant = datetime.fromisoformat(whole) if is_day or MOMENT.fullmatch(text) else None
    except ValueError:
        return at
    if meant is None or meant.tzinfo is not None:
        return at if meant is None else text
    return f"{whole}{meant.astimezone().isoformat()[-6:]}"


def _confirm() -> None:
    if not sys.stdin.isatty():
        raise OperationError(
            "nothing was changed, since there is no terminal to ask on; if that is meant: make restore ... YES=1"
        )
    if input("Go on? [y/N] ").strip().lower() not in ("y", "yes"):
        raise OperationError("not confirmed; nothing was changed")


def drill(pulumi: Pulumi, wanted: str | None) -> int:
    """Try all that is saved, of one server or of all; 1 where something is not proved. Raises OperationError."""
    failed = []
    for server in backups.saved_servers(pulumi, wanted):
        say(f"drill {server.name}: the newest snapshots in throw-away containers, beside what serves")
        if Host(server).stream(COMMAND, "drill") != 0:
            failed.append(server.name)
        _page(pulumi, server)
    if failed:
        say(f"drill: not all is proved on {', '.join(failed)} (above)")
    return 1 if failed else 0


def _page(pulumi: Pulumi, server: Server) -> None:
    """Bring the page of the last rehearsal here."""
    file = pulumi.folder / f"drill-{server.name}.html"
    try:
        file.write_text(Host(server).run("cat", "/var/lib/apiary/backups/drill.html"))
    except OperationError as error:
        say(f"drill {server.name}: its page could not be fetched: {error}")
        return
    say(f"drill {server.name}: {file}")
