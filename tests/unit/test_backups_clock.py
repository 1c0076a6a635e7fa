"""A snapshot that is dated later than now, by a clock that was wrong, is not the newest for ever."""

from __future__ import annotations

import argparse
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from operations import backups
from tests.unit.backups_hive import backup, filled
from tests.unit.backups_server import Server

from apiary_backups import chosen, listing, restore  # isort: skip
from apiary_backups.items import Item  # isort: skip
from apiary_backups.journal import Wish  # isort: skip

UPLOADS = Item.volume("uploads")


def picture(server: Server) -> Path:
    return server.place / "volumes/uploads/_data/a"


@pytest.fixture
def hive(hive: Server) -> Server:
    """One whose volumes no container has had yet."""
    hive.remove("shop-1")
    return hive


@pytest.fixture
def misdated(hive: Server, monkeypatch: pytest.MonkeyPatch) -> Server:
    """One that was saved while its clock was years ahead, and once since."""
    hive.told["append_only"] = True  # so that nothing is forgotten
    picture(hive).write_text("an old picture")
    with monkeypatch.context() as patch:
        patch.setenv("RESTIC_CLOCK", "2099-01-01T02:17:00+00:00")
        assert backup(hive) == 0
    picture(hive).write_text("the last picture")
    assert backup(hive) == 0
    return hive


def test_a_fill_takes_what_was_saved_last_and_says_so(misdated: Server, capsys: pytest.CaptureFixture[str]) -> None:
    picture(misdated).unlink()
    (misdated.place / "engine/shop").unlink()
    assert filled(misdated) == filled(misdated, "postgres") == 0
    assert picture(misdated).read_text() == "the last picture"
    said = capsys.readouterr().out
    assert "volume:uploads: snapshot " in said
    assert "is dated 2099-01-01 02:17:00 UTC, later than now" in said
    assert "make restore WHAT=web1:postgres/shop AT=" in said
    assert "volume:letters: snapshot" not in said, "which stays as it is"


def test_a_restore_takes_it_too_and_its_plan_says_so(misdated: Server) -> None:
    [line, warning, *_] = restore.planned(misdated.config, Wish(("uploads",)), UTC)
    assert f"of {datetime.now(UTC):%Y-}" in line
    assert "2099-01-01" in warning
    identity = warning.rpartition("AT=")[2]
    [line, after, *_] = restore.planned(misdated.config, Wish(("uploads",), at=identity), UTC)
    assert "of 2099-01-01" in line
    assert "later than now" not in after
    [line, after, *_] = restore.planned(misdated.config, Wish(("uploads",), at=f"{datetime.now(UTC):%Y-%m-%d}"), UTC)
    assert f"of {datetime.now(UTC):%Y-}" in line
    assert "later than now" not in after


def test_the_list_has_it_before_all_others_and_says_so(misdated: Server, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    listing.main(misdated.config, argparse.Namespace(json=True))
    told = json.loads(capsys.readouterr().out)
    [found] = [one["snapshots"] for one in told["items"] if one["item"] == "volume:uploads"]
    assert [one["ahead"] for one in found] == [True, False]
    page = "\n".join(backups._page("web1", told, is_whole=True))
    [row] = [line for line in page.splitlines() if line.startswith("  volume:uploads")]
    assert f"{datetime.now(UTC):%Y-}" in row.partition("dated later")[0]
    assert f"not taken for the newest: {found[0]['id'][:8]}" in row
    assert "2099-01-01 02:17 UTC  14 B  later than now" in page


def test_where_there_is_no_other_it_is_all_there_is(hive: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RESTIC_CLOCK", "2099-01-01T02:17:00+00:00")
    backup(hive)
    picture(hive).unlink()
    assert filled(hive) == 0
    assert picture(hive).read_text() == "a picture"


def test_a_last_backup_by_a_clock_that_is_some_hours_ahead_is_the_last(
    hive: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    backup(hive)
    picture(hive).write_text("the last picture")
    monkeypatch.setenv("RESTIC_CLOCK", (datetime.now(UTC) + timedelta(hours=11)).isoformat())
    backup(hive)
    picture(hive).unlink()
    assert filled(hive) == 0
    assert picture(hive).read_text() == "the last picture"


def test_the_newest_of_those_that_are_dated_ahead_is_never_before_the_others(misdated: Server) -> None:
    found = misdated.restic.snapshots(UPLOADS)
    assert chosen.snapshot(list(reversed(found)), "", UTC) == found[-1]
    assert not found[-1].is_ahead
