"""What becomes of rotated files: compressed, and removed when they are too old or all are too large.

Leaves alone: what is being written, and every file whose name is not one of ours. Each step can end at any
moment and is taken up by the next run: a compressed file takes its name when it is whole and on the disk, and
the original goes after that.
"""

from __future__ import annotations

import datetime
import gzip
import os
import re
import shutil
from dataclasses import dataclass, field
from pathlib import Path

from accesslog.store import CURRENT, day

_ROTATED = re.compile(r"(\d{4}-\d\d-\d\d)\.(\d{3,})\.log(\.gz)?")
_PART = ".part"


@dataclass
class Kept:
    """What one run did."""

    compressed: list[Path] = field(default_factory=list)
    expired: list[Path] = field(default_factory=list)  # by age
    evicted: list[Path] = field(default_factory=list)  # by size, though young enough


def keep(root: Path, *, keep_days: int, keep_bytes: int, now: float) -> Kept:
    """Compress and remove under `root`. Raises the first OSError when all else is done."""
    done = Kept()
    failed: OSError | None = None
    for path in sorted(root.glob(f"*/*{_PART}")):
        path.unlink(missing_ok=True)  # of a run that was broken off
    oldest = day(now - datetime.timedelta(days=keep_days).total_seconds())
    for path, of in rotated(root):
        if of < oldest:
            path.unlink(missing_ok=True)
            done.expired.append(path)
        elif path.suffix == ".log":
            try:
                done.compressed.append(compress(path))
            except OSError as error:  # no room for it, say: what comes below makes some
                failed = failed or error
    size = sum(path.stat().st_size for path in root.glob(f"*/{CURRENT}"))
    # From the youngest on, as far as there is room.
    for path, _ in reversed(rotated(root)):
        size += path.stat().st_size
        if size > keep_bytes:
            path.unlink(missing_ok=True)
            done.evicted.append(path)
    if failed is not None:
        raise failed
    return done


def rotated(root: Path) -> list[tuple[Path, str]]:
    """(path, day) of every rotated file of every site, the oldest first."""
    found = [
        (path, match[1])
        for path in root.glob("*/*")
        if (match := _ROTATED.fullmatch(path.name)) and path.is_file() and not path.is_symlink()
    ]
    return sorted(found, key=lambda one: (one[1], one[0].name, one[0].parent.name))


def compress(path: Path) -> Path:
    """Put `path` into `path`.gz, of the same time and mode, and remove it; returns the new path."""
    target = path.with_name(f"{path.name}.gz")
    status = path.stat()
    if not target.exists():
        part = path.with_name(f"{path.name}{_PART}")
        with path.open("rb") as plain, part.open("wb") as file:
            os.fchmod(file.fileno(), status.st_mode & 0o777)
            with gzip.GzipFile("", "wb", 6, file, mtime=int(status.st_mtime)) as packed:
                shutil.copyfileobj(plain, packed, 2**18)
            file.flush()
            os.fsync(file.fileno())
        os.utime(part, ns=(status.st_atime_ns, status.st_mtime_ns))
        part.rename(target)
    path.unlink()
    return target
