"""Databases of an old host's containers into databases of the stack, by a dump from server to server through here.

Warm, while all goes on there, as often as wanted. With `final` who uses the database there is stopped first, and what
came is compared by tables and rows before it takes its place. It is taken in beside the database that is there, which
goes on until then: cut off at any moment, the same line begins anew. Another version, or another image, is no matter.
Leaves alone: the old database; roles and passwords, which the stack's own job makes.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from operations.carry import CarryError, Place, say
from operations.copying import records
from operations.copying.engines import ENGINES, WHICH, Engine, beside, counting
from operations.copying.words import Wanted

_AT_ONCE = 200  # tables that are counted by one statement
_LOAD_SECONDS = 24 * 3600.0


@dataclass(frozen=True)
class Server:
    """A database server in a container of a host."""

    place: Place
    container: str  # id
    engine: Engine = field(repr=False)

    def words(self, script: str, *more: str) -> list[str]:
        """The words of a script in its container."""
        return ["docker", "exec", "-i", self.container, "sh", "-c", script, "sh", *more]

    def ask(self, script: str, *more: str) -> list[str]:
        """What a script prints there, line by line. Raises CarryError."""
        return self.place.ask(*self.words(script, *more), seconds=_LOAD_SECONDS).splitlines()

    def rows(self, database: str) -> dict[str, int]:
        """How many rows each table has. Raises CarryError."""
        tables = self.ask(self.engine.tables, database)
        found: dict[str, int] = {}
        for first in range(0, len(tables), _AT_ONCE):
            for line in self.ask(self.engine.count, database, counting(tables[first : first + _AT_ONCE])):
                table, _, number = line.rpartition("\t")
                found[table] = int(number)
        return found


def look(old: Place, new: Place, wanted: Wanted, project: str) -> tuple[Server, Server]:
    """The server of each side. Raises CarryError where there is none, or they are of two kinds."""
    there = _server(old, _old_container(old, wanted.container, project), wanted.container)
    label = f"label=apiary.resource=applications.{wanted.application}"
    ids = new.ask("docker", "ps", "--quiet", "--no-trunc", "--filter", label).split()
    if len(ids) != 1:
        raise CarryError(f"{wanted}: no application {wanted.application} runs on {new.server}; name one that serves it")
    here = _server(new, ids[0], wanted.application)
    if here.engine is not there.engine:
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
    return Server(place, container, ENGINES[kind])


def copy(old: Place, new: Place, wanted: Sequence[Wanted], project: str, over: Collection[str], *, final: bool) -> None:
    """Copy them all. Raises CarryError; then what was stopped on the old host runs again."""
    pairs = [(one, *look(old, new, one, project)) for one in wanted]
    problems = [line for one, _, here in pairs for line in _in_the_way(new, one, here, over, old.server)]
    if problems:
        raise CarryError("nothing is copied:\n" + "\n".join(f"  {line}" for line in problems))
    left = [pair for pair in pairs if not _is_done(new, pair[0], old.server, over)]
    stopped = _stop(old, new, left) if final else []
    try:
        for one, there, here in left:
            _one(one, there, here, final=final)
    except BaseException:
        if stopped:
            # It is written to there again, and all of it has to come once more.
            for one, _, _ in left:
                _not_for_good(new, _name(one))
            start(old, new, stopped)
        raise


def _name(one: Wanted) -> str:
    return f"{one.application} {one.target}"


def _not_for_good(new: Place, name: str) -> None:
    if known := records.read(new, name):
        records.write(new, name, {**known, "state": "warm"})


def _in_the_way(new: Place, one: Wanted, here: Server, over: Collection[str], source: str) -> list[str]:
    here.ask(here.engine.ready, one.target)
    come = records.read(new, _name(one))
    rows = here.rows(one.target)
    if sum(rows.values()) == 0 or come.get("from") == source or f"{one.application}:{one.target}" in over:
        return []
    return [
        f"{one}: {one.target} has {len(rows)} tables on {new.server} that did not come from {source}; if they are of "
        f"no use, as what a first start makes: --over {one.application}:{one.target} (they are gone then)"
    ]


def _is_done(new: Place, one: Wanted, source: str, over: Collection[str]) -> bool:
    come = records.read(new, _name(one))
    done = come.get("from") == source and come.get("state") == "final" and f"{one.application}:{one.target}" not in over
    if done:
        say(f"{one}: was brought over for good; what is here now is newer, and is left alone")
    return bool(done)


def _one(one: Wanted, there: Server, here: Server, *, final: bool) -> None:
    say(f"{one}: by a dump from {there.place.server}" + ("" if final else ", while it is used"))
    before = there.rows(one.database)
    new = beside(one.target)
    here.ask(here.engine.prepare, one.target, new)
    _pipe(one, there, here)
    came = here.rows(new)
    if final and (before != there.rows(one.database) or came != before):
        raise CarryError(f"{one} is not here as it is there: {_differs(before, came)}; something writes to it still")
    if set(came) != set(before):
        raise CarryError(f"{one} did not come whole: {_differs(before, came)}; say it again")
    # Beforehand: what it leaves when it is cut off is its own, and is written over by the next one.
    records.write(here.place, _name(one), {"from": there.place.server, "state": "warm"})
    here.ask(here.engine.place, one.target, new)
    records.write(here.place, _name(one), {"from": there.place.server, "state": "final" if final else "warm"})
    equal = ", the same on both sides" if came == before else ""
    say(f"{one}: {len(came)} tables, {sum(came.values())} rows{equal}")


def _differs(before: Mapping[str, int], came: Mapping[str, int]) -> str:
    names = [name for name in sorted({*before, *came}) if before.get(name) != came.get(name)]
    spelt = [f"{name} has {before.get(name, 'none')} there and {came.get(name, 'none')} here" for name in names[:3]]
    return "; ".join(spelt) or "rows came or went there meanwhile"


def _pipe(one: Wanted, there: Server, here: Server) -> None:
    dumping = subprocess.Popen(
        there.place.command(*there.words(there.engine.dump, one.database)), stdout=subprocess.PIPE
    )
    assert dumping.stdout is not None  # noqa: S101 - a pipe
    loading = subprocess.Popen(
        here.place.command(*here.words(here.engine.load, one.target, beside(one.target))),
        stdin=dumping.stdout,
        stdout=subprocess.DEVNULL,
    )
    dumping.stdout.close()
    took, gave = loading.wait(), dumping.wait()
    if took or gave:
        raise CarryError(f"{one} could not be copied (above); say it again, it begins anew")


# Who uses it on the old host


def _stop(old: Place, new: Place, pairs: Sequence[tuple[Wanted, Server, Server]]) -> list[str]:
    """Stop the containers that are connected to the databases, and see that nobody is then."""
    ids: dict[str, str] = {}
    for one, there, _ in pairs:
        addresses = set(there.ask(there.engine.others, one.database))
        ids |= {id_: name for id_, name, own in _running(old) if id_ != there.container and addresses & own}
    if ids:
        stop(old, new, ids)
    try:
        for one, there, _ in pairs:
            _expect_nobody(one, there)
    except BaseException:
        start(old, new, ids)
        raise
    return list(ids)


def _expect_nobody(one: Wanted, there: Server) -> None:
    if left := there.ask(there.engine.others, one.database):
        raise CarryError(f"{one}: {', '.join(sorted(left))} is connected still, and no container; end it there")


def _running(old: Place) -> list[tuple[str, str, set[str]]]:
    ids = old.ask("docker", "ps", "--quiet", "--no-trunc").split()
    found = json.loads(old.ask("docker", "container", "inspect", *ids)) if ids else []
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


def stop(old: Place, new: Place, ids: Mapping[str, str]) -> None:
    """Stop containers of the old host, by id and name; the new server remembers which, for `start`.

    Raises CarryError; then they run again.
    """
    known = records.read(new, records.of_host(old.server)).get("ids", {})
    records.write(new, records.of_host(old.server), {"ids": {**known, **ids}})
    say(f"stopped on {old.server}, and left so: {', '.join(sorted(ids.values()))}")
    try:
        old.ask("docker", "stop", *ids)
    except BaseException:
        start(old, new, ids)
        raise


def start(old: Place, new: Place, only: Collection[str] | None = None) -> list[str]:
    """Start again what was stopped there, or those of it with these ids; the names. Raises CarryError."""
    name = records.of_host(old.server)
    ids: dict[str, str] = records.read(new, name).get("ids", {})
    there = set(old.ask("docker", "ps", "--all", "--quiet", "--no-trunc").split())
    again = {id_: called for id_, called in ids.items() if id_ in there and (only is None or id_ in only)}
    if again:
        old.ask("docker", "start", *again)
    left = {id_: called for id_, called in ids.items() if only is not None and id_ not in only}
    if left:
        records.write(new, name, {"ids": left})
    else:
        records.forget(new, name)
    return sorted(again.values())


def back(old: Place, new: Place) -> list[str]:
    """Have the old host go on where a copy for good was cut off, or was one too early; what runs there again.

    Databases that came from there come once more then. Raises CarryError.
    """
    for name in records.names(new):
        if records.read(new, name).get("from") == old.server:
            _not_for_good(new, name)
    return start(old, new)
