"""A repository that is gone, or emptied, is never begun anew by itself: it fails until somebody says so."""

from __future__ import annotations

import argparse
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from operations import backups
from operations.cli import OperationError
from tests.unit import test_operations_backups as operated
from tests.unit.backups_hive import ALL, backup, filled, new_disk, statuses, told
from tests.unit.backups_server import Server, use_true_restic

from apiary_backups import items, listing, prune, tell  # isort: skip
from apiary_backups.errors import LostRepositoryError  # isort: skip
from apiary_backups.items import Item  # isort: skip

hosts = operated.hosts
REMEDY = r"5 items were saved there, .* begin anew: make backup SERVER=web1 ANEW=1"


@pytest.fixture
def lost(hive: Server) -> Server:
    """One that was saved twice, and whose repository was wiped."""
    for _ in range(2):
        assert backup(hive) == 0
    shutil.rmtree(hive.place / "repository")
    return hive


def test_a_run_fails_and_tells_it_until_it_is_to_begin_anew(lost: Server, capsys: pytest.CaptureFixture[str]) -> None:
    for _ in range(2):
        with pytest.raises(LostRepositoryError, match=REMEDY):
            backup(lost)
        assert statuses() == dict.fromkeys(ALL, "failed")
        assert 'apiary_backup_last_status{item="volume:uploads"} 0' in (lost.place / "metrics/backups.prom").read_text()
    assert not (lost.place / "repository").exists()
    assert backup(lost, anew=True) == 0
    assert "made the repository" in capsys.readouterr().out
    assert statuses() == dict.fromkeys(ALL, "ok")
    assert backup(lost) == 0
    assert sorted(map(str, lost.restic.newest())) == ALL


VERBS: dict[str, Callable[[Server], int]] = {
    "last backup": lambda server: backup(server, final=True),
    "list": lambda server: listing.main(server.config, argparse.Namespace(json=False)),
    "prune": lambda server: prune.main(server.config, argparse.Namespace()),
    "volumes": filled,
    "databases": lambda server: filled(server, "postgres"),
}


@pytest.mark.parametrize("verb", VERBS)
def test_so_does_every_other_verb(lost: Server, verb: str) -> None:
    with pytest.raises(LostRepositoryError, match=REMEDY):
        VERBS[verb](lost)
    assert not (lost.place / "repository").exists()


def test_the_disk_that_is_mounted_again_is_gone_on_with(hive: Server) -> None:
    assert backup(hive) == 0
    (hive.place / "repository").rename(hive.place / "away")
    with pytest.raises(LostRepositoryError):
        backup(hive)
    (hive.place / "away").rename(hive.place / "repository")
    assert backup(hive) == 0
    assert len(hive.restic.snapshots(Item.volume("uploads"))) >= 1


def test_a_repository_that_is_there_and_has_lost_its_snapshots_is_told_once(
    hive: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    assert backup(hive) == 0
    for one in (hive.place / "repository/snapshots").iterdir():
        shutil.rmtree(one)
    assert backup(hive) == 1
    assert statuses() == dict.fromkeys(ALL, "suspicious")
    assert "is not in the repository any more, and was the last one" in capsys.readouterr().err
    assert backup(hive) == 0
    for one in (hive.place / "repository/snapshots").iterdir():
        shutil.rmtree(one)
    hive.state["fail"] = {"volume inspect uploads": "no such volume"}
    hive.keep()
    assert backup(hive) == 1
    record = items.last(Item.volume("uploads"))
    assert record is not None
    assert record.snapshot is None
    assert "no such volume; and its snapshot" in record.reason


def test_the_true_restic_says_the_same(hive: Server, restic: Path) -> None:
    use_true_restic(hive, restic)
    assert backup(hive) == 0
    shutil.rmtree(hive.place / "repository")
    with pytest.raises(LostRepositoryError, match=REMEDY):
        backup(hive)
    assert backup(hive, anew=True) == 0


# --- told of another place


def test_another_place_is_begun_and_says_so(
    hive: Server, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    told(hive, monkeypatch)
    assert backup(hive) == 0
    hive.told["repository"] = str(hive.place / "another")
    told(hive, monkeypatch)
    assert f"made the repository at {hive.place / 'another'}: nothing was in it" in capsys.readouterr().out
    assert backup(hive) == 0, "what was saved elsewhere is not missing here"


def test_a_keeper_on_a_new_disk_is_the_same_place(hive: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    hive.told["place"] = "server:store1/web1"
    told(hive, monkeypatch)
    assert backup(hive) == 0
    hive.told["repository"] = str(hive.place / "another")
    with pytest.raises(LostRepositoryError, match=REMEDY):
        told(hive, monkeypatch)
    assert json.loads((hive.place / "etc/backups.json").read_text())["repository"] == hive.told["repository"]
    assert backup(hive, anew=True) == 0
    told(hive, monkeypatch)


def test_a_server_that_has_lost_what_it_was_told_still_knows_what_it_saved(
    lost: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(LostRepositoryError, match=REMEDY):
        told(lost, monkeypatch)


def test_backups_that_were_turned_off_begin_anew(lost: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tell, "_systemctl", lambda *_: None)
    monkeypatch.setattr(tell, "TIMER", lost.place / "timer")
    assert tell.Forgotten.main(argparse.Namespace()) == 0
    told(lost, monkeypatch)
    assert backup(lost) == 0


def test_a_new_disk_knows_nothing(hive: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    assert backup(hive) == 0
    new_disk(hive)
    shutil.rmtree(hive.place / "repository")
    told(hive, monkeypatch)
    assert Path(hive.place / "repository/config").exists()


# --- on the operator's machine


def test_one_server_begins_anew(tmp_path: Path) -> None:
    found = operated.pulumi(tmp_path)
    with pytest.raises(OperationError, match=r"make backup SERVER=\.\.\. ANEW=1"):
        backups.backup(found, None, is_anew=True)
    assert backups.backup(found, "web1", is_anew=True) == 0
    assert operated.FakeHost.streamed == [("web1", *backups.NOW, "--anew")]
