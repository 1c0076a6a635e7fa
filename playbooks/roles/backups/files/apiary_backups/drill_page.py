"""The report of a rehearsal as one page that needs nothing else: no script, no picture, no other file. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from html import escape
from typing import Any

from apiary_backups.report import size

STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 60rem; padding: 0 1rem; color: #1c2024; }
h1 { font-size: 1.4rem; } h2 { font-size: 1.1rem; margin-top: 2rem; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; padding: .4rem .6rem; border-bottom: 1px solid #d9dde2; vertical-align: top; }
td.number { text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums; }
.ok { color: #17603a; } .failed { color: #a3161a; font-weight: 600; }
@media (prefers-color-scheme: dark) { body { background: #14171a; color: #e4e7ea; } .ok { color: #6fcf97; }
.failed { color: #ff8a8a; } th, td { border-color: #33393f; } }
"""


def page(told: Mapping[str, Any]) -> str:
    """The page of what `drill.json` says."""
    begun = _moment(told["begun"])
    head = "All of it is proved" if told["status"] == "ok" else "Not all of it is proved"
    last = f"all of it was proved last {_moment(told['proved'])}" if told["proved"] else "it was never all proved"
    parts = [
        f"<h1>{escape(str(told['server']))}: <span class={_class(told)}>{head}</span></h1>",
        f"<p>Rehearsed {begun}, in {told['seconds']:.0f} s; {last}.</p>",
    ]
    if told["reason"]:
        parts.append(f"<p class=failed>{escape(str(told['reason']))}</p>")
    parts.append(
        _table(
            "What came back",
            ("what", "saved", "size", "back in", "proved", ""),
            [
                (
                    escape(name), _moment(one["time"]), size(int(one["bytes"])), f"{one['seconds']:.1f} s",
                    _moment(one["proved"]) if one["proved"] else "<span class=failed>never</span>", _state(one),
                )
                for name, one in told["items"].items()
            ],
        )
    )  # fmt: skip
    parts.append(
        _table(
            "What served with it",
            ("application", "what it has shown", "took", ""),
            [
                (escape(name), escape(str(one["proof"])), f"{one['seconds']:.1f} s", _state(one))
                for name, one in told["applications"].items()
            ],
        )
    )
    repository = told["repository"]
    parts.append(
        _table(
            "The repository",
            ("what was read", "took", ""),
            [(escape(str(repository["proof"])), f"{repository['seconds']:.1f} s", _state(repository))],
        )
    )
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width">'
        f"<title>Rehearsal of {escape(str(told['server']))}</title><style>{STYLE}</style></head>\n<body>\n"
        + "\n".join(parts)
        + "\n</body></html>\n"
    )


def _class(one: Mapping[str, Any]) -> str:
    return "ok" if one["status"] == "ok" else "failed"


def _state(one: Mapping[str, Any]) -> str:
    return f"<span class={_class(one)}>{escape(str(one['reason'] or one['status']))}</span>"


def _table(title: str, heads: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    if not rows:
        return f"<h2>{title}</h2>\n<p>Nothing.</p>"
    head = "".join(f"<th>{one}</th>" for one in heads)
    body = "\n".join("<tr>" + "".join(f"<td{_number(one)}>{one}</td>" for one in row) + "</tr>" for row in rows)
    return f"<h2>{title}</h2>\n<table><thead><tr>{head}</tr></thead><tbody>\n{body}\n</tbody></table>"


def _number(cell: str) -> str:
    return ' class="number"' if cell.endswith((" s", "iB", " B")) and cell[:1].isdigit() else ""


def _moment(time: object) -> str:
    return f"{datetime.fromisoformat(str(time)).astimezone(UTC):%Y-%m-%d %H:%M} UTC"
