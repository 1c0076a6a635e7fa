"""Sessions in containers, as of somebody who has logged in: one `docker exec` for many commands.

Each `docker exec` costs the engine and its helpers a tenth of a second of processor time, and tests ask a lot.
"""

from __future__ import annotations

import json
import os
import select
import subprocess
import time
from typing import Any

SECONDS = 300
# Runs in the container: reads a command a line, says that it has, and answers with the command's end.
AGENT = """
import json, subprocess, sys
for line in sys.stdin:
    print("begun", flush=True)
    command, stdin = json.loads(line)
    try:
        done = subprocess.run(command, input=stdin.encode(), capture_output=True)
        end = [done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace")]
    except OSError as error:
        end = [127, "", str(error)]
    print(json.dumps(end), flush=True)
"""
KILLED = 137  # what `docker exec` ends with when its container is stopped


class _Session:
    def __init__(self, container: str) -> None:
        command = ["docker", "exec", "-i", container, "python3", "-u", "-c", AGENT]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0)
        self._said = b""

    @property
    def lives(self) -> bool:
        return self._process.poll() is None

    def begin(self, command: tuple[str, ...], stdin: str) -> bool:
        """Whether the command has begun: else it never will."""
        assert self._process.stdin is not None
        try:
            asked = memoryview(json.dumps([command, stdin]).encode() + b"\n")
            while asked:
                asked = asked[self._process.stdin.write(asked) :]
        except OSError:
            return False
        return bool(self._line(command))

    def end(self, command: tuple[str, ...]) -> subprocess.CompletedProcess[str]:
        line = self._line(command)
        end: list[Any] = json.loads(line) if line else [KILLED, "", "its container was stopped"]
        return subprocess.CompletedProcess(command, *end)

    def close(self) -> None:
        """Ends it, and what runs in it."""
        self._process.kill()
        self._process.communicate()

    def _line(self, command: tuple[str, ...]) -> bytes:
        """The next line that it says; nothing when it has ended."""
        assert self._process.stdout is not None
        answers, deadline = self._process.stdout.fileno(), time.monotonic() + SECONDS
        said_something = select.poll()  # not `select`, which ends at 1024 open files
        said_something.register(answers, select.POLLIN)
        while b"\n" not in self._said:
            if not said_something.poll(max(0, deadline - time.monotonic()) * 1000):
                self.close()
                raise AssertionError(f"{command} did not end within {SECONDS} s")
            said = os.read(answers, 1 << 16)
            if not said:
                return b""
            self._said += said
        line, _, self._said = self._said.partition(b"\n")
        return line


class Sessions:
    """Those in one container, which nobody uses at the moment: a command that is asked for meanwhile has another."""

    def __init__(self, container: str) -> None:
        self._container = container
        self._free: list[_Session] = []

    @property
    def live(self) -> bool:
        """Whether there is one: then the container has not been stopped."""
        return any(session.lives for session in self._free)

    def run(self, command: tuple[str, ...], stdin: str = "") -> subprocess.CompletedProcess[str]:
        """A command in the container, whatever its end; that of `docker exec` where the container does not run."""
        while session := self._next():
            if session.lives and session.begin(command, stdin):
                return self._ended(session, command)
            session.close()
        session = _Session(self._container)
        if session.begin(command, stdin):
            return self._ended(session, command)
        session.close()
        return subprocess.CompletedProcess(command, 1, "", f"{self._container} can't be entered")

    def _next(self) -> _Session | None:
        try:
            return self._free.pop()
        except IndexError:  # perhaps another thread has taken the last one just now
            return None

    def _ended(self, session: _Session, command: tuple[str, ...]) -> subprocess.CompletedProcess[str]:
        done = session.end(command)
        if session.lives:
            self._free.append(session)
        return done

    def close(self) -> None:
        while self._free:
            self._free.pop().close()
