"""Docker, as far as it can be reached from here: start a job, and wait for the end of the container it runs in.

The socket is that of the host's `apiary-docker-access`, which answers these two requests for the jobs that this
application refers to, and nothing else. It knows a job by its name, and tells which container that is now.
"""

from __future__ import annotations

import http.client
import json
import socket
from dataclasses import dataclass
from pathlib import Path

SOCKET = Path("/run/apiary/docker.sock")
# A start may have to wait for a busy disk; a wait has no limit but the job's own, which the host keeps.
START_SECONDS = 120
CONTAINER = "Apiary-Container"


class UnreachableError(Exception):
    """Nobody answers, for now: Docker or the access is being restarted."""


class RefusedError(Exception):
    """Docker or the access to it says no; str() is why."""


class GoneError(RefusedError):
    """There is no such container, or it is just being removed."""


@dataclass(frozen=True)
class Begun:
    """A container that runs."""

    container: str
    fresh: bool  # whether it has been started now; it ran already otherwise


class Docker:
    """The jobs that may be started, by their names."""

    def __init__(self, path: Path = SOCKET) -> None:
        self._path = path

    def start(self, job: str) -> Begun:
        """Start it, unless it runs already. Raises UnreachableError, RefusedError, GoneError."""
        status, answer, container = self._ask(job, "start", START_SECONDS)
        if status in {204, 304}:
            return Begun(container, status == 204)
        raise _error(status, answer)

    def wait(self, container: str) -> tuple[int, str]:
        """Wait for its end: exit status, and a word on it where there is one. Raises as `start`."""
        status, answer, _ = self._ask(container, "wait", None)
        if status != 200:
            raise _error(status, answer)
        try:
            told = json.loads(answer)
            return int(told["StatusCode"]), str((told.get("Error") or {}).get("Message") or "")
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise UnreachableError(f"an answer that can't be read: {answer[:200]!r}") from error

    def _ask(self, name: str, what: str, seconds: float | None) -> tuple[int, bytes, str]:
        """Status, answer, and the container that it is about."""
        connection = _Connection(self._path, seconds)
        try:
            connection.request("POST", f"/containers/{name}/{what}", headers={"Content-Length": "0"})
            answer = connection.getresponse()
            return answer.status, answer.read(), answer.getheader(CONTAINER, name)
        except (OSError, http.client.HTTPException) as error:
            raise UnreachableError(f"{self._path}: {error or type(error).__name__}") from error
        finally:
            connection.close()


class _Connection(http.client.HTTPConnection):
    def __init__(self, path: Path, seconds: float | None) -> None:
        super().__init__("docker", timeout=seconds)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


def _error(status: int, answer: bytes) -> Exception:
    try:
        message = str(json.loads(answer)["message"])
    except (ValueError, KeyError, TypeError):
        message = answer[:200].decode(errors="replace")
    # The access says 502 and 503 of a Docker that is away, or of too many at once.
    kinds: dict[int, type[Exception]] = {404: GoneError, 409: GoneError, 502: UnreachableError, 503: UnreachableError}
    return kinds.get(status, RefusedError)(message)
