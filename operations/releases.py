"""Releases what is new of an application's image, in its repository or its registry: what `make run` does for a job.

Leaves alone: images from a folder, which are released by `pulumi up`, and those that name a commit or a digest.
"""

from __future__ import annotations

from operations.cli import OperationError, Pulumi, say
from operations.jobs import find, found, look_ups, say_where
from operations.state import State

APPLICATION = "apiary:docker:Application"


def release(pulumi: Pulumi, wanted: str) -> None:
    """Look up the branch or tag of `NAME` or `SERVER:NAME`, and release the application if it has moved.

    Raises OperationError when there is nothing to look up, and when the update fails.
    """
    state = State.of(pulumi.export())
    container = find(state, wanted, APPLICATION)
    asked = look_ups(state, container)
    if not asked:
        raise OperationError(
            f"{container.name} is neither built from a branch or a tag of a git repository nor pulled by a tag; "
            "change it in the stack file, or its image's folder, and say pulumi up"
        )
    say(f"release {container.name}: looking up its branch or tag, then what is new there")
    targets = [part for urn in asked for part in ("--target-replace", urn)]
    try:
        pulumi.run("up", "--yes", "--skip-preview", *targets, "--target-dependents")
    except OperationError:
        say_where(state, State.of(pulumi.export()), container)
        raise
    after = State.of(pulumi.export())
    at = ", ".join(found(resource) for resource in after.resources if resource.urn in asked)
    same = find(after, wanted, APPLICATION).id == container.id
    say(f"release {container.name}: {'nothing new, it is still' if same else 'done, it is'} at {at}")
