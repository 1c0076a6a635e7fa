"""Save all: each database as a dump, each volume as its files; then forget what is old.

One item's failure keeps no other from being saved. What is suspicious, because it is less than half of what it was or
a database without tables, is kept and told. A volume that is to be quiet is read once while all run, then they stop,
and what has changed is read again: the second snapshot is the one that is kept.
"""

from __future__ import annotations

import argparse
import contextlib
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import chain
from types import ModuleType

from apiary_backups import apart, docker, filling, items, lock, outcome, prune, quiet
from apiary_backups.config import Config, Volume
from apiary_backups.engines import BY_NAME
from apiary_backups.errors import FAILURES, BackupsError, told
from apiary_backups.items import Item, Record
from apiary_backups.journal import torn
from apiary_backups.report import say, size
from apiary_backups.repository import opened
from apiary_backups.restic import Restic, Saved

ENGINE_SECONDS = 60.0
READS = 2  # of a volume while all stand still, where somebody is started meanwhile


def arguments(parser: argparse.ArgumentParser) -> None:
    """What may be said with it."""
    parser.add_argument(
        "--only",
        nargs="+",
        metavar="ITEM",
        help="volumes, databases:APPLICATION, or single items as `list` names them",
    )
    parser.add_argument(
        "--final", action="store_true", help="the last one before this server goes: nothing old is forgotten meanwhile"
    )
    parser.add_argument("--anew", action="store_true", help="begin anew where the repository is gone")


def main(config: Config, options: argparse.Namespace) -> int:
    """Save all, or what is chosen. Raises BackupsError when nothing can be saved at all."""
    try:
        with _recorded(config, options.only) as records, lock.held("run"), _apart(config, options) as kept:
            status = run(config, options.only, records, is_final=options.final, is_anew=options.anew)
            kept.append(status == 0)
    except BackupsError as error:
        if not _is_given_up(config, options):
            raise
        say(str(error), is_bad=True)
        status = 1
    if status and _is_given_up(config, options):
        say(f"goes on without: servers.{config.server}.restore is false, so an empty start was asked for", is_bad=True)
        return 0
    return status


@contextlib.contextmanager
def _apart(config: Config, options: argparse.Namespace) -> Iterator[list[bool]]:
    """A database server whose last backup this is serves nobody from then on; all go on where it fails, or is none."""
    last = [name for name in config.databases if options.final and f"databases:{name}" in (options.only or ())]
    went_well: list[bool] = []
    try:
        if last:
            apart.cut(one for one in docker.containers(config.stack) if one.running and one.name in last)
        yield went_well
    finally:
        if not (last and any(went_well)):
            apart.mend()


def _is_given_up(config: Config, options: argparse.Namespace) -> bool:
    """Whether the data of a server that goes are not to come back anyway."""
    return bool(options.final) and not config.restore


@contextlib.contextmanager
def _recorded(config: Config, only: Sequence[str] | None) -> Iterator[list[Record]]:
    """Whatever ends a run, each item that it has not come to has a record of that: no other record of it would be
    there but the good one of before.
    """
    records: list[Record] = []
    try:
        yield records
    except BaseException as error:
        done = {one.item for one in records}
        for item in _known(config):
            if _is_chosen(item, only) and str(item) not in done:
                outcome.failed(item, told(error))
        _metrics()
        raise


def run(
    config: Config,
    only: Sequence[str] | None,
    records: list[Record],
    *,
    is_final: bool = False,
    is_anew: bool = False,
) -> int:
    """As `main`, with the lock held; `records` has what became of each item so far."""
    begun = time.monotonic()
    quiet.resume()
    between = {**filling.unfinished(config), **torn(config.server)}
    repository = opened(config, is_anew=is_anew)
    present = {one.id for one in repository.snapshots()}
    before = {one.item: one for one in items.saved_there() if one.snapshot not in present}
    for one in chain(
        (outcome.failed(item, error) for item, error in between.items() if _is_chosen(item, only)),
        _databases(config, repository, only, between),
        _volumes(config, repository, only, between),
    ):
        records.append(_vanished(one, before[one.item]) if one.item in before else one)
    bad = [one for one in records if one.status == "failed" or (one.status == "suspicious" and not is_final)]
    if only is None:
        items.drop_others([Item.parse(one.item) for one in records])
    forgotten = True
    if only is None and not is_final and not config.append_only:
        forgotten = _forget(config, repository, [one.snapshot for one in records if one.snapshot])
    is_told = _metrics()
    sent = sum(one.bytes_sent for one in records)
    good = sum(items.is_good(one.status) for one in records)
    say(f"{good} of {len(records)} saved in {time.monotonic() - begun:.0f} s, {size(sent)} sent to {repository.place}")
    return 0 if forgotten and not bad and (is_told or is_final) else 1


def _metrics() -> bool:
    try:
        items.write_metrics()
    except BackupsError as error:
        say(f"the monitor can't be told: {error}", is_bad=True)
        return False
    return True


def _known(config: Config) -> list[Item]:
    """What is to be saved, as far as it is known without asking a database server."""
    names = [Item.parse(record.item) for record in items.all_last()]
    return sorted({*names, *map(Item.volume, config.volumes), *map(Item.roles, config.databases)})


def _is_chosen(item: Item, only: Sequence[str] | None) -> bool:
    group = "volumes" if item.kind == "volume" else f"databases:{item.name}"
    return only is None or group in only or str(item) in only


def _vanished(record: Record, before: Record) -> Record:
    """Of an item whose last snapshot is gone from the repository, which no run does: told, by the next run once."""
    reason = (
        f"its snapshot {str(before.snapshot)[:8]} of {before.saved} is not in the repository any more, and was the "
        "last one: somebody has removed it, or the repository is another one"
    )
    say(f"{record.item}: {reason}", is_bad=True)
    if record.status == "failed":
        return outcome.noted(replace(record, snapshot=None, reason=f"{record.reason}; and {reason}"))
    return outcome.noted(replace(record, status="suspicious", reason="; ".join(filter(None, (record.reason, reason)))))


# --- databases


def _databases(
    config: Config, repository: Restic, only: Sequence[str] | None, between: Mapping[Item, BackupsError]
) -> Iterator[Record]:
    for application, server in config.databases.items():
        roles = Item.roles(application)
        known = [item for item in _known(config) if item.kind == "database" and item.name == application]
        known = [item for item in known if item not in between]
        if not any(_is_chosen(item, only) for item in (roles, *known)) and only is not None:
            named = [Item.parse(text) for text in only if text.startswith("database:")]
            if not any(item.name == application for item in named):
                continue
        if (error := between.get(roles)) and filling.is_unknown(roles):
            # Of these too; of the roles themselves it is told already.
            yield from (outcome.failed(item, error) for item in known if _is_chosen(item, only))
            if not _is_chosen(roles, only):
                yield outcome.failed(roles, error)
            continue
        engine = BY_NAME[server.engine]
        try:
            container = docker.running(config.stack, application).id
            engine.wait(container, ENGINE_SECONDS)
            found = [Item.of_database(application, name) for name in engine.databases(container)]
        except FAILURES as error:
            yield from (
                outcome.failed(item, told(error))
                for item in (roles, *known)
                if _is_chosen(item, only) and item not in between
            )
            continue
        if _is_chosen(roles, only) and roles not in between:
            gone = [item.database for item in known if item not in found and _is_kept(item)]
            saved = outcome.saved(roles, partial(repository.save_output, roles, engine.roles(container)))
            yield _without(config, saved, application, gone) if gone and saved.status == "ok" else saved
        for item in found:
            if _is_chosen(item, only) and item not in between:
                yield _dump(repository, engine, container, item)


def _is_kept(item: Item) -> bool:
    return bool((record := items.last(item)) and record.snapshot)


def _without(config: Config, record: Record, application: str, gone: Sequence[str]) -> Record:
    """Of a server that has databases no more: told once, and as less than the last time where the stack names them."""
    used = {name for one in config.applications.values() for server, name in one.databases if server == application}
    used |= {name for name, _ in config.databases[application].used_from}
    lines = ", ".join(f"make restore WHAT={config.server}:{application}/{name}" for name in gone)
    which = f"{', '.join(gone)} {'is' if len(gone) == 1 else 'are'}"
    reason = f"{which} there no more, and not saved from now on; if that was a mistake: {lines}"
    if is_bad := bool(used.intersection(gone)):
        record = outcome.noted(replace(record, status="suspicious", reason=reason))
    say(f"{record.item}: {reason}", is_bad=is_bad)
    return record


def _dump(repository: Restic, engine: ModuleType, container: str, item: Item) -> Record:
    doubt = ""
    with contextlib.suppress(BackupsError):  # the dump itself will say it
        doubt = "it has no tables any more" if engine.is_empty(container, item.database) else ""
    return outcome.saved(item, lambda: repository.save_output(item, engine.dump(container, item.database)), doubt)


# --- volumes


def _volumes(
    config: Config, repository: Restic, only: Sequence[str] | None, between: Mapping[Item, BackupsError]
) -> Iterator[Record]:
    chosen = {
        name: volume
        for name, volume in config.volumes.items()
        if _is_chosen(Item.volume(name), only) and Item.volume(name) not in between
    }
    for name, volume in chosen.items():
        if not volume.stop:
            yield outcome.saved(Item.volume(name), partial(_files, config, repository, name, volume))
    for who in sorted({volume.stop for volume in chosen.values() if volume.stop}):
        yield from _quiet(config, repository, who, [name for name, one in chosen.items() if one.stop == who])


def _files(config: Config, repository: Restic, name: str, volume: Volume) -> Saved:
    _before(config, volume)
    return repository.save_folder(Item.volume(name), docker.volume_path(name))


def _before(config: Config, volume: Volume) -> None:
    for application, command in volume.before:
        found = [one for one in docker.containers(config.stack) if one.running and one.name == application]
        if found:  # what does not run has nothing to write
            docker.execute(found[-1].id, *command, seconds=quiet.JOB_SECONDS)


def _quiet(config: Config, repository: Restic, who: tuple[str, ...], names: Sequence[str]) -> Iterator[Record]:
    """Volumes of which the same containers stand still: they do so once for all."""
    firsts: dict[str, str] = {}
    failed: dict[str, BackupsError] = {}
    is_running = any(one.running and one.name in who for one in docker.containers(config.stack))
    for name in names:
        try:
            _before(config, config.volumes[name])
            if is_running:
                draft = repository.save_folder(Item.volume(name), docker.volume_path(name), is_draft=True)
                firsts[name] = draft.snapshot
        except BackupsError as error:
            failed[name] = error
    yield from (outcome.failed(Item.volume(name), error) for name, error in failed.items())
    rest = [name for name in names if name not in failed]
    records: list[Record] = []
    begun = time.monotonic()
    try:
        with quiet.stopped(config, who):
            for name in rest:
                again = partial(_again, config, repository, who, name, firsts.get(name))
                records.append(outcome.saved(Item.volume(name), again))
        if rest and is_running:
            say(f"{', '.join(who)} stood still for {time.monotonic() - begun:.1f} s")
    except BackupsError as error:
        done = {record.item for record in records}
        say(str(error), is_bad=True)
        records += [outcome.failed(Item.volume(name), error) for name in rest if str(Item.volume(name)) not in done]
    yield from records


def _again(config: Config, repository: Restic, who: tuple[str, ...], name: str, first: str | None) -> Saved:
    for _ in range(READS):
        before = quiet.starts(config, who)
        saved = repository.save_folder(Item.volume(name), docker.volume_path(name), parent=first)
        if not (started := quiet.started_since(config, who, before)):
            return saved
        # What has ended already has left it as it is now.
        first = saved.snapshot
    who_was = f"{', '.join(started)} was started by its clock, or an update, while it was read"
    remedy = "where that comes again, set apiary:backups.when to another time"
    return replace(saved, doubt=f"{who_was}, so that it may be half-written; {remedy}")


def _forget(config: Config, repository: Restic, saved: Sequence[str]) -> bool:
    try:
        # By its date alone what was just saved may be older than all there is, and gone before it was of any use.
        prune.told_ahead(repository.forget(config.keep, saved))
    except BackupsError as error:
        say(f"what is old could not be removed: {error}", is_bad=True)
        return False
    return True
