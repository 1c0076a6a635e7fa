"""Visitors of every sort, until a file says stop. Its text is run in the prober: Debian's Python and python3-h2.

Argument: JSON of {hosts, scheme, flag, seconds, kinds, websocket, download}. Prints one JSON object: requests (by
kind and family) and failed. Each visitor asks over one family, checks certificates as browsers do, and counts
whatever is not a whole answer with status 200.

    fresh      a connection for each request
    kept       HTTP/1.1, one connection for as long as the server keeps it
    h2         HTTP/2, four requests at a time; after a GOAWAY the next ones go over another connection
    download   a long answer, whole to its last byte
    websocket  a message and its echo, over one connection to the end
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import socket
import ssl
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

import h2.config
import h2.connection
import h2.events

FAMILIES = {"v6": socket.AF_INET6, "v4": socket.AF_INET}
PATIENCE = 30.0
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Visit:
    """What all visitors share: where to, until when, and what came of it."""

    def __init__(self, told: dict[str, Any]) -> None:
        self.told = told
        self.deadline = time.monotonic() + told["seconds"]
        self.requests: Counter[str] = Counter()
        self.failed: list[str] = []

    def going(self) -> bool:
        return not os.path.exists(self.told["flag"]) and time.monotonic() < self.deadline

    async def open(self, host: str, family: str, *protocols: str) -> Streams:
        secure = self.told["scheme"] == "https"
        port = 443 if secure else 80
        found = await asyncio.get_running_loop().getaddrinfo(
            host, port, family=FAMILIES[family], type=socket.SOCK_STREAM
        )
        more: dict[str, Any] = {}
        if secure:
            context = ssl.create_default_context()
            context.set_alpn_protocols(list(protocols))
            more = {"ssl": context, "server_hostname": host}
        return await asyncio.wait_for(asyncio.open_connection(found[0][4][0], port, **more), PATIENCE)

    async def repeat(self, kind: str, host: str, family: str, once: Callable[..., Awaitable[int]]) -> None:
        """`once` keeps what it needs in `kept` and returns how many requests were answered."""
        kept: dict[str, Any] = {}
        while self.going():
            started = time.time()
            try:
                self.requests[f"{kind} {family}"] += await asyncio.wait_for(
                    once(self, host, family, kept), PATIENCE * 4
                )
            except (OSError, EOFError, TimeoutError, ValueError, ConnectionError) as error:
                self.failed.append(f"{started:.2f} {kind} {family} {host}: {error!r}")
                kept.clear()
            await asyncio.sleep(0.05)
        close(kept)


def close(kept: dict[str, Any]) -> None:
    if "streams" in kept:
        kept.pop("streams")[1].close()
    kept.clear()


async def answer(streams: Streams, host: str, path: str, *more: str) -> tuple[str, int]:
    """(head in lower case, length of the body) of one HTTP/1.1 request; the status has to be 200."""
    reader, writer = streams
    writer.write("\r\n".join([f"GET {path} HTTP/1.1", f"Host: {host}", *more, "", ""]).encode())
    head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
    if " 200 " not in head.split("\r\n")[0]:
        raise ValueError(head.split("\r\n")[0])
    length = int(head.split("content-length:")[1].split("\r\n")[0])
    await reader.readexactly(length)
    return head, length


async def fresh(visit: Visit, host: str, family: str, kept: dict[str, Any]) -> int:
    streams = await visit.open(host, family, "http/1.1")
    try:
        await answer(streams, host, "/", "Connection: close")
    finally:
        streams[1].close()
    return 1


async def one_kept(visit: Visit, host: str, family: str, kept: dict[str, Any]) -> int:
    if "streams" not in kept:
        kept["streams"] = await visit.open(host, family, "http/1.1")
    head, _ = await answer(kept["streams"], host, "/")
    if "connection: close" in head:
        close(kept)
    return 1


async def download(visit: Visit, host: str, family: str, kept: dict[str, Any]) -> int:
    streams = await visit.open(host, family, "http/1.1")
    size = 3_000_000
    try:
        _, length = await answer(streams, host, f"/download?bytes={size}&seconds={visit.told['download']}")
    finally:
        streams[1].close()
    if length != size:
        raise ValueError(f"{length} of {size} bytes")
    return 1


async def over_h2(visit: Visit, host: str, family: str, kept: dict[str, Any]) -> int:
    """Four requests; those that a GOAWAY left unanswered, as its number says, are asked again elsewhere."""
    left, answered = 4, 0
    for _ in range(3):
        if "streams" not in kept:
            _reader, writer = kept["streams"] = await visit.open(host, family, "h2")
            if writer.get_extra_info("ssl_object").selected_alpn_protocol() != "h2":
                raise ValueError("no HTTP/2 is offered")
            kept["h2"] = h2.connection.H2Connection(h2.config.H2Configuration())
            kept["h2"].initiate_connection()
        done, going_away = await _exchange(kept["streams"], kept["h2"], host, left)
        answered, left = answered + done, left - done
        if going_away:
            close(kept)
        if not left:
            return answered
    raise ValueError(f"{left} of 4 requests found no connection in three")


async def _exchange(streams: Streams, connection: Any, host: str, count: int) -> tuple[int, bool]:
    reader, writer = streams
    ids = []
    for _ in range(count):
        number = connection.get_next_available_stream_id()
        head = [(":method", "GET"), (":scheme", "https"), (":authority", host), (":path", "/")]
        connection.send_headers(number, head, end_stream=True)
        ids.append(number)
    writer.write(connection.data_to_send())
    waiting, done, going_away = set(ids), 0, False
    while waiting:
        for event in connection.receive_data(await _frame(reader, len(waiting))):
            if isinstance(event, h2.events.ResponseReceived):
                status = dict(event.headers).get(b":status", dict(event.headers).get(":status"))
                if status not in (b"200", "200"):
                    raise ValueError(f"status {status!r}")
            elif isinstance(event, h2.events.DataReceived):
                connection.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            elif isinstance(event, h2.events.StreamEnded):
                waiting.discard(event.stream_id)
                done += 1
            elif isinstance(event, h2.events.StreamReset):
                raise ConnectionResetError(f"stream {event.stream_id} was reset ({event.error_code})")
            elif isinstance(event, h2.events.ConnectionTerminated):
                going_away = True
                waiting = {number for number in waiting if number <= event.last_stream_id}
                # The library takes nothing more after it; the answers still come.
                connection.state_machine.state = h2.connection.ConnectionState.CLIENT_OPEN
        if not going_away:
            writer.write(connection.data_to_send())
    return done, going_away


async def _frame(reader: asyncio.StreamReader, unanswered: int) -> bytes:
    """One whole frame: what follows a GOAWAY must not reach the library together with it."""
    try:
        head = await asyncio.wait_for(reader.readexactly(9), PATIENCE)
        return head + await asyncio.wait_for(reader.readexactly(int.from_bytes(head[:3], "big")), PATIENCE)
    except asyncio.IncompleteReadError:
        raise EOFError(f"closed with {unanswered} requests unanswered") from None


async def websocket(visit: Visit, host: str, family: str, kept: dict[str, Any]) -> int:
    """One message and its echo. The connection is opened once: another one is a failure."""
    if "streams" not in kept:
        if visit.requests[f"websocket {family}"]:
            raise ConnectionError("it had to be opened again")
        reader, writer = kept["streams"] = await visit.open(host, family, "http/1.1")
        key = base64.b64encode(os.urandom(16)).decode()
        upgrade = [
            "Upgrade: websocket",
            "Connection: Upgrade",
            f"Sec-WebSocket-Key: {key}",
            "Sec-WebSocket-Version: 13",
        ]
        writer.write("\r\n".join(["GET /websocket HTTP/1.1", f"Host: {host}", *upgrade, "", ""]).encode())
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        if " 101 " not in head.split("\r\n")[0]:
            raise ValueError(head.split("\r\n")[0])
    reader, writer = kept["streams"]
    text, mask = os.urandom(8).hex().encode(), os.urandom(4)
    masked = bytes(byte ^ mask[at % 4] for at, byte in enumerate(text))
    writer.write(bytes([0x81, 0x80 | len(text)]) + mask + masked)
    head = await asyncio.wait_for(reader.readexactly(2), PATIENCE)
    if await reader.readexactly(head[1]) != text:
        raise ValueError("another echo came back")
    return 1


KINDS = {"fresh": fresh, "kept": one_kept, "h2": over_h2, "download": download, "websocket": websocket}


async def main(told: dict[str, Any]) -> None:
    visit = Visit(told)
    tasks = []
    for kind in told["kinds"]:
        hosts = {"websocket": [told["websocket"]], "download": told["hosts"][:1]}.get(kind, told["hosts"])
        for at, host in enumerate(hosts):
            # Of many sites each is visited over one family, by turns; of few over both.
            families = FAMILIES if len(hosts) < 10 else [list(FAMILIES)[at % 2]]
            tasks += [visit.repeat(kind, host, family, KINDS[kind]) for family in families]
    await asyncio.gather(*tasks)
    print(json.dumps({"requests": dict(visit.requests), "failed": visit.failed}))


if __name__ == "__main__":
    asyncio.run(main(json.loads(sys.argv[1])))
