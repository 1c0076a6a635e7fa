"""What an update would change: what somebody has changed by hand, what the stack file has been given since. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from operations.status.report import Level, Row, Say, Told
from operations.status.stack import Wanted
from operations.status.words import plural

SHOWN = 6  # by name


def drift(wanted: Wanted, plan: Told) -> Row:
    say = Say(wanted, "drift", wanted.stack)
    line = say.pulumi("preview --refresh --diff")
    if plan.facts is None:
        say(Level.WRONG, f"what has drifted is not known: {plan.why}", line, "operations.md#reality-has-drifted")
        return Row(wanted.stack, ("not known",), tuple(say.found))
    steps = list(plan.facts["steps"])
    if not steps:
        return Row(wanted.stack, (f"none: {plan.facts['same']} resources are as the stack file says",))
    shown = ", ".join(f"{operation} {name}" for operation, name in steps[:SHOWN])
    more = f", and {len(steps) - SHOWN} more" if len(steps) > SHOWN else ""
    says = f"reality or state differ from the stack file; an update would {shown}{more}"
    say(Level.WRONG, says, f"{line}; {say.pulumi('up --refresh')}", "operations.md#reality-has-drifted")
    return Row(wanted.stack, (f"{plural(len(steps), 'resource')} differ",), tuple(say.found))


def plan_of(told: Mapping[str, Any]) -> dict[str, Any]:
    """What `pulumi preview --refresh --json` says would change, components aside, and how many stay the same."""
    steps = [
        (str(step["op"]), _short(str(step["urn"])))
        for step in told.get("steps") or ()
        if step["op"] not in ("same", "refresh", "read")
        and not _short(str(step["urn"])).startswith(("apiary:", "pulumi:"))
    ]
    return {"steps": sorted(set(steps)), "same": int((told.get("changeSummary") or {}).get("same", 0))}


def _short(urn: str) -> str:
    """`DnsRecord::example.com-A`, of a URN."""
    *_, types, name = urn.split("::", 3)
    last = types.rsplit("$", 1)[-1]
    return f"{last if last.startswith(('apiary:', 'pulumi:')) else last.rsplit(':', 1)[-1]}::{name}"
