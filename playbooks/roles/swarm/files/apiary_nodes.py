"""What apiary-swarm and apiary-replicas share: asking Docker, of the swarm too. Standard library only."""

from __future__ import annotations

import http.client
import json
import os
import socket
import subprocess
from collections.abc import Mapping
from typing import Any

SOCKET = os.environ.get("APIARY_DOCKER", "/run/docker.sock")
SECONDS = 60.0
NAME_LABEL = "apiary.server"  # of a node: the server's name in the stack file


class SwarmError(Exception):
    """One line: what is in the way, and what to do."""


class NoSwarm(Exception):
    """This server decides about no swarm."""


def docker(*words: str, stdin: str | None = None) -> str:
    """Standard output of `docker ...`. Raises SwarmError with what it says."""
    done = subprocess.run(["docker", *words], input=stdin, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        said = done.stderr.strip() or done.stdout.strip()
        if "swarm does not have a leader" in said or "context deadline exceeded" in said:
            said += " (most managers are away: bring one back, or say make recover SERVER=... of this one)"
        raise SwarmError(f"docker {words[0]} {words[1]}: {said}")
    return done.stdout


def nodes() -> list[dict[str, Any]]:
    """Every node, as a manager knows it."""
    ids = docker("node", "ls", "--quiet").split()
    return list(json.loads(docker("node", "inspect", *ids))) if ids else []


def name_of(node: Mapping[str, Any]) -> str | None:
    """Which server a node is: by its label, and as long as it has none (it has just joined, or its join was cut off) by
    its host's name, which is the server's too.
    """
    named = (node["Spec"].get("Labels") or {}).get(NAME_LABEL) or (node.get("Description") or {}).get("Hostname")
    return None if named is None else str(named)


def info() -> dict[str, Any]:
    """What Docker says of its part in a swarm."""
    return dict(json.loads(docker("info", "--format", "{{json .Swarm}}")))


def state() -> str:
    """One line for the program."""
    swarm = info()
    if swarm.get("LocalNodeState") in ("inactive", ""):
        return "none"
    if swarm.get("LocalNodeState") == "error":
        raise SwarmError(f"Docker's own part in the swarm is broken: {swarm.get('Error')}; docker swarm leave --force")
    return f"{'manager' if swarm.get('ControlAvailable') else 'worker'} {swarm['NodeID']}"


def as_manager() -> None:
    """Raises NoSwarm unless this server decides about one."""
    if not state().startswith("manager"):
        raise NoSwarm


class Engine(http.client.HTTPConnection):
    """Docker by its socket: for what must stand in no command line, and for many things at one moment."""

    def connect(self) -> None:
        """Open it. Raises OSError."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(SECONDS)
        self.sock.connect(SOCKET)


def ask(method: str, path: str, body: object = None) -> Any:  # noqa: ANN401 - what JSON can say
    """What Docker answers. Raises SwarmError with what it says instead."""
    connection = Engine("docker")
    try:
        headers = {} if body is None else {"Content-Type": "application/json"}
        connection.request(method, path, None if body is None else json.dumps(body), headers)
        answer = connection.getresponse()
        text = answer.read().decode(errors="replace")
    finally:
        connection.close()
    if answer.status >= http.client.BAD_REQUEST:
        raise SwarmError(text.strip())
    return json.loads(text) if text.strip() else None
