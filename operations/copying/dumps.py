"""Databases of an old host's containers into databases of the stack, by a dump from server to server through here.

Warm, while all goes on there, as often as wanted. With `final` the database is closed there first (`quiet`), and what
came is compared by tables, rows and checksums before it takes its place. It is taken in beside the database that is
there, which goes on until then: cut off at any moment, the same line begins anew. Another version, or another image, is
no matter. Leaves alone: what is in the old database; roles and passwords, which the stack's own job makes.
"""

from __future__ import annotations

import subprocess
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from operations.carry import CarryError, Place, say
from operations.copying import quiet, records
from operations.copying.engines import aside, beside
from operations.copying.quiet import Door
from operations.copying.servers import Server, look
from operations.copying.words import Wanted


@dataclass(frozen=True)
class Pair:
    """A database that is to come: whose it is there, what lets in to it, and who gets it here."""

    one: Wanted
    door: Door
    here: Server
    is_done: bool = False  # came for good before


def plan(
    old: Place, new: Place, wanted: Sequence[Wanted], project: str, over: Collection[str], *, final: bool
) -> list[Pair]:
    """What is to be copied. Nothing is touched. Raises CarryError with all that is in the way."""
    found = [(one, *look(old, new, one, project)) for one in wanted]
    problems = [line for one, _, here in found for line in _in_the_way(new, one, here, over, old.server)]
    pairs = []
    for one, there, here in found:
        if _is_done(new, one, old.server, over):
            pairs.append(Pair(one, Door(there, one.container, one.database), here, is_done=True))
            continue
        try:
            is_closed = bool(there.ask(there.engine.source, one.database, *aside(one.database)))
            accounts = there.ask(there.engine.accounts, one.database) if final else []
        except CarryError as error:
            problems.append(f"{one}: {error}")
            continue
        if is_closed and not final:
            problems.append(f"{one}: is closed there since a copy for good; --back opens it, or copy with --final")
        pairs.append(Pair(one, Door(there, one.container, one.database, tuple(accounts)), here))
    if problems:
        raise CarryError("nothing is copied:\n" + "\n".join(f"  {line}" for line in problems))
    return pairs


def copy(old: Place, new: Place, pairs: Sequence[Pair], *, final: bool) -> None:
    """Copy them all. Raises CarryError; then what was stopped and closed on the old host serves again."""
    left = [pair for pair in pairs if not pair.is_done]
    if not final:
        for pair in left:
            _one(pair)
        return
    doors, stopped = [pair.door for pair in left], list[str]()
    try:
        stopped = quiet.quiet(old, new, doors)
        for pair in left:
            _one(pair, final=True)
        # Of those too that came before a kill.
        for pair in pairs:
            pair.door.ask(pair.door.there.engine.settle)
    except BaseException:
        # Known beforehand: it is written to there again, and all of it has to come once more.
        for pair in left:
            quiet.not_for_good(new, _name(pair.one))
        quiet.again(old, new, doors, stopped)
        raise


def _name(one: Wanted) -> str:
    return f"{one.application} {one.target}"


def _in_the_way(new: Place, one: Wanted, here: Server, over: Collection[str], source: str) -> list[str]:
    here.ask(here.engine.ready, one.target)
    come = records.read(new, _name(one))
    rows = here.rows(one.target)
    if not any(number for number, _ in rows.values()):
        return []
    if come.get("from") == source or f"{one.application}:{one.target}" in over:
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


def _one(pair: Pair, *, final: bool = False) -> None:
    one, there, here = pair.one, pair.door.there, pair.here
    source = aside(one.database)[0] if final and there.engine.hides else one.database
    say(f"{one}: by a dump from {there.place.server}" + ("" if final else ", while it is used"))
    tables, new = there.tables(source), beside(one.target)
    here.ask(here.engine.prepare, one.target, new)
    _pipe(one, there, here, source)
    if missed := sorted(set(tables) ^ set(here.tables(new))):
        raise CarryError(f"{one} did not come whole: {', '.join(missed[:3])} is on one side only; say it again")
    came = here.rows(new, tables if final else None)
    if final and (was := there.rows(source, tables)) != came:
        raise CarryError(f"{one} is not here as it is there: {_differs(was, came)}; say it again")
    # Beforehand: what it leaves when it is cut off is its own, and is written over by the next one.
    records.write(here.place, _name(one), {"from": there.place.server, "state": "warm"})
    here.ask(here.engine.place, one.target, new)
    records.write(here.place, _name(one), {"from": there.place.server, "state": "final" if final else "warm"})
    equal = ", checksums equal on both sides" if final else ""
    say(f"{one}: {len(came)} tables, {sum(number for number, _ in came.values())} rows{equal}")


def _differs(was: Mapping[str, tuple[int, str]], came: Mapping[str, tuple[int, str]]) -> str:
    names = [name for name in sorted(was) if was[name] != came[name]]
    return "; ".join(
        f"{name} has other content" if was[name][0] == came[name][0]
        else f"{name} has {was[name][0]} rows there and {came[name][0]} here"
        for name in names[:3]
    )  # fmt: skip


def _pipe(one: Wanted, there: Server, here: Server, source: str) -> None:
    dumping = subprocess.Popen(there.place.command(*there.words(there.engine.dump, source)), stdout=subprocess.PIPE)
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
