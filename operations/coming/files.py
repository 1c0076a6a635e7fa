"""What the reader asks of a file system, and the real one."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, Protocol

from operations.coming.errors import Problem, SourceError

MANY = 200  # files of a folder that are looked at
LARGEST = 4 * 1024 * 1024  # bytes; what people write is far below

Kind = Literal["file", "folder", "other"]


class Files(Protocol):
    """Paths are absolute, without `..`."""

    def kind(self, path: str) -> Kind | None:
        """What lies there; None for nothing."""

    def read(self, path: str) -> str:
        """Return a file's text. Raises SourceError."""

    def inside(self, path: str) -> list[str]:
        """The files in a folder and below it, the first `MANY`; none where there is no such folder."""


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

    def inside(self, path: str) -> list[str]:
        """The files in a folder and below it, the first `MANY`; none where there is no such folder."""
        found = (os.path.join(at, name) for at, folders, names in _walk(path) for name in sorted(names))
        return list(itertools.islice(found, MANY))


def _walk(path: str) -> Iterator[tuple[str, list[str], list[str]]]:
    """Walk a folder from the top, in order; what can't be read is passed over, as links to folders are."""
    for at, folders, names in os.walk(path):
        folders.sort()
        yield at, folders, names


def joined(folder: str, path: str) -> str:
    """Return an absolute path: what is relative lies in `folder`, `~` is the home folder."""
    if path == "~" or path.startswith("~/"):
        path = os.path.expanduser("~") + path[1:]
    return os.path.normpath(os.path.join(folder, path))


def spelt(path: str, folder: str) -> str:
    """Spell a path for people: relative where it lies in `folder`."""
    return os.path.relpath(path, folder) if path == folder or path.startswith(folder.rstrip("/") + "/") else path
