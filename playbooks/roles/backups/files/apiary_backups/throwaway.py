"""Throw-away copies of containers, for a rehearsal: the same image, command, environment and limits, other volumes, no
port, and a network of their own from which nothing leads out.

They are made through Docker's API, since what a container was made with can be handed on there as it is; the command
line has no words for some of it. All of it carries the label `apiary.drill`, by which the next rehearsal removes what
a killed one has left. They have none of the labels by which the stack's own containers are known.
"""

from __future__ import annotations

import http.client
import json
import os
import socket
import time
from typing import Any
from urllib.parse import quote

from apiary_backups import docker
from apiary_backups.errors import BackupsError

LABEL = "apiary.drill"
SOCKET = os.environ.get("APIARY_DOCKER_SOCKET", "/var/run/docker.sock")
VERSION = "v1.41"  # of Docker 20.10
GONE_SECONDS, LOOK_SECONDS = 60.0, 0.5
CONFIG = ("User", "Env", "Cmd", "Entrypoint", "WorkingDir", "Healthcheck", "StopSignal", "StopTimeout", "Shell")
HOST = (
    "CapAdd", "CapDrop", "SecurityOpt", "Init", "ReadonlyRootfs", "Tmpfs", "Memory", "MemorySwap", "NanoCpus",
    "LogConfig", "ShmSize", "Ulimits", "GroupAdd",
)  # fmt: skip
# Through these a copy could act on the server.
NEVER = ("/run", "/var/run", "/etc/apiary", "/dev", "/proc", "/sys")


class _Connection(http.client.HTTPConnection):
    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(docker.SECONDS)
        self.sock.connect(SOCKET)


def names(stack: str) -> str:
    """What all that is made for a rehearsal is called by."""
    return f"drill-{stack}"


def clean(stack: str) -> None:
    """Remove all that a rehearsal has made, of whatever age. Raises BackupsError.

    What a killed one had begun to remove, or to start, Docker is still at work on: it is tried again until it is gone.
    """
    chosen = ("--quiet", "--filter", f"label={LABEL}={stack}")
    for listed, removed in (
        (("ps", "--all"), ("rm", "--force", "--volumes")),
        (("volume", "ls"), ("volume", "rm")),
        (("network", "ls"), ("network", "rm")),
    ):
        deadline = time.monotonic() + GONE_SECONDS
        while found := docker.call(*listed, *chosen).split():
            try:
                docker.call(*removed, *found)
            except BackupsError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(LOOK_SECONDS)


def network(stack: str) -> str:
    """Make the network from which nothing leads out; its name. Raises BackupsError."""
    docker.call("network", "create", "--internal", "--label", f"{LABEL}={stack}", names(stack))
    return names(stack)


def volume(stack: str, name: str) -> str:
    """Make an empty volume in the place of one of the stack's; its name. Raises BackupsError."""
    made = f"{names(stack)}-{name}"
    docker.call("volume", "create", "--label", f"{LABEL}={stack}", made)
    return made


def body(stack: str, found: dict[str, Any], application: str, volumes: dict[str, str]) -> dict[str, Any]:
    """What the API is told: a copy of what `docker inspect` has found, with other volumes. Pure."""
    mounts = []
    for mount in found.get("Mounts", []):
        where = {"Target": mount["Destination"], "ReadOnly": not mount.get("RW")}
        if mount["Type"] == "volume" and mount.get("Name") in volumes:
            mounts.append({"Type": "volume", "Source": volumes[mount["Name"]], **where})
        elif mount["Type"] == "bind" and not str(mount["Source"]).startswith(NEVER):
            # Its own folders of the server, looked at and never written.
            mounts.append({"Type": "bind", "Source": mount["Source"], **where, "ReadOnly": True})
    return {
        **{key: found["Config"][key] for key in CONFIG if found["Config"].get(key) is not None},
        "Image": found["Image"],
        "Labels": {
            # Over those of the image: by these it would be one of the stack's.
            **dict.fromkeys(found["Config"].get("Labels") or {}, ""),
            LABEL: stack,
        },
        "HostConfig": {
            **{key: found["HostConfig"][key] for key in HOST if found["HostConfig"].get(key) is not None},
            "Mounts": mounts,
            "NetworkMode": names(stack),
            "RestartPolicy": {"Name": "no"},
        },
        "NetworkingConfig": {"EndpointsConfig": {names(stack): {"Aliases": [application]}}},
    }


def start(stack: str, found: dict[str, Any], application: str, volumes: dict[str, str]) -> str:
    """Make and start a copy of a container; its id. Raises BackupsError."""
    told = _create(f"{names(stack)}-{application}", body(stack, found, application, volumes))
    docker.call("start", told)
    return told


def _create(name: str, told: dict[str, Any]) -> str:
    connection = _Connection("localhost")
    try:
        connection.request(
            "POST",
            f"/{VERSION}/containers/create?name={quote(name)}",
            json.dumps(told),
            {"Content-Type": "application/json"},
        )
        answer = connection.getresponse()
        said = json.loads(answer.read() or b"{}")
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise BackupsError(f"docker does not answer at {SOCKET}: {error}") from None
    finally:
        connection.close()
    if answer.status != 201:
        raise BackupsError(f"docker refuses a copy of {name}: {said.get('message', answer.status)}")
    return str(said["Id"])
