"""What is asked of restic; the only caller of it.

Makes: `Restic`, bound to the server's own repository. Each call has a limit of time, and each failure says in words
what it means: no answer, no repository, the wrong password, locked. Secrets go by the environment and by files in a
folder of root's own in memory, never by arguments. restic 0.17 or newer: its exit statuses and `--stdin-from-command`
(https://restic.readthedocs.io/en/stable/075_scripting.html).

Shapes: an item has snapshots of its own, told apart by its one tag (items.py). A folder is saved as one entry at the
top of a snapshot, with its owner and mode; what a command writes is the file `ENTRY` there.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import IO, Any

from apiary_backups.config import Config
from apiary_backups.errors import (
    BackupsError,
    LockedError,
    NoRepositoryError,
    UnreachableError,
    WrongPasswordError,
)
from apiary_backups.items import Item

PROGRAM = "restic"
RUN = Path(os.environ.get("APIARY_BACKUPS_RUN", "/run/apiary-backups"))
CACHE = Path(os.environ.get("APIARY_BACKUPS_CACHE", "/var/cache/apiary-backups"))
ENTRY = "dump.sql"
DRAFT = "draft:"  # before the item in the tag of a first pass
# restic itself asks a repository that does not answer for a quarter of an hour.
PROBE_SECONDS = 60
LOOK_SECONDS = 1.0
# What S3 says (NoSuchBucket), and restic 0.18 waits for it to become another thing; `init` makes the bucket.
NO_BUCKET = b"The specified bucket does not exist"
ASK_SECONDS = 300
WORK_SECONDS = 12 * 3600
LOCK_WAIT = "2m"
# Of memory: half of what it takes by default, on a server of 1 GiB.
SPARING = {"GOGC": "20", "GOMAXPROCS": "1"}
PACK_MIB = "8"
INCOMPLETE, NO_REPOSITORY, LOCKED, WRONG_PASSWORD = 3, 10, 11, 12
CONNECT_SECONDS = 15


@dataclass(frozen=True)
class Snapshot:
    """One state of an item in the repository."""

    id: str
    item: Item
    time: datetime  # aware
    host: str  # server that made it
    bytes: int  # of the data


@dataclass(frozen=True)
class Saved:
    """What a backup of an item has made."""

    snapshot: str
    bytes: int  # of the data
    bytes_sent: int  # what the repository got of it
    seconds: float
    unread: str = ""  # what could not be read and is not in it, the first one with its reason


@dataclass(frozen=True)
class Load:
    """How a dump gets into a program: a command that reads it from its standard input.

    `begin` is written before the dump, and `end` after it, only when the whole of it has come and its last bytes
    hold `mark`. Otherwise the input breaks off there, which a program that works in one transaction takes back.
    """

    command: Sequence[str]
    begin: bytes = b""
    end: bytes = b""
    mark: bytes = b""  # what a whole dump ends with


@dataclass(frozen=True)
class _Done:
    status: int
    output: bytes
    errors: bytes


class Restic:
    """The repository of one server."""

    def __init__(self, config: Config, *, host: str | None = None) -> None:
        self._config = config
        self._host = host or config.server

    # --- what there is

    def probe(self) -> None:
        """Prove that the repository is there and opens. Raises NoRepositoryError and all others of this module."""
        self._call(["cat", "config", "--no-lock"], seconds=PROBE_SECONDS)

    def init(self) -> None:
        """Make the repository. Raises BackupsError."""
        self._call(["init"], seconds=ASK_SECONDS)

    def snapshots(self, item: Item | None = None) -> list[Snapshot]:
        """All of them, or those of one item; the oldest first. Raises BackupsError."""
        chosen = ["--tag", str(item)] if item else []
        found = json.loads(self._call(["snapshots", "--no-lock", *chosen]) or "null") or []
        return sorted(filter(None, map(_snapshot, found)), key=lambda one: one.time)

    def newest(self) -> dict[Item, Snapshot]:
        """The newest snapshot of each item. Raises BackupsError."""
        return {one.item: one for one in self.snapshots()}

    # --- saving

    def save_folder(self, item: Item, folder: Path, *, parent: str | None = None, is_draft: bool = False) -> Saved:
        """Save all below a folder, with its own owner and mode. What could not be read is told in `unread`, but for
        what was removed meanwhile. A draft is none of the item's snapshots: it is the `parent` of one that is made
        right after it, and goes by `drop`. Raises BackupsError when there is no snapshot.
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
        done = self._done(["backup", "--pack-size", PACK_MIB, *options, *what], WORK_SECONDS, within)
        if done.status not in (0, INCOMPLETE):
            raise self._failure("backup", done.status, done.errors)
        unread = [line for line in self._complaints(done.errors) if "no such file or directory" not in line]
        for line in reversed(done.output.decode(errors="replace").splitlines()):
            told = _json(line)
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
        self._call(["restore", snapshot, "--no-lock", "--target", str(target)], seconds=WORK_SECONDS)
        entries = list(target.iterdir())
        if len(entries) != 1:
            raise BackupsError(f"snapshot {snapshot[:8]} holds {len(entries)} entries where one is expected")
        return entries[0]

    def read(self, snapshot: str, limit: int = 1 << 24) -> bytes:
        """What a command had written, as a whole: for what is known to be small. Raises BackupsError."""
        with self._dumping(snapshot) as output:
            content = output.read(limit + 1)
        if len(content) > limit:
            raise BackupsError(f"snapshot {snapshot[:8]} is larger than {limit} bytes")
        return content

    def load(self, snapshot: str, into: Load) -> None:
        """Hand what a command had written to another one. Raises BackupsError when one of the two fails, or when
        what comes is not whole.
        """
        with _Receiver(into) as receiver:
            with self._dumping(snapshot) as output:
                while block := output.read(1 << 18):
                    receiver.write(block)
            receiver.finish()

    # --- upkeep

    def unlock(self) -> None:
        """Remove locks that nobody holds any more, and no others. Raises BackupsError."""
        self._call(["unlock"], seconds=PROBE_SECONDS)

    def drop(self, snapshots: Iterable[str]) -> None:
        """Forget certain snapshots; what they alone need goes with the next `forget`. Raises BackupsError."""
        self._call(["forget", "--retry-lock", LOCK_WAIT, *snapshots])

    def forget(self, keep: Iterable[tuple[str, int]]) -> None:
        """Forget old snapshots of each item, and remove what nobody needs then. Raises BackupsError."""
        options = [word for period, count in keep for word in (f"--keep-{period}", str(count))]
        self._call(
            ["forget", "--prune", "--group-by", "host,tags", "--retry-lock", LOCK_WAIT, *options],
            seconds=WORK_SECONDS,
        )

    def check(self, read_percent: int) -> str:
        """Check the repository's structure, and a share of its bytes against their checksums; what restic said.
        Raises BackupsError when something is wrong.
        """
        return self._call(
            ["check", "--retry-lock", LOCK_WAIT, f"--read-data-subset={read_percent}%"], seconds=WORK_SECONDS
        )

    # --- how it is called

    def command(self, *arguments: str) -> list[str]:
        """The words of a call, which hold no secret. Files that they name are written (`environment`)."""
        return [
            PROGRAM,
            "--json",
            "--cache-dir",
            str(CACHE),
            *(["--cacert", str(RUN / "ca.pem")] if self._config.ca else []),
            *self._ssh(),
            *arguments,
        ]

    def environment(self) -> dict[str, str]:
        """The environment of a call, secrets included; writes the files that go with it."""
        RUN.mkdir(mode=0o700, parents=True, exist_ok=True)
        if self._config.ca:
            _write(RUN / "ca.pem", self._config.ca)
        if self._config.ssh:
            _write(RUN / "id", self._config.ssh.key.rstrip() + "\n")
            _write(RUN / "known_hosts", f"repository {self._config.ssh.host_key}\n")
        return {**os.environ, **SPARING, **self._config.environment, "RESTIC_REPOSITORY": self._config.repository}

    def _ssh(self) -> list[str]:
        if not self._config.ssh:
            return []
        options = [
            f"-i {RUN / 'id'}",
            f"-o UserKnownHostsFile={RUN / 'known_hosts'}",
            "-o HostKeyAlias=repository",
            "-o StrictHostKeyChecking=yes",
            "-o IdentitiesOnly=yes",
            "-o BatchMode=yes",
            f"-o ConnectTimeout={CONNECT_SECONDS}",
            "-o ServerAliveInterval=15",
            "-o ServerAliveCountMax=4",
        ]
        return ["-o", f"sftp.args={' '.join(options)}"]

    def _call(self, arguments: Sequence[str], seconds: float = ASK_SECONDS, within: Path | None = None) -> str:
        """Standard output. Raises BackupsError of the kind that the failure is."""
        done = self._done(arguments, seconds, within)
        if done.status != 0:
            raise self._failure(arguments[0], done.status, done.errors)
        return done.output.decode(errors="replace")

    def _done(self, arguments: Sequence[str], seconds: float, within: Path | None = None) -> _Done:
        process = self._start(arguments, within)
        try:
            output, errors = _outputs(process, seconds)
        except subprocess.TimeoutExpired:
            _end(process)
            _, errors = process.communicate()
            if NO_BUCKET in errors:
                raise self._failure(arguments[0], NO_REPOSITORY, errors) from None
            raise self._late(arguments[0], seconds, errors) from None
        except BaseException:
            _end(process)
            raise
        return _Done(process.returncode, output, errors)

    def _start(self, arguments: Sequence[str], within: Path | None = None) -> subprocess.Popen[bytes]:
        try:
            return subprocess.Popen(
                self.command(*arguments),
                env=self.environment(),
                cwd=within,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                # So that what it has started, such as ssh, ends with it.
                start_new_session=True,
            )
        except OSError as error:
            raise BackupsError(f"{PROGRAM} can't be run: {error.strerror}; run pulumi up, which installs it") from None

    @contextmanager
    def _dumping(self, snapshot: str) -> Iterator[IO[bytes]]:
        """What a command had written, as a stream; its end is checked on leaving."""
        process = self._start(["dump", "--no-lock", snapshot, f"/{ENTRY}"])
        assert process.stdout is not None  # noqa: S101 - as asked
        assert process.stderr is not None  # noqa: S101
        errors: list[bytes] = []
        reader = threading.Thread(
            target=lambda stream: errors.append(stream.read()), args=(process.stderr,), daemon=True
        )
        reader.start()
        late = threading.Timer(WORK_SECONDS, _end, args=(process,))
        late.start()
        try:
            yield process.stdout
            rest = process.stdout.read(1)
            process.wait(PROBE_SECONDS)
            reader.join(PROBE_SECONDS)
            if process.returncode != 0:
                raise self._failure("dump", process.returncode, b"".join(errors))
            if rest:
                raise BackupsError(f"snapshot {snapshot[:8]} was not read to its end")
        finally:
            late.cancel()
            _end(process)
            process.stdout.close()

    def _late(self, verb: str, seconds: float, errors: bytes) -> BackupsError:
        said = self._said(errors)
        return UnreachableError(
            f"{self.place} has not answered within {seconds:.0f} s ({verb})" + (f": {said}" if said else "")
        )

    def _failure(self, verb: str, status: int, errors: bytes) -> BackupsError:
        said = self._said(errors)
        match status:
            case _ if status == NO_REPOSITORY:
                return NoRepositoryError(f"there is no repository at {self.place} yet")
            case _ if status == LOCKED:
                return LockedError(
                    f"{self.place} is locked by another run: {said}; if that one is dead, its lock goes by itself "
                    "half an hour after it"
                )
            case _ if status == WRONG_PASSWORD:
                return WrongPasswordError(
                    f"the stack's password does not open {self.place}: it was made by another stack, or with a "
                    "password that is lost; name another repository, or bring the state back that knows it"
                )
            case _ if verb == "cat":
                return UnreachableError(f"{self.place} does not answer as a repository: {said or f'status {status}'}")
            case _:
                return BackupsError(f"restic {verb}: {said or f'status {status}'}")

    @property
    def place(self) -> str:
        """The repository's address, without a password in it."""
        scheme, at, rest = self._config.repository.rpartition("@")
        return f"{scheme.partition('://')[0]}://{rest}" if at and "://" in scheme else self._config.repository

    def _said(self, errors: bytes) -> str:
        """The last thing that restic complained of, in one line, with no secret in it."""
        return (self._complaints(errors) or [""])[-1]

    def _complaints(self, errors: bytes) -> list[str]:
        lines = [line.strip() for line in errors.decode(errors="replace").splitlines() if line.strip()]
        return [self._shown(text) for line in lines if (text := _complaint(line))]

    def _shown(self, text: str) -> str:
        said = " ".join(text.split())
        for secret in self._config.environment.values():
            if len(secret) >= 6:
                said = said.replace(secret, "...")
        return said[:500]


def _complaint(line: str) -> str:
    told = _json(line)
    if not told:
        return line
    if told.get("message_type") in ("status", "summary", "verbose_status"):
        return ""
    error = told.get("error")
    found = told.get("message") or (error.get("message") if isinstance(error, dict) else error) or ""
    where = told.get("item")
    return f"{where}: {found}" if where and where not in str(found) else str(found)


def _json(line: str) -> dict[str, Any]:
    try:
        told = json.loads(line)
    except ValueError:
        return {}
    return told if isinstance(told, dict) else {}


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


def _write(path: Path, text: str) -> None:
    if path.exists() and path.read_text() == text:
        return
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)
    fresh.replace(path)


def _outputs(process: subprocess.Popen[bytes], seconds: float) -> tuple[bytes, bytes]:
    """What a program has written to its output and of errors, at its end. Raises TimeoutExpired, where more time would
    not help at once.
    """
    deadline = time.monotonic() + seconds
    while True:
        try:
            return process.communicate(timeout=min(LOOK_SECONDS, max(0.0, deadline - time.monotonic())))
        except subprocess.TimeoutExpired as so_far:
            if NO_BUCKET in (so_far.stderr or b"") or time.monotonic() >= deadline:
                raise


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a program and all that it has started: asked first, so that it takes its lock away."""
    for which, patience in ((signal.SIGTERM, 10), (signal.SIGKILL, 10)):
        if process.poll() is not None:
            return
        try:
            os.killpg(process.pid, which)
            process.wait(patience)
        except (ProcessLookupError, subprocess.TimeoutExpired):
            continue


class _Receiver:
    """The program that a dump goes into."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self._tail = b""
        self._errors: list[bytes] = []

    def __enter__(self) -> _Receiver:
        try:
            self._process = subprocess.Popen(
                list(self._load.command),
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                start_new_session=True,
            )
        except OSError as error:
            raise BackupsError(f"{self._load.command[0]} can't be run: {error.strerror}") from None
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self.write(self._load.begin)
        return self

    def _read(self) -> None:
        if self._process.stderr:
            self._errors.append(self._process.stderr.read())

    def write(self, block: bytes) -> None:
        """Hand a part on. Raises BackupsError with what the program said where it has ended."""
        assert self._process.stdin is not None  # noqa: S101 - as asked
        self._tail = (self._tail + block)[-4096:]
        try:
            self._process.stdin.write(block)
        except OSError:
            self._process.wait(ASK_SECONDS)
            raise self._failure() from None

    def finish(self) -> None:
        """All has come. Raises BackupsError where it is not whole, or the program refuses it."""
        assert self._process.stdin is not None  # noqa: S101 - as asked
        if self._load.mark and self._load.mark not in self._tail:
            raise BackupsError("the dump breaks off before its end; nothing of it was kept")
        self.write(self._load.end)
        with suppress(OSError):  # its status says why
            self._process.stdin.close()
        self._process.wait(WORK_SECONDS)
        if self._process.returncode != 0:
            raise self._failure()

    def _failure(self) -> BackupsError:
        self._reader.join(ASK_SECONDS)
        lines = [line for line in b"".join(self._errors).decode(errors="replace").splitlines() if line.strip()]
        # The first complaint is the cause, and it may repeat a line of the data: the rest is left out.
        said = next((line for line in lines if "ERROR" in line.upper()), lines[0] if lines else "")
        return BackupsError(f"the dump was refused: {said.strip()[:300] or f'status {self._process.returncode}'}")

    def __exit__(self, *_: object) -> None:
        if self._process.stdin and not self._process.stdin.closed:
            with suppress(OSError):  # its status says why
                self._process.stdin.close()
        try:
            # Broken off: it takes back what it has, by itself.
            self._process.wait(30)
        except subprocess.TimeoutExpired:
            _end(self._process)
