"""Which items are to be filled: written before it is known from what, gone when it is whole.

In between an item is empty, or half of what was saved. That must not become its newest snapshot, which the next fill
would take for all there was (`unfinished`, for `run`); and where a load was begun, what is there counts for nothing.

Of a database server it stands at its roles what is known of it: that it was not asked yet what it has, or that its
files were begun by the start that follows: then all that is in it, such as the tables of an init script, or of an
application that came before its data did, is less than a snapshot of before.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from apiary_backups import config as configuration
from apiary_backups import docker
from apiary_backups.config import Config, put
from apiary_backups.errors import BackupsError
from apiary_backups.items import Item

FOLDER = "loading"
# An empty file is a load that was begun, as versions before this one wrote it.
WAITS, BEGUN = "waits", ""
# Of roles. After FIRST come the inodes of its folders: what is carried there meanwhile has others.
ASKED, FIRST = "asked", "first"
# What a file system has by itself.
NO_DATA = frozenset({"lost+found"})


def has_data(place: Path) -> bool:
    """Whether there is anything in a volume."""
    return any(entry.name not in NO_DATA for entry in os.scandir(place))


def told(config: Config, before: Config | None) -> None:
    """A server is told of volumes and database servers that it has not known: those without files, and without a
    container that has them, or could elsewhere, are to be filled, before anything else is known of them. What it is
    told of no more, or is to begin empty, is not: what is written from now on is no half of anything. Raises
    BackupsError.
    """
    for item in _expected():
        if not (config.restore and _is_known(config, item)):
            end(item)
    volumes = config.volumes.keys() - (before.volumes if before else {}).keys()
    servers = config.databases.keys() - (before.databases if before else {}).keys()
    if not config.restore or not (volumes or servers):
        return
    for name in volumes:
        if not (has_data(docker.volume_path(name)) or docker.using(name, "--all")):
            expect([Item.volume(name)])
    begun = {one.name for one in docker.containers(config.stack) if one.kind == "applications"}
    for name in servers - begun:
        places = [docker.volume_path(volume) for volume in config.databases[name].volumes]
        folders = [folder for folder in map(Path, config.databases[name].folders) if folder.is_dir()]
        if places and not any(map(has_data, (*places, *folders))):
            put(_path(Item.roles(name)), _first(places))


def expect(items: Iterable[Item]) -> None:
    """These are to be filled. Raises BackupsError."""
    for item in items:
        if not is_expected(item):
            put(_path(item), WAITS)


def wait(roles: Item) -> None:
    """What a database server has to be filled is known, and written down. Raises BackupsError."""
    put(_path(roles), WAITS)


def begin(item: Item) -> None:
    """What is there from now on may be half of it, or counts for nothing. Raises BackupsError."""
    put(_path(item), BEGUN)


def end(item: Item) -> None:
    """It is whole, or is not to be filled any more."""
    _path(item).unlink(missing_ok=True)


def ask(roles: Item) -> None:
    """What a database server has is not known yet. Raises BackupsError."""
    if not is_expected(roles):
        put(_path(roles), ASKED)


def know(roles: Item, items: Iterable[Item], places: Sequence[Path]) -> bool:
    """What of a database server there is to fill is known from now on: whether a fill of it was begun before.
    Where its files were begun after the server was told of it, that is all of it. Raises BackupsError.
    """
    mark = _mark(roles)
    if mark is not None and places and mark == _first(places):
        for item in items:
            begin(item)
        wait(roles)
    return is_expected(roles) and not is_unknown(roles)


def chosen_by_hand(item: Item) -> None:
    """What is there now was put there by hand, and whatever else its database server has counts as data too. Raises
    BackupsError.
    """
    end(item)
    roles = Item.roles(item.name)
    if item.kind == "database" and is_unknown(roles):
        put(_path(roles), ASKED)


def is_expected(item: Item) -> bool:
    """Whether a fill of it has not come to its end."""
    return _path(item).exists()


def is_begun(item: Item) -> bool:
    """Whether a load of it broke off, or what is there counts for nothing."""
    return _mark(item) == BEGUN


def is_unknown(roles: Item) -> bool:
    """Whether it is not known yet which databases of a server are to be filled."""
    return _is_unknown(_mark(roles) or "")


def is_any_volume() -> bool:
    """Whether any volume is to be filled."""
    return any(item.kind == "volume" for item in _expected())


def forget(*, volumes: bool, server: str | None) -> None:
    """Nothing of the volumes, or of a database server, is to be filled any more."""
    for item in _expected():
        if item.kind == "volume" if volumes else item.name == server:
            end(item)


def forget_all() -> None:
    """Nothing at all is to be filled any more."""
    for item in _expected():
        end(item)


def unfinished(config: Config) -> dict[Item, BackupsError]:
    """What is to be filled and is not yet, with what to do about it; nothing where an empty start was asked for."""
    error = BackupsError(
        "its fill from the newest backup has not come to its end: what is there may be empty, or half of it; pulumi up "
        f"makes it anew from the backup, or set servers.{config.server}.restore to false for an empty start"
    )
    known = [item for item in _expected() if _is_known(config, item)]
    return dict.fromkeys(known if config.restore else [], error)


def _is_known(config: Config, item: Item) -> bool:
    return item.name in (config.volumes if item.kind == "volume" else config.databases)


def _first(places: Sequence[Path]) -> str:
    return " ".join([FIRST, *(str(place.stat().st_ino) for place in places)])


def _is_unknown(mark: str) -> bool:
    return mark.startswith((ASKED, FIRST))


def _mark(item: Item) -> str | None:
    try:
        return _path(item).read_text()
    except FileNotFoundError:
        return None


def _expected() -> list[Item]:
    return [Item.parse(path.name) for path in sorted((configuration.STATE / FOLDER).glob("[!.]*"))]


def _path(item: Item) -> Path:
    return configuration.STATE / FOLDER / str(item)
