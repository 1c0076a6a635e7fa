"""The language of crontab(5): from a line such as `1 2 */2 * *` to the moments at which a job is due.

Makes: `Schedule`, its parser, and `Schedule.after`. Pure, and used twice: by the scheduler, and by the settings
(settings/crontab.py is this file), so that what is accepted there is what runs here. Leaves alone: what is done
at these moments.

Daylight saving is Debian's cron. A job with a fixed hour and minute runs once for each day it names: when its
time is skipped, at the moment after; when its time comes twice, the first time. A job whose minute or hour
begins with `*` follows the clock on the wall: nothing in an hour that is skipped, again in one that is repeated.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo
from datetime import time as time_of_day
from functools import lru_cache

MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
WEEKDAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
WORDS = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
# The 29th of February that is a certain weekday comes every 28 years, and once in a while only after 40.
HORIZON = timedelta(days=366 * 45)
_DAY, _MINUTE = timedelta(days=1), timedelta(minutes=1)
_LONGEST_MONTH = {month: 29 if month == 2 else 30 if month in {4, 6, 9, 11} else 31 for month in range(1, 13)}


class CrontabError(ValueError):
    """A line that can't be read, or names no moment at all; the message says what to write."""


@dataclass(frozen=True)
class Field:
    """One of the five fields."""

    name: str
    first: int
    last: int
    names: tuple[str, ...] = ()  # the first one means `first`


FIELDS = (
    Field("minute", 0, 59),
    Field("hour", 0, 23),
    Field("day of the month", 1, 31),
    Field("month", 1, 12, MONTHS),
    Field("day of the week", 0, 7, WEEKDAYS),
)


@dataclass(frozen=True)
class Schedule:
    """When a job is due, in the local time of a zone that is given with each question."""

    text: str  # as it was written
    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]  # Sunday is 0
    both_days: bool  # whether day of the month and day of the week must match, or either of them
    follows_the_clock: bool  # whether minute or hour begins with `*`: see the module's first lines

    @classmethod
    def parse(cls, text: str) -> Schedule:
        """Read `MINUTE HOUR DAY MONTH WEEKDAY` or a word such as `@daily`. Raises CrontabError."""
        line = _spelled_out(text)
        fields = line.split()
        if len(fields) != len(FIELDS):
            raise CrontabError(
                f"{_shown(text)} has {len(fields)} fields; write five, "
                'minute hour day-of-month month day-of-week, as in "30 4 * * *" (04:30 every day)'
            )
        sets = [_read(field, written.lower()) for field, written in zip(FIELDS, fields, strict=True)]
        minutes, hours, days, months, weekdays = sets
        both_days = fields[2].startswith("*") or fields[4].startswith("*")
        if both_days and all(_LONGEST_MONTH[month] < min(days) for month in months):
            raise CrontabError(f"{_shown(text)} never comes: no month of it has a day {min(days)}; write another day")
        return cls(
            text=text,
            minutes=minutes,
            hours=hours,
            days=days,
            months=months,
            weekdays=frozenset(day % 7 for day in weekdays),
            both_days=both_days,
            follows_the_clock=fields[0].startswith("*") or fields[1].startswith("*"),
        )

    def is_on(self, day: date) -> bool:
        """Whether the job runs on that day at all."""
        by_month_day, by_weekday = day.day in self.days, day.isoweekday() % 7 in self.weekdays
        fits = (by_month_day and by_weekday) if self.both_days else (by_month_day or by_weekday)
        return fits and day.month in self.months

    def after(self, moment: datetime, zone: tzinfo) -> datetime | None:
        """The first moment after `moment` at which the job is due, in UTC; None when there is none in 45 years.

        `moment` is aware.
        """
        moment = moment.astimezone(UTC)
        # A day earlier, and one more after the first find: the clock of a zone may be set back over midnight,
        # and then a moment of the day before comes after one of the next.
        day = moment.astimezone(zone).date() - _DAY
        last = day + HORIZON
        while day <= last:
            found = self._first_on(day, moment, zone)
            if found is not None:
                after_it = self._first_on(day + _DAY, moment, zone)
                return found if after_it is None else min(found, after_it)
            day += _DAY
        return None

    def _first_on(self, day: date, moment: datetime, zone: tzinfo) -> datetime | None:
        if not self.is_on(day):
            return None
        moments = _moments(self, day, zone)
        index = bisect_right(moments, moment)
        return moments[index] if index < len(moments) else None

    def between(self, first: datetime, last: datetime, zone: tzinfo) -> Iterator[datetime]:
        """Every moment after `first` up to `last`, in UTC."""
        moment = self.after(first, zone)
        while moment is not None and moment <= last:
            yield moment
            moment = self.after(moment, zone)


@lru_cache(maxsize=256)
def _moments(schedule: Schedule, day: date, zone: tzinfo) -> tuple[datetime, ...]:
    """Every moment of one local day, in UTC and in order."""
    found: set[datetime] = set()
    for hour in schedule.hours:
        for minute in schedule.minutes:
            wall = datetime.combine(day, time_of_day(hour, minute))
            there = [one for one in (_utc(wall, zone, fold) for fold in (0, 1)) if _wall(one, zone) == wall]
            if schedule.follows_the_clock:
                found.update(there)
            else:
                found.add(there[0] if there else _after_the_gap(wall, zone))
    return tuple(sorted(found))


def _utc(wall: datetime, zone: tzinfo, fold: int) -> datetime:
    return wall.replace(tzinfo=zone, fold=fold).astimezone(UTC)


def _wall(moment: datetime, zone: tzinfo) -> datetime:
    return moment.astimezone(zone).replace(tzinfo=None, fold=0)


def _after_the_gap(wall: datetime, zone: tzinfo) -> datetime:
    """The moment at which the clock jumped over `wall`."""
    # With the offset from after the jump the wall time lies before it, with the one from before it, after.
    early, late = sorted((_utc(wall, zone, 0), _utc(wall, zone, 1)))
    while late - early > _MINUTE:
        middle = early + (late - early) // 2
        middle = middle.replace(second=0, microsecond=0)
        if middle == early:
            break
        early, late = (early, middle) if _wall(middle, zone) > wall else (middle, late)
    return late


def _spelled_out(text: str) -> str:
    line = text.strip()
    if not line.startswith("@"):
        return line
    if line.lower() == "@reboot":
        raise CrontabError(
            '"@reboot" is not a time; a job runs by itself when anything in it changes, and `make run` runs it at once'
        )
    if line.lower() not in WORDS:
        raise CrontabError(f"{_shown(text)} is not known; write one of {', '.join(sorted(WORDS))}, or five fields")
    return WORDS[line.lower()]


def _read(field: Field, written: str) -> frozenset[int]:
    return frozenset(value for part in written.split(",") for value in _part(field, part, written))


def _part(field: Field, part: str, written: str) -> range:
    """One item of a list: `*`, `5`, `1-5`, `mon-fri`, each of them but the single value with a step behind it."""
    span, slash, step_text = part.partition("/")
    first_text, dash, last_text = span.partition("-")
    if span == "*":
        first, last = field.first, field.last
    else:
        first = _value(field, first_text, written)
        last = _value(field, last_text, written) if dash else first
        if last == 0 and first > 0 and field.names is WEEKDAYS:
            last = 7  # fri-sun
    if last < first:
        raise CrontabError(
            f"{field.name} {_shown(written)}: {span} runs backwards; write it in two parts, "
            f"{first_text}-{field.last},{field.first}-{last_text}"
        )
    if not slash:
        return range(first, last + 1)
    if span != "*" and not dash:
        raise CrontabError(
            f"{field.name} {_shown(written)}: a step needs a range before it; write {span}-{field.last}/{step_text}"
        )
    if not re.fullmatch(r"[0-9]{1,4}", step_text) or int(step_text) == 0:
        raise CrontabError(f"{field.name} {_shown(written)}: a step is a number from 1, as in */5")
    if int(step_text) > field.last - field.first + 1 - (field.names is WEEKDAYS):
        raise CrontabError(
            f"{field.name} {_shown(written)}: no step of {step_text} fits into {field.first} to {field.last}, so that "
            f"it would be {first} alone; write {first} if that is meant"
        )
    return range(first, last + 1, int(step_text))


def _value(field: Field, text: str, written: str) -> int:
    if text in field.names:
        return field.names.index(text) + field.first
    if re.fullmatch(r"[0-9]{1,4}", text) and field.first <= int(text) <= field.last:
        return int(text)
    names = f", or {field.names[0]} to {field.names[-1]}" if field.names else ""
    raise CrontabError(
        f"{field.name} {_shown(written)}: {_shown(text)} is not a value; write {field.first} to {field.last}{names}"
    )


def _shown(text: str) -> str:
    cut = text if len(text) <= 60 else text[:57] + "..."
    return '"' + "".join(char if char.isprintable() else "?" for char in cut) + '"'
