"""What is to be done with each item, and all that is in the way of it, before anything is touched. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from operations.cli import OperationError
from operations.copying.items import Item, User, is_database

_SPARE = 0.05


@dataclass(frozen=True)
class There:
    """What an item is on the old host."""

    path: str
    bytes: int
    users: tuple[User, ...]
    version: str = ""  # of the database whose files they are


@dataclass(frozen=True)
class Step:
    """An item that is copied. `again`: it was brought before and is gone on with; `stop`: ids of its writers."""

    item: Item
    there: There
    again: bool = False
    stop: tuple[str, ...] = ()


@dataclass(frozen=True)
class Wish:
    """How it is copied. `over`: volumes whose files here are of no use; they are put aside."""

    source: str  # the old host, as records name it
    final: bool = False
    over: Collection[str] = ()


def plan(
    wish: Wish, items: Sequence[Item], old: Mapping[Item, There], new: Mapping[str, Any], versions: Mapping[str, str]
) -> tuple[list[Step], list[str]]:
    """What is copied, and a line on each item that is not, which is no fault.

    `new` is what `apiary-carry look` says of the volumes, `versions` of which version the database files in them are.
    Raises OperationError with all that is in the way.
    """
    steps: list[Step] = []
    said: list[str] = []
    problems: list[str] = []
    for item in items:
        there, here = old[item], new[item.volume]
        come = here["in"] or {}
        is_ours = come.get("from") == wish.source
        if is_ours and come.get("state") == "placed" and not come.get("warm") and item.volume not in wish.over:
            said.append(f"{item}: was brought over for good; what is here now is newer, and is left alone")
            continue
        if not wish.final and any(is_database(user) and user.running for user in there.users):
            said.append(f"{item}: a database, whose files are whole only while it stands still; --final copies them")
            continue
        if not here["exists"]:
            problems.append(f"{item}: there is no volume {item.volume} on the new server")
        elif not here["empty"] and not is_ours and item.volume not in wish.over:
            problems.append(
                f"{item}: volume {item.volume} has data on the new server that did not come from {wish.source}; if "
                f"they are of no use, as what a first start makes: --over {item.volume} (they are put aside)"
            )
        if (has := versions.get(item.volume, "")) and there.version and has != there.version:
            problems.append(
                f"{item}: files of version {there.version}, and {has} is to read them; name an image of "
                f"{there.version} first, or copy by dump (docs/from-compose.md)"
            )
        again = is_ours and come.get("state") == "placed" and bool(come.get("warm"))
        stop = tuple(user.id for user in there.users if user.writes and user.running) if wish.final else ()
        steps.append(Step(item, there, again, stop))
    needed = sum(step.there.bytes - _there_already(new[step.item.volume], step) for step in steps)
    free = min((new[step.item.volume]["free"] for step in steps), default=0)
    if steps and needed > free * (1 - _SPARE):
        problems.append(f"{needed >> 20} MiB are to be copied, and there is room for {free >> 20} MiB; make room there")
    if problems:
        raise OperationError("nothing is copied:\n" + "\n".join(f"  {one}" for one in problems))
    return steps, said


def _there_already(here: Mapping[str, Any], step: Step) -> int:
    return int(here["bytes"] if step.again else here["received"])
