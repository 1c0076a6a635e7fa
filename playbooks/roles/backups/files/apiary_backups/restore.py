"""What was saved, put back: in the place of what is there, or beside it under another name.

In place: all is fetched beside first, then what uses it is stopped in order, the two change places, all is started and
has to serve, through the proxy where it has sites; where it does not, what was there before comes back. A volume's
files change places by two renames on their own file system, a PostgreSQL database by two renames of its server; the
others cannot be renamed: the present state is dumped to a file, the database made anew, and the file loaded again where
that fails. Roles that are there stay as they are.

Interrupted at any moment, the same line goes on (journal.py). Nothing else may be restored until then.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo
from pathlib import Path
from types import ModuleType
from typing import Any

from apiary_backups import chosen, config, docker, engine_mysql, engine_postgresql, lock, quiet
from apiary_backups.config import Config
from apiary_backups.engines import BY_NAME
from apiary_backups.errors import BackupsError
from apiary_backups.items import Item
from apiary_backups.journal import Book, Entry, Journal, Wish, carry_out
from apiary_backups.report import say, size
from apiary_backups.restic import Load, Restic, Snapshot

AWAIT_SECONDS = 300
DATABASE_SECONDS = 120
PROOF_SECONDS = 120
# Beyond what the snapshot itself takes.
SPARE_BYTES = 256 << 20
# A dump has neither indexes nor the engine's own log.
DATABASE_FACTOR = 3
VERDICT_RECORD = Path("/var/lib/apiary/verdict.json")
LABEL = "apiary.restored"

Say = Callable[[str], None]


def arguments(parser: argparse.ArgumentParser) -> None:
    """What may be said with it."""
    parser.add_argument(
        "what",
        nargs="*",
        metavar="WHAT",
        help="volumes, databases as SERVER/NAME, applications with all they have; all of this server when left out",
    )
    parser.add_argument(
        "--at", default="", help="a day, a moment, or the beginning of a snapshot's id; else the newest"
    )
    parser.add_argument("--to", default="", help="another name: it is put beside what is there")
    parser.add_argument("--plan", action="store_true", help="only say what would be done")


def main(told: Config, options: argparse.Namespace) -> int:
    """Raises BackupsError where it is not done; then what was there before is there."""
    wish = Wish(tuple(options.what), options.at, options.to)
    if options.plan:
        for line in planned(told, wish):
            say(line)
        return 0
    with lock.held("restore"):
        quiet.resume()
        restore(told, wish)
    return 0


def planned(told: Config, wish: Wish, zone: tzinfo | None = None) -> list[str]:
    """What a line would do, in words. Raises BackupsError where it can't be done."""
    if (journal := Book().read()) and journal.wish == wish:
        return [f"the restore of {wish} was interrupted at {journal.phase}, and goes on"]
    acts = Restore(told, Restic(told))
    plan = _planned(told, acts.restic, wish, zone)
    acts.check(plan.entries, wish.to)
    if wish.to:
        return [*plan.told, f"it becomes {wish.to}; nothing else is touched"]
    users = acts.users(tuple(acts.entry(one) for one in plan.entries))
    still = ", ".join(user.partition(".")[2] for user in users)
    return [*plan.told, f"stands still meanwhile: {still or 'nothing'}", "what was written since is gone afterwards"]


def restore(told: Config, wish: Wish, say: Say = say, zone: tzinfo | None = None) -> None:
    """Carry out a line, or go on with it where it was interrupted. Raises BackupsError."""
    book = Book()
    journal = book.read()
    if journal and journal.wish != wish:
        raise BackupsError(
            f"a restore of {journal.wish} was interrupted, and comes first: say that line again, which finishes it or "
            "takes it back"
        )
    acts = Restore(told, Restic(told))
    if journal:
        say(f"going on with the restore of {wish}, interrupted at: {journal.phase}")
    else:
        plan = _planned(told, acts.restic, wish, zone)
        for line in plan.told:
            say(line)
        acts.check(plan.entries, wish.to)
        journal = book.write(Journal(wish, "fetch", tuple(acts.entry(one) for one in plan.entries)))
    if wish.to:
        _beside(journal, acts, book)
    else:
        carry_out(journal, acts, book, say)
    for entry in journal.entries:
        name = wish.to or chosen.shown(Item.parse(entry.item))
        say(f"{name}: as of {_moment(entry.time, zone)}, from snapshot {entry.snapshot[:8]}")


@dataclass(frozen=True)
class Plan:
    """What a line comes to."""

    entries: list[Snapshot]
    told: list[str]


def _planned(told: Config, restic: Restic, wish: Wish, zone: tzinfo | None) -> Plan:
    snapshots = restic.snapshots()
    wanted = chosen.items(told, {one.item for one in snapshots}, wish.what)
    if wish.to and len(wanted) != 1:
        those = ", ".join(map(chosen.shown, wanted)) or "none"
        raise BackupsError(f"TO={wish.to} is for one volume or one database, and this is {those}")
    plan = Plan([], [])
    without: list[Item] = []
    for item in wanted:
        found = chosen.snapshot([one for one in snapshots if one.item == item], wish.at, zone)
        if found is None:
            without.append(item)
            continue
        plan.entries.append(found)
        plan.told.append(
            f"{chosen.shown(item)}: snapshot {found.id[:8]} of {_moment(found.time.isoformat(), zone)}, "
            f"{size(found.bytes)}, made by {found.host}"
        )
    if not plan.entries:
        raise BackupsError(_none(snapshots, wanted, wish, zone))
    if without and wish.at and chosen.until(wish.at, zone) is None:
        names = ", ".join(chosen.shown(one.item) for one in plan.entries)
        raise BackupsError(f"snapshot {wish.at} is of {names} alone; write that as WHAT, or a moment as AT")
    plan.told.extend(f"{chosen.shown(item)}: nothing was saved by then; it stays as it is" for item in without)
    return plan


def _none(snapshots: Iterable[Snapshot], wanted: Sequence[Item], wish: Wish, zone: tzinfo | None) -> str:
    ours = [one for one in snapshots if one.item in wanted]
    if not ours:
        return "nothing was saved of it yet"
    if chosen.until(wish.at, zone) is None:
        return f"no snapshot of {', '.join(map(chosen.shown, wanted))} begins with {wish.at}; make backups lists them"
    oldest = min(ours, key=lambda one: one.time)
    return f"there is nothing as old as {wish.at}; the oldest snapshot is of {_moment(oldest.time.isoformat(), zone)}"


def _moment(time: str, zone: tzinfo | None) -> str:
    return datetime.fromisoformat(time).astimezone(zone).strftime("%Y-%m-%d %H:%M:%S %Z")


def _beside(journal: Journal, acts: Restore, book: Book) -> None:
    [entry] = journal.entries
    try:
        # What an interrupted attempt has made: nothing of that name was there before it.
        acts.remove_beside(entry, journal.wish.to)
        acts.put_beside(entry, journal.wish.to)
    except BackupsError:
        acts.remove_beside(entry, journal.wish.to)
        book.close()
        raise
    book.close()


@dataclass(frozen=True)
class Restore:
    """The acts of a restore on this server (journal.Acts)."""

    told: Config
    restic: Restic

    # --- before anything is touched

    def entry(self, snapshot: Snapshot) -> Entry:
        """What the journal keeps of a snapshot that is to be put back."""
        path = ""
        if snapshot.item.kind == "volume" and snapshot.item.name in docker.volume_names():
            path = str(docker.volume_path(snapshot.item.name))
        return Entry(str(snapshot.item), snapshot.id, snapshot.time.isoformat(), path)

    def check(self, snapshots: Sequence[Snapshot], to: str) -> None:
        """All that can be known beforehand. Raises BackupsError."""
        self._check_servers({one.item for one in snapshots}, to)
        needed: dict[Path, int] = {}
        for one in snapshots:
            place, count = self._check_volume(one, to) if one.item.kind == "volume" else self._check_database(one, to)
            needed[place] = needed.get(place, 0) + count
        # By file system, since two places may share one.
        by_device: dict[int, tuple[Path, int]] = {}
        for place, count in needed.items():
            device = place.stat().st_dev
            by_device[device] = (place, by_device.get(device, (place, 0))[1] + count)
        for place, count in by_device.values():
            free = shutil.disk_usage(place).free
            if free < count + SPARE_BYTES:
                raise BackupsError(
                    f"{place} has {size(free)} free, and this takes {size(count + SPARE_BYTES)} beside what is there;"
                    " make room, or restore less at a time"
                )

    def _check_servers(self, wanted: set[Item], to: str) -> None:
        """A server that loads a database can't stand still for one of its volumes."""
        loading = {item.name for item in wanted if item.kind == "database"}
        for one in docker.containers(self.told.stack) if loading and not to else ():
            held = [volume for volume in (*one.volumes, *one.read) if Item.volume(volume) in wanted]
            if one.kind == "applications" and one.name in loading and held:
                raise BackupsError(
                    f"{one.name} stands still while its volume {held[0]} is restored, and can load no database then; "
                    f"restore one after the other, first WHAT=...:volume:{held[0]}"
                )

    def _check_volume(self, snapshot: Snapshot, to: str) -> tuple[Path, int]:
        name, present = snapshot.item.name, docker.volume_names()
        if to:
            if to in present:
                raise BackupsError(
                    f"there is a volume {to} already; name another one, or leave TO= out to replace {name}"
                )
            return self._docker_folder(), snapshot.bytes
        if name not in present:
            raise BackupsError(
                f"there is no volume {name} on this server; pulumi up makes it, or TO=NAME restores into a new one"
            )
        path = docker.volume_path(name)
        if path.stat().st_dev != path.parent.stat().st_dev:
            raise BackupsError(
                f"the files of volume {name} are a file system of their own ({path}), which can't be renamed; restore "
                "into another volume with TO=, and copy"
            )
        strangers = self._strangers(name)
        if strangers:
            raise BackupsError(f"{', '.join(strangers)}, no part of this stack, use volume {name}; stop them first")
        return path.parent, snapshot.bytes

    def _strangers(self, volume: str) -> list[str]:
        using = docker.call("ps", "--quiet", "--no-trunc", "--filter", f"volume={volume}").split()
        ours = {one.id for one in docker.containers(self.told.stack)}
        return [one[:12] for one in using if one not in ours]

    def _docker_folder(self) -> Path:
        return Path(docker.call("info", "--format", "{{.DockerRootDir}}").strip())

    def _check_database(self, snapshot: Snapshot, to: str) -> tuple[Path, int]:
        item = snapshot.item
        if item.name not in self.told.databases:
            known = ", ".join(self.told.databases) or "none"
            raise BackupsError(f"{item.name} is no database server of this stack file any more; there are: {known}")
        container = docker.running(self.told.stack, item.name)
        if to and self._engine(item).is_there(container.id, to):
            raise BackupsError(f"{item.name} has a database {to} already; name another one, or drop that one first")
        place = next((docker.volume_path(one) for one in self.told.databases[item.name].volumes), None)
        return place or self._docker_folder(), snapshot.bytes * DATABASE_FACTOR

    # --- beside, under another name

    def put_beside(self, entry: Entry, to: str) -> None:
        """Restore into a volume or a database that is not there yet. Raises BackupsError."""
        item = Item.parse(entry.item)
        if item.kind == "volume":
            docker.call("volume", "create", "--label", f"{LABEL}={entry.snapshot}", to)
            path = docker.volume_path(to)
            self._fetch_folder(entry.snapshot, path)
            os.replace(_fresh(path, entry.snapshot), path)
            return
        container = docker.running(self.told.stack, item.name).id
        self._make_roles(item, container, entry.time)
        if self._is_postgresql(item) and engine_postgresql.is_there(container, item.database):
            engine_postgresql.create_alike(container, item.database, to)
        else:
            self._engine(item).prepare(container, to)
        self.restic.load(entry.snapshot, self._engine(item).load(container, to))

    def remove_beside(self, entry: Entry, to: str) -> None:
        """Remove such a volume or database, as far as it came. Raises BackupsError."""
        item = Item.parse(entry.item)
        if item.kind == "database":
            self._engine(item).drop(docker.running(self.told.stack, item.name).id, to)
        elif to in docker.volume_names():
            docker.call("volume", "rm", to)

    # --- in place

    def fetch(self, entry: Entry) -> None:
        """Put what was saved beside what is there."""
        item = Item.parse(entry.item)
        self.discard(entry)
        if item.kind == "volume":
            self._fetch_folder(entry.snapshot, Path(entry.path))
            return
        container = docker.running(self.told.stack, item.name).id
        self._make_roles(item, container, entry.time)
        self._engine(item).prepare(container, item.database)
        if self._is_postgresql(item):
            fresh = _beside_name(item.database, "fresh")
            engine_postgresql.create_alike(container, item.database, fresh)
            self.restic.load(entry.snapshot, engine_postgresql.load(container, fresh))
        else:
            fresh_dump = self._dump_file(item, "fresh")
            part = fresh_dump.with_suffix(".part")
            _private(part)
            into = Load(["tee", str(part)], mark=engine_mysql.MARK)
            self.restic.load(entry.snapshot, into)
            _settled(part, fresh_dump)

    def _fetch_folder(self, snapshot: str, path: Path) -> None:
        part = path.with_name(f".{path.name}.apiary-part")
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(mode=0o700)
        found = self.restic.restore(snapshot, part)
        os.sync()
        os.replace(found, _fresh(path, snapshot))
        part.rmdir()

    def discard(self, entry: Entry) -> None:
        """Remove what lies beside."""
        item = Item.parse(entry.item)
        if item.kind == "volume":
            path = Path(entry.path)
            for beside in (path.with_name(f".{path.name}.apiary-part"), _fresh(path, entry.snapshot)):
                _removed(beside)
        elif self._is_postgresql(item):
            engine_postgresql.drop(docker.running(self.told.stack, item.name).id, _beside_name(item.database, "fresh"))
        else:
            fresh = self._dump_file(item, "fresh")
            for file in (fresh, fresh.with_suffix(".part")):
                file.unlink(missing_ok=True)

    def _make_roles(self, item: Item, container: str, time: str) -> None:
        """Make again the roles that the server had at that time and has no more, and the database where it is gone."""
        then = [one for one in self.restic.snapshots(Item.roles(item.name)) if one.time <= datetime.fromisoformat(time)]
        # A run saves them before or after the databases: the nearest of those that there are.
        saved = then[-1] if then else next(iter(self.restic.snapshots(Item.roles(item.name))), None)
        if saved is None:
            return
        engine = self._engine(item)
        engine.load_roles(container, engine.only_missing(container, self.restic.read(saved.id), item.database))

    def users(self, entries: tuple[Entry, ...]) -> tuple[str, ...]:
        """Who uses what is to be swapped, in the order of starting: those that run, and each application."""
        found = [Item.parse(entry.item) for entry in entries]
        volumes = {item.name for item in found if item.kind == "volume"}
        databases = {(item.name, item.database) for item in found if item.kind == "database"}
        clients = {name for name, one in self.told.applications.items() if databases & set(one.databases)}
        using = [
            one
            for one in docker.containers(self.told.stack)
            if (volumes & {*one.volumes, *one.read} or (one.kind == "applications" and one.name in clients))
            and (one.running or one.kind == "applications")
        ]
        return tuple(dict.fromkeys(f"{one.kind}.{one.name}" for one in docker.ordered(using, self.told.order)))

    def stop(self, users: tuple[str, ...]) -> None:
        """Stop every container of these, also what an interrupted release has left beside the newest."""
        docker.stop(
            [one for one in docker.containers(self.told.stack) if f"{one.kind}.{one.name}" in users],
            self.told.order,
        )

    def start(self, users: tuple[str, ...]) -> None:
        """Start the newest container of each."""
        docker.start(self._newest(users), self.told.order)

    def _newest(self, users: tuple[str, ...]) -> list[docker.Container]:
        found = {f"{one.kind}.{one.name}": one for one in docker.containers(self.told.stack)}
        return docker.ordered([found[user] for user in users if user in found], self.told.order)

    def prove(self, users: tuple[str, ...]) -> None:
        """Each application is healthy by its own rule, and each of its domains answers through the proxy."""
        record = _verdict_record()
        touched = {}
        for one in self._newest(users):
            if one.kind != "applications":
                continue
            asked = question(one.name)
            if asked:
                touched[one.name] = {**record["applications"][one.name], "container": one.id}
            proved(["apiary-await", one.id, "--timeout", str(AWAIT_SECONDS), *asked])
        if touched:
            # With no record of an earlier one: none of these is excused for having failed before.
            told = {"proxy": record.get("proxy", []), "applications": touched}
            environment = {**os.environ, "APIARY_RECORD": str(_folder() / "verdict.json")}
            Path(environment["APIARY_RECORD"]).unlink(missing_ok=True)
            proved(["apiary-verdict"], json.dumps(told), environment)

    def swap(self, entry: Entry) -> None:
        """What was fetched takes the place of what is there, which is kept."""
        item = Item.parse(entry.item)
        if item.kind == "volume":
            self._swap_folder(entry)
        elif self._is_postgresql(item):
            self._swap_postgresql(item)
        else:
            self._swap_mysql(item)

    def swap_back(self, entry: Entry) -> None:
        """What is kept takes its place again."""
        item = Item.parse(entry.item)
        if item.kind == "volume":
            path, kept = Path(entry.path), _kept(Path(entry.path))
            if kept.exists():
                fresh = _fresh(path, entry.snapshot)
                if path.exists() and not fresh.exists():
                    _moved(path, fresh)
                _moved(kept, path)
        elif self._is_postgresql(item):
            container = docker.running(self.told.stack, item.name).id
            name, kept_name = (_beside_name(item.database, which) for which in ("fresh", "kept"))
            if engine_postgresql.is_there(container, kept_name):
                if engine_postgresql.is_there(container, item.database):
                    self._out_of_the_way(container, item.database, name)
                engine_postgresql.rename(container, kept_name, item.database)
        else:
            kept_dump = self._dump_file(item, "kept")
            if kept_dump.exists():
                self._load_file(item, kept_dump)
                kept_dump.unlink()

    def remove_kept(self, entry: Entry) -> None:
        """Remove what was there before."""
        item = Item.parse(entry.item)
        if item.kind == "volume":
            _removed(_kept(Path(entry.path)))
        elif self._is_postgresql(item):
            engine_postgresql.drop(docker.running(self.told.stack, item.name).id, _beside_name(item.database, "kept"))
        else:
            for which in ("fresh", "kept"):
                self._dump_file(item, which).unlink(missing_ok=True)

    def _swap_folder(self, entry: Entry) -> None:
        path = Path(entry.path)
        fresh, kept = _fresh(path, entry.snapshot), _kept(path)
        if fresh.exists():
            if not kept.exists():
                _moved(path, kept)
            # Over an empty folder too, which Docker may have made there meanwhile.
            _moved(fresh, path)
        elif not kept.exists():
            raise BackupsError(f"{fresh} is gone, which was to become volume {Item.parse(entry.item).name}")

    def _swap_postgresql(self, item: Item) -> None:
        container = docker.running(self.told.stack, item.name).id
        fresh, kept = (_beside_name(item.database, which) for which in ("fresh", "kept"))
        if engine_postgresql.is_there(container, fresh):
            if not engine_postgresql.is_there(container, kept):
                engine_postgresql.rename(container, item.database, kept)
            elif engine_postgresql.is_there(container, item.database):
                self._out_of_the_way(container, item.database, "")
            engine_postgresql.rename(container, fresh, item.database)
        elif not engine_postgresql.is_there(container, kept):
            raise BackupsError(f"{item.name} has no database {fresh}, which was to become {item.database}")

    def _out_of_the_way(self, container: str, database: str, fresh: str) -> None:
        """What stands where a database is to be: the restored one, or an empty one that somebody has made meanwhile."""
        if fresh and not engine_postgresql.is_there(container, fresh):
            engine_postgresql.rename(container, database, fresh)
        elif engine_postgresql.is_empty(container, database):
            engine_postgresql.drop(container, database)
        else:
            raise BackupsError(f"somebody has written into a new database {database}; rename it, and say this again")

    def _swap_mysql(self, item: Item) -> None:
        fresh, kept = (self._dump_file(item, which) for which in ("fresh", "kept"))
        if not fresh.exists():
            raise BackupsError(f"{fresh} is gone, which was to become database {item.database}")
        if not kept.exists():
            part = kept.with_suffix(".part")
            container = docker.running(self.told.stack, item.name).id
            _dumped(engine_mysql.dump(container, item.database), part)
            _settled(part, kept)
        self._load_file(item, fresh)

    def _load_file(self, item: Item, dump: Path) -> None:
        """Make a MariaDB or MySQL database anew from a dump that is known to be whole."""
        container = docker.running(self.told.stack, item.name).id
        engine_mysql.empty(container, item.database)
        with dump.open("rb") as file:
            done = subprocess.run(
                engine_mysql.load(container, item.database).command, stdin=file, capture_output=True, check=False
            )
        if done.returncode != 0:
            said = done.stderr.decode(errors="replace").strip().splitlines()
            raise BackupsError(
                f"{item.name} refused the dump of {item.database}: {said[0][:300] if said else 'no reason'}"
            )

    # --- names

    def _engine(self, item: Item) -> ModuleType:
        return BY_NAME[self.told.databases[item.name].engine]

    def _is_postgresql(self, item: Item) -> bool:
        return self.told.databases[item.name].engine == "postgresql"

    def _dump_file(self, item: Item, which: str) -> Path:
        return _folder() / f"{item}.{which}.sql"


def _folder() -> Path:
    made = config.STATE / "restoring"
    made.mkdir(mode=0o700, parents=True, exist_ok=True)
    return made


def _beside_name(database: str, which: str) -> str:
    """A name for what lies beside a database; the engines allow 63 bytes."""
    return f"apiary_{which}_{hashlib.sha256(database.encode()).hexdigest()[:12]}"


def _fresh(path: Path, snapshot: str) -> Path:
    return path.with_name(f".{path.name}.apiary-fresh-{snapshot[:12]}")


def _kept(path: Path) -> Path:
    return path.with_name(f".{path.name}.apiary-kept")


def _moved(old: Path, new: Path) -> None:
    try:
        old.rename(new)
    except OSError as error:
        raise BackupsError(f"{old} could not be renamed to {new.name}: {error.strerror}") from None
    folder = os.open(new.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _removed(path: Path) -> None:
    if not path.exists():
        return
    try:
        shutil.rmtree(path)
    except OSError as error:
        raise BackupsError(f"{path} could not be removed: {error.strerror}") from None


def _private(path: Path) -> None:
    path.unlink(missing_ok=True)
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))


def _settled(part: Path, whole: Path) -> None:
    """A file gets its name when all of it is on the disk."""
    with part.open("rb") as file:
        os.fsync(file.fileno())
    _moved(part, whole)


def _dumped(command: Sequence[str], part: Path) -> None:
    _private(part)
    with part.open("wb") as file:
        done = subprocess.run(command, stdout=file, stderr=subprocess.PIPE, check=False)
    said = done.stderr.decode(errors="replace").strip().splitlines()
    if done.returncode != 0:
        raise BackupsError(f"the present state could not be kept: {said[-1] if said else f'status {done.returncode}'}")
    with part.open("rb") as file:
        file.seek(max(0, part.stat().st_size - 4096))
        if engine_mysql.MARK not in file.read():
            raise BackupsError("the present state could not be kept: its dump breaks off before its end")


def _verdict_record() -> dict[str, Any]:
    """What the last verdict of an update has proved; nothing where no application here has sites."""
    try:
        found = json.loads(VERDICT_RECORD.read_text())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def question(application: str) -> list[str]:
    """What `apiary-await` is told to ask an application with sites, by its own rule; nothing for any other."""
    sites = (_verdict_record().get("applications", {}).get(application) or {}).get("sites")
    if not sites:
        return []
    host = min(sites)
    rule = sites[host]
    return ["--http", str(rule["port"]), str(rule["path"]), str(rule["status"]), host]


def proved(command: Sequence[str], told: str = "", environment: dict[str, str] | None = None) -> None:
    """Run a tool that waits until something is proved. Raises BackupsError with what it said."""
    try:
        done = subprocess.run(
            command, input=told, text=True, errors="replace", capture_output=True, env=environment, check=False,
            timeout=AWAIT_SECONDS + PROOF_SECONDS,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        raise BackupsError(f"{command[0]}: {error}") from None
    if done.returncode != 0:
        raise BackupsError(done.stderr.strip() or f"{command[0]} ended with status {done.returncode}")
