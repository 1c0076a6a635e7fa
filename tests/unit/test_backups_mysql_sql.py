"""What a MySQL or MariaDB server is asked, by a client that only knows some answers.

With the servers themselves (MySQL 9.7, MariaDB 11.8) all of it was tried by hand; the lab has MariaDB.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from operations.copying.engines import ENGINES
from tests.unit.backups_server import Server

from apiary_backups import docker, engine_mysql  # isort: skip - the module above puts it on the path

__all__ = ["Server"]

# Answers by the statement, which is its last word; a row a line.
CLIENT = """\
#!/bin/sh
case $1 in --version) echo "$CLIENT_VERSION"; exit ;; esac
case $* in
  *"FROM mysql.user LIMIT 1"*) ;;
  *"is_role = 'Y'"*) echo '`reader`' ;;
  *"WHERE false"*) ;;
  *"CONCAT(QUOTE(user)"*) printf "'a'@'%%'\\n'zz'@'%%'\\n" ;;
  *"SHOW CREATE USER 'a'"*) echo "CREATE USER \\`a\\`@\\`%\\` IDENTIFIED BY 'x' $DEFAULT" ;;
  *"SHOW CREATE USER 'zz'"*) echo "CREATE USER \\`zz\\`@\\`%\\` IDENTIFIED BY 'x'" ;;
  *"SHOW GRANTS FOR 'zz'"*) [ -z "$BROKEN" ] || exit 1; echo "GRANT ALL ON *.* TO zz" ;;
  *"SHOW GRANTS FOR"*) echo "GRANT zz TO ${*##*FOR }" ;;
  *"@@GLOBAL.max_allowed_packet"*) echo 16777216 ;;
  *"@@GLOBAL.automatic_sp_privileges"*) echo 1 ;;
  *"@@GLOBAL.skip_networking"*) echo "$*" >>"$SAID"; case $* in *"OR 2 >= 2"*) echo 1 ;; *) echo "$STAYS" ;; esac ;;
  *"SET GLOBAL"*) echo "${*##*--execute=}" >>"$SAID" ;;
  *"--binary-mode"*) cat >>"$SAID"; exit "${LOADED:-0}" ;;
  *) echo "-- something" ;;
esac
"""


@pytest.fixture
def run(tmp_path: Path):
    """Runs a script where the client is, of a MariaDB or a MySQL."""
    (tmp_path / "bin").mkdir()
    for name in ("mariadb", "mariadb-dump"):
        (tmp_path / "bin" / name).write_text(CLIENT)
        (tmp_path / "bin" / name).chmod(0o755)

    def ran(script: str, version: str, said: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
        known = {"PATH": f"{tmp_path}/bin:{os.environ['PATH']}", "SAID": f"{tmp_path}/said", "CLIENT_VERSION": version}
        return subprocess.run(
            ["sh", "-c", script, "apiary", "shop"], env={**known, **environment}, input=said, check=False,
            capture_output=True, text=True,
        )  # fmt: skip

    return ran


def test_who_is_named_by_a_grant_is_made_before_it(run) -> None:
    lines = run(engine_mysql.ROLES, "mysql  Ver 9.7.4", DEFAULT="DEFAULT ROLE `zz`@`%`").stdout.splitlines()
    first = next(number for number, line in enumerate(lines) if line.startswith("GRANT"))
    made = [line.split()[5] for line in lines[: first - 1]]
    assert made == ["`zz`@`%`", "`a`@`%`"], "the one whose default role is zz has to come after it"
    # What it is stands before what it may: so missing.py reads it.
    assert [line.split()[0] for line in lines[2:6]] == ["CREATE", "GRANT", "CREATE", "GRANT"]
    lines = run(engine_mysql.ROLES, "mariadb from 11.8.9-MariaDB").stdout.splitlines()
    assert lines[0] == "CREATE ROLE IF NOT EXISTS `reader`;"
    assert lines[3:5] == [lines[0], "GRANT zz TO `reader`;"]


@pytest.mark.parametrize("version", ["mysql  Ver 9.7.4", "mariadb from 11.8.9-MariaDB"])
def test_roles_that_are_not_all_told_are_no_backup(run, version: str) -> None:
    done = run(engine_mysql.ROLES, version, BROKEN="1")
    assert done.returncode != 0
    assert engine_mysql.ROLES_MARK.decode() not in done.stdout


@pytest.mark.parametrize("status", ["0", "3"])
@pytest.mark.parametrize(
    ("script", "head", "rights"),
    [(engine_mysql.LOAD, "", ", GLOBAL automatic_sp_privileges = {}"), (ENGINES["mysql"].load, "\n", "")],
)
def test_a_server_takes_what_it_once_had_and_is_then_as_strict_as_before(
    run, tmp_path: Path, script: str, head: str, rights: str, *, status: str
) -> None:
    """In a dump bytes have twice their length; and the client takes nothing in it for a word to itself. Nobody's rights
    to a routine go with the one of before.
    """
    done = run(script, "mysql  Ver 9.7.4", f"{head}INSERT\n", LOADED=status)
    assert done.returncode == int(status)
    raised, lowered = (
        f"SET GLOBAL max_allowed_packet = {limit}{rights.format(own)}" for limit, own in ((1 << 30, 0), (1 << 24, 1))
    )
    assert (tmp_path / "said").read_text().splitlines() == [raised, "INSERT", lowered]


def test_accounts_are_told_and_taken_with_the_same_quotes_whatever_the_server_is_told(run, tmp_path: Path) -> None:
    """With ANSI_QUOTES and NO_BACKSLASH_ESCAPES a comment on an account ended the fill of a new disk (1064)."""
    asked = tmp_path / "bin" / "mariadb"
    asked.write_text(CLIENT.replace("case $* in", 'echo "$*" >>"$ASKED"\ncase $* in', 1))
    for script in (engine_mysql.ROLES, engine_mysql.LOAD):
        run(script, "mysql  Ver 9.7.4", ASKED=str(tmp_path / "asked"))
    lines = [line for line in (tmp_path / "asked").read_text().splitlines() if "FROM mysql.user LIMIT 1" not in line]
    assert len([line for line in lines if "--user" in line]) > 10
    assert [line for line in lines if "--user" in line and "SET SESSION sql_mode = ''" not in line] == []


def test_a_database_is_emptied_though_one_thing_goes_with_another() -> None:
    """A package of MariaDB takes its body along: half-way through a restore that was an error (1305), and on its way
    back too.
    """
    assert engine_mysql.CONTENTS.count("CONCAT('DROP ") == 3
    assert engine_mysql.CONTENTS.count(" IF EXISTS `") == 3


def test_a_copy_that_lies_beside_a_database_is_not_saved(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(docker, "execute", lambda *_: '"shop"\n"apiary_copy_0123456789ab"\n')
    assert engine_mysql.databases("id") == ["shop"]


def test_names_that_differ_by_case_or_accents_are_two(monkeypatch: pytest.MonkeyPatch) -> None:
    """The order of words that a server has of itself holds them for one."""
    asked: list[str] = []
    monkeypatch.setattr(docker, "execute", lambda *words: asked.append(words[-1]) or "0")
    engine_mysql.is_there("id", "shop")
    engine_mysql.is_empty("id", "shop")
    assert all(statement.endswith("COLLATE utf8mb4_bin") for statement in asked)
    assert len(asked) == 2


def test_databases_have_their_character_set_before_anything_is_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    """And what accounts may comes after it, since that names tables."""
    databases = "CREATE DATABASE IF NOT EXISTS `shop` CHARACTER SET latin1 COLLATE latin1_german2_ci;\n"
    dump = f"CREATE USER IF NOT EXISTS `a`@`%`;\nGRANT SELECT ON `shop`.`orders` TO `a`@`%`;\n{databases}"
    dump += f"{engine_mysql.HEAD}{{}}\n{engine_mysql.ROLES_MARK.decode()}\n"
    loaded = loads(monkeypatch, '["", "shop", "orders"]')
    engine_mysql.load_roles("id", dump.encode(), logins=False)
    engine_mysql.load_roles("id", dump.encode())
    assert loaded == [databases, dump]


def loads(monkeypatch: pytest.MonkeyPatch, *tables: str) -> list[str]:
    """What a server with these tables is given."""
    given: list[str] = []

    def execute(*_: str, stdin: bytes | None = None) -> str:
        if stdin is None:
            return "\n".join(tables) + "\n"
        given.append(stdin.decode())
        return ""

    monkeypatch.setattr(docker, "execute", execute)
    return given


@pytest.mark.parametrize(
    ("grant", "is_given"),
    [
        ("SELECT ON `shop`.`orders`", True),
        ("SELECT ON `sh``op`.`a ON ``b`", True),
        ("SELECT ON `shop`.*", True),
        ("SELECT ON `shop`.`dropped`", False),
        ("SELECT (`id`, `name`), UPDATE (`id`) ON `shop`.`dropped`", False),
        ("SELECT, CREATE ON `shop`.`dropped`", True),
        ("ALL PRIVILEGES ON `shop`.`dropped`", True),
        ("CREATE VIEW ON `shop`.`dropped`", False),
        ("EXECUTE ON PROCEDURE `shop`.`dropped`", False),
        ("EXECUTE ON FUNCTION `shop`.`all``of`", False),  # a procedure is none
        ("EXECUTE, ALTER ROUTINE ON PROCEDURE `shop`.`All``of`", True),
        ("EXECUTE ON PACKAGE BODY `shop`.`box`", True),
        ("EXECUTE ON PACKAGE `shop`.`box`", False),
    ],
)
def test_a_right_to_what_was_dropped_since_keeps_nobody_out(
    monkeypatch: pytest.MonkeyPatch, grant: str, is_given: bool
) -> None:
    """The server keeps it, tells it in SHOW GRANTS, and refuses it (1146, of a routine whose database was dropped
    1305): no account after it would come back.
    """
    there = (
        '["", "shop", "orders"]',
        '["", "sh`op", "a ON `b"]',
        '["PROCEDURE", "shop", "all`of"]',
        '["PACKAGE BODY", "shop", "box"]',
    )
    line = f"GRANT {grant} TO `a`@`%`;\n"
    loaded = loads(monkeypatch, *there)
    engine_mysql.load_roles("id", f"{line}{engine_mysql.ROLES_MARK.decode()}\n".encode())
    assert (line in loaded[0], engine_mysql.ROLES_MARK.decode() in loaded[0]) == (is_given, True)


@pytest.mark.parametrize(("stays", "looks"), [("1", 1), ("0", 3)])
def test_a_server_that_only_makes_its_files_is_waited_for(
    run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stays: str, looks: int
) -> None:
    """Where the real one has no network either, half of the time is enough."""
    asked: list[str] = []

    def execute(_: str, *command: str, seconds: float) -> str:
        assert seconds > 4
        asked.extend(command)
        return ""

    monkeypatch.setattr(docker, "execute", execute)
    engine_mysql.wait("id", 4)
    _, _, script, *words = asked
    assert words == ["apiary", "4", "2"]
    assert run(f"set -- 4 2; {script}", "mysql  Ver 9.7.4", STAYS=stays).returncode == 0
    assert len((tmp_path / "said").read_text().splitlines()) == looks
