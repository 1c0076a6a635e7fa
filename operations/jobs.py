"""Runs a job again through the engine: its container is deleted, recreated and run, as on its first day.

Where its image is of a branch, the branch is looked up first, and built if it has moved.
"""

from __future__ import annotations

import re

from operations.cli import OperationError, Pulumi, say
from operations.state import CONTAINER, IMAGE, Resource, State

JOB = "apiary:docker:Job"
ENDED = re.compile(r"ended with status \"?(\d+)")


def run(pulumi: Pulumi, wanted: str) -> int:
    """Run `NAME` or `SERVER:NAME`; the job's exit status. Raises OperationError when it could not be run."""
    state = State.of(pulumi.export())
    container = find(state, wanted)
    statuses: list[int] = []

    def watch(line: str) -> None:
        match = ENDED.search(line)
        if match:
            statuses.append(int(match[1]))

    say(f"run {container.name}: a fresh container, then the job")
    try:
        pulumi.run(
            "up",
            "--yes",
            "--skip-preview",
            *(part for urn in (*look_ups(state, container), container.urn) for part in ("--target-replace", urn)),
            "--target-dependents",
            watch=watch,
        )
    except OperationError:
        if not statuses:
            raise
        say(f"run {container.name}: ended with status {statuses[-1]}")
        return statuses[-1] or 1
    say(f"run {container.name}: done")
    return 0


def find(state: State, wanted: str, component: str = JOB) -> Resource:
    """The container of a job (or application). Raises OperationError, with those there are, when no single one is
    meant.
    """
    server, _, name = wanted.rpartition(":")
    names = {provider.urn: provider.name for provider in state.servers()}
    there = {
        (names.get(resource.provider.rpartition("::")[0], ""), resource.name): resource
        for resource in state.of_type(CONTAINER)
        if component in resource.full_type and not resource.doomed
    }
    found = [one for (where, called), one in there.items() if called == name and server in ("", where)]
    if len(found) != 1:
        known = ", ".join(f"{where}:{called}" for where, called in sorted(there)) or "none"
        kind = component.rsplit(":", 1)[-1].lower()
        raise OperationError(f"the state has no {kind} {wanted!r}; it has: {known}")
    return found[0]


def look_ups(state: State, container: Resource) -> list[str]:
    """URNs of the commands that look up where the branch or tag of the container's image is; none for other images."""
    return [
        resource.urn
        for resource in state.resources
        if resource.urn in container.dependencies
        and IMAGE in resource.full_type
        and str(resource.inputs.get("create", "")).startswith("apiary-git commit ")
        and not resource.doomed
    ]
