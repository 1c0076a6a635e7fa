"""A database that is restored: a PostgreSQL one lies beside that which is there, and they change places by two renames
of its server. The others can't be renamed: the present state is dumped to a file, the database made anew, and the file
loaded again where that fails. Roles that are there stay as they are.
"""

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import ModuleType

from apiary_backups import docker, engine_mysql, engine_postgresql
from apiary_backups.config import Config, put
from apiary_backups.engines import BY_NAME
from apiary_backups.errors import BackupsError
from apiary_backups.files import folder, private, settled
from apiary_backups.items import Item
from apiary_backups.journal import Entry
from apiary_backups.loading import Load, Receiver
from apiary_backups.restic import Restic, Snapshot

# A dump has neither indexes nor the engine's own log.
DATABASE_FACTOR = 3


@dataclass(frozen=True)
class _DatabaseSwap:
    """What does not depend on the engine."""

    told: Config
    restic: Restic

    def check(self, snapshot: Snapshot, to: str) -> tuple[Path, int]:
        """Where how many bytes will lie beside what is there. Raises BackupsError where that can't be."""
        item = snapshot.item
        container = docker.running(self.told.stack, item.name)
        if to and BY_NAME[self.told.databases[item.name].engine].is_there(container.id, to):
            raise BackupsError(f"{item.name} has a database {to} already; name another one, or drop that one first")
        place = next((docker.volume_path(one) for one in self.told.databases[item.name].volumes), None)
        return place or docker.folder(), snapshot.bytes * DATABASE_FACTOR

    def remove_beside(self, entry: Entry, to: str) -> None:
        """Remove a database that was restored beside, as far as it came. Raises BackupsError."""
        item = Item.parse(entry.item)
        BY_NAME[self.told.databases[item.name].engine].drop(self._container(item), to)

    def _container(self, item: Item) -> str:
        return docker.running(self.told.stack, item.name).id

    def _missing(self, entry: Entry, *, is_database: bool = True) -> bytes:
        """Of the roles of that time those that the server has no more, and the database where it is gone; nothing
        where none were saved.
        """
        item = Item.parse(entry.item)
        container, saved = self._container(item), self._roles(item, datetime.fromisoformat(entry.time))
        if saved is None:
            return b""
        engine: ModuleType = BY_NAME[self.told.databases[item.name].engine]
        database = item.database if is_database else ""
        return bytes(engine.only_missing(container, self.restic.read(saved.id), database))

    def _roles(self, item: Item, at: datetime) -> Snapshot | None:
        """A run saves them before or after the databases: the nearest of those that there are."""
        found = self.restic.snapshots(Item.roles(item.name))
        until = [one for one in found if one.time <= at]
        if until:
            return max(until, key=lambda one: one.time)
        return min(found, key=lambda one: one.time, default=None)


class PostgresqlSwap(_DatabaseSwap):
    """The acts of a restore on a PostgreSQL database (restore.py)."""

    def put_beside(self, entry: Entry, to: str) -> None:
        """Restore into a database that is not there yet. Raises BackupsError."""
        item = Item.parse(entry.item)
        container = self._container(item)
        # Who owns what is in it has to be there; where the database itself is gone, it stays so.
        if missing := self._missing(entry, is_database=False):
            engine_postgresql.load_roles(container, missing)
        if engine_postgresql.is_there(container, item.database):
            engine_postgresql.create_alike(container, item.database, to)
        else:
            engine_postgresql.prepare(container, to)
        self.restic.load(entry.snapshot, engine_postgresql.load(container, to))

    def fetch(self, entry: Entry) -> None:
        """Put what was saved beside what is there."""
        item = Item.parse(entry.item)
        container, fresh = self._container(item), _fresh(item)
        if missing := self._missing(entry):
            engine_postgresql.load_roles(container, missing)
        engine_postgresql.prepare(container, item.database)
        engine_postgresql.create_alike(container, item.database, fresh)
        self.restic.load(entry.snapshot, engine_postgresql.load(container, fresh))

    def discard(self, entry: Entry) -> None:
        """Remove what lies beside."""
        item = Item.parse(entry.item)
        engine_postgresql.drop(self._container(item), _fresh(item))

    def swap(self, entry: Entry) -> None:
        """What was fetched takes the place of what is there, which is kept."""
        item = Item.parse(entry.item)
        container, fresh, kept = self._container(item), _fresh(item), _kept(item)
        if engine_postgresql.is_there(container, fresh):
            if not engine_postgresql.is_there(container, kept):
                engine_postgresql.rename(container, item.database, kept)
            elif engine_postgresql.is_there(container, item.database):
                self._out_of_the_way(container, item.database, "")
            engine_postgresql.rename(container, fresh, item.database)
        elif not engine_postgresql.is_there(container, kept):
            raise BackupsError(f"{item.name} has no database {fresh}, which was to become {item.database}")

    def swap_back(self, entry: Entry) -> None:
        """What is kept takes its place again."""
        item = Item.parse(entry.item)
        container, kept = self._container(item), _kept(item)
        if engine_postgresql.is_there(container, kept):
            if engine_postgresql.is_there(container, item.database):
                self._out_of_the_way(container, item.database, _fresh(item))
            engine_postgresql.rename(container, kept, item.database)

    def remove_kept(self, entry: Entry) -> None:
        """Remove what was there before."""
        item = Item.parse(entry.item)
        engine_postgresql.drop(self._container(item), _kept(item))

    def _out_of_the_way(self, container: str, database: str, fresh: str) -> None:
        """What stands where a database is to be: the restored one, or an empty one that somebody has made meanwhile."""
        if fresh and not engine_postgresql.is_there(container, fresh):
            engine_postgresql.rename(container, database, fresh)
        elif engine_postgresql.is_empty(container, database):
            engine_postgresql.drop(container, database)
        else:
            raise BackupsError(f"somebody has written into a new database {database}; rename it, and say this again")


class MysqlSwap(_DatabaseSwap):
    """The acts of a restore on a MariaDB or MySQL database (restore.py)."""

    def put_beside(self, entry: Entry, to: str) -> None:
        """Restore into a database that is not there yet. Raises BackupsError."""
        container = self._container(Item.parse(entry.item))
        engine_mysql.prepare(container, to)
        self.restic.load(entry.snapshot, engine_mysql.load(container, to))

    def fetch(self, entry: Entry) -> None:
        """Put what was saved beside what is there, as files: the accounts too, since what they may names its tables."""
        item = Item.parse(entry.item)
        container, fresh = self._container(item), _file(item, "fresh")
        if missing := self._missing(entry):
            engine_mysql.load_roles(container, missing, logins=False)
            put(_file(item, "roles"), missing.decode(), 0o600)
        engine_mysql.prepare(container, item.database)
        part = _part(fresh)
        private(part)
        self.restic.load(entry.snapshot, Load(["tee", str(part)], mark=engine_mysql.MARK))
        settled(part, fresh)

    def discard(self, entry: Entry) -> None:
        """Remove what lies beside."""
        self._remove(entry, "fresh", "roles")

    def swap(self, entry: Entry) -> None:
        """What was fetched takes the place of what is there, which is kept as a file."""
        item = Item.parse(entry.item)
        fresh, kept = _file(item, "fresh"), _file(item, "kept")
        if not fresh.exists():
            raise BackupsError(f"{fresh} is gone, which was to become database {item.database}")
        if not kept.exists():
            part = _part(kept)
            _dumped(engine_mysql.dump(self._container(item), item.database), part)
            settled(part, kept)
        self._load(item, fresh)
        if (roles := _file(item, "roles")).exists():
            engine_mysql.load_roles(self._container(item), roles.read_bytes())

    def swap_back(self, entry: Entry) -> None:
        """What is kept takes its place again."""
        item = Item.parse(entry.item)
        kept = _file(item, "kept")
        if kept.exists():
            self._load(item, kept)
            kept.unlink()

    def remove_kept(self, entry: Entry) -> None:
        """Remove what was there before, and what was loaded."""
        self._remove(entry, "fresh", "kept", "roles")

    @staticmethod
    def _remove(entry: Entry, *which: str) -> None:
        for file in (_file(Item.parse(entry.item), one) for one in which):
            file.unlink(missing_ok=True)
            _part(file).unlink(missing_ok=True)

    def _load(self, item: Item, dump: Path) -> None:
        """Make the database anew from a dump that is known to be whole."""
        container = self._container(item)
        engine_mysql.empty(container, item.database)
        # Handed on from here, so that a load ends with this process.
        with dump.open("rb") as file, Receiver(engine_mysql.load(container, item.database)) as receiver:
            while block := file.read(1 << 18):
                receiver.write(block)
            receiver.finish()


def _beside(item: Item, which: str) -> str:
    """A name for what lies beside a database; the engines allow 63 bytes."""
    return f"apiary_{which}_{hashlib.sha256(item.database.encode()).hexdigest()[:12]}"


def _fresh(item: Item) -> str:
    return _beside(item, "fresh")


def _kept(item: Item) -> str:
    return _beside(item, "kept")


def _file(item: Item, which: str) -> Path:
    return folder() / f"{item}.{which}.sql"


def _part(file: Path) -> Path:
    return file.with_suffix(".part")


def _dumped(command: Sequence[str], part: Path) -> None:
    private(part)
    with part.open("wb") as file:
        done = subprocess.run(command, stdout=file, stderr=subprocess.PIPE, check=False)
    said = done.stderr.decode(errors="replace").strip().splitlines()
    if done.returncode != 0:
        raise BackupsError(f"the present state could not be kept: {said[-1] if said else f'status {done.returncode}'}")
    with part.open("rb") as file:
        file.seek(max(0, part.stat().st_size - 4096))
        if engine_mysql.MARK not in file.read():
            raise BackupsError("the present state could not be kept: its dump breaks off before its end")
