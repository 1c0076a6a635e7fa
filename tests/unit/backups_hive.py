"""A server's backups with two volumes and a database server of two databases, and its verbs in a word each."""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.unit.backups_server import Server

from apiary_backups import config, engines, fill, items, journal, lock, run, tell  # isort: skip
from apiary_backups.journal import Book, Entry, Journal, Wish  # isort: skip
from apiary_backups.loading import Load  # isort: skip


class Engine(SimpleNamespace):
    """A database server whose databases are files of a folder."""

    def __init__(self, place: Path) -> None:
        super().__init__(place=place, calls=[])
        place.mkdir()

    def wait(self, container: str, seconds: float) -> None:
        assert container

    def databases(self, _: str) -> list[str]:
        return sorted(file.name for file in self.place.iterdir())

    def dump(self, _: str, database: str) -> list[str]:
        return ["sh", "-c", f"cat {self.place / database} && echo -- end"]

    def roles(self, container: str) -> list[str]:
        return ["echo", "roles of", *self.databases(container)]

    def listed(self, content: bytes) -> list[str]:
        return content.decode().split()[2:]

    def is_empty(self, _: str, database: str) -> bool:
        file = self.place / database
        return not file.exists() or not file.read_text()

    def prepare(self, _: str, database: str) -> None:
        (self.place / database).touch()

    def drop(self, _: str, database: str) -> None:
        self.calls.append(f"drop {database}")
        (self.place / database).unlink(missing_ok=True)

    def load(self, _: str, database: str) -> Load:
        self.calls.append(f"load {database}")
        return Load(["sh", "-c", f"cat > {self.place / database}"], mark=b"-- end")

    def load_roles(self, _: str, content: bytes, *, logins: bool) -> None:
        assert content.startswith(b"roles of")
        self.calls.append(f"roles {'and' if logins else 'without'} logins")


def make(server: Server, monkeypatch: pytest.MonkeyPatch) -> Server:
    """Its server with two volumes and a database server with two databases."""
    monkeypatch.setattr(lock, "PATH", server.place / "lock")
    monkeypatch.setattr(items, "METRICS", server.place / "metrics")
    monkeypatch.setattr(items.write_metrics, "__defaults__", (server.records, server.place / "metrics"))
    for function in (items.last_path, items.last, items.all_last, items.write, items.drop_others):
        monkeypatch.setattr(function, "__defaults__", (server.records,))
    server.engine = Engine(server.place / "engine")  # type: ignore[attr-defined]
    monkeypatch.setitem(engines.BY_NAME, "postgresql", server.engine)  # type: ignore[attr-defined]
    for name in ("shop", "blog"):
        (server.place / "engine" / name).write_text(f"rows of {name}\n" * 100)
    server.volume("uploads", a="a picture")
    server.volume("letters", b="a letter")
    server.container("postgres", "pgdata")
    server.container("shop", "uploads")
    server.told |= {
        "volumes": {"uploads": {}, "letters": {}},
        "databases": {"postgres": {"engine": "postgresql"}},
        "order": ["postgres", "shop"],
    }
    return server


ALL = ["database:postgres:blog", "database:postgres:shop", "roles:postgres", "volume:letters", "volume:uploads"]


def backup(server: Server, *only: str, final: bool = False, anew: bool = False) -> int:
    return run.main(server.config, argparse.Namespace(only=list(only) or None, final=final, anew=anew))


def filled(server: Server, databases: str | None = None, *, new: bool = False) -> int:
    return fill.main(server.config, argparse.Namespace(volumes=databases is None, databases=databases, new=new))


def told(server: Server, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The stack tells its server what it is told now; how its timers were told."""
    calls: list[str] = []
    monkeypatch.setattr(tell, "_systemctl", lambda *words: calls.append(" ".join(words)))
    monkeypatch.setattr(tell, "TIMER", server.place / "timer")
    monkeypatch.setattr(config, "PATH", server.place / "etc/backups.json")
    monkeypatch.setattr(config.read, "__defaults__", (server.place / "etc/backups.json",))
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(read=lambda: json.dumps(server.told)))
    assert tell.Told.main(argparse.Namespace()) == 0
    return calls


def new_disk(server: Server) -> None:
    """All that was on the server's disk is gone, and nothing was started yet."""
    server.state["containers"] = []
    server.keep()
    shutil.rmtree(server.records, ignore_errors=True)
    shutil.rmtree(server.place / "etc", ignore_errors=True)
    for place in map(Path, server.state["volumes"].values()):
        shutil.rmtree(place)
        place.mkdir()
    for database in (server.place / "engine").iterdir():
        database.unlink()


def statuses() -> dict[str, str]:
    return {one.item: one.status for one in items.all_last()}


def engine(server: Server) -> Any:
    return server.engine  # type: ignore[attr-defined]


def interrupted(hive: Server, phase: journal.Phase, *names: str) -> Path:
    """Its journal; where that is."""
    entries = tuple(Entry(name, "s1", "2026-11-20T02:17:00+00:00") for name in names)
    book = Book(hive.records)
    book.write(Journal(Wish(("shop",), at="2026-11-20 14:30"), phase, entries))
    return book.path


LINE = "make restore WHAT=web1:shop AT='2026-11-20 14:30'"
