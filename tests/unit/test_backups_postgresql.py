"""A PostgreSQL database put back, by a real server: renamed in, with owner and rights, or taken back as a whole."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.backups_server import Server
from tests.unit.backups_shop import program

from apiary_backups import engine_postgresql as engine  # isort: skip - the module above puts it on the path
from apiary_backups import restore, serving  # isort: skip
from apiary_backups.errors import BackupsError  # isort: skip
from apiary_backups.items import Item  # isort: skip
from apiary_backups.journal import Book, TakenBackError, Wish  # isort: skip

SHOP = Wish(("postgres/shop",))
USER = "postgres"


# It refuses to run as root, and goes with the tests however these end.
AS_SERVER = [
    "setpriv",
    "--pdeathsig=QUIT",
    *([f"--reuid={USER}", f"--regid={USER}", "--clear-groups"] * (os.geteuid() == 0)),
]


@pytest.fixture(scope="module")
def cluster() -> Iterator[Path]:
    """A server of its own; the folder of its socket."""
    if not all(map(shutil.which, ("initdb", "postgres", "psql", "pg_dumpall"))):
        pytest.skip("there is no PostgreSQL server here; the lab's tests use one")
    place = Path("/tmp") / f"apiary-pg-{os.getpid()}"
    place.mkdir()
    if os.geteuid() == 0:
        shutil.chown(place, USER)
    data = str(place / "data")
    try:
        made = [*AS_SERVER, "initdb", "--auth=trust", f"--username={USER}", "--encoding=UTF8", data]
        subprocess.run(made, cwd=place, check=True, capture_output=True)
        # Asked by its socket. Without an address it would be taken for one that only makes its cluster; its own, since
        # others are tested at once.
        address = ".".join(map(str, (127, *(1 + os.getpid()).to_bytes(3, "big"))))
        options = ["-c", f"listen_addresses={address}", "-c", f"unix_socket_directories={place}", "-c", "fsync=off"]
        log = (place / "log").open("w")
        with log, subprocess.Popen([*AS_SERVER, "postgres", "-D", data, *options], cwd=place, stderr=log) as running:
            asked = ["psql", "-h", str(place), f"--username={USER}", "-c", "SELECT 1", "postgres"]
            deadline = time.monotonic() + 60
            while subprocess.run(asked, capture_output=True, check=False).returncode:
                assert running.poll() is None, (place / "log").read_text()
                assert time.monotonic() < deadline, (place / "log").read_text()
                time.sleep(0.1)
            yield place
            running.send_signal(signal.SIGQUIT)
    finally:
        shutil.rmtree(place)


def psql(sql: str, database: str = "postgres") -> str:
    words = ["psql", f"--username={USER}", "--no-psqlrc", "-qtA", "-v", "ON_ERROR_STOP=1", "-d", database, "-c", sql]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.fixture
def shop(server: Server, cluster: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A shop with a database of its own role, saved once, changed since."""
    monkeypatch.setenv("PGHOST", str(cluster))
    monkeypatch.setattr(restore, "SPARE_BYTES", 1)
    monkeypatch.setattr(serving, "VERDICT_RECORD", server.place / "verdict.json")
    server.told |= {
        "databases": {"postgres": {"engine": "postgresql"}},
        "applications": {"shop": {"databases": [["postgres", "shop"]]}},
        "order": ["postgres", "shop"],
    }
    server.container("postgres")
    server.container("shop")
    program(server, "apiary-await", "exit 0")
    server.restic.init()
    psql("CREATE ROLE shop LOGIN PASSWORD 'then'")
    psql("CREATE ROLE reader")
    psql("CREATE DATABASE shop OWNER shop TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C'")
    psql("ALTER DATABASE shop SET timezone TO 'Europe/Berlin'; REVOKE ALL ON DATABASE shop FROM PUBLIC;"
         "GRANT CONNECT ON DATABASE shop TO reader")  # fmt: skip
    psql("SET ROLE shop; CREATE TABLE orders (id int); INSERT INTO orders SELECT generate_series(1, 3)", "shop")
    server.restic.save_output(Item.roles("postgres"), engine.roles("postgres-1"))
    server.restic.save_output(Item.of_database("postgres", "shop"), engine.dump("postgres-1", "shop"))
    psql("DELETE FROM orders WHERE id > 1; CREATE TABLE since (id int)", "shop")
    psql("ALTER ROLE shop PASSWORD 'today'")
    yield server
    for name in databases():
        psql(f'DROP DATABASE "{name}" WITH (FORCE)')
    psql("DROP OWNED BY shop, reader; DROP ROLE shop; DROP ROLE reader")


def databases() -> list[str]:
    return psql("SELECT datname FROM pg_database WHERE NOT datistemplate AND datname <> 'postgres'").split()


def about(name: str) -> str:
    return psql(
        "SELECT pg_get_userbyid(datdba), datcollate, datacl, (SELECT setconfig FROM pg_db_role_setting "  # noqa: S608
        f"WHERE setdatabase = d.oid) FROM pg_database d WHERE datname = '{name}'"
    )


def rows(name: str = "shop") -> str:
    return psql("SELECT count(*) FROM orders", name)


def test_a_database_comes_back_with_its_owner_rights_and_settings(shop: Server) -> None:
    before, password = about("shop"), psql("SELECT rolpassword FROM pg_authid WHERE rolname = 'shop'")
    restore.restore(shop.config, SHOP, lambda _: None)
    assert rows() == "3"
    assert about("shop") == before
    assert "reader=c/shop" in before
    assert psql("SELECT tableowner FROM pg_tables WHERE tablename = 'orders'", "shop") == "shop"
    assert psql("SELECT rolpassword FROM pg_authid WHERE rolname = 'shop'") == password, "the stack's of today"
    assert databases() == ["shop"]
    stopped = [call for call in shop.called("docker") if call.split()[0] in ("stop", "start")]
    assert stopped == ["stop shop-1", "start shop-1"]


def test_a_database_that_was_dropped_by_mistake_comes_back_with_its_role(shop: Server) -> None:
    before = about("shop")
    psql("DROP DATABASE shop")
    psql("DROP ROLE shop")
    restore.restore(shop.config, SHOP, lambda _: None)
    assert rows() == "3"
    assert about("shop") == before
    assert psql("SELECT rolcanlogin FROM pg_roles WHERE rolname = 'shop'") == "t"


def test_what_does_not_serve_is_taken_back(shop: Server) -> None:
    program(
        shop,
        "apiary-await",
        f"""n=$(cat {shop.place}/n 2>/dev/null || echo 0); echo $((n + 1)) > {shop.place}/n
        [ "$n" != 0 ] || {{ echo "no orders after 3" >&2; exit 1; }}""",
    )
    with pytest.raises(TakenBackError, match="no orders after 3; what was there before is there again, and serves"):
        restore.restore(shop.config, SHOP, lambda _: None)
    assert rows() == "1"
    assert databases() == ["shop"]


def test_a_truncated_dump_is_never_put_in_place(shop: Server) -> None:
    half = ["sh", "-c", f"pg_dump --username={USER} shop | head -c 900"]
    shop.restic.save_output(Item.of_database("postgres", "shop"), half)
    with pytest.raises(BackupsError, match="breaks off before its end"):
        restore.restore(shop.config, SHOP, lambda _: None)
    assert rows() == "1"
    assert databases() == ["shop"]
    assert Book(shop.records).read() is None


def test_beside_it_is_another_database(shop: Server) -> None:
    restore.restore(shop.config, Wish(("postgres/shop",), to="look"), lambda _: None)
    assert (rows("look"), rows()) == ("3", "1")
    assert psql("SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = 'look'") == "shop"
    with pytest.raises(BackupsError, match="has a database look already"):
        restore.restore(shop.config, Wish(("postgres/shop",), to="look"), lambda _: None)


def test_killed_at_either_rename_the_same_line_ends_it(shop: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    class Killed(BaseException):
        pass

    left, rename = [0], engine.rename

    def step(*arguments: str) -> None:
        if left[0] == 0:
            raise Killed
        left[0] -= 1
        rename(*arguments)

    monkeypatch.setattr(engine, "rename", step)
    for count in (0, 1):
        left[0] = count
        with pytest.raises(Killed):
            restore.restore(shop.config, SHOP, lambda _: None)
        assert "apiary_fresh_" in "".join(databases())
        left[0] = 9
        restore.restore(shop.config, SHOP, lambda _: None)
        assert (rows(), databases()) == ("3", ["shop"])
        psql("DELETE FROM orders WHERE id > 1", "shop")


def test_who_comes_back_at_once_is_in_the_way_of_no_rename(shop: Server) -> None:
    """One on another server, which this one does not stop."""
    again = f"while :; do psql --username={USER} --dbname=shop --command='SELECT pg_sleep(60)'; done"
    with subprocess.Popen(
        ["setpriv", "--pdeathsig=KILL", "sh", "-c", again],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
    ) as stranger:  # fmt: skip
        try:
            deadline = time.monotonic() + 60
            while psql("SELECT count(*) FROM pg_stat_activity WHERE datname = 'shop'") == "0":
                assert time.monotonic() < deadline
            for _ in range(3):
                restore.restore(shop.config, SHOP, lambda _: None)
        finally:
            os.killpg(stranger.pid, signal.SIGKILL)
    assert rows() == "3"
    assert databases() == ["shop"]


def test_what_lies_beside_is_nothing_to_save(shop: Server) -> None:
    for which in ("kept", "copy"):
        psql(f"CREATE DATABASE apiary_{which}_0123456789ab")
    assert engine.databases("postgres-1") == ["shop"]
