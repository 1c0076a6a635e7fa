"""What the host's tools share: Docker on this host, and the admin socket of the proxy container.

The proxy is the running container labelled `apiary.proxy=true`, its addresses are those of the container whose network
it has joined; its socket is reached where its volume lies on the host, so that nothing has to be run in it. Standard
library only. Raises HostError with one line for a person.
"""

from __future__ import annotations

import contextlib
import csv
import fcntl
import ipaddress
import json
import os
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

CONFIG_FOLDER = "/etc/haproxy"
SOCKET_IN_VOLUME = "run/admin.sock"
PROXY_LABEL = "apiary.proxy=true"
DOCKER_SECONDS = 30
SOCKET_SECONDS = 10
LOCK_SECONDS = 30.0
LOCK_INTERVAL = 0.25
LOG_LINES = 30
LINE_LIMIT = 4000  # a longer line than 64 KiB hangs what streams it


class HostError(Exception):
    """One line: what could not be asked, and why."""


def docker(*arguments: str) -> str:
    """Standard output of `docker ...`, whatever bytes it holds."""
    try:
        done = subprocess.run(["docker", *arguments], capture_output=True, timeout=DOCKER_SECONDS, check=False)
    except FileNotFoundError:
        raise HostError("there is no docker command on this host; run the bootstrap again") from None
    except subprocess.TimeoutExpired:
        raise HostError(f"docker {arguments[0]} gave no answer in {DOCKER_SECONDS} s; is dockerd stuck?") from None
    if done.returncode != 0:
        raise HostError(f"docker {arguments[0]}: {done.stderr.decode(errors='replace').strip()}")
    return done.stdout.decode(errors="replace")


def inspect(container: str) -> dict[str, Any]:
    """What `docker inspect` says of one container. Raises HostError when there is none."""
    found: list[dict[str, Any]] = json.loads(docker("inspect", "--type", "container", container))
    return found[0]


def addresses(container: dict[str, Any]) -> list[str]:
    """Every address of the container that this host reaches it by, IPv4 first, in canonical spelling.

    Of one that joined another's network, those; on a swarm's network it has another one, without a gateway: no host is
    on that. Raises HostError when the one that it joined is gone.
    """
    kind, _, other = str((container.get("HostConfig") or {}).get("NetworkMode") or "").partition(":")
    if kind == "container":
        return addresses(inspect(other))
    networks = (container["NetworkSettings"].get("Networks") or {}).values()
    # Of one that is on networks without a gateway alone, as a rehearsal's copies are, all are the host's.
    networks = [network for network in networks if network.get("Gateway") != ""] or networks
    texts = [network.get(key) for key in ("IPAddress", "GlobalIPv6Address") for network in networks]
    return [str(ipaddress.ip_address(text)) for text in texts if text]


def last_lines(container: str) -> list[str]:
    """The container's last log lines, both streams in order, each cut to LINE_LIMIT characters."""
    command = ["docker", "logs", "--tail", str(LOG_LINES), container]
    try:
        done = subprocess.run(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=DOCKER_SECONDS, check=False
        )
    except (FileNotFoundError, subprocess.TimeoutExpired):
        return ["(its log could not be read)"]
    return [line[:LINE_LIMIT] for line in done.stdout.decode(errors="replace").splitlines()]


def running_proxy() -> dict[str, Any] | None:
    """What `docker inspect` says of the proxy; None where none runs."""
    running = docker("ps", "--quiet", "--no-trunc", "--filter", f"label={PROXY_LABEL}").split()
    return inspect(running[0]) if running else None


def socket_of(proxy: Mapping[str, Any]) -> str | None:
    """Path of a proxy's admin socket on this host; None while there is none."""
    for mount in proxy.get("Mounts", []):
        path = os.path.join(str(mount["Source"]), SOCKET_IN_VOLUME)
        if mount["Destination"].rstrip("/") == CONFIG_FOLDER and os.path.exists(path):
            return path
    return None


def admin_socket() -> str | None:
    """Path of the running proxy's admin socket on this host; None where there is no proxy, or not yet a
    socket."""
    proxy = running_proxy()
    return socket_of(proxy) if proxy else None


@contextlib.contextmanager
def no_reload(lock: str) -> Iterator[None]:
    """Hold the lock of hasetup shared: a reload would hide the old worker, whose sessions are counted, and which is
    told what the new one has to know.

    Goes on without it after LOCK_SECONDS: a container that leaves must not wait for ever.
    """
    try:
        file = open(lock, "rb")  # noqa: SIM115 - it is closed by the with below
    except FileNotFoundError:
        yield  # no hasetup has ever run
        return
    with file:
        deadline = time.monotonic() + LOCK_SECONDS
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() < deadline:
                    time.sleep(LOCK_INTERVAL)
                    continue
            break
        yield


@dataclass(frozen=True)
class Slot:
    """One server line of a backend. `status`: UP, DOWN 1/3, DRAIN, MAINT (resolution), no check, ..."""

    backend: str
    name: str
    status: str
    check: str  # result of the last check: "", INI, L7OK, ...
    address: str | None  # canonical, without the port; None while nothing is resolved
    sessions: int  # in use and queued
    weight: int  # 0: no new visitors

    @property
    def proven(self) -> bool:
        """Up by a check that has been made: a server found by DNS counts as up before its first one (`UP 1/3`,
        with the result of whoever was there before)."""
        return self.status in ("no check", "UP")


def _host(text: str) -> str | None:
    host = text.rpartition(":")[0].strip("[]")
    try:
        return str(ipaddress.ip_address(host))
    except ValueError:
        return None


def slots(stat: str, backend: str) -> list[Slot] | None:
    """The backend's servers out of what `show stat` prints (CSV); None when there is no such backend."""
    rows = [row for row in csv.DictReader(stat.removeprefix("# ").splitlines()) if row.get("pxname") == backend]
    if not rows:
        return None
    return [
        Slot(
            backend=backend,
            name=row["svname"],
            status=row.get("status") or "",
            check=row.get("check_status") or "",
            address=_host(row.get("addr") or ""),
            sessions=int(row.get("scur") or 0) + int(row.get("qcur") or 0),
            weight=int(row.get("weight") or 0),
        )
        for row in rows
        if row["svname"] not in ("BACKEND", "FRONTEND")
    ]


class Proxy:
    """The admin socket at `path`: one connection a command, as HAProxy has it."""

    def __init__(self, path: str) -> None:
        self.path = path

    def ask(self, command: str) -> str:
        """HAProxy's answer. Raises HostError when the socket gives none."""
        answer = b""
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
                connection.settimeout(SOCKET_SECONDS)
                connection.connect(self.path)
                connection.sendall(command.encode() + b"\n")
                while chunk := connection.recv(65536):
                    answer += chunk
        except OSError as error:
            raise HostError(f"the proxy's admin socket {self.path} does not answer: {error}") from None
        return answer.decode(errors="replace")

    def slots(self, backend: str) -> list[Slot] | None:
        return slots(self.ask("show stat"), backend)

    def rotate(self, slot: Slot, into: bool) -> None:
        """Into rotation or out of it. Raises HostError when HAProxy refuses.

        By the weight: the drain state is the proxy's own, for those that have not been checked yet (rotation.lua).
        """
        answer = self.ask(f"set server {slot.backend}/{slot.name} weight {'100%' if into else '0'}").strip()
        if answer:
            way = "into" if into else "out of"
            raise HostError(f"the proxy refused to take {slot.backend}/{slot.name} {way} rotation: {answer}")
