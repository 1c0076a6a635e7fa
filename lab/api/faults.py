"""Faults that are answered instead of, before or after the real operation; kept in memory only."""

import itertools
import re
from dataclasses import asdict, dataclass, field
from typing import Any

from lab.api import fields
from lab.api.errors import refused

JSON = dict[str, Any]
_ids = itertools.count(1)


@dataclass
class Fault:
    """One fault. Without status and drop it only delays."""

    method: str  # "" matches every method
    path: str  # regular expression, searched in the path
    status: int = 0  # HTTP status to answer; 0: the operation's own answer
    body: object = None  # JSON value, or a string that is sent as it is
    headers: dict[str, str] = field(default_factory=dict)
    count: int = 1  # how often it strikes; -1: until deleted
    after: bool = False  # do the work first, then answer the fault
    delay: float = 0.0  # seconds before anything is done
    drop: bool = False  # close the connection without an answer
    id: int = field(default_factory=lambda: next(_ids))
    struck: int = 0


class Faults:
    """The faults in force, oldest first."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []

    def add(self, body: JSON) -> JSON:
        """Put a fault in force. ApiError 400 when its fields make no sense."""
        unknown = set(body) - set(Fault.__dataclass_fields__) | set(body) & {"id", "struck"}
        if unknown:
            raise refused(f"Unknown field: {', '.join(sorted(unknown))}")
        path, delay, headers = (
            fields.text(body, "path", None),
            body.get("delay", 0),
            body.get("headers") or {},
        )
        try:
            re.compile(path)
        except re.error as error:
            raise refused(f"Invalid path: not a regular expression: {error}") from error
        if not isinstance(delay, int | float) or not 0 <= delay <= 3600:
            raise refused("Invalid delay: must be from 0 to 3600 seconds")
        if not isinstance(headers, dict):
            raise refused("Invalid headers: must be an object")
        fault = Fault(
            method=fields.text(body, "method").upper(), path=path, status=fields.whole(body, "status", 0),
            body=body.get("body"), headers={str(name): str(value) for name, value in headers.items()},
            count=fields.whole(body, "count", 1), after=fields.flag(body, "after"), delay=float(delay),
            drop=fields.flag(body, "drop"),
        )  # fmt: skip
        if fault.status and not 200 <= fault.status <= 599:
            raise refused("Invalid status: must be from 200 to 599")
        if not (fault.status or fault.drop or fault.delay):
            raise refused("A fault needs a status, a delay or drop")
        self._faults.append(fault)
        return asdict(fault)

    def strike(self, method: str, path: str) -> Fault | None:
        """The first fault that meets this request, counted."""
        for fault in self._faults:
            if fault.count != 0 and fault.method in ("", method) and re.search(fault.path, path):
                fault.struck += 1
                fault.count -= fault.count > 0
                return fault
        return None

    def listing(self) -> list[JSON]:
        """All faults, also those that are used up."""
        return [asdict(fault) for fault in self._faults]

    def clear(self) -> None:
        """Remove all faults."""
        self._faults.clear()
