"""What is said to people: one line each, of sizes and times that can be read."""

from __future__ import annotations

import sys
from contextlib import suppress
from datetime import UTC, datetime


def say(line: str, *, is_bad: bool = False) -> None:
    """One line of output. A reader who has gone is no reason to stop half-way."""
    with suppress(OSError):
        print(line, file=sys.stderr if is_bad else sys.stdout, flush=True)


def size(count: int) -> str:
    """`12.3 MiB`."""
    amount = float(count)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if amount < 1024:
            return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1024
    return f"{amount:.1f} TiB"


def moment(time: datetime) -> str:
    """`2026-11-28 02:17:09 UTC`."""
    return f"{time.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def now() -> str:
    """This moment, ISO 8601."""
    return datetime.now(UTC).isoformat(timespec="seconds")
