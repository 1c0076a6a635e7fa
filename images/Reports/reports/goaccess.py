"""A site's page by GoAccess: one file, with all days."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from reports.entries import Entry
from reports.programs import ReportError, feed

# As images/HAProxySetup/hasetup/access.py writes it; `%L` is the milliseconds until the answer was through. Without
# an answer the status is -1: such a request is one, too.
FORMAT = (
    '--log-format=%v %h - - [%d:%t %^] "%r" %s %b "%R" "%u" %^/%^/%^/%^/%L %^',
    "--date-format=%d/%b/%Y",
    "--time-format=%H:%M:%S",
    "--no-strict-status",
)
# One panel a row: in two columns a panel's last column, what it is about, is cut off on most screens.
LOOK = '--html-prefs={"theme":"bright","layout":"vertical","perPage":20}'


def make(site: str, entries: Iterable[Entry], folder: Path, program: Sequence[str] = ("goaccess",)) -> int:
    """A `Maker`."""
    page, refused = folder / "index.html", folder / "refused"
    options = ("--no-global-config", "--no-progress", *FORMAT, LOOK, f"--html-report-title={site}")
    files = (f"--invalid-requests={refused}", f"--output={page}")
    said = feed([[*program, "-", *options, *files]], (entry.string for entry in entries))
    if not page.exists():
        raise ReportError(f"goaccess made no page:\n{said}")
    left_out = len(refused.read_bytes().splitlines()) if refused.exists() else 0
    refused.unlink(missing_ok=True)
    return left_out
