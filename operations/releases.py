"""Releases what is new of an application's image, in its repository or its registry: what `make run` does for a job.

Leaves alone: images from a folder, which are released by `pulumi up`, and those that name a commit or a digest.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from operations import closings
from operations.cli import OperationError, Pulumi, say
from operations.jobs import find, found, look_ups, say_where
from operations.state import IMAGE, SERVICE, Resource, State

APPLICATION = "apiary:docker:Application"


def release(pulumi: Pulumi, wanted: str) -> None:
    """Look up the branch or tag of `NAME` or `SERVER:NAME`, and release the application if it has moved.

    Raises OperationError when there is nothing to look up, when the update fails, and before anything is done where the
    proxy has yet to be told of what the stack file says of sites.
    """
    # What a service is made of may be a secret as a whole; of it only the image is looked at.
    state = State.of(pulumi.export(secrets=True))
    container = _service(state, wanted) or find(state, wanted, APPLICATION)
    asked = look_ups(state, container)
    if not asked:
        raise OperationError(
            f"{container.name} is neither built from a branch or a tag of a git repository nor pulled by a tag; "
            "change it in the stack file, or its image's folder, and say pulumi up"
        )
    waits_for, verb = closings.before(state, container), f"make release APP={wanted}"
    closings.refuse_unfinished(state, waits_for, verb)
    closings.refuse_edits(pulumi, waits_for, verb)
    say(f"release {container.name}: looking up its branch or tag, then what is new there")
    targets = [part for urn in asked for part in ("--target-replace", urn)]
    # To the engine a service depends on no server, and so on nothing that is looked up there.
    beside = [one.urn for one in state.resources if container.type == SERVICE and one.parent == container.parent]
    targets += [part for urn in beside for part in ("--target", urn)]
    try:
        pulumi.run("up", "--yes", "--skip-preview", *targets, "--target-dependents")
    except OperationError:
        say_where(state, State.of(pulumi.export()), container)
        raise
    after = State.of(pulumi.export(secrets=True))
    at = ", ".join(found(resource) for resource in after.resources if resource.urn in asked)
    now = _service(after, wanted) or find(after, wanted, APPLICATION)
    same = (now.id, _image(now)) == (container.id, _image(container))
    say(f"release {container.name}: {'nothing new, it is still' if same else 'done, it is'} at {at}")


def _service(state: State, wanted: str) -> Resource | None:
    """An application with replicas, which is of no server; as `look_ups` takes it: with what has made its image.

    Raises OperationError where a server is named all the same.
    """
    server, _, name = wanted.rpartition(":")
    services = [one for one in state.of_type(SERVICE) if one.name == name and not one.doomed]
    if not services:
        return None
    if server:
        raise OperationError(f"{name} has replicas, and is of no single server; say release {name}")
    [service] = services
    made = [
        one
        for one in state.resources
        if IMAGE in one.full_type and _image(service) in (one.inputs.get("triggers") or ()) and not one.doomed
    ]
    return replace(service, dependencies=tuple(urn for one in made for urn in one.dependencies))


def _image(one: Resource) -> str:
    spec = _plain(one.inputs.get("taskSpec")) or {}
    return str(_plain((_plain(spec.get("containerSpec")) or {}).get("image")) or "")


def _plain(value: Any) -> Any:  # noqa: ANN401 - JSON
    """A value of the state that may be a secret."""
    return json.loads(value["plaintext"]) if isinstance(value, dict) and "plaintext" in value else value
