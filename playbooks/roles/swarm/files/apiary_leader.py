"""What a new leader of the managers forgets: after how long a server that says nothing is missed.

The swarm's own heartbeat stands in its settings. A leader goes by Docker's five seconds instead from its election on,
until it sees the setting change (swarmkit, manager/dispatcher/dispatcher.go: Run reads it, and `nodes.updatePeriod` is
called for a change alone). So whoever begins to lead changes it, and changes it back. Leaves alone: the six heartbeats
after which a new leader misses who was silent at its election: they are of five seconds before anybody can change them.
"""

from __future__ import annotations

from apiary_nodes import ask, docker

HEARTBEAT = "1s"  # a dead server's replicas are elsewhere in seconds, and the proxies' requests with them
ANOTHER = "1001ms"


def leads() -> bool:
    """Whether this server leads the managers. Raises SwarmError, OSError."""
    swarm = ask("GET", "/info")["Swarm"]
    if not swarm.get("ControlAvailable"):
        return False
    node = ask("GET", f"/nodes/{swarm['NodeID']}")
    return bool(node.get("ManagerStatus", {}).get("Leader"))


class Leader:
    """Looks again and again."""

    def __init__(self) -> None:
        self._led = False

    def look(self) -> None:
        """Have the heartbeat in force, where this server has begun to lead. Raises SwarmError, OSError."""
        leading = leads()
        if leading and not self._led:
            for heartbeat in (ANOTHER, HEARTBEAT):
                docker("swarm", "update", "--dispatcher-heartbeat", heartbeat)
            print(f"leads the managers now; who says nothing is missed by a heartbeat of {HEARTBEAT}", flush=True)
        self._led = leading
