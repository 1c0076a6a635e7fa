"""What apiary-swarm and apiary-replicas share: asking Docker, and the nodes of the swarm. Standard library only."""

from __future__ import annotations

import json
import subprocess
from typing import Any

NAME_LABEL = "apiary.server"  # of a node: the server's name in the stack file


class SwarmError(Exception):
    """One line: what is in the way, and what to do."""


def docker(*words: str, stdin: str | None = None) -> str:
    """Standard output of `docker ...`. Raises SwarmError with what it says."""
    done = subprocess.run(["docker", *words], input=stdin, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        said = done.stderr.strip() or done.stdout.strip()
        if "swarm does not have a leader" in said or "context deadline exceeded" in said:
            said += " (most managers are away: bring one back, or on this one: apiary-swarm recover ADDRESS)"
        raise SwarmError(f"docker {words[0]} {words[1]}: {said}")
    return done.stdout


def nodes() -> list[dict[str, Any]]:
    """Every node, as a manager knows it."""
    ids = docker("node", "ls", "--quiet").split()
    return list(json.loads(docker("node", "inspect", *ids))) if ids else []
