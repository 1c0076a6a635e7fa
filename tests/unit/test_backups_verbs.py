"""The verbs of a server: all is saved whatever fails, only what is empty is filled, and nothing stays stopped."""

from __future__ import annotations

import argparse
import errno
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.unit.backups_server import PACKAGE, Server

from apiary_backups import config, docker, engines, fill, items, journal, listing, lock, prune, quiet, run, tell  # isort: skip
from apiary_backups.errors import BackupsError  # isort: skip
from apiary_backups.items import Item  # isort: skip
from apiary_backups.journal import Book, Entry, Journal, Wish  # isort: skip
from apiary_backups.loading import Load  # isort: skip
from apiary_backups.restic import Saved  # isort: skip


class Engine(SimpleNamespace):
    """A database server whose databases are files of a folder."""

    def __init__(self, place: Path) -> None:
        super().__init__(place=place, calls=[])
        place.mkdir()

    def wait(self, container: str, seconds: float) -> None:
        assert container

    def databases(self, _: str) -> list[str]:
        return sorted(file.name for file in self.place.iterdir())

    def dump(self, _: str, database: str) -> list[str]:
        return ["sh", "-c", f"cat {self.place / database} && echo -- end"]

    def roles(self, container: str) -> list[str]:
        return ["echo", "roles of", *self.databases(container)]

    def listed(self, content: bytes) -> list[str]:
        return content.decode().split()[2:]

    def is_empty(self, _: str, database: str) -> bool:
        file = self.place / database
        return not file.exists() or not file.read_text()

    def prepare(self, _: str, database: str) -> None:
        (self.place / database).touch()

    def drop(self, _: str, database: str) -> None:
        self.calls.append(f"drop {database}")
        (self.place / database).unlink(missing_ok=True)

    def load(self, _: str, database: str) -> Load:
        self.calls.append(f"load {database}")
        return Load(["sh", "-c", f"cat > {self.place / database}"], mark=b"-- end")

    def load_roles(self, _: str, content: bytes, *, logins: bool) -> None:
        assert content.startswith(b"roles of")
        self.calls.append(f"roles {'and' if logins else 'without'} logins")


@pytest.fixture
def hive(server: Server, monkeypatch: pytest.MonkeyPatch) -> Server:
    """Two volumes and a database server with two databases."""
    monkeypatch.setattr(lock, "PATH", server.place / "lock")
    monkeypatch.setattr(items, "METRICS", server.place / "metrics")
    monkeypatch.setattr(items.write_metrics, "__defaults__", (server.records, server.place / "metrics"))
    for function in (items.last_path, items.last, items.all_last, items.write, items.drop_others):
        monkeypatch.setattr(function, "__defaults__", (server.records,))
    server.engine = Engine(server.place / "engine")  # type: ignore[attr-defined]
    monkeypatch.setitem(engines.BY_NAME, "postgresql", server.engine)  # type: ignore[attr-defined]
    for name in ("shop", "blog"):
        (server.place / "engine" / name).write_text(f"rows of {name}\n" * 100)
    server.volume("uploads", a="a picture")
    server.volume("letters", b="a letter")
    server.container("postgres", "pgdata")
    server.container("shop", "uploads")
    server.told |= {
        "volumes": {"uploads": {}, "letters": {}},
        "databases": {"postgres": {"engine": "postgresql"}},
        "order": ["postgres", "shop"],
    }
    return server


ALL = ["database:postgres:blog", "database:postgres:shop", "roles:postgres", "volume:letters", "volume:uploads"]


def backup(server: Server, *only: str, final: bool = False) -> int:
    return run.main(server.config, argparse.Namespace(only=list(only) or None, final=final))


def filled(server: Server, databases: str | None = None) -> int:
    return fill.main(server.config, argparse.Namespace(volumes=databases is None, databases=databases))


def statuses() -> dict[str, str]:
    return {one.item: one.status for one in items.all_last()}


def engine(server: Server) -> Any:
    return server.engine  # type: ignore[attr-defined]


# --- run


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
    assert (run.judged(Saved("s", now, 0, 1.0), before)[0] == "ok") is is_ok


def test_a_database_that_has_lost_its_tables_is_told_however_small_it_was(hive: Server) -> None:
    backup(hive)
    (hive.place / "engine/shop").write_text("")
    assert backup(hive) == 1
    assert statuses()["database:postgres:shop"] == "suspicious"
    assert statuses()["database:postgres:blog"] == "ok"


def test_the_last_backup_goes_on_with_what_is_suspicious_and_forgets_nothing(hive: Server) -> None:
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


# --- quiet


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
    assert any("forget --retry-lock" in call for call in hive.called("restic"))


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


# --- fill


def test_an_empty_volume_is_filled_and_told(hive: Server, capsys: pytest.CaptureFixture[str]) -> None:
    backup(hive)
    place = hive.place / "volumes/uploads/_data"
    (place / "a").unlink()
    assert filled(hive) == 0
    assert (place / "a").read_text() == "a picture"
    said = capsys.readouterr().out
    assert "volume:uploads: 9 B as of 2" in said
    assert "volume:letters: there are data in it, which stay" in said
    assert [path.name for path in place.parent.iterdir()] == ["_data"]


def test_what_is_there_is_never_written_over(hive: Server) -> None:
    backup(hive)
    (hive.place / "volumes/uploads/_data/a").write_text("a newer picture")
    filled(hive)
    assert (hive.place / "volumes/uploads/_data/a").read_text() == "a newer picture"


def test_a_fill_that_was_killed_half_way_counts_for_nothing(hive: Server) -> None:
    backup(hive)
    place = hive.place / "volumes/uploads/_data"
    (place / "a").unlink()
    half = place.with_name("._data.apiary-filling") / "_data"
    half.mkdir(parents=True)
    (half / "half").write_text("of another")
    filled(hive)
    assert [path.name for path in place.iterdir()] == ["a"]
    assert not half.exists()


def test_a_first_start_makes_the_repository_and_says_that_there_was_nothing(
    hive: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    assert filled(hive) == 0
    assert filled(hive, "postgres") == 0
    said = capsys.readouterr().out
    assert "made the repository" in said
    assert "volume:uploads: nothing was ever saved of it" in said
    assert "databases of postgres: nothing was ever saved of them" in said


def test_without_its_repository_nothing_starts_empty_unless_that_is_asked_for(
    hive: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    backup(hive)
    hive.told["environment"] = {"RESTIC_PASSWORD": "another"}
    with pytest.raises(BackupsError, match="password does not open"):
        filled(hive)
    hive.told["restore"] = False
    assert filled(hive) == 0
    assert "not filled, as servers.web1.restore says" in capsys.readouterr().out


def test_databases_that_are_empty_come_back_before_anybody_may_log_in(hive: Server) -> None:
    backup(hive)
    (hive.place / "engine/shop").unlink()
    assert filled(hive, "postgres") == 0
    assert (hive.place / "engine/shop").read_text() == "rows of shop\n" * 100 + "-- end\n"
    assert engine(hive).calls == ["drop shop", "roles without logins", "load shop", "roles and logins"]


def test_where_all_databases_have_data_not_even_a_password_is_touched(hive: Server) -> None:
    backup(hive)
    assert filled(hive, "postgres") == 0
    assert engine(hive).calls == []


def test_what_was_saved_of_a_database_server_by_its_old_name_is_of_the_new_one(hive: Server) -> None:
    backup(hive)
    hive.told["databases"] = {"pg": {"engine": "postgresql", "renamed_from": "postgres"}}
    hive.container("pg", "pgdata")
    (hive.place / "engine/shop").unlink()
    assert filled(hive, "pg") == 0
    assert (hive.place / "engine/shop").read_text().startswith("rows of shop")
    assert str(hive.restic.snapshots(Item.of_database("pg", "shop"))[-1].item) == "database:pg:shop"
    assert backup(hive) == 0
    newest = hive.restic.newest()
    assert [str(item) for item in sorted(newest)] == [name.replace("postgres", "pg") for name in ALL]


def test_a_database_that_was_dropped_on_purpose_stays_away(hive: Server) -> None:
    backup(hive)
    (hive.place / "engine/blog").unlink()
    backup(hive)
    (hive.place / "engine/shop").unlink()
    filled(hive, "postgres")
    assert engine(hive).databases("") == ["shop"]


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


def test_a_fill_that_was_killed_before_anybody_may_log_in_is_gone_on_with(hive: Server) -> None:
    backup(hive)
    (hive.place / "engine/shop").unlink()
    load_roles = engine(hive).load_roles

    def killed(container: str, content: bytes, *, logins: bool) -> None:
        if logins:
            raise KeyboardInterrupt
        load_roles(container, content, logins=logins)

    engine(hive).load_roles = killed
    with pytest.raises(KeyboardInterrupt):
        filled(hive, "postgres")
    engine(hive).load_roles = load_roles
    engine(hive).calls.clear()
    assert filled(hive, "postgres") == 0
    assert engine(hive).calls == ["roles without logins", "roles and logins"]
    engine(hive).calls.clear()
    assert filled(hive, "postgres") == 0
    assert engine(hive).calls == []


def test_a_load_that_broke_off_is_begun_anew(hive: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    backup(hive)
    (hive.place / "engine/shop").unlink()
    monkeypatch.setenv("RESTIC_FAULT", "cut")
    monkeypatch.setattr(engine(hive), "listed", lambda _: ["blog", "shop"])
    monkeypatch.setattr(fill.Restic, "read", lambda *_: b"roles of blog shop")
    with pytest.raises(BackupsError, match=r"database:postgres:shop of 2.*damaged"):
        filled(hive, "postgres")
    assert not engine(hive).is_empty("", "shop"), "half of it is there"
    monkeypatch.delenv("RESTIC_FAULT")
    engine(hive).calls.clear()
    assert filled(hive, "postgres") == 0
    assert engine(hive).calls == ["drop shop", "roles without logins", "load shop", "roles and logins"]
    assert (hive.place / "engine/shop").read_text().count("rows") == 100
    assert filled(hive, "postgres") == 0
    assert "drop shop" in engine(hive).calls
    assert engine(hive).calls.count("drop shop") == 1, "what is whole was dropped"


def test_what_a_fill_has_left_unfinished_does_not_become_the_newest_snapshot(
    hive: Server, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A backup by the clock comes before the operator: an empty state would be all that the next fill finds."""
    backup(hive)
    place = hive.place / "volumes/uploads/_data"
    (place / "a").unlink()
    for name in ("blog", "shop"):
        (hive.place / "engine" / name).unlink()
    items.drop_others([])  # on a new disk
    with monkeypatch.context() as patch:
        patch.setattr(fill.Restic, "restore", refused)
        patch.setattr(fill.Restic, "load", refused)
        for databases in (None, "postgres"):
            with pytest.raises(BackupsError, match="the line breaks"):
                filled(hive, databases)
    before = hive.restic.newest()
    assert backup(hive) == 1
    assert backup(hive, final=True) == 1, "the server would be rebuilt without them"
    assert "pulumi up makes it anew from the backup" in capsys.readouterr().err
    after = hive.restic.newest()
    assert {str(item) for item in after if after[item] != before[item]} == {"volume:letters"}
    assert filled(hive) == filled(hive, "postgres") == 0
    assert (place / "a").read_text() == "a picture"
    assert engine(hive).databases("") == ["blog", "shop"]
    assert backup(hive) == 0


def refused(*_: object) -> None:
    raise BackupsError("the line breaks")


def test_an_empty_start_is_not_taken_for_half_of_a_load_later(hive: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    backup(hive)
    (hive.place / "engine/shop").unlink()
    with monkeypatch.context() as patch:
        patch.setattr(fill.Restic, "load", refused)
        with pytest.raises(BackupsError):
            filled(hive, "postgres")
    hive.told["restore"] = False
    assert filled(hive, "postgres") == 0
    (hive.place / "engine/shop").write_text("begun anew")
    assert backup(hive) == 0
    hive.told["restore"] = True
    assert filled(hive, "postgres") == 0
    assert (hive.place / "engine/shop").read_text() == "begun anew"


def test_what_waited_for_its_fill_and_has_data_by_now_keeps_them(hive: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    backup(hive)
    for name in ("blog", "shop"):
        (hive.place / "engine" / name).unlink()
    with monkeypatch.context() as patch:
        patch.setattr(fill.Restic, "load", refused)  # of the first one, blog
        with pytest.raises(BackupsError):
            filled(hive, "postgres")
    (hive.place / "engine/shop").write_text("by hand")
    assert filled(hive, "postgres") == 0
    assert (hive.place / "engine/shop").read_text() == "by hand"
    assert backup(hive) == 0
    assert statuses()["roles:postgres"] == "ok"


# --- a restore that was interrupted


def interrupted(hive: Server, phase: journal.Phase, *names: str) -> Path:
    """Its journal; where that is."""
    entries = tuple(Entry(name, "s1", "2026-11-20T02:17:00+00:00") for name in names)
    book = Book(hive.records)
    book.write(Journal(Wish(("shop",), at="2026-11-20 14:30"), phase, entries))
    return book.path


LINE = "make restore WHAT=web1:shop AT='2026-11-20 14:30'"


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


def test_what_a_restore_has_left_half_way_is_not_filled(hive: Server) -> None:
    backup(hive)
    (hive.place / "volumes/uploads/_data/a").unlink()
    (hive.place / "engine/shop").unlink()
    interrupted(hive, "swap", "volume:uploads")
    with pytest.raises(BackupsError, match="make restore WHAT=web1:shop"):
        filled(hive)
    assert filled(hive, "postgres") == 0, "what is of no concern to it"
    (hive.place / "engine/shop").unlink()
    interrupted(hive, "swap", "database:postgres:shop")
    with pytest.raises(BackupsError, match="make restore WHAT=web1:shop"):
        filled(hive, "postgres")
    assert list((hive.place / "volumes/uploads/_data").iterdir()) == []


def test_what_a_restore_had_put_aside_on_block_storage_is_there_again_on_the_next_server(
    hive: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    """The journal is gone with the disk of the server that died."""
    backup(hive)
    place = hive.place / "volumes/uploads/_data"
    place.rename(place.with_name("._data.apiary-kept"))
    (place.with_name("._data.apiary-kept") / "a").write_text("newer than the backup")
    place.mkdir()
    assert filled(hive) == 0
    assert (place / "a").read_text() == "newer than the backup"
    assert "volume:uploads: what a restore" in capsys.readouterr().out


def test_the_line_to_type_is_the_one_that_was_typed() -> None:
    assert Wish(()).line("web1") == "make restore WHAT=web1"
    assert Wish(("a", "b"), "2026-11-20", "").line("web1") == "apiary-backups restore --at=2026-11-20 -- a b"
    assert Wish(("a",), "", "look").line("web1") == "make restore WHAT=web1:a TO=look"


# --- list, lock, told


def test_the_list_says_of_each_item_what_there_is(hive: Server, capsys: pytest.CaptureFixture[str]) -> None:
    backup(hive)
    backup(hive, "volume:uploads")
    (hive.records / "drill.json").write_text(
        json.dumps({"items": {"volume:uploads": {"proved": "yesterday", "time": "before"}}})
    )
    hive.told["left_out"] = {"pgdata": "files of a database server"}
    capsys.readouterr()
    assert listing.main(hive.config, argparse.Namespace(json=True)) == 0
    told = json.loads(capsys.readouterr().out)
    by_item = {one["item"]: one for one in told["items"]}
    assert sorted(by_item) == ALL
    assert len(by_item["volume:uploads"]["snapshots"]) == 2
    assert by_item["volume:uploads"]["snapshots"][0]["server"] == "web1"
    assert by_item["volume:uploads"]["proved"] == {"time": "yesterday"}
    assert by_item["roles:postgres"]["proved"] is None
    assert by_item["roles:postgres"]["last"]["status"] == "ok"
    assert told["left_out"] == {"pgdata": "files of a database server"}


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
    calls: list[str] = []
    monkeypatch.setattr(tell, "_systemctl", lambda *words: calls.append(" ".join(words)))
    monkeypatch.setattr(tell, "TIMER", hive.place / "timer")
    monkeypatch.setattr(tell.config, "PATH", hive.place / "etc/backups.json")
    monkeypatch.setattr(tell.config.read, "__defaults__", (hive.place / "etc/backups.json",))
    hive.told["calendar"] = ["*-*-01 02:17:00", "Mon *-*-* 02:17:00"]

    def told() -> int:
        monkeypatch.setattr(sys, "stdin", SimpleNamespace(read=lambda: json.dumps(hive.told)))
        return tell.Told.main(argparse.Namespace())

    assert told() == 0
    assert (hive.place / "repository/config").exists()
    assert (hive.place / "etc/backups.json").stat().st_mode & 0o777 == 0o600
    timer = (hive.place / "timer").read_text()
    assert "OnCalendar=*-*-01 02:17:00\nOnCalendar=Mon *-*-* 02:17:00\nPersistent=true" in timer
    assert calls[-1] == "restart apiary-backups.timer"
    asked = len(hive.called("restic"))
    hive.told["keep"] = {"daily": 3}
    assert told() == 0
    assert len(hive.called("restic")) == asked, "what does not concern the repository must not depend on it"
    hive.told["environment"] = {"RESTIC_PASSWORD": "another"}
    with pytest.raises(BackupsError, match="password does not open"):
        told()
    assert "another" not in (hive.place / "etc/backups.json").read_text(), "what did not work was kept"
    assert tell.Forgotten.main(argparse.Namespace()) == 0
    assert not (hive.place / "etc/backups.json").exists()
    assert not (hive.place / "timer").exists()
