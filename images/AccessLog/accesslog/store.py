"""The files that are being written, one a site: appended to, and rotated by a rename of this process's own.

A rotation is a rename and a new file between two writes of one thread: there is no moment at which a line has
nowhere to go. What happens to files afterwards is the keeper's.
"""

from __future__ import annotations

import datetime
import os
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

CURRENT = "access.log"
UNSERVED = "unserved"
# `@site line`: what the proxy writes for a request. Everything else is a message of its own.
_MARKED = re.compile(rb"@(\S*) (.*\n)", re.DOTALL)
_SITE = re.compile(rb"[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?(?:\.[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?)+")

Clock = Callable[[], float]  # seconds since the epoch


def sorted_by_site(lines: Iterable[bytes]) -> tuple[dict[str, list[bytes]], list[bytes]]:
    """(lines of each site, the proxy's own messages)."""
    sites: dict[str, list[bytes]] = {}
    messages: list[bytes] = []
    for line in lines:
        match = _MARKED.fullmatch(line)
        if match is None:
            messages.append(line)
            continue
        site = match[1].decode() if len(match[1]) < 256 and _SITE.fullmatch(match[1]) else UNSERVED
        sites.setdefault(site, []).append(match[2])
    return sites, messages


def day(seconds: float) -> str:
    """The day in UTC, as files are named."""
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC).date().isoformat()


@dataclass
class _File:
    path: Path
    fd: int
    day: str
    size: int


class Store:
    """All sites' files under `root`; a site that goes over `rotate_bytes` is rotated within its day."""

    def __init__(self, root: Path, rotate_bytes: int, clock: Clock) -> None:
        """Raises OSError when `root` can't be written to."""
        self.root, self.rotate_bytes, self._clock = root, rotate_bytes, clock
        if not os.access(root, os.W_OK | os.X_OK):
            raise PermissionError(f"{root} is not a folder that can be written to")
        self._files: dict[str, _File] = {}
        # What waits to be written, after a write that failed: it goes first.
        self._waiting: dict[str, bytes] = {}
        for path in sorted(root.glob(f"*/{CURRENT}")):
            self._open(path.parent.name)

    @property
    def waits(self) -> bool:
        """Whether something could not be written yet."""
        return bool(self._waiting)

    @property
    def waiting_lines(self) -> int:
        """How many lines that are."""
        return sum(data.count(b"\n") for data in self._waiting.values())

    def write(self, sites: dict[str, list[bytes]]) -> None:
        """Append. Raises OSError, after which `flush` writes what is left, as often as it takes."""
        for site, lines in sites.items():
            self._waiting[site] = self._waiting.get(site, b"") + b"".join(lines)
        self.flush()

    def flush(self) -> None:
        """Write all that waits; a site that fails holds up no other. Raises the first OSError."""
        failed: OSError | None = None
        for site in list(self._waiting):
            try:
                self._append(site)
            except OSError as error:
                failed = failed or error
        if failed is not None:
            raise failed

    def rotate(self, *, everything: bool = False) -> list[Path]:
        """Give yesterday's files their names, or all files; returns the new names. Raises OSError."""
        wanted = [site for site, file in self._files.items() if everything or self._is_over(file)]
        return [path for site in wanted if (path := self._rotate(site))]

    def close(self) -> None:
        """Everything on the disk."""
        for file in self._files.values():
            os.fsync(file.fd)
            os.close(file.fd)
        self._files.clear()

    def _is_over(self, file: _File) -> bool:
        return file.day != day(self._clock())

    def _append(self, site: str) -> None:
        file = self._file(site)
        if self._is_over(file) or file.size >= self.rotate_bytes:
            self._rotate(site)
            file = self._file(site)
        while data := self._waiting[site]:
            written = os.write(file.fd, data)  # on a full disk a part of it
            file.size += written
            self._waiting[site] = data[written:]
        del self._waiting[site]

    def _file(self, site: str) -> _File:
        """The site's open file, which somebody else may have moved or removed meanwhile."""
        file = self._files.get(site)
        if file is not None:
            try:
                same = os.path.samestat(file.path.stat(), os.fstat(file.fd))
            except FileNotFoundError:
                same = False  # it is made anew
            if same:
                return file
            os.close(self._files.pop(site).fd)
        return self._open(site)

    def _open(self, site: str) -> _File:
        folder = self.root / site
        folder.mkdir(mode=0o750, exist_ok=True)
        path = folder / CURRENT
        fd = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)
        status = os.fstat(fd)
        size = status.st_size
        if size and os.pread(fd, 1, size - 1) != b"\n":
            # The end of a line that a crash took away: it must not take the next one's beginning along.
            size += os.write(fd, b"\n")
        file = _File(path, fd, day(status.st_mtime if size else self._clock()), size)
        self._files[site] = file
        return file

    def _rotate(self, site: str) -> Path | None:
        file = self._file(site)
        if not file.size:
            file.day = day(self._clock())
            return None
        os.fsync(file.fd)
        target = _free_name(file.path.parent, file.day)
        file.path.rename(target)
        os.close(self._files.pop(site).fd)
        self._open(site)
        return target


def _free_name(folder: Path, of: str) -> Path:
    taken = [int(path.name.split(".")[1]) for path in folder.glob(f"{of}.*.log*") if path.name.split(".")[1].isdigit()]
    return folder / f"{of}.{max(taken, default=0) + 1:03d}.log"
