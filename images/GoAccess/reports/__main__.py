"""`python3 -m reports`: exits with 0 for all pages made, 1 where one or more could not be."""

from __future__ import annotations

import datetime
import gzip
import sys
import zlib
from collections.abc import Sequence
from pathlib import Path

from reports.logs import ChangingError, lines, sites
from reports.pages import ReportError, Summary, index, report, tidy, write

LOGS, TARGET = Path("/var/log/sites"), Path("/srv/site")


def main(logs: Path = LOGS, target: Path = TARGET, program: Sequence[str] = ("goaccess",)) -> int:
    """Make every page; messages go to stdout, errors to stderr."""
    done: list[Summary] = []
    try:
        names = sites(logs)
        for site in names:
            try:
                one = report(site, lines(logs / site), target / site, program)
            except (ReportError, ChangingError, EOFError, gzip.BadGzipFile, zlib.error) as error:
                print(f"reports: ERROR: {site}: the old page stays: {error}", file=sys.stderr)
                done.append(Summary(site, None, ""))
                continue
            print(f"reports: {site}: {one.requests} requests" + (f" since {one.since}" if one.since else ""))
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
    sys.exit(main())
