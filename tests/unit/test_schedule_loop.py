"""What the scheduler does with time: no run is lost or doubled, whatever the clock, Docker or a restart do.

The clock is the tests': a month passes in a moment, and jumps when it is told to.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "images" / "JobScheduler"))

from jobscheduler.docker import Begun, GoneError, RefusedError, UnreachableError
from jobscheduler.record import Record
from jobscheduler.runs import Runs
from jobscheduler.scheduler import Scheduler
from jobscheduler.table import TableError, read

IMAGE = Path(__file__).parents[2] / "images" / "JobScheduler"
START = datetime(2026, 3, 1, tzinfo=UTC)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


class TestClock:
    """Time passes when somebody waits, and a little too much of it, as on a real machine."""

    __test__ = False

    def __init__(self, now: datetime, until: datetime, overshoot: Callable[[], float] = lambda: 0.0) -> None:
        self.time, self.until, self.overshoot = now, until, overshoot
        self.ticks = 0.0
        self.jumps: list[tuple[datetime, timedelta]] = []

    def now(self) -> datetime:
        return self.time

    def monotonic(self) -> float:
        return self.ticks

    def wait(self, seconds: float) -> bool:
        assert seconds <= 10.0, "a clock that is set must be noticed"
        seconds = max(0.0, seconds) + self.overshoot()
        self.ticks += seconds
        self.time += timedelta(seconds=seconds)
        while self.jumps and self.time >= self.jumps[0][0]:
            self.time += self.jumps.pop(0)[1]
        return self.time >= self.until


class TestDocker:
    """Runs jobs: a start is noted, and an end is the next answer in `ends`, at once unless it is an event."""

    __test__ = False

    def __init__(self, clock: TestClock) -> None:
        self.clock = clock
        self.started: list[tuple[str, datetime]] = []
        self.waited: list[str] = []  # containers
        self.version = 1  # of every job's container, `a-1`; an update makes another
        self.starts: list[bool | Exception] = []  # the next answers; then True
        self.waits: list[tuple[int, str] | Exception] = []  # the next answers; then (0, "")

    def start(self, job: str) -> Begun:
        answer = self.starts.pop(0) if self.starts else True
        if isinstance(answer, Exception):
            raise answer
        if answer:
            self.started.append((job, self.clock.now()))
        return Begun(f"{job}-{self.version}", answer)

    def wait(self, container: str) -> tuple[int, str]:
        self.waited.append(container)
        if not container.endswith(f"-{self.version}"):
            raise RefusedError(
                f"{container} is neither a job that scheduler refers to nor the container that one has now"
            )
        answer = self.waits.pop(0) if self.waits else (0, "")
        if isinstance(answer, Exception):
            raise answer
        return answer


class World:
    """A scheduler, and everything it touches."""

    def __init__(self, folder: Path, now: datetime = START, **environment: str) -> None:
        self.folder, self.now = folder, now
        self.environment = {"RUN_A": "a", "WHEN_A": "* * * * *", **environment}
        self.log: list[str] = []
        self.seen: list[str] = []
        self.overshoot: Callable[[], float] = lambda: 0.0
        self.jumps: list[tuple[datetime, timedelta]] = []
        self.late: list[Callable[[], None]] = []  # work that is not done at once
        self.at_once = True
        self.docker = TestDocker(TestClock(now, now))

    def run(self, until: datetime) -> list[datetime]:
        """Live until then; the moments at which something was started."""
        table = read(self.environment)
        clock = TestClock(self.now, until, self.overshoot)
        clock.jumps = self.jumps
        self.docker.clock, before = clock, len(self.docker.started)
        record = Record(self.folder, self.log.append)
        spawn = (lambda work: work()) if self.at_once else self.late.append
        runs = Runs(self.docker, record, clock, say=self.log.append, local=table.local, spawn=spawn)
        Scheduler(table, runs, record, clock, say=self.log.append, alive=lambda: None).run()
        self.now = clock.now()
        return [moment for _, moment in self.docker.started[before:]]

    def history(self) -> list[dict[str, object]]:
        file = self.folder / "runs.jsonl"
        return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []

    def events(self) -> list[str]:
        return [str(line["event"]) for line in self.history()]


def said(world: World, text: str) -> bool:
    return any(text in line for line in world.log)


# --- a month


def test_a_month_loses_no_run_and_drifts_by_nothing(tmp_path, capsys, monkeypatch):
    """Five jobs, Berlin's change to summer time in it, a machine whose sleeps are up to 20 ms too long."""
    lines = {"A": "* * * * *", "B": "*/7 3-5 * * *", "C": "30 2 * * *", "D": "0 0 * * 0", "E": "15 6,18 */2 * 1-5"}
    environment = {f"RUN_{key}": key.lower() for key in lines} | {f"WHEN_{k}": v for k, v in lines.items()}
    # The disk is not what is looked at, and would be most of the time.
    monkeypatch.setattr(Record, "_write_state", lambda self: None)
    monkeypatch.setattr(Record, "add", lambda self, **line: world.seen.append(str(line["event"])))
    world = World(tmp_path, TIMEZONE="Europe/Berlin", **environment)
    chance = random.Random(1)  # noqa: S311 - no secret
    world.overshoot = lambda: chance.uniform(0.0, 0.020)
    table, last = read(world.environment), START + 31 * DAY
    world.run(last)

    late: list[float] = []
    for entry in table.entries:
        wanted = list(entry.schedule.between(START, last - MINUTE, table.zone))
        got = [moment for job, moment in world.docker.started if job == entry.job]
        missed = len(wanted) - len(got)
        assert 0 <= -missed <= 1, f"{entry.name}: {len(got)} runs of {len(wanted)}"
        late += [(is_ - due).total_seconds() * 1000 for due, is_ in zip(wanted, got, strict=False)]
    with capsys.disabled():
        print(
            f"\nscheduler: a simulated month, {len(late)} runs, 0 missed; late by {sum(late) / len(late):.1f} ms "
            f"on average, {max(late):.1f} ms at most, with sleeps that are 0 to 20 ms too long"
        )
    assert min(late) >= 0, "no run comes before its time"
    assert max(late) <= 20.1, "the sleep's own error, and no sum of many"
    assert set(world.seen) == {"ended"}


# --- what the clock does


@pytest.mark.parametrize(
    ("forward", "missed"), [(90 * MINUTE, "89"), (10 * DAY, "more than 10000"), (400 * DAY, "more than 10000")]
)
def test_a_clock_that_jumps_forward_causes_one_run_and_not_a_storm(tmp_path, forward, missed):
    world = World(tmp_path)
    world.jumps = [(START + 5 * MINUTE + timedelta(seconds=30), forward)]
    started = world.run(START + forward + 8 * MINUTE)
    assert len(started) == 5 + 1 + 2, started
    assert said(world, f"a: missed {missed}, the first 2026-03-01 00:06:00+00:00: not run"), world.log
    assert started[5] - started[4] < forward + 2 * MINUTE


def test_a_clock_that_is_set_back_a_little_runs_nothing_twice(tmp_path):
    world = World(tmp_path, WHEN_A="10,20 0 * * *")
    world.jumps = [(START + 15 * MINUTE, -10 * MINUTE)]
    assert len(world.run(START + 40 * MINUTE)) == 2


def test_a_clock_that_is_set_back_does_not_stop_what_follows_it(tmp_path):
    world = World(tmp_path)
    world.jumps = [(START + 15 * MINUTE + timedelta(seconds=30), -10 * MINUTE)]
    assert len(world.run(START + 20 * MINUTE)) >= 15 + 14


def test_a_clock_that_is_set_back_by_days_is_followed_by_all(tmp_path):
    world = World(tmp_path, WHEN_A="10 0 * * *")
    world.jumps = [(START + 15 * MINUTE, -3 * DAY)]
    assert len(world.run(START + 15 * MINUTE)) == 1 + 3
    assert said(world, "the clock was set back by 2 days, 23:59:")


def test_a_clock_that_runs_wild_causes_no_storm(tmp_path):
    """Forwards and backwards at random for a while: never two starts at one time, never more than one a minute."""
    world, chance = World(tmp_path), random.Random(7)  # noqa: S311 - no secret
    world.jumps = [(START, timedelta(seconds=chance.uniform(-7200, 7200))) for _ in range(200)]
    before = time.monotonic()
    world.run(START + 2 * HOUR)
    ticks = world.docker.clock.monotonic()
    assert len(world.docker.started) <= 200 + ticks / 60 + 1
    assert time.monotonic() - before < 60


# --- while the scheduler is away


def test_what_was_missed_while_it_was_away_is_told_and_made_up_for_once(tmp_path):
    world = World(tmp_path, WHEN_A="0 * * * *")
    assert len(world.run(START + 90 * MINUTE)) == 1
    world.now += 5 * HOUR  # 02:00 to 06:00 pass
    again = world.run(world.now + 10 * MINUTE)
    assert len(again) == 1
    assert said(world, "a: missed 5, the first 2026-03-01 02:00:00+00:00: run once now")
    ended = [line for line in world.history() if line["event"] == "ended"]
    assert (ended[-1]["made_up"], ended[-1]["due"]) == (True, "2026-03-01T06:00:00.000+00:00")


def test_what_was_missed_is_only_told_where_it_shall_not_be_made_up_for(tmp_path):
    world = World(tmp_path, WHEN_A="0 * * * *", CATCH_UP="false")
    world.run(START + 90 * MINUTE)
    world.now += 5 * HOUR
    assert world.run(world.now + 10 * MINUTE) == []
    assert said(world, "missed 5, the first 2026-03-01 02:00:00+00:00: not run")


def test_a_run_that_is_due_while_the_scheduler_is_released_is_not_lost(tmp_path):
    """Gone for eight seconds around the full hour: a release."""
    world = World(tmp_path, WHEN_A="0 * * * *")
    world.run(START + HOUR - timedelta(seconds=4))
    world.now += timedelta(seconds=8)
    assert len(world.run(world.now + MINUTE)) == 1


@pytest.mark.parametrize("changed", [{"WHEN_A": "30 * * * *"}, {"TIMEZONE": "Europe/Berlin"}])
def test_a_job_whose_times_have_changed_has_missed_nothing(tmp_path, changed):
    world = World(tmp_path, WHEN_A="0 0 * * *")
    world.run(START + MINUTE)
    world.now += 3 * DAY
    world.environment |= changed
    assert world.run(world.now + MINUTE) == []
    assert not said(world, "missed")


def test_a_new_job_has_missed_nothing(tmp_path):
    world = World(tmp_path, WHEN_A="0 0 1 1 *")
    assert world.run(START + MINUTE) == []
    assert said(world, "a: 0 0 1 1 * (UTC), next 2027-01-01 00:00:00+00:00")


@pytest.mark.parametrize("text", ["", "{", "[]", '{"jobs": {"a": {}}}', '{"jobs": {"a": {"considered": "x"}}}', "\0"])
def test_a_spoiled_memory_is_said_and_begun_anew(tmp_path, text):
    (tmp_path / "state.json").write_text(text)
    world = World(tmp_path)
    assert len(world.run(START + 2 * MINUTE + timedelta(seconds=1))) == 2
    assert said(world, "what was missed until now is not known")
    json.loads((tmp_path / "state.json").read_text())


# --- one job, one run


def test_a_job_that_still_runs_is_not_started_again(tmp_path):
    world = World(tmp_path)
    world.at_once = False
    world.run(START + 3 * MINUTE + timedelta(seconds=1))
    assert len(world.late) == 1
    assert world.events() == ["skipped", "skipped"]
    assert said(world, "a: skipped, due 2026-03-01 00:02:00+00:00: it still runs")
    world.late.pop()()
    world.at_once = True
    assert len(world.run(world.now + MINUTE)) == 1


def test_one_job_under_two_names_is_one_job(tmp_path):
    world = World(tmp_path, RUN_B="a", WHEN_B="* * * * *")
    world.at_once = False
    world.run(START + MINUTE + timedelta(seconds=1))
    assert len(world.late) == 1
    assert said(world, "b: skipped")


def test_two_jobs_run_side_by_side(tmp_path):
    world = World(tmp_path, RUN_B="b", WHEN_B="* * * * *")
    world.at_once = False
    world.run(START + MINUTE + timedelta(seconds=1))
    assert len(world.late) == 2


def test_a_job_that_somebody_else_has_started_is_left_alone(tmp_path):
    world = World(tmp_path)
    world.docker.starts = [False]
    assert len(world.run(START + 2 * MINUTE + timedelta(seconds=1))) == 1
    assert world.events() == ["skipped", "ended"]
    assert said(world, "it runs already, started by an update or by hand")


def test_a_run_that_goes_on_while_the_scheduler_is_replaced_is_waited_for_and_not_doubled(tmp_path):
    world = World(tmp_path)
    world.docker.waits = [UnreachableError("the scheduler is stopped meanwhile")] * 1000
    world.run(START + MINUTE + timedelta(seconds=1))
    assert world.events() == []
    world.docker.waits, world.at_once = [(3, "")], False
    world.run(world.now + 2 * MINUTE)
    assert world.docker.started == [("a", START + MINUTE)], "it runs, so nothing else may start it"
    world.late.pop()()
    ended = world.history()[-1]
    assert (ended["event"], ended["status"], ended["seconds"]) == ("ended", 3, None)
    assert ended["due"] == "2026-03-01T00:01:00.000+00:00"


def interrupted(tmp_path: Path) -> World:
    """A scheduler that has been stopped while its job `a` runs."""
    world = World(tmp_path)
    world.docker.waits = [UnreachableError("the scheduler is stopped meanwhile")] * 1000
    world.run(START + MINUTE + timedelta(seconds=1))
    world.docker.waits.clear()
    world.docker.waited.clear()
    return world


def test_a_run_whose_container_was_replaced_while_the_scheduler_was_away_is_told_as_lost(tmp_path):
    """It waits for the container that it has started, not for the one that the job has now."""
    world = interrupted(tmp_path)
    world.docker.version = 2
    world.run(world.now + MINUTE)
    assert world.docker.waited == ["a-1", "a-2"]
    assert world.events() == ["lost", "ended"]
    assert [line["container"] for line in world.history()] == ["a-1", "a-2"]
    assert said(world, "lost, due 2026-03-01 00:01:00+00:00: how it ended is not known: a-1 is neither a job")


def test_a_run_of_a_job_that_is_not_asked_for_any_more_is_told_as_lost_and_blocks_nobody(tmp_path):
    world = interrupted(tmp_path)
    world.environment["RUN_A"] = "b"
    world.run(world.now + MINUTE)
    assert world.events() == ["lost", "ended"]
    assert world.docker.waited == ["b-1"]
    assert said(world, "it was the job a, which is not asked for any more")


def test_a_memory_of_before_jobs_were_kept_by_name_is_understood(tmp_path):
    world = interrupted(tmp_path)
    state = json.loads((tmp_path / "state.json").read_text())
    assert state["jobs"]["a"]["running"].pop("job") == "a"
    (tmp_path / "state.json").write_text(json.dumps(state))
    world.run(world.now + MINUTE)
    assert world.docker.waited == ["a-1", "a-1"]
    assert world.events() == ["ended", "ended"]


# --- a job that is replaced while the scheduler runs on


def test_a_run_that_an_update_has_cut_is_recorded_with_the_reason_and_the_next_runs_in_the_new_container(tmp_path):
    world = World(tmp_path)
    world.docker.waits = [(143, ""), (137, ""), (137, "stopped, because it ran for more than 600 seconds")]
    world.run(START + 4 * MINUTE + timedelta(seconds=1))
    notes = [str(line["note"] or "").split(",")[0] for line in world.history()]
    assert notes == ["told to stop", "killed", "stopped", ""]
    assert said(world, "a: ended with status 143 after 0.0 s: told to stop, as when an update replaces its container")


def test_the_next_time_after_a_change_starts_the_new_container(tmp_path):
    world = World(tmp_path)
    world.run(START + MINUTE + timedelta(seconds=1))
    world.docker.version = 2
    world.run(world.now + MINUTE)
    assert [(line["event"], line["container"]) for line in world.history()] == [("ended", "a-1"), ("ended", "a-2")]


def test_nothing_is_started_in_the_new_container_while_the_end_of_the_old_one_is_awaited(tmp_path):
    world = interrupted(tmp_path)
    world.docker.version, world.at_once = 2, False
    world.run(world.now + 2 * MINUTE)
    assert world.events() == ["skipped", "skipped"]
    assert world.docker.started == [("a", START + MINUTE)]
    world.late.pop()()
    assert world.events()[-1] == "lost"
    world.at_once = True
    assert len(world.run(world.now + MINUTE)) == 1, "and then it is"


def test_a_job_without_a_container_is_asked_for_again_until_it_has_one(tmp_path):
    """Between the removal of the old one and the new one: Docker says 404 or 409."""
    world = World(tmp_path)
    world.docker.starts = [GoneError("No such container: a-1")] * 8
    started = world.run(START + MINUTE + timedelta(seconds=45))
    assert started == [START + MINUTE + timedelta(seconds=16)]
    assert [(line["event"], line["late_ms"]) for line in world.history()] == [("ended", 16000)]


def test_a_job_that_gets_no_container_is_told_with_the_remedy_and_the_next_time_tried_again(tmp_path):
    """An update that has ended between the two."""
    world = World(tmp_path)
    world.docker.starts = [GoneError("No such container: a-1")] * 16
    assert len(world.run(START + 2 * MINUTE + timedelta(seconds=1))) == 1
    assert world.events() == ["failed", "ended"]
    assert said(world, "could not be started: it has no container; the update that replaces it is still at it")
    assert said(world, "say pulumi up again (No such container: a-1)")


def test_a_job_without_a_container_holds_up_no_other(tmp_path):
    world = World(tmp_path, RUN_B="b", WHEN_B="* * * * *")
    world.at_once = False
    world.run(START + MINUTE + timedelta(seconds=1))
    gone, fine = world.late
    fine()
    world.docker.starts = [GoneError("No such container: a-1")] * 100
    gone()
    assert [(line["job"], line["event"]) for line in world.history()] == [("b", "ended"), ("a", "failed")]


# --- what Docker says


def test_every_run_is_recorded_with_its_end_its_status_and_its_length(tmp_path):
    world = World(tmp_path)
    world.docker.waits = [(7, "")]
    world.run(START + MINUTE + timedelta(seconds=1))
    assert world.history() == [
        {
            "event": "ended",
            "job": "a",
            "container": "a-1",
            "due": "2026-03-01T00:01:00.000+00:00",
            "started": "2026-03-01T00:01:00.000+00:00",
            "ended": "2026-03-01T00:01:00.000+00:00",
            "seconds": 0.0,
            "status": 7,
            "note": None,
            "late_ms": 0,
            "made_up": False,
        }
    ]
    assert said(world, "a: started, due 2026-03-01 00:01:00+00:00, 0 ms late")
    assert said(world, "a: ended with status 7 after 0.0 s")


def test_a_docker_that_restarts_is_asked_again(tmp_path):
    world = World(tmp_path)
    world.docker.starts = [UnreachableError("no")] * 10
    world.docker.waits = [UnreachableError("no")] * 5
    assert len(world.run(START + MINUTE + timedelta(seconds=40))) == 1
    assert world.events() == ["ended"]


def test_a_docker_that_stays_away_is_told(tmp_path):
    world = World(tmp_path)
    world.docker.starts = [UnreachableError("connection refused")] * 1000
    world.run(START + MINUTE + timedelta(seconds=1))
    assert "failed" in world.events()
    assert said(world, "could not be started: connection refused")


def test_a_start_that_is_refused_is_told_and_the_next_time_tried_again(tmp_path):
    world = World(tmp_path)
    world.docker.starts = [RefusedError("a is neither a job that scheduler refers to nor")]
    assert len(world.run(START + 2 * MINUTE + timedelta(seconds=1))) == 1
    assert world.events() == ["failed", "ended"]


def test_an_error_of_our_own_is_told_and_stops_neither_the_loop_nor_the_job(tmp_path):
    world = World(tmp_path)
    world.docker.waits = [ZeroDivisionError("oops")]
    assert len(world.run(START + 2 * MINUTE + timedelta(seconds=1))) == 2
    assert said(world, "in the scheduler itself: ZeroDivisionError('oops')")


# --- the record


def test_the_record_is_bounded_and_loses_its_oldest(tmp_path):
    record = Record(tmp_path, lambda text: None, file_bytes=1000)
    for number in range(500):
        record.add(event="ended", number=number)
    files = sorted(tmp_path.glob("runs.jsonl*"))
    assert sum(file.stat().st_size for file in files) <= 2000
    lines = [json.loads(line)["number"] for file in reversed(files) for line in file.read_text().splitlines()]
    assert lines == list(range(lines[0], 500)), "what is there is whole, and up to the last"


def test_a_full_disk_stops_no_job(tmp_path):
    """The volume is gone altogether, which root notices too."""
    folder = tmp_path / "volume"
    folder.mkdir()
    world = World(folder)
    real = Record.add
    folder.rmdir()
    assert real is Record.add
    assert len(world.run(START + 2 * MINUTE + timedelta(seconds=1))) == 2
    assert said(world, "the record can't be kept")
    assert said(world, "the state can't be kept")


# --- the table


def test_every_mistake_in_the_environment_is_named_at_once():
    with pytest.raises(TableError) as refused:
        read(
            {
                "RUN_A": "a",
                "WHEN_B": "* * * * *",
                "RUN_C": "../x",
                "WHEN_C": "* * * * *",
                "RUN_D": "d",
                "WHEN_D": "x * * * *",
                "TIMEZONE": "Mars/Olympus",
                "CATCH_UP": "perhaps",
            }
        )
    lines = str(refused.value).splitlines()
    assert [line.split(":")[0] for line in lines] == ["TIMEZONE", "RUN_A", "RUN_C", "WHEN_D", "WHEN_B", "CATCH_UP"]


def test_an_empty_table_is_a_mistake():
    with pytest.raises(TableError, match="there is nothing to start; write run_x: \\+job and when_x"):
        read({"PATH": "/bin"})


def test_names_hold_whatever_follows_the_first_underscore():
    [entry] = read({"RUN_WEB_LOGS": "logs-1", "WHEN_WEB_LOGS": "@daily"}).entries
    assert (entry.name, entry.job, entry.zone) == ("web_logs", "logs-1", ZoneInfo("UTC"))


# --- the process itself


def test_the_process_starts_says_what_is_next_and_stops_when_it_is_told(tmp_path):
    """With real threads, a real clock and a real signal; the volume is a folder that it can't write to."""
    environment = {**os.environ, "PYTHONPATH": str(IMAGE), "RUN_A": "a", "WHEN_A": "0 0 1 1 *"}
    process = subprocess.Popen(
        [sys.executable, "-u", "-m", "jobscheduler"], env=environment, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    watchdog = threading.Timer(30, process.kill)
    watchdog.start()
    try:
        for line in process.stdout:
            if "a: 0 0 1 1 * (UTC), next " in line:
                break
        process.terminate()
        rest = process.stdout.read()
        assert process.wait() == 0
        assert "stopped; jobs that run go on" in rest
    finally:
        watchdog.cancel()


def test_an_unusable_environment_ends_the_process_with_the_reasons():
    environment = {**os.environ, "PYTHONPATH": str(IMAGE), "RUN_A": "a"}
    done = subprocess.run(
        [sys.executable, "-m", "jobscheduler"], env=environment, check=False, capture_output=True, text=True, timeout=30
    )
    assert done.returncode == 2
    assert "RUN_A: WHEN_A is missing beside it" in done.stderr
