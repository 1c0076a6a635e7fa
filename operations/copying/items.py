"""What is copied: volumes and folders of the old host, each into a named volume. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from operations.cli import OperationError
from settings.errors import did_you_mean

# What the new hive makes for itself; Bee2's own of these hold nothing that it could read.
MADE_HERE = frozenset({"accesslog", "awstats", "haproxycfg", "letsencrypt", "logs-web", "reports", "schedule"})
_VOLUME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]+")


@dataclass(frozen=True)
class Item:
    """A volume or a folder (which begins with a slash) of the old host, and the volume that gets it."""

    source: str
    volume: str

    @property
    def is_folder(self) -> bool:
        return self.source.startswith("/")

    def __str__(self) -> str:
        return self.source if self.source == self.volume else f"{self.source}={self.volume}"


def wanted(said: Sequence[str], old: Iterable[str], new: Iterable[str], project: str = "") -> list[Item]:
    """What is asked for, or, where nothing is said, every volume that both hosts have: `NAME`, or `PROJECT_NAME`.

    Raises OperationError, with all that can't be read.
    """
    there, here = list(old), list(new)
    if not said:
        names = {name: f"{project}_{name}" if project else name for name in here if name not in MADE_HERE}
        found = [Item(source, name) for name, source in sorted(names.items()) if source in there]
        if not found:
            raise OperationError(
                "the two hosts have no volume of one name; say which: OLD=NEW, /folder=NEW, or --project NAME for the "
                f"volumes of a compose project. There: {', '.join(sorted(there)) or 'none'}; "
                f"here: {', '.join(sorted(names)) or 'none'}"
            )
        return found
    problems: list[str] = []
    items = [_item(word, there, here, problems) for word in said]
    for volume in sorted({one.volume for one in items if sum(other.volume == one.volume for other in items) > 1}):
        problems.append(f"{volume} would get several; give each a volume of its own")
    if problems:
        raise OperationError("nothing is copied:\n" + "\n".join(f"  {one}" for one in problems))
    return items


def _item(word: str, old: Sequence[str], new: Sequence[str], problems: list[str]) -> Item:
    source, equals, volume = word.partition("=")
    volume = volume if equals else source
    if source.startswith("/"):
        source = source.rstrip("/")
        if not source or not equals:
            problems.append(f"{word}: name the volume that a folder becomes; write {source or '/srv/media'}=media")
    elif source not in old:
        problems.append(f"{word}: the old host has no volume {source}; {did_you_mean(source, old)}")
    if not volume.startswith("/") and volume not in new:
        known = did_you_mean(volume, new) if _VOLUME.fullmatch(volume) else "write OLD=NEW"
        problems.append(f"{word}: the new server has no volume {volume}; {known}")
    elif volume.startswith("/") and equals:
        problems.append(f"{word}: data come into named volumes; write a volume of that folder's application")
    return Item(source, volume)


@dataclass(frozen=True)
class User:
    """A container of the old host that has an item."""

    id: str
    name: str
    image: str
    running: bool
    writes: bool


def users(item: Item, inspected: Iterable[Mapping[str, object]]) -> list[User]:
    """The containers that have an item, from `docker container inspect`: by volume, or by a folder around or in it."""
    found = []
    for entry in inspected:
        mounts = entry.get("Mounts")
        own = [one for one in mounts if _is_of(item, one)] if isinstance(mounts, list) else []
        if own:
            state, config = entry.get("State"), entry.get("Config")
            found.append(
                User(
                    id=str(entry["Id"]),
                    name=str(entry["Name"]).lstrip("/"),
                    image=str(config.get("Image", "")) if isinstance(config, dict) else "",
                    running=bool(state.get("Running")) if isinstance(state, dict) else False,
                    writes=any(one.get("RW") for one in own),
                )
            )
    return found


def _is_of(item: Item, mount: Mapping[str, object]) -> bool:
    if not item.is_folder:
        return mount.get("Type") == "volume" and mount.get("Name") == item.source
    source = f"{mount.get('Source')}/"
    folder = f"{item.source}/"
    return mount.get("Type") == "bind" and (source.startswith(folder) or folder.startswith(source))


def is_database(user: User) -> bool:
    """Whether its files are whole only while it stands still, by the name of its image."""
    name = user.image.rpartition("/")[2].partition("@")[0].partition(":")[0]
    return bool(re.search(r"postgres|postgis|pgvector|timescale|mysql|mariadb|percona|mongo|redis|valkey", name))
