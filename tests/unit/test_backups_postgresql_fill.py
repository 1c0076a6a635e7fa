"""A PostgreSQL server on a new disk: its databases come back as they were, whoever its administrator is."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.backups_server import Server
from tests.unit.backups_shop import program
from tests.unit.test_backups_postgresql import cluster, databases, psql, rows

from apiary_backups import config, fill, restore, serving  # isort: skip - the module above puts it on the path
from apiary_backups import engine_postgresql as engine  # isort: skip
from apiary_backups.config import put  # isort: skip
from apiary_backups.errors import BackupsError  # isort: skip
from apiary_backups.items import Item  # isort: skip
from apiary_backups.journal import Wish  # isort: skip

__all__ = ["cluster"]

ADMINISTRATOR = "gitea"
# Of the two providers of PostgreSQL 15 the one that needs more words; the other one is what most have.
HOW = [
    "LOCALE_PROVIDER icu ICU_LOCALE 'de-DE'",
    pytest.param("LC_COLLATE 'POSIX' LC_CTYPE 'POSIX'", marks=pytest.mark.soak),
]
LOCALE = "SELECT to_jsonb(d)->>'datlocprovider', datcollate FROM pg_database d WHERE datname = '{}'"


@pytest.fixture
def served(server: Server, cluster: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A server with nothing in it but an administrator of another name, as `POSTGRES_USER` makes one."""
    monkeypatch.setenv("PGHOST", str(cluster))
    monkeypatch.setattr(restore, "SPARE_BYTES", 1)
    monkeypatch.setattr(serving, "VERDICT_RECORD", server.place / "verdict.json")
    server.told |= {"databases": {"postgres": {"engine": "postgresql"}}, "order": ["postgres"]}
    server.container("postgres")
    program(server, "apiary-await", "exit 0")
    server.restic.init()
    psql(f"CREATE ROLE {ADMINISTRATOR} SUPERUSER LOGIN PASSWORD 'then'")
    monkeypatch.setenv("POSTGRES_USER", ADMINISTRATOR)
    yield server
    for name in databases():
        psql(f'DROP DATABASE "{name}" WITH (FORCE)')
    psql(f"DROP OWNED BY {ADMINISTRATOR}; DROP ROLE {ADMINISTRATOR}; DROP ROLE IF EXISTS writer")


def make(name: str, how: str = "") -> None:
    psql(f"CREATE DATABASE {name} OWNER {ADMINISTRATOR} TEMPLATE template0 {how}")
    orders(name)


def orders(name: str) -> None:
    psql("CREATE TABLE orders (id int); INSERT INTO orders VALUES (1), (2), (3)", name)


def save(server: Server) -> None:
    server.restic.save_output(Item.roles("postgres"), engine.roles("postgres-1"))
    for name in engine.databases("postgres-1"):
        server.restic.save_output(Item.of_database("postgres", name), engine.dump("postgres-1", name))


def filled(server: Server) -> None:
    fill.databases(server.config, "postgres")


def test_an_administrator_of_another_name_keeps_its_login_and_the_password_of_today(served: Server) -> None:
    """Without its login nothing could be asked before the end; the password is that of the new state."""
    psql("CREATE ROLE writer LOGIN PASSWORD 'then'")
    make("shop")
    save(served)
    psql("DROP DATABASE shop")
    psql(f"DROP ROLE writer; ALTER ROLE {ADMINISTRATOR} PASSWORD 'today'")
    today = psql(f"SELECT rolpassword FROM pg_authid WHERE rolname = '{ADMINISTRATOR}'")  # noqa: S608
    filled(served)
    assert rows("shop") == "3"
    assert psql(f"SELECT rolpassword FROM pg_authid WHERE rolname = '{ADMINISTRATOR}'") == today  # noqa: S608
    assert psql("SELECT rolcanlogin FROM pg_roles WHERE rolname = 'writer'") == "t"


@pytest.mark.parametrize("how", HOW)
def test_a_database_orders_words_as_before_also_when_the_fill_was_cut_off(served: Server, how: str) -> None:
    make("shop", how)
    before = psql(LOCALE.format("shop"))
    save(served)
    psql("DROP DATABASE shop")
    filled(served)
    assert (rows("shop"), psql(LOCALE.format("shop"))) == ("3", before)

    psql("DROP TABLE orders", "shop")
    put(config.STATE / "loading" / str(Item.of_database("postgres", "shop")), "")
    filled(served)
    assert (rows("shop"), psql(LOCALE.format("shop"))) == ("3", before)


@pytest.mark.parametrize("how", HOW)
def test_a_database_that_is_restored_in_place_orders_words_as_before(served: Server, how: str) -> None:
    make("shop", how)
    before = psql(LOCALE.format("shop"))
    save(served)
    psql("DELETE FROM orders", "shop")
    restore.restore(served.config, Wish(("postgres/shop",)), lambda _: None)
    assert (rows("shop"), psql(LOCALE.format("shop"))) == ("3", before)


def test_the_servers_first_database_is_restored_like_any_other(served: Server) -> None:
    """Who says no other name keeps tables in `postgres`."""
    orders("postgres")
    save(served)
    try:
        psql("DELETE FROM orders; CREATE TABLE since (id int)")
        restore.restore(served.config, Wish(("postgres/postgres",)), lambda _: None)
        assert rows("postgres") == "3"
        assert psql("SELECT count(*) FROM pg_tables WHERE tablename = 'since'") == "0"
        assert databases() == []
    finally:
        psql("DROP TABLE IF EXISTS orders, since")


def test_what_an_image_s_first_start_has_made_is_in_the_way_of_no_dump(served: Server) -> None:
    """By a script of its own: no table, so nothing is lost, but a dump makes the same again."""
    scripted = "CREATE SCHEMA sales; CREATE TYPE size AS ENUM ('small')"
    make("shop", "LC_COLLATE 'POSIX' LC_CTYPE 'POSIX'")
    psql(scripted, "shop")
    before = psql(LOCALE.format("shop"))
    save(served)
    psql("DROP DATABASE shop")
    psql("CREATE DATABASE shop")
    psql(scripted, "shop")
    filled(served)
    assert (rows("shop"), psql(LOCALE.format("shop"))) == ("3", before)


def test_half_a_dump_with_large_objects_is_loaded_anew(served: Server) -> None:
    """Their part of a dump ends the one transaction that all of it is to be."""
    make("shop")
    psql("SELECT lo_from_bytea(0, decode(repeat('41', 100), 'hex'))", "shop")
    save(served)
    psql("DROP DATABASE shop")
    put(config.STATE / "loading" / str(Item.of_database("postgres", "shop")), "")
    psql(f"CREATE DATABASE shop OWNER {ADMINISTRATOR}")
    psql("SELECT lo_from_bytea(0, 'half')", "shop")
    filled(served)
    assert rows("shop") == "3"
    assert psql("SELECT count(*), max(length(lo_get(oid))) FROM pg_largeobject_metadata", "shop") == "1|100"


def test_a_server_that_only_makes_its_cluster_is_waited_for(
    served: Server, cluster: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The official image's first start: without a network, and gone when it has made the cluster."""
    begun = time.monotonic()
    engine.wait("postgres-1", 60)
    assert time.monotonic() - begun < 10
    monkeypatch.setattr(engine, "STAYS", "false")
    begun = time.monotonic()
    engine.wait("postgres-1", 4)
    assert time.monotonic() - begun >= 2, "it was taken for the real one at once"
    monkeypatch.setenv("PGHOST", str(cluster / "nowhere"))
    with pytest.raises(BackupsError, match="the server does not answer"):
        engine.wait("postgres-1", 1)
    monkeypatch.setenv("PGHOST", str(cluster))


def test_what_is_only_looked_at_does_not_bring_the_database_itself_back(served: Server) -> None:
    """Empty, it would be taken for a new one by whoever uses it."""
    psql("CREATE ROLE writer LOGIN")
    make("shop")
    psql("ALTER TABLE orders OWNER TO writer", "shop")
    save(served)
    psql("DROP DATABASE shop")
    psql("DROP ROLE writer")
    restore.restore(served.config, Wish(("postgres/shop",), to="look"), lambda _: None)
    assert (rows("look"), databases()) == ("3", ["look"])
    assert psql("SELECT tableowner FROM pg_tables WHERE tablename = 'orders'", "look") == "writer"
