"""What became of an item that was to be saved: judged, kept as its record, and told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from apiary_backups import items
from apiary_backups.errors import FAILURES, BackupsError, told
from apiary_backups.items import Item, Record, Status
from apiary_backups.report import now, say, size
from apiary_backups.restic import Saved

# Less than this is lost by a log that is rotated.
NOTEWORTHY_BYTES = 4096


def saved(item: Item, save: Callable[[], Saved], doubt: str = "") -> Record:
    """Save an item, keep and tell what became of it. `doubt` is what is wrong with it where it is also less."""
    try:
        made = save()
    except FAILURES as error:
        return failed(item, told(error))
    before = items.last(item)
    status, reason = judged(made, before.bytes if before else 0, doubt)
    record = noted(
        Record(
            item=str(item),
            snapshot=made.snapshot,
            time=now(),
            seconds=round(made.seconds, 1),
            bytes=made.bytes,
            bytes_sent=made.bytes_sent,
            status=status,
            reason=reason,
            saved=now(),
        )
    )
    line = f"{item}: {size(made.bytes)}, {size(made.bytes_sent)} sent, {made.seconds:.1f} s"
    say(line if status == "ok" else f"{line}; {status}: {reason}", is_bad=status != "ok")
    return record


def judged(made: Saved, bytes_before: int, doubt: str = "") -> tuple[Status, str]:
    """Whether what was saved may be less than it should be, and why."""
    if made.doubt:
        return "suspicious", made.doubt
    if made.unread:
        return "suspicious", f"not all could be read: {made.unread}"
    if doubt and made.bytes < bytes_before:
        return "suspicious", f"{doubt}; the snapshots before still have them"
    lost = bytes_before - made.bytes
    if made.bytes * 2 < bytes_before and (lost >= NOTEWORTHY_BYTES or made.bytes == 0):
        return "suspicious", f"less than half of the {size(bytes_before)} of the last time"
    return "ok", ""


def failed(item: Item, error: BackupsError) -> Record:
    """Keep and tell that an item was not saved; its good snapshot of before stays the newest."""
    before = items.last(item)
    record = Record(
        item=str(item),
        snapshot=before.snapshot if before else None,
        time=now(),
        seconds=0.0,
        bytes=before.bytes if before else 0,
        bytes_sent=0,
        status="failed",
        reason=str(error),
        saved=before.saved if before else "",
    )
    say(f"{item}: failed: {error}", is_bad=True)
    return noted(record)


def noted(record: Record) -> Record:
    """Keep what became of an item. Where the disk is full, that keeps no other from being saved."""
    try:
        items.write(record)
    except BackupsError as error:
        say(f"{record.item}: {error}", is_bad=True)
        return replace(record, status="suspicious", reason=str(error)) if items.is_good(record.status) else record
    return record
