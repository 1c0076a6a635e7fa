"""What updates close at the proxies before their releases (components/closing.py), and what verbs may not do then.

A verb that is not a whole update must not release to visitors whom the stack file shuts out, and must not have a proxy
open what an update that failed has left closed. Reads the state and plans, and changes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

from operations.cli import OperationError, Pulumi
from operations.state import SERVICE, Resource, State

CLOSING = "apiary:docker:Closing"


def before(state: State, one: Resource) -> list[Resource]:
    """Those that come before a container, or before what comes along when it is replaced; a job's own among them."""
    along = _downstream(state, one)
    needed = {urn for other in along for urn in other.dependencies}
    names = {f"{one.name}-closing", *(f"{other.name.removesuffix('-run')}-closing" for other in along)}
    # To the engine a service depends on no server; every proxy leads to it.
    is_everywhere = any(other.type == SERVICE for other in along)
    return [
        closing
        for closing in state.resources
        if closing.custom and CLOSING in closing.full_type and not closing.doomed
        if is_everywhere or closing.urn in needed or closing.name in names
    ]


def _downstream(state: State, one: Resource) -> list[Resource]:
    """It, and what depends on it, directly or not."""
    found, pending = {one.urn: one}, [one.urn]
    while pending:
        urn = pending.pop()
        more = {other.urn: other for other in state.resources if urn in other.dependencies and other.urn not in found}
        found |= more
        pending += more
    return list(found.values())


def refuse_unfinished(state: State, closings: Sequence[Resource], verb: str) -> None:
    """Raise OperationError where an update has closed something and has not come to its end since."""
    for closing in closings:
        job = closing.name.removesuffix("-closing")
        runs = [one for one in state.resources if one.name == f"{job}-run" and not one.doomed]
        if not any(closing.id in (one.inputs.get("triggers") or ()) for one in runs):
            raise OperationError(
                "the last update has not come to its end: before its releases it has closed at the proxy what the "
                f"stack file closes, and {verb} would have {job} open the rest before they are through; say pulumi up, "
                "which ends with that (where it fails by what a branch or tag has brought, write commit, or its "
                "image's digest, in its place meanwhile)"
            )


def refuse_edits(pulumi: Pulumi, closings: Sequence[Resource], verb: str) -> None:
    """Raise OperationError where sites of the stack file are others than those that the proxies know."""
    if not closings:
        return
    urns = {closing.urn for closing in closings}
    plan = pulumi.preview(*(word for urn in sorted(urns) for word in ("--target", urn)))
    # In place where nothing can be closed by them; another way to connect is an update too, and no edit.
    changed = {
        str(step["urn"])
        for step in plan.get("steps") or ()
        if step["op"] not in ("same", "update") or "stdin" in (step.get("diffReasons") or ())
    } & urns
    if changed:
        jobs = ", ".join(sorted(urn.rpartition("::")[2].removesuffix("-closing") for urn in changed))
        raise OperationError(
            f"the stack file has edits of sites that are not in force (domains, or who may come: password, allow_from, "
            f"rate_limit, ...), and {verb} does not apply them: {jobs} would not tell the proxy before the release; "
            "say pulumi up first, whose preview shows them"
        )
