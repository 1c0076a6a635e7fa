"""A real browser before the hive's sites: Chromium or Chrome, headless, through a tunnel into the prober.

Chromium resolves and reaches nothing by itself: every name is dialled by `nc` in the prober's namespace, as one
more visitor of there, and names outside the lab are refused.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import socket
import socketserver
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest

NAMES = ("chromium", "google-chrome", "chromium-browser")
PAGE_SECONDS = 120
ATTEMPTS = 3
ZONES = (".example.com", ".example.net", ".example.org")
QUIET = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--ignore-certificate-errors",
    "--hide-scrollbars",
    # So that scripts are through before the page is looked at, however busy the machine is.
    "--virtual-time-budget=10000",
)


def chromium() -> str:
    """Path of the browser; it is installed where that can be done, else the test is skipped."""
    if found := next(filter(None, map(shutil.which, NAMES)), None):
        return found
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        pytest.skip("no Chromium or Chrome is here, and only root on Debian may install it: apt-get install chromium")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for words in (["update", "-q"], ["install", "-qy", "--no-install-recommends", "chromium"]):
        subprocess.run(["apt-get", *words], check=True, env=environment, capture_output=True, timeout=600)
    path = shutil.which("chromium")
    assert path is not None, "apt-get has installed chromium, and it is not on PATH"
    return path


class _Tunnels(socketserver.ThreadingTCPServer):
    daemon_threads = True
    prober: str
    family: str


class _Tunnel(socketserver.BaseRequestHandler):
    """One CONNECT, or requests to one site by http."""

    server: _Tunnels
    request: socket.socket

    def handle(self) -> None:
        head = b""
        while b"\r\n\r\n" not in head and len(head) < 65536 and (more := self.request.recv(4096)):
            head += more
        words = head.split(b"\r\n")[0].decode(errors="replace").split()
        is_plain = len(words) == 3 and words[1].startswith("http://")
        host, _, port = words[1].rpartition(":") if len(words) == 3 and words[0] == "CONNECT" else ("", "", "")
        if is_plain:
            host, port = urlsplit(words[1]).hostname or "", "80"
        if not f".{host}".endswith(ZONES) or not port.isdigit():
            self.request.sendall(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
            return
        dial = ["docker", "exec", "-i", self.server.prober, "nc", self.server.family, host, port]
        process = subprocess.Popen(dial, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0)
        assert process.stdin is not None
        assert process.stdout is not None
        if is_plain:
            process.stdin.write(head)
        else:
            self.request.sendall(b"HTTP/1.1 200 Connected\r\n\r\n")
        back = threading.Thread(target=self._back, args=(process,), daemon=True)
        back.start()
        with contextlib.suppress(OSError):  # either side may have gone
            while data := self.request.recv(65536):
                process.stdin.write(data)
        process.terminate()
        process.wait()
        back.join()

    def _back(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdout is not None
        with contextlib.suppress(OSError):
            while data := process.stdout.read(65536):
                self.request.sendall(data)
            self.request.shutdown(socket.SHUT_RDWR)


@dataclass(frozen=True)
class Browser:
    """Chromium behind a tunnel."""

    path: str
    proxy: str

    def text(self, url: str) -> str:
        """The page's document as it stands after its scripts have run."""
        return self._shown(url, lambda: self._run("--dump-dom", url))

    def picture(self, url: str, file: Path, size: str = "1400,2400") -> Path:
        """What a person would see."""

        def took() -> tuple[str, str]:
            _, said = self._run(f"--screenshot={file}", f"--window-size={size}", url)
            return (str(file) if file.exists() and file.stat().st_size else ""), said

        return Path(self._shown(url, took))

    def failure(self, url: str) -> str:
        """Why there is no document, as the browser names it: `net::ERR_INVALID_AUTH_CREDENTIALS`, ..., or empty."""
        document, said = self._run("--dump-dom", url)
        assert not document, f"{url} is shown: {document}"
        found = re.search(r"Page load failed: (\S+)", said)
        return found[1] if found else ""

    def _shown(self, url: str, look: Callable[[], tuple[str, str]]) -> str:
        """What `look` has to show. On a busy machine the browser may end without anything, and is asked again."""
        said = ""
        for _ in range(ATTEMPTS):
            shown, said = look()
            if shown:
                return shown
        raise AssertionError(f"nothing is shown of {url} in {ATTEMPTS} attempts: {said[-3000:]}")

    def _run(self, *words: str) -> tuple[str, str]:
        """What it prints, and what it says besides."""
        with tempfile.TemporaryDirectory(prefix="apiary-browser-") as profile:
            done = subprocess.run(
                [self.path, *QUIET, f"--user-data-dir={profile}", f"--proxy-server={self.proxy}", *words],
                check=False,
                capture_output=True,
                text=True,
                timeout=PAGE_SECONDS,
            )
        assert done.returncode == 0, f"chromium {words[:-1]}: {done.stderr[-3000:]}"
        return done.stdout, done.stderr


@contextlib.contextmanager
def browser(prober: str, family: str = "-6") -> Iterator[Browser]:
    """A browser that visits over one family, as the container `prober` does."""
    path = chromium()
    with _Tunnels(("127.0.0.1", 0), _Tunnel) as tunnels:
        tunnels.prober, tunnels.family = prober, family
        threading.Thread(target=tunnels.serve_forever, daemon=True).start()
        yield Browser(path, f"http://127.0.0.1:{tunnels.server_address[1]}")
        tunnels.shutdown()
