"""Fill what is empty from the newest snapshots: volumes before their first container, databases before their users.

Never over what is there: a volume with anything in it and a database with a table are left as they are, and that is
said; but for what the first start of a database server on a new disk has made (filling.py). An empty volume that a
container had before is as that has left it, and who runs with one would write on into a folder that is gone. A volume
is written beside itself and takes its place as a whole. A database goes in by one transaction where its engine has
such; where it has not, what was begun and not finished is loaded anew. It is made anew for it, as it was: without a
table there may be half of a load in it, or what its image's first start has made. A repository that does not answer is
a failure: an empty start has to be asked for.
"""

from __future__ import annotations

import argparse
import os
import shutil
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from apiary_backups import apart, chosen, docker, filling, lock, quiet
from apiary_backups.config import Config
from apiary_backups.engines import BY_NAME
from apiary_backups.errors import BackupsError, UnreachableError
from apiary_backups.filling import has_data
from apiary_backups.items import Item
from apiary_backups.journal import torn
from apiary_backups.report import moment, say, size
from apiary_backups.repository import opened
from apiary_backups.restic import Restic, Snapshot
from apiary_backups.swap_volume import kept_folder

ENGINE_SECONDS = 120.0


def arguments(parser: argparse.ArgumentParser) -> None:
    """What may be said with it."""
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--volumes", action="store_true", help="all named volumes that are saved")
    what.add_argument("--databases", metavar="APPLICATION", help="all databases of a database server")
    parser.add_argument("--new", action="store_true", help="of the volumes only those that were not known before")


def main(config: Config, options: argparse.Namespace) -> int:
    """Raises BackupsError where something that is empty could not be filled."""
    apart.mend()
    if options.new and not filling.is_any_volume():
        return 0
    what = "volumes" if options.volumes else f"databases of {options.databases}"
    if not config.restore:
        # What the empty start has got since would be dropped as half of a load, when this is asked again.
        filling.forget(volumes=options.volumes, server=options.databases)
        say(f"{what}: not filled, as servers.{config.server}.restore says")
        return 0
    with lock.held("fill"):
        quiet.resume()
        for item, error in torn(config.server).items():
            if item.kind == "volume" if options.volumes else item.name == options.databases:
                raise error
        if options.volumes:
            volumes(config, is_new=options.new)
        else:
            databases(config, options.databases)
    return 0


def volumes(config: Config, *, is_new: bool = False) -> None:
    """Fill the volumes that are empty, or of these the new ones. Raises BackupsError."""
    items = [item for item in map(Item.volume, config.volumes) if not is_new or filling.is_expected(item)]
    had = {item for item in items if not filling.is_expected(item) and docker.using(item.name, "--all")}
    places = {item: docker.volume_path(item.name) for item in items}
    for item in places.keys() - had:
        _put_back(item, places[item])
    # Before the repository is asked, which may not answer: what is empty now is not to be saved until then.
    filling.expect(item for item, place in places.items() if item not in had and not has_data(place))
    repository = opened(config)
    snapshots = repository.snapshots()
    newest = {one.item: one for one in snapshots}
    failed: list[BackupsError] = []
    for item, place in places.items():
        if item not in newest:
            say(f"{item}: nothing was ever saved of it")
            if not has_data(place):
                _say_renamed(config, item, newest)
        elif has_data(place):
            say(f"{item}: there are data in it, which stay")
        elif item in had:
            say(
                f"{item}: is empty, and a container had it before, so that it stays; what was saved as of "
                f"{moment(newest[item].time)} comes back by: make restore WHAT={config.server}:{item}"
            )
        else:
            try:
                with _told(config, newest[item], snapshots):
                    put_in_place(repository, newest[item].id, place, partial(_nobody_has, config.server, item))
            except UnreachableError:
                raise
            except BackupsError as error:
                failed.append(error)
                continue
        filling.end(item)
    _raise(failed)


def _say_renamed(config: Config, item: Item, newest: Mapping[Item, Snapshot]) -> None:
    """What begins empty may be what was saved by another name."""
    known = {*config.volumes, *config.left_out} if item.kind == "volume" else config.databases
    gone = [one for one in sorted(newest) if one.kind == item.kind and one.name not in known]
    if not gone:
        return
    those = ", ".join(f"{one.name} (as of {moment(newest[one].time)})" for one in gone)
    restored = f"make restore WHAT={config.server}:"
    line = (
        f"{restored}volume:{gone[0].name} TO={item.name}"
        if item.kind == "volume"
        else f"renamed_from: {gone[0].name} in applications.{item.name}, pulumi up, {restored}{item.name}"
    )
    say(
        f"{item}: is empty; saved and in the stack file no more: {those}; where it is one of these by another "
        f"name: {line}"
    )


def _put_back(item: Item, place: Path) -> None:
    """What a restore on the server before this one had put aside takes the place of nothing."""
    if not has_data(place) and (kept := kept_folder(place)).is_dir():
        kept.rename(place)
        say(f"{item}: what a restore on the server before this one had put aside is there again")


def _nobody_has(server: str, item: Item) -> None:
    """Who runs with an empty volume would write on into the folder that is replaced. Raises BackupsError."""
    if running := docker.using(item.name):
        ids = " ".join(one[:12] for one in running)
        raise BackupsError(
            f"a container runs with it that came before its data; on {server}: docker stop {ids}; then pulumi up"
        )


def put_in_place(repository: Restic, snapshot: str, place: Path, last_look: Callable[[], None]) -> None:
    """Write a snapshot of a folder where that folder is, empty: beside it, then all at once, where nothing is raised
    by a `last_look`. Raises BackupsError.
    """
    beside = place.with_name(f".{place.name}.apiary-filling")
    shutil.rmtree(beside, ignore_errors=True)  # of a fill that was killed
    try:
        beside.mkdir(mode=0o700)
        whole = repository.restore(snapshot, beside)
        # Before the name: after a power cut it must not lead to files whose content never came to the disk.
        os.sync()
        last_look()
        whole.rename(place)
    except OSError as error:
        raise BackupsError(f"{place} could not be filled: {error.strerror}") from None
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def databases(config: Config, application: str) -> None:
    """Fill the databases of a server that are empty, its roles first. Raises BackupsError."""
    if application not in config.databases:
        say(f"databases of {application}: nothing is saved of them")
        return
    engine = BY_NAME[config.databases[application].engine]
    filling.ask(Item.roles(application))  # as above
    repository = opened(config)
    snapshots = repository.snapshots()
    newest = {one.item: one for one in snapshots}
    roles = newest.get(Item.roles(application))
    if roles is None:
        say(f"databases of {application}: nothing was ever saved of them")
        _say_renamed(config, Item.roles(application), newest)
        filling.forget(volumes=False, server=application)
        return
    content = repository.read(roles.id)
    wanted = served(engine.listed(content), roles, newest)
    container = docker.running(config.stack, application).id
    engine.wait(container, ENGINE_SECONDS)
    places = [docker.volume_path(volume) for volume in config.databases[application].volumes]
    was_begun = filling.know(roles.item, [snapshot.item for snapshot in wanted], places)
    empty = [snapshot for snapshot in wanted if _is_empty(engine.is_empty(container, snapshot.item.database), snapshot)]
    if not empty and not was_begun:
        filling.forget(volumes=False, server=application)
        return
    filling.expect(snapshot.item for snapshot in empty)
    filling.wait(roles.item)
    # Half of a load, or what an image's first start has made, such as a schema: a dump brings all of it.
    for snapshot in empty:
        engine.drop(container, snapshot.item.database)
    # Also the databases, as they were. Nobody can log in before all is there: an application of another server might
    # find no tables and make its own.
    engine.load_roles(container, content, logins=False)
    failed: list[BackupsError] = []
    for snapshot in empty:
        try:
            with _told(config, snapshot, snapshots):
                filling.begin(snapshot.item)
                engine.prepare(container, snapshot.item.database)
                repository.load(snapshot.id, engine.load(container, snapshot.item.database))
        except UnreachableError:
            raise
        except BackupsError as error:
            failed.append(error)
            continue
        filling.end(snapshot.item)
    _raise(failed)
    try:
        engine.load_roles(container, content, logins=True)
    except BackupsError as error:
        raise BackupsError(
            f"{roles.item} of {moment(roles.time)}: {error}; the databases themselves are whole; where another version "
            f"of the server refuses what that one had, go back to its image, or set servers.{config.server}.restore to "
            "false, which goes on with the accounts that the stack file has"
        ) from None
    filling.forget(volumes=False, server=application)
    say(f"{roles.item}: as of {moment(roles.time)}")


def served(listed: Collection[str], roles: Snapshot, newest: Mapping[Item, Snapshot]) -> list[Snapshot]:
    """The databases that a server had when it was saved last, by what its roles say: what was dropped before that is
    not brought back.
    """
    return [
        snapshot
        for item, snapshot in sorted(newest.items())
        if item.kind == "database"
        and item.name == roles.item.name
        and (item.database in listed or snapshot.time > roles.time)
    ]


def _is_empty(is_empty: bool, snapshot: Snapshot) -> bool:
    if filling.is_begun(snapshot.item) and not is_empty:
        say(f"{snapshot.item}: what is in it was made by a first start, or is half of a load, and gives way")
    if is_empty or filling.is_begun(snapshot.item):
        return True
    say(f"{snapshot.item}: there are data in it, which stay")
    return False


def _raise(failed: Sequence[BackupsError]) -> None:
    """One that can't be filled keeps no other from being, and is then said."""
    if failed:
        raise BackupsError("; ".join(map(str, failed)))


@contextmanager
def _told(config: Config, snapshot: Snapshot, others: Iterable[Snapshot]) -> Iterator[None]:
    """Say what came from when, or which it was that failed."""
    for line in chosen.ahead(others, snapshot, config.server):
        say(line)
    begun = time.monotonic()
    try:
        yield
    except BackupsError as error:
        which = f"{snapshot.item} of {moment(snapshot.time)} (snapshot {snapshot.id[:8]}): {error}"
        if isinstance(error, UnreachableError):
            raise UnreachableError(which) from None
        line = f"make restore WHAT={config.server}:{chosen.shown(snapshot.item)} AT=..."
        raise BackupsError(f"{which}; to take an older one, and then pulumi up: {line}") from None
    seconds = time.monotonic() - begun
    say(f"{snapshot.item}: {size(snapshot.bytes)} as of {moment(snapshot.time)}, in {seconds:.1f} s")
