"""What is asked of restic.

Makes: `Restic`, bound to the server's own repository; calls.py calls it. An item has snapshots of its own, told apart
by its one tag (items.py). A folder is saved as one entry at the top of a snapshot, with its owner and mode; what a
command writes is the file `ENTRY` there.
"""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from apiary_backups.calls import ASK_SECONDS, PROBE_SECONDS, PROGRAM, WORK_SECONDS, Calls
from apiary_backups.complaints import INCOMPLETE, parsed
from apiary_backups.config import Config
from apiary_backups.errors import BackupsError
from apiary_backups.items import Item
from apiary_backups.keeping import AHEAD, DRAFT, fate
from apiary_backups.loading import Load, Receiver

ENTRY = "dump.sql"
LOCK_WAIT = "2m"
ENDED = ("Z", "X")  # states of a process, proc_pid_stat(5)
AT_ONCE = 500  # snapshots that are named in one call
PACK_MIB = "8"  # half of the memory that it takes by default, with `calls.SPARING`, on a server of 1 GiB


@dataclass(frozen=True)
class Snapshot:
    """One state of an item in the repository."""

    id: str
    item: Item
    time: datetime  # aware
    host: str  # server that made it
    bytes: int  # of the data

    @property
    def is_ahead(self) -> bool:
        """Whether it is dated later than now, so that nobody knows when it was made."""
        return self.time > datetime.now(UTC) + AHEAD


@dataclass(frozen=True)
class Saved:
    """What a backup of an item has made."""

    snapshot: str
    bytes: int  # of the data
    bytes_sent: int  # what the repository got of it
    seconds: float
    unread: str = ""  # what could not be read and is not in it, the first one with its reason
    doubt: str = ""  # what else is wrong with it


class Restic:
    """The repository of one server."""

    def __init__(self, config: Config, *, host: str | None = None) -> None:
        self.calls = Calls(config)
        self._host = host or config.server
        # By a name that a database server had before: what was saved then is of the same.
        self._renamed = {one.renamed_from: name for name, one in config.databases.items() if one.renamed_from}

    @property
    def place(self) -> str:
        """The repository's address, without a password in it."""
        return self.calls.complaints.place

    # --- what there is

    def probe(self) -> None:
        """Prove that the repository is there and opens. Raises NoRepositoryError and all others of this module."""
        self.calls.output(["cat", "config", "--no-lock"], seconds=PROBE_SECONDS)

    def init(self) -> None:
        """Make the repository. Raises BackupsError."""
        self.calls.output(["init"], seconds=ASK_SECONDS)

    def snapshots(self, item: Item | None = None) -> list[Snapshot]:
        """All of them, or those of one item; the oldest first, and before it those that are dated later than now: what
        counts as the newest for ever would be all that comes back. Raises BackupsError.
        """
        known = [one for one in map(self._snapshot, self._all()) if one and item in (None, one.item)]
        return sorted(known, key=lambda one: (not one.is_ahead, one.time))

    def _snapshot(self, found: dict[str, Any]) -> Snapshot | None:
        made = _snapshot(found)
        if made is None or made.item.kind == "volume" or made.item.name not in self._renamed:
            return made
        return replace(made, item=replace(made.item, name=self._renamed[made.item.name]))

    def newest(self) -> dict[Item, Snapshot]:
        """The newest snapshot of each item. Raises BackupsError."""
        return {one.item: one for one in self.snapshots()}

    def _all(self) -> list[dict[str, Any]]:
        return json.loads(self.calls.output(["snapshots", "--no-lock"]) or "null") or []

    # --- saving

    def save_folder(self, item: Item, folder: Path, *, parent: str | None = None, is_draft: bool = False) -> Saved:
        """Save all below a folder, with its own owner and mode. What could not be read is told in `unread`, but for
        what was removed meanwhile. A draft is none of the item's snapshots: it is the `parent` of one that is made
        right after it, and goes by `forget`. Raises BackupsError when there is no snapshot.
        """
        tag = f"{DRAFT}{item}" if is_draft else str(item)
        since = ["--parent", parent] if parent else []
        # From above it: of what is named by its whole path, every folder on the way is part of the snapshot.
        return self._save(tag, [*since, "--one-file-system", "--", folder.name], within=folder.parent)

    def save_output(self, item: Item, command: Sequence[str]) -> Saved:
        """Save what a command writes; nothing where it fails. Raises BackupsError."""
        return self._save(
            str(item), ["--stdin-filename", ENTRY, "--stdin-from-command", "--", *command], within=Path("/")
        )

    def _save(self, tag: str, what: list[str], within: Path) -> Saved:
        begun = time.monotonic()
        options = ["--host", self._host, "--tag", tag, "--group-by", "host,tags", "--retry-lock", LOCK_WAIT]
        done = self.calls.done(["backup", "--pack-size", PACK_MIB, *options, *what], WORK_SECONDS, within)
        if done.status not in (0, INCOMPLETE):
            raise self.calls.complaints.failure("backup", done.status, done.errors)
        unread = [line for line in self.calls.complaints.lines(done.errors) if "no such file or directory" not in line]
        for line in reversed(done.output.decode(errors="replace").splitlines()):
            told = parsed(line)
            if told.get("message_type") == "summary" and told.get("snapshot_id"):
                return Saved(
                    snapshot=told["snapshot_id"],
                    bytes=int(told.get("total_bytes_processed", 0)),
                    bytes_sent=int(told.get("data_added_packed", told.get("data_added", 0))),
                    seconds=time.monotonic() - begun,
                    unread=unread[0] if unread and done.status == INCOMPLETE else "",
                )
        raise BackupsError("restic has made no snapshot, and said no reason")

    # --- getting back

    def restore(self, snapshot: str, target: Path) -> Path:
        """Write what a snapshot holds below `target`, which must be there; where its one entry is then. Raises
        BackupsError.
        """
        self.calls.output(["restore", snapshot, "--no-lock", "--target", str(target)], seconds=WORK_SECONDS)
        entries = list(target.iterdir())
        if len(entries) != 1:
            raise BackupsError(f"snapshot {snapshot[:8]} holds {len(entries)} entries where one is expected")
        return entries[0]

    def read(self, snapshot: str, limit: int = 1 << 24) -> bytes:
        """What a command had written, as a whole: for what is known to be small. Raises BackupsError."""
        with self.calls.dumping(snapshot, f"/{ENTRY}") as output:
            content = output.read(limit + 1)
        if len(content) > limit:
            raise BackupsError(f"snapshot {snapshot[:8]} is larger than {limit} bytes")
        return content

    def load(self, snapshot: str, into: Load) -> None:
        """Hand what a command had written to another one. Raises BackupsError when one of the two fails, or when
        what comes is not whole.
        """
        with Receiver(into) as receiver:
            with self.calls.dumping(snapshot, f"/{ENTRY}") as output:
                while block := output.read(1 << 18):
                    receiver.write(block)
            receiver.finish()

    # --- upkeep

    def unlock(self) -> None:
        """Remove locks that nobody holds any more, and no others. Raises BackupsError."""
        if not self._locks():
            return
        self.calls.output(["unlock"], seconds=PROBE_SECONDS)
        # By its number alone restic takes for alive what another process of this server is now, or of its successor.
        if (left := self._locks()) and all(map(self._is_dead, left)):
            self.calls.output(["unlock", "--remove-all"], seconds=PROBE_SECONDS)

    def _locks(self) -> list[str]:
        return self.calls.output(["list", "locks", "--no-lock"], seconds=PROBE_SECONDS).split()

    def _is_dead(self, lock: str) -> bool:
        try:
            told = json.loads(self.calls.output(["cat", "lock", lock, "--no-lock"], seconds=PROBE_SECONDS))
        except BackupsError:
            return False  # perhaps just given up: then there is nothing to remove
        return told.get("hostname") == socket.gethostname() and not _is_restic(int(told.get("pid", 0)))

    def forget(self, keep: Mapping[str, int], spared: Collection[str] = ()) -> list[str]:
        """Forget old snapshots of each item and the first passes of runs, remove what nobody needs then, and return
        the ids of those that are dated later than now, which stay. Never those in `spared`, whatever their dates are.
        No run is at work meanwhile. Raises BackupsError.
        """
        found = fate(self._all(), keep, datetime.now(UTC), spared=spared, draft_age=timedelta(0))
        for begin in range(0, len(found.goes), AT_ONCE):
            goes = found.goes[begin : begin + AT_ONCE]
            self.calls.output(["forget", "--prune", "--retry-lock", LOCK_WAIT, *goes], seconds=WORK_SECONDS)
        return found.ahead

    def check(self, read_percent: int) -> str:
        """Check the repository's structure, and a share of its bytes against their checksums; what restic said.
        Raises BackupsError when something is wrong.
        """
        return self.calls.output(
            ["check", "--retry-lock", LOCK_WAIT, f"--read-data-subset={read_percent}%"], seconds=WORK_SECONDS
        )


def _is_restic(process: int) -> bool:
    try:
        told = Path(f"/proc/{process}/stat").read_text()
    except OSError:
        return False
    name, _, rest = told.partition("(")[2].rpartition(")")
    # Who has ended keeps its number until somebody has asked how: whose parent was killed, until process 1 does.
    return name == PROGRAM and rest.split()[0] not in ENDED


def _snapshot(found: dict[str, Any]) -> Snapshot | None:
    tags = found.get("tags") or []
    try:
        item = Item.parse(tags[0]) if len(tags) == 1 else None
    except BackupsError:
        item = None
    if item is None:
        return None  # somebody else's, in the same repository
    summary = found.get("summary") or {}
    return Snapshot(
        id=found["id"],
        item=item,
        time=datetime.fromisoformat(found["time"]),
        host=found.get("hostname", ""),
        bytes=int(summary.get("total_bytes_processed", 0)),
    )
