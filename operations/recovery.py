"""The ground under every repair: one healer at a time, no survivors, no torn files, no lock of a dead holder.

Changes nothing while an update of the stack lives: it then refuses and names the process.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from operations import backend as files
from operations import processes
from operations.cli import PROGRAM, OperationError, Pulumi, say
from operations.state import named_by


@contextmanager
def alone(pulumi: Pulumi) -> Iterator[None]:
    """Nobody else repairs this stack from this checkout meanwhile, or OperationError is raised."""
    with (pulumi.folder / "repair.lock").open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.seek(0)
            holder = file.read().strip() or "unknown"
            raise OperationError(
                f"own lock: process {holder} repairs stack {pulumi.stack} already; wait until it is done"
            ) from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


def clear(pulumi: Pulumi) -> list[str]:
    """End survivors, remove torn files, cancel the locks of dead holders; says and returns what it did.

    Raises OperationError when an update lives, or may live where it can't be seen.
    """
    done: list[str] = []
    url = pulumi.backend()
    backend = files.FileBackend.of(url)
    locks = backend.locks(pulumi.project, pulumi.stack) if backend else []
    reasons = {}
    for lock in locks:
        reason = files.verdict(lock, processes.read)
        if reason is None:
            raise OperationError(
                f"lock: an update of stack {pulumi.stack} is running: {processes.read(lock.pid)}; "
                f"wait for it, or interrupt it once (kill -INT {lock.pid}), and it finishes what it has begun"
            )
        reasons[lock.file] = reason

    everything = {process.pid: process for process in processes.all_processes()}
    left = processes.survivors(
        everything,
        backend=os.environ.get("PULUMI_BACKEND_URL"),
        project=pulumi.project,
        folder=PROGRAM,
    )
    stubborn = processes.end(left)
    if stubborn:
        raise OperationError(f"survivors: {stubborn[0]} can't be ended; end it, then run this again")
    done += _report("survivors of a dead update", [f"ended {process}" for process in left])

    if backend is None:
        say(f"  lock: {url} keeps its locks itself; if a step below finds the stack locked, make sure that no")
        say(f"        update runs anywhere, then: pulumi cancel --stack {pulumi.stack}")
        return done
    torn = backend.torn(pulumi.project, pulumi.stack)
    for file in torn:
        file.unlink(missing_ok=True)
    done += _report("torn files", [f"removed {file}" for file in torn])
    # Not `pulumi cancel`: it takes every lock, also one that was taken since the look above.
    for file in reasons:
        file.unlink(missing_ok=True)
    done += _report("locks of dead holders", [f"removed {file.name}: {why}" for file, why in reasons.items()])
    return done


def repair(pulumi: Pulumi) -> None:
    """Take references to resources that the state does not have out of it, as `pulumi state repair` does; says so.

    The engine writes such a state when it goes on after a failure (`--continue-on-error`), and then refuses to read it.
    Raises OperationError, with what the CLI advises, where it can't be repaired.
    """
    before = pulumi.export()
    pulumi.run("state", "repair", "--yes", quiet=True)
    after = pulumi.export()
    if after == before:
        return
    names = _references(before) - _references(after)
    _report(
        "a state that named what it does not have", [f"forgot {name}" for name in sorted(names)] or ["put in order"]
    )


def _references(exported: Mapping[str, Any]) -> set[str]:
    """Every `RESOURCE -> URN`, by which a resource of the state names another."""
    return {
        f"{entry['urn'].rsplit('::', 1)[-1]} -> {urn}"
        for entry in (exported.get("deployment") or {}).get("resources") or ()
        for urn in named_by(entry)
    }


def _report(what: str, done: list[str]) -> list[str]:
    say(f"  {what}: {'none' if not done else ''}".rstrip())
    for line in done:
        say(f"    {line}")
    return done
