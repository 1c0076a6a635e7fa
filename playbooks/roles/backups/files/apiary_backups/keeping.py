"""Which snapshots are kept, which go: by their dates, as restic has it, but for those whose dates say nothing.

Pure, of what `restic snapshots --json` lists. Whose date is later than now was dated by a clock that was wrong, or by
somebody who wants the true ones forgotten: restic would count it, as the newest of all for ever. Here it counts for
nothing, and stays. Used by servers, and by `make prune` on the operator's machine (operations/backups.py).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

DRAFT = "draft:"  # before the item in the tag of a first pass
OURS = ("volume:", "database:", "roles:")  # items.py
# Later than now by more than this, the clock that a snapshot was dated by was wrong, or this one is. By less it is
# right by itself a day later, and who has just been rebuilt must not lose its last backup to a wrong time zone.
AHEAD = timedelta(days=1)
# A first pass is of use until its second one has ended.
DRAFT_AGE = timedelta(days=1)
PERIODS: dict[str, Callable[[datetime], tuple[int, ...]]] = {
    "daily": lambda time: (time.year, time.month, time.day),
    "weekly": lambda time: time.isocalendar()[:2],
    "monthly": lambda time: (time.year, time.month),
    "yearly": lambda time: (time.year,),
}


@dataclass(frozen=True)
class Fate:
    """Of all snapshots of a repository: ids."""

    goes: list[str] = field(default_factory=list)
    ahead: list[str] = field(default_factory=list)  # dated later than now: they stay, and count for nothing
    backdated: list[str] = field(default_factory=list)  # the same of those that came later than they are dated


def fate(
    found: Iterable[Mapping[str, Any]],
    keep: Mapping[str, int],
    now: datetime,
    *,
    spared: Collection[str] = (),
    whole: timedelta = timedelta(0),
    backdated: Collection[str] = (),
    draft_age: timedelta = DRAFT_AGE,
) -> Fate:
    """What becomes of each. `keep` is how many of each period, `now` an aware moment. Those in `spared` stay, and so
    does all that is dated within the time `whole` before now; those in `backdated` count for nothing, and stay.
    First passes go `draft_age` after they were made; what is nobody's of these is left alone. Raises ValueError for a
    period that is none.
    """
    if unknown := keep.keys() - PERIODS.keys():
        raise ValueError(f"{', '.join(sorted(unknown))} is no period; there are: {', '.join(PERIODS)}")
    made = Fate()
    groups: dict[tuple[str, str], list[tuple[datetime, str]]] = {}
    for one in found:
        time, [tag, *more] = datetime.fromisoformat(one["time"]), one.get("tags") or [""]
        if more or not tag.startswith((DRAFT, *OURS)):
            continue
        if tag.startswith(DRAFT):
            if abs(now - time) >= draft_age:
                made.goes.append(one["id"])
        elif time > now + AHEAD:
            made.ahead.append(one["id"])
        elif one["id"] in backdated:
            made.backdated.append(one["id"])
        elif keep:
            groups.setdefault((one.get("hostname", ""), tag), []).append((time, one["id"]))
    for group in groups.values():
        ordered = sorted(group, reverse=True)
        kept = _kept(ordered, keep)
        made.goes.extend(
            identity
            for time, identity in ordered
            if identity not in kept and identity not in spared and time < now - whole
        )
    return made


def _kept(ordered: Sequence[tuple[datetime, str]], keep: Mapping[str, int]) -> set[str]:
    """The newest of each of the last so many days, weeks, ... that have one, and the oldest of all while there are
    fewer, so that a first snapshot is there until it is as old as is asked for. The newest comes first.
    """
    kept: set[str] = set()
    for period, count in keep.items():
        newest: dict[tuple[int, ...], str] = {}
        for time, identity in ordered:
            newest.setdefault(PERIODS[period](time), identity)
        kept.update(list(newest.values())[:count])
        if len(newest) < count:
            kept.add(ordered[-1][1])
    return kept
