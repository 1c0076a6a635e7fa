"""One line for each request in DIR/log/api-requests.jsonl, and how often each operation was asked for.

The file is moved to `.1` when it has grown to `limit` bytes, so that it never takes more than twice that.
"""

import json
import os
from collections import Counter
from pathlib import Path

from lab.api.store import now


class RequestLog:
    """Lines {"t", "method", "path", "status" (0: dropped), "ms", "fault"?}; no bodies, no headers."""

    def __init__(self, path: Path, limit: int = 5_000_000) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.counts: Counter[str] = Counter()
        self._path, self._limit = path, limit
        self._file = path.open("a", buffering=1)

    def add(self, method: str, path: str, *, route: str, status: int, seconds: float, fault: int | None) -> None:
        """Note one request; it is counted as its method, path template and status."""
        self.counts[f"{method} {route} {status}"] += 1
        line = {"t": now(), "method": method, "path": path, "status": status, "ms": round(seconds * 1000, 1)}
        if fault is not None:
            line["fault"] = fault
        self._file.write(json.dumps(line) + "\n")
        if self._file.tell() > self._limit:
            self._file.close()
            os.replace(self._path, self._path.with_name(self._path.name + ".1"))
            self._file = self._path.open("a", buffering=1)
