"""How restic is called: with its secrets, and within a limit of time.

Makes: `Calls`, bound to one repository; the only caller of restic (restic.py says what for, complaints.py what its
failures mean). Secrets go by the environment and by files in a folder of root's own in memory, never by arguments.
restic 0.17 or newer: its exit statuses and `--stdin-from-command`
(https://restic.readthedocs.io/en/stable/075_scripting.html).
"""

from __future__ import annotations

import os
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from apiary_backups.complaints import NO_REPOSITORY, Complaints
from apiary_backups.config import Config
from apiary_backups.errors import BackupsError, UnreachableError
from apiary_backups.loading import end

PROGRAM = "restic"
# Whoever is killed here leaves nobody who holds the repository's lock, or writes into what the next verb clears away.
# The kernel is told first; who was killed before it knew is seen by the shell.
_WITH_US = ("setpriv", "--pdeathsig", "TERM", "--", "sh", "-c", '[ "$PPID" = "$0" ] && exec "$@"')
RUN = Path(os.environ.get("APIARY_BACKUPS_RUN", "/run/apiary-backups"))
CACHE = Path(os.environ.get("APIARY_BACKUPS_CACHE", "/var/cache/apiary-backups"))
# restic itself asks a repository that does not answer for a quarter of an hour.
PROBE_SECONDS = 60
LOOK_SECONDS = 1.0
# What S3 says (NoSuchBucket), and restic 0.18 waits for it to become another thing; `init` makes the bucket.
NO_BUCKET = b"The specified bucket does not exist"
# What restic 0.18 says before it tries something once more, and when that was of use.
TRIES, RETRIED = b"retrying after", b"operation successful after"
# How long it may try the same in vain, as with a repository that is full; and after that was of no use.
PATIENCE_SECONDS, PATIENCE_AGAIN_SECONDS = 300.0, 30.0
ASK_SECONDS = 300
WORK_SECONDS = 12 * 3600
# Of memory: with packs of 8 MiB half of what it takes by default, on a server of 1 GiB.
# And of what it has to say of its progress thirty times a second, which is kept until its end.
SPARING = {"GOGC": "20", "GOMAXPROCS": "1", "RESTIC_PROGRESS_FPS": "0.1"}
CONNECT_SECONDS = 15


def with_us() -> list[str]:
    """The words before those of a program that ends when this process does, however that ends."""
    return [*_WITH_US, str(os.getpid())]


@dataclass(frozen=True)
class Done:
    """How a call has ended."""

    status: int
    output: bytes
    errors: bytes


class Calls:
    """To the repository of one server."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self.complaints = Complaints(config)
        self._patience = PATIENCE_SECONDS

    def command(self, *arguments: str) -> list[str]:
        """The words of a call, which hold no secret. Files that they name are written (`environment`)."""
        return [
            *with_us(),
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

    def output(self, arguments: Sequence[str], seconds: float = ASK_SECONDS, within: Path | None = None) -> str:
        """Standard output. Raises BackupsError of the kind that the failure is."""
        done = self.done(arguments, seconds, within)
        if done.status != 0:
            raise self.complaints.failure(arguments[0], done.status, done.errors)
        return done.output.decode(errors="replace")

    def done(self, arguments: Sequence[str], seconds: float, within: Path | None = None) -> Done:
        begun = time.monotonic()
        # Not into pipes: when this process is killed, restic says that it was asked to end, and dies of a pipe without
        # a reader before its lock is away. In memory, since a full disk must keep nothing from being saved.
        with _memory() as output, _memory() as errors:
            process = self._start(arguments, within, output, errors)
            try:
                _await(process, errors, seconds, self._patience)
            except subprocess.TimeoutExpired:
                end(process)
                said = _written(errors)
                if NO_BUCKET in said:
                    raise self.complaints.failure(arguments[0], NO_REPOSITORY, said) from None
                if (past := time.monotonic() - begun) < seconds:
                    # Whatever is asked next has the same answer, as a rule.
                    self._patience = PATIENCE_AGAIN_SECONDS
                    raise UnreachableError(
                        f"{self.complaints.place} takes or gives nothing, tried for {past:.0f} s ({arguments[0]}): "
                        f"{self.complaints.last(said)}"
                    ) from None
                raise self.complaints.late(arguments[0], seconds, said) from None
            except BaseException:
                end(process)
                raise
            return Done(process.returncode, _written(output), _written(errors))

    def _start(
        self,
        arguments: Sequence[str],
        within: Path | None = None,
        output: IO[bytes] | int = subprocess.PIPE,
        errors: IO[bytes] | int = subprocess.PIPE,
    ) -> subprocess.Popen[bytes]:
        try:
            return subprocess.Popen(
                self.command(*arguments),
                env=self.environment(),
                cwd=within,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=errors,
                # So that what it has started, such as ssh, ends with it.
                start_new_session=True,
            )
        except OSError as error:
            raise BackupsError(f"{PROGRAM} can't be run: {error.strerror}; run pulumi up, which installs it") from None

    @contextmanager
    def dumping(self, snapshot: str, path: str) -> Iterator[IO[bytes]]:
        """A file of a snapshot, as a stream; its end is checked on leaving."""
        process = self._start(["dump", "--no-lock", snapshot, path])
        assert process.stdout is not None  # noqa: S101 - as asked
        assert process.stderr is not None  # noqa: S101
        errors: list[bytes] = []
        reader = threading.Thread(target=self._listen, args=(process, process.stderr, errors), daemon=True)
        reader.start()
        late = threading.Timer(WORK_SECONDS, end, args=(process,))
        late.start()
        try:
            yield process.stdout
            rest = process.stdout.read(1)
            process.wait(PROBE_SECONDS)
            reader.join(PROBE_SECONDS)
            if process.returncode != 0:
                raise self.complaints.failure("dump", process.returncode, b"".join(errors))
            if rest:
                raise BackupsError(f"snapshot {snapshot[:8]} was not read to its end")
        finally:
            late.cancel()
            end(process)
            process.stdout.close()

    def _listen(self, process: subprocess.Popen[bytes], said: IO[bytes], errors: list[bytes]) -> None:
        """Collect what a program complains of, and end it where it tries the same thing in vain for too long."""
        in_vain: threading.Timer | None = None
        for line in said:
            errors.append(line)
            if TRIES in line and in_vain is None:
                in_vain = threading.Timer(self._patience, end, args=(process,))
                in_vain.daemon = True
                in_vain.start()
            elif RETRIED in line and in_vain is not None:
                in_vain.cancel()
                in_vain = None
        if in_vain is not None:
            in_vain.cancel()


def _write(path: Path, text: str) -> None:
    if path.exists() and path.read_text() == text:
        return
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)
    fresh.replace(path)


def _memory() -> IO[bytes]:
    """A file that is nowhere but in memory."""
    return os.fdopen(os.memfd_create("apiary-backups"), "w+b")


def _written(file: IO[bytes]) -> bytes:
    """All that a program has written to a file so far; leaves alone where it writes on."""
    return os.pread(file.fileno(), os.fstat(file.fileno()).st_size, 0)


def _await(process: subprocess.Popen[bytes], errors: IO[bytes], seconds: float, patience: float) -> None:
    """Until a program has ended. Raises TimeoutExpired, where more time would not help at once, and after `patience`
    seconds in which it has tried the same thing again and again.
    """
    deadline, in_vain = time.monotonic() + seconds, None
    while True:
        try:
            process.wait(min(LOOK_SECONDS, max(0.0, deadline - time.monotonic())))
        except subprocess.TimeoutExpired:
            said, moment = _written(errors), time.monotonic()
            if NO_BUCKET in said or moment >= deadline:
                raise
            in_vain = (in_vain or moment) if said.rfind(TRIES) > said.rfind(RETRIED) else None
            if in_vain is not None and moment - in_vain >= patience:
                raise
        else:
            return
