"""How old backups and their rehearsals are, and how they ended. Pure.

Reads what the server tells of /var/lib/apiary/backups: `since` when it knows what to save, a record for each item
(`time` of the last run, its `status` and `reason`, when the newest good one was `saved`), and of the last rehearsal
when it was `begun`, its `status`, when all was `proved` the last time.
"""

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
SEE = "monitoring.md#a-backup-is-late-or-failed"


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
        if schedule is None or "backups" not in facts or server.name == schedule.store:
            continue
        told, zone, now = facts["backups"], wanted.zones[server.name], facts["time"]
        if told is None:
            say = Say(wanted, "backup", server.name)
            why = "does not know what to save, and saves nothing"
            line = f"{say.pulumi('up')}; where that changes nothing: {say.make('backup')}"
            say(Level.WRONG, why, line, SEE)
            rows.append(Row(server.name, ("never", "", "", ""), tuple(say.found)))
            continue
        rows += _saved(wanted, server.name, told, Due(schedule.backup, zone, now))
        if schedule.drill:
            say = Say(wanted, "drill", f"{server.name} rehearsal")
            due = Due(schedule.drill, zone, now)
            rows.append(_drill(say, server.name, told["drill"], due, is_new=not due.passed(told.get("since", 0.0))))
    return tuple(rows)


def _saved(wanted: Wanted, server: str, told: Mapping[str, Any], due: Due) -> Iterator[Row]:
    saved = {one["item"]: one for one in told["saved"]}
    proofs = (told["drill"] or {}).get("items") or {}
    is_new = not due.passed(told.get("since", 0.0))
    if is_new and not saved:
        say = Say(wanted, "backup", server)
        says = "it has saved nothing since it was made, and the first backup comes by the clock"
        say(Level.WATCH, says, say.make("backup"), SEE)
        yield Row(server, ("never", "", "", ""), tuple(say.found))
        return
    for item in sorted({*told["items"], *saved}):
        say, last = Say(wanted, "backup", f"{server} {item}"), saved.get(item)
        line = say.make("backup")
        if last is None:
            if is_new:
                say(Level.WATCH, "was not saved yet; the next backup comes by the clock", line, SEE)
            else:
                say(Level.WRONG, "was never saved", line, SEE)
            yield Row(say.name, ("never", "", "", ""), tuple(say.found))
            continue
        newest = moment(last["saved"])
        if last["status"] != "ok":
            kept = f"; the newest good one is {duration(due.now - newest)} old" if newest else "; there is no good one"
            says = f"its last backup is {last['status']}, {_ago(last['time'], due.now)}{_because(last)}{kept}"
            say(Level.WRONG, says, f"on {server} journalctl -u apiary-backups -n 50; {line}", SEE)
        elif newest and due.passed(newest):
            says = f"its last backup is {duration(due.now - newest)} old, and another was due since"
            say(Level.WRONG, says, f"on {server} systemctl list-timers --all; {line}", SEE)
        proved = _ago((proofs.get(item) or {}).get("proved"), due.now)
        cells = (_ago(last["saved"], due.now), duration(last["seconds"]), size(last["bytes"]), proved)
        yield Row(say.name, cells, tuple(say.found))


def _drill(say: Say, server: str, last: Mapping[str, Any] | None, due: Due, *, is_new: bool) -> Row:
    line = say.make("drill")
    if last is None and is_new:
        say(Level.WATCH, "its backups were never proved, and the first rehearsal comes by the clock", line, SEE)
    elif last is None:
        says = "its backups were never proved, though a rehearsal was due"
        say(Level.WRONG, says, f"on {server} systemctl list-timers --all; {line}", SEE)
    if last is None:
        return Row(say.name, ("never", "", "", "never"), tuple(say.found))
    begun = moment(last["begun"])
    if last["status"] != "ok":
        says = f"its last rehearsal has failed, {_ago(last['begun'], due.now)}{_because({'reason': failure(last)})}"
        say(Level.WRONG, says, line, SEE)
    elif begun and due.passed(begun):
        says = f"its last rehearsal is {duration(due.now - begun)} old, and another was due since"
        say(Level.WRONG, says, f"on {server} systemctl list-timers --all; {line}", SEE)
    proved = _ago(last["proved"], due.now)
    return Row(say.name, (_ago(last["begun"], due.now), duration(last["seconds"]), "", proved), tuple(say.found))


def failure(drill: Mapping[str, Any]) -> str:
    """Of a rehearsal that failed, the first reason, with what it is of."""
    if drill.get("reason"):
        return str(drill["reason"])
    parts = {
        **(drill.get("items") or {}),
        **(drill.get("applications") or {}),
        "repository": drill.get("repository") or {},
    }
    failed = [f"{name}: {one['reason']}" for name, one in parts.items() if one.get("status", "ok") != "ok"]
    more = f", and {len(failed) - 1} more" if len(failed) > 1 else ""
    return f"{failed[0]}{more}" if failed else ""


def _because(last: Mapping[str, Any]) -> str:
    return f": {last['reason']}" if last.get("reason") else ""


def _ago(told: str | None, now: float) -> str:
    at = moment(told)
    return ago(at, now) if at else "never"


def moment(told: str | None) -> float | None:
    """Seconds since the epoch; None where it has never been."""
    return datetime.fromisoformat(told.replace("Z", "+00:00")).timestamp() if told else None
