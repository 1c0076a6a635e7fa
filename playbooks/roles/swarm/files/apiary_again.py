"""What a release wanted, for another try.

A release that Swarm takes back is in Pulumi's state all the same: the plugin does not wait. The same `pulumi up` once
more has nothing to ask of Docker then, and Swarm itself has forgotten what it took back. So what is awaited is kept
from when it is first seen until it is through, on the manager that awaits it, for root alone; a failed replica's own
task says it too. Leaves alone: when a release is through (apiary-replicas).
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from apiary_nodes import SwarmError, ask

FOLDER = Path(os.environ.get("APIARY_RELEASES", "/var/lib/apiary/releases"))
STUCK = ("paused", "rollback_paused")
REMEDY = "pulumi refresh, then once more"


def release_of(template: Mapping[str, Any]) -> str:
    """Which release a task or a service is of, by a number in its template (components/replicated.py)."""
    return str(template.get("ForceUpdate") or 0)


def begin(service: Mapping[str, Any], tasks: Iterable[Mapping[str, Any]], release: str) -> None:
    """Have a service be of `release`: it is, or it was and Swarm took that back the last time.

    Raises SwarmError where it is not known here what that release was.
    """
    state = (service.get("UpdateStatus") or {}).get("State", "")
    spec = _wanted(service, tasks, release)
    if spec is not None:
        _keep(service["ID"], spec)
    if state == "rollback_started" or (release_of(service["Spec"]["TaskTemplate"]) == release and state not in STUCK):
        return
    if spec is None:
        raise SwarmError(
            f"the release that is wanted was taken back, and what it was is not known here any more: {REMEDY}"
        )
    ask("POST", f"/services/{service['ID']}/update?version={service['Version']['Index']}", spec)


def forget(service: str) -> None:
    """Of a service that is what it should be, or goes."""
    _file(service).unlink(missing_ok=True)


def forget_all() -> None:
    """As a server leaves the swarm."""
    for file in FOLDER.glob("*.json"):
        file.unlink(missing_ok=True)


def _wanted(service: Mapping[str, Any], tasks: Iterable[Mapping[str, Any]], release: str) -> Mapping[str, Any] | None:
    """The specification of a service as `release` has it."""
    spec: Mapping[str, Any] = service["Spec"]
    if release_of(spec["TaskTemplate"]) == release:
        return spec
    file = _file(service["ID"])
    if file.exists():
        kept: dict[str, Any] = json.loads(file.read_text())
        if release_of(kept["TaskTemplate"]) == release:
            return kept
    template = next((task["Spec"] for task in tasks if release_of(task["Spec"]) == release), None)
    return None if template is None else {**spec, "TaskTemplate": template}


def _keep(service: str, spec: Mapping[str, Any]) -> None:
    """It holds secrets: the environment of what runs."""
    FOLDER.mkdir(mode=0o700, parents=True, exist_ok=True)
    fresh = _file(service).with_suffix(".new")
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as stream:
        json.dump(spec, stream)
    fresh.replace(_file(service))


def _file(service: str) -> Path:
    return FOLDER / f"{service}.json"
