"""Other servers' proxies that are dead, slow, or something else by now: they cost a run no more than its bounds."""

from __future__ import annotations

import contextlib
import errno
import socket
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "images" / "CertBot"))

from certjob import proxy
from certjob.proxy import Proxy

DRIP = 0.05  # seconds between two bytes
HEAD = b"HTTP/1.0 200 OK\r\n\r\n"


@contextlib.contextmanager
def door(head: bytes, *, drips: bool = False, hangs: bool = False) -> Iterator[tuple[Proxy, list[float]]]:
    """A proxy that answers so, and when it was asked."""
    over, asked = threading.Event(), list[float]()

    def answer(visitor: socket.socket) -> None:
        with visitor, contextlib.suppress(OSError):
            visitor.recv(4096)
            visitor.sendall(head)
            while drips and not over.wait(DRIP):
                visitor.sendall(b"a")
            if hangs:
                over.wait()

    def serve(listening: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                visitor, _ = listening.accept()
                asked.append(time.monotonic())
                threading.Thread(target=answer, args=(visitor,), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listening:
        threading.Thread(target=serve, args=(listening,), daemon=True).start()
        try:
            yield Proxy("127.0.0.1", Path("/none"), listening.getsockname()[1]), asked
        finally:
            over.set()


@pytest.fixture(autouse=True)
def _hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proxy, "SECONDS", 0.5)


@pytest.mark.parametrize("head", [HEAD, b"HTTP/1.1 200 OK\r\nX: "])
def test_one_that_drips_is_as_dead_as_one_that_says_nothing(head: bytes) -> None:
    with door(head, drips=True) as (there, _):
        began = time.monotonic()
        with pytest.raises(TimeoutError):
            there.handed("shop.example.net", "0" * 32)
        assert time.monotonic() - began < 5


def test_one_whose_network_knows_it_no_more_is_dead_too(monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(*_: object, **__: object) -> socket.socket:
        raise OSError(errno.EHOSTUNREACH, "No route to host")

    monkeypatch.setattr(socket, "create_connection", gone)
    with pytest.raises(TimeoutError):
        Proxy("203.0.113.7").handed("shop.example.net", "0" * 32)


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"\0\xff\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 404 No\r\n\r\n",
    ],
)
def test_rubbish_is_nothing(answer: bytes) -> None:
    with door(answer) as (there, _):
        assert there.handed("shop.example.net", "0" * 32) is None


def test_a_dead_one_takes_its_time_for_few_of_many_names() -> None:
    with door(b"", hangs=True) as (there, asked):
        missing = there.answers({f"{number}.example.net": None for number in range(50)}, "thumb", 0.7)
        assert len(missing) == 50
        assert all(missing.values()), "each says what came"
        assert len(asked) < 5


def test_names_that_are_answered_wrongly_are_asked_again_until_the_time_is_up() -> None:
    with door(HEAD + b"wrong") as (there, asked):
        assert there.answers({"a.example.net": None, "b.example.net": None}, "thumb", 0.6) == dict.fromkeys(
            ("a.example.net", "b.example.net"), "it answers with status 200"
        )
        assert len(asked) >= 4
