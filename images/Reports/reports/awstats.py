"""A site's pages by AWStats: for each month one that sums it up, and those with the whole lists that it leads to.

AWStats is a CGI program that keeps a database, reads each line once, and drops without a word what it takes for
read before. Here it starts from nothing at every run, in a folder that goes afterwards, and gets the entries in
an order and a spelling that it can't misread:

- by time: the proxy writes a line at the end of a request, with the time of its beginning, and AWStats drops what
  is earlier than the newest line by two hours, or by midnight
- no quote within a value: it ends the value, and the line doesn't match
- GET for every method: AWStats drops those it doesn't know, PATCH for instance, and shows none

Nothing of a page works as a script, even where AWStats would let one through: the page itself forbids it.
"""

from __future__ import annotations

import calendar
import contextlib
import json
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

from reports.entries import Entry, midnight
from reports.programs import ReportError, feed

PROGRAM = ("/usr/lib/cgi-bin/awstats.pl",)
ICONS = Path("/usr/share/awstats/icon")
# Dates are those of the log, whatever the zone of the container.
ENVIRONMENT = {"PATH": "/usr/bin:/bin", "TZ": "UTC", "LC_ALL": "C"}
# Left out is what would stay empty: countries need somebody else's list, search engines don't tell what was sought.
CONFIGURATION = """\
LogFile="-"
LogType=W
LogFormat="%time4 %host %method %url %code %bytesd %refererquot %uaquot"
LogSeparator=" "
SiteDomain="{site}"
HostAliases="www.{site}"
DirData="data"
DirIcons="icons"
DNSLookup=0
Lang="en"
DirLang="/usr/share/awstats/lang"
AllowToUpdateStatsFromBrowser=0
ShowDomainsStats=0
ShowKeyphrasesStats=0
ShowKeywordsStats=0
ShowMiscStats=0
ShowLinksOnUrl=0
DetailedReportsOnNewWindows=0
TrapInfosForHTTPErrorCodes="400 403 404"
MaxRowsInHTMLOutput=5000
HTMLHeadSection="{links}"
"""
POLICY = (
    "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; img-src 'self'; "
    "style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'\">"
)
_NAME = "site"  # of the configuration, and so in the names of the months' files
_MONTH = re.compile(rf"awstats(\d\d)(\d{{4}})\.{_NAME}\.txt")
_FOUND = re.compile(r"^ *Found (\d+) new qualified records", re.MULTILINE)
_ICON = re.compile(r'(?:src="|url\()icons/([a-z0-9_]+/[A-Za-z0-9_.-]+)["\)]')
_FORM = re.compile(r"</?form\b[^>]*>")  # chooses a month, of the CGI program
_MOST_LISTS = 100  # AWStats has some twenty


def make(
    site: str, entries: Iterable[Entry], folder: Path, program: Sequence[str] = PROGRAM, icons: Path = ICONS
) -> int:
    """A `Maker`."""
    with tempfile.TemporaryDirectory() as work:
        one = _Site(site, Path(work), program)
        left_out = one.count(entries)
        months = one.months()
        if not months:
            raise ReportError(f"awstats took none of {left_out} lines")
        for year, month in months:
            for name, text in one.pages(year, month, _links(months, (year, month))).items():
                (folder / f"{name}.html").write_text(text)
    _add_icons(folder, icons)
    year, month = months[-1]
    shutil.copyfile(folder / f"{year}-{month}.html", folder / "index.html")
    return left_out


class _Site:
    """One site's configuration and numbers, in a folder of their own."""

    def __init__(self, site: str, work: Path, program: Sequence[str]) -> None:
        self.site, self.work, self.data = site, work, work / "data"
        self.data.mkdir()
        self.command = (*program, f"-config={_NAME}", f"-configdir={work}")

    def count(self, entries: Iterable[Entry]) -> int:
        """Give the entries to AWStats; how many it left out."""
        self._configure("")
        given = 0

        def spelled() -> Iterable[bytes]:
            nonlocal given
            for entry in entries:
                given += 1
                yield spell(entry)

        # On disk beyond 32 MiB, however large a log is.
        sort = (
            "sort", "--stable", "--key=1,1", "--buffer-size=32M", f"--temporary-directory={self.work}",
            "--compress-program=gzip",
        )  # fmt: skip
        said = feed([sort, (*self.command, "-update")], spelled(), ENVIRONMENT, self.work)
        if not (found := _FOUND.search(said)):
            raise ReportError(f"awstats didn't say how many lines it took:\n{said}")
        return given - int(found[1])

    def months(self) -> list[tuple[str, str]]:
        """(year, month) of every month with an entry, oldest first."""
        return sorted((match[2], match[1]) for path in self.data.iterdir() if (match := _MONTH.fullmatch(path.name)))

    def pages(self, year: str, month: str, links: str) -> dict[str, str]:
        """Every page of a month by its name without `.html`: those that no page leads to are not made."""
        self._configure(links)
        start = f"{year}-{month}"
        leads = re.compile(rf'href="{start}\.([a-z0-9_]+)\.html"')
        made: dict[str, str] = {}
        wanted = [""]
        while wanted:
            which = wanted.pop()
            name = f"{start}.{which}" if which else start
            if name in made:
                continue
            if len(made) > _MOST_LISTS:
                raise ReportError(f"awstats leads to more than {_MOST_LISTS} lists in {start}")
            made[name] = self._page(year, month, which, start)
            wanted += leads.findall(made[name])
        return made

    def _page(self, year: str, month: str, which: str, start: str) -> str:
        output = f"-output={which}" if which else "-output"
        done = subprocess.run(
            [*self.command, output, f"-staticlinks={start}", f"-year={year}", f"-month={month}"],
            stdin=subprocess.DEVNULL, capture_output=True, check=False, env=ENVIRONMENT, cwd=self.work,
        )  # fmt: skip
        text = done.stdout.decode(errors="replace").strip()
        # It says some of its troubles at the head of a page, with status 0.
        if done.returncode or not (text.startswith("<!DOCTYPE") and text.endswith("</html>")):
            said = done.stderr.decode(errors="replace").strip()
            raise ReportError(
                f"awstats {output} of {start} ended with status {done.returncode}:\n{said}\n{text[:2000]}"
            )
        if text.count("<head>") != 1:
            raise ReportError(f"awstats {output} of {start}: there is not one <head> to put a policy in")
        return _FORM.sub("", text.replace("<head>", f"<head>\n{POLICY}", 1)) + "\n"

    def _configure(self, links: str) -> None:
        (self.work / f"awstats.{_NAME}.conf").write_text(CONFIGURATION.format(site=self.site, links=links))


def spell(entry: Entry) -> bytes:
    """The entry as CONFIGURATION's LogFormat has it."""
    time = entry["time"]
    begun = midnight(entry["day"]) + int(time[:2]) * 3600 + int(time[3:5]) * 60 + int(time[6:])
    url, referrer, agent = (_plain(entry[part]) for part in ("url", "referrer", "agent"))
    return b'%d %s GET %s %s %s "%s" "%s"\n' % (
        begun, entry["visitor"], url.replace(b" ", b"%20") or b"-", entry["status"], entry["sent"], referrer, agent,
    )  # fmt: skip


# What neither ends a value nor begins something in a page.
_HARMLESS = re.compile(rb"[ !#-&(-;=?-\[\]-_a-z{-~]*")
_TROUBLE = re.compile(rb"[^ !#-&(-;=?-\[\]-_a-z{-~]")


def _plain(value: bytes) -> bytes:
    """A value of the log, with what is special to AWStats or to a page as `%3C`."""
    if _HARMLESS.fullmatch(value):
        return value
    if b"\\" in value:
        # Else it is not as the proxy escapes, and a backslash is one.
        with contextlib.suppress(ValueError):
            value = json.loads(b'"' + value + b'"').encode(errors="replace")
    return _TROUBLE.sub(lambda match: b"%%%02X" % match[0][0], value)


def _links(months: Sequence[tuple[str, str]], own: tuple[str, str]) -> str:
    """What leads from a month's pages to the other ones, and to the list of sites."""
    words = ["<a href='../'>All sites</a>"]
    for year, month in reversed(months):
        name = f"{calendar.month_name[int(month)]} {year}"
        words.append(name if (year, month) == own else f"<a href='{year}-{month}.html'>{name}</a>")
    return f"<p style='padding: 4px'>{' &nbsp; '.join(words)}</p>"


def _add_icons(folder: Path, icons: Path) -> None:
    """The pictures that the pages show, beside them."""
    shown = {name for page in folder.glob("*.html") for name in _ICON.findall(page.read_text())}
    for name in sorted(shown):
        # There is not one for each program of the world.
        source = icons / name if (icons / name).is_file() else icons / "mime" / "unknown.png"
        target = folder / "icons" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)
