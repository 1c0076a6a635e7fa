"""An end to what may never end: who reads an answer that drips waits for each piece of it anew."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator
from types import FrameType


class LateError(Exception):
    """It has not come to an end in time; str() says in how many seconds."""


@contextlib.contextmanager
def at_most(seconds: float) -> Iterator[None]:
    """Raises LateError within the block when it takes longer; of the main thread alone, and not within another one."""

    def late(_: int, __: FrameType | None) -> None:
        raise LateError(f"the authority has not come to an end in {seconds:.0f} s")

    before = signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
