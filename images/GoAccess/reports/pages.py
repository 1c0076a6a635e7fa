"""The pages: one a site by GoAccess, and the one that lists them."""

from __future__ import annotations

import html
import os
import re
import shutil
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

# As images/HAProxySetup/hasetup/access.py writes it; `%L` is the milliseconds until the answer was through.
FORMAT = (
    '--log-format=%v %h - - [%d:%t %^] "%r" %s %b "%R" "%u" %^/%^/%^/%^/%L %^',
    "--date-format=%d/%b/%Y",
    "--time-format=%H:%M:%S",
)
# One panel a row: in two columns a panel's last column, what it is about, is cut off on most screens.
LOOK = '--html-prefs={"theme":"bright","layout":"vertical","perPage":20}'
_SITE = re.compile(r"[a-z0-9_-]+(\.[a-z0-9_-]+)+")
_STYLE = """
:root { color-scheme: light dark }
:root { --ground: #fbf8f1; --ink: #33302a; --quiet: #6d675b; --honey: #a86f00; --line: #e6dec9 }
@media (prefers-color-scheme: dark) {
  :root { --ground: #1d1b17; --ink: #ece6d8; --quiet: #a69f8f; --honey: #f0b73f; --line: #3a352b }
}
body { margin: 0; padding: 0 1.25rem; background: var(--ground); color: var(--ink); font: 1.125rem/1.65 Georgia, serif }
main { max-width: 44rem; margin: clamp(2rem, 10vh, 6rem) auto 4rem }
h1 { font-size: 2.4rem; line-height: 1.1 }
table { width: 100%; border-collapse: collapse }
th, td { padding: .5em .75em .5em 0; border-bottom: 1px solid var(--line); text-align: left }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums }
th, .quiet { color: var(--quiet); font-weight: normal; font-size: .95rem }
a { color: var(--honey) }
"""


class ReportError(Exception):
    """A page could not be made, the old one is still there; str() says why."""


@dataclass(frozen=True)
class Summary:
    """A row of the list."""

    site: str
    requests: int | None  # None: its page could not be made
    since: str  # "24/Nov/2026", empty without requests


def summary(site: str, first: bytes | None, requests: int) -> Summary:
    """From a site's first line."""
    match = re.search(rb"\[(\d\d/\w{3}/\d{4}):", first or b"")
    return Summary(site, requests, match[1].decode() if match else "")


def report(site: str, lines: Iterable[bytes], folder: Path, program: Sequence[str] = ("goaccess",)) -> Summary:
    """Write the page of one site into `folder`; a site without requests keeps none. Raises ReportError."""
    first: bytes | None = None
    count = 0
    folder.mkdir(exist_ok=True)
    made = folder / ".new.html"  # GoAccess knows the format by the ending
    command = [*program, "-", "--no-global-config", "--no-progress", *FORMAT, LOOK, f"--html-report-title={site}"]
    # Into a file: a pipe of its own could fill while we write to the other.
    with (folder / ".said").open("w+") as said:
        running = subprocess.Popen(
            [*command, f"--output={made}"], stdin=subprocess.PIPE, stdout=said, stderr=subprocess.STDOUT
        )
        assert running.stdin is not None  # noqa: S101 - it is a pipe
        try:
            with running.stdin as into:
                for line in lines:
                    first, count = first or line, count + 1
                    into.write(line)
        except BrokenPipeError:
            pass  # it has ended, and says why
        except BaseException:
            running.kill()
            running.wait()
            raise
        status = running.wait()
        said.seek(0)
        text = said.read().strip()
    (folder / ".said").unlink()
    if count and (status or not made.exists()):
        made.unlink(missing_ok=True)
        raise ReportError(f"{site}: goaccess ended with status {status} after {count} lines:\n{text}")
    if count:
        made.chmod(0o644)
        made.rename(folder / "index.html")
    else:
        shutil.rmtree(folder)
    return summary(site, first, count)


def index(summaries: Sequence[Summary], made: str) -> str:
    """The list as HTML; `made` is when."""
    rows = "\n".join(_row(one) for one in summaries)
    head = '<tr><th>site</th><th class="number">requests</th><th>since</th></tr>'
    nothing = "<p>There are no access logs yet. Visit a site, then run this job again.</p>"
    table = f"<table>\n{head}\n{rows}\n</table>" if rows else nothing
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<meta name="robots" content="noindex">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n<title>Visits</title>\n'
        f"<style>{_STYLE}</style>\n</head>\n<body>\n<main>\n<h1>Visits</h1>\n{table}\n"
        f'<p class="quiet">Made {html.escape(made)} from the logs that are kept.</p>\n</main>\n</body>\n</html>\n'
    )


def _row(one: Summary) -> str:
    name = html.escape(one.site)
    link = f'<a href="{name}/">{name}</a>'
    if one.requests is None:
        cells = link, "not made anew: the job says why", ""
    elif one.requests:
        cells = link, f"{one.requests:,}", html.escape(one.since)
    else:
        cells = name, "none yet", ""
    return '<tr><td>{}</td><td class="number">{}</td><td>{}</td></tr>'.format(*cells)


def write(path: Path, text: str) -> None:
    """Whole, then under its name."""
    beside = path.with_name(f".{path.name}.new")
    with beside.open("w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    beside.chmod(0o644)
    beside.rename(path)


def tidy(target: Path, keep: Iterable[str]) -> list[str]:
    """Remove the pages of sites whose logs are gone: what they say of visitors is to go with them."""
    kept = set(keep)
    gone = [
        path.name
        for path in target.iterdir()
        if path.name not in kept and _SITE.fullmatch(path.name) and path.is_dir() and not path.is_symlink()
    ]
    for name in gone:
        shutil.rmtree(target / name)
    return sorted(gone)
