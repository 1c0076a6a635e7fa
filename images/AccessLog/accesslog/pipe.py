"""The proxy's pipe, read as whole lines.

It is opened for both ways, as the proxy does: it then holds what is in it for as long as one of the two lives,
and its end is never reached. It is a queue, so what is not read before this process ends is the next one's.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import stat
from pathlib import Path

# The most that an unprivileged process may ask for, some thousand lines: what comes while nobody reads.
CAPACITY = 2**20
CHUNK = 2**18
_LONGEST = 2**16  # the proxy's lines are at most 4096 bytes


class Pipe:
    """One FIFO, which may not be there yet and may be made anew."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._fd: int | None = None
        self._rest = b""

    @property
    def is_open(self) -> bool:
        """Whether there is a pipe to read."""
        return self._fd is not None

    def find(self) -> bool:
        """Open what is at the path now; whether there is a pipe. One that is read already stays open."""
        try:
            status = self.path.stat()
        except FileNotFoundError:
            # As long as it is only out of sight, the proxy still writes to it.
            return self.is_open
        if not stat.S_ISFIFO(status.st_mode):
            return self.is_open
        if self._fd is not None and os.path.samestat(status, os.fstat(self._fd)):
            return True
        try:
            fd = os.open(self.path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        except (FileNotFoundError, PermissionError):  # the proxy is just making it anew
            return self.is_open
        with contextlib.suppress(PermissionError):  # over the user's share of pipes: it stays as large as it is
            fcntl.fcntl(fd, fcntl.F_SETPIPE_SZ, CAPACITY)
        self.close()
        self._fd = fd
        return True

    def lines(self, seconds: float) -> list[bytes]:
        """The lines that are there within so many seconds, with their ends; none after that time."""
        if self._fd is None:
            return []
        poll = select.poll()
        poll.register(self._fd, select.POLLIN)
        return self._split(self._read(CHUNK)) if poll.poll(seconds * 1000) else []

    def finish(self) -> list[bytes]:
        """The rest of a line that was read in part: nothing is left in between for the next reader."""
        found: list[bytes] = []
        while self._rest and (more := self._read(1)):
            found += self._split(more)
        return found

    def close(self) -> None:
        """Leave the pipe."""
        if self._fd is not None:
            os.close(self._fd)
        self._fd, self._rest = None, b""

    def _read(self, most: int) -> bytes:
        if self._fd is None:
            return b""
        try:
            return os.read(self._fd, most)
        except BlockingIOError:
            return b""

    def _split(self, data: bytes) -> list[bytes]:
        *whole, self._rest = (self._rest + data).split(b"\n")
        if len(self._rest) > _LONGEST:
            whole, self._rest = [*whole, self._rest], b""
        return [line + b"\n" for line in whole]
