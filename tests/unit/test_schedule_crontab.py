"""When a line of crontab(5) is due: against the manual, a minute-by-minute reference, and an independent library."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from cronsim import CronSim
from hypothesis import given, reject, settings
from hypothesis import strategies as st

from settings.crontab import FIELDS, CrontabError, Field, Schedule

MINUTE = timedelta(minutes=1)
BERLIN, NEW_YORK = ZoneInfo("Europe/Berlin"), ZoneInfo("America/New_York")


def due(text, zone, first, count=4):
    """The next moments after `first` on the wall, as `MM-DD HH:MM+ZZ`."""
    schedule, moment, found = Schedule.parse(text), datetime.fromisoformat(first).replace(tzinfo=zone), []
    for _ in range(count):
        moment = schedule.after(moment, zone)
        assert moment is not None
        found.append(moment.astimezone(zone).strftime("%m-%d %H:%M"))
    return found


# line, from when, the next moments. 2026-01-01 is a Thursday.
TABLE = [
    ("1 2 */2 * *", "2026-01-01 00:00", ["01-01 02:01", "01-03 02:01", "01-05 02:01"]),
    ("*/20 * * * *", "2026-01-01 00:00", ["01-01 00:20", "01-01 00:40", "01-01 01:00"]),
    ("5-59/25 9 * * *", "2026-01-01 00:00", ["01-01 09:05", "01-01 09:30", "01-01 09:55"]),
    ("0 9-17/4 * * *", "2026-01-01 00:00", ["01-01 09:00", "01-01 13:00", "01-01 17:00"]),
    ("0,30 8,20 * * *", "2026-01-01 08:00", ["01-01 08:30", "01-01 20:00", "01-01 20:30"]),
    ("0 0 * * 0", "2026-01-01 00:00", ["01-04 00:00", "01-11 00:00"]),
    ("0 0 * * 7", "2026-01-01 00:00", ["01-04 00:00", "01-11 00:00"]),
    ("0 0 * * sun", "2026-01-01 00:00", ["01-04 00:00", "01-11 00:00"]),
    ("0 0 * * FRI-SUN", "2026-01-01 00:00", ["01-02 00:00", "01-03 00:00", "01-04 00:00", "01-09 00:00"]),
    ("0 0 * * 5-7", "2026-01-01 00:00", ["01-02 00:00", "01-03 00:00", "01-04 00:00", "01-09 00:00"]),
    ("0 0 * * mon-fri/2", "2026-01-01 00:00", ["01-02 00:00", "01-05 00:00", "01-07 00:00"]),
    ("0 0 1 jan,Jul *", "2026-01-01 00:00", ["07-01 00:00", "01-01 00:00"]),
    # both days given: either of them
    ("0 0 13 * 5", "2026-01-01 00:00", ["01-02 00:00", "01-09 00:00", "01-13 00:00", "01-16 00:00"]),
    # one of them begins with a star: both of them
    ("0 0 */2 * 1", "2026-01-01 00:00", ["01-05 00:00", "01-19 00:00", "02-09 00:00"]),
    ("0 0 1-7 * */7", "2026-01-01 00:00", ["01-04 00:00", "02-01 00:00", "03-01 00:00"]),
    ("0 0 31 * *", "2026-01-31 00:00", ["03-31 00:00", "05-31 00:00", "07-31 00:00"]),
    ("0 0 29 2 *", "2026-01-01 00:00", ["02-29 00:00", "02-29 00:00"]),
    ("30 4 01 01 *", "2026-01-01 00:00", ["01-01 04:30"]),
    ("@yearly", "2026-01-01 00:00", ["01-01 00:00"]),
    ("@annually", "2026-01-01 00:00", ["01-01 00:00"]),
    ("@monthly", "2026-01-01 00:00", ["02-01 00:00", "03-01 00:00"]),
    ("@weekly", "2026-01-01 00:00", ["01-04 00:00", "01-11 00:00"]),
    ("@daily", "2026-01-01 00:00", ["01-02 00:00", "01-03 00:00"]),
    ("@midnight", "2026-01-01 00:00", ["01-02 00:00", "01-03 00:00"]),
    (" @Hourly ", "2026-01-01 00:00", ["01-01 01:00", "01-01 02:00"]),
]


@pytest.mark.parametrize(("text", "first", "moments"), TABLE)
def test_a_line_means_what_the_manual_says(text, first, moments):
    assert due(text, UTC, first, len(moments)) == moments


DAYLIGHT = [
    # the 29th of March 2026 has no 02:00 to 02:59 in Berlin, the 8th has none in New York
    ("30 2 * * *", BERLIN, "2026-03-28 12:00", ["03-29 03:00", "03-30 02:30"]),
    ("0 2 * * *", BERLIN, "2026-03-28 12:00", ["03-29 03:00", "03-30 02:00"]),
    ("0 3 * * *", BERLIN, "2026-03-28 12:00", ["03-29 03:00", "03-30 03:00"]),
    ("15,45 2,3 * * *", BERLIN, "2026-03-28 12:00", ["03-29 03:00", "03-29 03:15", "03-29 03:45", "03-30 02:15"]),
    ("30 2 * * *", NEW_YORK, "2026-03-07 12:00", ["03-08 03:00", "03-09 02:30"]),
    ("*/30 * * * *", BERLIN, "2026-03-29 01:00", ["03-29 01:30", "03-29 03:00", "03-29 03:30"]),
    ("30 */2 * * *", BERLIN, "2026-03-29 00:00", ["03-29 00:30", "03-29 04:30"]),
    # the 25th of October 2026 has 02:00 to 02:59 twice in Berlin, the 1st of November 01:00 to 01:59 in New York
    ("30 2 * * *", BERLIN, "2026-10-24 12:00", ["10-25 02:30", "10-26 02:30"]),
    ("0 3 * * *", BERLIN, "2026-10-24 12:00", ["10-25 03:00", "10-26 03:00"]),
    ("30 1 * * *", NEW_YORK, "2026-10-31 12:00", ["11-01 01:30", "11-02 01:30"]),
    ("*/30 * * * *", BERLIN, "2026-10-25 01:45", ["10-25 02:00", "10-25 02:30", "10-25 02:00", "10-25 02:30"]),
    # set back over midnight: the evening of the day before comes after the first minute of the day
    ("*/30 * * * *", ZoneInfo("America/St_Johns"), "2010-11-07 00:00", ["11-06 23:30", "11-07 00:00", "11-07 00:30"]),
    ("0 * * * *", NEW_YORK, "2026-11-01 00:00", ["11-01 01:00", "11-01 01:00", "11-01 02:00"]),
]


@pytest.mark.parametrize(("text", "zone", "first", "moments"), DAYLIGHT)
def test_the_night_of_a_changed_clock_runs_each_job_as_debian_s_cron_does(text, zone, first, moments):
    assert due(text, zone, first, len(moments)) == moments


def test_a_day_that_a_zone_skips_as_a_whole_runs_its_job_when_the_next_begins():
    """Samoa had no 30th of December 2011."""
    assert due("0 12 * * *", ZoneInfo("Pacific/Apia"), "2011-12-29 00:00", 3) == [
        "12-29 12:00",
        "12-31 00:00",
        "12-31 12:00",
    ]


BAD = [
    ("", "has 0 fields; write five"),
    ("* * * *", "has 4 fields; write five, minute hour day-of-month month day-of-week"),
    ("0 * * * * *", "has 6 fields; write five"),
    ("60 * * * *", 'minute "60": "60" is not a value; write 0 to 59'),
    ("* 24 * * *", 'hour "24": "24" is not a value; write 0 to 23'),
    ("* * 0 * *", 'day of the month "0": "0" is not a value; write 1 to 31'),
    ("* * * 13 *", 'month "13": "13" is not a value; write 1 to 12, or jan to dec'),
    ("* * * * 8", 'day of the week "8": "8" is not a value; write 0 to 7, or sun to sat'),
    ("* * * january *", 'month "january": "january" is not a value'),
    ("-1 * * * *", 'minute "-1": "" is not a value'),
    ("1, * * * *", 'minute "1,": "" is not a value'),
    ("*,* * * * * *", "has 6 fields"),
    ("*/0 * * * *", 'minute "*/0": a step is a number from 1, as in */5'),
    ("*/ * * * *", "a step is a number from 1"),
    ("*/5/5 * * * *", "a step is a number from 1"),
    ("*/90 * * * *", "no step of 90 fits into 0 to 59, so that it would be 0 alone; write 0 if that is meant"),
    ("5/15 * * * *", "a step needs a range before it; write 5-59/15"),
    ("* 22-2 * * *", "22-2 runs backwards; write it in two parts, 22-23,0-2"),
    ("* * * * sat-mon", "sat-mon runs backwards; write it in two parts, sat-7,0-mon"),
    ("* * ? * *", '"?" is not a value'),
    ("* * L * *", '"l" is not a value'),
    ("٣ * * * *", "is not a value"),
    ("0 0 31 2 *", "never comes: no month of it has a day 31; write another day"),
    ("0 0 31 2,4,6 *", "never comes"),
    ("@dayly", "is not known; write one of @annually, @daily, @hourly,"),
    ("@reboot", "is not a time; a job runs by itself when anything in it changes"),
]


@pytest.mark.parametrize(("text", "message"), BAD)
def test_a_line_that_can_t_be_read_says_what_to_write(text, message):
    with pytest.raises(CrontabError) as refused:
        Schedule.parse(text)
    assert message in str(refused.value)


@pytest.mark.parametrize("text", ["22-23,0-2", "5-59/15"])
def test_what_a_message_says_to_write_can_be_written(text):
    Schedule.parse(f"* {text} * * *" if text.startswith("22") else f"{text} * * * *")
    Schedule.parse("* * * * sat-7,0-mon")


@given(st.text(max_size=40))
def test_no_text_does_anything_but_parse_or_say_why_not(text):
    try:
        schedule = Schedule.parse(text)
    except CrontabError as error:
        refusal = str(error)
    else:
        refusal = ""
        assert schedule.after(datetime(2026, 1, 1, tzinfo=UTC), UTC) is not None
    assert refusal.isprintable()


# --- a field's text and, made beside it and not from it, the values it stands for


@st.composite
def fields(draw, field: Field):
    """(text, values, begins with a star)"""
    parts = draw(st.lists(items(field), min_size=1, max_size=3))
    text = ",".join(part for part, _ in parts)
    return text, frozenset().union(*(values for _, values in parts)), text.startswith("*")


@st.composite
def items(draw, field: Field):
    spell = st.just(str)
    if field.names:
        names = {field.first + index: name for index, name in enumerate(field.names)}
        spell = st.sampled_from([str, lambda value: names.get(value, str(value)).upper()])
    first = draw(st.integers(field.first, field.last))
    last = draw(st.integers(first, field.last))
    kind = draw(st.sampled_from(["star", "star/step", "value", "range", "range/step"]))
    step = draw(st.integers(1, (field.last - field.first) // 2)) if "/" in kind else 1
    if kind.startswith("star"):
        return "*" + (f"/{step}" if "/" in kind else ""), frozenset(range(field.first, field.last + 1, step))
    if kind == "value":
        return draw(spell)(first), frozenset({first})
    # Never a range that is one value: the library reads a step behind it in a way of its own.
    if first == last:
        return str(first), frozenset({first})
    text = f"{draw(spell)(first)}-{last}" + (f"/{step}" if "/" in kind else "")
    return text, frozenset(range(first, last + 1, step))


def parsed(text):
    """The schedule; a line that can't come at all is no example."""
    try:
        return Schedule.parse(text)
    except CrontabError as refused:
        if "never comes" in str(refused):
            reject()
        raise


LINES = st.tuples(*(fields(field) for field in FIELDS))


def reference(line, zone, first, last):
    """Every due minute, by walking through all of them with an eye on the clock on the wall, as cron does."""
    (_, minutes, minute_star), (_, hours, hour_star), (_, days, day_star), (_, months, _), (_, weekdays, week_star) = (
        line
    )

    def fits(wall):
        weekday = wall.isoweekday()
        by_day, by_week = wall.day in days, weekday in weekdays or weekday % 7 in weekdays
        on = (by_day and by_week) if day_star or week_star else (by_day or by_week)
        return wall.minute in minutes and wall.hour in hours and wall.month in months and on

    found, moment, seen = [], first, None
    while moment <= last:
        wall = moment.astimezone(zone).replace(tzinfo=None, fold=0)
        if minute_star or hour_star:
            is_due = fits(wall)
        else:
            passed = [wall] if seen is None else [seen + MINUTE * n for n in range(1, (wall - seen) // MINUTE + 1)]
            is_due = any(fits(one) for one in passed)
        if is_due and moment > first:
            found.append(moment)
        seen = wall if seen is None else max(seen, wall)
        moment += MINUTE
    return found


# A night in which something happens to the clock, and a quiet one.
NIGHTS = [
    ("Europe/Berlin", "2026-03-28T22:00"),
    ("Europe/Berlin", "2026-10-24T22:00"),
    ("America/New_York", "2026-03-08T03:00"),
    ("America/New_York", "2026-11-01T02:00"),
    ("America/Santiago", "2026-04-04T20:00"),  # set back over midnight
    ("America/Santiago", "2026-09-05T20:00"),  # midnight is skipped
    ("America/St_Johns", "2010-11-07T00:00"),  # set back a minute after midnight
    ("Australia/Lord_Howe", "2026-04-04T08:00"),  # half an hour
    ("Pacific/Apia", "2011-12-29T12:00"),  # a whole day
    ("Asia/Kathmandu", "2026-07-01T00:00"),
    ("UTC", "2027-12-31T12:00"),
]


@settings(max_examples=300, deadline=None)
@given(LINES, st.sampled_from(NIGHTS))
def test_every_line_is_due_when_the_reference_says(line, night):
    zone, first = ZoneInfo(night[0]), datetime.fromisoformat(night[1]).replace(tzinfo=UTC)
    last = first + timedelta(hours=36)
    schedule = parsed(" ".join(text for text, _, _ in line))
    assert list(schedule.between(first, last, zone)) == reference(line, zone, first, last)


@settings(max_examples=300, deadline=None)
@given(
    LINES,
    st.sampled_from(["UTC", "Europe/Berlin", "America/New_York"]),
    st.datetimes(datetime(2024, 1, 1), datetime(2029, 1, 1)),
)
def test_every_line_is_due_when_another_reader_of_debian_s_crontab_says(line, name, start):
    text, zone = " ".join(text for text, _, _ in line), ZoneInfo(name)
    start = start.replace(second=0, microsecond=0, tzinfo=UTC).astimezone(zone)
    schedule = parsed(text)
    # It names one moment several times when a skipped hour had several.
    other, moment = (one.astimezone(UTC) for one in CronSim(text, start)), start
    for _ in range(8):
        theirs = next(one for one in other if one > moment)
        moment = schedule.after(moment, zone)
        assert moment == theirs, f"{text} in {name} after {start}"
