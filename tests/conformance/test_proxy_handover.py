"""One proxy after another, as start.sh of images/HAProxy has it in one network: nobody is refused, nothing cut."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.conformance.applications import Listener, named, port
from tests.conformance.ports import free_port
from tests.conformance.proxy import needs_proxy

IMAGE = Path(__file__).parents[2] / "images" / "HAProxy"
PATIENCE = 60.0
pytestmark = needs_proxy

CONFIGURATION = """\
global
    stats socket {folder}/run/admin.sock mode 660 level admin expose-fd listeners
    server-state-file {folder}/run/state
    hard-stop-after 1h
defaults
    mode http
    load-server-state-from-file global
    timeout connect 3s
    timeout client 30s
    timeout server 30s
    timeout http-keep-alive 1s
    option idle-close-on-response
frontend f
    bind 127.0.0.1:{port}
    bind [::1]:{port}
    default_backend app-a
backend app-a
    server a-1 127.0.0.1:{application}
"""


class Place:
    """A volume, and the containers of a proxy that share it and one network."""

    def __init__(self, folder: Path, application: Listener) -> None:
        self.folder, self.port = folder / "volume", free_port()
        self._made: list[subprocess.Popen[bytes]] = []
        (self.folder / "run").mkdir(parents=True)
        text = CONFIGURATION.format(folder=self.folder, port=self.port, application=port(application))
        self.live.write_text(text)

    @property
    def live(self) -> Path:
        return self.folder / "haproxy.cfg"

    def start(self) -> subprocess.Popen[bytes]:
        """Another container of the image, with /dev/shm of its own."""
        own = self.folder.parent / f"container-{len(self._made)}"
        own.mkdir()
        for name in ("start.sh", "healthy.sh", "haproxy-ask", "haproxy.cfg"):
            text = (IMAGE / name).read_text().replace("/usr/share/apiary", str(own)).replace("/dev/shm", str(own))
            (own / name).write_text(text.replace("/etc/haproxy", str(self.folder)))
            (own / name).chmod(0o755)
        with (own / "log").open("wb") as log:
            made = subprocess.Popen(
                [own / "start.sh"], stdout=log, stderr=log, env={**os.environ, "PATH": f"{own}:{os.environ['PATH']}"}
            )
        self._made.append(made)
        return made

    def log(self, made: subprocess.Popen[bytes]) -> str:
        return (self.folder.parent / f"container-{self._made.index(made)}" / "log").read_text()

    def is_healthy(self, made: subprocess.Popen[bytes]) -> bool:
        own = self.folder.parent / f"container-{self._made.index(made)}"
        path = {**os.environ, "PATH": f"{own}:{os.environ['PATH']}"}
        return subprocess.run([own / "healthy.sh"], env=path, check=False, capture_output=True).returncode == 0

    def up(self) -> subprocess.Popen[bytes]:
        """Another one, once it has taken over."""
        before = self._current()
        made = self.start()
        until(lambda: made.poll() is not None or self._current() not in ("", before), "it takes over")
        assert made.poll() is None, self.log(made)
        return made

    def _current(self) -> str:
        found = self.folder / "run" / "proxy"
        return found.read_text() if found.exists() else ""

    def ask(self, command: str) -> str:
        """Of whoever has the place of the master."""
        asked = ["perl", IMAGE / "haproxy-ask", self.folder / "run" / "master.sock", command]
        return subprocess.run(asked, capture_output=True, text=True, check=True).stdout

    def end(self) -> None:
        for made in self._made:
            if made.poll() is None:
                made.terminate()
                try:
                    made.wait(30)
                except subprocess.TimeoutExpired:
                    made.kill()


def until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.05)


@pytest.fixture
def place() -> Iterator[Place]:
    # A short path: that of a socket has 97 characters at most.
    with named("a") as listeners, tempfile.TemporaryDirectory() as folder:
        made = Place(Path(folder), listeners["a"])
        try:
            yield made
        finally:
            made.end()


class Load:
    """Connections over both families, one after another, until it ends; what came of each."""

    def __init__(self, number: int) -> None:
        self._port, self._stop = number, threading.Event()
        self.seen: Counter[str] = Counter()
        self._threads = [threading.Thread(target=self._go, args=(host,)) for host in ("127.0.0.1", "::1") * 2]

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(PATIENCE)

    def _go(self, host: str) -> None:
        while not self._stop.is_set():
            try:
                with socket.create_connection((host, self._port), 20) as one:
                    one.sendall(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
                    answer = b""
                    while chunk := one.recv(65536):
                        answer += chunk
                self.seen[answer.split(b"\r\n", 1)[0].decode()] += 1
            except OSError as error:
                self.seen[repr(error)] += 1


def held(number: int) -> socket.socket:
    """A request that has begun, and whose end is not sent yet."""
    one = socket.create_connection(("127.0.0.1", number), 20)
    one.sendall(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nConnection: close\r\n\r\nha")
    return one


def test_ten_proxies_after_each_other_refuse_nobody_and_end_what_they_hold(place: Place) -> None:
    now = place.up()
    with Load(place.port) as load:
        for _ in range(10):
            waiting = held(place.port)
            before, now = now, place.up()
            before.terminate()
            # A reload meanwhile goes to the one that stays.
            place.ask("reload")
            until(lambda now=now: place.is_healthy(now), "it has reloaded")
            assert "Reloading HAProxy" in place.log(now)
            waiting.sendall(b"lf")
            waiting.settimeout(20)
            assert waiting.recv(65536).startswith(b"HTTP/1.1 200"), place.log(before)
            waiting.close()
            assert before.wait(PATIENCE) == 0, place.log(before)
    assert set(load.seen) == {"HTTP/1.1 200 OK"}, load.seen
    assert load.seen["HTTP/1.1 200 OK"] > 100
    assert re.search("another proxy serves: what still runs here is let end", place.log(before))
    assert len(list((place.folder / "run").glob("master.*.sock"))) == 1


def test_one_that_can_t_serve_ends_and_touches_nothing(place: Place) -> None:
    first = place.up()
    text, current = place.live.read_text(), (place.folder / "run" / "proxy").read_text()
    place.live.write_text(text + "    no such word\n")
    with Load(place.port) as load:
        second = place.start()
        assert second.wait(PATIENCE) == 1
    assert "is not valid for this HAProxy (lines above); the other proxy serves on as it was" in place.log(second)
    assert set(load.seen) == {"HTTP/1.1 200 OK"}
    assert (place.folder / "run" / "proxy").read_text() == current
    assert not (place.folder / "haproxy.cfg.broken").exists()
    assert place.is_healthy(first)
    assert "master" in place.ask("show proc")


def test_after_one_that_was_killed_the_next_one_starts_as_the_only_one(place: Place) -> None:
    first = place.up()
    subprocess.run(["pkill", "-KILL", "-P", str(first.pid)], check=True)
    first.kill()
    first.wait(PATIENCE)
    second = place.up()
    assert "coming up beside it" not in place.log(second)
    with Load(place.port) as load:
        until(lambda: load.seen["HTTP/1.1 200 OK"] > 20, f"it serves: {load.seen}")


def test_the_volume_of_another_network_is_no_reason_to_come_up_beside_anybody(place: Place) -> None:
    """The one there serves elsewhere: its listeners would be those of another place."""
    place.up()
    current = place.folder / "run" / "proxy"
    current.write_text(re.sub(r"net:\[\d+\]", "net:[1]", current.read_text()))
    second = place.up()
    assert "coming up beside it" not in place.log(second)
    assert place.is_healthy(second)
