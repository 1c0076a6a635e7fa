"""Looks after a server of the swarm, for as long as it runs: the containers that Docker forgets, its proxy, its
certificates, and what it forgets when it begins to lead.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from typing import Any

from apiary_certificates import follow
from apiary_leader import Leader
from apiary_nearest import prefer
from apiary_nodes import SwarmError, docker

LOOK_SECONDS = 3.0
OVERLAY = "apiary.overlay"


def forgotten() -> list[str]:
    """Containers on the swarm's network that should run, and that Docker has failed to start."""
    ids = docker("ps", "--all", "--quiet", "--no-trunc", "--filter", f"label={OVERLAY}").split()
    found = list(json.loads(docker("inspect", *ids))) if ids else []
    return [
        one["Id"]
        for one in found
        if one["State"]["Status"] in ("exited", "created")
        and one["State"].get("Error")
        and one["HostConfig"]["RestartPolicy"]["Name"] in ("always", "unless-stopped")
    ]


def start(container: str) -> None:
    """Start what is forgotten: Docker does not try twice (moby#32607, #40402)."""
    docker("start", container)
    print(f"started {container[:12]}, which Docker had not", flush=True)


def keep() -> None:
    """Look after containers, proxy, certificates and the managers, again and again; what goes wrong is said once."""
    # Beside the rest: a server that does not answer takes its time.
    threading.Thread(target=follow, daemon=True).start()
    said: dict[str, str] = {}
    leader = Leader()

    def tried(what: str, work: Callable[..., Any], *words: str) -> Any:  # noqa: ANN401 - whatever it has
        try:
            return work(*words)
        except (SwarmError, OSError) as error:  # Docker or the proxy is just starting, or stopped
            if said.get(what) != str(error):
                print(error, flush=True)
            said[what] = str(error)
            return None

    while True:
        for container in tried("", forgotten) or []:
            tried(container, start, container)
        tried("proxy", prefer)
        tried("leader", leader.look)
        time.sleep(LOOK_SECONDS)
