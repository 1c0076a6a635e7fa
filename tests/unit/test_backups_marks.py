"""What is written down of a fill is about what is empty, and goes: data are neither replaced nor left unsaved."""

from __future__ import annotations

import argparse

import pytest

from tests.unit.backups_hive import backup, engine, filled, statuses, told
from tests.unit.backups_server import Server

from apiary_backups import config, filling, tell  # isort: skip
from apiary_backups.errors import BackupsError  # isort: skip
from apiary_backups.items import Item  # isort: skip


def test_what_was_asked_about_and_can_t_be_told_is_not_saved_until_it_is(
    hive: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server does not say whether a database is empty, after it was known what was saved."""
    backup(hive)
    (hive.place / "engine/shop").write_text("")
    is_empty = engine(hive).is_empty

    def silent(container: str, database: str) -> bool:
        raise BackupsError("docker exec: the server does not answer")

    engine(hive).is_empty = silent
    with pytest.raises(BackupsError, match="does not answer"):
        filled(hive, "postgres")
    engine(hive).is_empty = is_empty
    before = hive.restic.newest()
    assert backup(hive, "databases:postgres") == 1
    assert hive.restic.newest() == before, "an empty database became the newest snapshot"
    assert filled(hive, "postgres") == 0
    assert (hive.place / "engine/shop").read_text().startswith("rows of shop")


def test_what_is_left_of_a_fill_of_what_has_data_now_keeps_nothing_from_being_saved(hive: Server) -> None:
    """Cut off before anything was emptied; then somebody made tables."""
    backup(hive)
    filling.ask(Item.roles("postgres"))
    filling.expect([Item.of_database("postgres", "shop")])
    assert filled(hive, "postgres") == 0
    assert (hive.place / "engine/shop").read_text().startswith("rows of shop")
    assert backup(hive) == 0


@pytest.mark.parametrize("elsewhere", ["in a folder of the server", "in a container that is there"])
def test_a_database_server_whose_data_are_elsewhere_has_no_first_start(
    hive: Server, monkeypatch: pytest.MonkeyPatch, elsewhere: str
) -> None:
    """Backups come back into the stack file; its one volume, of dumps say, is empty."""
    hive.told["databases"]["postgres"]["volumes"] = ["dumps"]
    hive.volume("dumps")
    backup(hive)
    if elsewhere == "in a folder of the server":
        hive.state["containers"] = []
        hive.keep()
        folder = hive.place / "srv-db"
        folder.mkdir()
        (folder / "PG_VERSION").write_text("17")
        hive.told["databases"]["postgres"]["folders"] = [str(folder), str(hive.place / "not-there")]
    told(hive, monkeypatch)
    if not hive.running():
        hive.container("postgres", "dumps")
    (hive.place / "engine/shop").write_text("newer")
    assert filled(hive, "postgres") == 0
    assert (hive.place / "engine/shop").read_text() == "newer"


@pytest.mark.parametrize("is_running", [True, False])
def test_an_empty_volume_that_a_container_has_is_as_that_has_left_it(
    hive: Server, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *, is_running: bool
) -> None:
    """Backups come back into the stack file of a server that lives: whoever runs would write on into a folder that is
    gone, and what a job has emptied would be there again.
    """
    hive.remove("shop-1")
    hive.container("shop", "uploads", running=is_running)
    told(hive, monkeypatch)
    backup(hive)
    assert tell.Forgotten.main(argparse.Namespace()) == 0
    place = hive.place / "volumes/uploads/_data"
    (place / "a").unlink()
    inode = place.stat().st_ino
    told(hive, monkeypatch)
    assert filled(hive) == 0
    assert (place.stat().st_ino, list(place.iterdir())) == (inode, [])
    said = capsys.readouterr().out
    assert "volume:uploads: is empty, and a container had it before, so that it stays" in said
    assert "make restore WHAT=web1:volume:uploads" in said
    assert "volume:letters: there are data in it" in said
    backup(hive)
    assert statuses()["volume:uploads"] == "suspicious", "it is saved, and told to be less than it was"


@pytest.mark.parametrize("container", ["shop", "by-hand"])
def test_who_runs_with_a_volume_that_waits_for_its_data_is_to_be_stopped_first(hive: Server, container: str) -> None:
    """On a new disk, started by somebody before the update that fills it has come to its end."""
    backup(hive)
    place = hive.place / "volumes/uploads/_data"
    (place / "a").unlink()
    filling.expect([Item.volume("uploads")])
    hive.remove("shop-1")
    identity = hive.container(container, "uploads", kind="applications" if container == "shop" else "strangers")
    inode = place.stat().st_ino
    with pytest.raises(BackupsError, match=rf"volume:uploads of .* on web1: docker stop {identity}; then pulumi up"):
        filled(hive)
    assert (place.stat().st_ino, list(place.iterdir())) == (inode, [])
    assert [path.name for path in place.parent.iterdir()] == ["_data"]
    before = hive.restic.newest()
    assert backup(hive, "volume:uploads") == 1
    assert hive.restic.newest() == before, "an empty state became the newest snapshot"
    hive.state["containers"][-1]["State"]["Running"] = False
    hive.keep()
    assert filled(hive) == 0
    assert (place / "a").read_text() == "a picture"


def test_what_a_server_has_lost_of_what_it_was_told_leaves_nothing_to_be_filled_in_what_is_used(
    hive: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    hive.volume("later")
    hive.told["volumes"]["later"] = {}
    told(hive, monkeypatch)
    filled(hive)
    (hive.place / "volumes/uploads/_data/a").unlink()
    (hive.place / "etc/backups.json").unlink()
    with pytest.raises(BackupsError, match=r"is not there\. .* `make backup` tells it anew"):
        config.read()
    told(hive, monkeypatch)
    assert [path.name for path in (hive.records / filling.FOLDER).iterdir()] == ["volume:later"]
    assert filled(hive, new=True) == 0, "as the line does that tells it"
    assert backup(hive) == 0


def test_an_empty_volume_that_somebody_has_open_is_not_replaced(hive: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """`backup: false` is taken away: whoever runs would write on into a folder that is gone."""
    backup(hive)
    place = hive.place / "volumes/uploads/_data"
    volumes = dict(hive.told["volumes"])
    del hive.told["volumes"]["uploads"]
    told(hive, monkeypatch)
    filled(hive)
    (place / "a").unlink()
    inode = place.stat().st_ino
    hive.told["volumes"] = volumes
    told(hive, monkeypatch)
    assert filled(hive, new=True) == 0
    assert place.stat().st_ino == inode
    backup(hive, "volume:uploads")
    assert statuses()["volume:uploads"] == "suspicious", "it is saved, and told to be less than it was"
