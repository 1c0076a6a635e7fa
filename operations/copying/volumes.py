"""Volumes and folders from an old host into volumes of a server, by rsync between the two, joined on this machine.

Warm, while all goes on there: as often as wanted; the new containers stand still for a moment when the files become
theirs. With `final` the old writers are stopped first, and what was copied is compared by count and checksum before the
new containers see it. Cut off at any moment, the same line goes on from what has come. Leaves alone: the old files.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import ExitStack

from operations.carry import TOOL, CarryError, Place, say, standing
from operations.copying import items, quiet
from operations.copying.items import Item
from operations.copying.plan import Step, There, Wish

# Entries of all kinds counted; names, kinds, modes, owners and links; the bytes of files. lost+found is a disk's own.
DIGEST = r"""
cd "$0" || exit; export LC_ALL=C
all() { find . -path ./lost+found -prune -o "$@"; }
all -printf x | wc -c
all -printf '%y %m %U %G %P %l\0' | sort -z | sha256sum
all -type f -print0 | sort -z | xargs -0 -r sha256sum --binary | sha256sum
"""
_VERSION = r"""
for file in "$0"/PG_VERSION "$0"/*/PG_VERSION "$0"/*/*/PG_VERSION; do
  if [ -f "$file" ]; then echo "PostgreSQL $(cat "$file")"; exit; fi
done
for file in "$0"/mariadb_upgrade_info "$0"/mysql_upgrade_info; do
  if [ -f "$file" ]; then tr -d '\0' < "$file" | sed -E 's/^([0-9]+\.[0-9]+).*/MySQL or MariaDB \1/'; exit; fi
done
"""
# What the sending end may be told: as apiary-carry has it.
_SENT = re.compile(r"-[A-Za-z.]+[A-Za-z0-9.]*|--(delete|delete-[a-z]+|numeric-ids|sparse|acls|xattrs|hard-links)")


def names(place: Place) -> list[str]:
    """The volumes of a host. Raises CarryError."""
    return place.ask("docker", "volume", "ls", "--quiet").split()


def check(old: Place) -> None:
    """See that the old host can be read. Raises CarryError with what to do there."""
    found = old.ask("sh", "-c", "id -u; command -v rsync || true; command -v docker || true").split()
    if found[:1] != ["0"]:
        raise CarryError(f"{old.server}: files of containers are read by root alone; log in as root")
    for program in ("rsync", "docker"):
        if not any(word.endswith(f"/{program}") for word in found[1:]):
            raise CarryError(f"{old.server} has no {program}; install it there (apt-get install {program})")


def look(old: Place, wanted: Sequence[Item]) -> dict[Item, There]:
    """What each item is on the old host. Raises CarryError, also for what is not there."""
    inspected = _containers(old)
    found = {}
    for item in wanted:
        path = item.source
        if not item.is_folder:
            path = str(json.loads(old.ask("docker", "volume", "inspect", item.source))[0]["Mountpoint"])
        size = old.ask("sh", "-c", 'test -d "$0" && du -s -B1 "$0" | cut -f 1 || true', path).strip()
        if not size:
            raise CarryError(f"{item}: there is no folder {path} on {old.server}; copy its name from there")
        users = tuple(items.users(item, inspected))
        found[item] = There(path, int(size), users, version(old, path))
    return found


def _containers(old: Place) -> list[Mapping[str, object]]:
    ids = old.ask("docker", "ps", "--all", "--quiet", "--no-trunc").split()
    found: list[Mapping[str, object]] = json.loads(old.ask("docker", "container", "inspect", *ids)) if ids else []
    return found


def version(place: Place, path: str) -> str:
    """Of which database server's version the files are; empty where they are none."""
    return place.ask("sh", "-c", _VERSION, path).strip()


def copy(old: Place, new: Place, wish: Wish, steps: Sequence[Step]) -> None:
    """Copy them all. Raises CarryError; then the old containers run as before, and the new ones too."""
    id_ = secrets.token_hex(8)
    new.ask(TOOL, "rsync")
    since = float(old.ask("date", "+%s"))
    fresh = [step for step in steps if not step.again and not any(map(items.is_database, step.there.users))]
    for step in fresh:
        say(f"{step.item}: {step.there.bytes >> 20} MiB from {old.server}, while it is used")
        _receive(old, new, step, id_, wish, since=since)
    volumes = [step.item.volume for step in steps]
    with ExitStack() as held:
        commit = held.enter_context(standing(new, {"volumes": volumes}, "rest"))
        new.ask(TOOL, "back", said=json.dumps({"volumes": [step.item.volume for step in steps if step.again]}))
        stopped = _stop(old, new, steps)
        try:
            for step in steps:
                if wish.final or step not in fresh:
                    _receive(old, new, step, id_, wish, since=since, is_last=wish.final)
                if wish.final:
                    compare(old, new, step)
            _still(old, steps, stopped)
        except BaseException:
            _start(old, new, stopped)
            raise
        try:
            new.ask(TOOL, "place", said=json.dumps({"id": id_, "volumes": volumes, "rest": True}))
        except CarryError as error:
            # Some may be in their places, so that both sides would write.
            left = f"; on {old.server} all is left as it stands: say the same line again, or --back" if stopped else ""
            raise CarryError(f"{error}{left}") from error
        commit()
    for step in steps:
        say(f"{step.item}: on {new.server}" + (", for good" if wish.final else "; say it again, then with --final"))


def _stop(old: Place, new: Place, steps: Sequence[Step]) -> list[str]:
    """Stop what writes on the old host; the ids of what ran."""
    ids = {user.id: user.name for step in steps for user in step.there.users if user.id in step.stop}
    if ids:
        quiet.stop(old, new, ids)
    return sorted(ids)


def _start(old: Place, new: Place, stopped: Sequence[str]) -> None:
    if stopped:
        say(f"started again on {old.server}, since it was not copied whole")
        quiet.start(old, new, stopped)


def _still(old: Place, steps: Sequence[Step], stopped: Sequence[str]) -> None:
    """Nothing has begun to write meanwhile. Raises CarryError."""
    if not stopped:
        return
    now = _containers(old)
    for step in steps:
        for user in items.users(step.item, now):
            if user.running and user.writes:
                raise CarryError(f"{user.name} has begun to write to {step.item} meanwhile; stop it, say it again")


def compare(old: Place, new: Place, step: Step) -> None:
    """Count and checksum of both sides, before anybody here sees it. Raises CarryError where they differ."""
    beside = new.ask(TOOL, "where", step.item.volume).splitlines()[1]
    was, has = (place.ask("sh", "-c", DIGEST, path) for place, path in ((old, step.there.path), (new, beside)))
    if was != has or len(was.split()) < 3:
        raise CarryError(
            f"{step.item} is not here as it is there ({' '.join(was.split())} and {' '.join(has.split())}): "
            "something writes to it still. Say it again"
        )
    say(f"{step.item}: {was.split()[0]} entries, checksums equal")


def _receive(old: Place, new: Place, step: Step, id_: str, wish: Wish, *, since: float, is_last: bool = False) -> None:
    """rsync, the receiving end by apiary-carry, the sending one by rsync alone, joined here. Raises CarryError."""
    volume = step.item.volume
    options = ["--last"] if is_last else ["--warm", f"--since={since:.3f}"]
    receiving = subprocess.Popen(
        new.command(TOOL, "receive", volume, "--id", id_, "--from", wish.source, *options),
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    assert receiving.stdin is not None  # noqa: S101 - pipes
    assert receiving.stdout is not None  # noqa: S101
    status = 1
    try:
        words = _options(receiving.stdout.fileno())
        if words:
            sending = subprocess.Popen(
                old.command(*words[:-1], f"{step.there.path}/"), stdin=receiving.stdout, stdout=receiving.stdin
            )
            receiving.stdin.close()
            receiving.stdout.close()
            status = sending.wait()
    finally:
        receiving.stdin.close()
        received = receiving.wait()
    if received != 0 or (is_last and status != 0):
        raise CarryError(f"{step.item} could not be copied (above); say it again, it goes on from what has come")


def _options(descriptor: int) -> list[str]:
    """What the receiving end wants of the other one: the first line, of which not a byte more is read."""
    line = b""
    while not line.endswith(b"\n"):
        byte = os.read(descriptor, 1)
        if not byte:
            return []  # it has said why
        line += byte
    words = [str(word) for word in json.loads(line)]
    if words[:3] != ["rsync", "--server", "--sender"] or words[-2] != "." or not all(map(_SENT.fullmatch, words[3:-2])):
        raise CarryError(f"the new server asks for something else than a copy: {words}")
    return words
