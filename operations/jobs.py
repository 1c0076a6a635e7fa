"""A job once more: `run` in a fresh container, through the engine, as on its first day; `start` in the one it has.

Where its image is of a branch, or of a tag in a registry, `run` looks that up first, and gets what has moved.
"""

from __future__ import annotations

import json
import re
from typing import Any

from operations import closings
from operations.cli import OperationError, Pulumi, say
from operations.hosts import Host, ensure_key
from operations.state import CONTAINER, IMAGE, Resource, State
from settings import Job

JOB = "apiary:docker:Job"
# How components/image.py looks up what moves: a commit, a digest.
LOOK_UPS = ("apiary-git commit ", "apiary-image digest ")
ENDED = re.compile(r"ended with status \"?(\d+)")


def run(pulumi: Pulumi, wanted: str) -> int:
    """Run `NAME` or `SERVER:NAME`; the job's exit status. Raises OperationError when it can't or must not be run."""
    state = State.of(pulumi.export())
    container = find(state, wanted)
    come_first, verb = closings.before(state, container), f"make run JOB={wanted}"
    closings.refuse_unfinished(state, come_first, verb)
    own = f"{container.name}-closing"  # it tells the proxy of the edits itself
    closings.refuse_edits(pulumi, [closing for closing in come_first if closing.name != own], verb)
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
            say_where(state, State.of(pulumi.export()), container)
            raise
        say(f"run {container.name}: ended with status {statuses[-1]}")
        return statuses[-1] or 1
    if _settings(pulumi, container).get("run") == "manual":
        return start(pulumi, wanted)
    say(f"run {container.name}: done")
    return 0


def _settings(pulumi: Pulumi, container: Resource) -> dict[str, Any]:
    """What the stack file says of a job."""
    said: dict[str, Any] = json.loads(pulumi.setting(f"{pulumi.project}:jobs") or "{}").get(container.name, {})
    return said


# As the update and the scheduler run it: within its time limit, and stopped in its own time.
START = """\
timeout "$1" docker start --attach "$2"
status=$?
[ "$status" != 124 ] || docker stop --time "$3" "$2" >/dev/null
exit "$status"
"""


def start(pulumi: Pulumi, wanted: str) -> int:
    """Start the container of `NAME` or `SERVER:NAME` again, its output shown as it comes; the job's exit status.

    Nothing changes in the stack. Raises OperationError when it could not be started.
    """
    state = State.of(pulumi.export())
    container = find(state, wanted)
    server = next(one for one in state.servers() if container.provider.startswith(f"{one.urn}::"))
    name = str(container.outputs["name"])
    ensure_key(pulumi, state)
    host = Host(server)
    if _state_of(host, name)["Running"]:
        raise OperationError(
            f"{container.name} runs already; its output: `docker logs --follow {name}` on {server.name}. "
            "It was started by an update, the scheduler or by hand; wait for its end, then start it again"
        )
    job = _settings(pulumi, container)
    seconds, grace = (job.get(key, Job.model_fields[key].default) for key in ("timeout", "grace_seconds"))
    say(f"start {container.name}: {name} on {server.name}, for at most {seconds} s")
    status = host.stream("sh", "-c", START, "sh", str(seconds), name, str(grace))
    # The state of the container is the truth: 255 may be the job's status, or a connection that broke off; 124 its
    # status, or the time limit.
    ended = _state_of(host, name)
    if ended["Running"]:
        raise OperationError(
            f"the connection to {server.name} broke off (status {status}), and {container.name} runs on; "
            f"its output: `docker logs --follow {name}` there"
        )
    if status == 124 and ended["ExitCode"] != 124:
        say(f"start {container.name}: stopped, because it ran for more than {seconds} seconds")
        return status
    say(f"start {container.name}: ended with status {ended['ExitCode']}")
    return int(ended["ExitCode"])


def _state_of(host: Host, container: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(host.run("docker", "inspect", "--format", "{{json .State}}", container))
    return found


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
    """URNs of the commands that look up where the branch or tag of its image is; none where it can't move."""
    return [one.urn for one in all_look_ups(state) if one.urn in container.dependencies]


def all_look_ups(state: State) -> list[Resource]:
    """The commands that look up where a branch or tag of an image is."""
    return [
        resource
        for resource in state.resources
        if IMAGE in resource.full_type
        and str(resource.inputs.get("create", "")).startswith(LOOK_UPS)
        and not resource.doomed
    ]


def say_where(before: State, after: State, container: Resource) -> None:
    """After a failure: say where its branch or tag has moved, since every update now tries to build or run that."""
    now = {resource.urn: found(resource) for resource in after.resources if not resource.doomed}
    asked = look_ups(before, container)
    for resource in before.resources:
        moved = now.get(resource.urn)
        if resource.urn in asked and moved and moved != found(resource):
            is_image = "@" in moved
            say(
                f"{container.name}: its {'tag' if is_image else 'branch'} is at {moved} now, and was at "
                f"{found(resource)}; repair {'it' if is_image else 'the branch'} and say this again, or write "
                f"{'image' if is_image else 'commit'}: {found(resource)} in place of "
                f"{'the tag' if is_image else 'the branch'}, and pulumi up"
            )


def found(look_up: Resource) -> str:
    """What a look-up has found: a commit, or an image by its digest."""
    return str(look_up.outputs.get("stdout", "")).strip()
