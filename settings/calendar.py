"""From a line of crontab to the calendar of systemd, by which a server's own timers go.

Makes: `calendar`. The one difference of the two languages that matters: crontab's day of the month and day of the week
are either of them where both are given, systemd's are both. So a schedule may be two lines.
"""

from collections.abc import Collection, Sequence

from settings.crontab import Schedule

_WEEKDAYS = ("Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat")
_ALL_DAYS, _ALL_MONTHS, _ALL_HOURS, _ALL_MINUTES = range(1, 32), range(1, 13), range(24), range(60)


def calendar(schedule: Schedule) -> list[str]:
    """Return the values of `OnCalendar=` (systemd.time(7)) that name the same moments, in the server's time zone."""
    time = f"{_some(schedule.hours, _ALL_HOURS)}:{_some(schedule.minutes, _ALL_MINUTES)}:00"
    months, days = _some(schedule.months, _ALL_MONTHS), _some(schedule.days, _ALL_DAYS)
    weekdays = _weekdays(schedule.weekdays)
    if not schedule.both_days and (not weekdays or days == "*"):
        return [f"*-{months}-* {time}"]
    if schedule.both_days:
        return [f"{weekdays}*-{months}-{days} {time}"]
    return [f"*-{months}-{days} {time}", f"{weekdays}*-{months}-* {time}"]


def _some(chosen: Collection[int], possible: Sequence[int]) -> str:
    return "*" if set(chosen) == set(possible) else ",".join(f"{one:02}" for one in sorted(chosen))


def _weekdays(chosen: Collection[int]) -> str:
    return "" if len(chosen) == len(_WEEKDAYS) else ",".join(_WEEKDAYS[day] for day in sorted(chosen)) + " "
