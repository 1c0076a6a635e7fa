"""Volumes whose writers stand still while they are read: nothing stays stopped."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from typing import Any

import pytest

from tests.unit.backups_hive import backup, statuses
from tests.unit.backups_server import PACKAGE, Server

from apiary_backups import docker, items, quiet, tell  # isort: skip
from apiary_backups.items import Item  # isort: skip
from apiary_backups.restic import Restic  # isort: skip


def quiet_hive(hive: Server) -> None:
    hive.told["volumes"] = {"uploads": {"stop": ["shop"]}, "letters": {"stop": ["shop"]}}


def test_what_is_to_be_quiet_is_read_again_while_its_writers_stand_still(hive: Server) -> None:
    quiet_hive(hive)
    assert backup(hive) == 0
    calls = [line for line in hive.called("docker") if line.startswith(("stop", "start"))]
    assert calls == ["stop shop-1", "start shop-1"], "once for both volumes"
    found = hive.restic.snapshots()
    assert sorted(str(one.item) for one in found if one.item.kind == "volume") == ["volume:letters", "volume:uploads"]
    made = [call for call in hive.called("restic") if " backup " in call and "_data" in call]
    assert sum("--tag draft:volume:" in call for call in made) == 2
    assert sum("--parent" in call for call in made) == 2
    assert len(hive.restic._all()) == 5, "the first passes are there no more"


def test_writers_run_again_when_the_repository_goes_meanwhile(hive: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    quiet_hive(hive)
    stop = docker.stop

    def broken(*arguments: Any) -> Any:
        made = stop(*arguments)
        monkeypatch.setenv("RESTIC_FAULT", "locked")
        return made

    monkeypatch.setattr(docker, "stop", broken)
    assert backup(hive) == 1
    assert statuses()["volume:uploads"] == "failed"
    assert hive.running() == {"postgres-1": True, "shop-1": True}
    assert not quiet.path().exists()


def test_what_a_killed_backup_has_stopped_is_started_by_the_next_verb(hive: Server) -> None:
    quiet_hive(hive)
    script = (
        "import os, sys; sys.path.insert(0, sys.argv[1])\n"
        "from apiary_backups import config, quiet\n"
        "from pathlib import Path\n"
        "config.STATE = Path(sys.argv[2])\n"
        "with quiet.stopped(config.parse(sys.argv[3]), ['shop']):\n"
        "    os.kill(os.getpid(), 9)\n"
    )
    killed = subprocess.run(
        [sys.executable, "-c", script, str(PACKAGE), str(hive.records), json.dumps(hive.told)], check=False
    )
    assert killed.returncode == -9
    assert hive.running()["shop-1"] is False
    assert tell.Resume.main(argparse.Namespace()) == 0
    assert hive.running()["shop-1"] is True


def test_what_a_killed_backup_was_still_stopping_does_not_end_up_stopped(hive: Server) -> None:
    quiet_hive(hive)
    quiet.path().parent.mkdir(parents=True, exist_ok=True)
    quiet.path().write_text(json.dumps({"containers": ["shop-1"], "order": ["shop"]}))
    hive.state["stopping"] = ["shop-1"]  # it runs, for its grace
    hive.keep()
    assert tell.Resume.main(argparse.Namespace()) == 0
    assert json.loads((hive.place / "docker.json").read_text())["stopping"] == []
    assert hive.running()["shop-1"] is True
    assert not quiet.path().exists()


def test_a_job_that_writes_is_waited_for_and_never_stopped(hive: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    hive.container("import", "uploads", kind="jobs")
    hive.told["volumes"] = {"uploads": {"stop": ["import", "shop"]}}
    monkeypatch.setattr(quiet, "JOB_SECONDS", 0.0)
    monkeypatch.setattr(quiet, "LOOK_SECONDS", 0.01)
    assert backup(hive) == 1
    record = items.last(Item.volume("uploads"))
    assert record is not None
    assert "import still runs" in record.reason
    assert hive.running() == {"postgres-1": True, "shop-1": True, "import-1": True}


@pytest.fixture
def imported(hive: Server, monkeypatch: pytest.MonkeyPatch) -> Server:
    """A shop that is stopped for the time of a backup, and a job that writes to its volume too, by a clock."""
    hive.container("import", "uploads", kind="jobs", running=False)
    hive.told["volumes"] = {"uploads": {"stop": ["import", "shop"]}}
    monkeypatch.setattr(quiet, "LOOK_SECONDS", 0.01)
    return hive


def begun_before(monkeypatch: pytest.MonkeyPatch, owner: Any, name: str, times: int, *, ends: bool) -> None:
    """The job begins right before this is called the first times, and ends while it is."""
    real, left = getattr(owner, name), [times]

    def called(*arguments: Any, **options: Any) -> Any:
        is_now = left[0] > 0 and not options.get("is_draft")
        left[0] -= is_now
        if is_now:
            docker.call("start", "import-1")
        made = real(*arguments, **options)
        if is_now and ends:
            docker.call("stop", "import-1")
        return made

    monkeypatch.setattr(owner, name, called)


def test_a_job_that_begins_while_others_stop_is_waited_for_too(
    imported: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun_before(monkeypatch, docker, "stop", 1, ends=False)
    waited = quiet._await_jobs

    def awaited(*arguments: Any) -> None:
        if imported.running()["import-1"]:
            assert imported.running()["shop-1"], "which it may need"
            docker.call("stop", "import-1")  # by itself, as far as this knows
        waited(*arguments)

    monkeypatch.setattr(quiet, "_await_jobs", awaited)
    assert backup(imported) == 0
    assert imported.running() == {"postgres-1": True, "shop-1": True, "import-1": False}


def test_a_job_that_begins_each_time_is_said_and_never_stopped(
    imported: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun_before(monkeypatch, docker, "stop", 99, ends=False)
    waited = quiet._await_jobs
    ended: list[str] = []

    def awaited(*arguments: Any) -> None:
        if imported.running()["import-1"]:
            ended.append(docker.call("stop", "import-1"))
        waited(*arguments)

    monkeypatch.setattr(quiet, "_await_jobs", awaited)
    assert backup(imported) == 1
    record = items.last(Item.volume("uploads"))
    assert record is not None
    assert "import was started each time" in record.reason
    assert imported.running() == {"postgres-1": True, "shop-1": True, "import-1": True}


def test_what_a_job_has_written_while_it_was_read_is_read_again(
    imported: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun_before(monkeypatch, Restic, "save_folder", 1, ends=True)
    assert backup(imported) == 0
    made = [call for call in imported.called("restic") if "--tag volume:uploads" in call]
    assert len(made) == 2


@pytest.mark.parametrize("ends", [False, True])
def test_what_was_never_quiet_is_told_as_such(
    imported: Server, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *, ends: bool
) -> None:
    begun_before(monkeypatch, Restic, "save_folder", 99, ends=ends)
    assert backup(imported) == 1
    assert statuses()["volume:uploads"] == "suspicious"
    assert "import was started by its clock, or an update, while it was read" in capsys.readouterr().err
    assert imported.running()["import-1"] is not ends
    assert imported.running()["shop-1"]
