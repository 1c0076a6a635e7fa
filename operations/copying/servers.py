"""Database servers in containers: the old host's, and the one of the stack that gets what that has."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from operations.carry import CarryError, Place
from operations.copying.engine import Engine
from operations.copying.engines import ENGINES, WHICH, counting
from operations.copying.words import Wanted

_AT_ONCE = 200  # tables that are counted by one statement
_LOAD_SECONDS = 24 * 3600.0


@dataclass(frozen=True)
class Server:
    """A database server in a container of a host."""

    place: Place
    container: str  # id
    engine: Engine = field(repr=False)
    kind: str = ""  # of ENGINES

    def words(self, script: str, *more: str) -> list[str]:
        """The words of a script in its container."""
        return ["docker", "exec", "-i", self.container, "sh", "-c", script, "sh", *more]

    def ask(self, script: str, *more: str) -> list[str]:
        """What a script prints there, line by line. Raises CarryError."""
        return self.place.ask(*self.words(script, *more), seconds=_LOAD_SECONDS).splitlines()

    def tables(self, database: str) -> dict[str, str]:
        """The tables, quoted, each with the expression of its checksum. Raises CarryError."""
        return dict(line.split("\t", 1) for line in self.ask(self.engine.tables, database))

    def rows(self, database: str, sums: Mapping[str, str] | None = None) -> dict[str, tuple[int, str]]:
        """How many rows each table has, and with `sums` (of `tables`) their checksum. Raises CarryError."""
        tables = list(self.tables(database) if sums is None else sums)
        found: dict[str, tuple[int, str]] = {}
        for first in range(0, len(tables), _AT_ONCE):
            some = {table: (sums or {}).get(table, "0") for table in tables[first : first + _AT_ONCE]}
            for line in self.ask(self.engine.count, database, counting(some)):
                table, number, checksum = line.rsplit("\t", 2)
                found[table] = int(number), checksum
        return found


def look(old: Place, new: Place, wanted: Wanted, project: str) -> tuple[Server, Server]:
    """The server of each side. Raises CarryError where there is none, or they are of two kinds."""
    there = _server(old, _old_container(old, wanted.container, project), wanted.container)
    label = f"label=apiary.resource=applications.{wanted.application}"
    ids = new.ask("docker", "ps", "--quiet", "--no-trunc", "--filter", label).split()
    if len(ids) != 1:
        raise CarryError(f"{wanted}: no application {wanted.application} runs on {new.server}; name one that serves it")
    here = _server(new, ids[0], wanted.application)
    if here.kind != there.kind:
        raise CarryError(f"{wanted}: PostgreSQL can't read what MySQL or MariaDB has, and they not what it has")
    return there, here


def _old_container(old: Place, name: str, project: str) -> str:
    filters = [[f"name=^/?{name}$"]]
    if project:
        labels = [f"label=com.docker.compose.project={project}", f"label=com.docker.compose.service={name}"]
        filters.insert(0, labels)
    for chosen in filters:
        words = [word for one in chosen for word in ("--filter", one)]
        ids = old.ask("docker", "ps", "--quiet", "--no-trunc", *words).split()
        if len(ids) == 1:
            return ids[0]
    running = ", ".join(sorted(old.ask("docker", "ps", "--format", "{{.Names}}").split()))
    raise CarryError(f"no container {name} runs on {old.server}; there run: {running or 'none'}")


def _server(place: Place, container: str, name: str) -> Server:
    kind = place.ask("docker", "exec", container, "sh", "-c", WHICH).strip()
    if kind not in ENGINES:
        raise CarryError(f"{name} on {place.server} has neither pg_dump nor mysqldump; name the database's container")
    return Server(place, container, ENGINES[kind], kind)


def running(place: Place) -> list[tuple[str, str, set[str]]]:
    """Id, name and addresses of the containers that run. Raises CarryError."""
    ids = place.ask("docker", "ps", "--quiet", "--no-trunc").split()
    found = json.loads(place.ask("docker", "container", "inspect", *ids)) if ids else []
    return [
        (
            str(one["Id"]),
            str(one["Name"]).lstrip("/"),
            {
                address
                for network in one["NetworkSettings"]["Networks"].values()
                for address in (network.get("IPAddress"), network.get("GlobalIPv6Address"))
                if address
            },
        )
        for one in found
    ]
