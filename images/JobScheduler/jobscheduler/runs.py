"""Carries runs out: start, wait, tell and record how it ended; never two of one job at a time.

A thread for each run. A job is started by its name, and the container that it has then is what is waited for: an
update may give the job another one meanwhile, whose end is not the end of this run. What runs when the scheduler
stops runs on, and is waited for by the next one.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Protocol

from jobscheduler.docker import Begun, GoneError, RefusedError, UnreachableError
from jobscheduler.record import Record
from jobscheduler.table import Entry

# How long a Docker that does not answer is asked again before a run is given up.
START_SECONDS = 120.0
# How long a job without a container is asked for again: an update removes the old one, makes the new one, and tells.
GONE_SECONDS = 30.0
RETRY_SECONDS = 2.0
# What a status says that Docker gives to a container when it is stopped. A job may end with the same of its own will.
STOPPED = {
    143: "told to stop, as when an update replaces its container or somebody stops it",
    137: "killed, as when an update replaces its container and it does not stop in time, or when it has no memory left",
}


class Access(Protocol):
    """What docker.Docker offers."""

    def start(self, job: str) -> Begun:
        """The container in which it runs, and whether it was started now."""

    def wait(self, container: str) -> tuple[int, str]:
        """Exit status, and a word on it."""


class Clock(Protocol):
    """Time, and an end to it."""

    def now(self) -> datetime:
        """The time on the clock, in UTC."""

    def monotonic(self) -> float:
        """Seconds that no change of the clock touches."""

    def wait(self, seconds: float) -> bool:
        """Let so much time pass; True when it is time to stop."""


class Runs:
    """Everything that is running."""

    def __init__(
        self,
        docker: Access,
        record: Record,
        clock: Clock,
        *,
        say: Callable[[str], None],
        local: Callable[[datetime], str],
        spawn: Callable[[Callable[[], None]], None] | None = None,
    ) -> None:
        """`local` spells a moment in the scheduler's zone; `spawn` runs something beside everything else."""
        self._docker, self._record, self._clock = docker, record, clock
        self._say, self._local, self._spawn = say, local, spawn or _thread
        self._lock = threading.Lock()
        self._running: dict[str, str] = {}  # job -> the entry that it runs for

    def begin(self, entry: Entry, moment: datetime, *, made_up: bool) -> None:
        """Start a run that was due at `moment`, unless the job still runs."""
        if holder := self._take(entry):
            whose = "it" if holder == entry.name else f"the same job, for {holder},"
            self._not_run(entry, moment, "skipped", f"{whose} still runs")
        else:
            self._beside(entry, moment, lambda: self._run(entry, moment, made_up))

    def resume(self, entry: Entry, kept: Mapping[str, Any]) -> None:
        """Wait for a run that was under way when the scheduler stopped."""
        moment, started = (datetime.fromisoformat(str(kept[key])) for key in ("due", "started"))
        container = str(kept["container"])
        if kept.get("job", entry.job) != entry.job:
            self._record.keep(entry.name, entry.when, running=None)
            why = f"it was the job {kept['job']}, which is not asked for any more; how it ended is not known"
            self._not_run(entry, moment, "lost", why, container)
        elif not self._take(entry):
            self._say(f"{entry.name}: was under way when the scheduler stopped; waiting for its end")
            self._beside(entry, moment, lambda: self._end(entry, container, moment, started, None))

    def _take(self, entry: Entry) -> str | None:
        """The entry for which its job runs; None when it did not, and now does for this one."""
        with self._lock:
            if holder := self._running.get(entry.job):
                return holder
            self._running[entry.job] = entry.name
            return None

    def _beside(self, entry: Entry, moment: datetime, work: Callable[[], None]) -> None:
        def guarded() -> None:
            try:
                work()
            except Exception as error:  # told, and the next time comes all the same
                self._not_run(entry, moment, "failed", f"in the scheduler itself: {error!r}")
            finally:
                with self._lock:
                    del self._running[entry.job]

        self._spawn(guarded)

    def _run(self, entry: Entry, moment: datetime, made_up: bool) -> None:
        try:
            begun, asked = self._start(entry.job)
        except GoneError as error:
            why = "it has no container; the update that replaces it is still at it, or ended early: say pulumi up again"
            self._not_run(entry, moment, "failed", f"could not be started: {why} ({error})")
            return
        except (RefusedError, UnreachableError) as error:
            self._not_run(entry, moment, "failed", f"could not be started: {error}")
            return
        if not begun.fresh:
            why = "it runs already, started by an update or by hand"
            self._not_run(entry, moment, "skipped", why, begun.container)
            return
        started, ticks = self._clock.now(), self._clock.monotonic()
        self._record.keep(
            entry.name,
            entry.when,
            running={
                "job": entry.job,
                "container": begun.container,
                "due": moment.isoformat(timespec="milliseconds"),
                "started": started.isoformat(timespec="milliseconds"),
            },
        )
        why = "missed at" if made_up else "due"
        late_ms = round((asked - moment).total_seconds() * 1000)
        late = "" if made_up else f", {late_ms} ms late"
        self._say(f"{entry.name}: started, {why} {self._local(moment)}{late}")
        self._end(entry, begun.container, moment, started, ticks, late_ms=late_ms, made_up=made_up)

    def _start(self, job: str) -> tuple[Begun, datetime]:
        """As Access.start, asked again for a while when nobody answers, or when the job is being replaced; and when it
        was asked successfully.
        """
        first = self._clock.monotonic()
        while True:
            asked = self._clock.now()
            try:
                return self._docker.start(job), asked
            except (UnreachableError, GoneError) as error:
                patience = GONE_SECONDS if isinstance(error, GoneError) else START_SECONDS
                if self._clock.monotonic() - first >= patience or self._clock.wait(RETRY_SECONDS):
                    raise

    def _end(
        self,
        entry: Entry,
        container: str,
        moment: datetime,
        started: datetime,
        ticks: float | None,
        **known: object,
    ) -> None:
        """Wait for a run's end and record it. `ticks` is None for one that another scheduler started."""
        while True:
            try:
                status, note = self._docker.wait(container)
                break
            except UnreachableError:
                # Docker restarts; the container runs on.
                if self._clock.wait(RETRY_SECONDS):
                    return  # the next scheduler waits for it
            except RefusedError as error:
                self._record.keep(entry.name, entry.when, running=None)
                self._not_run(entry, moment, "lost", f"how it ended is not known: {error}", container)
                return
        note = note or STOPPED.get(status, "")
        ended = self._clock.now()
        seconds = None if ticks is None else round(self._clock.monotonic() - ticks, 3)
        self._record.add(
            event="ended",
            job=entry.name,
            container=container,
            due=moment,
            started=started,
            ended=ended,
            seconds=seconds,
            status=status,
            note=note or None,
            **known,
        )
        self._record.keep(entry.name, entry.when, running=None)
        after = f"after {seconds} s" if seconds is not None else f"(started {self._local(started)}, ended by now)"
        self._say(f"{entry.name}: ended with status {status} {after}{': ' if note else ''}{note}")

    def _not_run(self, entry: Entry, moment: datetime, event: str, why: str, container: str | None = None) -> None:
        self._say(f"{entry.name}: {event}, due {self._local(moment)}: {why}")
        known = {"container": container} if container else {}
        self._record.add(event=event, job=entry.name, **known, due=moment, why=why)


def _thread(work: Callable[[], None]) -> None:
    threading.Thread(target=work, daemon=True).start()
