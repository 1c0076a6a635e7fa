"""What has failed and when it may be tried again: authorities lock out who repeats what can't succeed.

Let's Encrypt allows five failed validations of a name in an hour. What is refused here costs nothing there.
"""

from __future__ import annotations

import datetime
import json
import re
from dataclasses import asdict, dataclass
from pathlib import Path

# After the first, second, ... failure in a row; the last one from there on.
PAUSES = tuple(datetime.timedelta(minutes=minutes) for minutes in (5, 15, 60, 240, 720))
LIMITED = datetime.timedelta(hours=6)


class RefusedError(Exception):
    """One certificate was not given; `kind` is the ACME error's, e.g. dns, caa, rateLimited, or ""."""

    def __init__(self, reason: str, kind: str) -> None:
        super().__init__(reason)
        self.kind = kind


@dataclass(frozen=True)
class Failure:
    """The last failure of a domain."""

    count: int  # in a row
    until: str  # ISO 8601; not before that is it tried again
    reason: str

    def waits(self, now: datetime.datetime) -> datetime.datetime | None:
        """When it may be tried again; None when that is now."""
        until = datetime.datetime.fromisoformat(self.until)
        return until if until > now else None


class Failures:
    """The failures at one authority, kept in a file of its folder."""

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            raw = json.loads(path.read_text())
            self._known = {str(domain): Failure(**entry) for domain, entry in raw.items()}
        except (FileNotFoundError, ValueError, TypeError, AttributeError):
            self._known = {}  # what was not kept is tried again

    def of(self, domain: str) -> Failure | None:
        """The last failure of a domain that has not succeeded since."""
        return self._known.get(domain)

    def add(self, domain: str, reason: str, kind: str, now: datetime.datetime, *, pause: bool = True) -> Failure:
        """Keep a failure; `kind` is the ACME error's, e.g. rateLimited, which says by itself how long to wait.

        Without a pause it may be tried again at once: nobody was asked.
        """
        before = self._known.get(domain)
        count = before.count + 1 if before else 1
        until = now + PAUSES[min(count, len(PAUSES)) - 1] if pause else now
        if kind == "rateLimited":
            until = max(until, _retry_after(reason) or now + LIMITED)
        self._known[domain] = Failure(count, until.isoformat(timespec="seconds"), reason)
        self._keep()
        return self._known[domain]

    def clear(self, domain: str) -> None:
        """It has succeeded, or is no longer wanted."""
        if self._known.pop(domain, None) is not None:
            self._keep()

    def _keep(self) -> None:
        beside = self._path.with_suffix(".new")
        beside.write_text(json.dumps({domain: asdict(failure) for domain, failure in self._known.items()}, indent=1))
        beside.replace(self._path)


def _retry_after(reason: str) -> datetime.datetime | None:
    match = re.search(r"retry after (\d{4}-\d\d-\d\d)[ T](\d\d:\d\d:\d\d)", reason)
    return datetime.datetime.fromisoformat(f"{match[1]}T{match[2]}+00:00") if match else None
