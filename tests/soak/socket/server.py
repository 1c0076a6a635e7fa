"""A WebSocket that echoes short text messages at /websocket; every other path is answered with 200. Port 8080."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import signal
import sys
import urllib.request

PORT = 8080
MAGIC = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


async def visit(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """One connection, to its end."""
    try:
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            fields = dict(line.split(": ", 1) for line in head.split("\r\n")[1:] if ": " in line)
            key = {name.lower(): value for name, value in fields.items()}.get("sec-websocket-key")
            if key is None:
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok\n")
                continue
            accept = base64.b64encode(hashlib.sha1(key.encode() + MAGIC).digest()).decode()  # noqa: S324 - RFC 6455
            writer.write(
                "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                f"Sec-WebSocket-Accept: {accept}\r\n\r\n".encode()
            )
            while True:
                first, length = await reader.readexactly(2)
                mask = await reader.readexactly(4)
                masked = await reader.readexactly(length & 0x7F)
                if first & 0x0F == 8:
                    return
                text = bytes(byte ^ mask[at % 4] for at, byte in enumerate(masked))
                writer.write(bytes([0x81, len(text)]) + text)
    except (EOFError, ConnectionError):
        pass  # the visitor has gone
    finally:
        writer.close()


async def main() -> None:
    """Serve until SIGTERM."""
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    async with await asyncio.start_server(visit, "", PORT):
        await stop.wait()


if __name__ == "__main__":
    if sys.argv[1:] == ["healthy"]:
        urllib.request.urlopen(f"http://127.0.0.1:{PORT}/", timeout=2)
    else:
        asyncio.run(main())
