"""A fill: only what is empty, from what was saved last, and gone on with where it broke off."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.backups_hive import ALL, backup, engine, filled, interrupted, statuses
from tests.unit.backups_server import Server

from apiary_backups import fill, filling, items  # isort: skip
from apiary_backups.errors import BackupsError, UnreachableError  # isort: skip
from apiary_backups.items import Item  # isort: skip
from apiary_backups.loading import Load  # isort: skip
from apiary_backups.restic import Restic  # isort: skip


@pytest.fixture
def hive(hive: Server) -> Server:
    """One whose volumes no container has had yet."""
    hive.remove("shop-1")
    return hive


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


def test_accounts_that_are_refused_say_that_the_data_are_whole_and_how_to_go_on(hive: Server) -> None:
    backup(hive)
    (hive.place / "engine/shop").unlink()
    load_roles = engine(hive).load_roles

    def refused(container: str, content: bytes, *, logins: bool) -> None:
        if logins:
            raise BackupsError("Plugin 'mysql_native_password' is not loaded")
        load_roles(container, content, logins=logins)

    engine(hive).load_roles = refused
    with pytest.raises(BackupsError, match=r"roles:postgres of .*not loaded; the databases themselves are whole"):
        filled(hive, "postgres")
    hive.told["restore"] = False
    assert filled(hive, "postgres") == 0
    assert (hive.place / "engine/shop").read_text().startswith("rows of shop")
    assert backup(hive) == 0


def test_one_that_is_damaged_keeps_no_other_from_coming_back(hive: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    backup(hive)
    places = {name: hive.place / "volumes" / name / "_data" for name in ("uploads", "letters")}
    hive.told["volumes"] = {"letters": {}, "uploads": {}}
    (places["uploads"] / "a").unlink()
    (places["letters"] / "b").unlink()
    for name in ("blog", "shop"):
        (hive.place / "engine" / name).unlink()
    restore, load = fill.Restic.restore, fill.Restic.load

    def damaged(repository: Restic, snapshot: str, target: Path) -> Path:
        if snapshot == letters.id:
            raise BackupsError("a pack file is damaged")
        return restore(repository, snapshot, target)

    def half(repository: Restic, snapshot: str, into: Load) -> None:
        if snapshot == blog.id:
            raise BackupsError("a pack file is damaged")
        load(repository, snapshot, into)

    newest = hive.restic.newest()
    letters, blog = newest[Item.volume("letters")], newest[Item.of_database("postgres", "blog")]
    with monkeypatch.context() as patch:
        patch.setattr(fill.Restic, "restore", damaged)
        patch.setattr(fill.Restic, "load", half)
        with pytest.raises(BackupsError, match=r"damaged; to take an older one.* WHAT=web1:volume:letters AT="):
            filled(hive)
        with pytest.raises(BackupsError, match=r"damaged; to take an older one.* WHAT=web1:postgres/blog AT="):
            filled(hive, "postgres")
    assert (places["uploads"] / "a").read_text() == "a picture"
    assert (hive.place / "engine/shop").read_text().startswith("rows of shop")
    assert "roles and logins" not in engine(hive).calls, "who uses the other one would find nothing"
    # The line that it says.
    filling.chosen_by_hand(letters.item)
    filling.chosen_by_hand(blog.item)
    for place in (places["letters"] / "b", hive.place / "engine/blog"):
        place.write_text("older")
    assert filled(hive) == filled(hive, "postgres") == 0
    assert (hive.place / "engine/blog").read_text() == "older"
    assert backup(hive) == 0


def test_a_repository_that_goes_meanwhile_is_not_asked_for_each_of_them(
    hive: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    backup(hive)
    for name, file in (("uploads", "a"), ("letters", "b")):
        (hive.place / "volumes" / name / "_data" / file).unlink()
    asked: list[str] = []

    def unreachable(_: Restic, snapshot: str, target: Path) -> Path:
        asked.append(snapshot)
        raise UnreachableError("takes or gives nothing")

    monkeypatch.setattr(fill.Restic, "restore", unreachable)
    with pytest.raises(UnreachableError, match="takes or gives nothing"):
        filled(hive)
    assert len(asked) == 1


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


def gone(*_: object) -> None:
    raise UnreachableError("takes or gives nothing")


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
        patch.setattr(fill.Restic, "load", gone)  # of the first one, blog
        with pytest.raises(UnreachableError):
            filled(hive, "postgres")
    (hive.place / "engine/shop").write_text("by hand")
    assert filled(hive, "postgres") == 0
    assert (hive.place / "engine/shop").read_text() == "by hand"
    assert backup(hive) == 0
    assert statuses()["roles:postgres"] == "ok"


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
