"""The files of a site's access log, read as one: what was rotated, oldest first, and what is being written.

AccessLog renames and compresses while we read. A file that is compressed meanwhile is found under its new name;
a rotation meanwhile is noticed, and the list is made anew.
"""

from __future__ import annotations

import gzip
import re
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO, cast

CURRENT = "access.log"
_SITE = re.compile(r"[a-z0-9_-]+(\.[a-z0-9_-]+)+")
_ROTATED = re.compile(r"(\d{4}-\d\d-\d\d\.\d{3,}\.log)(\.gz)?")
_ATTEMPTS = 20


class ChangingError(Exception):
    """The files change faster than they can be opened."""


def sites(root: Path) -> list[str]:
    """The domains that have a log, sorted; what was for no site is none."""
    return sorted(path.name for path in root.iterdir() if _SITE.fullmatch(path.name) and path.is_dir())


def lines(folder: Path) -> Iterator[bytes]:
    """Every line of a site, oldest first, each once. Raises OSError, ChangingError."""
    with ExitStack() as stack:
        for file in _opened(folder, stack):
            yield from file


def _opened(folder: Path, stack: ExitStack) -> list[BinaryIO]:
    for _ in range(_ATTEMPTS):
        before = _rotated(folder)
        with ExitStack() as attempt:
            try:
                files = [attempt.enter_context(_open(folder, name)) for name in before]
                if (folder / CURRENT).exists():
                    files.append(attempt.enter_context((folder / CURRENT).open("rb")))
            except FileNotFoundError:
                continue  # expired, or rotated
            # What was rotated after the list was made would be missing, or be there twice.
            if _rotated(folder) == before:
                stack.enter_context(attempt.pop_all())
                return files
    raise ChangingError(f"{folder}: its files change faster than they can be opened; run this job again")


def _rotated(folder: Path) -> list[str]:
    """Names without `.gz`, oldest first."""
    return sorted({match[1] for path in folder.iterdir() if (match := _ROTATED.fullmatch(path.name))})


def _open(folder: Path, name: str) -> BinaryIO:
    try:
        return (folder / name).open("rb")
    except FileNotFoundError:
        return cast("BinaryIO", gzip.open(folder / f"{name}.gz"))
