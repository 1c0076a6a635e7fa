"""Which moments of one job have passed, whatever the clock does; pure.

Makes: `Plan`, asked again and again what is due. Every moment is dealt with once. One that comes within ON_TIME
of its time is a run; older ones were missed (nobody was here, or the clock was set forward) and are made up for
by one run at most, so that no jump of the clock becomes a storm.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from zoneinfo import ZoneInfo

from jobscheduler.crontab import Schedule

ON_TIME = timedelta(minutes=1)
# A clock that is set back by less is not followed by jobs with a fixed time: what ran does not run again.
SET_BACK = timedelta(hours=3)
COUNTED = 10_000  # missed moments; one more stands for "more than that"


@dataclass(frozen=True)
class Due:
    """What has come to be due since the last question."""

    moment: datetime  # the latest
    missed: int  # how many were missed; `moment` is the last of them when `late`
    first_missed: datetime | None
    late: bool  # whether `moment` itself was missed


@dataclass
class Plan:
    """One schedule, and how far it has been dealt with."""

    schedule: Schedule
    zone: ZoneInfo
    considered: datetime  # every moment up to this one
    _next: datetime | None = None  # what follows `considered`, while it is known

    def due(self, now: datetime) -> Due | None:
        """What is due at `now` and was not before."""
        if now < self.considered:
            return None
        if self._next is not None and now < self._next:
            self.considered = now
            return None
        moments = list(islice(self.schedule.between(self.considered, now, self.zone), COUNTED + 1))
        self.considered, self._next = now, None
        if not moments:
            return None
        missed, first, latest = len(moments), moments[0], moments[-1]
        if missed > COUNTED:
            # More often than hourly: the latest is a few days old at most.
            *_, latest = [latest, *self.schedule.between(max(latest, now - timedelta(days=2)), now, self.zone)]
        late = now - latest > ON_TIME
        if not late and missed <= COUNTED:
            missed -= 1
        return Due(latest, missed, first if missed else None, late)

    def set_back(self, now: datetime) -> timedelta | None:
        """Follow a clock that shows an earlier time than before; by how much, or None when there is nothing to do."""
        behind = self.considered - now
        if behind < (ON_TIME if self.schedule.follows_the_clock else SET_BACK):
            return None
        self.considered, self._next = now, None
        return behind

    def next(self) -> datetime | None:
        """When it is due next: what has passed already, and was not yet asked for, comes first."""
        if self._next is None:
            self._next = self.schedule.after(self.considered, self.zone)
        return self._next
