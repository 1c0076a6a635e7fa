"""How a dump gets into a program that reads it: whole, or not at all.

Makes: `Load`, what is run and how a whole dump is told; `Receiver`, that program while it reads; `end`, which ends any
program of these tools and all that it has started.
"""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from apiary_backups.errors import BackupsError

END_SECONDS = 300
LOAD_SECONDS = 12 * 3600


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


class Receiver:
    """The program that a dump goes into."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self._tail = b""
        self._errors: list[bytes] = []

    def __enter__(self) -> Receiver:
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
        try:
            self.write(self._load.begin)
        except BaseException:
            self.__exit__()
            raise
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
            self._process.wait(END_SECONDS)
            raise self._failure() from None

    def finish(self) -> None:
        """All has come. Raises BackupsError where it is not whole, or the program refuses it."""
        assert self._process.stdin is not None  # noqa: S101 - as asked
        if self._load.mark and self._load.mark not in self._tail:
            raise BackupsError("the dump breaks off before its end; nothing of it was kept")
        self.write(self._load.end)
        with suppress(OSError):  # its status says why
            self._process.stdin.close()
        self._process.wait(LOAD_SECONDS)
        if self._process.returncode != 0:
            raise self._failure()

    def _failure(self) -> BackupsError:
        self._reader.join(END_SECONDS)
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
            end(self._process)


def end(process: subprocess.Popen[bytes]) -> None:
    """End a program and all that it has started: asked first, so that it takes its lock away."""
    for which, patience in ((signal.SIGTERM, 10), (signal.SIGKILL, 10)):
        if process.poll() is not None:
            return
        try:
            os.killpg(process.pid, which)
            process.wait(patience)
        except (ProcessLookupError, subprocess.TimeoutExpired):
            continue
