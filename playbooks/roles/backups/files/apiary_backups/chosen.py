"""What a line of `restore` means: which items, and which snapshot of each.

Pure. Names are those of the stack file: a volume, an application with all it has, `postgres/shop` for a database, or
an item as `list` spells it. Moments are the server's: a day means the newest snapshot up to its end, a moment the
newest up to it, and anything else is the beginning of a snapshot's id.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta, tzinfo

from apiary_backups.config import Config
from apiary_backups.errors import BackupsError
from apiary_backups.items import Item
from apiary_backups.report import moment
from apiary_backups.restic import Snapshot

DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
MOMENT = re.compile(r"\d{4}-\d{2}-\d{2}[ T]\d{2}:\d{2}.*")
SECONDS = re.compile(r".{11}\d{2}:\d{2}:\d{2}")
ID = re.compile(r"[0-9a-f]{6,64}")


def items(config: Config, saved: Iterable[Item], what: Sequence[str]) -> list[Item]:
    """The items that are meant by `what`, sorted; all that the server has where it is empty. Raises BackupsError with
    the names there are.
    """
    known = sorted({one for one in saved if one.kind != "roles"})
    if not what:
        return [one for one in known if _belongs(config, one)]
    return sorted({item for name in what for item in _named(config, known, name)})


def _named(config: Config, known: list[Item], name: str) -> list[Item]:
    if ":" in name:
        kind, _, rest = name.partition(":")
        wanted = _of_application(config, known, rest) if kind == "application" else [Item.parse(name)]
    elif "/" in name:
        wanted = [Item.of_database(*name.split("/", 1))]
    else:
        own = _of_application(config, known, name)
        volume = Item.volume(name)
        if own and volume in known and own != [volume]:
            raise BackupsError(f"{name} is an application and a volume; write application:{name} or volume:{name}")
        wanted = own or [volume]
    if not wanted or any(one not in known for one in wanted):
        application = config.applications.get(name.removeprefix("application:"))
        if application and application.elsewhere:
            lines = ", ".join(f"make restore WHAT={database}" for database in application.elsewhere)
            raise BackupsError(f"nothing is saved here of {name!r}, whose database is on another server: {lines}")
        raise BackupsError(
            f"nothing is saved of {name!r}; there is: {', '.join(names(config, known)) or 'nothing at all'}"
        )
    return wanted


def _of_application(config: Config, known: list[Item], name: str) -> list[Item]:
    """All that an application has and that was ever saved."""
    if name in config.databases:
        return [one for one in known if (one.kind, one.name) == ("database", name)]
    application = config.applications.get(name)
    if application is None:
        return []
    wanted = {
        *map(Item.volume, application.volumes),
        *(Item.of_database(server, database) for server, database in application.databases),
    }
    return [one for one in known if one in wanted]


def _belongs(config: Config, item: Item) -> bool:
    return item.name in (config.volumes if item.kind == "volume" else config.databases)


def names(config: Config, known: Iterable[Item]) -> list[str]:
    """What may be written, for a person who wrote something else."""
    known = sorted(known)
    applications = [name for name in (*config.applications, *config.databases) if _of_application(config, known, name)]
    return [*sorted(set(applications)), *(shown(one) for one in known)]


def shown(item: Item) -> str:
    """An item as it may be written where the name is no application's too."""
    return f"{item.name}/{item.database}" if item.kind == "database" else str(item)


def snapshot(of: Sequence[Snapshot], at: str, zone: tzinfo | None) -> Snapshot | None:
    """Which of one item's snapshots is meant, the newest where nothing is said, but for what is dated later than now;
    None where there was none by then. Raises BackupsError where `at` can't be read.
    """
    ordered = sorted(of, key=lambda one: (not one.is_ahead, one.time))
    if not at:
        return ordered[-1] if ordered else None
    end = until(at, zone)
    if end is None:
        found = [one for one in ordered if one.id.startswith(at)]
        if len(found) > 1:
            raise BackupsError(f"{at} begins more than one snapshot's id; write more of it")
        return found[0] if found else None
    before = [one for one in ordered if one.time < end]
    return before[-1] if before else None


def ahead(of: Iterable[Snapshot], taken: Snapshot, server: str) -> list[str]:
    """What to know of snapshots that are dated later than now, where another one of theirs is taken for the newest."""
    return [
        f"{shown(one.item)}: snapshot {one.id[:8]} is dated {moment(one.time)}, later than now, by a clock that was "
        f"wrong, unless this server's is ({moment(datetime.now(UTC))}); it is not taken for the newest; to take it: "
        f"make restore WHAT={server}:{shown(one.item)} AT={one.id[:8]}"
        for one in of
        if one.is_ahead and one.item == taken.item and one != taken
    ]


def until(at: str, zone: tzinfo | None) -> datetime | None:
    """The moment before which a snapshot counts; None where `at` is the beginning of an id. Raises BackupsError."""
    try:
        if DAY.fullmatch(at):
            return _here(datetime.fromisoformat(at) + timedelta(days=1), zone)
        if MOMENT.fullmatch(at):
            moment = datetime.fromisoformat(at)
            # As it was said, whole: 14:30 has the snapshot of 14:30:20 in it.
            step = timedelta(seconds=1) if SECONDS.match(at) else timedelta(minutes=1)
            return _here(moment + step, zone)
    except ValueError:
        raise BackupsError(f"AT={at} is no moment; write 2026-11-20, 2026-11-20 14:30, or a snapshot's id") from None
    if ID.fullmatch(at):
        return None
    raise BackupsError(f"AT={at} is no moment; write 2026-11-20, 2026-11-20 14:30, or a snapshot's id")


def _here(moment: datetime, zone: tzinfo | None) -> datetime:
    if moment.tzinfo is not None:
        return moment
    # Without a zone of its own `astimezone` takes the server's, as it was on that day.
    return moment.replace(tzinfo=zone) if zone else moment.astimezone()
