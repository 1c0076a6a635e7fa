"""`python3 -m jobscheduler`: runs until SIGTERM, then leaves what runs running; 2 when the environment is unusable."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from datetime import UTC, datetime
from pathlib import Path

from jobscheduler.docker import Docker
from jobscheduler.record import FOLDER, Record
from jobscheduler.runs import Runs
from jobscheduler.scheduler import Scheduler
from jobscheduler.table import TableError, read

# In memory, and there also when the root file system is read-only; healthy.sh reads it.
ALIVE = Path("/dev/shm/jobscheduler")  # noqa: S108


class RealClock:
    """The time of this machine."""

    def __init__(self) -> None:
        self.stopping = threading.Event()

    def now(self) -> datetime:
        """The time on the clock, in UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Seconds that no change of the clock touches."""
        return time.monotonic()

    def wait(self, seconds: float) -> bool:
        """Let so much time pass; True when it is time to stop."""
        return self.stopping.wait(max(0.0, seconds))


def say(text: str) -> None:
    """One line of the log."""
    print(f"jobscheduler: {text}", flush=True)


def alive() -> None:
    """The health check compares with the seconds since the machine's start, which no clock change touches."""
    ALIVE.write_text(Path("/proc/uptime").read_text())


def main() -> int:
    """The process's exit status."""
    try:
        table = read(os.environ)
    except TableError as error:
        print(f"jobscheduler: the environment can't be used:\n{error}", file=sys.stderr)
        return 2
    if not os.path.ismount(FOLDER):
        say(f"{FOLDER} is no volume: what is missed while this container is being replaced is not noticed")
    clock, record = RealClock(), Record(FOLDER, say)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: clock.stopping.set())
    runs = Runs(Docker(), record, clock, say=say, local=table.local)
    Scheduler(table, runs, record, clock, say=say, alive=alive).run()
    say("stopped; jobs that run go on")
    return 0


if __name__ == "__main__":
    sys.exit(main())
