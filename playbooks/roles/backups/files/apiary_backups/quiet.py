"""Containers that stand still for a moment, and run again whatever happens meanwhile.

What is stopped is written down first (`stopped.json`), so that it is started by the next verb, and after a reboot by
`apiary-backups resume`, when this process was killed or the power went.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from apiary_backups import config as configuration
from apiary_backups import docker
from apiary_backups.config import Config, put
from apiary_backups.errors import BackupsError
from apiary_backups.report import say

JOB_SECONDS = 600.0  # until a job that is running has to have ended
LOOK_SECONDS = 1.0
ROUNDS = 5  # of stopping, where a job is started meanwhile each time


def path() -> Path:
    """Where it is written what stands still."""
    return configuration.STATE / "stopped.json"


@contextmanager
def stopped(config: Config, names: Sequence[str]) -> Iterator[None]:
    """The containers of applications stand still; jobs among them are waited for. Raises BackupsError."""
    try:
        _still(config, names)
        yield
    finally:
        _start(_written())


def _still(config: Config, names: Sequence[str]) -> None:
    for _ in range(ROUNDS):
        _await_jobs(config, names)
        chosen = [one for one in _running(config, names) if one.kind == "applications"]
        put(path(), json.dumps({"containers": [one.id for one in chosen], "order": list(config.order)}))
        docker.stop(chosen, config.order)
        if not (jobs := _jobs(config, names)):
            return
        # Its clock has started one meanwhile, which may need what was stopped.
        _start(_written())
    raise BackupsError(f"{', '.join(jobs)} was started each time that all else stood still, and writes to it")


def starts(config: Config, names: Sequence[str]) -> dict[str, tuple[str, str]]:
    """When each container of these was started last, by its id, with its name. Raises BackupsError."""
    return {one.id: (one.name, one.started) for one in docker.containers(config.stack) if one.name in names}


def started_since(config: Config, names: Sequence[str], before: Mapping[str, tuple[str, str]]) -> list[str]:
    """Who was started after `starts` was asked, by an update or the clock of the jobs. Raises BackupsError."""
    return sorted(
        {
            name
            for identity, (name, moment) in starts(config, names).items()
            if before.get(identity, (name, "")) != (name, moment)
        }
    )


def _running(config: Config, names: Sequence[str]) -> list[docker.Container]:
    return [one for one in docker.containers(config.stack) if one.running and one.name in names]


def _jobs(config: Config, names: Sequence[str]) -> list[str]:
    return [one.name for one in _running(config, names) if one.kind == "jobs"]


def resume() -> None:
    """Start what a run that is dead has left stopped. Raises BackupsError for what does not start; it is tried again
    the next time.
    """
    told = _written()
    if told is None:
        return
    # Whom the dead run was stopping runs until its grace is over, and to start it by then does nothing: it would stand
    # still for good. Asked once more, Docker says when it stands.
    try:
        docker.stop(_known(told), told["order"])
    except BackupsError as error:
        say(str(error), is_bad=True)
    _start(told)


def _written() -> dict[str, Any] | None:
    try:
        return dict(json.loads(path().read_text()))
    except FileNotFoundError:
        return None
    except (OSError, ValueError):
        path().unlink(missing_ok=True)  # written whole or not at all: nothing of ours
        return None


def _known(told: Mapping[str, Any]) -> list[docker.Container]:
    return list(filter(None, map(docker.known, docker.inspect(told["containers"]))))


def _start(told: Mapping[str, Any] | None) -> None:
    if told is None:
        return
    found = [one for one in _known(told) if not one.running]
    docker.start(found, told["order"])
    path().unlink(missing_ok=True)
    if found:
        say(f"started again: {', '.join(one.name for one in found)}")


def _await_jobs(config: Config, names: Sequence[str]) -> None:
    begun = time.monotonic()
    while True:
        if not (jobs := _jobs(config, names)):
            return
        if time.monotonic() - begun > JOB_SECONDS:
            raise BackupsError(f"{', '.join(jobs)} still runs after {JOB_SECONDS:.0f} s, and writes to it")
        time.sleep(LOOK_SECONDS)
