"""What a line of a restore comes to: which snapshots, in words that are shown before anything is touched."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, tzinfo

from apiary_backups import chosen
from apiary_backups.config import Config
from apiary_backups.errors import BackupsError
from apiary_backups.items import Item
from apiary_backups.journal import Wish
from apiary_backups.report import size
from apiary_backups.restic import Snapshot


@dataclass(frozen=True)
class Plan:
    """What a line comes to."""

    entries: list[Snapshot]
    told: list[str]
    beside: str = ""  # the other name that it gets


def planned(told: Config, snapshots: Sequence[Snapshot], wish: Wish, zone: tzinfo | None) -> Plan:
    """Which snapshots a line means. Raises BackupsError where there are none, or it can't be told."""
    wanted = chosen.items(told, {one.item for one in snapshots}, wish.what)
    if wish.to and len(wanted) != 1:
        those = ", ".join(map(chosen.shown, wanted)) or "none"
        raise BackupsError(f"TO={wish.to} is for one volume or one database, and this is {those}")
    plan = Plan([], [], wish.to)
    without: list[Item] = []
    for item in wanted:
        found = chosen.snapshot([one for one in snapshots if one.item == item], wish.at, zone)
        if found is None:
            without.append(item)
            continue
        plan.entries.append(found)
        plan.told.append(
            f"{chosen.shown(item)}: snapshot {found.id[:8]} of {dated(found.time.isoformat(), zone)}, "
            f"{size(found.bytes)}, made by {found.host}"
        )
        if not wish.at:
            plan.told.extend(chosen.ahead(snapshots, found, told.server))
    if not plan.entries:
        raise BackupsError(_none(snapshots, wanted, wish, zone))
    if without and wish.at and chosen.until(wish.at, zone) is None:
        names = ", ".join(chosen.shown(one.item) for one in plan.entries)
        raise BackupsError(f"snapshot {wish.at} is of {names} alone; write that as WHAT, or a moment as AT")
    plan.told.extend(f"{chosen.shown(item)}: nothing was saved by then; it stays as it is" for item in without)
    if wish.to in told.volumes and plan.entries[0].item.kind == "volume":
        # As of one that was renamed in the stack file.
        plan = Plan([replace(plan.entries[0], item=Item.volume(wish.to))], plan.told)
        plan.told.append(f"it takes the place of what is in {wish.to}")
    for name in wish.what:
        application = told.applications.get(name.removeprefix("application:"))
        plan.told.extend(
            f"{name}: its database on another server stays as it is; to put that back too: make restore WHAT={database}"
            for database in (application.elsewhere if application else ())
        )
    return plan


def _none(snapshots: Iterable[Snapshot], wanted: Sequence[Item], wish: Wish, zone: tzinfo | None) -> str:
    ours = [one for one in snapshots if one.item in wanted]
    if not ours:
        return "nothing was saved of it yet"
    if chosen.until(wish.at, zone) is None:
        those = ", ".join(map(chosen.shown, wanted))
        return f"no snapshot of {those} begins with {wish.at}; make backups ALL=1 lists them"
    oldest = min(ours, key=lambda one: one.time)
    return f"there is nothing as old as {wish.at}; the oldest snapshot is of {dated(oldest.time.isoformat(), zone)}"


def dated(time: str, zone: tzinfo | None) -> str:
    """A moment as it may be typed, in the server's time zone where none is said."""
    return datetime.fromisoformat(time).astimezone(zone).strftime("%Y-%m-%d %H:%M:%S %Z")


def running_on(told: Config, items: set[Item]) -> list[str]:
    """Who uses a database and can't be stopped from here, in words."""
    found = {
        who
        for name, server in told.databases.items()
        for database, who in server.used_from
        if Item.of_database(name, database) in items
    }
    return [
        f"runs on meanwhile, since this server has not started it: {who}; to close it to visitors first: "
        f"make maintenance APP={who}"
        for who in sorted(found)
    ]
