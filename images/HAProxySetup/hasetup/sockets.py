"""HAProxy's command sockets: one command a connection, and the reload through the master.

From 2.7 on `reload` answers `Success=1` or `Success=0` and why. 2.6 closes the connection without a word;
there `show proc` tells afterwards: the master counts its reloads, and the failed ones in a row.
"""

from __future__ import annotations

import re
import socket
import time
from dataclasses import dataclass
from pathlib import Path

_MASTER = re.compile(
    r"^\d+\s+master\s+(?P<reloads>\d+)(?:\s+\[failed:\s*(?P<failed>\d+)\])?"
    r"\s+(?P<days>\d+)d(?P<hours>\d+)h(?P<minutes>\d+)m(?P<seconds>\d+)s",
    re.MULTILINE,
)
POLL = 0.05  # seconds


class NotRunningError(Exception):
    """Nobody listens on the socket."""


class ReloadError(Exception):
    """The proxy did not take the configuration; str() is what it said."""


@dataclass(frozen=True)
class Master:
    """What `show proc` says of the master."""

    reloads: int
    failed: int
    age: int  # seconds since it was started, whole ones; a reload doesn't make it young again


def ask(path: Path, command: str, timeout: float = 10.0) -> str:
    """The answer to one command. Raises NotRunningError, or OSError when the answer does not end in time."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(timeout)
        try:
            connection.connect(str(path))
        except (FileNotFoundError, ConnectionRefusedError) as error:
            raise NotRunningError(f"nobody listens on {path}") from error
        connection.sendall(command.encode() + b"\n")
        # Without the half-close the master waits for another command.
        connection.shutdown(socket.SHUT_WR)
        answer = bytearray()
        while chunk := connection.recv(65536):
            answer += chunk
    return answer.decode(errors="replace").strip()


def master(path: Path) -> Master:
    """State of the master. Raises NotRunningError, ReloadError when the answer is not understood."""
    answer = ask(path, "show proc")
    match = _MASTER.search(answer)
    if match is None:
        raise ReloadError(f"the proxy's master answers `show proc` with: {answer or 'nothing'}")
    found = {name: int(value or 0) for name, value in match.groupdict().items()}
    hours = found["days"] * 24 + found["hours"]
    return Master(found["reloads"], found["failed"], (hours * 60 + found["minutes"]) * 60 + found["seconds"])


def reload(path: Path, timeout: float = 30.0) -> None:
    """Reload and return when the new worker serves, or when it was started anew meanwhile, and so has read its file.

    Raises NotRunningError, ReloadError.
    """
    before, asked = master(path), time.monotonic()
    try:
        answer = ask(path, "reload", timeout)
    except ConnectionResetError:
        answer = ""  # 2.6 may close before it has read our end
    except TimeoutError as error:
        raise ReloadError(f"the proxy has not answered the reload within {timeout:.0f} seconds") from error
    if "Success=1" in answer:
        return
    if "Success=0" in answer:
        raise ReloadError(answer)
    _wait(path, before, asked, timeout)


def _wait(path: Path, before: Master, asked: float, timeout: float) -> None:
    deadline = time.monotonic() + timeout
    last = "no answer"
    while time.monotonic() < deadline:
        try:
            now = master(path)
        except (NotRunningError, OSError, ReloadError) as error:
            last = str(error)  # it listens again in a moment
        else:
            # A master that was started anew counts from nothing. A second more, because ages are whole seconds.
            if now.age + 1 < before.age + (time.monotonic() - asked) - POLL:
                return
            if now.reloads > before.reloads and now.failed == 0:
                return
            if now.reloads > before.reloads:
                raise ReloadError("the proxy refused it and keeps the old one; its log has the line")
            last = f"still at reload {now.reloads}"
        time.sleep(POLL)
    raise ReloadError(f"the proxy has not reloaded within {timeout:.0f} seconds: {last}")
