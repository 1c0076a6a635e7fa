"""Whether the applications run, and how the jobs ended. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from operations.status.report import Answers, Level, Row, Say
from operations.status.stack import Container, Spread, Wanted
from operations.status.words import ago, duration, plural

RESTARTED_SECONDS = 3600.0
DRIFTED = "operations.md#reality-has-drifted"
SCALE = "scale.md#how-do-i-see-its-replicas"


def containers(wanted: Wanted, answers: Answers) -> tuple[tuple[Row, ...], tuple[Row, ...]]:
    """The rows of jobs, and those of applications: one for all that run well on a server, one for each other."""
    jobs: list[Row] = []
    applications: list[Row] = []
    for server in wanted.servers:
        facts = answers.servers[server.name].facts or {}
        if "containers" not in facts:
            if wanted.on(server.name, "application"):
                applications.append(Row(server.name, ("not known",), because=Level.WRONG))
            if wanted.on(server.name, "job"):
                jobs.append(Row(server.name, ("not known", "", ""), because=Level.WRONG))
            continue
        there = {one["id"]: one for one in facts["containers"]}
        well = []
        for one in wanted.on(server.name, "application"):
            say = Say(wanted, "application", one.name)
            same = [other for other in facts["containers"] if other["resource"] == f"applications.{one.name}"]
            state = _application(say, one, there.get(one.id), same, facts["time"])
            _refused(say, one, facts)
            if say.found:
                applications.append(Row(one.name, (state,), tuple(say.found)))
            else:
                well.append(one.name)
        if well:
            applications.append(Row(server.name, (f"{len(well)} run",)))
        schedule = facts.get("schedule") or {}
        for one in wanted.on(server.name, "job"):
            say = Say(wanted, "job", one.name)
            cells = _job(say, one, there.get(one.id), schedule.get(one.name), facts["time"])
            _refused(say, one, facts)
            jobs.append(Row(one.name, cells, tuple(say.found)))
    applications += [_replicas(wanted, one, answers) for one in wanted.spread]
    return tuple(jobs), tuple(applications)


def _replicas(wanted: Wanted, one: Spread, answers: Answers) -> Row:
    """How many are healthy and where, by what each server tells of its own: no majority of managers is needed."""
    say = Say(wanted, "application", one.name)
    healthy: dict[str, int] = {}
    silent: list[str] = []
    others: list[str] = []  # that run, and are not healthy, or not yet
    for server in wanted.servers:
        told = (answers.servers[server.name].facts or {}).get("replicas")
        if told is None and server.name in one.servers:
            silent.append(server.name)
        for replica in [replica for replica in told or () if replica["service"] == one.name]:
            if replica["health"] in (None, "healthy"):
                healthy[server.name] = healthy.get(server.name, 0) + 1
            else:
                others.append(f"one on {server.name} is {replica['health']}")
    count = sum(healthy.values())
    log = f"on {one.manager} docker service ps --no-trunc {one.name}"
    if count < one.replicas:
        why = [*others, *([f"{' and '.join(silent)} can't be asked"] if silent else [])]
        says = f"{count} of {plural(one.replicas, 'replica')} are healthy{': ' if why else ''}{', '.join(why)}"
        say(Level.WRONG, says, log, SCALE)
    without = [name for name in one.servers if name not in healthy and name not in silent]
    if count >= one.replicas and without and max(healthy.values()) > 1:
        line = f"on {one.manager} apiary-replicas spread {one.name} {one.replicas}"
        says = f"none of its replicas is on {' and '.join(without)}, and several are on one server"
        say(Level.WATCH, says, line, SCALE)
    where = ", ".join(f"{number} on {name}" for name, number in sorted(healthy.items()))
    cell = f"{count} of {plural(one.replicas, 'replica')}{', ' if where else ''}{where}"
    return Row(one.name, (cell,), tuple(say.found))


def _refused(say: Say, one: Container, facts: Mapping[str, Any]) -> None:
    """Whom it tried to reach and may not: a word that the stack file lacks, or a program without business there."""
    told = [other for other in facts.get("refused") or () if other["from"] == f"{say.kind}s.{one.name}"]
    for to in sorted({other["to"] for other in told}):
        ports = ", ".join(f"{other['proto']}/{other['port']}" for other in told if other["to"] == to)
        name = to.partition(".")[2]
        says = f"was refused at {name} ({ports}); if it should reach that, write reach: [{name}]"
        line = f"on {one.server} apiary-neighbours refused"
        say(Level.WATCH, says, line, "how-to.md#how-do-i-let-a-container-reach-another")


def _application(
    say: Say, one: Container, told: Mapping[str, Any] | None, same: list[dict[str, Any]], now: float
) -> str:
    see = "operations.md#a-site-is-down"
    if told is None:
        say(Level.WRONG, f"its container is gone from {one.server}", say.pulumi("up --refresh"),
            DRIFTED)  # fmt: skip
        return "gone"
    log = f"on {one.server} docker logs --tail 50 {told['name']}"
    if told["status"] != "running":
        killed = ", killed because it had no memory left" if told["out_of_memory"] else ""
        when = f", {ago(told['finished'], now)}" if told["finished"] else ""
        error = f" ({told['error']})" if told["error"] else ""
        code = f", with exit code {told['exit_code']}" if told["status"] == "exited" else ""
        says = f"is {told['status']}{code}{error}{killed}{when}"
        line = f"on {one.server} docker {'un' if told['status'] == 'paused' else 're'}"
        line += f"{'pause' if told['status'] == 'paused' else 'start'} {told['name']}"
        say(Level.WRONG, says, f"{log}; {line}", see)
        return str(told["status"])
    if told["health"] == "unhealthy":
        say(Level.WRONG, "runs, and says that it is unhealthy", log, see)
        return "unhealthy"
    if told["restarts"] and told["started"] and now - told["started"] < RESTARTED_SECONDS:
        times = plural(told["restarts"], "time")
        say(Level.WATCH, f"has ended and been restarted {times}, last {ago(told['started'], now)}", log, see)
    beside = [other["name"] for other in same if other["id"] != told["id"] and other["status"] == "running"]
    if beside:
        says = f"{', '.join(beside)} runs beside it: a release that failed, or an update is under way"
        say(Level.WATCH, says, say.pulumi("up"), "operations.md#an-update-failed")
    return "runs"


def _job(
    say: Say, one: Container, told: Mapping[str, Any] | None, due: Mapping[str, Any] | None, now: float
) -> tuple[str, str, str]:
    clock = str(due["when"]) if due else ""
    if told is None:
        say(Level.WRONG, f"its container is gone from {one.server}", say.pulumi("up --refresh"),
            DRIFTED)  # fmt: skip
        return "?", "gone", clock
    see = "schedule.md#how-do-i-see-what-ran"
    again = say.make(f"start JOB={one.server}:{one.name}")
    log = f"on {one.server} docker logs --tail 50 {told['name']}"
    if due and due["event"] in ("failed", "missed", "lost", "skipped"):
        level = Level.WRONG if due["event"] == "failed" else Level.WATCH
        when = f", due {ago(due['due'], now)}" if due["due"] else ""
        why = f": {due['why']}" if due["why"] else ""
        say(level, f"its last run by the clock was {due['event']}{when}{why}", again, see)
    if told["status"] == "running":
        return f"runs since {duration(now - (told['started'] or now))}", "", clock
    if told["started"] is None:
        if not one.by_hand:
            say(Level.WRONG, "has never run", again, see)
        return "never", "", clock
    if told["exit_code"] != 0:
        killed = ", killed because it had no memory left" if told["out_of_memory"] else ""
        says = f"ended with status {told['exit_code']}{killed}, {ago(told['finished'] or now, now)}"
        say(Level.WRONG, says, f"{log}; {again}", see)
    return ago(told["finished"] or now, now), str(told["exit_code"]), clock
