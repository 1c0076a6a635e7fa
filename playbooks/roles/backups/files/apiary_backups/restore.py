"""What was saved, put back: in the place of what is there, or beside it under another name.

In place: all is fetched beside first, then what uses it is stopped in order, the two change places, all is started and
has to serve, through the proxy where it has sites; where it does not, what was there before comes back. How a volume or
a database is fetched and swapped is a `Swap` (swap_volume.py, swap_database.py).

Interrupted at any moment, the same line goes on (journal.py). Nothing else may be restored until then.
"""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import tzinfo
from pathlib import Path

from apiary_backups import chosen, docker, filling, lock, plan, quiet, serving
from apiary_backups.config import Config
from apiary_backups.errors import BackupsError
from apiary_backups.items import Item
from apiary_backups.journal import Book, Entry, Journal, Wish, carry_out
from apiary_backups.report import say, size
from apiary_backups.restic import Restic, Snapshot
from apiary_backups.swap_database import MysqlSwap, PostgresqlSwap
from apiary_backups.swap_volume import VolumeSwap

# Beyond what the snapshot itself takes.
SPARE_BYTES = 256 << 20
DATABASES: dict[str, type[PostgresqlSwap | MysqlSwap]] = {"postgresql": PostgresqlSwap, "mysql": MysqlSwap}
# How an item of one kind changes places with what was saved of it; each act may be repeated (journal.Acts).
Swap = VolumeSwap | PostgresqlSwap | MysqlSwap

Say = Callable[[str], None]


def arguments(parser: argparse.ArgumentParser) -> None:
    """What may be said with it."""
    parser.add_argument(
        "what",
        nargs="*",
        metavar="WHAT",
        help="volumes, databases as SERVER/NAME, applications with all they have; all of this server when left out",
    )
    parser.add_argument(
        "--at", default="", help="a day, a moment, or the beginning of a snapshot's id; else the newest"
    )
    parser.add_argument("--to", default="", help="another name: it is put beside what is there")
    parser.add_argument("--plan", action="store_true", help="only say what would be done")


def main(told: Config, options: argparse.Namespace) -> int:
    """Raises BackupsError where it is not done; then what was there before is there."""
    wish = Wish(tuple(options.what), options.at, options.to)
    if options.plan:
        for line in planned(told, wish):
            say(line)
        return 0
    with lock.held("restore"):
        quiet.resume()
        restore(told, wish)
    return 0


def planned(told: Config, wish: Wish, zone: tzinfo | None = None) -> list[str]:
    """What a line would do, in words. Raises BackupsError where it can't be done."""
    if (journal := Book().read()) and journal.wish == wish:
        return [f"the restore of {wish} was interrupted at {journal.phase}, and goes on"]
    acts = Restore(told, Restic(told))
    wanted = plan.planned(told, acts.restic.snapshots(), wish, zone)
    acts.check(wanted.entries, wanted.beside)
    if wanted.beside:
        return [*wanted.told, f"it becomes {wish.to}; nothing else is touched"]
    users = acts.users(tuple(acts.entry(one) for one in wanted.entries))
    still = ", ".join(user.partition(".")[2] for user in users)
    return [
        *wanted.told,
        f"stands still meanwhile: {still or 'nothing'}",
        *plan.running_on(told, {one.item for one in wanted.entries}),
        f"what is in {wish.to} is gone afterwards" if wish.to else "what was written since is gone afterwards",
    ]


def restore(told: Config, wish: Wish, say: Say = say, zone: tzinfo | None = None) -> None:
    """Carry out a line, or go on with it where it was interrupted. Raises BackupsError."""
    book = Book()
    journal = book.read()
    if journal and journal.wish != wish:
        raise BackupsError(
            f"a restore of {journal.wish} was interrupted, and comes first; it is finished or taken back by: "
            f"{journal.wish.line(told.server)}"
        )
    acts = Restore(told, Restic(told))
    if journal:
        say(f"going on with the restore of {wish}, interrupted at: {journal.phase}")
    else:
        wanted = plan.planned(told, acts.restic.snapshots(), wish, zone)
        for line in wanted.told:
            say(line)
        acts.check(wanted.entries, wanted.beside)
        journal = book.write(Journal(wish, "fetch", tuple(acts.entry(one) for one in wanted.entries)))
    if _is_beside(wish, [Item.parse(entry.item) for entry in journal.entries]):
        _beside(journal, acts, book)
    else:
        carry_out(journal, acts, book, say)
    for entry in journal.entries:
        name = wish.to or chosen.shown(Item.parse(entry.item))
        say(f"{name}: as of {plan.dated(entry.time, zone)}, from snapshot {entry.snapshot[:8]}")


def _is_beside(wish: Wish, items: Sequence[Item]) -> bool:
    """Whether it gets another name; what was saved of a volume may also take the place of another one."""
    return bool(wish.to) and Item.volume(wish.to) not in items


def _beside(journal: Journal, acts: Restore, book: Book) -> None:
    [entry] = journal.entries
    try:
        # What an interrupted attempt has made: nothing of that name was there before it.
        acts.remove_beside(entry, journal.wish.to)
        acts.put_beside(entry, journal.wish.to)
    except BackupsError:
        acts.remove_beside(entry, journal.wish.to)
        book.close()
        raise
    book.close()


@dataclass(frozen=True)
class Restore:
    """The acts of a restore on this server (journal.Acts)."""

    told: Config
    restic: Restic

    def entry(self, snapshot: Snapshot) -> Entry:
        """What the journal keeps of a snapshot that is to be put back."""
        path = ""
        if snapshot.item.kind == "volume" and snapshot.item.name in docker.volume_names():
            path = str(docker.volume_path(snapshot.item.name))
        return Entry(str(snapshot.item), snapshot.id, snapshot.time.isoformat(), path)

    # --- before anything is touched

    def check(self, snapshots: Sequence[Snapshot], to: str) -> None:
        """All that can be known beforehand. Raises BackupsError."""
        self._check_servers({one.item for one in snapshots}, to)
        needed: dict[Path, int] = {}
        for one in snapshots:
            place, count = self._swap(one.item).check(one, to)
            needed[place] = needed.get(place, 0) + count
        # By file system, since two places may share one.
        by_device: dict[int, tuple[Path, int]] = {}
        for place, count in needed.items():
            device = place.stat().st_dev
            by_device[device] = (place, by_device.get(device, (place, 0))[1] + count)
        for place, count in by_device.values():
            free = shutil.disk_usage(place).free
            if free < count + SPARE_BYTES:
                raise BackupsError(
                    f"{place} has {size(free)} free, and this takes {size(count + SPARE_BYTES)} beside what is there;"
                    " make room, or restore less at a time"
                )

    def _check_servers(self, wanted: set[Item], to: str) -> None:
        """A server that loads a database can't stand still for one of its volumes."""
        loading = {item.name for item in wanted if item.kind == "database"}
        for one in docker.containers(self.told.stack) if loading and not to else ():
            held = [volume for volume in (*one.volumes, *one.read) if Item.volume(volume) in wanted]
            if one.kind == "applications" and one.name in loading and held:
                raise BackupsError(
                    f"{one.name} stands still while its volume {held[0]} is restored, and can load no database then; "
                    f"restore one after the other, first WHAT=...:volume:{held[0]}"
                )

    # --- what is put back

    def put_beside(self, entry: Entry, to: str) -> None:
        """Restore into a volume or a database that is not there yet. Raises BackupsError."""
        self._of(entry).put_beside(entry, to)

    def remove_beside(self, entry: Entry, to: str) -> None:
        """Remove such a volume or database, as far as it came. Raises BackupsError."""
        self._of(entry).remove_beside(entry, to)

    def fetch(self, entry: Entry) -> None:
        """Put what was saved beside what is there."""
        self.discard(entry)
        self._of(entry).fetch(entry)

    def discard(self, entry: Entry) -> None:
        """Remove what lies beside."""
        self._of(entry).discard(entry)

    def swap(self, entry: Entry) -> None:
        """What was fetched takes the place of what is there, which is kept."""
        self._of(entry).swap(entry)

    def swap_back(self, entry: Entry) -> None:
        """What is kept takes its place again."""
        self._of(entry).swap_back(entry)

    def remove_kept(self, entry: Entry) -> None:
        """Remove what was there before."""
        self._of(entry).remove_kept(entry)
        # A fill that broke off before would take what is written from now on for half of its load.
        filling.chosen_by_hand(Item.parse(entry.item))

    def _of(self, entry: Entry) -> Swap:
        return self._swap(Item.parse(entry.item))

    def _swap(self, item: Item) -> Swap:
        if item.kind == "volume":
            return VolumeSwap(self.told, self.restic)
        if item.name not in self.told.databases:
            known = ", ".join(self.told.databases) or "none"
            raise BackupsError(
                f"{item.name} is no database server of this stack file any more; there are: {known}; where it is one "
                f"of these by another name, write renamed_from: {item.name} there, and pulumi up"
            )
        return DATABASES[self.told.databases[item.name].engine](self.told, self.restic)

    # --- who uses it

    def users(self, entries: tuple[Entry, ...]) -> tuple[str, ...]:
        """Who uses what is to be swapped, in the order of starting: those that run, and each application."""
        found = [Item.parse(entry.item) for entry in entries]
        volumes = {item.name for item in found if item.kind == "volume"}
        databases = {(item.name, item.database) for item in found if item.kind == "database"}
        clients = {
            ("applications", name) for name, one in self.told.applications.items() if databases & {*one.databases}
        }
        clients |= {("jobs", name) for name, used in self.told.jobs.items() if databases & {*used}}
        using = [
            one
            for one in docker.containers(self.told.stack)
            if (volumes & {*one.volumes, *one.read} or (one.kind, one.name) in clients)
            and (one.running or one.kind == "applications")
        ]
        return tuple(dict.fromkeys(f"{one.kind}.{one.name}" for one in docker.ordered(using, self.told.order)))

    def stop(self, users: tuple[str, ...]) -> tuple[str, ...]:
        """Stop every container of these, also what an interrupted release has left beside the newest."""
        stopped = docker.stop(
            [one for one in docker.containers(self.told.stack) if f"{one.kind}.{one.name}" in users],
            self.told.order,
        )
        return tuple(dict.fromkeys(one.name for one in stopped))

    def held(self, entries: tuple[Entry, ...]) -> tuple[str, ...]:
        """Who runs with a volume that is to be swapped, whoever started it."""
        items = [Item.parse(entry.item) for entry in entries]
        found = [one for item in items if item.kind == "volume" for one in docker.holders(self.told.stack, item.name)]
        return tuple(dict.fromkeys(found))

    def start(self, users: tuple[str, ...]) -> None:
        """Start the newest container of each."""
        docker.start(self._newest(users), self.told.order)

    def _newest(self, users: tuple[str, ...]) -> list[docker.Container]:
        found = {f"{one.kind}.{one.name}": one for one in docker.containers(self.told.stack)}
        return docker.ordered([found[user] for user in users if user in found], self.told.order)

    def prove(self, users: tuple[str, ...]) -> None:
        """Each application is healthy by its own rule, and each of its domains answers through the proxy."""
        serving.prove(self._newest(users))
