"""Applications behind the proxy of the tests, on threads of this process."""

from __future__ import annotations

import json
import socketserver
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qs, urlsplit


class Application(socketserver.StreamRequestHandler):
    """Answers with the head that it got; `wait`, `pause`, `lines`, `bytes` say how. It has no limits of its own.

    Asked to switch to a WebSocket it does, and says again what it is told.
    """

    def handle(self) -> None:
        line = self.rfile.readline()
        head = []
        while (field := self.rfile.readline().strip()) != b"":
            name, _, value = field.decode().partition(": ")
            head.append([name, value])
        length = next((int(value) for name, value in head if name.lower() == "content-length"), 0)
        self.rfile.read(length)
        if not line:
            return
        if ["upgrade", "websocket"] in [[name.lower(), value] for name, value in head]:
            proof = b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="  # of the key in RFC 6455
            self.wfile.write(
                b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                b"Sec-WebSocket-Accept: %s\r\n\r\n" % proof
            )
            while said := self.rfile.readline():
                self.wfile.write(said)
            return
        query = {key: float(found[-1]) for key, found in parse_qs(urlsplit(line.split()[1].decode()).query).items()}
        time.sleep(query.get("wait", 0.0))
        body = json.dumps(head).encode()
        more = b"".join(
            b"X-%d: %s\r\n" % (number, b"x" * int(query.get("bytes", 1)))
            for number in range(int(query.get("lines", 0)))
        )
        self.wfile.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n%s\r\n" % (len(body), more))
        self.wfile.flush()
        time.sleep(query.get("pause", 0.0))
        self.wfile.write(body)


class Listener(socketserver.ThreadingTCPServer):
    allow_reuse_address, daemon_threads, request_queue_size = True, True, 512

    def handle_error(self, request: object, client_address: object) -> None:
        """The proxy breaks off where a test wants it to."""


class Named(BaseHTTPRequestHandler):
    """Answers with its name and what it was asked, as JSON, or as the query says.

    `bytes` of text of the media type `type`, `head` (`Name: value`) lines, `status`; with `parts` it says them in so
    many pieces, and only goes on with the second one when `go` is set.
    """

    protocol_version = "HTTP/1.1"
    name = ""
    go = threading.Event()

    def do_GET(self) -> None:
        query = parse_qs(urlsplit(self.path).query)
        said = {
            "name": self.name,
            "path": self.path,
            "head": [[key.lower(), value] for key, value in self.headers.items()],
        }
        body = b"word " * (int(query["bytes"][0]) // 5) if "bytes" in query else json.dumps(said).encode()
        self.send_response(int(query.get("status", ["200"])[0]))
        self.send_header("Content-Type", query.get("type", ["application/json"])[0])
        for line in query.get("head", []):
            self.send_header(*line.split(": ", 1))
        if "parts" in query:
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            for number in range(int(query["parts"][0])):
                if number:
                    self.go.wait(20)
                self.wfile.write(b"%x\r\n%s\r\n" % (len(body), body))
            self.wfile.write(b"0\r\n\r\n")
        else:
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", "0")))
        self.do_GET()

    def log_message(self, *_: Any) -> None:
        """Silent."""


@contextmanager
def named(*names: str) -> Iterator[dict[str, Listener]]:
    """One of each name, on a port of its own."""
    with ExitStack() as stack:
        found = {}
        for name in names:
            listener = stack.enter_context(Listener(("127.0.0.1", 0), type(name, (Named,), {"name": name})))
            threading.Thread(target=listener.serve_forever, daemon=True).start()
            stack.callback(listener.shutdown)
            found[name] = listener
        yield found


@contextmanager
def container(address: str, number: int, status: Callable[[str], int], text: str = "") -> Iterator[None]:
    """One that answers at an address and port of its own: by the path with a status, and always with the same text."""

    def do_get(self: BaseHTTPRequestHandler) -> None:
        self.send_response(status(self.path))
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    answers = {"do_GET": do_get, "log_message": lambda *_: None, "protocol_version": "HTTP/1.1"}
    with Listener((address, number), type("Answers", (BaseHTTPRequestHandler,), answers)) as listener:
        threading.Thread(target=listener.serve_forever, daemon=True).start()
        yield
        listener.shutdown()


def port(listener: Listener) -> int:
    """Where it listens."""
    return int(listener.server_address[1])
