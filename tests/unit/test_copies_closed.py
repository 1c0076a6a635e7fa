"""What is copied for good is written to by nobody on the old host from before the dump on, and that is taken back.

Hosts and servers are those of test_copies_databases.
"""

from __future__ import annotations

import contextlib
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from operations import copies
from operations.carry import CarryError
from operations.cli import OperationError
from operations.copying import engines, quiet, volumes
from operations.copying.items import Item
from tests.unit import test_backups_postgresql, test_copies_databases
from tests.unit.test_backups_postgresql import psql
from tests.unit.test_copies_databases import SHOP, Hosts

cluster, hosts = test_backups_postgresql.cluster, test_copies_databases.hosts
WRITES = 'psql -q -U postgres -d shop -c "INSERT INTO odd.t VALUES (9)"'


def test_who_connects_for_each_request_gets_in_no_more_from_before_the_last_dump_on(
    hosts: Hosts, monkeypatch: Any, capfd: Any
) -> None:
    """Nobody is connected when it begins; not the administrator either, as whom many an application comes."""
    hosts.copy()
    was, seen = engines.ENGINES["postgresql"], hosts.folder / "tried"
    tries = f"{{ {WRITES} && echo written || echo refused; }} >>{seen} 2>/dev/null\n"
    steps = ("dump", "load", "place", "settle")
    monkeypatch.setitem(
        engines.ENGINES, "postgresql", replace(was, **{step: tries + getattr(was, step) for step in steps})
    )
    hosts.copy(final=True)
    assert "closed on old, and left so: database shop of old-db; nobody gets in" in capfd.readouterr().err
    assert seen.read_text().split() == ["refused"] * len(steps)
    with pytest.raises(AssertionError, match="not currently accepting connections"):
        psql("INSERT INTO odd.t VALUES (10)", "shop")
    assert psql("SELECT count(*) FROM odd.t", "new") == "0"
    hosts.copy(back=True)
    psql("INSERT INTO odd.t VALUES (11)", "shop")


def test_who_makes_his_database_where_there_is_none_finds_one(hosts: Hosts, monkeypatch: Any) -> None:
    was = engines.ENGINES["postgresql"]
    makes = f"psql -q -U postgres -d postgres -c 'CREATE DATABASE shop' 2>{hosts.folder}/said || true\n{was.dump}"
    monkeypatch.setitem(engines.ENGINES, "postgresql", replace(was, dump=makes))
    hosts.copy(final=True)
    assert "already exists" in (hosts.folder / "said").read_text()
    assert psql('SELECT count(*) FROM "a\'b"', "new") == "3"


@pytest.mark.parametrize(("at", "behind"), [("close", "nothing"), ("close", "RENAME"), ("settle", "RENAME")])
def test_a_copy_that_was_killed_while_it_closes_goes_on_or_is_taken_back(
    hosts: Hosts, monkeypatch: Any, at: str, behind: str
) -> None:
    """Before and behind the moment in which the names change, and without a chance to take anything back."""
    was = engines.ENGINES["postgresql"]
    monkeypatch.setattr(quiet, "again", lambda *_: None)
    lines = getattr(was, at).splitlines()
    last = next((number for number, line in enumerate(lines) if behind in line), 0)
    cut = "\n".join([*lines[: last + 1 + (at == "settle")], "fi", "exit 9"]) if last else f"exit 9\n{was.close}"
    for goes_on in (True, False):
        monkeypatch.setitem(engines.ENGINES, "postgresql", replace(was, **{at: cut}))  # type: ignore[arg-type]
        with pytest.raises(CarryError):
            hosts.copy(final=True)
        assert "shop" in test_backups_postgresql.databases()
        with pytest.raises(AssertionError) if last else contextlib.nullcontext():
            psql("INSERT INTO odd.t VALUES (1)", "shop")
        monkeypatch.setitem(engines.ENGINES, "postgresql", was)
        if goes_on:
            hosts.copy(final=True)
        hosts.copy(back=True)
        psql("INSERT INTO odd.t VALUES (1)", "shop")
        assert set(test_backups_postgresql.databases()) == {"shop", "new"}


def test_what_is_closed_is_not_copied_while_it_is_used(hosts: Hosts) -> None:
    hosts.copy(final=True)
    with pytest.raises(CarryError, match="is closed there since a copy for good; --back opens it"):
        hosts.copy(over=["postgres:new"])
    hosts.copy()  # what came for good is left alone, and that is no fault
    psql("INSERT INTO odd.t VALUES (1)", "new")
    hosts.copy()
    assert psql("SELECT count(*) FROM odd.t", "new") == "1"


def test_what_came_for_good_before_a_kill_is_closed_under_its_own_name_by_the_next_run(
    hosts: Hosts, monkeypatch: Any
) -> None:
    was = engines.ENGINES["postgresql"]
    monkeypatch.setattr(quiet, "again", lambda *_: None)
    monkeypatch.setattr(quiet, "not_for_good", lambda *_: None)
    monkeypatch.setitem(engines.ENGINES, "postgresql", replace(was, settle="exit 9"))
    with pytest.raises(CarryError):
        hosts.copy(final=True)
    assert len(test_backups_postgresql.databases()) == 3
    monkeypatch.setitem(engines.ENGINES, "postgresql", was)
    hosts.copy(final=True)
    assert set(test_backups_postgresql.databases()) == {"shop", "new"}
    assert psql("SELECT datallowconn FROM pg_database WHERE datname = 'shop'") == "f"


def test_what_is_refused_is_refused_before_a_volume_is_touched(hosts: Hosts, monkeypatch: Any) -> None:
    """Or they would be in their places for good, and their writers stay stopped."""
    psql("CREATE TABLE mine (id int); INSERT INTO mine VALUES (1)", "new")
    placed: list[object] = []
    step = SimpleNamespace(item=Item("media", "media"), stop=())
    monkeypatch.setattr(copies, "_steps", lambda *_: [step])
    monkeypatch.setattr(volumes, "copy", lambda *said: placed.extend(said[-1]))
    with pytest.raises(CarryError, match=r"(?s)nothing is copied:.*--over postgres:new"):
        hosts.copy("media", SHOP, final=True)
    with pytest.raises(CarryError, match="there is no database none there"):
        hosts.copy("media", "old-db:none=postgres:new", final=True)
    step.stop = ("o1",)
    with pytest.raises(OperationError, match=r"nothing is copied.*by a dump, and media by its files; take one"):
        hosts.copy("media", SHOP, final=True, over=["postgres:new"])
    with pytest.raises(OperationError, match="--over media: no volume is copied"):
        hosts.copy(final=True, over=["media", "postgres:new"])
    assert not placed
    assert psql("SELECT datallowconn FROM pg_database WHERE datname = 'shop'") == "t"


def test_what_fails_behind_the_volumes_says_what_is_done_and_what_takes_it_back(
    hosts: Hosts, monkeypatch: Any, capfd: Any
) -> None:
    step = SimpleNamespace(item=Item("media", "media"), stop=("o2",))
    shop = {"id": "o2", "name": "shop", "labels": [], "address": "192.0.2.2", "running": True}
    hosts.write("old", [*hosts.containers("old"), shop])
    monkeypatch.setattr(copies, "_steps", lambda *_: [step])
    monkeypatch.setattr(volumes, "copy", lambda old, new, *_: quiet.stop(old, new, {"o2": "shop"}))
    was = engines.ENGINES["postgresql"]
    monkeypatch.setitem(engines.ENGINES, "postgresql", replace(was, load="head -c 100 >/dev/null; exit 1"))
    with pytest.raises(CarryError, match="say it again"):
        hosts.copy("media", SHOP, final=True)
    said = "".join(capfd.readouterr())
    assert "media: on web1 for good, the databases not yet: the same line goes on with these" in said
    assert "on old stay stopped or closed: shop; --back has them serve again, and for the volumes" in said
    assert "--over media" in said
    assert hosts.running() == ["old-db"]
    assert psql("SELECT count(*) FROM odd.t", "shop") == "0", "its database is not open again"
