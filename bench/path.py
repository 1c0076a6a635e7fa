"""The critical path of an update: the chain of resources, each made after the one before it, that takes longest.

No update ends before its critical path does, however many hands it has. `longest` is pure; `watched` runs an update and
notes when the engine begins and ends with each resource, by its event log, which is written as it happens (the times in
it are whole seconds, so the clock here is asked).
"""

from __future__ import annotations

import json
import subprocess
import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from tests.lab.hive import UP_SECONDS, Hive

COMPONENTS = ("apiary:", "pulumi:pulumi:")
PAUSE = 0.01  # seconds between two looks at the log
MADE = {"create", "update", "create-replacement"}  # "replace" only says that the two halves are through


@dataclass(frozen=True)
class Step:
    """What the engine did about one resource: `urn`, and from when to when, in seconds after the update began."""

    urn: str
    began: float
    ended: float

    @property
    def seconds(self) -> float:
        return self.ended - self.began

    @property
    def name(self) -> str:
        """Type and name, as people know them: `docker:index/container:Container::echo`."""
        return "::".join(self.urn.split("::")[-2:]).rsplit("$", 1)[-1]


def longest(steps: Iterable[Step], needs: Mapping[str, Iterable[str]]) -> list[Step]:
    """The chain of steps, first to last, whose durations sum to most; `needs` are the dependencies by URN.

    A dependency without a step of its own (a component, what did not change) hands on its own dependencies.
    """
    known = {step.urn: step for step in steps}
    best: dict[str, tuple[float, list[Step]]] = {}

    def chain(urn: str) -> tuple[float, list[Step]]:
        if urn not in best:
            best[urn] = (0.0, [])  # of a circle, which no state has
            total, before = max((chain(one) for one in needs.get(urn, ())), key=lambda one: one[0], default=(0.0, []))
            step = known.get(urn)
            best[urn] = (total + step.seconds, [*before, step]) if step else (total, before)
        return best[urn]

    return max((chain(urn) for urn in known), key=lambda one: one[0], default=(0.0, []))[1]


def dependencies(state: Mapping[str, Any]) -> dict[str, list[str]]:
    """What each resource of an exported state waits for, by URN: what it says, its parent, its provider."""
    found = {}
    for one in state["deployment"].get("resources") or []:
        provider = one.get("provider", "").rsplit("::", 1)[0]
        wanted = [*one.get("dependencies", []), one.get("parent", ""), provider]
        found[one["urn"]] = [urn for urn in wanted if urn]
    return found


def spans(events: Iterable[tuple[float, Mapping[str, Any]]]) -> list[Step]:
    """The steps that made or changed a resource, of the engine's events and when each was seen.

    Of a component there is none: it lasts as long as its parts.
    """
    began: dict[str, float] = {}
    found = []
    for when, event in events:
        if before := event.get("resourcePreEvent"):
            if before["metadata"]["op"] in MADE and not before["metadata"]["type"].startswith(COMPONENTS):
                began.setdefault(before["metadata"]["urn"], when)
        elif after := event.get("resOutputsEvent"):
            urn = after["metadata"]["urn"]
            if after["metadata"]["op"] in MADE and urn in began:
                found.append(Step(urn, began.pop(urn), when))
    return found


def watched(hive: Hive) -> tuple[float, list[Step], list[Step]]:
    """An update: its seconds, all its steps, and its critical path. Raises RuntimeError when it fails."""
    log = hive.program / ".watched.jsonl"
    log.unlink(missing_ok=True)
    seen: list[tuple[float, Mapping[str, Any]]] = []
    ended = threading.Event()
    started = time.monotonic()

    def follow() -> None:
        begun, at = b"", 0
        while True:
            last = ended.is_set()
            if log.exists():
                with log.open("rb") as file:
                    file.seek(at)
                    begun += file.read()
                    at = file.tell()
                *whole, begun = begun.split(b"\n")
                seen.extend((time.monotonic() - started, json.loads(line)) for line in whole)
            if last:
                return
            time.sleep(PAUSE)

    follower = threading.Thread(target=follow)
    follower.start()
    process = hive.start("up", "--yes", "--skip-preview", "--event-log", str(log))
    try:
        output, _ = process.communicate(timeout=UP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        raise
    finally:
        total = time.monotonic() - started
        ended.set()
        follower.join()
    if process.returncode:
        raise RuntimeError(f"`pulumi up` failed:\n{output[-4000:]}")
    steps = spans(seen)
    state = json.loads(hive.pulumi("stack", "export").output)
    return total, steps, longest(steps, dependencies(state))
