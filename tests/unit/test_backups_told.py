"""What a server is told of its backups, what it lists of them, and that its verbs wait for one another."""

from __future__ import annotations

import argparse
import json
import os
import time

import pytest

from tests.unit.backups_hive import ALL, backup, told
from tests.unit.backups_server import Server

from apiary_backups import listing, lock, tell  # isort: skip
from apiary_backups.errors import BackupsError  # isort: skip
from apiary_backups.journal import Wish  # isort: skip


def test_the_line_to_type_is_the_one_that_was_typed() -> None:
    assert Wish(()).line("web1") == "make restore WHAT=web1"
    assert Wish(("a", "b"), "2026-11-20", "").line("web1") == "apiary-backups restore --at=2026-11-20 -- a b"
    assert Wish(("a",), "", "look").line("web1") == "make restore WHAT=web1:a TO=look"


def test_the_list_says_of_each_item_what_there_is(hive: Server, capsys: pytest.CaptureFixture[str]) -> None:
    backup(hive)
    backup(hive, "volume:uploads")
    (hive.records / "drill.json").write_text(
        json.dumps({"items": {"volume:uploads": {"proved": "yesterday", "time": "before"}}})
    )
    hive.told["left_out"] = {"pgdata": "files of a database server"}
    capsys.readouterr()
    assert listing.main(hive.config, argparse.Namespace(json=True)) == 0
    listed = json.loads(capsys.readouterr().out)
    by_item = {one["item"]: one for one in listed["items"]}
    assert sorted(by_item) == ALL
    assert len(by_item["volume:uploads"]["snapshots"]) == 2
    assert by_item["volume:uploads"]["snapshots"][0]["server"] == "web1"
    assert by_item["volume:uploads"]["proved"] == {"time": "yesterday"}
    assert by_item["roles:postgres"]["proved"] is None
    assert by_item["roles:postgres"]["last"]["status"] == "ok"
    assert listed["left_out"] == {"pgdata": "files of a database server"}


def test_verbs_wait_for_one_another_and_say_for_whom(
    hive: Server, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(lock, "LOOK_SECONDS", 0.01)
    with lock.held("run"):
        begun = time.monotonic()
        with (
            pytest.raises(BackupsError, match=rf"apiary-backups run \(process {os.getpid()}\) is at work"),
            lock.held("fill", 0.1),
        ):
            raise AssertionError("both at once")
        assert time.monotonic() - begun >= 0.1
    assert "waiting for apiary-backups run" in capsys.readouterr().out
    with lock.held("fill", 0):
        pass


def test_a_server_that_is_told_of_another_repository_opens_it_at_once(
    hive: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    hive.told["calendar"] = ["*-*-01 02:17:00", "Mon *-*-* 02:17:00"]
    assert told(hive, monkeypatch)[-1] == "restart apiary-backups.timer"
    assert (hive.place / "repository/config").exists()
    assert (hive.place / "etc/backups.json").stat().st_mode & 0o777 == 0o600
    timer = (hive.place / "timer").read_text()
    assert "OnCalendar=*-*-01 02:17:00\nOnCalendar=Mon *-*-* 02:17:00\nPersistent=true" in timer
    asked = len(hive.called("restic"))
    hive.told["keep"] = {"daily": 3}
    told(hive, monkeypatch)
    assert len(hive.called("restic")) == asked, "what does not concern the repository must not depend on it"
    hive.told["environment"] = {"RESTIC_PASSWORD": "another"}
    with pytest.raises(BackupsError, match="password does not open"):
        told(hive, monkeypatch)
    assert "another" not in (hive.place / "etc/backups.json").read_text(), "what did not work was kept"
    assert tell.Forgotten.main(argparse.Namespace()) == 0
    assert not (hive.place / "etc/backups.json").exists()
    assert not (hive.place / "timer").exists()
