"""Which items are being filled: written before the first one is touched, gone when it is whole.

In between an item is empty, or half of what was saved. That must not become its newest snapshot, which the next fill
would take for all there was (`unfinished`, for `run`); and where a load was begun, what is there counts for nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from apiary_backups import config as configuration
from apiary_backups.config import Config, put
from apiary_backups.errors import BackupsError
from apiary_backups.items import Item

FOLDER = "loading"
# An empty file is a load that was begun, as versions before this one wrote it.
WAITS, BEGUN = "waits", ""


def expect(items: Iterable[Item]) -> None:
    """These are to be filled. Raises BackupsError."""
    for item in items:
        if not is_expected(item):
            put(_path(item), WAITS)


def begin(item: Item) -> None:
    """What is there from now on may be half of it. Raises BackupsError."""
    put(_path(item), BEGUN)


def end(item: Item) -> None:
    """It is whole, or is not to be filled any more."""
    _path(item).unlink(missing_ok=True)


def is_expected(item: Item) -> bool:
    """Whether a fill of it has not come to its end."""
    return _path(item).exists()


def is_begun(item: Item) -> bool:
    """Whether a load of it broke off."""
    return is_expected(item) and _path(item).read_text() == BEGUN


def forget(*, volumes: bool, server: str | None) -> None:
    """Nothing of the volumes, or of a database server, is to be filled any more."""
    for item in _expected():
        if item.kind == "volume" if volumes else item.name == server:
            end(item)


def unfinished(config: Config) -> dict[Item, BackupsError]:
    """What is to be filled and is not yet, with what to do about it; nothing where an empty start was asked for."""
    error = BackupsError(
        "its fill from the newest backup has not come to its end: what is there may be empty, or half of it; pulumi up "
        f"makes it anew from the backup, or set servers.{config.server}.restore to false for an empty start"
    )
    saved = {"volume": config.volumes}
    known = [item for item in _expected() if item.name in saved.get(item.kind, config.databases)]
    return dict.fromkeys(known if config.restore else [], error)


def _expected() -> list[Item]:
    return [Item.parse(path.name) for path in sorted((configuration.STATE / FOLDER).glob("[!.]*"))]


def _path(item: Item) -> Path:
    return configuration.STATE / FOLDER / str(item)
