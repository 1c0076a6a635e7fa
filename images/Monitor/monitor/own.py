"""What the monitor answers itself: inside, the metrics that come by sockets and the ways to who is told; outside, its
health.

The host's node exporter and the proxy are asked by sockets in folders that this container mounts: nobody else reaches
them, and they listen on no network. Messages go by here, and not from Alertmanager itself, because it writes the
address of a webhook that fails into its log, and who knows such an address may use it.
"""

from __future__ import annotations

import http.client
import socket
import sys
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.request import Request, urlopen

from monitor import ntfy
from monitor.watch import Watch

SECONDS = 8
MOST = 1024 * 1024  # bytes of a message


class _ByPath(http.client.HTTPConnection):
    """HTTP over a socket of this machine."""

    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=SECONDS)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(SECONDS)
        self.sock.connect(str(self._path))


def fetch(path: Path, what: str) -> bytes:
    """The body that a socket's owner answers a GET with. Raises OSError, http.client.HTTPException."""
    connection = _ByPath(path)
    try:
        connection.request("GET", what)
        answer = connection.getresponse()
        body = answer.read()
        if answer.status != http.client.OK:
            raise OSError(f"status {answer.status}")
        return body
    finally:
        connection.close()


class Inside:
    """Answers at 127.0.0.1 alone. `sources`: path of a request -> socket and what is asked there."""

    def __init__(self, sources: dict[str, tuple[Path, str]], watch: Callable[[], Watch], port: int) -> None:
        outer = self

        class Handler(_Quiet):
            def do_GET(self) -> None:
                self.say(*outer.metrics(self.path))

            def do_POST(self) -> None:
                length = self.headers.get("Content-Length", "")
                size = int(length) if length.isascii() and length.isdigit() else MOST + 1
                self.say(*(outer.pass_on(self.path, self.rfile.read(size)) if size <= MOST else (413, b"too much\n")))

        self._sources, self._watch = sources, watch
        self.server = _serve(Handler, "127.0.0.1", port)

    def metrics(self, path: str) -> tuple[int, bytes]:
        """Status and body of the metrics that come by a socket."""
        if path not in self._sources:
            return 404, b"there is nothing here\n"
        try:
            return 200, fetch(*self._sources[path])
        except (OSError, http.client.HTTPException) as error:
            return 502, f"{self._sources[path][0]}: {error!r}\n".encode()

    def pass_on(self, path: str, told: bytes) -> tuple[int, bytes]:
        """Hand on Alertmanager's message; 502 has Alertmanager try again, and count it."""
        watch = self._watch()
        addresses = {f"/webhook/{number}": url for number, url in enumerate(watch.webhooks)}
        if watch.heartbeat:
            addresses["/heartbeat"] = watch.heartbeat
        try:
            if path == "/ntfy" and watch.ntfy:
                ntfy.deliver(told, watch.ntfy)
            elif path in addresses:
                _post(addresses[path], told)
            else:
                return 404, b"there is nothing here\n"
        except (OSError, ValueError, KeyError, TypeError, http.client.HTTPException) as error:
            # Without the address: none of these errors says it.
            print(f"monitor: a message is not taken by {path[1:]}: {error!r}", file=sys.stderr, flush=True)
            return 502, b"not taken\n"
        return 200, b"taken\n"


def _post(url: str, told: bytes) -> None:
    request = Request(url, data=told, method="POST")  # noqa: S310 - checked with the stack file
    request.add_header("Content-Type", "application/json")
    with urlopen(request, timeout=SECONDS) as answer:  # noqa: S310
        answer.read()


class Outside:
    """Answers /healthz at every address: whether `well`."""

    def __init__(self, well: Callable[[], bool], port: int) -> None:
        class Handler(_Quiet):
            def do_GET(self) -> None:
                if self.path != "/healthz":
                    self.say(404, b"there is nothing here\n")
                elif well():
                    self.say(200, b"well\n")
                else:
                    self.say(503, b"not well\n")

        self.server = _serve(Handler, "", port)


class _Quiet(BaseHTTPRequestHandler):
    timeout = SECONDS

    def say(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Every look would be a line."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """Who asks may have enough with the first line, as the health check has, and leave."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]


def _serve(handler: type[BaseHTTPRequestHandler], address: str, port: int) -> ThreadingHTTPServer:
    server = _Server((address, port), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server
