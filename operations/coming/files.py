"""What the reader asks of a file system, and the real one."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal, Protocol

from operations.coming.errors import Problem, SourceError

LARGEST = 4 * 1024 * 1024  # bytes; what people write is far below

Kind = Literal["file", "folder", "other"]


class Files(Protocol):
    """Paths are absolute, without `..`."""

    def kind(self, path: str) -> Kind | None:
        """What lies there; None for nothing."""

    def read(self, path: str) -> str:
        """Return a file's text. Raises SourceError."""


class Disk:
    """The files of this machine."""

    def kind(self, path: str) -> Kind | None:
        """What lies there; None for nothing, also where that can't be told."""
        try:
            there = Path(path)
            if there.is_dir():
                return "folder"
            return "file" if there.is_file() else "other" if there.exists() else None
        except (OSError, ValueError):
            return None

    def read(self, path: str) -> str:
        """Return a file's text. Raises SourceError."""
        try:
            with Path(path).open("rb") as file:
                raw = file.read(LARGEST + 1)
        except OSError as error:
            raise SourceError([Problem(path, f"{error.strerror or error}; name a file that can be read")]) from error
        if len(raw) > LARGEST:
            raise SourceError([Problem(path, "is larger than 4 MiB; name a file that somebody wrote")])
        try:
            return raw.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise SourceError([Problem(path, "is not UTF-8 text; save it as UTF-8")]) from error


def joined(folder: str, path: str) -> str:
    """Return an absolute path: what is relative lies in `folder`, `~` is the home folder."""
    if path == "~" or path.startswith("~/"):
        path = os.path.expanduser("~") + path[1:]
    return os.path.normpath(os.path.join(folder, path))


def spelt(path: str, folder: str) -> str:
    """Spell a path for people: relative where it lies in `folder`."""
    return os.path.relpath(path, folder) if path == folder or path.startswith(folder.rstrip("/") + "/") else path
