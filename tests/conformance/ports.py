"""Ports for servers that tests start: each is had by one test at a time, whatever runs beside it."""

from __future__ import annotations

import socket
from contextlib import ExitStack

# Below those from which Linux takes the ports of outgoing connections (net.ipv4.ip_local_port_range).
FIRST, LAST = 20000, 32767
LOOPBACK = ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1"))
_held = ExitStack()


def free_port() -> int:
    """A TCP port of loopback, of both families, on which nobody listens and that no other test is given.

    Its UDP port is held until this process ends: HAProxy lets several listen at one TCP port, so that two who found the
    same one free would share its visitors. Raises RuntimeError when all are taken.
    """
    for port in range(FIRST, LAST + 1):
        with ExitStack() as mine:
            held = mine.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
            try:
                held.bind(("127.0.0.1", port))
                for family, host in LOOPBACK:
                    with socket.socket(family) as probe:
                        probe.bind((host, port))
            except OSError:
                continue
            _held.push(mine.pop_all())
            return port
    raise RuntimeError(f"no port of {FIRST}-{LAST} is free on loopback; `ss -ltn` shows who listens there")
