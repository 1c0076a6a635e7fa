"""Files and folders that change places, so that a power cut leaves one of the two states."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from apiary_backups import config
from apiary_backups.errors import BackupsError


def folder() -> Path:
    """Where a restore keeps what is no volume's; root's alone."""
    made = config.STATE / "restoring"
    made.mkdir(mode=0o700, parents=True, exist_ok=True)
    return made


def moved(old: Path, new: Path) -> None:
    """Rename, and have that on the disk. Raises BackupsError."""
    try:
        old.rename(new)
    except OSError as error:
        raise BackupsError(f"{old} could not be renamed to {new.name}: {error.strerror}") from None
    above = os.open(new.parent, os.O_RDONLY)
    try:
        os.fsync(above)
    finally:
        os.close(above)


def removed(path: Path) -> None:
    """Remove a folder with all in it, if it is there. Raises BackupsError."""
    if not path.exists():
        return
    try:
        shutil.rmtree(path)
    except OSError as error:
        raise BackupsError(f"{path} could not be removed: {error.strerror}") from None


def private(path: Path) -> None:
    """Make an empty file that nobody else reads, in place of what is there."""
    path.unlink(missing_ok=True)
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))


def settled(part: Path, whole: Path) -> None:
    """A file gets its name when all of it is on the disk. Raises BackupsError."""
    with part.open("rb") as file:
        os.fsync(file.fileno())
    moved(part, whole)
