"""What this server's proxy makes of new replicas: Swarm asks the image's own health check, and visitors get through to
those alone that answer the proxy as `health.path` and `health.status` want it.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from typing import Any

from apiary_proxy import HostError, Proxy, admin_socket

# So long one may warm up. It is told by a status, by something that is no HTTP, or by a port that is closed; what only
# takes its time may be the network.
REFUSED_SECONDS = 10.0
REFUSED = {"L7STS", "L7RSP", "L4CON"}


def addresses(tasks: Iterable[Mapping[str, Any]]) -> set[str]:
    """Of tasks, on the swarm's network."""
    attached = [network for task in tasks for network in task.get("NetworksAttachments") or []]
    return {address.partition("/")[0] for network in attached for address in network.get("Addresses") or []}


class Visited:
    """Looks at the replicas of one application again and again."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._since: dict[str, float] = {}

    @property
    def doubts(self) -> bool:
        """Whether one is refused just now, and may still warm up."""
        return bool(self._since)

    def refused(self, tasks: Iterable[Mapping[str, Any]]) -> str | None:
        """Why visitors get to one of these tasks no more than REFUSED_SECONDS after it runs; None as long as they may.

        None too where this server has no proxy, or that does not know the application yet, or is silent for a moment.
        """
        wanted = addresses(tasks)
        try:
            path = admin_socket()
            slots = Proxy(path).slots(f"app-{self._name}") if path else None
        except HostError:  # it is being released itself, say; the next look will do
            return None
        down = {
            slot.address: slot.check.removeprefix("* ")
            for slot in slots or []
            if slot.address in wanted and slot.status.startswith("DOWN") and slot.check.removeprefix("* ") in REFUSED
        }
        now = time.monotonic()
        self._since = {address: self._since.get(address, now) for address in down if address}
        long = [address for address, since in self._since.items() if now - since >= REFUSED_SECONDS]
        if not long:
            return None
        return (
            f"the proxy finds the new replica at {long[0]} unhealthy ({down[long[0]]}), although its own health check "
            "is well: the proxy asks health.path for health.status; have the health check ask the same"
        )
