"""What the emulator asks of whatever runs its machines, and a backend that only remembers.

Calls block (they run on worker threads), may be repeated after a crash of the emulator, and raise any
exception with a message for people when they fail. Deleting or stopping a machine that does not exist
succeeds.
"""

import importlib
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, cast


@dataclass(frozen=True)
class PrivateLink:
    """A machine's interface on a VPC, with what the API reports of it."""

    vpc: str  # UUID
    mac: str
    address: str  # with length: "10.1.96.3/20"


@dataclass(frozen=True)
class ServerSpec:
    """One machine to make. Addresses are those the API reports for it; what it is to do it asks for by itself."""

    id: str  # UUID of the instance
    label: str
    hostname: str
    os_id: int  # a key of catalogue.OSES
    ipv4: str  # the machine's only IPv4 address, without length
    prefix: str | None  # the machine's own /64, "2001:db8:77:1::/64"; None without IPv6
    ipv6: str | None  # its own address inside the prefix, without length
    mac: str  # of its public interface, by which the metadata service names it
    private: PrivateLink | None = None  # on this VPC from its first boot on


class Backend(Protocol):
    """Runs machines. `create` returns when the machine has been started; it need not be reachable yet."""

    def create(self, spec: ServerSpec) -> None: ...
    def start(self, server_id: str, /) -> None: ...
    def stop(self, server_id: str, /) -> None: ...
    def reboot(self, server_id: str, /) -> None: ...
    def delete(self, server_id: str, /) -> None: ...
    def runs(self, os_id: int, /) -> bool:
        """Whether it has a disk image of this operating system (a key of catalogue.OSES)."""

    def exists(self, server_id: str, /) -> bool: ...
    def running(self, server_id: str, /) -> bool: ...
    def kill(self, server_id: str, /) -> None: ...
    def wire(self, server_id: str, link: PrivateLink | None, /) -> None:
        """Give an existing machine this interface on a VPC in place of whatever it has; None takes it away."""

    def plug(self, server_id: str, disks: Mapping[str, int], /) -> None:
        """Give an existing machine these virtual disks, by name with their GB, and no other, now and at each start.

        What is on a disk stays, wherever it is plugged in; one that has become larger has more room at its end.
        """

    def erase(self, disk: str, /) -> None:
        """Forget a virtual disk, which no machine has any more, with all that is on it."""

    def deliver(self, network: str, server_id: str | None, /) -> None:
        """From now on packets for this /64 (its address, without length) reach the link of this machine, or nobody."""


class MemoryServers:
    """A backend without machines, for tests of the API itself. Its `calls` tell what was asked, in order."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._power: dict[str, bool] = {}
        self.specs: dict[str, ServerSpec] = {}
        self.wires: dict[str, PrivateLink | None] = {}
        self.delivered: dict[str, str | None] = {}
        self.disks: dict[str, dict[str, int]] = {}
        self.erased: list[str] = []
        self.calls: list[tuple[str, str]] = []
        self.refuse: str | None = None  # when set, the next create fails with this message

    def create(self, spec: ServerSpec) -> None:
        with self._lock:
            self.calls.append(("create", spec.id))
            if self.refuse is not None:
                message, self.refuse = self.refuse, None
                raise RuntimeError(message)
            self.specs[spec.id] = spec
            self._power[spec.id] = True

    def _set(self, call: str, server_id: str, power: bool) -> None:
        with self._lock:
            self.calls.append((call, server_id))
            if server_id in self._power:
                self._power[server_id] = power

    def start(self, server_id: str, /) -> None:
        self._set("start", server_id, True)

    def stop(self, server_id: str, /) -> None:
        self._set("stop", server_id, False)

    def reboot(self, server_id: str, /) -> None:
        self._set("reboot", server_id, True)

    def kill(self, server_id: str, /) -> None:
        self._set("kill", server_id, False)

    def delete(self, server_id: str, /) -> None:
        with self._lock:
            self.calls.append(("delete", server_id))
            self._power.pop(server_id, None)
            self.specs.pop(server_id, None)

    def wire(self, server_id: str, link: PrivateLink | None, /) -> None:
        with self._lock:
            self.calls.append(("wire", server_id))
            self.wires[server_id] = link

    def plug(self, server_id: str, disks: Mapping[str, int], /) -> None:
        with self._lock:
            self.calls.append(("plug", server_id))
            self.disks[server_id] = dict(disks)

    def erase(self, disk: str, /) -> None:
        with self._lock:
            self.erased.append(disk)

    def deliver(self, network: str, server_id: str | None, /) -> None:
        with self._lock:
            self.delivered[network] = server_id

    def runs(self, os_id: int, /) -> bool:
        return True

    def exists(self, server_id: str, /) -> bool:
        return server_id in self._power

    def running(self, server_id: str, /) -> bool:
        return self._power.get(server_id, False)


def load_backend(name: str, directory: Path) -> Backend:
    """The backend called `name`: "memory", or "servers" (machines of this host, from `lab.servers`).

    Raises SystemExit with what to do when it can't be had.
    """
    if name == "memory":
        return MemoryServers()
    try:
        module: Any = importlib.import_module("lab.servers")
    except ImportError as error:
        raise SystemExit(
            f"lab.api: no machines can be run here: {error}; use --backend memory for the API alone"
        ) from error
    return cast(Backend, module.Servers(directory))
