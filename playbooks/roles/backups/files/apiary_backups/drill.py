"""The rehearsal: the newest snapshots restored into throw-away containers, which then have to prove what they hold.

Each database is loaded into a copy of its server, each volume into a volume of its own; each application that has
either is started beside them, has to be healthy, and to give what the stack file says proves it (`drill:`). A share of
the repository's bytes is read against their checksums. What serves is never touched, only its image and environment
are used. One thing that fails keeps no other from being tried.

Makes: `drill.json`, for other programs, and `drill.html`, a page, both beside the records of backups. An item is proved
when it came back, is not empty, and the applications that have it served with it.
"""

from __future__ import annotations

import argparse
import json
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from apiary_backups import docker, drill_report, fill, filling, lock, restore, serving, throwaway
from apiary_backups.config import Application, Config
from apiary_backups.drill_report import Asked, Report, Tried
from apiary_backups.engines import BY_NAME
from apiary_backups.errors import FAILURES, BackupsError, told
from apiary_backups.items import Item
from apiary_backups.report import now, say, size
from apiary_backups.restic import Restic, Snapshot
from apiary_backups.swap_database import DATABASE_FACTOR

ENGINE_SECONDS = 180.0
HEALTHY_SECONDS = 300
LOCK_FILE = "/run/apiary-backups-drill.lock"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Nothing may be said with it."""
    parser.add_argument("--json", action="store_true", help="all of it, for a program")


def main(config: Config, options: argparse.Namespace) -> int:
    """Rehearse, and keep what was found; 1 where anything is not proved. Raises BackupsError."""
    # Not the lock of the others: a backup that is due does not wait for it, and nothing here changes what they work on.
    try:
        with lock.held("drill", path=Path(LOCK_FILE)):
            report = rehearsed(config)
    except BaseException as error:
        drill_report.keep(drill_report.ended(drill_report.begun(config.server), told(error)))
        raise
    drill_report.keep(report)
    if options.json:
        say(json.dumps(report.told()))
    else:
        for line in drill_report.lines(report):
            say(line)
    return 0 if report.status == "ok" else 1


def rehearsed(config: Config) -> Report:
    """Rehearse; whatever is wrong is in the report."""
    begun = time.monotonic()
    report = drill_report.begun(config.server)
    proofs = {name: one.proved for name, one in report.items.items()}
    repository = Restic(config)
    try:
        repository.probe()
        newest = repository.newest()
        report.items = {
            str(item): Tried(one.id, one.time.isoformat(), one.bytes, proved=proofs.get(str(item), ""))
            for item, one in sorted(newest.items())
            if _is_here(config, item)
        }
        if report.items:
            _room(newest.values())
            throwaway.clean(config.stack)
            try:
                Rehearsal(config, repository, newest, report).all()
            finally:
                throwaway.clean(config.stack)
        else:
            report.reason = "nothing of this server was saved yet"
        report.repository = _asked(f"read {config.read_percent} % of its bytes", lambda: _checked(config, repository))
    except FAILURES as error:
        drill_report.ended(report, told(error))
    report.seconds = round(time.monotonic() - begun, 1)
    moment_now = now()
    report.items = {
        name: replace(one, proved=moment_now) if one.status == "ok" and not report.reason else one
        for name, one in report.items.items()
    }
    if report.status == "ok":
        report.proved = moment_now
    return report


def _checked(config: Config, repository: Restic) -> None:
    # It locks all others out of the repository: with the lock that they wait for, and know of whom.
    with lock.held("drill"):
        repository.unlock()
        repository.check(config.read_percent)


def _is_here(config: Config, item: Item) -> bool:
    return item.name in (config.volumes if item.kind == "volume" else config.databases)


def _room(snapshots: Iterable[Snapshot]) -> None:
    place = docker.folder()
    needed = sum(one.bytes * (1 if one.item.kind == "volume" else DATABASE_FACTOR) for one in snapshots)
    free = shutil.disk_usage(place).free
    if free < needed + restore.SPARE_BYTES:
        raise BackupsError(
            f"{place} has {size(free)} free, and a rehearsal takes {size(needed + restore.SPARE_BYTES)} for a while; "
            "make room"
        )


def _asked(proof: str, ask: Callable[[], object]) -> Asked:
    begun = time.monotonic()
    try:
        ask()
    except FAILURES as error:
        return Asked("failed", round(time.monotonic() - begun, 1), "", str(told(error)))
    return Asked("ok", round(time.monotonic() - begun, 1), proof)


@dataclass
class Rehearsal:
    """The acts of one rehearsal."""

    config: Config
    repository: Restic
    newest: Mapping[Item, Snapshot]
    report: Report
    volumes: dict[str, str] = field(default_factory=dict)  # of the stack -> made here
    servers: dict[str, str] = field(default_factory=dict)  # database server -> container made here

    def all(self) -> None:
        """Try all; what fails is in the report."""
        throwaway.network(self.config.stack)
        for item in filter(lambda one: one.kind == "volume", map(Item.parse, self.report.items)):
            with self._tried(item):
                self._volume(item)
        for application in self.config.databases:
            self._server(application)
        for name in [one for one in self.config.order if one in self.config.applications]:
            if self._is_tried(name, self.config.applications[name]):
                self._application(name, self.config.applications[name])

    @contextmanager
    def _tried(self, item: Item) -> Iterator[None]:
        begun = time.monotonic()
        reason = ""
        try:
            yield
        except FAILURES as error:
            reason = str(told(error))
        self._say(item, round(time.monotonic() - begun, 1), reason)

    def _say(self, item: Item, seconds: float, reason: str) -> None:
        one = self.report.items[str(item)]
        status = "failed" if reason else one.status
        self.report.items[str(item)] = replace(one, seconds=seconds, status=status, reason=reason or one.reason)

    def _volume(self, item: Item) -> None:
        made = throwaway.volume(self.config.stack, item.name)
        self.volumes[item.name] = made
        place = docker.volume_path(made)
        fill.put_in_place(self.repository, self.newest[item].id, place, last_look=lambda: None)
        if self.newest[item].bytes and not filling.has_data(place):
            raise BackupsError("nothing is in it, and the snapshot says that there is")

    def _server(self, application: str) -> None:
        """A copy of a database server, with all of its databases."""
        wanted = [one for one in map(Item.parse, self.report.items) if one.kind != "volume" and one.name == application]
        if not wanted:
            return
        engine = BY_NAME[self.config.databases[application].engine]
        roles = Item.roles(application)
        if roles in wanted:
            wanted = self._without_dropped(roles, wanted)
        try:
            container = self._start(application)
            engine.wait(container, ENGINE_SECONDS)
            self.servers[application] = container
        except FAILURES as error:
            for item in wanted:
                self._say(item, 0.0, f"{application} did not start: {told(error)}")
            return
        # As a fill does: what its image's first start has made, such as tables of an init script, is in a dump's way.
        for item in [one for one in wanted if one.kind == "database"]:
            with self._tried(item):
                engine.drop(container, item.database)
        if roles in wanted:
            with self._tried(roles):
                engine.load_roles(container, self.repository.read(self.newest[roles].id), logins=False)
        for item in [one for one in wanted if one.kind == "database"]:
            with self._tried(item):
                engine.prepare(container, item.database)
                self.repository.load(self.newest[item].id, engine.load(container, item.database))
                if engine.is_empty(container, item.database):
                    raise BackupsError("there are no tables in it")
        if roles in wanted and self.report.items[str(roles)].status == "ok":
            # What somebody may do to single tables, once these are there.
            with self._tried(roles):
                engine.load_roles(container, self.repository.read(self.newest[roles].id))

    def _without_dropped(self, roles: Item, wanted: list[Item]) -> list[Item]:
        """Of what is saved of a database server that which it still has: the rest has snapshots for as long as they are
        kept. All of it where that can't be read, which is then said of the roles.
        """
        engine = BY_NAME[self.config.databases[roles.name].engine]
        try:
            listed = engine.listed(self.repository.read(self.newest[roles].id))
        except BackupsError:
            return wanted
        there = [one.item for one in fill.served(listed, self.newest[roles], self.newest)]
        for item in wanted:
            if item not in (roles, *there):
                del self.report.items[str(item)]
        return [item for item in wanted if item == roles or item in there]

    def _is_tried(self, name: str, application: Application) -> bool:
        return (
            name not in self.config.databases
            and application.drill.get("start", True)
            and bool(self._items(application))
        )

    def _items(self, application: Application) -> list[Item]:
        """What an application has of what is rehearsed."""
        own = [*map(Item.volume, application.volumes), *(Item.of_database(*one) for one in application.databases)]
        return [one for one in own if str(one) in self.report.items]

    def _application(self, name: str, application: Application) -> None:
        own = self._items(application)
        lost = [one for one in own if self.report.items[str(one)].status != "ok"]
        proof: list[str] = []
        begun = time.monotonic()
        reason = ""
        if lost:
            reason = f"{lost[0]} did not come back"
        else:
            try:
                self._proved(name, application, proof)
            except FAILURES as error:
                reason = str(told(error))
        seconds = round(time.monotonic() - begun, 1)
        self.report.applications[name] = Asked("failed" if reason else "ok", seconds, "; ".join(proof), reason)
        for item in own if reason else ():
            one = self.report.items[str(item)]
            self.report.items[str(item)] = replace(one, status="failed", reason=one.reason or f"{name}: {reason}")

    def _proved(self, name: str, application: Application, proof: list[str]) -> None:
        container = self._start(name)
        try:
            drill = application.drill
            question = serving.question(name)
            if path := drill.get("path"):
                question = [
                    "--http",
                    str(application.http_port),
                    str(path),
                    "200-399",
                    question[-1] if question else name,
                ]
            serving.proved(["apiary-await", container, "--timeout", str(HEALTHY_SECONDS), *question])
            proof.append(f"GET {path} answered" if path else "healthy")
            if sql := drill.get("sql"):
                proof.append(self._counted(application, str(sql), int(drill.get("at_least", 1))))
        finally:
            # One after another: the server has the memory of what serves, and little more.
            docker.call("rm", "--force", "--volumes", container)

    def _counted(self, application: Application, sql: str, at_least: int) -> str:
        server, database = application.databases[0]
        said = BY_NAME[self.config.databases[server].engine].answer(self.servers[server], database, sql)
        first = said.splitlines()[0].strip() if said.strip() else ""
        try:
            count = float(first)
        except ValueError:
            raise BackupsError(f"{sql}: answers {first!r}, which is no number") from None
        if count < at_least:
            raise BackupsError(f"{sql}: {first}, and at_least is {at_least}")
        return f"{sql}: {first}"

    def _start(self, application: str) -> str:
        """A copy of the newest container of an application, with the volumes that came back, and empty ones else."""
        found = [
            one for one in docker.containers(self.config.stack) if (one.kind, one.name) == ("applications", application)
        ]
        if not found:
            raise BackupsError(f"{application} has no container to make a copy of; pulumi up makes it")
        [about] = docker.inspect([found[-1].id])
        for name in (*found[-1].volumes, *found[-1].read):
            if name not in self.volumes:
                self.volumes[name] = throwaway.volume(self.config.stack, name)
        return throwaway.start(self.config.stack, about, application, self.volumes)
