"""A MariaDB database put back: emptied and loaded anew in its place, which no rename makes whole at once; killed at any
step the same line ends it, and the present state is loaded again where the other does not serve.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.unit.backups_server import Server
from tests.unit.test_backups_restore import Killed, Near, near

from apiary_backups import engine_mysql, restore, serving  # isort: skip - the module above puts it on the path
from apiary_backups.errors import BackupsError  # isort: skip
from apiary_backups.items import Item  # isort: skip
from apiary_backups.journal import Book, TakenBackError, Wish  # isort: skip
from apiary_backups.loading import Load, Receiver  # isort: skip
from apiary_backups.restic import Restic  # isort: skip

__all__ = ["near", "shop"]

SHOP = Wish(("mariadb/shop",))
SAVED, SINCE = "rows of then", "rows of now, and more"


class Database:
    """The one database of a server, a file; each change of it may be the last thing that happens."""

    def __init__(self, file: Path) -> None:
        self.file, self.near = file, None

    near: Near | None

    def step(self) -> None:
        if self.near:
            self.near.step()

    def dump(self, _: str, database: str) -> list[str]:
        self.step()
        assert database == "shop"
        return ["sh", "-c", f'cat {self.file}; printf "\\n-- Dump completed\\n"']

    def empty(self, _: str, database: str) -> None:
        self.step()
        self.file.write_text("")

    def load(self, _: str, database: str) -> Load:
        self.step()
        assert self.file.read_text() == "", "loaded into what is there"
        return Load(["sh", "-c", f"cat > {self.file}"], mark=engine_mysql.MARK)

    def rows(self) -> str:
        return self.file.read_text().partition("\n")[0]


@pytest.fixture
def shop(server: Server, monkeypatch: pytest.MonkeyPatch) -> Server:
    """A shop with a database, saved once, changed since."""
    monkeypatch.setattr(restore, "SPARE_BYTES", 1)
    monkeypatch.setattr(serving, "VERDICT_RECORD", server.place / "verdict.json")
    server.told |= {
        "databases": {"mariadb": {"engine": "mysql"}},
        "applications": {"shop": {"databases": [["mariadb", "shop"]]}},
        "order": ["mariadb", "shop"],
    }
    server.container("mariadb")
    server.container("shop")
    database = Database(server.place / "database")
    server.database = database  # type: ignore[attr-defined]
    for name in ("dump", "empty", "load"):
        monkeypatch.setattr(engine_mysql, name, getattr(database, name))
    for name in ("prepare", "load_roles", "only_missing"):
        monkeypatch.setattr(engine_mysql, name, lambda *_: b"")
    database.file.write_text(SAVED)
    server.restic.init()
    server.restic.save_output(Item.of_database("mariadb", "shop"), engine_mysql.dump("", "shop"))
    database.file.write_text(SINCE)
    return server


# As what is taken back is loaded, by the same steps.
@pytest.mark.parametrize("serves", [SAVED, pytest.param(SINCE, marks=pytest.mark.soak)])
def test_killed_at_any_step_the_same_line_ends_it(
    shop: Server, near: Near, monkeypatch: pytest.MonkeyPatch, serves: str
) -> None:
    """`near` is told of after the fixture above: what it counts is this restore."""
    database: Database = shop.database  # type: ignore[attr-defined]
    database.near = near
    dump = f"{SAVED}\n-- Dump completed\n".encode()

    def loaded(_: Restic, snapshot: str, into: Load) -> None:
        assert snapshot
        with Receiver(into) as receiver:
            receiver.write(dump)
            receiver.finish()

    def stepping(real: Any) -> Any:
        def step(*words: Any) -> Any:
            database.step()
            return real(*words)

        return step

    monkeypatch.setattr(Restic, "load", loaded)
    monkeypatch.setattr(Receiver, "write", stepping(Receiver.write))
    monkeypatch.setattr(Receiver, "finish", stepping(Receiver.finish))

    def proved(command: Sequence[str], *_: object) -> None:
        assert command
        if database.rows() != serves:
            raise BackupsError("answered 500")

    monkeypatch.setattr(serving, "proved", proved)
    ends: set[str] = set()

    def end() -> None:
        try:
            restore.restore(shop.config, SHOP, lambda _: None)
            ends.add("restored")
        except TakenBackError:
            ends.add("taken back")

    for count in range(1000):
        near.left = count
        try:
            end()
            break
        except Killed:
            near.left = None
            end()
        near.left = None
        assert database.rows() == serves, f"killed before step {count}"
        assert near.running()
        assert Book(shop.records).read() is None
        assert list((shop.records / "restoring").iterdir()) == []
        database.file.write_text(SINCE)
    assert count > 15
    assert ends == {"restored" if serves == SAVED else "taken back"}


def saved_roles(shop: Server, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Roles were saved too; what is loaded of them and when."""
    shop.restic.save_output(Item.roles("mariadb"), ["echo", "GRANT"])
    loaded: list[str] = []
    database: Database = shop.database  # type: ignore[attr-defined]

    def load(_: str, dump: bytes, *, logins: bool = True) -> None:
        assert dump == b"of it\n"
        loaded.append(f"{'all' if logins else 'databases'} at {database.rows()}")

    monkeypatch.setattr(engine_mysql, "load_roles", load)
    monkeypatch.setattr(engine_mysql, "only_missing", lambda *_: b"of it\n")
    monkeypatch.setattr(serving, "proved", lambda *_: None)
    return loaded


def test_accounts_come_back_when_the_tables_are_there_that_they_may_read(
    shop: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An account and the database have been dropped: what it might do to a table of it names one that is not there."""
    loaded = saved_roles(shop, monkeypatch)
    restore.restore(shop.config, SHOP, lambda _: None)
    assert loaded == [f"databases at {SINCE}", f"all at {SAVED}"]
    assert list((shop.records / "restoring").iterdir()) == []


def test_beside_it_nobody_gets_an_account_again(shop: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    loaded, database = saved_roles(shop, monkeypatch), shop.database  # type: ignore[attr-defined]
    monkeypatch.setattr(engine_mysql, "is_there", lambda *_: False)
    monkeypatch.setattr(engine_mysql, "drop", lambda *_: None)
    look = shop.place / "look"
    monkeypatch.setattr(engine_mysql, "load", lambda *_: Load(["sh", "-c", f"cat > {look}"], mark=engine_mysql.MARK))
    restore.restore(shop.config, Wish(SHOP.what, to="look"), lambda _: None)
    assert (loaded, database.rows(), look.read_text().partition("\n")[0]) == ([], SINCE, SAVED)
