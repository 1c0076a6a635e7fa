"""Data of an old host come over whole, twice, and nothing is written over what this did not bring.

Hosts, Docker, rsync and the way between them are those of test_carry; `old` is one that knows nothing of this project.
"""

from __future__ import annotations

import json
import os
import shutil
from typing import Any

import pytest

from operations import copies
from operations.carry import CarryError, Place
from operations.cli import OperationError
from operations.copying import plan
from operations.copying.items import Item, User, users, wanted
from operations.copying.plan import There, Wish
from tests.unit import test_carry

hosts = test_carry.hosts
OLD, NEW = Place("web1", "", "web1", ()), Place("web2", "i-2", "web2", ())
UPLOADS = Item("uploads", "uploads")


@pytest.fixture
def moved(hosts, monkeypatch):
    """web1 is the old host, with `shop` writing to uploads; on web2 a new `shop` has an empty one, and runs."""
    for name, value in hosts.environment.items():
        monkeypatch.setenv(name, value)
    program = hosts.root / "bin" / "id"
    program.write_text("#!/bin/sh\necho 0\n")
    program.chmod(0o755)
    hosts.add("web2", "shop")
    return hosts


def copy(*what: str, **wish: Any) -> None:
    copies._copy(NEW, OLD, copies.Wish("web1", what, **wish))


def test_it_comes_warm_while_all_goes_on_and_then_for_good(moved, capfd):
    copy("uploads")
    assert moved.files("web2") == {"a": "1"}
    assert (moved.running("web1"), moved.running("web2")) == (["shop"], ["shop"])
    # What was tried on the new one goes, and what came on the old one comes.
    (moved.volume("web2") / "tried").write_text("x")
    (moved.volume("web1") / "b").write_text("2")
    copy("uploads")
    assert moved.files("web2") == {"a": "1", "b": "2"}
    (moved.volume("web1") / "c").write_text("3")
    copy("uploads", final=True)
    assert moved.files("web2") == {"a": "1", "b": "2", "c": "3"}
    assert (moved.running("web1"), moved.running("web2")) == ([], ["shop"])
    said = capfd.readouterr().err
    assert "stopped on web1, and left so: shop" in said
    assert "uploads: 4 entries, checksums equal" in said
    # The new one serves now: nothing comes over what it has written since.
    (moved.volume("web2") / "new").write_text("4")
    copy("uploads", final=True)
    assert set(moved.files("web2")) == {"a", "b", "c", "new"}
    # Unless that is said, and then it is put aside.
    copy("uploads", final=True, over=["uploads"])
    assert set(moved.files("web2")) == {"a", "b", "c"}


def test_data_that_it_did_not_bring_are_refused_or_put_aside_when_that_is_said(moved):
    (moved.volume("web2") / "mine").write_text("x")
    with pytest.raises(OperationError, match="--over uploads"):
        copy("uploads", final=True)
    assert moved.running("web1") == ["shop"]
    assert moved.files("web2") == {"mine": "x"}
    copy("uploads", final=True, over=["uploads"])
    assert moved.files("web2") == {"a": "1"}
    (aside,) = [path for path in moved.volume("web2").parent.iterdir() if path.name.startswith("_data.")]
    assert (aside / "mine").read_text() == "x"


def test_a_copy_that_breaks_off_leaves_both_sides_running_and_goes_on_when_it_is_said_again(moved):
    copy("uploads")
    (moved.root / "cut").touch()
    with pytest.raises(CarryError, match="say it again"):
        copy("uploads", final=True)
    assert (moved.running("web1"), moved.running("web2")) == (["shop"], ["shop"])
    (moved.root / "cut").unlink()
    copy("uploads", final=True)
    assert moved.files("web2") == {"a": "1"}


def test_what_did_not_come_as_it_was_is_seen_by_no_container(moved):
    """Same names, same sizes, other bytes: as from a disk that is going."""
    program = moved.root / "bin" / "rsync"
    arrived = "tar.communicate(data)"
    spoilt = f"{arrived}\n    open(folder + '/a', 'w').write('9')"
    assert arrived in program.read_text()
    program.write_text(program.read_text().replace(arrived, spoilt))
    with pytest.raises(CarryError, match="uploads is not here as it is there"):
        copy("uploads", final=True)
    assert moved.files("web2") == {}
    assert (moved.running("web1"), moved.running("web2")) == (["shop"], ["shop"])


@pytest.mark.skipif(shutil.which("rsync") is None, reason="rsync is not installed here")
def test_rsync_itself_speaks_through_this_machine(moved):
    """The two ends that are joined here are rsync's own, as on real hosts."""
    (moved.root / "bin" / "rsync").unlink()
    old = moved.volume("web1")
    (old / "big").write_bytes(os.urandom(3_000_000))
    (old / "link").symlink_to("big")
    (old / "deep").mkdir(mode=0o750)
    (old / "deep" / "f").write_text("f")
    copy("uploads")
    (old / "deep" / "f").write_text("g")
    (old / "a").unlink()
    copy("uploads", final=True)
    new = moved.volume("web2")
    assert (new / "big").read_bytes() == (old / "big").read_bytes()
    assert (new / "deep" / "f").read_text() == "g"
    assert os.readlink(new / "link") == "big"
    assert not (new / "a").exists()


def test_a_folder_becomes_a_volume(moved):
    folder = moved.root / "srv"
    (folder / "deep").mkdir(parents=True)
    (folder / "deep" / "f").write_text("f")
    copy(f"{folder}=uploads", final=True)
    assert (moved.volume("web2") / "deep" / "f").read_text() == "f"


def test_an_old_host_that_can_not_be_read_is_told_with_what_to_do(moved):
    (moved.root / "bin" / "id").write_text("#!/bin/sh\necho 1000\n")
    with pytest.raises(CarryError, match="log in as root"):
        copy("uploads")
    with pytest.raises(OperationError, match="is no host that root"):
        copies._old(copies.Wish("me@old.example.org"))


# What is decided


def test_without_a_word_the_volumes_of_both_are_copied_but_for_those_that_are_made_here():
    both = ["media", "shop_data", "haproxycfg", "letsencrypt"]
    assert wanted((), both, ["media", "haproxycfg", "other"]) == [Item("media", "media")]
    assert wanted((), both, ["data"], project="shop") == [Item("shop_data", "data")]
    assert wanted(["shop_data=data", "/srv/media/=media"], both, ["data", "media"]) == [
        Item("shop_data", "data"), Item("/srv/media", "media")
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (["medai"], 'did you mean "media"?'),
        (["media=dat"], 'no volume dat; did you mean "data"?'),
        (["/srv/media"], "/srv/media: name the volume that a folder becomes; write /srv/media=media"),
        (["media=/srv"], "data come into named volumes"),
        (["media=data", "shop=data"], "data would get several"),
        (["/=data"], "name the volume"),
        ([], "--project NAME"),
    ],
)  # fmt: skip
def test_what_can_not_be_copied_is_told_with_what_to_do(said, words):
    with pytest.raises(OperationError) as error:
        wanted(said, ["media", "shop"], ["data"])
    assert words in str(error.value)


def here(**change: Any) -> dict[str, Any]:
    return {"uploads": {"exists": True, "empty": True, "bytes": 0, "received": 0, "free": 10**9, "in": None, **change}}


def decided(there: There, new: dict[str, Any], versions: dict[str, str] | None = None, **wish: Any):
    return plan.plan(Wish("old", **wish), [UPLOADS], {UPLOADS: there}, new, versions or {})


def test_a_database_is_copied_only_while_it_stands_still_and_by_its_own_version():
    there = There("/v", 5, (User("1", "db", "postgres:10.2", running=True, writes=True),), "PostgreSQL 10")
    steps, said = decided(there, here())
    assert steps == []
    assert "--final copies them" in said[0]
    assert decided(there, here(), final=True)[0][0].stop == ("1",)
    with pytest.raises(OperationError, match="files of version PostgreSQL 10, and PostgreSQL 15 is to read them"):
        decided(there, here(empty=False), {"uploads": "PostgreSQL 15"}, final=True, over=["uploads"])


def test_too_little_room_and_what_is_in_the_way_are_told_together():
    with pytest.raises(OperationError) as error:
        decided(There("/v", 10**10, ()), here(empty=False))
    assert "--over uploads" in str(error.value)
    assert "make room there" in str(error.value)
    # Of another host it is nobody's copy.
    with pytest.raises(OperationError):
        decided(There("/v", 1, ()), here(empty=False, **{"in": {"from": "other", "state": "placed", "warm": True}}))


def test_who_has_a_folder_is_found_around_and_in_it():
    def container(source: str) -> dict[str, Any]:
        mounts = [{"Type": "bind", "Source": source, "RW": True}]
        return {"Id": "1", "Name": "/x", "Mounts": mounts, "State": {"Running": True}, "Config": {"Image": "i"}}

    item = Item("/srv/media", "media")
    found = [bool(users(item, [container(path)])) for path in ("/srv/media", "/srv", "/srv/media/a", "/srv/mediaa")]
    assert found == [True, True, True, False]


def test_what_the_new_server_asks_of_the_old_one_is_a_copy_and_nothing_else(moved):
    program = moved.root / "bin" / "rsync"
    program.write_text(program.read_text().replace('"--numeric-ids", "."', '"--remove-source-files", "."'))
    with pytest.raises(CarryError, match="something else than a copy"):
        copy("uploads")
    assert json.loads((moved.root / "web1" / "docker.json").read_text())["volumes"].keys() == {"uploads"}
