"""The lines of a log, as images/HAProxySetup/hasetup/access.py writes them: which are requests, and how many aren't.

Both programs get the same lines, so that both count the same. A line that they would pass over in silence is
counted here, and named.
"""

from __future__ import annotations

import datetime
import functools
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

Entry = re.Match[bytes]

# A monitor (images/Monitor) that looks whether the site is well: no visit.
MONITOR = b"apiary-health"
# The proxy writes no longer ones, and GoAccess reads no longer ones.
LONGEST = 4096
# A value between quotes: a quote in it is behind a backslash.
_TEXT = r'[^"\\]*(?:\\.[^"\\]*)*'
_WORD = r'[^ "\\]*(?:\\.[^ "\\]*)*'
_TIME = r"(?P<day>\d\d/[A-Z][a-z][a-z]/\d{4}):(?P<time>(?:[01]\d|2[0-3]):[0-5]\d:[0-6]\d) \+0000"
_LINE = re.compile(
    (
        rf'\S+ (?P<visitor>[0-9A-Fa-f.:]+) - - \[{_TIME}\] "{_WORD} (?P<url>{_WORD}) [^ "]*" '
        rf'(?P<status>-1|\d{{3}}) (?P<sent>\d+) "(?P<referrer>{_TEXT})" "(?P<agent>{_TEXT})" '
        r"\S+ [-+\d]+/[-+\d]+/[-+\d]+/[-+\d]+ \S+\n"
    ).encode()
)


@dataclass
class Reading:
    """What a log held; true once `read` has come to its end."""

    entries: int = 0
    since: str = ""  # "24/Nov/2026", empty without entries
    unreadable: int = 0
    example: str = ""  # the first unreadable line, cut

    def complaint(self) -> str:
        """What to say of the unreadable lines; empty without any."""
        if not self.unreadable:
            return ""
        of = self.entries + self.unreadable
        return f"{self.unreadable} of {of} lines can't be read and are in no page, the first: {self.example}"


def read(lines: Iterable[bytes], into: Reading) -> Iterator[Entry]:
    """Every line that is one of a visitor's request, in its order; `.string` is the line."""
    for line in lines:
        if len(line) <= LONGEST and (entry := _LINE.fullmatch(line)) and midnight(entry["day"]):
            if entry["agent"] == MONITOR:
                continue
            if not into.entries:
                into.since = entry["day"].decode()
            into.entries += 1
            yield entry
        elif line.endswith(b"\n"):
            into.unreadable += 1
            into.example = into.example or repr(line[:200])[1:]
        # Else it is being written: the next run reads it whole.


@functools.lru_cache(maxsize=4096)
def midnight(day: bytes) -> int:
    """When a day begins, in seconds of 1970; 0 when there is no such day."""
    try:
        return int(datetime.datetime.strptime(day.decode() + " +0000", "%d/%b/%Y %z").timestamp())
    except ValueError:
        return 0
