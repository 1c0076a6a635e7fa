"""A new disk: what is empty there is known before it is asked from what it is filled, and before anything starts."""

from __future__ import annotations

import argparse
import shutil

import pytest

from tests.unit.backups_hive import ALL, backup, engine, filled, new_disk, statuses, told
from tests.unit.backups_server import Server

from apiary_backups import filling, tell  # isort: skip
from apiary_backups.errors import BackupsError  # isort: skip
from apiary_backups.items import Item  # isort: skip


@pytest.fixture
def rebuilt(hive: Server, monkeypatch: pytest.MonkeyPatch) -> Server:
    """One that was saved, and has a new disk, and a database server whose first start makes tables."""
    hive.told["databases"]["postgres"]["volumes"] = ["pgdata"]
    hive.volume("pgdata", PG_VERSION="17")
    told(hive, monkeypatch)
    assert backup(hive) == 0
    new_disk(hive)
    told(hive, monkeypatch)
    return hive


def first_start(hive: Server) -> None:
    hive.container("postgres", "pgdata")
    (hive.place / "volumes/pgdata/_data/PG_VERSION").write_text("17")
    (hive.place / "engine/shop").write_text("made by an init script")


def content(hive: Server, database: str = "shop") -> str:
    return str((hive.place / "engine" / database).read_text())


def test_what_a_first_start_has_made_gives_way_to_what_was_saved(
    rebuilt: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    first_start(rebuilt)
    assert filled(rebuilt) == filled(rebuilt, "postgres") == 0
    assert content(rebuilt).count("rows of shop") == content(rebuilt, "blog").count("rows of blog") == 100
    assert "database:postgres:shop: what is in it was made by a first start" in capsys.readouterr().out
    (rebuilt.place / "engine/shop").write_text("newer")
    assert filled(rebuilt, "postgres") == 0
    assert content(rebuilt) == "newer", "that was only so until it was whole"
    assert backup(rebuilt) == 0


def test_files_of_a_database_server_that_are_there_are_none_of_a_first_start(
    hive: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    hive.told["databases"]["postgres"]["volumes"] = ["pgdata"]
    hive.volume("pgdata", PG_VERSION="17")
    backup(hive)
    told(hive, monkeypatch)  # for the first time, as on another server with the same block storage
    (hive.place / "engine/shop").write_text("newer")
    filled(hive, "postgres")
    assert content(hive) == "newer"


def test_files_that_were_carried_there_meanwhile_are_none_of_a_first_start(rebuilt: Server) -> None:
    """A volume that follows its container takes the name of the empty one."""
    place = rebuilt.place / "volumes/pgdata/_data"
    carried = place.with_name("carried")
    carried.mkdir()
    place.rename(place.with_name("before"))
    carried.rename(place)
    first_start(rebuilt)
    filled(rebuilt, "postgres")
    assert content(rebuilt) == "made by an init script"


def test_a_fill_of_a_first_start_that_broke_off_loads_again_only_what_it_had_not(
    rebuilt: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    first_start(rebuilt)
    load = engine(rebuilt).load

    def broken(container: str, database: str) -> object:
        if database == "shop":
            raise BackupsError("the line breaks")
        return load(container, database)

    engine(rebuilt).load = broken
    with pytest.raises(BackupsError, match="the line breaks"):
        filled(rebuilt, "postgres")
    engine(rebuilt).load = load
    engine(rebuilt).calls.clear()
    (rebuilt.place / "engine/blog").write_text("newer")
    assert filled(rebuilt, "postgres") == 0
    assert content(rebuilt, "blog") == "newer"
    assert [call for call in engine(rebuilt).calls if call.startswith("load")] == ["load shop"]


def test_before_a_fill_knows_its_items_nothing_is_saved_of_what_it_may_be_about(
    rebuilt: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An update that broke off as soon as the server was told, or a repository that did not answer: then the clock."""
    before = rebuilt.restic.newest()
    assert backup(rebuilt) == 1
    assert backup(rebuilt, "databases:postgres", final=True) == 1
    first_start(rebuilt)
    password, rebuilt.told["environment"] = rebuilt.told["environment"], {"RESTIC_PASSWORD": "another"}
    for databases in (None, "postgres"):
        with pytest.raises(BackupsError, match="password does not open"):
            filled(rebuilt, databases)
    rebuilt.told["environment"] = password
    assert backup(rebuilt) == 1
    assert backup(rebuilt, "database:postgres:shop") == 1
    assert set(statuses().values()) == {"failed"}
    assert rebuilt.restic.newest() == before, "an empty state became the newest snapshot"
    assert filled(rebuilt) == filled(rebuilt, "postgres") == 0
    assert backup(rebuilt) == 0
    assert sorted(statuses()) == ALL


def test_a_fill_that_could_not_ask_leaves_the_roles_of_whole_databases_alone(hive: Server) -> None:
    backup(hive)
    hive.told["environment"], password = {"RESTIC_PASSWORD": "another"}, hive.told["environment"]
    with pytest.raises(BackupsError, match="password does not open"):
        filled(hive, "postgres")
    hive.told["environment"] = password
    assert filled(hive, "postgres") == 0
    assert engine(hive).calls == []
    assert backup(hive) == 0


def test_where_nothing_was_ever_saved_all_is_saved_from_then_on(hive: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    hive.told["databases"]["postgres"]["volumes"] = ["pgdata"]
    hive.volume("pgdata")
    hive.volume("new")
    hive.told["volumes"]["new"] = {}
    told(hive, monkeypatch)
    assert filled(hive) == filled(hive, "postgres") == 0
    assert backup(hive) == 0


def test_a_volume_that_comes_later_is_filled_when_it_comes_and_one_that_was_emptied_is_not(
    hive: Server, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    told(hive, monkeypatch)
    filled(hive)
    backup(hive)
    volumes = dict(hive.told["volumes"])
    del hive.told["volumes"]["uploads"]  # taken out, and by hand from the disk
    hive.remove("shop-1")
    told(hive, monkeypatch)
    for name in ("uploads", "letters"):
        shutil.rmtree(hive.place / "volumes" / name / "_data")
        (hive.place / "volumes" / name / "_data").mkdir()
    asked = len(hive.called("restic"))
    assert filled(hive, new=True) == 0
    assert len(hive.called("restic")) == asked, "nothing is new, and the repository was asked"
    hive.told["volumes"] = volumes
    told(hive, monkeypatch)
    assert filled(hive, new=True) == 0
    assert (hive.place / "volumes/uploads/_data/a").read_text() == "a picture"
    assert list((hive.place / "volumes/letters/_data").iterdir()) == []
    assert "letters" not in capsys.readouterr().out.rpartition("volume:uploads")[2]


def test_what_begins_empty_by_another_name_is_told_with_the_line_that_brings_its_data(
    hive: Server, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    told(hive, monkeypatch)
    backup(hive)
    hive.told["volumes"] = {"letters": {}, "pictures": {}, "notes": {}}
    hive.told["databases"] = {"pg": {"engine": "postgresql"}}
    hive.volume("pictures")
    hive.volume("notes", a="has data")
    hive.container("pg", "pgdata")
    told(hive, monkeypatch)
    capsys.readouterr()
    assert filled(hive, new=True) == filled(hive, "pg") == 0
    said = capsys.readouterr().out
    assert "volume:pictures: is empty; saved and in the stack file no more: uploads (as of 2" in said
    assert "make restore WHAT=web1:volume:uploads TO=pictures" in said
    assert "volume:letters" not in said
    assert said.count("in the stack file no more") == 2
    assert "renamed_from: postgres in applications.pg, pulumi up, make restore WHAT=web1:pg" in said


def test_what_is_written_while_there_are_no_backups_is_no_half_of_a_load(
    rebuilt: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    first_start(rebuilt)
    filling.begin(Item.of_database("postgres", "blog"))
    assert tell.Forgotten.main(argparse.Namespace()) == 0
    for name in ("blog", "shop"):
        (rebuilt.place / "engine" / name).write_text("newer")
    told(rebuilt, monkeypatch)
    assert filled(rebuilt, "postgres") == 0
    assert content(rebuilt) == content(rebuilt, "blog") == "newer"


def test_an_empty_start_that_was_asked_for_is_no_first_start(hive: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    hive.told["databases"]["postgres"]["volumes"] = ["pgdata"]
    hive.volume("pgdata")
    backup(hive)
    hive.state["containers"] = []
    hive.keep()
    hive.told["restore"] = False
    told(hive, monkeypatch)
    hive.told["restore"] = True
    told(hive, monkeypatch)
    first_start(hive)
    filled(hive, "postgres")
    assert content(hive) == "made by an init script"


def test_a_database_that_was_restored_by_hand_is_not_filled_again(rebuilt: Server) -> None:
    first_start(rebuilt)
    filling.chosen_by_hand(Item.of_database("postgres", "shop"))
    filled(rebuilt, "postgres")
    assert content(rebuilt) == "made by an init script"
    assert content(rebuilt, "blog").count("rows of blog") == 100, "which was empty"


@pytest.mark.parametrize("meanwhile", ["not saved", "restore: false"])
def test_what_is_written_while_nothing_is_to_be_filled_never_gives_way(
    rebuilt: Server, monkeypatch: pytest.MonkeyPatch, meanwhile: str
) -> None:
    """Its fill has failed, and for a while the stack file wanted none: it was used, and is data from then on."""
    first_start(rebuilt)
    filling.begin(Item.of_database("postgres", "blog"))
    wanted = dict(rebuilt.told)
    rebuilt.told |= {"restore": False} if meanwhile == "restore: false" else {"databases": {}, "volumes": {}}
    told(rebuilt, monkeypatch)
    for name in ("blog", "shop"):
        (rebuilt.place / "engine" / name).write_text("newer")
    rebuilt.told |= {"restore": True, "databases": wanted["databases"], "volumes": wanted["volumes"]}
    told(rebuilt, monkeypatch)
    assert filled(rebuilt, "postgres") == 0
    assert content(rebuilt) == content(rebuilt, "blog") == "newer"
    assert backup(rebuilt, "databases:postgres") == 0
