"""Nobody writes on the old host any more: containers are stopped there, and databases closed to whoever comes.

To stop who is connected is not enough: who connects for each request is not there just now. So the old server itself
lets nobody in, from before the last dump on. What was stopped and closed is remembered by the new server, beforehand,
so that `back` takes it back whatever ends this in between. Leaves alone: what is in a database.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from operations.carry import CarryError, Place, say
from operations.copying import records
from operations.copying.engines import ENGINES, aside
from operations.copying.servers import Server, running


@dataclass(frozen=True)
class Door:
    """A database of the old host, and what lets in to it: with MySQL and MariaDB the accounts, quoted."""

    there: Server
    name: str  # of the container
    database: str
    accounts: tuple[str, ...] = ()

    def __str__(self) -> str:
        accounts = f" (accounts {', '.join(self.accounts)})" if self.accounts else ""
        return f"database {self.database} of {self.name}{accounts}"

    def ask(self, script: str) -> list[str]:
        """What a script of the engine prints of it. Raises CarryError."""
        return self.there.ask(script, self.database, *aside(self.database), *self.accounts)

    def record(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "container": self.there.container,
            "kind": self.there.kind,
            "name": self.name,
            "database": self.database,
            "accounts": list(self.accounts),
        }

    @classmethod
    def of(cls, old: Place, known: Mapping[str, Any]) -> Door:
        """From its record."""
        there = Server(old, known["container"], ENGINES[known["kind"]], known["kind"])
        return cls(there, known["name"], known["database"], tuple(known["accounts"]))


def quiet(old: Place, new: Place, doors: Sequence[Door]) -> list[str]:
    """Stop the containers that are connected to the databases, and close these; the ids of what was stopped.

    Raises CarryError; what was done by then is taken back by `again`.
    """
    ids: dict[str, str] = {}
    others: set[str] = set()
    for door in doors:
        addresses = set(door.there.ask(door.there.engine.others, door.database))
        connected = {id_: (name, own) for id_, name, own in running(old) if addresses & own}
        connected.pop(door.there.container, None)
        ids |= {id_: name for id_, (name, _) in connected.items()}
        others |= addresses.difference(*(own for _, own in connected.values()))
    if ids:
        stop(old, new, ids)
    _remember(old, new, closed=[*_closed(old, new), *doors])
    for door in doors:
        door.ask(door.there.engine.close)
        say(f"closed on {old.server}, and left so: {door}; nobody gets in there any more")
    if others:
        say(f"cut off by that, and no container of {old.server}: {', '.join(sorted(others))}")
    return list(ids)


def again(old: Place, new: Place, doors: Sequence[Door], ids: Collection[str]) -> None:
    """Open and start again what `quiet` has closed and stopped. Raises CarryError."""
    _open(old, new, doors)
    start(old, new, ids)
    if doors:
        say(f"open again on {old.server}, since not all came: {', '.join(map(str, doors))}")
    if left := told(old, new):
        say(left)


def told(old: Place, new: Place) -> str:
    """What is stopped and closed on the old host still, and what takes that back; empty where nothing is."""
    left = [*_known(old, new).get("ids", {}).values(), *map(str, _closed(old, new))]
    return f"on {old.server} stay stopped or closed: {', '.join(left)}; --back has them serve again" if left else ""


def _open(old: Place, new: Place, doors: Iterable[Door]) -> None:
    for door in doors:
        try:
            door.ask(door.there.engine.open)
        except CarryError as error:
            raise CarryError(
                f"{door} could not be opened again on {old.server}: {error}. See that its container runs there "
                f"(docker start {door.name}), then the same line with --back"
            ) from error
        _remember(old, new, closed=[one for one in _closed(old, new) if one != door])


def _closed(old: Place, new: Place) -> list[Door]:
    return [Door.of(old, known) for known in _known(old, new).get("closed", [])]


def _known(old: Place, new: Place) -> dict[str, Any]:
    return records.read(new, records.of_host(old.server))


def _remember(
    old: Place, new: Place, *, ids: Mapping[str, str] | None = None, closed: Iterable[Door] | None = None
) -> None:
    known, name = _known(old, new), records.of_host(old.server)
    if ids is not None:
        known["ids"] = dict(ids)
    if closed is not None:
        known["closed"] = [one.record() for one in dict.fromkeys(closed)]
    if known.get("ids") or known.get("closed"):
        records.write(new, name, known)
    else:
        records.forget(new, name)


def stop(old: Place, new: Place, ids: Mapping[str, str]) -> None:
    """Stop containers of the old host, by id and name; the new server remembers which, for `start`.

    Raises CarryError; then they run again.
    """
    _remember(old, new, ids={**_known(old, new).get("ids", {}), **ids})
    say(f"stopped on {old.server}, and left so: {', '.join(sorted(ids.values()))}")
    try:
        old.ask("docker", "stop", *ids)
    except BaseException:
        start(old, new, ids)
        raise


def start(old: Place, new: Place, only: Collection[str] | None = None) -> list[str]:
    """Start again what was stopped there, or those of it with these ids; the names. Raises CarryError."""
    ids: dict[str, str] = _known(old, new).get("ids", {})
    there = set(old.ask("docker", "ps", "--all", "--quiet", "--no-trunc").split())
    started = {id_: called for id_, called in ids.items() if id_ in there and (only is None or id_ in only)}
    if started:
        old.ask("docker", "start", *started)
    _remember(old, new, ids={id_: called for id_, called in ids.items() if only is not None and id_ not in only})
    return sorted(started.values())


def back(old: Place, new: Place) -> list[str]:
    """Have the old host go on where a copy for good was cut off, or was one too early; what serves there again.

    Databases that came from there come once more then. Raises CarryError.
    """
    for name in records.names(new):
        if records.read(new, name).get("from") == old.server:
            not_for_good(new, name)
    doors = _closed(old, new)
    _open(old, new, doors)
    return [*map(str, doors), *start(old, new)]


def not_for_good(new: Place, name: str) -> None:
    """What came is written to on the old host again, and has to come once more. Raises CarryError."""
    if known := records.read(new, name):
        records.write(new, name, {**known, "state": "warm"})
