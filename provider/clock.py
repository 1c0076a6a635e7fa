"""Time, as everything here that waits meets it."""

from __future__ import annotations

import threading
import time


def now() -> float:
    """Seconds since some moment."""
    return time.monotonic()


def sleep(seconds: float) -> None:
    """Do nothing for so long."""
    time.sleep(seconds)


def rest(seconds: float, cancelled: threading.Event) -> bool:
    """Sleep; True when `cancelled` was set before the time was over."""
    return cancelled.wait(seconds)
