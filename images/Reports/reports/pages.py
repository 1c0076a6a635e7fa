"""A site's pages under their names, and the page that lists the sites."""

from __future__ import annotations

import html
import itertools
import os
import re
import shutil
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from reports.entries import Reading, read
from reports.programs import Maker, ReportError

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


@dataclass(frozen=True)
class Summary:
    """A row of the list."""

    site: str
    requests: int | None  # None: its page could not be made
    since: str  # "24/Nov/2026", empty without requests
    page: bool  # there is one, now or still
    complaints: tuple[str, ...] = ()  # of requests that are in no page


def report(site: str, lines: Iterable[bytes], folder: Path, make: Maker) -> Summary:
    """Put the pages of one site into `folder`; a site without requests keeps none. Raises ReportError."""
    reading = Reading()
    entries = read(lines, reading)
    first = next(entries, None)
    if first is None:
        if reading.unreadable:
            raise ReportError(reading.complaint())
        if folder.exists():
            shutil.rmtree(folder)
        return Summary(site, 0, "", False)
    folder.mkdir(exist_ok=True)
    try:
        with tempfile.TemporaryDirectory(prefix=".new-", dir=folder) as new:
            left_out = make(site, itertools.chain([first], entries), Path(new))
            _publish(Path(new), folder)
    except BaseException:
        if not any(folder.iterdir()):
            folder.rmdir()
        raise
    complaints = [reading.complaint()] if reading.unreadable else []
    if left_out:
        complaints.append(f"{left_out} of {reading.entries} requests are in no page: the program left them out")
    return Summary(site, reading.entries, reading.since, True, tuple(complaints))


def _publish(made: Path, folder: Path) -> None:
    """Whole files under their names, the first page when all that it leads to is there; then away with all others."""
    files = sorted(path.relative_to(made) for path in made.rglob("*") if path.is_file())
    for file in sorted(files, key=lambda file: file.name == "index.html"):
        (folder / file.parent).mkdir(parents=True, exist_ok=True)
        (made / file).chmod(0o644)
        (made / file).replace(folder / file)
    kept = {folder / file for file in files}
    kept |= {parent for path in kept for parent in path.parents} | {made}
    for path in sorted(folder.rglob("*"), reverse=True):
        if path in kept or made in path.parents:
            continue
        if path.is_dir() and not path.is_symlink():
            path.rmdir()
        else:
            path.unlink()


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
    link = f'<a href="{name}/">{name}</a>' if one.page else name
    if one.requests is None:
        cells = link, "not made anew: the job says why", ""
    elif one.requests:
        cells = link, f"{one.requests:,}", html.escape(one.since)
    else:
        cells = link, "none yet", ""
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
