"""What is asked of Docker: which containers a stack has here, where the files of a volume are, stop and start.

The only caller of `docker`. Containers are known by their labels (`apiary.stack`, `apiary.resource`), because their
names change with every release.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from apiary_backups.errors import BackupsError

SECONDS = 120
SPARE_SECONDS = 60  # beyond a container's own time to stop
STACK, RESOURCE = "apiary.stack", "apiary.resource"


@dataclass(frozen=True)
class Container:
    """A container of the stack."""

    id: str
    name: str  # application or job
    kind: str  # `applications` or `jobs`
    image: str
    running: bool
    created: str  # sorts by time
    started: str  # when it was started last
    volumes: tuple[str, ...]  # named ones that it writes to
    read: tuple[str, ...]  # named ones that it mounts read-only
    grace_seconds: int


def call(*arguments: str, seconds: float = SECONDS, stdin: bytes | None = None) -> str:
    """Standard output of `docker ARGUMENTS`. Raises BackupsError with what Docker said."""
    try:
        done = subprocess.run(["docker", *arguments], input=stdin, capture_output=True, timeout=seconds, check=False)
    except subprocess.TimeoutExpired:
        raise BackupsError(f"docker {arguments[0]} has not answered within {seconds:.0f} s") from None
    except OSError as error:
        raise BackupsError(f"docker can't be run: {error.strerror}") from None
    if done.returncode != 0:
        said = done.stderr.decode(errors="replace").strip().splitlines()
        raise BackupsError(f"docker {arguments[0]}: {said[-1] if said else f'status {done.returncode}'}")
    return done.stdout.decode(errors="replace")


def containers(stack: str) -> list[Container]:
    """Every container of the stack on this server, the oldest first. Raises BackupsError."""
    ids = call("ps", "--all", "--quiet", "--no-trunc", "--filter", f"label={STACK}={stack}").split()
    found = [made for made in map(known, inspect(ids)) if made]
    return sorted(found, key=lambda one: one.created)


def inspect(ids: Sequence[str]) -> list[dict[str, Any]]:
    """What Docker knows of containers; of those that have gone meanwhile, nothing. Raises BackupsError."""
    if not ids:
        return []
    try:
        found = json.loads(call("container", "inspect", *ids))
    except BackupsError:
        found = []
        for one in ids:
            try:
                found += json.loads(call("container", "inspect", one))
            except BackupsError as error:
                if "no such container" not in str(error).lower():
                    raise
    return list(found)


def known(found: dict[str, Any]) -> Container | None:
    """What `docker inspect` says of a container; None of one that is neither application nor job."""
    kind, _, name = (found["Config"].get("Labels") or {}).get(RESOURCE, "").partition(".")
    if kind not in ("applications", "jobs"):
        return None
    named = [mount for mount in found.get("Mounts", []) if mount.get("Type") == "volume"]
    return Container(
        id=found["Id"],
        name=name,
        kind=kind,
        image=found["Image"],
        running=bool(found["State"].get("Running")),
        created=found["Created"],
        started=found["State"].get("StartedAt", ""),
        volumes=tuple(sorted(mount["Name"] for mount in named if mount.get("RW"))),
        read=tuple(sorted(mount["Name"] for mount in named if not mount.get("RW"))),
        grace_seconds=int(found["Config"].get("StopTimeout") or 10),
    )


def running(stack: str, application: str) -> Container:
    """The container of an application that runs, the newest one. Raises BackupsError where none does."""
    found = [one for one in containers(stack) if (one.kind, one.name) == ("applications", application)]
    up = [one for one in found if one.running]
    if not up:
        raise BackupsError(f"{application} {'is stopped' if found else 'has no container'}; see docker ps --all")
    return up[-1]


def using(volume: str, *options: str) -> list[str]:
    """The ids of the containers that run with a volume, whoever started them; with `--all` of those that stand still
    too. Raises BackupsError.
    """
    return call("ps", *options, "--quiet", "--no-trunc", "--filter", f"volume={volume}").split()


def holders(stack: str, volume: str) -> list[str]:
    """Who runs with a volume, whoever started it: applications and jobs of the stack by their names, others by their
    ids. Raises BackupsError.
    """
    running = using(volume)
    names = {one.id: one.name for one in containers(stack)} if running else {}
    return [names.get(one, f"container {one[:12]}, no part of this stack,") for one in running]


def volume_names() -> list[str]:
    """The names of all volumes of this server. Raises BackupsError."""
    return sorted(call("volume", "ls", "--quiet").split())


def volume_path(name: str) -> Path:
    """Where the files of a volume are: in Docker's own folder, or on block storage. Raises BackupsError."""
    found = json.loads(call("volume", "inspect", name))[0]
    options = found.get("Options") or {}
    is_bound = "bind" in str(options.get("o", "")).split(",")
    path = Path(options["device"] if is_bound and options.get("device") else found["Mountpoint"])
    if not path.is_dir():
        raise BackupsError(f"the files of volume {name} are not at {path}; is its disk mounted?")
    return path


def ordered(found: Iterable[Container], order: Sequence[str]) -> list[Container]:
    """In the order in which containers are started; what `order` does not name comes last."""
    place = {name: index for index, name in enumerate(order)}
    return sorted(found, key=lambda one: (place.get(one.name, len(place)), one.created))


def stop(found: Iterable[Container], order: Sequence[str]) -> list[Container]:
    """Stop those that run, each after those that need it; returns them. Raises BackupsError: nothing is left half-way
    but what the message says.
    """
    stopped: list[Container] = []
    for one in reversed(ordered((one for one in found if one.running), order)):
        try:
            # Without a limit of its own: the container's.
            call("stop", one.id, seconds=one.grace_seconds + SPARE_SECONDS)
        except BackupsError as error:
            start(stopped, order)
            raise BackupsError(f"{one.name} could not be stopped: {error}") from None
        stopped.append(one)
    return stopped


def start(found: Iterable[Container], order: Sequence[str]) -> None:
    """Start what was stopped, each before those that need it; all of them, whatever becomes of one. Raises
    BackupsError for those that could not be.
    """
    failed = []
    for one in ordered(found, order):
        try:
            call("start", one.id)
        except BackupsError as error:
            failed.append(f"{one.name} could not be started again: {error}")
    if failed:
        raise BackupsError("; ".join(failed))


def executed(container: str, *command: str, stdin: bool = False) -> list[str]:
    """The words that run a command in a container."""
    return ["docker", "exec", *(["--interactive"] if stdin else []), container, *command]


def execute(container: str, *command: str, seconds: float = SECONDS, stdin: bytes | None = None) -> str:
    """Standard output of a command in a container. Raises BackupsError with what it said."""
    return call(*executed(container, *command, stdin=stdin is not None)[1:], seconds=seconds, stdin=stdin)


def folder() -> Path:
    """Where Docker keeps what it has. Raises BackupsError."""
    return Path(call("info", "--format", "{{.DockerRootDir}}").strip())
