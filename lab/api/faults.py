"""Faults: answers instead of, before or after the real operation; states and releases that last longer.

Three kinds, told apart by their first word. A request's fault (`path` or `object`) answers, delays or drops; it is kept
in memory only. `hold` keeps an object in a state for some seconds; `release` makes the next releases of that kind last
longer: both are kept in the region's state, see `later`.
"""

import itertools
import re
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from lab.api import fields, later
from lab.api.errors import refused
from lab.api.pace import unknown
from lab.api.store import Store

JSON = dict[str, Any]
_ids = itertools.count(1)
_REQUEST: Final = ("method", "path", "object", "status", "body", "headers", "count", "after", "delay", "drop")
_HOLD: Final = ("hold", "state", "seconds")
_RELEASE: Final = ("release", "seconds", "object", "count")
_NAMES: Final = (
    "label",
    "name",
    "description",
    "domain",
    "hostname",
    "subnet",
    "main_ip",
)  # what an object is called by
_TABLES: Final = ("instances", "blocks", "reserved_ips", "vpcs", "firewall_groups", "ssh_keys")
_LONGEST: Final = 7200.0


@dataclass
class Fault:
    """One fault of a request. Without status and drop it only delays."""

    method: str  # "" matches every method
    path: str  # regular expression, searched in the path
    object: str = ""  # id or label; "" matches every object
    status: int = 0  # HTTP status to answer; 0: the operation's own answer
    body: Any = None  # JSON value, or a string that is sent as it is
    headers: dict[str, str] = field(default_factory=dict)
    count: int = 1  # how often it strikes; -1: until deleted
    after: bool = False  # do the work first, then answer the fault
    delay: float = 0.0  # seconds before anything is done
    drop: bool = False  # close the connection without an answer
    id: int = field(default_factory=lambda: next(_ids))
    struck: int = 0


class Faults:
    """The faults in force, oldest first."""

    def __init__(self, store: Store) -> None:
        self._faults: list[Fault] = []
        self._store = store

    def add(self, body: JSON) -> JSON:
        """Put a fault in force. ApiError 400 when its fields make no sense."""
        known = _HOLD if "hold" in body else _RELEASE if "release" in body else _REQUEST
        for word in body:
            if word not in known:
                raise refused(unknown("field", word, list(known)))
        if "hold" in body:
            return self._hold(body)
        if "release" in body:
            return self._delay(body)
        path, object_ = fields.text(body, "path"), fields.text(body, "object")
        if not path and not object_:
            raise refused("Missing required field: path or object")
        delay, headers = body.get("delay", 0), body.get("headers") or {}
        try:
            re.compile(path)
        except re.error as error:
            raise refused(f"Invalid path: not a regular expression: {error}") from error
        if not isinstance(headers, dict):
            raise refused("Invalid headers: must be an object")
        fault = Fault(
            method=fields.text(body, "method").upper(), path=path, object=object_,
            status=fields.whole(body, "status", 0), body=body.get("body"),
            headers={str(name): str(value) for name, value in headers.items()}, count=_count(body),
            after=fields.flag(body, "after"), delay=_seconds("delay", delay), drop=fields.flag(body, "drop"),
        )  # fmt: skip
        if fault.status and not 200 <= fault.status <= 599:
            raise refused("Invalid status: must be from 200 to 599")
        if not (fault.status or fault.drop or fault.delay):
            raise refused("A fault needs a status, a delay or drop")
        self._faults.append(fault)
        return asdict(fault)

    def _hold(self, body: JSON) -> JSON:
        name, state = fields.text(body, "hold", None), fields.text(body, "state", None)
        seconds = _seconds("seconds", body.get("seconds"))
        found = [
            (table, id_) for table in ("instances", "blocks") for id_, named in self._named(table) if name in named
        ]
        if len(found) != 1:
            known = [
                label for table in ("instances", "blocks") for _, named in self._named(table) for label in named[1:]
            ]
            raise refused(f"{len(found) or 'No'} instances or volumes have the id or label {name!r}; "
                          f"there are: {', '.join(known) or 'none'}")  # fmt: skip
        table, id_ = found[0]
        states = later.INSTANCE_STATES if table == "instances" else later.BLOCK_STATES
        if state not in states:
            raise refused(unknown("state", state, list(states)))
        self._store.table("holds")[id_] = {"state": state, "until": time.time() + seconds}
        self._store.save()
        return {"hold": id_, "state": state, "seconds": seconds}

    def _delay(self, body: JSON) -> JSON:
        release, object_ = fields.text(body, "release", None), fields.text(body, "object")
        if release not in later.RELEASES:
            raise refused(unknown("release", release, list(later.RELEASES)))
        delay = {"release": release, "object": object_, "seconds": _seconds("seconds", body.get("seconds")),
                 "count": _count(body)}  # fmt: skip
        self._store.data["delays"].append(delay)
        self._store.save()
        return delay

    def _named(self, table: str) -> Iterator[tuple[str, list[str]]]:
        for id_, value in self._store.table(table).items():
            yield id_, [id_, *(str(value[name]) for name in _NAMES if value.get(name))]

    def strike(self, method: str, path: str, content: bytes = b"") -> Fault | None:
        """The first fault that meets this request, counted. Its object is met in the path and in the body."""
        for fault in self._faults:
            if fault.count != 0 and fault.method in ("", method) and re.search(fault.path, path):
                if fault.object and not self._meets(fault.object, path, content):
                    continue
                fault.struck += 1
                fault.count -= fault.count > 0
                return fault
        return None

    def _meets(self, name: str, path: str, content: bytes) -> bool:
        ids = {id_ for table in _TABLES for id_, named in self._named(table) if name in named} | {name}
        text = content.decode(errors="replace")
        return not ids.isdisjoint(path.split("/")) or any(f'"{id_}"' in text for id_ in ids)

    def listing(self) -> list[JSON]:
        """All faults, also those that are used up."""
        now = time.time()
        holds = [{"hold": id_, "state": hold["state"], "seconds": round(max(0.0, hold["until"] - now), 1)}
                 for id_, hold in self._store.table("holds").items()]  # fmt: skip
        return [*(asdict(fault) for fault in self._faults), *holds, *self._store.data["delays"]]

    def clear(self) -> None:
        """Remove all faults. What is being released late already stays so."""
        self._faults.clear()
        self._store.table("holds").clear()
        self._store.data["delays"].clear()
        self._store.save()


def _seconds(name: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= _LONGEST:
        raise refused(f"Invalid {name}: must be from 0 to {_LONGEST:g} seconds, not {value!r}")
    return float(value)


def _count(body: JSON) -> int:
    count = fields.whole(body, "count", 1)
    if count < -1 or count == 0:
        raise refused("Invalid count: must be 1 or more, or -1 for until cleared")
    return count
