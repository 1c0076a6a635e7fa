"""`python3 -m reports`: exits with 0 for all pages made, 1 where one or more could not be, 2 for a bad PROGRAM."""

from __future__ import annotations

import datetime
import os
import sys
import zlib
from collections.abc import Mapping
from pathlib import Path

from reports import awstats, goaccess
from reports.logs import ChangingError, lines, sites
from reports.pages import Summary, index, report, tidy, write
from reports.programs import Maker, ReportError

LOGS, TARGET = Path("/var/log/sites"), Path("/srv/site")
MAKERS: Mapping[str, Maker] = {"goaccess": goaccess.make, "awstats": awstats.make}


def run(environment: Mapping[str, str]) -> int:
    """Make every page with the program that the stack file names."""
    name = environment.get("PROGRAM", "").strip() or "goaccess"
    if name not in MAKERS:
        print(f"reports: ERROR: PROGRAM: {name!r} is not {' or '.join(MAKERS)}", file=sys.stderr)
        return 2
    return main(MAKERS[name])


def main(make: Maker, logs: Path = LOGS, target: Path = TARGET) -> int:
    """Make every page; messages go to stdout, errors to stderr."""
    done: list[Summary] = []
    try:
        names = sites(logs)
        for site in names:
            try:
                one = report(site, lines(logs / site), target / site, make)
            except (ReportError, ChangingError, EOFError, OSError, zlib.error) as error:
                page = (target / site / "index.html").exists()
                what = "the old page stays" if page else "there is no page"
                print(f"reports: ERROR: {site}: {what}: {error}", file=sys.stderr)
                done.append(Summary(site, None, "", page))
                continue
            print(f"reports: {site}: {one.requests} requests" + (f" since {one.since}" if one.since else ""))
            for complaint in one.complaints:
                print(f"reports: ERROR: {site}: {complaint}", file=sys.stderr)
            done.append(one)
        for gone in tidy(target, names):
            print(f"reports: {gone}: its logs are gone, so is its page")
        write(target / "index.html", index(done, f"{datetime.datetime.now(datetime.UTC):%Y-%m-%d %H:%M} UTC"))
    except OSError as error:
        print(
            f"reports: ERROR: {error}; AccessLog's volume belongs at {logs}, a writable one at {target}",
            file=sys.stderr,
        )
        return 1
    return 1 if any(one.requests is None for one in done) else 0


if __name__ == "__main__":
    sys.exit(run(os.environ))
