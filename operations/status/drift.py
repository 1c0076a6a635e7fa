"""What is not as the last update has left it: what somebody has changed by hand, what was cut off half-way. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from operations.status.report import Level, Row, Say, Told
from operations.status.stack import Wanted
from operations.status.words import plural

SHOWN = 5  # by name
VALUE_LENGTH = 40
WORDS = {"update": "is changed", "delete": "is gone"}


def drift(wanted: Wanted, told: Told) -> Row:
    """One row: reality against the state."""
    say = Say(wanted, "drift", wanted.stack)
    if wanted.pending:
        says = f"an update was cut off, or is under way: {', '.join(wanted.pending[:SHOWN])}"
        say(Level.WRONG, says, say.make("heal"), "operations.md#an-update-was-interrupted")
    look, see = say.pulumi("refresh --preview-only --diff"), "operations.md#reality-has-drifted"
    if told.facts is None:
        say(Level.WRONG, f"what has drifted is not known: {told.why}", look, see)
        return Row(wanted.stack, ("not known",), tuple(say.found))
    changes = list(told.facts["changes"])
    if changes:
        shown = "; ".join(changes[:SHOWN])
        more = f"; and {len(changes) - SHOWN} more" if len(changes) > SHOWN else ""
        says = f"somebody or something has changed what the stack file makes: {shown}{more}"
        say(Level.WRONG, says, f"{look}; {say.pulumi('up --refresh')}", see)
        return Row(wanted.stack, (f"{plural(len(changes), 'resource')} not as made",), tuple(say.found))
    return Row(wanted.stack, (f"none: {plural(told.facts['same'], 'resource')} as made",), tuple(say.found))


def changes_of(told: Mapping[str, Any]) -> dict[str, Any]:
    """What `pulumi refresh --preview-only --json` has found: `changes`, a line each, and how many are the `same`."""
    steps = [step for step in told.get("steps") or () if step["op"] in WORDS]
    return {
        "changes": sorted(f"{_name(str(step['urn']))} {WORDS[step['op']]}{_values(step)}" for step in steps),
        "same": int((told.get("changeSummary") or {}).get("same", 0)),
    }


def _name(urn: str) -> str:
    """`DnsRecord example.net/www/A`, of a URN."""
    _, _, types, name = urn.split("::", 3)
    return f"{types.rsplit(':', 1)[-1]} {name}"


def _values(step: Mapping[str, Any]) -> str:
    """` (data: 192.0.2.1 -> 192.0.2.7)` of an update; of what lies deeper, the key alone."""
    before, after = ((step.get(state) or {}).get("outputs") or {} for state in ("oldState", "newState"))
    said = []
    for key in sorted({path.partition(".")[0].partition("[")[0] for path in step.get("detailedDiff") or ()}):
        old, new = before.get(key), after.get(key)
        is_plain = all(isinstance(value, str | int | float | bool) for value in (old, new))
        said.append(f"{key}: {str(old)[:VALUE_LENGTH]} -> {str(new)[:VALUE_LENGTH]}" if is_plain else key)
    return f" ({', '.join(said)})" if said else ""
