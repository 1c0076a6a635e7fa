"""`python -m operations.carry`: a container's volumes follow it to another server, run by the engine.

Standard input says where the container belongs now, PULUMI_COMMAND_STDOUT, what this printed the last time, where its
volumes were then; standard output says where they are. Where that is the same server nothing is done. Else, while the
application serves, its volumes are copied from host to host, through this machine; then all that writes to them stands
still, what has changed is copied, and the containers on the old host go. Cut off at any moment, what stood still runs
again there, and the same line finishes it. Without anything said of the last time, the container is looked for on the
other servers. Exit status 1 and a line on why: then the old server serves as before.

Leaves alone: the files on the old host, and whatever on the new one is not known to be a copy. Standard library alone,
since it is started for every container that has a volume (components/carried.py).
"""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import shlex
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

BEFORE = "PULUMI_COMMAND_STDOUT"
OTHERS = "APIARY_OTHERS"  # the other servers of the stack, where a container that nothing is known of may be
CONNECT_SECONDS = 10
ASK_SECONDS = 900.0  # rsync may have to be installed
FIND_SECONDS = 20.0  # until a server that does not answer is given up: of a new hive one may not be there yet
HEARTBEAT_SECONDS = 5.0
SPARE = 0.05  # of the room for what is carried
TOOL = "/usr/local/sbin/apiary-carry"
# What stands still is started again, also where that process is killed.
HOLD = ("systemd-run", "--quiet", "--pipe", "--wait", "--collect", f"--property=ExecStopPost={TOOL} resume", TOOL)


class CarryError(Exception):
    """What could not be done; the message says why and what to do."""


class UnreachableError(CarryError):
    """A server does not answer."""


@dataclass(frozen=True)
class Place:
    """Where a container's volumes are: the output of this program, and so what the next run is told."""

    server: str
    instance: str  # Vultr's id
    host: str  # IPv4 address
    ssh: tuple[str, ...]  # options for `ssh`, the pinned host key and the stack's own key among them

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> Place:
        """From JSON. Raises KeyError."""
        return cls(told["server"], told["instance"], told["host"], tuple(told["ssh"]))

    def command(self, *words: str) -> list[str]:
        """The words that run a command there."""
        return [
            "ssh", "-T", *self.ssh, "-o", f"ConnectTimeout={CONNECT_SECONDS}", "-o", "ControlPath=none",
            "-o", "LogLevel=ERROR", f"root@{self.host}", shlex.join(words),
        ]  # fmt: skip

    def ask(self, *words: str, said: str = "", seconds: float = ASK_SECONDS) -> str:
        """What a command prints there. Raises CarryError with what it said, UnreachableError where nobody answers."""
        try:
            done = subprocess.run(
                self.command(*words), check=False, capture_output=True, text=True, input=said, timeout=seconds
            )
        except subprocess.TimeoutExpired:
            raise UnreachableError(f"server {self.server} has not answered within {seconds:.0f} s") from None
        if done.returncode == 255:
            raise UnreachableError(f"server {self.server} does not answer: {done.stderr.strip()}")
        if done.returncode == 127 and TOOL in words:
            raise CarryError(f"server {self.server} was made ready by an older version; run this again")
        if done.returncode != 0:
            raise CarryError(f"server {self.server}: {done.stderr.strip()}")
        if done.stderr.strip():
            say(done.stderr.strip())
        return done.stdout


@dataclass(frozen=True)
class Wish:
    """What the stack file wants of one container."""

    stack: str  # as in the label `apiary.stack`
    names: tuple[str, ...]  # `applications.shop`, and what it was called before
    here: Place
    volumes: tuple[str, ...]
    folders: tuple[str, ...]  # of the server, made where they are not there
    placed: Mapping[str, str]  # of every container that has a volume of these names: its server

    @classmethod
    def parse(cls, text: str) -> Wish:
        """Read standard input. Raises ValueError, KeyError."""
        told = json.loads(text)
        return cls(
            stack=told["stack"],
            names=tuple(told["names"]),
            here=Place.of(told["here"]),
            volumes=tuple(told["volumes"]),
            folders=tuple(told["folders"]),
            placed=told["placed"],
        )


@dataclass(frozen=True)
class Step:
    """What is to be done with one volume."""

    volume: str
    what: str  # `copy`, `place` (it has left the old host, and is not in its place yet), or `nothing`
    id: str = ""  # of the copy that is to be put in its place
    stop: tuple[str, ...] = ()  # ids of the containers on the old host that write to it


def say(text: str) -> None:
    """One line of progress. Standard output is for the engine."""
    print(text, file=sys.stderr, flush=True)


# What is to be done: pure


def plan(wish: Wish, source: Place, old: Mapping[str, Any], new: Mapping[str, Any]) -> list[Step]:
    """What is to be done with each volume, from what `apiary-carry look` says of both hosts.

    Raises CarryError, with all that is in the way, before anything is touched.
    """
    what = ", ".join(name.partition(".")[2] for name in wish.names[:1])
    if old["instance"] != source.instance:
        raise CarryError(
            f"{what} was on {source.server}, which has been rebuilt since, and its volumes with it: what is on it now "
            f"is not carried to {wish.here.server}, and {what} does not start there without it. Write server: "
            f"{source.server} again and run the update; get its data back there (make restore), and then move it. "
            f"For an empty start take {what} out of the stack file, run the update, and put it in again"
        )
    steps = [_step(volume, old["there"][volume], new["there"][volume]) for volume in wish.volumes]
    copied = [step.volume for step in steps if step.what == "copy"]
    problems = [
        problem for one in copied for problem in _in_the_way(wish, source, one, old["there"][one], new["there"][one])
    ]
    for folder in wish.folders:
        if not old["there"][folder]["empty"] and new["there"][folder]["empty"]:
            problems.append(
                f"{folder} is a folder of server {source.server} and is not carried: copy it to {wish.here.server} "
                "yourself, and run this again, or use a named volume"
            )
    needed = sum(old["there"][one]["bytes"] - new["there"][one]["received"] for one in copied)
    free = min((new["there"][one]["free"] for one in copied), default=0)
    if needed > free * (1 - SPARE):
        problems.append(
            f"{_size(needed)} are to be carried, and {wish.here.server} has room for {_size(free)}; make room there"
        )
    if problems:
        raise CarryError(f"{what} stays on {source.server} as it was:\n" + "\n".join(f"  {one}" for one in problems))
    return steps


def _step(volume: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> Step:
    if not old["exists"] or (old["empty"] and not new["empty"]):
        return Step(volume, "nothing")
    writers = tuple(user["id"] for user in old["users"] if user["writes"])
    left, come = old["out"], new["in"]
    # With a writer on the old host it was taken back, and what has come is of the past.
    if left and come and left["id"] == come["id"] and not writers:
        if come["state"] == "placed":
            return Step(volume, "nothing")
        if come["state"] == "whole":
            return Step(volume, "place", id=left["id"])
    return Step(volume, "copy", stop=writers)


def _in_the_way(
    wish: Wish, source: Place, volume: str, old: Mapping[str, Any], new: Mapping[str, Any]
) -> Iterator[str]:
    """Why a volume can't be carried, each with what to do."""
    for user in old["users"]:
        name = _name(user)
        server = wish.placed.get(user["resource"], wish.here.server)
        if user["stack"] != wish.stack:
            yield (
                f"volume {volume} of server {source.server} is used by the container {name} too, which is no part of "
                "this stack: remove it"
            )
        elif server != wish.here.server:
            yield (
                f"volume {volume} is used by {name} too, which is on {server}: write server: {wish.here.server} there "
                "as well, or give one of them a volume of another name"
            )
    if new["users"]:
        names = ", ".join(sorted({_name(user) for user in new["users"]}))
        yield f"{wish.here.server} has a volume {volume} already, which {names} uses; give one of them another name"
    elif not new["empty"] and not (new["in"] or new["out"]):
        yield (
            f"{wish.here.server} has data in a volume {volume} already, and nothing is written over them; if they are "
            f"of no use: docker volume rm {volume}, there"
        )


def _name(user: Mapping[str, Any]) -> str:
    return str(user["resource"].partition(".")[2] or user["name"])


def _size(count: int) -> str:
    amount = float(count)
    for unit in ("B", "KiB", "MiB"):
        if amount < 1024:
            return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1024
    return f"{amount:.1f} GiB"


# How it is done


def carry(wish: Wish, source: Place) -> None:
    """Bring the volumes from where they are. Raises CarryError, and then the old server serves as before."""
    what, here = wish.names[0].partition(".")[2], wish.here
    names = [*wish.volumes, *wish.folders]
    try:
        old, new = (json.loads(one.ask(TOOL, "look", *names)) for one in (source, here))
    except UnreachableError as error:
        raise CarryError(
            f"{what} moves from {source.server} to {here.server}, and its volumes can't be reached: {error}. Where a "
            "server is dead, revive it first: it is not started empty"
        ) from None
    steps = plan(wish, source, old, new)
    copied = [step for step in steps if step.what == "copy"]
    copy = secrets.token_hex(8)
    if copied:
        for one in (source, here):
            one.ask(TOOL, "rsync")
        for step in copied:
            size, begun = _size(old["there"][step.volume]["bytes"]), time.monotonic()
            say(f"volume {step.volume}: {size} from {source.server} to {here.server}, while it is used")
            _copy(source, here, step.volume, copy, since=float(old["time"]))
            say(f"volume {step.volume}: copied in {time.monotonic() - begun:.1f} s")
        told = {
            "id": copy,
            "to": here.server,
            "volumes": [step.volume for step in copied],
            "containers": sorted({writer for step in copied for writer in step.stop}),
        }
        with standing(source, told) as commit:
            for step in copied:
                _copy(source, here, step.volume, copy, is_last=True)
            commit()
    arrived: dict[str, list[str]] = {}
    for step in steps:
        if step.what != "nothing":
            arrived.setdefault(step.id or copy, []).append(step.volume)
    for id_, volumes in arrived.items():
        here.ask(TOOL, "place", said=json.dumps({"id": id_, "volumes": volumes}))
        say(_done(volumes, source, here))


def _done(volumes: Sequence[str], source: Place, here: Place) -> str:
    return (
        f"volume {', '.join(volumes)}: on {here.server} now. On {source.server} they are left as they were; when you "
        f"have seen that all is well: docker volume rm {' '.join(volumes)}, there"
    )


def _copy(source: Place, here: Place, volume: str, id_: str, *, is_last: bool = False, since: float = 0) -> None:
    """rsync, each end on its own host, joined here. Raises CarryError."""
    there, back = os.pipe(), os.pipe()
    options = ["--last"] if is_last else [f"--since={since:.3f}"]
    sending = subprocess.Popen(source.command(TOOL, "send", volume), stdin=back[0], stdout=there[1])
    receiving = subprocess.Popen(
        here.command(TOOL, "receive", volume, "--id", id_, "--from", source.server, *options),
        stdin=there[0], stdout=back[1],
    )  # fmt: skip
    for end in (*there, *back):
        os.close(end)
    statuses = receiving.wait(), sending.wait()
    # rsync of the sending end tells of what has vanished meanwhile as well.
    if statuses[0] != 0 or (is_last and statuses[1] != 0):
        raise CarryError(f"volume {volume} could not be copied (above); {source.server} serves as before")


@contextmanager
def standing(source: Place, told: Mapping[str, Any], verb: str = "hold") -> Iterator[Any]:
    """What writes to the volumes stands still; after `commit` it is gone from there, or, with `rest`, runs again.

    Raises CarryError.
    """
    process = subprocess.Popen(
        source.command(*HOLD, verb), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
    )
    assert process.stdin is not None  # noqa: S101 - a pipe
    assert process.stdout is not None  # noqa: S101
    lock, over = threading.Lock(), threading.Event()

    def tell(line: str) -> None:
        with lock:
            _write(process.stdin, line)

    def beat() -> None:
        while not over.wait(HEARTBEAT_SECONDS):
            tell("")

    def commit() -> None:
        over.set()
        tell("commit")
        _expect(process.stdout, "committed", source)

    try:
        tell(json.dumps(told))
        _expect(process.stdout, "standing", source)
        threading.Thread(target=beat, daemon=True).start()
        yield commit
    finally:
        over.set()
        # Without `commit` this is what has it start everything again.
        process.stdin.close()
        process.wait()


def _write(pipe: IO[str] | None, line: str) -> None:
    try:
        if pipe is not None:
            pipe.write(line + "\n")
            pipe.flush()
    except OSError:
        return  # what it says next, or does not, tells why


def _expect(pipe: IO[str] | None, word: str, source: Place) -> None:
    said = pipe.readline().strip() if pipe else ""
    if said != word:
        raise CarryError(
            f"server {source.server} did not let its containers stand still (above), and goes on as before"
        )


# Where it is


def found(wish: Wish, others: Sequence[Place]) -> Place | None:
    """The other server that has a container of this name; None where none has. Raises CarryError."""
    if not others:
        return None
    with ThreadPoolExecutor(max_workers=len(others)) as pool:
        places = [one for one in pool.map(lambda other: _has(wish, other), others) if one]
    return places[0] if places else None


def _has(wish: Wish, other: Place) -> Place | None:
    # Nothing is on a server that was never made ready; one that is not there at all can't be asked.
    script = (
        "[ -e /etc/apiary/instance ] || exit 0; cat /etc/apiary/instance; for label; do "
        'docker ps --all --quiet --filter "label=apiary.stack=$0" --filter "label=apiary.resource=$label" || exit; done'
    )
    deadline = time.monotonic() + FIND_SECONDS
    while True:
        try:
            said = other.ask("sh", "-c", script, wish.stack, *wish.names, seconds=FIND_SECONDS).split()
            return Place(other.server, said[0], other.host, other.ssh) if len(said) > 1 else None
        except CarryError as error:  # Docker may be restarted just now
            if time.monotonic() > deadline and isinstance(error, UnreachableError):
                return None
            if time.monotonic() > deadline:
                raise
            time.sleep(1)


def before(told: str) -> Place | None:
    """Where the volumes were, from what was printed the last time; None where that says nothing."""
    try:
        return Place.of(json.loads(told))
    except (ValueError, KeyError, TypeError):
        return None


@contextmanager
def alone(stack: str) -> Iterator[None]:
    """One after another: containers that share a volume come at the same time."""
    folder = Path(".apiary")
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (folder / f"carry-{stack}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def main() -> int:
    """The exit status."""
    wish = Wish.parse(sys.stdin.read())
    try:
        source = before(os.environ.get(BEFORE, ""))
        if source is None:
            source = found(wish, [Place.of(one) for one in json.loads(os.environ.get(OTHERS) or "[]")])
        if source and source.server != wish.here.server:
            with alone(wish.stack):
                carry(wish, source)
    except CarryError as error:
        say(str(error))
        return 1
    print(json.dumps(asdict(wish.here), sort_keys=True))
    return 0


if __name__ == "__main__":
    sys.exit(main())
