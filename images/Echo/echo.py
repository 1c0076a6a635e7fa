"""A demo application: answers with the request as it arrived.

    /                          client, X-Forwarded-For, host, headers, version as JSON (text for text/plain)
    /slow?seconds=             the same, after so many seconds (at most 600)
    /download?bytes=&seconds=  so many bytes (at most 1 GiB), spread evenly over the seconds
    /status?code=              the same, with this status (200 to 599)
    /head?bytes=&lines=        the same, with so many bytes in each of so many lines of the head (at most 1 MiB in all)
    /websocket                 a WebSocket that sends back each short message (at most 125 bytes)

On SIGTERM it takes no new connection, finishes what runs, and ends.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import MappingProxyType
from typing import Any
from urllib.parse import parse_qs, urlsplit

IDLE = 60.0  # seconds a kept connection may wait for its next request
BLOCK = b"apiary " * 2340  # about 16 KiB
# Of RFC 6455.
ACCEPT = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
FINAL_TEXT, CLOSE = 0x81, 8


class Server(ThreadingHTTPServer):
    """Both families on one socket, one thread a connection, and an end that breaks off nothing."""

    address_family = socket.AF_INET6
    request_queue_size = 512
    daemon_threads = True

    def __init__(self, port: int, version: str, unhealthy: bool) -> None:
        """Listen on `port` of every address; `unhealthy` answers / with 500."""
        self.version, self.unhealthy = version, unhealthy
        self.stopping = threading.Event()
        self._lock = threading.Condition()
        self._open: set[socket.socket] = set()
        super().__init__(("::", port), Handler)

    def server_bind(self) -> None:
        """As the base class, for IPv4 too, and without its look-up of our own name."""
        self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        self.socket.bind(self.server_address)
        self.server_name, self.server_port = "echo", self.socket.getsockname()[1]

    def process_request(self, request: Any, client_address: Any) -> None:  # noqa: ANN401
        """Count the connection before its thread starts, so that a stop cannot miss it."""
        with self._lock:
            self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:  # noqa: ANN401
        """The connection has ended."""
        super().shutdown_request(request)
        with self._lock:
            self._open.discard(request)
            self._lock.notify_all()

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ANN401
        """One line for a visitor who went away instead of a traceback."""
        print(f"echo: {client_address[0]}: {sys.exc_info()[1]!r}", file=sys.stderr)

    def drain(self, seconds: float) -> int:
        """Serve what has already connected; the number of connections still open after `seconds`."""
        self.stopping.set()
        self.socket.setblocking(False)
        while True:
            try:
                request, address = self.socket.accept()
            except BlockingIOError:
                break
            request.setblocking(True)
            self.process_request(request, address)
        self.socket.close()
        deadline = time.monotonic() + seconds
        with self._lock:
            for request in self._open:
                # What the visitor has sent can still be read; only waiting for more ends.
                try:
                    request.shutdown(socket.SHUT_RD)
                except OSError:
                    continue  # gone already
            self._lock.wait_for(lambda: not self._open, timeout=max(0.0, deadline - time.monotonic()))
            return len(self._open)


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    server: Server
    protocol_version = "HTTP/1.1"
    server_version = "apiary-echo"
    sys_version = ""
    timeout = IDLE
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        """Answer by path; an unusable parameter is a 400 that says why."""
        length = int(self.headers.get("Content-Length") or 0)
        while length > 0 and (chunk := self.rfile.read(min(length, 65536))):
            length -= len(chunk)
        url = urlsplit(self.path)
        try:
            query = parse_qs(url.query)
            numbers = {key: float(query[key][-1]) for key in ("seconds", "bytes", "code", "lines") if key in query}
        except ValueError as error:
            self._answer(400, {"error": str(error)})
            return
        if url.path == "/":
            self._root()
        elif url.path == "/slow":
            time.sleep(min(max(numbers.get("seconds", 1.0), 0.0), 600.0))
            self._answer(200, self._seen())
        elif url.path == "/download":
            size = int(min(numbers.get("bytes", 1e6), 2.0**30))
            self._download(size, min(numbers.get("seconds", 0.0), 3600.0))
        elif url.path == "/websocket" and self.headers.get("Sec-WebSocket-Key"):
            self._websocket()
        elif url.path == "/head":
            lines = int(min(numbers.get("lines", 1), 1000))
            size = int(min(numbers.get("bytes", 1000), 2**20 / max(lines, 1)))
            self._answer(200, self._seen(), {f"X-Padding-{number}": "x" * size for number in range(lines)})
        elif url.path == "/status" and 200 <= numbers.get("code", 200) <= 599:
            self._answer(int(numbers.get("code", 200)), self._seen())
        else:
            self._answer(404, {"error": f"nothing at {self.path}"})

    do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = do_GET

    def _root(self) -> None:
        if self.server.unhealthy:
            self.log_error("answering 500 because UNHEALTHY is set")
            self._answer(500, {"error": "UNHEALTHY is set: this release never gets healthy"})
        else:
            self._answer(200, self._seen())

    def _seen(self) -> dict[str, Any]:
        forwarded = self.headers.get_all("X-Forwarded-For") or []
        peer = self.client_address[0].removeprefix("::ffff:")
        return {
            "client": forwarded[0] if len(forwarded) == 1 else peer,
            "x_forwarded_for": forwarded,
            "x_forwarded_proto": self.headers.get("X-Forwarded-Proto"),
            "host": self.headers.get("Host"),
            "peer": peer,
            "method": self.command,
            "path": self.path,
            "headers": [[name, value] for name, value in self.headers.items()],
            "version": self.server.version,
            "container": socket.gethostname(),
        }

    def _answer(self, status: int, body: dict[str, Any], more: Mapping[str, str] = MappingProxyType({})) -> None:
        if self.headers.get("Accept", "").startswith("text/plain"):
            kind, text = "text/plain", "".join(f"{key}: {value}\n" for key, value in body.items())
        else:
            kind, text = "application/json", json.dumps(body, indent=2) + "\n"
        content = b"" if status in {204, 304} else text.encode()
        self._head(status, f"{kind}; charset=utf-8", len(content), more)
        if self.command != "HEAD":
            self.wfile.write(content)

    def _download(self, size: int, seconds: float) -> None:
        self._head(200, "application/octet-stream", size)
        start, sent = time.monotonic(), 0
        while self.command != "HEAD" and sent < size:
            sent += self.wfile.write(BLOCK[: size - sent])
            time.sleep(max(0.0, start + seconds * sent / size - time.monotonic()))

    def _websocket(self) -> None:
        key = self.headers["Sec-WebSocket-Key"].encode() + ACCEPT
        self.send_response(101)
        self.send_header("Upgrade", "websocket")
        self.send_header("Connection", "Upgrade")
        self.send_header("Sec-WebSocket-Accept", base64.b64encode(hashlib.sha1(key).digest()).decode())  # noqa: S324
        self.end_headers()
        self.close_connection = True
        while (head := self.rfile.read(6)) and head[0] & 0x0F != CLOSE and head[1] & 0x7F <= 125:
            masked, mask = self.rfile.read(head[1] & 0x7F), head[2:]
            text = bytes(byte ^ mask[at % 4] for at, byte in enumerate(masked))
            self.wfile.write(bytes([FINAL_TEXT, len(text)]) + text)

    def _head(self, status: int, kind: str, length: int, more: Mapping[str, str] = MappingProxyType({})) -> None:
        self.send_response(status)
        for name, value in more.items():
            self.send_header(name, value)
        self.send_header("Content-Type", kind)
        self.send_header("Cache-Control", "no-store")
        if status not in {204, 304}:
            self.send_header("Content-Length", str(length))
        if self.server.stopping.is_set():
            self.send_header("Connection", "close")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """One line a request; the health check of the container and of the proxy stay silent."""
        if not self.headers or self.headers.get("User-Agent") != "apiary-health" or self.server.unhealthy:
            named = self.headers.get("X-Forwarded-For") if self.headers else None
            forwarded = named or self.client_address[0]
            print(f"echo: {forwarded} {format % args}".encode("unicode_escape").decode())


def main() -> None:
    """Serve until SIGTERM or SIGINT."""
    port, version = int(os.environ.get("HTTP_PORT") or 8080), os.environ.get("VERSION", "")
    unhealthy = os.environ.get("UNHEALTHY", "") not in {"", "0", "false"}
    server = Server(port, version, unhealthy)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: threading.Thread(target=server.shutdown).start())
    print(f"echo: version {version!r} listens on port {port}")
    server.serve_forever(poll_interval=0.1)
    left = server.drain(float(os.environ.get("STOP_SECONDS") or 30))
    print(f"echo: stopped, {left} requests broken off")


if __name__ == "__main__":
    main()
