"""Runs a job again through the engine: its container is deleted, recreated and run, as on its first day."""

from __future__ import annotations

import re

from operations.cli import OperationError, Pulumi, say
from operations.state import CONTAINER, Resource, State

JOB = "apiary:docker:Job"
ENDED = re.compile(r"ended with status \"?(\d+)")


def run(pulumi: Pulumi, wanted: str) -> int:
    """Run `NAME` or `SERVER:NAME`; the job's exit status. Raises OperationError when it could not be run."""
    container = find(State.of(pulumi.export()), wanted)
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
            "--target-replace",
            container.urn,
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


def find(state: State, wanted: str) -> Resource:
    """The container of a job. Raises OperationError, with the jobs there are, when no single one is meant."""
    server, _, name = wanted.rpartition(":")
    names = {provider.urn: provider.name for provider in state.servers()}
    jobs = {
        (names.get(resource.provider.rpartition("::")[0], ""), resource.name): resource
        for resource in state.of_type(CONTAINER)
        if JOB in resource.full_type and not resource.doomed
    }
    found = [job for (where, called), job in jobs.items() if called == name and server in ("", where)]
    if len(found) != 1:
        known = ", ".join(f"{where}:{called}" for where, called in sorted(jobs)) or "none"
        raise OperationError(f"the state has no job {wanted!r}; it has: {known}")
    return found[0]
