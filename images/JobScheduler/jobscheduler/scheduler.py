"""The loop: what is due is started, what was missed is told and made up for, and a sign of life is given."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from jobscheduler.plan import COUNTED, Due, Plan
from jobscheduler.record import Record
from jobscheduler.runs import Clock, Runs
from jobscheduler.table import Entry, Table

# The longest sleep: a clock that was set is noticed so soon, and the health check sees us alive.
NAP_SECONDS = 10.0


class Scheduler:
    """All jobs of a table."""

    def __init__(
        self,
        table: Table,
        runs: Runs,
        record: Record,
        clock: Clock,
        *,
        say: Callable[[str], None],
        alive: Callable[[], None],
    ) -> None:
        self._table, self._runs, self._record, self._clock = table, runs, record, clock
        self._say, self._alive = say, alive
        self._plans: dict[Entry, Plan] = {}

    def run(self) -> None:
        """Until the clock says that it is time to stop."""
        self._begin()
        while True:
            now = self._clock.now()
            for entry, plan in self._plans.items():
                self._look(entry, plan, now)
            self._alive()
            if self._clock.wait(self._nap()):
                return

    def _begin(self) -> None:
        now = self._clock.now()
        self._record.forget_all_but({entry.name for entry in self._table.entries})
        for entry in self._table.entries:
            when = entry.when
            kept = self._record.job(entry.name, when)
            considered = now if kept is None else datetime.fromisoformat(kept["considered"])
            self._plans[entry] = Plan(entry.schedule, self._table.zone, considered)
            if kept is None:
                self._record.keep(entry.name, when, considered=now)
            following = entry.schedule.after(now, self._table.zone)
            told = self._table.local(following) if following else "never"
            self._say(f"{entry.name}: {entry.schedule.text} ({self._table.zone.key}), next {told}")
            if running := self._record.running(entry.name):
                self._runs.resume(entry, running)

    def _look(self, entry: Entry, plan: Plan, now: datetime) -> None:
        if (behind := plan.set_back(now)) is not None:
            back = timedelta(seconds=round(behind.total_seconds()))
            self._say(f"{entry.name}: the clock was set back by {back}; going on by the new time")
            self._record.keep(entry.name, entry.when, considered=now)
        due = plan.due(now)
        if due is None:
            return
        self._record.keep(entry.name, entry.when, considered=plan.considered)
        if due.missed:
            self._tell_missed(entry, due)
        if not due.late or self._table.catch_up:
            self._runs.begin(entry, due.moment, made_up=due.late)

    def _tell_missed(self, entry: Entry, due: Due) -> None:
        consequence = "run once now" if due.late and self._table.catch_up else "not run"
        first = due.first_missed or due.moment
        count = due.missed if due.missed <= COUNTED else f"more than {COUNTED}"
        self._say(f"{entry.name}: missed {count}, the first {self._table.local(first)}: {consequence}")
        self._record.add(
            event="missed", job=entry.name, due=first, last=due.moment, count=due.missed,
            made_up=due.late and self._table.catch_up,
        )  # fmt: skip

    def _nap(self) -> float:
        now = self._clock.now()
        moments = [moment for plan in self._plans.values() if (moment := plan.next()) is not None]
        return min([NAP_SECONDS, *((moment - now).total_seconds() for moment in moments)])
