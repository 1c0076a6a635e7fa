"""An image for containers on this machine's own engine, which may have none and know no registry."""

from __future__ import annotations

from functools import cache

from lab import images
from lab.paths import Paths


@cache
def debian() -> str:
    """The tag of the lab's own Debian, made when missing."""
    return images.base(Paths.find(), "bookworm")
