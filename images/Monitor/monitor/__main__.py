"""`python3 -m monitor`: watches until SIGTERM; 2 when it can't begin, 1 when one of its programs has ended.

`python3 -m monitor check WATCH FOLDER`: writes the configuration that is made of a watch.json into a folder, and ends.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from pathlib import Path

from monitor import config, page, programs
from monitor.kept import AlertmanagerError, Kept
from monitor.own import Inside, Outside
from monitor.programs import DATA, FILES, Running, say
from monitor.settings import EnvironmentProblem, Told, read
from monitor.watch import Watch, WatchError, parse

# What the host has for this container: its node exporter's socket, and what is to be watched.
HOST = Path("/run/apiary")
NODE_EXPORTER = HOST / "node.sock"
WATCH = HOST / "watch.json"
PROXY = Path("/etc/haproxy/run/metrics.sock")
PAGE = Path("/srv/site")
# Between two pages: a page asks for a day of figures.
PAGE_SECONDS, PAGE_LOOKS = 60, 10
KEPT_SECONDS = 10


class Monitor:
    """What is watched now, and the programs that watch it."""

    def __init__(self, told: Told, file: Path) -> None:
        if not os.access(DATA, os.W_OK):
            raise EnvironmentProblem(f"{DATA} is not writable; mount a named volume there, e.g. metrics:{DATA}")
        self._told, self._file = told, file
        self.kept = Kept(DATA, told.interval)
        self._seen = self._stamp()
        self._refused = False
        self.watch = self._read()
        programs.write(programs.texts(self.watch, told, FILES), FILES)
        for folder in ("prometheus", "alertmanager"):
            (DATA / folder).mkdir(exist_ok=True)
        self.running = Running(programs.programs(FILES, DATA, told.interval), programs.environment())

    def _stamp(self) -> tuple[int, int]:
        found = self._file.stat()
        return found.st_mtime_ns, found.st_ino

    def _read(self) -> Watch:
        return parse(self._file.read_text())

    def well(self) -> bool:
        """Whether every program answers, and does what it was told last."""
        return not self._refused and self.running.well()

    def look(self) -> None:
        """Take up another watch.json. One that can't be used is said, the last good one stays, and it is not well."""
        try:
            seen = self._stamp()
            if seen == self._seen:
                return
            self._seen = seen
            self.watch = self._read()
            if not programs.write(programs.texts(self.watch, self._told, FILES), FILES):
                return
        except (OSError, WatchError) as error:
            self._refused = True
            say(f"ERROR: {self._file} {error}; what was watched goes on being watched")
            return
        refused = self.running.reload()
        self._refused = bool(refused)
        say("\n".join(f"ERROR: {one}" for one in refused) if refused else "watches what the stack file says now")


def main() -> int:
    """The process's exit status."""
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    try:
        told = read(os.environ)
        monitor = Monitor(told, WATCH)
    except (EnvironmentProblem, WatchError, OSError) as error:
        say(f"ERROR: {WATCH if isinstance(error, WatchError) else ''} {error}")
        return 2
    sources = {"/metrics/host": (NODE_EXPORTER, "/metrics"), "/metrics/proxy": (PROXY, "/metrics?scope=backend")}
    Inside(sources, lambda: monitor.watch, config.OWN)
    Outside(monitor.well, told.port)
    say(f"watches {len(monitor.watch.sites)} sites and {len(monitor.watch.peers)} ports of other servers")
    drawn = kept = time.monotonic() - PAGE_SECONDS
    ended, is_ready = None, False  # once they have all begun they answer, or it ends
    while not stopping.wait(1) and (ended := monitor.running.ended()) is None:
        monitor.look()
        now = time.monotonic()
        is_ready = is_ready or monitor.running.well()
        if is_ready and now - kept >= min(KEPT_SECONDS, told.interval):
            keep(monitor.kept)
            kept = now
        if is_ready and now - drawn >= min(PAGE_SECONDS, PAGE_LOOKS * told.interval) and os.access(PAGE, os.W_OK):
            page.draw(PAGE, monitor.watch)
            drawn = now
    monitor.running.stop()
    if ended:
        say(f"ERROR: {ended}")
        return 1
    say("stopped")
    return 0


def keep(kept: Kept) -> None:
    """Have what is wrong outlive this process; where that can't be, say so."""
    try:
        kept.look()
    except (AlertmanagerError, OSError) as error:
        say(f"ERROR: what is wrong could not be kept: {error}")


def check(file: Path, folder: Path) -> int:
    """Write the configuration where the programs' own checkers find it."""
    programs.write(programs.texts(parse(file.read_text()), read(os.environ), folder), folder)
    return 0


if __name__ == "__main__":
    sys.exit(check(Path(sys.argv[2]), Path(sys.argv[3])) if sys.argv[1:2] == ["check"] else main())
