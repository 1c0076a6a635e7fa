"""How old backups and their rehearsals are, and how they ended. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from operations.status.report import Answers, Level, Row, Say
from operations.status.stack import Wanted
from operations.status.words import ago, duration, size
from settings.crontab import Schedule

GRACE_SECONDS = 3 * 3600.0  # what one may take from when it is due


@dataclass(frozen=True)
class Due:
    """A server's schedule, looked at now."""

    when: str  # crontab(5)
    zone: str
    now: float

    def passed(self, last: float) -> bool:
        """Whether the next one after `last` should have ended by now."""
        following = Schedule.parse(self.when).after(datetime.fromtimestamp(last, UTC), ZoneInfo(self.zone))
        return following is not None and self.now - following.timestamp() > GRACE_SECONDS


def backups(wanted: Wanted, answers: Answers) -> tuple[Row, ...]:
    """A row for each thing that is saved, and one for each server's rehearsal; none of a server that does not tell."""
    schedule, rows = wanted.backups, list[Row]()
    for server in wanted.servers if schedule else ():
        facts = answers.servers[server.name].facts or {}
        if schedule is None or "backups" not in facts:
            continue
        told, zone, now = facts["backups"], wanted.zones[server.name], facts["time"]
        if told is None:
            say = Say(wanted, "backup", server.name)
            why = "was not told yet what to save, and saves nothing"
            say(Level.WRONG, why, say.pulumi("up"), "operations.md#an-update-failed")
            rows.append(Row(server.name, ("never", "", ""), tuple(say.found)))
            continue
        rows += _saved(wanted, server.name, told, Due(schedule.backup, zone, now))
        if schedule.drill:
            say = Say(wanted, "drill", f"{server.name} rehearsal")
            rows.append(_drill(say, server.name, told["drill"], Due(schedule.drill, zone, now)))
    return tuple(rows)


def _saved(wanted: Wanted, server: str, told: Mapping[str, Any], due: Due) -> Iterator[Row]:
    saved = {one["item"]: one for one in told["saved"]}
    for item in sorted({*told["items"], *saved}):
        say, last = Say(wanted, "backup", f"{server} {item}"), saved.get(item)
        line, see = say.make("backup"), "monitoring.md#what-is-wrong-with-a-backup"
        if last is None:
            say(Level.WRONG, "was never saved", line, see)
            yield Row(say.name, ("never", "", ""), tuple(say.found))
            continue
        at = moment(last["time"])
        if last["status"] != "ok":
            says = f"its last backup is {last['status']}, {ago(at, due.now)}{because(last)}"
            say(Level.WRONG, says, line, see)
        elif due.passed(at):
            says = f"its last backup is {duration(due.now - at)} old, and another was due since"
            say(Level.WRONG, says, f"on {server} systemctl list-timers --all; {line}", see)
        cells = (ago(at, due.now), duration(last.get("seconds") or 0), size(last.get("bytes") or 0))
        yield Row(say.name, cells, tuple(say.found))


def _drill(say: Say, server: str, last: Mapping[str, Any] | None, due: Due) -> Row:
    line, see = say.make("drill"), "monitoring.md#what-is-wrong-with-a-backup"
    if last is None:
        say(Level.WATCH, "its backups were never proved", line, see)
        return Row(say.name, ("never", "", ""), tuple(say.found))
    at = moment(last["time"])
    if last["status"] != "ok":
        say(Level.WRONG, f"its last rehearsal has failed, {ago(at, due.now)}{because(last)}", line, see)
    elif due.passed(at):
        says = f"its last rehearsal is {duration(due.now - at)} old, and another was due since"
        say(Level.WATCH, says, f"on {server} systemctl list-timers --all; {line}", see)
    return Row(say.name, (ago(at, due.now), duration(last.get("seconds") or 0), ""), tuple(say.found))


def because(last: Mapping[str, Any]) -> str:
    """The reason that was left, if any."""
    return f": {last['reason']}" if last.get("reason") else ""


def moment(told: float | str) -> float:
    """Seconds since the epoch, from either spelling."""
    if isinstance(told, str):
        return datetime.fromisoformat(told.replace("Z", "+00:00")).timestamp()
    return float(told)
