"""Times, sizes and numbers as a person reads them. Pure."""

from __future__ import annotations

import math

DAY = 86400.0


def duration(seconds: float) -> str:
    """In its largest unit: `12 s`, `5 min`, `3 h`, `21 d`."""
    for unit, length in (("d", DAY), ("h", 3600.0), ("min", 60.0)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{max(seconds, 0):.0f} s"


def ago(at: float, now: float) -> str:
    return f"{duration(now - at)} ago"


def size(figure: float) -> str:
    """In binary units: `412 MiB`, `1.9 GiB`."""
    for unit in ("B", "KiB", "MiB", "GiB", "TiB"):
        if figure < 1024 or unit == "TiB":
            break
        figure /= 1024
    return f"{figure:.1f} {unit}" if figure < 10 and unit != "B" else f"{figure:.0f} {unit}"


def plural(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


def percent(share: float) -> str:
    """Rounded down: nothing is called full that is not."""
    return f"{math.floor(share * 100)}%"
