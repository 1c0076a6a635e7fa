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
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from apiary_backups import config as configuration
from apiary_backups import docker, drill_page, fill, filling, items, lock, restore, serving, throwaway
from apiary_backups.config import Application, Config, put
from apiary_backups.engines import BY_NAME
from apiary_backups.errors import BackupsError
from apiary_backups.items import Item
from apiary_backups.report import moment, now, say, size
from apiary_backups.restic import Restic, Snapshot
from apiary_backups.swap_database import DATABASE_FACTOR

ENGINE_SECONDS = 180.0
HEALTHY_SECONDS = 300
FILE, PAGE = "drill.json", "drill.html"
LOCK_FILE = "/run/apiary-backups-drill.lock"


@dataclass(frozen=True)
class Tried:
    """What became of one item."""

    snapshot: str
    time: str  # when the snapshot was made, ISO 8601
    bytes: int
    seconds: float = 0.0  # that it took to come back
    status: str = "ok"  # or failed
    reason: str = ""
    proved: str = ""  # when a snapshot of it was proved last, ISO 8601; empty: never


@dataclass(frozen=True)
class Asked:
    """What became of one application, or of the repository."""

    status: str = "ok"
    seconds: float = 0.0
    proof: str = ""  # what it has shown
    reason: str = ""


@dataclass
class Report:
    """All of a rehearsal."""

    server: str
    begun: str
    items: dict[str, Tried] = field(default_factory=dict)
    applications: dict[str, Asked] = field(default_factory=dict)
    repository: Asked = field(default_factory=Asked)
    seconds: float = 0.0
    proved: str = ""  # when all of it was well the last time
    reason: str = ""  # why it could not even begin

    @property
    def status(self) -> str:
        """`ok` when all is."""
        parts: list[Tried | Asked] = [*self.items.values(), *self.applications.values(), self.repository]
        return "ok" if not self.reason and self.items and all(one.status == "ok" for one in parts) else "failed"

    def told(self) -> dict[str, Any]:
        """For `drill.json`."""
        return {**asdict(self), "status": self.status}


def arguments(parser: argparse.ArgumentParser) -> None:
    """Nothing may be said with it."""
    parser.add_argument("--json", action="store_true", help="all of it, for a program")


def main(config: Config, options: argparse.Namespace) -> int:
    """Rehearse, and keep what was found; 1 where anything is not proved. Raises BackupsError."""
    # Not the lock of the others: a backup that is due does not wait for it, and nothing here changes what they work on.
    with lock.held("drill", path=Path(LOCK_FILE)):
        report = rehearsed(config)
    keep(report)
    if options.json:
        say(json.dumps(report.told()))
    else:
        for line in lines(report):
            say(line)
    return 0 if report.status == "ok" else 1


def keep(report: Report) -> None:
    """Write what was found, for `list`, the page and Prometheus."""
    told = json.dumps(report.told(), indent=2) + "\n"
    put(configuration.STATE / FILE, told, 0o600)
    put(configuration.STATE / PAGE, drill_page.page(report.told()), 0o600)
    items.write_metrics(configuration.STATE, configuration.METRICS)


def rehearsed(config: Config) -> Report:
    """Rehearse; whatever is wrong is in the report."""
    begun = time.monotonic()
    before = _before()
    report = Report(config.server, now(), proved=str(before.get("proved", "")))
    proofs = {name: str(one.get("proved", "")) for name, one in dict(before.get("items", {})).items()}
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
    except BackupsError as error:
        report.reason = str(error)
        report.items = {
            name: replace(one, status="failed", reason=one.reason or str(error)) for name, one in report.items.items()
        }
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


def _before() -> dict[str, Any]:
    try:
        found = json.loads((configuration.STATE / FILE).read_text())
    except (OSError, ValueError):
        return {}  # the first one
    return found if isinstance(found, dict) else {}


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
    except BackupsError as error:
        return Asked("failed", round(time.monotonic() - begun, 1), "", str(error))
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
        except BackupsError as error:
            reason = str(error)
        seconds = round(time.monotonic() - begun, 1)
        self._say(item, seconds, reason)

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
        except BackupsError as error:
            for item in wanted:
                self._say(item, 0.0, f"{application} did not start: {error}")
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
            except BackupsError as error:
                reason = str(error)
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


def lines(report: Report) -> list[str]:
    """The report for a person."""
    told = [f"{name}: {_line(one)}" for name, one in report.items.items()]
    told += [f"applications.{name}: {_said(one)}" for name, one in report.applications.items()]
    told.append(f"repository: {_said(report.repository)}" if not report.reason else f"failed: {report.reason}")
    last = f"all was proved last at {report.proved}" if report.proved else "it was never all proved"
    end = "all of it is proved" if report.status == "ok" else last
    return [*told, f"rehearsal of {report.server}: {report.status} in {report.seconds:.0f} s; {end}"]


def _line(one: Tried) -> str:
    from_when = moment(datetime.fromisoformat(one.time))
    if one.status == "ok":
        return f"{size(one.bytes)} as of {from_when}, back in {one.seconds:.1f} s"
    last = f"proved last at {one.proved}" if one.proved else "never proved"
    return f"failed: {one.reason} (as of {from_when}, {last})"


def _said(one: Asked) -> str:
    return f"{one.proof}, {one.seconds:.1f} s" if one.status == "ok" else f"failed: {one.reason}"
