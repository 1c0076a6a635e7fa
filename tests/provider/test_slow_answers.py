"""An answer that comes byte by byte, each in time, is not waited for for ever."""

from __future__ import annotations

import http.client
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from provider import transport
from provider.protocol.base import Failure

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
# What comes at once, and what then comes byte by byte.
DRIPS = {
    "a body by its length": (HEAD + b"Content-Length: 900\r\n\r\n", b" " * 890),
    "a body in chunks": (HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n" * 90),
    "a body to its end": (HEAD + b"Connection: close\r\n\r\n", b" " * 890),
    "the last body by its length": (HEAD + b"Connection: close\r\nContent-Length: 900\r\n\r\n", b" " * 890),
    "a head": (HEAD, b"X: y\r\n" * 90),
}


@pytest.fixture
def dripping(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Iterator[None]:
    """An API that answers with one byte at a time, each in time."""
    ended = threading.Event()
    at_once, dripped = DRIPS[request.param]
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            far, _ = server.accept()
            with far:
                far.recv(4096)
                far.sendall(at_once)
                for byte in dripped:
                    if ended.wait(0.02):
                        return
                    try:
                        far.send(bytes([byte]))
                    except OSError:  # the other side has had enough
                        return

        def plain(*_: Any, timeout: float, **__: Any) -> http.client.HTTPConnection:
            return http.client.HTTPConnection(*server.getsockname(), timeout=timeout)

        monkeypatch.setattr(http.client, "HTTPSConnection", plain)
        monkeypatch.setattr(transport, "proxy_for", lambda _: None)
        thread = threading.Thread(target=serve)
        thread.start()
        yield
        ended.set()
        thread.join(10)


@pytest.mark.parametrize("dripping", DRIPS, indirect=True)
@pytest.mark.usefixtures("dripping")
def test_an_answer_that_never_ends_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "GLANCE_SECONDS", 0.4)
    before = time.monotonic()
    with pytest.raises(Failure, match=r"was not answered: the answer did not end within 0 s"):
        transport.Transport("a-key").call("GET", "/v2/regions/ewr/availability", once=True)
    assert time.monotonic() - before < 5
