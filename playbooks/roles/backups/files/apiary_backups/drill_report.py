"""What a rehearsal has found: for people, for other programs, and kept until the next one."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from typing import Any

from apiary_backups import config as configuration
from apiary_backups import drill_page, items
from apiary_backups.config import put
from apiary_backups.errors import BackupsError
from apiary_backups.report import moment, now, size

FILE, PAGE = "drill.json", "drill.html"


@dataclass(frozen=True)
class Tried:
    """What became of one item."""

    snapshot: str
    time: str  # when the snapshot was made, ISO 8601
    bytes: int
    seconds: float = 0.0  # that it took to come back
    status: str = "ok"  # or failed
    reason: str = ""
    proved: str = ""  # when a snapshot of it was proved last, ISO 8601; empty: never


@dataclass(frozen=True)
class Asked:
    """What became of one application, or of the repository."""

    status: str = "ok"
    seconds: float = 0.0
    proof: str = ""  # what it has shown
    reason: str = ""


@dataclass
class Report:
    """All of a rehearsal."""

    server: str
    begun: str
    items: dict[str, Tried] = field(default_factory=dict)
    applications: dict[str, Asked] = field(default_factory=dict)
    repository: Asked = field(default_factory=Asked)
    seconds: float = 0.0
    proved: str = ""  # when all of it was well the last time
    reason: str = ""  # why it could not even begin

    @property
    def status(self) -> str:
        """`ok` when all is."""
        parts: list[Tried | Asked] = [*self.items.values(), *self.applications.values(), self.repository]
        return "ok" if not self.reason and self.items and all(one.status == "ok" for one in parts) else "failed"

    def told(self) -> dict[str, Any]:
        """For `drill.json`."""
        return {**asdict(self), "status": self.status}


def begun(server: str) -> Report:
    """One that has found nothing yet: of each item it is known what the one before has found."""
    before = last()
    try:
        items = {name: Tried(**one) for name, one in dict(before.get("items", {})).items()}
    except (TypeError, ValueError):
        items = {}
    return Report(server, now(), items, proved=str(before.get("proved", "")))


def ended(report: Report, error: BackupsError) -> Report:
    """It could not go on, or not even begin: nothing is proved by it, and what was proved before stays known."""
    report.reason = str(error)
    report.items = {
        name: replace(one, status="failed", reason=one.reason or report.reason) for name, one in report.items.items()
    }
    return report


def keep(report: Report) -> None:
    """Write what was found, for `list`, the page and Prometheus."""
    told = json.dumps(report.told(), indent=2) + "\n"
    put(configuration.STATE / FILE, told, 0o600)
    put(configuration.STATE / PAGE, drill_page.page(report.told()), 0o600)
    items.write_metrics(configuration.STATE, configuration.METRICS)


def last() -> dict[str, Any]:
    """What the one before has found."""
    try:
        found = json.loads((configuration.STATE / FILE).read_text())
    except (OSError, ValueError):
        return {}  # the first one
    return found if isinstance(found, dict) else {}


def lines(report: Report) -> list[str]:
    """The report for a person."""
    told = [f"{name}: {_line(one)}" for name, one in report.items.items()]
    told += [f"applications.{name}: {_said(one)}" for name, one in report.applications.items()]
    told.append(f"repository: {_said(report.repository)}" if not report.reason else f"failed: {report.reason}")
    last = f"all was proved last at {report.proved}" if report.proved else "it was never all proved"
    end = "all of it is proved" if report.status == "ok" else last
    return [*told, f"rehearsal of {report.server}: {report.status} in {report.seconds:.0f} s; {end}"]


def _line(one: Tried) -> str:
    from_when = moment(datetime.fromisoformat(one.time))
    if one.status == "ok":
        return f"{size(one.bytes)} as of {from_when}, back in {one.seconds:.1f} s"
    last = f"proved last at {one.proved}" if one.proved else "never proved"
    return f"failed: {one.reason} (as of {from_when}, {last})"


def _said(one: Asked) -> str:
    return f"{one.proof}, {one.seconds:.1f} s" if one.status == "ok" else f"failed: {one.reason}"
