"""Databases of an old host come by a dump, beside the one that is there, and take its place only when all has come.

Both hosts are this machine with a PostgreSQL server of its own (test_backups_postgresql), and a Docker that only knows
which containers run: what is asked inside a container is asked of the real server.
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from operations import copies
from operations.carry import CarryError, Place
from operations.cli import OperationError
from operations.copying import engines, records, words
from operations.copying.servers import Server
from operations.copying.words import Wanted
from tests.unit import test_backups_postgresql
from tests.unit.test_backups_postgresql import psql

cluster = test_backups_postgresql.cluster
SHOP = "old-db:shop=postgres:new"
# Of its container a host knows: id, name, labels, address, whether it runs.
DOCKER = """
import json, os, sys
file = os.environ["HOST_FILE"]
known = json.load(open(file))
verb, words = sys.argv[1], sys.argv[2:]
def fits(one):
    for word in [words[i + 1] for i, x in enumerate(words) if x == "--filter"]:
        kind, _, value = word.partition("=")
        if kind == "label" and value not in one["labels"] or kind == "name" and value != "^/?" + one["name"] + "$":
            return False
    return one["running"] or "--all" in words
if verb == "ps":
    print("\\n".join(one["name" if "--format" in words else "id"] for one in known if fits(one)))
elif verb == "container":
    print(json.dumps([{"Id": one["id"], "Name": "/" + one["name"], "NetworkSettings": {"Networks": {"n": {
        "IPAddress": one["address"]}}}} for one in known if one["id"] in words]))
elif verb == "exec":
    at = 0 if words[0] != "-i" else 1
    os.environ["PATH"] = os.environ["REAL_PATH"]
    os.execvp(words[at + 1], words[at + 1:])
else:
    for one in known:
        if one["id"] in words:
            one["running"] = verb == "start"
            if verb == "stop" and one.get("pid"):
                os.kill(one["pid"], 9)
    json.dump(known, open(file, "w"))
"""


@dataclass(frozen=True)
class Here(Place):
    """A host that is this machine, seen by its own Docker."""

    folder: str = ""

    def command(self, *said: str) -> list[str]:
        path = os.environ["PATH"]
        return ["env", f"HOST_FILE={self.folder}/{self.server}.json", f"REAL_PATH={path}",
                f"PATH={self.folder}:{path}", *said]  # fmt: skip


@dataclass(frozen=True)
class Hosts:
    """The two hosts."""

    old: Here
    new: Here
    folder: Path

    def containers(self, host: str) -> list[dict[str, Any]]:
        return list(json.loads((self.folder / f"{host}.json").read_text()))

    def write(self, host: str, known: list[dict[str, Any]]) -> None:
        (self.folder / f"{host}.json").write_text(json.dumps(known))

    def running(self) -> list[str]:
        return [one["name"] for one in self.containers("old") if one["running"]]

    def copy(self, *what: str, **wish: Any) -> None:
        copies._copy(self.new, self.old, copies.Wish("old", what or (SHOP,), **wish))


@pytest.fixture
def hosts(cluster: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """`shop` on the old host, with two tables; an empty `new` here, of the role that the stack has made."""
    monkeypatch.setenv("PGHOST", str(cluster))
    monkeypatch.setattr(records, "FOLDER", str(tmp_path / "copies"))
    docker = tmp_path / "docker"
    docker.write_text(f"#!{sys.executable}\n{DOCKER}")
    docker.chmod(0o755)
    found = Hosts(Here("old", "", "", (), str(tmp_path)), Here("web1", "", "", (), str(tmp_path)), tmp_path)
    one = {"labels": [], "address": "192.0.2.1", "running": True}
    compose = ["com.docker.compose.project=shop", "com.docker.compose.service=db"]
    found.write("old", [{**one, "id": "o1", "name": "old-db", "labels": compose}])
    found.write("web1", [{**one, "id": "n1", "name": "x", "labels": ["apiary.resource=applications.postgres"]}])
    psql("CREATE ROLE was LOGIN")
    psql("CREATE ROLE shop LOGIN")
    psql("CREATE DATABASE shop OWNER was TEMPLATE template0")
    psql("CREATE DATABASE new OWNER shop TEMPLATE template0")
    psql(
        "ALTER DATABASE new SET timezone TO 'Europe/Berlin'; ALTER DATABASE new SET search_path TO public, odd;"
        "REVOKE ALL ON DATABASE new FROM PUBLIC"
    )
    psql("CREATE EXTENSION pg_trgm; SET ROLE was; CREATE SCHEMA odd; CREATE TABLE \"a'b\" (id serial, word text);"
         "INSERT INTO \"a'b\" (word) SELECT 'x' || n FROM generate_series(1, 3) n; CREATE TABLE odd.t (id int);"
         "CREATE VIEW v AS SELECT * FROM odd.t", "shop")  # fmt: skip
    yield found
    for name in test_backups_postgresql.databases():
        psql(f'DROP DATABASE "{name}" WITH (FORCE)')
    psql("DROP ROLE was; DROP ROLE shop")


def test_it_comes_warm_and_then_for_good_to_the_role_that_the_stack_has_made(hosts: Hosts, capfd: Any) -> None:
    hosts.copy()
    assert psql('SELECT count(*) FROM "a\'b"', "new") == "3"
    psql("INSERT INTO odd.t VALUES (1)", "shop")
    psql("INSERT INTO odd.t VALUES (7), (8)", "new")  # tried here, and gone again
    hosts.copy(final=True)
    assert psql("SELECT id FROM odd.t", "new") == "1"
    assert psql("SELECT DISTINCT tableowner FROM pg_tables WHERE schemaname IN ('public', 'odd')", "new") == "shop"
    assert psql("SELECT nextval('\"a''b_id_seq\"')", "new") == "4"
    about = "SELECT pg_get_userbyid(datdba), datacl::text NOT LIKE '%{=%', datallowconn FROM pg_database"
    assert psql(f"{about} WHERE datname = 'new'") == "shop|t|t"
    assert psql("SHOW timezone", "new") == "Europe/Berlin"
    assert psql("SHOW search_path", "new") == "public, odd"
    assert set(test_backups_postgresql.databases()) == {"shop", "new"}, "an empty one was left"
    assert "2 tables, 4 rows, checksums equal on both sides" in capfd.readouterr().err
    # What is here now is newer.
    psql("INSERT INTO odd.t VALUES (2)", "new")
    hosts.copy(final=True)
    assert psql("SELECT count(*) FROM odd.t", "new") == "2"
    hosts.copy(final=True, over=["postgres:new"])
    assert psql("SELECT count(*) FROM odd.t", "new") == "1"


def test_what_did_not_come_from_there_is_refused_until_it_is_said(hosts: Hosts) -> None:
    psql("CREATE TABLE mine (id int); INSERT INTO mine VALUES (1)", "new")
    with pytest.raises(CarryError, match="--over postgres:new"):
        hosts.copy()
    assert psql("SELECT count(*) FROM mine", "new") == "1"
    hosts.copy(over=["postgres:new"])
    assert psql("SELECT to_regclass('mine') IS NULL", "new") == "t"


def test_the_longest_name_that_a_database_can_have_is_no_matter(hosts: Hosts) -> None:
    long, other = "l" * 63, "l" * 62 + "m"
    for name in (long, other):
        psql(f"CREATE DATABASE {name} OWNER shop TEMPLATE template0")
    hosts.copy(f"old-db:shop=postgres:{long}")
    psql('DELETE FROM "a\'b" WHERE id > 1', "shop")
    hosts.copy(f"old-db:shop=postgres:{long}", f"old-db:shop=postgres:{other}", final=True)
    assert [psql('SELECT count(*) FROM "a\'b"', name) for name in (long, other)] == ["1", "1"]
    assert set(test_backups_postgresql.databases()) == {"shop", "new", long, other}


def connected(hosts: Hosts, monkeypatch: pytest.MonkeyPatch) -> None:
    """`shop` is connected by an address of its own: the server here has none, so that one is said in its place."""
    script = engines.ENGINES["postgresql"]
    shop = {"id": "o2", "name": "shop", "labels": [], "address": "192.0.2.2", "running": True}
    hosts.write("old", [*hosts.containers("old"), shop])
    others = f'grep -q \'"shop".*"running": true\' {hosts.folder}/old.json && echo 192.0.2.2 || true'
    monkeypatch.setitem(engines.ENGINES, "postgresql", replace(script, others=others))


def test_who_is_connected_is_stopped_for_good_and_only_then(hosts: Hosts, monkeypatch: Any, capfd: Any) -> None:
    connected(hosts, monkeypatch)
    hosts.copy()
    assert hosts.running() == ["old-db", "shop"]
    hosts.copy(final=True)
    assert hosts.running() == ["old-db"]
    assert "stopped on old, and left so: shop" in capfd.readouterr().err
    hosts.copy(back=True)
    assert hosts.running() == ["old-db", "shop"]
    assert "serves again on old: database shop of old-db, shop" in capfd.readouterr().out
    # It is written to there again, and comes once more.
    psql("INSERT INTO odd.t VALUES (1), (2)", "shop")
    hosts.copy(final=True)
    assert psql("SELECT count(*) FROM odd.t", "new") == "2"


def test_a_copy_that_fails_has_the_old_host_go_on_and_the_new_database_stay(hosts: Hosts, monkeypatch: Any) -> None:
    connected(hosts, monkeypatch)
    hosts.copy()
    was = engines.ENGINES["postgresql"]
    monkeypatch.setitem(engines.ENGINES, "postgresql", replace(was, load="head -c 100 >/dev/null; exit 1"))
    with pytest.raises(CarryError, match="say it again"):
        hosts.copy(final=True)
    assert hosts.running() == ["old-db", "shop"]
    assert psql('SELECT count(*) FROM "a\'b"', "new") == "3"


def test_values_that_do_not_arrive_as_they_are_are_seen(hosts: Hosts, monkeypatch: Any) -> None:
    """As many rows, and another text, number, list or date in one of them."""
    psql("CREATE TYPE odd.mood AS ENUM ('ok', 'no'); CREATE DOMAIN odd.price AS numeric(9, 2);"
         "CREATE TABLE odd.v (id int, f float8, b bytea, at timestamptz, j jsonb, l text[], m odd.mood, p odd.price);"
         "INSERT INTO odd.v VALUES (1, 0.1, 'x', '2026-11-30 18:00+01', '{\"a\": 1.50}', '{a,NULL,\"\"}', 'ok', 1.50),"
         "(2, NULL, NULL, NULL, NULL, NULL, NULL, NULL)", "shop")  # fmt: skip
    was = engines.ENGINES["postgresql"]
    changed = loaded_and(was.load, "$2", "UPDATE odd.v SET f = 0.1000000001 WHERE id = 1")
    monkeypatch.setitem(engines.ENGINES, "postgresql", replace(was, load=changed))
    with pytest.raises(CarryError, match=r"odd\.v has other content"):
        hosts.copy(final=True)
    assert psql("SELECT p FROM odd.v WHERE id = 1", "shop") == "1.50", "it is not open again"
    server = Server(hosts.old, "o1", was)
    seen = {server.rows("shop", server.tables("shop"))["odd.v"]}
    changes = ("b = 'y'", "at = at + interval '1 ms'", "j = '{\"a\": 1.5}'", "l = '{a,\"\",NULL}'", "m = 'no'",
               "p = 1.51", "l = NULL")  # fmt: skip
    for change in changes:
        psql(f"UPDATE odd.v SET {change} WHERE id = 1", "shop")  # noqa: S608 - of those above
        seen.add(server.rows("shop", server.tables("shop"))["odd.v"])
    assert len(seen) == 1 + len(changes)
    assert {number for number, _ in seen} == {2}
    # Whatever a database's own settings say of how values are written.
    last = server.rows("shop", server.tables("shop"))
    psql("ALTER DATABASE shop SET timezone TO 'Asia/Tokyo'; ALTER DATABASE shop SET datestyle TO 'German'")
    psql("ALTER DATABASE shop SET search_path TO odd; ALTER DATABASE shop SET intervalstyle TO 'iso_8601'")
    assert server.rows("shop", server.tables("shop")) == last


def loaded_and(load: str, database: str, statement: str) -> str:
    """The script that loads, and then something happens in a database."""
    return load.replace("exec pg_restore", "pg_restore") + (
        f'&& psql -q -U postgres -d "{database}" -c {shlex.quote(statement)}'
    )


def test_rows_that_do_not_arrive_are_missed(hosts: Hosts, monkeypatch: Any) -> None:
    """There nothing has changed, and here is less."""
    was = engines.ENGINES["postgresql"]
    loses = loaded_and(was.load, "$2", 'DELETE FROM "a\'b" WHERE id = 1')
    monkeypatch.setitem(engines.ENGINES, "postgresql", replace(was, load=loses))
    with pytest.raises(CarryError, match="has 3 rows there and 2 here"):
        hosts.copy(final=True)
    assert psql("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'", "new") == "0"


@pytest.mark.parametrize("final", [True, False])
def test_a_table_that_does_not_arrive_is_missed(hosts: Hosts, monkeypatch: Any, final: bool) -> None:
    was = engines.ENGINES["postgresql"]
    loses = loaded_and(was.load, "$2", "DROP TABLE odd.t CASCADE")
    monkeypatch.setitem(engines.ENGINES, "postgresql", replace(was, load=loses))
    with pytest.raises(CarryError, match=r"odd\.t is on one side only"):
        hosts.copy(final=final)
    assert psql("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'", "new") == "0"


def test_nobody_is_connected_any_more_when_the_last_dump_begins(hosts: Hosts, monkeypatch: Any) -> None:
    connected(hosts, monkeypatch)
    was = engines.ENGINES["postgresql"]
    seen = f"cp {hosts.folder}/old.json {hosts.folder}/while.json\n{was.dump}"
    monkeypatch.setitem(engines.ENGINES, "postgresql", replace(was, dump=seen))
    hosts.copy(final=True)
    assert {one["name"]: one["running"] for one in hosts.containers("while")} == {"old-db": True, "shop": False}


def test_what_is_about_to_be_stopped_is_known_before_it_is(hosts: Hosts, monkeypatch: Any) -> None:
    """So that whatever ends this in between, --back starts it again."""
    connected(hosts, monkeypatch)
    docker = hosts.folder / "docker"
    program = docker.read_text()
    docker.write_text(
        f'#!/bin/sh\n[ $1 = stop ] || exec {hosts.folder}/docker.py "$@"\n'
        f'cp {records.FOLDER}/* {hosts.folder}/known && {hosts.folder}/docker.py "$@"; exit 9'
    )
    (hosts.folder / "docker.py").write_text(program)
    (hosts.folder / "docker.py").chmod(0o755)
    with pytest.raises(CarryError):
        hosts.copy(final=True)
    assert "o2" in (hosts.folder / "known").read_text()
    # What could not be stopped in full goes on in full.
    assert hosts.running() == ["old-db", "shop"]


def test_who_is_no_container_is_cut_off_and_told(hosts: Hosts, monkeypatch: Any, capfd: Any) -> None:
    connected(hosts, monkeypatch)
    was = engines.ENGINES["postgresql"]
    monkeypatch.setitem(engines.ENGINES, "postgresql", replace(was, others=f"{was.others}\necho 198.51.100.9"))
    hosts.copy(final=True)
    assert "cut off by that, and no container of old: 198.51.100.9" in capfd.readouterr().err


@pytest.mark.soak  # two databases, of which one fails: each by itself above and below
def test_of_several_what_has_come_for_good_comes_again_where_the_old_host_goes_on(
    hosts: Hosts, monkeypatch: Any
) -> None:
    """Known before who wrote there is started: it writes at once, and to start it may fail."""
    connected(hosts, monkeypatch)
    psql("CREATE DATABASE second OWNER shop TEMPLATE template0")
    was = engines.ENGINES["postgresql"]
    fails = f'[ "$1" = new ] || exit 9\n{was.load}'
    monkeypatch.setitem(engines.ENGINES, "postgresql", replace(was, load=fails))
    docker = hosts.folder / "docker"
    program = docker.read_text()
    docker.write_text(
        program.replace('elif verb == "exec":', 'elif verb == "start":\n    sys.exit(9)\nelif verb == "exec":')
    )
    with pytest.raises(CarryError):
        hosts.copy(SHOP, "old-db:shop=postgres:second", final=True)
    docker.write_text(program)
    monkeypatch.setitem(engines.ENGINES, "postgresql", was)
    hosts.write("old", [{**one, "running": True} for one in hosts.containers("old")])  # by somebody's hand
    psql("INSERT INTO odd.t VALUES (1)", "shop")
    hosts.copy(SHOP, "old-db:shop=postgres:second", final=True)
    assert [psql("SELECT count(*) FROM odd.t", name) for name in ("new", "second")] == ["1", "1"]


def test_a_copy_that_was_cut_off_while_it_took_its_place_goes_on(hosts: Hosts, monkeypatch: Any) -> None:
    hosts.copy()
    was = engines.ENGINES["postgresql"]
    cut = was.place.partition("done\n")[0] + "done\nexit 9"
    monkeypatch.setitem(engines.ENGINES, "postgresql", replace(was, place=cut))
    with pytest.raises(CarryError):
        hosts.copy(final=True)
    monkeypatch.setitem(engines.ENGINES, "postgresql", was)
    hosts.copy(final=True)
    assert psql('SELECT count(*) FROM "a\'b"', "new") == "3"


def test_a_database_that_could_not_take_its_place_leaves_the_other_one_open(hosts: Hosts, monkeypatch: Any) -> None:
    was = engines.ENGINES["postgresql"]
    monkeypatch.setitem(
        engines.ENGINES, "postgresql", replace(was, place=was.place.replace("RENAME TO", "RENAME INTO"))
    )
    with pytest.raises(CarryError):
        hosts.copy()
    assert psql("SELECT 1", "new") == "1"


def test_what_was_cut_off_half_way_is_its_own_and_begins_anew(hosts: Hosts, monkeypatch: Any) -> None:
    """As where no database has another name: what lies beside is written once more."""
    was = engines.ENGINES["postgresql"]
    half = "psql -q -U postgres -d new -c 'CREATE TABLE half AS SELECT 1 AS n'; exit 9"
    monkeypatch.setitem(engines.ENGINES, "postgresql", replace(was, place=half))
    with pytest.raises(CarryError):
        hosts.copy()
    monkeypatch.setitem(engines.ENGINES, "postgresql", was)
    hosts.copy()
    assert psql("SELECT to_regclass('half') IS NULL", "new") == "t"


def test_a_mysql_database_that_breaks_off_while_it_takes_its_place_is_told(tmp_path: Path) -> None:
    client = f'#!/bin/sh\necho "$*" >>{tmp_path}/said\ncase $* in *--execute*) ;; *) ! grep -q broke ;; esac\n'
    programs = {"mariadb": client, "mariadb-dump": "#!/bin/sh\necho MariaDB\n[ $1 = --version ]\n"}
    for name, text in programs.items():
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    done = subprocess.run(
        ["sh", "-c", engines.ENGINES["mysql"].place, "sh", "shop", "beside"],
        env={"PATH": f"{tmp_path}:{os.environ['PATH']}"}, check=False,
    )  # fmt: skip
    assert done.returncode != 0
    said = (tmp_path / "said").read_text()
    assert "DROP DATABASE `shop`" in said
    assert "DROP DATABASE `beside`" not in said


def test_a_service_of_a_compose_project_is_found_by_its_name(hosts: Hosts) -> None:
    hosts.copy("db:shop=postgres:new", project="shop")
    assert psql('SELECT count(*) FROM "a\'b"', "new") == "3"
    with pytest.raises(CarryError, match="there run: old-db"):
        hosts.copy("web:shop=postgres:new")
    with pytest.raises(CarryError, match="no application other runs on web1"):
        hosts.copy("old-db:shop=other:new")
    with pytest.raises(CarryError, match="there is no database none"):
        hosts.copy("old-db:shop=postgres:none")


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("db:shop", "write db:shop=postgres"),
        ("db:shop=", "name the application"),
        (":shop=db", "name of a container"),
        ("db:=db", "no name of a database"),
        ("db:sh'op=db", "no name of a database"),
    ],
)
def test_what_is_no_database_is_told(word: str, said: str) -> None:
    with pytest.raises(OperationError, match=said):
        words.split([word])


def test_words_of_databases_and_volumes_are_told_apart() -> None:
    found = words.split(["media", "/srv/x=x", "db:shop=postgres", "db:a=postgres:b"])
    assert found == (
        ["media", "/srv/x=x"],
        [Wanted("db", "shop", "postgres", "shop"), Wanted("db", "a", "postgres", "b")],
    )
    with pytest.raises(OperationError, match="would get several"):
        words.split(["db:a=postgres:c", "db:b=postgres:c"])
