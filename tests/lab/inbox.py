"""Somebody who is told: mail by SMTP, webhooks, ntfy and heartbeats, each kept as one line of JSON in a file.

Standard library only: it runs in a container of the hive, and beside the programs of images/Monitor.
"""

from __future__ import annotations

import json
import socketserver
import sys
import threading
from email import message_from_bytes
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

SMTP, HTTP = 2525, 8025


class Inbox:
    """Listens at once. `refuses`: paths that are answered with 500."""

    def __init__(self, file: Path, address: str = "127.0.0.1") -> None:
        self._file, self._lock = file, threading.Lock()
        self.refuses: set[str] = set()
        inbox = self

        class Mail(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                self.wfile.write(b"220 inbox\r\n")
                while line := self.rfile.readline():
                    match line.split()[0].upper() if line.split() else b"":
                        case b"DATA":
                            self.wfile.write(b"354 go on\r\n")
                            body = b""
                            while (more := self.rfile.readline()) not in (b".\r\n", b""):
                                body += more
                            inbox.keep("mail", _mail(body))
                            self.wfile.write(b"250 kept\r\n")
                        case b"QUIT":
                            self.wfile.write(b"221 bye\r\n")
                            return
                        case _:
                            self.wfile.write(b"250 fine\r\n")

        class Web(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                if self.path in inbox.refuses:
                    self.send_response(500)
                else:
                    inbox.keep(self.path.strip("/"), _web(self.path, dict(self.headers.items()), body))
                    self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:
                pass

        class Mails(socketserver.ThreadingTCPServer):
            allow_reuse_address = True
            daemon_threads = True

        for server in (Mails((address, SMTP), Mail), ThreadingHTTPServer((address, HTTP), Web)):
            threading.Thread(target=server.serve_forever, daemon=True).start()

    def keep(self, way: str, told: dict[str, Any]) -> None:
        with self._lock, self._file.open("a") as file:
            file.write(json.dumps({"way": way, **told}) + "\n")

    def read(self) -> list[dict[str, Any]]:
        """Everything until now."""
        with self._lock:
            return [json.loads(line) for line in self._file.read_text().splitlines()] if self._file.exists() else []


def _mail(body: bytes) -> dict[str, Any]:
    mail = message_from_bytes(body)
    texts = [part.get_payload(decode=True) for part in mail.walk() if part.get_content_type() == "text/plain"]
    return {"title": mail["Subject"], "to": mail["To"], "text": b"".join(map(bytes, texts)).decode()}  # type: ignore[arg-type]


def _web(path: str, headers: dict[str, str], body: str) -> dict[str, Any]:
    if path == "/ntfy":
        return {"title": headers["Title"], "priority": headers["Priority"], "text": body}
    told = json.loads(body)
    return {
        "status": told["status"],
        "alerts": [{"status": one["status"], "labels": one["labels"], **one["annotations"]} for one in told["alerts"]],
    }


if __name__ == "__main__":
    Inbox(Path(sys.argv[1]), "0.0.0.0")
    threading.Event().wait()
