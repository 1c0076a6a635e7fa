"""A CONNECT proxy that leads one host to the emulator and every other host to where it really is.

It looks into nothing: TLS passes through untouched. If the environment names an upstream proxy, the other
hosts are reached through that one, with NO_PROXY obeyed. Requests other than CONNECT are refused: only
https traffic is meant to come here.
"""

import asyncio
import base64
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

log = logging.getLogger("lab.api")
_HEAD_LIMIT = 16384
_HEAD_SECONDS = 20
_CONNECT_SECONDS = 30
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@dataclass(frozen=True)
class Upstream:
    """Where the other hosts are reached: `url` of an http proxy, "" for directly."""

    url: str = ""
    no_proxy: str = ""

    def serves(self, host: str) -> bool:
        """Whether this host is to be reached through the proxy."""
        names = [name.strip().lstrip("*").lstrip(".") for name in self.no_proxy.lower().split(",") if name.strip()]
        direct = self.no_proxy.strip() == "*" or any(host == name or host.endswith(f".{name}") for name in names)
        return bool(self.url) and not direct


def upstream_of(environment: Mapping[str, str], own_ports: set[int], remembered: str) -> Upstream:
    """The upstream proxy that the environment names, or the `remembered` one if it names this lab's own
    proxy.

    Raises SystemExit for one that is no http proxy.
    """
    url = environment.get("HTTPS_PROXY") or environment.get("https_proxy") or ""
    no_proxy = environment.get("NO_PROXY") or environment.get("no_proxy") or ""
    if not url:
        return Upstream()
    parts = urlsplit(url if "://" in url else f"http://{url}")
    if parts.hostname in ("127.0.0.1", "localhost") and parts.port in own_ports:
        return Upstream(remembered, no_proxy)
    if parts.scheme != "http" or not parts.hostname:
        raise SystemExit("lab.api: HTTPS_PROXY must be an http:// address (CONNECT proxy)")
    return Upstream(parts.geturl(), no_proxy)


async def _through(upstream: Upstream, host: str, port: int) -> Streams:
    parts = urlsplit(upstream.url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port or 3128)
    request = f"CONNECT {host}:{port} HTTP/1.1\r\nHost: {host}:{port}\r\n"
    if parts.username is not None:
        pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        request += f"Proxy-Authorization: Basic {base64.b64encode(pair.encode()).decode()}\r\n"
    writer.write(request.encode() + b"\r\n")
    head = await reader.readuntil(b"\r\n\r\n")
    status = head.split(b"\r\n", 1)[0].decode("latin-1")
    if status.split(" ")[1:2] != ["200"]:
        writer.close()
        raise ConnectionError(f"the upstream proxy answered {status!r}")
    return reader, writer


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
        if writer.can_write_eof():
            writer.write_eof()
    except OSError:
        writer.transport.abort()  # the other direction ends with it


class ConnectProxy:
    """Listens on 127.0.0.1; `host`:443 leads to `local_port`."""

    def __init__(self, host: str, local_port: int, upstream: Upstream) -> None:
        self._host, self._local_port, self._upstream = host, local_port, upstream
        self._server: asyncio.Server | None = None
        self._tunnels: set[asyncio.Task[None]] = set()

    async def listen(self, port: int) -> int:
        """Start; the port, which is `port` unless that is 0. Raises OSError when it is taken."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", port, limit=_HEAD_LIMIT)
        taken: int = self._server.sockets[0].getsockname()[1]
        return taken

    async def close(self) -> None:
        """Stop listening and cut the tunnels."""
        if self._server:
            self._server.close()
        for task in list(self._tunnels):
            task.cancel()
        await asyncio.gather(*self._tunnels, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is not None:
            self._tunnels.add(task)
            task.add_done_callback(self._tunnels.discard)
        try:
            await self._tunnel(reader, writer)
        finally:
            writer.close()

    async def _tunnel(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), _HEAD_SECONDS)
            method, target, _ = head.split(b"\r\n", 1)[0].decode("latin-1").split(" ", 2)
            host, _, port_text = target.rpartition(":")
            host, port = host.strip("[]").lower(), int(port_text) if method == "CONNECT" else 0
        except (ValueError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, TimeoutError, OSError):
            return await _refuse(writer, "400 Bad Request", "not a CONNECT request")
        if method != "CONNECT":
            return await _refuse(writer, "405 Method Not Allowed", "this proxy only tunnels https (CONNECT)")
        try:
            far_reader, far_writer = await asyncio.wait_for(self._open(host, port), _CONNECT_SECONDS)
        except (OSError, asyncio.IncompleteReadError, TimeoutError) as error:
            reason = str(error) or "no answer in time"
            log.warning("no tunnel to %s:%s: %s", host, port, reason)
            return await _refuse(writer, "502 Bad Gateway", f"no connection to {host}:{port}: {reason}")
        try:
            writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            await asyncio.gather(_pump(reader, far_writer), _pump(far_reader, writer))
        finally:
            far_writer.close()
        return None

    async def _open(self, host: str, port: int) -> Streams:
        if (host, port) == (self._host, 443):
            return await asyncio.open_connection("127.0.0.1", self._local_port)
        if self._upstream.serves(host):
            return await _through(self._upstream, host, port)
        return await asyncio.open_connection(host, port)


async def _refuse(writer: asyncio.StreamWriter, status: str, reason: str) -> None:
    text = reason.encode()
    lines = [
        f"HTTP/1.1 {status}",
        "Content-Type: text/plain",
        f"Content-Length: {len(text)}",
        "Connection: close",
    ]
    head = "\r\n".join([*lines, "", ""])
    try:
        writer.write(head.encode() + text)
        await writer.drain()
    except OSError as error:
        log.info("a client left before it was refused: %s", error)
