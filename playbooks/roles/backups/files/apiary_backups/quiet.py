"""Containers that stand still for a moment, and run again whatever happens meanwhile.

What is stopped is written down first (`stopped.json`), so that it is started by the next verb, and after a reboot by
`apiary-backups resume`, when this process was killed or the power went.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from apiary_backups import config as configuration
from apiary_backups import docker
from apiary_backups.config import Config, put
from apiary_backups.errors import BackupsError
from apiary_backups.report import say

JOB_SECONDS = 600.0  # until a job that is running has to have ended
LOOK_SECONDS = 1.0


def path() -> Path:
    """Where it is written what stands still."""
    return configuration.STATE / "stopped.json"


@contextmanager
def stopped(config: Config, names: Sequence[str]) -> Iterator[None]:
    """The containers of applications stand still; jobs among them are waited for. Raises BackupsError."""
    _await_jobs(config, names)
    chosen = [one for one in docker.containers(config.stack) if one.running and one.name in names]
    put(path(), json.dumps({"containers": [one.id for one in chosen], "order": list(config.order)}))
    try:
        docker.stop(chosen, config.order)
        yield
    finally:
        resume()


def resume() -> None:
    """Start what still stands still. Raises BackupsError for what does not start; it is tried again the next time."""
    try:
        told = json.loads(path().read_text())
    except FileNotFoundError:
        return
    except (OSError, ValueError):
        path().unlink(missing_ok=True)  # written whole or not at all: nothing of ours
        return
    standing = filter(None, map(docker.known, docker.inspect(told["containers"])))
    found = [one for one in standing if not one.running]
    docker.start(found, told["order"])
    path().unlink(missing_ok=True)
    if found:
        say(f"started again: {', '.join(one.name for one in found)}")


def _await_jobs(config: Config, names: Sequence[str]) -> None:
    begun = time.monotonic()
    while True:
        jobs = [
            one.name
            for one in docker.containers(config.stack)
            if one.kind == "jobs" and one.running and one.name in names
        ]
        if not jobs:
            return
        if time.monotonic() - begun > JOB_SECONDS:
            raise BackupsError(f"{', '.join(jobs)} still runs after {JOB_SECONDS:.0f} s, and writes to it")
        time.sleep(LOOK_SECONDS)
