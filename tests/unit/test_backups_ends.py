"""However a run or a rehearsal ends, its record says so: an old good one would be silent."""

from __future__ import annotations

import argparse
import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.unit.backups_hive import ALL, backup, statuses
from tests.unit.backups_server import Server

from apiary_backups import command, config, docker, drill, drill_report, items, lock, outcome, quiet, throwaway  # isort: skip
from apiary_backups.errors import BackupsError, BusyError  # isort: skip
from apiary_backups.restic import Restic  # isort: skip

METRIC = 'apiary_backup_last_status{item="volume:uploads"} 0'


@pytest.fixture
def good(hive: Server) -> Server:
    """One that was saved well."""
    assert backup(hive) == 0
    return hive


def told(server: Server, item: str = "volume:uploads") -> str:
    record = next(one for one in items.all_last() if one.item == item)
    assert record.status == "failed"
    assert record.snapshot, "the last good one is forgotten"
    assert METRIC in (server.place / "metrics/backups.prom").read_text()
    return record.reason


def test_a_run_that_another_verb_keeps_waiting_for_too_long(good: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "WAIT_SECONDS", 0.0)
    monkeypatch.setattr(lock, "LOOK_SECONDS", 0.01)
    with lock.held("restore"), pytest.raises(BusyError):
        backup(good)
    assert statuses() == dict.fromkeys(ALL, "failed")
    assert "apiary-backups restore" in told(good)
    assert backup(good) == 0


def test_a_run_that_can_not_even_begin(good: Server) -> None:
    quiet.path().write_text(json.dumps({"containers": ["shop-1"], "order": []}))
    good.state["fail"] = {"stop shop-1": "it hangs", "start shop-1": "no such image", "container inspect shop-1": "no"}
    good.keep()
    with pytest.raises(BackupsError):
        backup(good)
    assert statuses() == dict.fromkeys(ALL, "failed")
    told(good)


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), ValueError("no JSON"), RecursionError("x")])
def test_a_run_that_ends_by_what_nobody_has_thought_of(
    good: Server, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def broken(*_: Any) -> Any:
        raise error

    monkeypatch.setattr("apiary_backups.run.filling.unfinished", broken)
    with pytest.raises(type(error)):
        backup(good)
    assert statuses() == dict.fromkeys(ALL, "failed")
    assert type(error).__name__ in told(good)


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), ValueError("no JSON")])
def test_one_item_that_ends_so_keeps_no_other_from_being_saved(
    good: Server, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    path = docker.volume_path

    def broken(name: str) -> Path:
        if name == "uploads":
            raise error
        return path(name)

    monkeypatch.setattr(docker, "volume_path", broken)
    assert backup(good) == 1
    assert statuses() == {**dict.fromkeys(ALL, "ok"), "volume:uploads": "failed"}


def test_a_run_that_is_ended_by_a_shutdown(good: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was saved by then is."""
    saved = outcome.saved

    def ended(item: Any, *arguments: Any) -> Any:
        if item.kind == "volume":
            os.kill(os.getpid(), signal.SIGTERM)
        return saved(item, *arguments)

    monkeypatch.setattr(outcome, "saved", ended)
    before = {which: signal.signal(which, command._ended) for which in (signal.SIGTERM,)}
    try:
        with pytest.raises(SystemExit):
            backup(good)
    finally:
        for which, handler in before.items():
            signal.signal(which, handler)
    assert [item for item, status in statuses().items() if status == "failed"] == ["volume:letters", "volume:uploads"]
    assert "ended from outside" in told(good)


def test_of_a_part_that_could_not_be_saved_the_others_are_not_told(good: Server) -> None:
    good.told["environment"] = {"RESTIC_PASSWORD": "another"}
    with pytest.raises(BackupsError, match="password does not open"):
        backup(good, "volumes")
    assert [item for item, status in statuses().items() if status == "failed"] == ["volume:letters", "volume:uploads"]


# --- rehearsals

PROVED = "2026-11-20T05:00:00+00:00"
FOUND = {"snapshot": "s1", "time": "2026-11-20T02:17:00+00:00", "bytes": 7, "status": "ok", "proved": PROVED}


@pytest.fixture
def proved(server: Server, monkeypatch: pytest.MonkeyPatch) -> Server:
    """One whose last rehearsal has proved all."""
    server.told["volumes"] = {"uploads": {}}
    server.volume("uploads", a="one")
    monkeypatch.setattr(config, "METRICS", server.place / "metrics")
    monkeypatch.setattr(drill, "LOCK_FILE", str(server.place / "drill-lock"))
    server.records.mkdir()
    before = {"proved": PROVED, "status": "ok", "items": {"volume:uploads": FOUND}}
    (server.records / "drill.json").write_text(json.dumps(before))
    server.restic.init()
    server.restic.save_folder(items.Item.volume("uploads"), server.place / "volumes/uploads/_data")
    return server


def drilled(server: Server) -> int:
    return drill.main(server.config, argparse.Namespace(json=False))


def failed(server: Server) -> str:
    report = drill_report.last()
    assert report["status"] == "failed"
    assert report["proved"] == PROVED
    assert report["items"]["volume:uploads"]["proved"] == PROVED, "what was proved is forgotten"
    assert report["items"]["volume:uploads"]["status"] == "failed"
    assert "apiary_drill_status 0" in (server.place / "metrics/backups.prom").read_text()
    return str(report["reason"])


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), ValueError("no JSON"), RecursionError("x")])
def test_a_rehearsal_that_ends_by_what_nobody_has_thought_of(
    proved: Server, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def broken(*_: Any) -> Any:
        raise error

    monkeypatch.setattr(Restic, "newest", broken)
    if isinstance(error, RecursionError):
        with pytest.raises(RecursionError):
            drilled(proved)
    else:
        assert drilled(proved) == 1
    assert type(error).__name__ in failed(proved)


def test_a_rehearsal_that_begins_and_breaks_off(proved: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drill, "_room", lambda _: None)
    monkeypatch.setattr(throwaway, "clean", lambda _: None)

    def broken(_: str) -> str:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(throwaway, "network", broken)
    assert drilled(proved) == 1
    assert "Too many open files" in failed(proved)


def test_a_rehearsal_whose_repository_does_not_open(proved: Server) -> None:
    proved.told["environment"] = {"RESTIC_PASSWORD": "another"}
    assert drilled(proved) == 1
    assert "password does not open" in failed(proved)


def test_a_rehearsal_that_another_one_keeps_waiting_for_too_long(
    proved: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lock, "WAIT_SECONDS", 0.0)
    monkeypatch.setattr(lock, "LOOK_SECONDS", 0.01)
    with lock.held("drill", path=proved.place / "drill-lock"), pytest.raises(BusyError):
        drilled(proved)
    assert "apiary-backups drill" in failed(proved)


def test_a_rehearsal_that_is_ended_by_a_shutdown(proved: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    def ended(*_: Any) -> Any:
        raise SystemExit(143)

    monkeypatch.setattr(Restic, "newest", ended)
    with pytest.raises(SystemExit):
        drilled(proved)
    assert "ended from outside" in failed(proved)
