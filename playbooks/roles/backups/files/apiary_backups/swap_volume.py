"""A volume that is restored: its files lie beside those that are there, and change places by two renames."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from apiary_backups import docker
from apiary_backups.config import Config
from apiary_backups.errors import BackupsError
from apiary_backups.files import moved, removed
from apiary_backups.items import Item
from apiary_backups.journal import Entry
from apiary_backups.restic import Restic, Snapshot

LABEL = "apiary.restored"
PROC = Path("/proc")


@dataclass(frozen=True)
class VolumeSwap:
    """The acts of a restore on a volume (restore.py)."""

    told: Config
    restic: Restic

    def check(self, snapshot: Snapshot, to: str) -> tuple[Path, int]:
        """Where how many bytes will lie beside what is there. Raises BackupsError where that can't be."""
        name, present = snapshot.item.name, docker.volume_names()
        if to:
            if to in present:
                raise BackupsError(
                    f"there is a volume {to} already; name another one, or leave TO= out to replace {name}"
                )
            return docker.folder(), snapshot.bytes
        if name not in present:
            raise BackupsError(
                f"there is no volume {name} on this server; pulumi up makes it, or TO=NAME restores into a new one, or "
                "in the place of another one of this stack file"
            )
        path = docker.volume_path(name)
        if path.stat().st_dev != path.parent.stat().st_dev:
            raise BackupsError(
                f"the files of volume {name} are a file system of their own ({path}), which can't be renamed; restore "
                "into another volume with TO=, and copy"
            )
        strangers = self._strangers(name)
        if strangers:
            raise BackupsError(f"{', '.join(strangers)}, no part of this stack, use volume {name}; stop them first")
        return path.parent, snapshot.bytes

    def _strangers(self, volume: str) -> list[str]:
        ours = {one.id for one in docker.containers(self.told.stack)}
        return [one[:12] for one in docker.using(volume) if one not in ours]

    def put_beside(self, entry: Entry, to: str) -> None:
        """Restore into a volume that is not there yet. Raises BackupsError."""
        docker.call("volume", "create", "--label", f"{LABEL}={entry.snapshot}", to)
        path = docker.volume_path(to)
        self._fetch(entry.snapshot, path)
        os.replace(_fresh(path, entry.snapshot), path)

    def remove_beside(self, _: Entry, to: str) -> None:
        """Remove such a volume, as far as it came. Raises BackupsError."""
        if to in docker.volume_names():
            docker.call("volume", "rm", to)

    def fetch(self, entry: Entry) -> None:
        """Put what was saved beside what is there."""
        self._fetch(entry.snapshot, Path(entry.path))

    def _fetch(self, snapshot: str, path: Path) -> None:
        part = _part(path)
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(mode=0o700)
        found = self.restic.restore(snapshot, part)
        os.sync()
        os.replace(found, _fresh(path, snapshot))
        part.rmdir()

    def discard(self, entry: Entry) -> None:
        """Remove what lies beside."""
        path = Path(entry.path)
        for beside in (_part(path), _fresh(path, entry.snapshot)):
            removed(beside)

    def swap(self, entry: Entry) -> None:
        """What was fetched takes the place of what is there, which is kept."""
        path = Path(entry.path)
        fresh, kept = _fresh(path, entry.snapshot), kept_folder(path)
        if fresh.exists():
            self._nobody_has(entry)
            if not kept.exists():
                moved(path, kept)
            # Over an empty folder too, which Docker may have made there meanwhile.
            moved(fresh, path)
        elif not kept.exists():
            raise BackupsError(f"{fresh} is gone, which was to become volume {Item.parse(entry.item).name}")

    def swap_back(self, entry: Entry) -> None:
        """What is kept takes its place again."""
        path, kept = Path(entry.path), kept_folder(Path(entry.path))
        if kept.exists():
            self._nobody_has(entry)
            fresh = _fresh(path, entry.snapshot)
            if path.exists() and not fresh.exists():
                moved(path, fresh)
            moved(kept, path)

    def remove_kept(self, entry: Entry) -> None:
        """Remove what was there before. Raises BackupsError where somebody runs with it."""
        kept = kept_folder(Path(entry.path))
        if processes := mounting(kept):
            raise BackupsError(
                f"processes {', '.join(processes)} have {kept} mounted, which was there before and is to be removed: "
                "their container was started while the two changed places; docker restart it (docker ps), and say the "
                "same line again"
            )
        removed(kept)

    def _nobody_has(self, entry: Entry) -> None:
        """Who runs would write on into a folder that is put aside, and removed in the end. Raises BackupsError."""
        name = Item.parse(entry.item).name
        if held := docker.holders(self.told.stack, name):
            raise BackupsError(f"{', '.join(held)} runs with volume {name}, started meanwhile; stop it first")


def mounting(folder: Path) -> list[str]:
    """The processes that have a folder mounted, by whatever name that had when they began: the kernel follows it."""
    tail = f"/{folder.parent.name}/{folder.name}/"
    found = []
    for place in PROC.glob("[0-9]*/mountinfo"):
        try:
            lines = place.read_text().splitlines()
        except OSError:
            continue  # it has ended
        if any(tail in f"{line.split()[3]}/" for line in lines if len(line.split()) > 3):
            found.append(place.parent.name)
    return sorted(found, key=int)


def kept_folder(path: Path) -> Path:
    """Where the files of a volume are kept until the restored ones serve."""
    return path.with_name(f".{path.name}.apiary-kept")


def _part(path: Path) -> Path:
    return path.with_name(f".{path.name}.apiary-part")


def _fresh(path: Path, snapshot: str) -> Path:
    return path.with_name(f".{path.name}.apiary-fresh-{snapshot[:12]}")
