"""What both kinds of servers have in common: how errors are told, and how long a server is waited for."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import TypeVar

RETRY_SECONDS = 0.5

T = TypeVar("T")


class SetupError(Exception):
    """A server on which not everything could be made. The message never holds a password or a statement."""


class NotYet(Exception):
    """A server that does not answer yet; the message says why."""


def wait_for(connect: Callable[[], T], seconds: float) -> T:
    """What `connect` returns, tried again while it raises NotYet. Raises SetupError when the time is over."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            return connect()
        except NotYet as error:
            if time.monotonic() >= deadline:
                raise SetupError(f"no answer for {seconds:g} s: {error}") from None
        time.sleep(RETRY_SECONDS)


def refused(user: str) -> SetupError:
    """The error of a server that does not take the administrator's password."""
    return SetupError(
        f"it refuses the password of its administrator, {user}. The images of this project take the one in their "
        "environment at every start: does it have _NAME^adminpass, and was it restarted? Official images take it at "
        "their very first start only: docs/databases.md, How do I set the administrator's password by hand?"
    )


def left_alone(databases: Iterable[str], roles: Iterable[str]) -> list[str]:
    """A line on what the server has and the stack file does not, nothing when there is none."""
    found = [f'database "{name}"' for name in sorted(databases)] + [f'role "{name}"' for name in sorted(roles)]
    if not found:
        return []
    return [f"left alone: {', '.join(found)}; not in the stack file, never dropped from here (docs/databases.md)"]
