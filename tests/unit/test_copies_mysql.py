"""How a MySQL or MariaDB database is closed on an old host, by a client that only knows some answers.

With MariaDB 10.11 itself all of it was tried by hand; the lab has MariaDB (tests/lab/test_copies.py).
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from operations.copying.engines import ENGINES, aside

MYSQL = ENGINES["mysql"]
Ran = Callable[..., tuple[int, str, str]]
# Answers by the statement, which is its last word; a row a line. Who is connected goes when it is said.
CLIENT = """\
#!/bin/sh
said="${*##*--execute=}"
case $said in
  *"FROM mysql.user LIMIT 1"*) exit 1 ;;
  *"CURRENT_USER()"*) echo "$OWN" ;;
  *"VERSION()"*) echo "$VERSION" ;;
  *"table_name = 'role_edges'"*) ;;
  *"table_name = 'roles_mapping'"*) echo 1 ;;
  *"SELECT grantee"*) echo "$said" | tr '\\n' ' ' >>"$SAID"
    printf "%s\\n" "'root'@'localhost'" "'root'@'%'" "'shop'@'%'" "'old'@'%'" "'reader'@''" ;;
  *"SHOW CREATE USER 'old'"*) echo "CREATE USER old ACCOUNT LOCK" ;;
  *"SHOW CREATE USER"*) echo "CREATE USER x ACCOUNT UNLOCK" ;;
  *"SELECT id FROM information_schema.processlist"*) cat "$HERE" 2>/dev/null ;;
  KILL*) echo "$said" >>"$SAID"; [ -n "$STAYS" ] || rm -f "$HERE" ;;
  *) echo "$said" >>"$SAID" ;;
esac
"""


@pytest.fixture
def run(tmp_path: Path) -> Ran:
    """Runs a script of a database `shop` where the client is: status, output, what was said to the server."""
    for name in ("mariadb", "mariadb-dump", "sleep"):
        (tmp_path / name).write_text(CLIENT if name == "mariadb" else "#!/bin/sh\n")
        (tmp_path / name).chmod(0o755)

    def ran(script: str, *more: str, **environment: str) -> tuple[int, str, str]:
        (tmp_path / "said").write_text("")
        known = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "SAID": f"{tmp_path}/said", "HERE": f"{tmp_path}/here",
                 "OWN": "root@localhost", "VERSION": "10.11.6-MariaDB"}  # fmt: skip
        done = subprocess.run(
            ["sh", "-c", script, "sh", "shop", *more], env={**known, **environment}, capture_output=True, text=True,
            check=False,
        )  # fmt: skip
        return done.returncode, done.stdout + done.stderr, (tmp_path / "said").read_text()

    return ran


def test_every_account_that_may_do_anything_there_is_closed_but_the_administrator_s_own(run: Ran) -> None:
    status, told, said = run(MYSQL.accounts)
    assert (status, told.splitlines()) == (0, ["'root'@'%'", "'shop'@'%'"])
    assert "mysql.roles_mapping" in said
    assert "role_edges" not in said


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"VERSION": "10.3.39-MariaDB"}, "has no way to close a database to whoever comes; name an image of 10.4.2"),
        ({"VERSION": "5.6.51"}, "name an image of 5.7.6 or above there"),
        ({"OWN": "root@%"}, "the administrator there is root@%, as whom others come too; make 'root'@'localhost'"),
    ],
)
def test_what_can_not_be_closed_is_told_beforehand(run: Ran, change: dict[str, str], words: str) -> None:
    status, told, said = run(MYSQL.accounts, **change)
    assert status == 1
    assert words in told
    assert said == ""


def test_who_is_logged_in_is_cut_off_and_who_stays_is_told(run: Ran, tmp_path: Path) -> None:
    (tmp_path / "here").write_text("7\n")
    accounts = ("'root'@'%'", "'shop'@'%'")
    status, told, said = run(MYSQL.close, *aside("shop"), *accounts)
    assert status == 0, told
    assert said.splitlines() == [*(f"ALTER USER {one} ACCOUNT LOCK" for one in accounts), "KILL 7"]
    (tmp_path / "here").write_text("8\n")
    status, told, _ = run(MYSQL.close, *aside("shop"), *accounts, STAYS="1")
    assert status == 1
    assert "is connected still" in told
    _, _, said = run(MYSQL.open, *aside("shop"), *accounts)
    assert said.splitlines() == [f"ALTER USER {one} ACCOUNT UNLOCK" for one in accounts]
