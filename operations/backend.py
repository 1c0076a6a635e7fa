"""The files of a file backend: locks and torn writes of one stack.

Removes only files of zero bytes that no reader can use, and locks whose holder is proved dead. Other backends
(Pulumi Cloud, buckets) have no files here: the CLI's own messages and `pulumi cancel` are all there is.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from urllib.parse import unquote, urlsplit

from operations.cli import OperationError
from operations.processes import Process

# The clock of /proc and the one of the lock's timestamp may differ by this much.
CLOCK_SECONDS = 5.0


@dataclass(frozen=True)
class Lock:
    """One lock file, with what the CLI that made it wrote into it."""

    file: Path
    pid: int
    user: str
    host: str
    since: float  # seconds since the epoch


@dataclass(frozen=True)
class FileBackend:
    """The folder `.pulumi` of a file backend."""

    root: Path

    @classmethod
    def of(cls, url: str) -> FileBackend | None:
        """From a backend's URL; None for every other kind."""
        parts = urlsplit(url)
        if parts.scheme != "file":
            return None
        path = unquote(parts.path) if not parts.netloc else f"{parts.netloc}{unquote(parts.path)}"
        return cls(Path(path).expanduser() / ".pulumi")

    def locks(self, project: str, stack: str) -> list[Lock]:
        """The stack's locks. Raises OperationError for one that can't be read."""
        found = []
        for file in sorted((self.root / "locks" / "organization" / project / stack).glob("*.json")):
            try:
                said = json.loads(file.read_text())
                since = datetime.fromisoformat(_microseconds(said["timestamp"])).timestamp()
                found.append(Lock(file, int(said["pid"]), said["username"], said["hostname"], since))
            except FileNotFoundError:
                continue
            except (ValueError, KeyError, TypeError):
                if file.stat().st_size == 0:  # cut off while it was written
                    continue
                raise OperationError(
                    f"lock: {file} is no lock that this version understands; when no update runs anywhere: "
                    f"pulumi cancel --stack {stack}"
                ) from None
        return found

    def torn(self, project: str, stack: str) -> list[Path]:
        """Files of the stack that a cut-off write left empty, on which every command would fail."""
        folders = [
            self.root / "stacks" / project,
            self.root / "locks" / "organization" / project / stack,
            *(self.root / part / project / stack for part in ("history", "backups")),
        ]
        return sorted(
            file
            for folder in folders
            if folder.is_dir()
            for file in folder.iterdir()
            if file.is_file() and _is_torn(file, stack, folder.name)
        )


def _is_torn(file: Path, stack: str, folder: str) -> bool:
    if file.stat().st_size != 0:
        return False
    ours = folder == stack or file.name.startswith(f"{stack}.json")
    return ours and (file.suffix in {".attrs", ".tmp"} or ".tmp" in file.name or file.parent.parts[-4] == "locks")


def verdict(lock: Lock, read: Callable[[int], Process | None], host: str | None = None) -> str | None:
    """Why the lock's holder is proved dead, or None when it lives.

    Raises OperationError when that can't be told from here.
    """
    here = host or socket.gethostname()
    if lock.host != here:
        raise OperationError(
            f"lock: held by {lock.user} on {lock.host} (process {lock.pid}), which can't be seen "
            f"from {here}; run heal there, or make sure that no update runs there and then: pulumi cancel"
        )
    process = read(lock.pid)
    if process is None:
        return f"process {lock.pid} is gone"
    if process.started > lock.since + CLOCK_SECONDS:
        return f"its number, {lock.pid}, belongs to a younger process now"
    if not process.is_cli:
        return f"{process} is not Pulumi"
    return None


def _microseconds(timestamp: str) -> str:
    """The CLI writes nanoseconds, which Python 3.11 can't read."""
    text = timestamp.replace("Z", "+00:00")
    head, dot, rest = text.partition(".")
    if not dot:
        return text
    digits = len(rest) - len(rest.lstrip("0123456789"))
    return f"{head}.{rest[:digits][:6].ljust(6, '0')}{rest[digits:]}"
