"""Requests to a Docker engine over its unix socket, TCP, or `ssh ... docker system dial-stdio`.

Makes: `Engine`, thread-safe, with a pool of kept-alive connections. A connection over ssh is one `ssh`
process whose standard input and output are a socket pair, so that plain HTTP/1.1 runs over it. Errors are
`EngineError` with the texts of the official client. Opens nothing before the first request.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import select
import socket
import subprocess
import threading
from collections.abc import Iterator
from urllib.parse import quote, urlencode, urlsplit

from provider.protocol.base import Value

CLIENT_API = (1, 51)  # newest API version that the official client speaks
ANSWER_TIMEOUT = 1200.0  # seconds: as long as the longest operation may take by default


class EngineError(Exception):
    """A request failed; `status` is the HTTP status, 0 when there was no answer."""

    def __init__(self, text: str, status: int = 0) -> None:
        super().__init__(text)
        self.status = status


def ssh_command(host: str, options: list[str]) -> list[str]:
    """The command that reaches the engine of `ssh://[user@]host[:port][/socket]`."""
    url = urlsplit(host)
    command = ["ssh"]
    if url.username:
        command += ["-l", url.username]
    if url.port:
        command += ["-p", str(url.port)]
    command += options
    if not any("ConnectTimeout" in option for option in options):
        command += ["-o", "ConnectTimeout=30"]
    remote = ["docker", "--host", f"unix://{url.path}"] if url.path.strip("/") else ["docker"]
    return [*command, "-T", "--", url.hostname or "", *remote, "system", "dial-stdio"]


class Connection(http.client.HTTPConnection):
    """An HTTP connection over a unix socket, TCP, or an ssh process."""

    def __init__(self, host: str, ssh_options: list[str], timeout: float) -> None:
        super().__init__("docker.example.com", timeout=timeout)
        self.target = host
        self.ssh_options = ssh_options
        self.process: subprocess.Popen[bytes] | None = None
        self.connected = False

    def connect(self) -> None:
        """Open the transport. Raises OSError."""
        url = urlsplit(self.target)
        if url.scheme == "unix":
            self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            self.sock.connect(url.path)
        elif url.scheme == "ssh":
            ours, theirs = socket.socketpair()
            self.process = subprocess.Popen(
                ssh_command(self.target, self.ssh_options),
                stdin=theirs.fileno(),
                stdout=theirs.fileno(),
                stderr=subprocess.PIPE,
            )
            theirs.close()
            self.sock = ours
        else:
            self.sock = socket.create_connection((url.hostname or "", url.port or 2375), timeout=30)
        self.sock.settimeout(self.timeout)
        self.connected = True

    def alive(self) -> bool:
        """Whether an idle connection can be used again: nothing has arrived on it, not even its end."""
        if self.sock is None or (self.process is not None and self.process.poll() is not None):
            return False
        readable, _, _ = select.select([self.sock], [], [], 0)
        return not readable

    def reason(self) -> str:
        """Why the ssh process has ended, in the official client's words; empty for other transports."""
        if self.process is None:
            return ""
        try:
            _, errors = self.process.communicate(timeout=5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            _, errors = self.process.communicate()
        command = " ".join(ssh_command(self.target, self.ssh_options))
        return (
            f"command [{command}] has exited with exit status {self.process.returncode}, "
            "make sure the URL is valid, and Docker 18.09 or later is installed on the remote host: "
            f"stderr={errors.decode(errors='replace')}"
        )

    def dispose(self) -> None:
        """Close the transport and reap the ssh process, which ends when its input does.

        Not `close`: http.client calls that by itself on an error, when the reason is still to be read.
        """
        self.close()
        if self.process is not None:
            if self.process.poll() is None:
                self.process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(timeout=5)
            if self.process.stderr is not None:
                self.process.stderr.close()


class Engine:
    """One engine.

    `host`: unix://, tcp:// or ssh:// address; `check`: ping it once before the first request.
    """

    def __init__(self, host: str, ssh_options: list[str], check: bool = True) -> None:
        self.host, self.ssh_options, self.check = host, ssh_options, check
        self._idle: list[Connection] = []
        self._lock = threading.Lock()
        self._ready = threading.Lock()
        self.api: tuple[int, int] | None = None

    def prepare(self) -> None:
        """Ping the engine and agree on an API version, once. Raises EngineError where `check` is on."""
        with self._ready:
            if self.api is not None:
                return
            try:
                headers = self._exchange("HEAD", "/_ping", None, ANSWER_TIMEOUT)[1]
            except EngineError as error:
                if self.check:
                    raise EngineError(
                        "failed to create Docker client: Error pinging Docker server, please make sure that "
                        f"{self.host} is reachable and has a  '_ping' endpoint. Error: {error}"
                    ) from error
                return  # a later request will say what is wrong
            major, _, minor = headers.get("Api-Version", "1.24").partition(".")
            self.api = min(CLIENT_API, (int(major), int(minor or 0)))

    def call(
        self,
        method: str,
        path: str,
        query: dict[str, Value] | None = None,
        body: Value = None,
        *,
        timeout: float = ANSWER_TIMEOUT,
        raw: bool = False,
        content_type: str = "application/json",
    ) -> Value:
        """Send a request; returns the answer's JSON, or its bytes with `raw`. Raises EngineError."""
        self.prepare()
        version = self.api or CLIENT_API
        target = f"/v{version[0]}.{version[1]}{quote(path, safe='/:@')}"
        if query:
            target += "?" + urlencode({k: str(v).lower() if isinstance(v, bool) else v for k, v in query.items()})
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        status, _, answer = self._exchange(method, target, data, timeout, content_type)
        if status >= 400:
            raise EngineError("Error response from daemon: " + _message(answer), status)
        if raw:
            return answer
        return json.loads(answer) if answer.strip() else None

    def _exchange(
        self,
        method: str,
        target: str,
        data: bytes | None,
        timeout: float,
        content_type: str = "application/json",
    ) -> tuple[int, http.client.HTTPMessage, bytes]:
        connection = self._take(timeout)
        headers = {"Content-Type": content_type} if data is not None else {}
        try:
            connection.request(method, target, body=data, headers=headers)
            answer = connection.getresponse()
            content = answer.read()
        except TimeoutError as error:
            connection.dispose()
            raise EngineError("context deadline exceeded") from error
        except (OSError, http.client.HTTPException) as error:
            text = self._no_answer(method, target, connection, error)
            connection.dispose()
            raise EngineError(text) from error
        if answer.will_close:
            connection.dispose()
        else:
            with self._lock:
                self._idle.append(connection)
        return answer.status, answer.headers, content

    def _no_answer(self, method: str, target: str, connection: Connection, error: Exception) -> str:
        reason = connection.reason()
        if reason:
            return f'error during connect: {method.capitalize()} "http://docker.example.com{target}": {reason}'
        if not connection.connected:
            return f"Cannot connect to the Docker daemon at {self.host}. Is the docker daemon running?"
        return f'error during connect: {method.capitalize()} "http://docker.example.com{target}": {error}'

    def _take(self, timeout: float) -> Connection:
        with self._lock:
            while self._idle:
                connection = self._idle.pop()
                if connection.alive():
                    connection.timeout = timeout
                    connection.sock.settimeout(timeout)
                    return connection
                connection.dispose()
        return Connection(self.host, self.ssh_options, timeout)

    def close(self) -> None:
        """Close idle connections."""
        with self._lock:
            for connection in self._idle:
                connection.dispose()
            self._idle.clear()


def _message(answer: bytes) -> str:
    try:
        return str(json.loads(answer)["message"])
    except (ValueError, KeyError, TypeError):
        return answer.decode(errors="replace").strip()


def frames(stream: bytes) -> Iterator[bytes]:
    """The payloads of a multiplexed log stream (8-byte headers), in their order."""
    position = 0
    while position + 8 <= len(stream):
        size = int.from_bytes(stream[position + 4 : position + 8], "big")
        yield stream[position + 8 : position + 8 + size]
        position += 8 + size
