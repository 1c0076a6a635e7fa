"""Files that others read meanwhile: whole, or as they were before."""

from __future__ import annotations

import os
from pathlib import Path

PRIVATE = 0o600  # for the owner's eyes


def write(path: Path, text: str, mode: int = 0o644) -> None:
    """Whole and on the disk before it takes the name."""
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        # In a container the number is the same at every start: what a killed run left is written over.
        with open(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "w") as file:
            os.fchmod(file.fileno(), mode)
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)
