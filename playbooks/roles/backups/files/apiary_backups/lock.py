"""One verb at a time: `held` waits for the others, for so long, and says who it is that keeps it waiting."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from apiary_backups.errors import BusyError
from apiary_backups.report import say

PATH = Path(os.environ.get("APIARY_BACKUPS_LOCK", "/run/apiary-backups.lock"))
WAIT_SECONDS = 1800.0
LOOK_SECONDS = 0.2


@contextmanager
def held(verb: str, wait_seconds: float | None = None, path: Path | None = None) -> Iterator[None]:
    """Keep all other verbs waiting, or those of another lock. Raises BusyError where one does not end in time."""
    limit = WAIT_SECONDS if wait_seconds is None else wait_seconds
    begun, was_told = time.monotonic(), False
    with (path or PATH).open("a+") as file:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                file.seek(0)
                holder = " ".join(file.read().split()) or "another one"
                if time.monotonic() - begun > limit:
                    raise BusyError(
                        f"{holder} is at work here, and has not ended within {limit:.0f} s; see "
                        "journalctl -u apiary-backups, and try again"
                    ) from None
                if not was_told:
                    say(f"waiting for {holder}")
                    was_told = True
                time.sleep(LOOK_SECONDS)
        file.truncate(0)
        file.write(f"apiary-backups {verb} (process {os.getpid()})\n")
        file.flush()
        try:
            yield
        finally:
            file.truncate(0)
