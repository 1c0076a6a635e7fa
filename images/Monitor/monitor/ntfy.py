"""Alertmanager's messages as those of ntfy: a title, some lines, a priority. Alertmanager itself speaks to it as JSON.

Leaves alone: when and what together (Alertmanager), and mail (alerts.tmpl).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.request import Request, urlopen

from monitor.watch import Ntfy

SECONDS = 10
# Of ntfy's five: 5 makes a sound wherever it can, 3 is the usual one, 2 makes none.
_PRIORITIES = {"critical": "5", "warning": "3"}
_OVER = "2"


@dataclass(frozen=True)
class Message:
    """What a telephone shows."""

    title: str
    text: str
    priority: str
    tags: str


def message(told: Mapping[str, Any]) -> Message:
    """What Alertmanager tells, in words. Raises KeyError, TypeError for what is not its webhook's JSON, version 4."""
    alerts: list[Mapping[str, Any]] = told["alerts"]
    firing = [one for one in alerts if one["status"] == "firing"]
    over = [one for one in alerts if one["status"] != "firing"]
    first, more = (firing or over)[0], len(alerts) - 1
    title = f"{'' if firing else 'over: '}{first['annotations']['summary']}{f' (and {more} more)' if more else ''}"
    lines = [
        f"{one['annotations']['summary']}\ntype: {one['annotations']['type']}\nread: {one['annotations']['doc']}"
        for one in firing
    ]
    lines += [f"over: {one['annotations']['summary']}" for one in over]
    worst = "critical" if any(one["labels"].get("severity") == "critical" for one in firing) else "warning"
    return Message(
        title=f"{title} [{first['labels'].get('stack', '')}]",
        text="\n\n".join(lines),
        priority=_PRIORITIES[worst] if firing else _OVER,
        tags="rotating_light" if firing else "white_check_mark",
    )


def deliver(told: bytes, to: Ntfy) -> None:
    """Hand a message in. Raises OSError (urllib's are such), ValueError, KeyError, TypeError."""
    made = message(json.loads(told))
    request = Request(to.url, data=made.text.encode(), method="POST")  # noqa: S310 - checked with the stack file
    # A header holds ASCII.
    request.add_header("Title", made.title.encode("ascii", "replace").decode())
    request.add_header("Priority", made.priority)
    request.add_header("Tags", made.tags)
    if to.token:
        request.add_header("Authorization", f"Bearer {to.token}")
    with urlopen(request, timeout=SECONDS) as answer:  # noqa: S310
        answer.read()
