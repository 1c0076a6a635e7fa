"""A run: all is saved whatever fails, and nothing stays stopped."""

from __future__ import annotations

import argparse
import errno
from pathlib import Path

import pytest

from tests.unit.backups_hive import ALL, LINE, backup, interrupted, statuses
from tests.unit.backups_server import Server

from apiary_backups import config, items, journal, outcome, prune  # isort: skip
from apiary_backups.errors import BackupsError  # isort: skip
from apiary_backups.items import Item  # isort: skip
from apiary_backups.restic import Saved  # isort: skip


def test_everything_is_saved_by_itself_and_told(hive: Server, capsys: pytest.CaptureFixture[str]) -> None:
    assert backup(hive) == 0
    assert sorted(map(str, hive.restic.newest())) == ALL
    assert statuses() == dict.fromkeys(ALL, "ok")
    said = capsys.readouterr().out
    assert "made the repository" in said
    assert "volume:uploads: 9 B" in said
    assert "5 of 5 saved" in said
    assert 'apiary_backup_last_status{item="volume:uploads"} 1' in (hive.place / "metrics/backups.prom").read_text()


def test_one_that_fails_keeps_no_other_from_being_saved(hive: Server, capsys: pytest.CaptureFixture[str]) -> None:
    backup(hive)
    first = items.last(Item.volume("uploads"))
    hive.state["fail"] = {"volume inspect uploads": "no such volume"}
    hive.keep()
    assert backup(hive) == 1
    assert statuses() == {**dict.fromkeys(ALL, "ok"), "volume:uploads": "failed"}
    record = items.last(Item.volume("uploads"))
    assert record is not None
    assert first is not None
    assert "no such volume" in record.reason
    assert (record.snapshot, record.saved) == (first.snapshot, first.saved), "the last good one is forgotten"
    assert "volume:uploads: failed: docker volume: " in capsys.readouterr().err


def test_a_database_server_that_is_down_is_a_failure_of_all_its_databases(hive: Server) -> None:
    backup(hive)
    hive.state["containers"][0]["State"]["Running"] = False
    hive.keep()
    assert backup(hive) == 1
    assert [item for item, status in statuses().items() if status == "failed"] == ALL[:3]


def test_a_repository_that_does_not_open_is_told_of_every_item(hive: Server) -> None:
    backup(hive)
    hive.told["environment"] = {"RESTIC_PASSWORD": "another"}
    with pytest.raises(BackupsError, match="password does not open"):
        backup(hive)
    assert set(statuses().values()) == {"failed"}
    assert len(statuses()) == 5


def test_a_full_disk_keeps_nothing_from_being_saved(
    hive: Server, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What became of it can't be written down then, neither for `list` nor for the monitor."""

    def full(path: Path, *_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    with monkeypatch.context() as patched:
        patched.setattr(config, "_put", full)
        assert backup(hive) == 1
        assert backup(hive, final=True) == 0, "all of it was saved"
    said = capsys.readouterr().err
    assert "last/volume:uploads.json can't be written: No space left on device" in said
    assert "the monitor can't be told: " in said
    assert sorted(map(str, hive.restic.newest())) == ALL
    assert statuses() == {}
    assert backup(hive) == 0


def test_less_than_half_is_kept_and_told(hive: Server, capsys: pytest.CaptureFixture[str]) -> None:
    picture = hive.place / "volumes/uploads/_data/a"
    picture.write_text("x" * 20_000)
    backup(hive)
    picture.write_text("x" * 9_000)
    assert backup(hive) == 1
    assert statuses()["volume:uploads"] == "suspicious"
    assert "less than half of the 19.5 KiB" in capsys.readouterr().err
    assert hive.restic.newest()[Item.volume("uploads")].bytes == 9_000
    assert backup(hive) == 0, "the same as the last time is no surprise"


@pytest.mark.parametrize(
    ("before", "now", "is_ok"),
    [(0, 0, True), (10_000, 5_000, True), (10_000, 4_000, False), (4_000, 100, True), (9, 0, False), (9, 1, True)],
)
def test_what_is_suspicious(before: int, now: int, is_ok: bool) -> None:
    assert (outcome.judged(Saved("s", now, 0, 1.0), before)[0] == "ok") is is_ok


def test_a_database_that_has_lost_its_tables_is_told_however_small_it_was(hive: Server) -> None:
    backup(hive)
    (hive.place / "engine/shop").write_text("")
    assert backup(hive) == 1
    assert statuses()["database:postgres:shop"] == "suspicious"
    assert statuses()["database:postgres:blog"] == "ok"


def test_the_last_backup_goes_on_with_what_is_suspicious_and_forgets_nothing(hive: Server) -> None:
    hive.told["keep"] = {"daily": 1}
    for _ in range(2):
        backup(hive)
    (hive.place / "engine/shop").write_text("")
    assert backup(hive, final=True) == 0
    assert sum("forget --prune" in call for call in hive.called("restic")) == 1


def test_a_last_backup_that_fails_stops_what_would_follow_unless_an_empty_start_was_asked_for(
    hive: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    backup(hive)
    hive.told["environment"] = {"RESTIC_PASSWORD": "another"}
    with pytest.raises(BackupsError, match="password does not open"):
        backup(hive, final=True)
    hive.told["restore"] = False
    assert backup(hive, final=True) == 0
    assert "goes on without: servers.web1.restore is false" in capsys.readouterr().err
    with pytest.raises(BackupsError, match="password does not open"):
        backup(hive)


def test_what_may_only_be_added_to_is_not_pruned(hive: Server) -> None:
    hive.told["append_only"] = True
    assert backup(hive) == 0
    assert not [call for call in hive.called("restic") if "forget" in call]
    with pytest.raises(BackupsError, match="make prune on your own machine"):
        prune.main(hive.config, argparse.Namespace())


def test_a_part_may_be_saved_alone(hive: Server) -> None:
    backup(hive, "databases:postgres")
    assert sorted(map(str, hive.restic.newest())) == ALL[:3]
    backup(hive, "volume:letters")
    assert sorted(map(str, hive.restic.newest())) == ALL[:4]


def test_what_is_gone_from_the_stack_is_no_record_any_more(hive: Server) -> None:
    backup(hive)
    del hive.told["volumes"]["letters"]
    backup(hive)
    assert "volume:letters" not in statuses()


def test_before_its_files_are_read_an_application_may_write_them(hive: Server) -> None:
    note = hive.place / "volumes/uploads/_data/written"
    hive.told["volumes"]["uploads"] = {"before": [["shop", ["touch", str(note)]]]}
    assert backup(hive) == 0
    assert note.exists()
    hive.told["volumes"]["uploads"] = {"before": [["shop", ["false"]]]}
    assert backup(hive) == 1
    assert statuses()["volume:uploads"] == "failed"


def test_a_database_that_is_there_no_more_is_told_once_with_the_line_that_brings_it_back(
    hive: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    hive.told["applications"] = {"blog": {"databases": [["postgres", "blog"]]}}
    assert backup(hive) == 0
    (hive.place / "engine/blog").unlink()
    assert backup(hive) == 1
    assert statuses()["roles:postgres"] == "suspicious"
    told = (
        "blog is there no more, and not saved from now on; if that was a mistake: make restore WHAT=web1:postgres/blog"
    )
    assert told in capsys.readouterr().err
    assert backup(hive) == 0
    assert backup(hive, "databases:postgres", final=True) == 0


def test_one_that_no_application_names_may_go(hive: Server, capsys: pytest.CaptureFixture[str]) -> None:
    assert backup(hive) == 0
    (hive.place / "engine/blog").unlink()
    assert backup(hive) == 0
    assert "roles:postgres: blog is there no more" in capsys.readouterr().out


@pytest.mark.parametrize("phase", ["swap", "start", "back"])
def test_what_a_restore_has_left_half_way_is_not_saved_and_all_else_is(
    hive: Server, capsys: pytest.CaptureFixture[str], phase: journal.Phase
) -> None:
    backup(hive)
    before = hive.restic.newest()
    path = interrupted(hive, phase, "volume:uploads", "database:postgres:shop")
    # As in the moment between its two renames.
    (hive.place / "engine/shop").unlink()
    (hive.place / "volumes/uploads/_data").rename(hive.place / "volumes/uploads/.kept")
    assert backup(hive) == 1
    assert LINE in capsys.readouterr().err
    failed = {item for item, status in statuses().items() if status == "failed"}
    # With the roles of now the database would count as dropped, and not come back on another server.
    assert failed == {"volume:uploads", "database:postgres:shop", "roles:postgres"}
    after = hive.restic.newest()
    assert {str(item) for item in after if after[item] == before[item]} == failed
    assert backup(hive, final=True) == 1, "the server would be rebuilt without them"
    (hive.place / "volumes/uploads/.kept").rename(hive.place / "volumes/uploads/_data")
    path.unlink()
    assert backup(hive, "volumes") == 0


@pytest.mark.parametrize("phase", ["fetch", "remove"])
def test_a_restore_that_was_interrupted_where_all_is_of_one_state_keeps_nothing_from_being_saved(
    hive: Server, phase: journal.Phase
) -> None:
    interrupted(hive, phase, "volume:uploads", "database:postgres:shop")
    assert backup(hive) == 0
    assert len(hive.restic.newest()) == 5
