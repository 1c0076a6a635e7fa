"""A report as text for a person, or as JSON for a program. Pure.

Tables first, what is wrong at their top; then every finding with what to type, the worst last: nearest to the prompt.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime

from operations.status.report import Answers, Finding, Level, Report, Row, Section
from operations.status.words import plural

MARKS = {Level.OK: "✓", Level.WATCH: "!", Level.WRONG: "✗"}
PLAIN_MARKS = {Level.OK: " ", Level.WATCH: "!", Level.WRONG: "X"}
COLOURS = {Level.OK: "32", Level.WATCH: "33", Level.WRONG: "1;31"}
DIM, BOLD = "2", "1"
WORDS = {Level.OK: "ok", Level.WATCH: "watch", Level.WRONG: "wrong"}


class Text:
    """With colours, and with marks beyond ASCII, where there are some."""

    def __init__(self, *, colour: bool, unicode: bool) -> None:
        self._colour, self._marks = colour, MARKS if unicode else PLAIN_MARKS

    def render(self, report: Report, seconds: float) -> str:
        """The whole report, which took `seconds` to make."""
        width = max((len(row.name) for section in report.sections for row in section.rows), default=0)
        parts = ["\n".join(self._section(section, width)) for section in report.sections]
        findings = sorted(report.findings, key=lambda finding: finding.level)
        if findings:
            parts.append("\n".join(line for finding in findings for line in self._finding(finding)))
        at = datetime.fromtimestamp(report.now, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
        verdict = self._paint(summary(report), COLOURS[report.level])
        parts.append(f"{report.stack}: {verdict} ({at}, {seconds:.1f} s)")
        return "\n\n".join(parts) + "\n"

    def _section(self, section: Section, width: int) -> Iterator[str]:
        if not section.rows:
            yield f"{self._paint(section.title, BOLD)}  {section.empty}"
            return
        widths = [
            max(len(column), *(len(row.cells[at]) for row in section.rows)) for at, column in enumerate(section.columns)
        ]
        yield self._line("  ", section.title, section.columns, [width, *widths], BOLD)
        for row in section.rows:
            yield self._row(row, [width, *widths])

    def _row(self, row: Row, widths: list[int]) -> str:
        mark = self._paint(self._marks[row.level], COLOURS[row.level])
        return self._line(f"{mark} ", row.name, row.cells, widths, COLOURS[row.level] if row.level else "")

    def _line(self, mark: str, name: str, cells: tuple[str, ...], widths: list[int], paint: str) -> str:
        padded = [text.ljust(width) for text, width in zip((name, *cells), widths, strict=True)]
        return mark + self._paint("  ".join(padded).rstrip(), paint)

    def _finding(self, finding: Finding) -> Iterator[str]:
        mark = self._paint(self._marks[finding.level], COLOURS[finding.level])
        yield f"{mark} {self._paint(f'{finding.kind} {finding.name}', BOLD)}: {finding.says}"
        yield f"    {finding.type}    {self._paint(f'docs/{finding.see}', DIM)}"

    def _paint(self, text: str, code: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if self._colour and code and text else text


def summary(report: Report) -> str:
    """`all is well`, or how much is not."""
    counted = {level: sum(finding.level is level for finding in report.findings) for level in Level}
    parts = []
    if counted[Level.WRONG]:
        parts.append(
            plural(counted[Level.WRONG], "thing") + (" is" if counted[Level.WRONG] == 1 else " are") + " wrong"
        )
    if counted[Level.WATCH]:
        parts.append(f"{counted[Level.WATCH]} to watch")
    return ", ".join(parts) if parts else "all is well"


def as_json(report: Report, answers: Answers, seconds: float) -> str:
    """`status` (ok, watch, wrong), `findings` worst first, `tables` as in the text, and `facts` as they were told."""
    told = {
        "stack": report.stack,
        "time": report.now,
        "seconds": round(seconds, 1),
        "status": WORDS[report.level],
        "findings": [{**asdict(finding), "level": WORDS[finding.level]} for finding in report.findings],
        "tables": {
            section.title: [
                {
                    "name": row.name,
                    "status": WORDS[row.level],
                    **{column or "state": cell for column, cell in zip(section.columns, row.cells, strict=True)},
                }
                for row in section.rows
            ]
            for section in report.sections
        },
        "facts": {
            "servers": {name: told.facts or {"why": told.why} for name, told in answers.servers.items()},
            "visits": list(answers.visits.values()),
            "drift": answers.drift.facts or {"why": answers.drift.why},
        },
    }
    return json.dumps(told, indent=1) + "\n"
