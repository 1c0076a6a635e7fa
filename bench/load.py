"""A small HTTP client that asks as fast as it is answered: requests a second and latencies.

Its text is sent to where the load is to come from (the prober, the server), so it needs the standard library
only. Arguments: address, port, Host header, connections, seconds; then, if not by the port, `http` or `https`; then
`once` for a connection of its own for each request. Prints one JSON object: requests, failed, seconds, rps, p50_ms,
p99_ms. Connections are kept; one that the server closes is opened anew, and the opening counts as part of the next
request. By https, as at port 443, it speaks TLS, whoever signed the certificate. A redirect is an answer as well.
"""

from __future__ import annotations

import asyncio
import json
import ssl
import sys
import time
from typing import NamedTuple


class Site(NamedTuple):
    """Whom to ask, and how."""

    address: str
    port: int
    host: str
    tls: bool
    once: bool  # a connection for each request


async def ask(site: Site, until: float, took: list[float]) -> int:
    """One connection's requests in turn, until `until`; their seconds go to `took`. Returns the failures."""
    question = f"GET / HTTP/1.1\r\nHost: {site.host}\r\n\r\n".encode()
    tls = {"ssl": ssl._create_unverified_context(), "server_hostname": site.host} if site.tls else {}  # noqa: S323
    streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
    failed = 0
    while time.perf_counter() < until:
        started = time.perf_counter()
        try:
            if streams is None:
                streams = await asyncio.wait_for(asyncio.open_connection(site.address, site.port, **tls), 5)
            reader, writer = streams
            writer.write(question)
            head = (await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)).lower()
            length = int(head.split(b"content-length:")[1].split(b"\r\n")[0])
            await asyncio.wait_for(reader.readexactly(length), 5)
        except (TimeoutError, OSError, EOFError, IndexError, ValueError):
            failed += 1
            await asyncio.sleep(0.01)  # a refused connection must not spin
        else:
            took.append(time.perf_counter() - started)
            failed += head.split(b" ", 2)[1] not in (b"200", b"301")
            if b"connection: close" not in head and not site.once:
                continue
        if streams is not None:
            streams[1].close()
        streams = None
    return failed


async def main(address: str, port: int, host: str, connections: int, seconds: float, *how: str) -> None:
    """Run all connections and print what came of it."""
    started = time.perf_counter()
    took: list[float] = []
    site = Site(address, port, host, "https" in how or (port == 443 and "http" not in how), "once" in how)
    failed = sum(await asyncio.gather(*(ask(site, started + seconds, took) for _ in range(connections))))
    took.sort()
    passed = time.perf_counter() - started

    def share(part: float) -> float:
        return took[min(len(took) - 1, int(part * len(took)))] * 1000 if took else 0.0

    result = {"requests": len(took), "failed": failed, "seconds": passed, "rps": len(took) / passed}
    print(json.dumps({**result, "p50_ms": share(0.5), "p99_ms": share(0.99)}))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), sys.argv[3], int(sys.argv[4]), float(sys.argv[5]), *sys.argv[6:]))
