"""The DNS of Docker, played: the addresses of containers by their alias, over UDP."""

from __future__ import annotations

import socket
import struct
import threading
import time


class Names:
    """Answers questions for A on `port` of 127.0.0.1; what it does not know is not there."""

    def __init__(self, *, delay: float = 0.0, **known: list[str]) -> None:
        """`known` are the IPv4 addresses by name, and may be changed; each answer takes `delay` seconds."""
        self.known, self._delay = known, delay
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self.port = int(self._socket.getsockname()[1])
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            asked, who = self._socket.recvfrom(4096)
            time.sleep(self._delay)
            self._socket.sendto(self._answer(asked), who)

    def _answer(self, asked: bytes) -> bytes:
        labels, at = [], 12
        while size := asked[at]:
            labels.append(asked[at + 1 : at + 1 + size].decode())
            at += size + 1
        kind = struct.unpack("!H", asked[at + 1 : at + 3])[0]
        found = self.known.get(".".join(labels), []) if kind == 1 else []
        head = struct.pack("!HHHHH", 0x8180 if found else 0x8183, 1, len(found), 0, 0)
        records = [b"\xc0\x0c" + struct.pack("!HHIH", 1, 1, 1, 4) + socket.inet_aton(one) for one in found]
        return asked[:2] + head + asked[12 : at + 5] + b"".join(records)
