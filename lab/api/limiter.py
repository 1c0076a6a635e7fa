"""The limit of requests a second: for one key, or for one address where there is no key."""

import time
from collections import defaultdict, deque

from lab.api import pace
from lab.api.store import Store

RETRY_AFTER = "1"  # seconds
BODY = {"status": 429, "error": "rate limit exceeded"}


class Limiter:
    """Counts the requests of the last second. A request that is refused is not counted."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._times: defaultdict[str, deque[float]] = defaultdict(deque)

    def refuses(self, client: str) -> bool:
        """Whether this request of `client` (its key or address) is one too many; else it is counted."""
        limit = pace.value(self._store, "requests")
        if not limit:
            return False
        now, times = time.monotonic(), self._times[client]
        while times and times[0] <= now - 1:
            times.popleft()
        if len(times) >= limit:
            return True
        times.append(now)
        return False
