"""What is to be started when, read from the environment; pure.

RUN_LOGS=logs              name of the job, what `run_logs: +logs` becomes
WHEN_LOGS=30 4 * * *       crontab(5), see crontab.py
TIMEZONE=Europe/Berlin     of all of them; UTC when it is left out
CATCH_UP=false             what was missed is only told; by default it is made up for, once
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from jobscheduler.crontab import CrontabError, Schedule

_KEY = re.compile(r"(RUN|WHEN)_(.+)")
_JOB = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
_ANSWERS = {"": True, "true": True, "false": False}


class TableError(ValueError):
    """The environment can't be used; a line for each problem, with the variable and what to write."""


@dataclass(frozen=True)
class Entry:
    """One job and its times."""

    name: str  # `logs` of RUN_LOGS
    job: str
    schedule: Schedule
    zone: ZoneInfo

    @property
    def when(self) -> str:
        """What tells these times from others: a job whose times have changed has missed nothing."""
        return f"{self.schedule.text} {self.zone.key}"


@dataclass(frozen=True)
class Table:
    """All of them."""

    entries: tuple[Entry, ...]
    zone: ZoneInfo
    catch_up: bool

    def local(self, moment: datetime) -> str:
        """A moment in the zone, as the log spells it."""
        return moment.astimezone(self.zone).isoformat(sep=" ", timespec="seconds")


def read(environment: Mapping[str, str]) -> Table:
    """The table in these variables. Raises TableError with every problem."""
    problems: list[str] = []
    written: dict[str, dict[str, str]] = {}
    for variable, value in sorted(environment.items()):
        if match := _KEY.fullmatch(variable):
            written.setdefault(match[2], {})[match[1]] = value
    if not written:
        problems.append("RUN_...: there is nothing to start; write run_x: +job and when_x in the stack file")
    zone = ZoneInfo("UTC")
    try:
        zone = ZoneInfo(environment.get("TIMEZONE") or "UTC")
    except (KeyError, ValueError, OSError):
        problems.append(f"TIMEZONE: there is no zone {environment['TIMEZONE']}; write e.g. Europe/Berlin")
    entries = [entry for key, pair in written.items() if (entry := _entry(key, pair, zone, problems))]
    catch_up = environment.get("CATCH_UP", "").lower()
    if catch_up not in _ANSWERS:
        problems.append(f"CATCH_UP: {catch_up!r} is neither true nor false")
    if problems:
        raise TableError("\n".join(problems))
    return Table(tuple(entries), zone, _ANSWERS[catch_up])


def _entry(key: str, pair: Mapping[str, str], zone: ZoneInfo, problems: list[str]) -> Entry | None:
    for wanted, other in (("RUN", "WHEN"), ("WHEN", "RUN")):
        if wanted not in pair:
            problems.append(f"{other}_{key}: {wanted}_{key} is missing beside it")
            return None
    if not _JOB.fullmatch(pair["RUN"]):
        problems.append(f"RUN_{key}: is not the name of a job; write a reference to one, +job")
        return None
    try:
        return Entry(key.lower(), pair["RUN"], Schedule.parse(pair["WHEN"]), zone)
    except CrontabError as error:
        problems.append(f"WHEN_{key}: {error}")
        return None
