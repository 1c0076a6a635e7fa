"""What a report is made of: what was asked and told, tables, and findings with what to type. Pure.

A finding is `WRONG` (visitors see nothing, data are in danger, or it can't be told) or one to `WATCH` (it will be wrong
if nobody does anything). What can't be told is wrong: silence is no proof of health.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

from operations.status.stack import Site, Wanted

FAMILIES = ("IPv6", "IPv4")


class Level(IntEnum):
    """How bad it is."""

    OK = 0
    WATCH = 1
    WRONG = 2


@dataclass(frozen=True)
class Finding:
    """One thing, and what to do about it."""

    level: Level
    kind: str  # server, site, application, job, backup, drill, drift
    name: str
    says: str
    type: str  # a line for a shell
    see: str  # in docs/: `operations.md#a-site-is-down`


@dataclass(frozen=True)
class Row:
    """A line of a table."""

    name: str
    cells: tuple[str, ...]
    findings: tuple[Finding, ...] = ()
    because: Level = Level.OK  # how bad it is because of what is told of another row

    @property
    def level(self) -> Level:
        return max((finding.level for finding in self.findings), default=self.because)


@dataclass(frozen=True)
class Section:
    """A table, or where there is nothing in it, why."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    empty: str = ""


@dataclass(frozen=True)
class Told:
    """What was asked of one thing: facts, or why there are none."""

    facts: Mapping[str, Any] | None
    why: str = ""
    cause: str = ""  # silent, refused, old, failed; empty with facts
    asked: float = 0.0  # when it was asked, and when the answer was there: seconds since the epoch
    answered: float = 0.0


@dataclass(frozen=True)
class Answers:
    """All that was told."""

    servers: Mapping[str, Told]
    visits: Mapping[tuple[str, str], Mapping[str, Any]]  # (domain, family) -> as visit.py tells
    visitor: str  # why visits are missing; empty where none is
    drift: Told  # as drift.changes_of has it
    now: float

    def answering(self, sites: Iterable[Site]) -> int:
        """How many of these sites answer anything, over either family."""
        return sum(
            any((visit := self.visits.get((site.domain, family))) and visit["status"] for family in FAMILIES)
            for site in sites
        )


@dataclass(frozen=True)
class Report:
    """All of it, worst first."""

    stack: str
    now: float
    sections: tuple[Section, ...]

    @property
    def findings(self) -> list[Finding]:
        """Worst first, else in the order of the tables."""
        found = (finding for section in self.sections for row in section.rows for finding in row.findings)
        return sorted(found, key=lambda finding: -finding.level)

    @property
    def level(self) -> Level:
        return max((finding.level for finding in self.findings), default=Level.OK)


@dataclass(frozen=True)
class Say:
    """Makes the findings of one thing, in the words of its stack."""

    wanted: Wanted
    kind: str
    name: str
    found: list[Finding] = field(default_factory=list)

    def __call__(self, level: Level, says: str, type_: str, see: str) -> None:
        self.found.append(Finding(level, self.kind, self.name, says, type_, see))

    def make(self, line: str) -> str:
        """`make LINE` on the stack; the lab's needs no word."""
        return f"make {line}" if self.wanted.stack == "lab" else f"make {line} STACK={self.wanted.stack}"

    def pulumi(self, line: str) -> str:
        verb, _, rest = line.partition(" ")
        return f"pulumi {verb} --stack {self.wanted.stack} {rest}".rstrip()
