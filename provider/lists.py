"""Lists of the API's objects, shared by everybody who reads one of them at about the same time.

A refresh asks for each object by itself, all at once: a zone of 200 records is one list here. A list is only ever
a short cut to what is there. What it does not hold, or holds incompletely, is for the caller to ask for by its id.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from provider import clock
from provider.errors import BadAnswer
from provider.protocol.base import Props
from provider.transport import Transport

FRESH = 5.0  # seconds for which a list is shared
PAGE = 500  # the most that the API gives at once
PAGES = 200  # of a list; who has more than 100,000 of a kind is no user of this program, but a fault


@dataclass
class _Shared:
    lock: threading.Lock = field(default_factory=threading.Lock)
    entries: list[Props] = field(default_factory=list)
    until: float = 0.0
    generation: int = -1


class Lists:
    """Everything of one account that was listed lately. Safe for use by several threads."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._shared: dict[str, _Shared] = {}
        self._generation = 0
        self._lock = threading.Lock()

    def forget(self) -> None:
        """Something is being written, or has been: what was listed before, or is being listed now, is out of date."""
        with self._lock:
            self._generation += 1

    def read(self, path: str, wrapper: str, *, paged: bool = True, shared: bool = True) -> list[Props]:
        """The entries of a collection, every page of it. Raises ApiError as the requests do."""
        with self._lock:
            kept = self._shared.setdefault(path, _Shared())
        with kept.lock:
            generation = self._generation
            if not (shared and kept.generation == generation and clock.now() < kept.until):
                kept.entries = self._read(path, wrapper, paged=paged)
                # What was written meanwhile may be missing in it.
                kept.generation, kept.until = generation, clock.now() + FRESH
            return kept.entries

    def _read(self, path: str, wrapper: str, *, paged: bool) -> list[Props]:
        entries: list[Props] = []
        cursor, before = "", {""}
        while True:
            query = f"?per_page={PAGE}" + (f"&cursor={quote(cursor, safe='')}" if cursor else "") if paged else ""
            answer = self._transport.call("GET", path + query)
            found = answer.get(wrapper)
            if not isinstance(found, list) or not all(isinstance(entry, dict) for entry in found):
                raise BadAnswer("GET", path + query, 200, str(answer), f"without its list {wrapper!r}")
            entries += found
            try:
                cursor = next_cursor(answer)
            except TypeError as error:
                raise BadAnswer("GET", path + query, 200, str(answer), "does not tell whether there is more") from error
            if not cursor:
                return entries
            if cursor in before:
                raise BadAnswer("GET", path + query, 200, str(answer), "names a page as the next one that it has given")
            if len(before) > PAGES:
                raise BadAnswer("GET", path + query, 200, str(answer), f"has a page after {PAGES}, and that one too")
            before.add(cursor)


def next_cursor(answer: Mapping[str, Any]) -> str:
    """The cursor of the next page, empty on the last one. Raises TypeError where nothing can be read of it."""
    found: Any = answer
    for step in ("meta", "links", "next"):
        if not isinstance(found, Mapping):
            raise TypeError(step)
        found = found.get(step) or ("" if step == "next" else {})
    if not isinstance(found, str | int):
        raise TypeError("next")
    return str(found)
