"""`python3 -m accesslog`: collects until SIGTERM; exits with 0, 2 for unusable input, 1 for lines it could not save.

While the disk is full, or refuses for another reason, it reads nothing more: lines wait in the pipe, and the
container is unhealthy and says why.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path

from accesslog.keeper import keep
from accesslog.options import InputError, Options, parse
from accesslog.pipe import Pipe
from accesslog.store import Store, sorted_by_site

PIPE = Path("/etc/haproxy/run/access")
SITES = Path("/var/log/sites")
# In memory: it has to be written when the disk is full. The health check reads it.
BEAT = Path("/dev/shm/accesslog.beat")  # noqa: S108 - there is nobody else in the container
TICK_SECONDS = 0.5
KEEP_SECONDS = 60.0
REPEAT_SECONDS = 60.0  # between two lines about the same trouble
DRAIN_SECONDS = 5.0  # of a pipe that does not run empty


class Collector:
    """The loop, and the thread that keeps what it has rotated."""

    def __init__(self, options: Options, *, pipe: Path = PIPE, sites: Path = SITES, beat: Path = BEAT) -> None:
        """Raises OSError when `sites` can't be written to."""
        self.options, self.sites, self._beat_file = options, sites, beat
        self.pipe = Pipe(pipe)
        self.store = Store(sites, options.rotate_bytes, time.time)
        # Plain flags, since signal handlers set them.
        self.stopping = self.rotation = False
        self._rotated = threading.Event()
        self._kept = threading.Thread(target=self._keep, name="keeper", daemon=True)
        self._trouble = {"collector": "", "keeper": ""}
        self._told: dict[str, tuple[str, float]] = {}

    def stop(self, *_: object) -> None:
        """Have `run` end soon; a signal handler."""
        self.stopping = True

    def rotate(self, *_: object) -> None:
        """Have every file rotated soon; a signal handler."""
        self.rotation = True

    def run(self) -> int:
        """Collect until it is stopped; the exit status."""
        self._kept.start()
        while not self.stopping:
            self._round()
        deadline = time.monotonic() + DRAIN_SECONDS
        while not self.store.waits and time.monotonic() < deadline and (lines := self.pipe.lines(0)):
            self._write(lines)
        self._write(self.pipe.finish())
        if self.store.waits:
            say(f"ERROR: {self.store.waiting_lines} lines are lost: they were read and could not be written")
            return 1
        self.store.close()
        self.pipe.close()
        say("stopped; what the proxy writes from now on waits in its pipe")
        return 0

    def _round(self) -> None:
        if self.store.waits:
            self._write([])
            if self.store.waits:
                time.sleep(TICK_SECONDS)
                return
        if not self.pipe.find():
            self._tell("pipe", f"waiting for {self.pipe.path} to be open to us; is the proxy's volume at /etc/haproxy?")
            time.sleep(TICK_SECONDS)
        self._write(self.pipe.lines(TICK_SECONDS))

    def _write(self, lines: list[bytes]) -> None:
        sites, messages = sorted_by_site(lines)
        for message in messages:
            say(f"the proxy says: {message.decode(errors='replace').strip()}")
        try:
            self.store.write(sites)
            asked, self.rotation = self.rotation, False
            if self.store.rotate(everything=asked):
                self._rotated.set()
        except OSError as error:
            self._trouble["collector"] = f"cannot write to {self.sites}: {error}; lines wait in the proxy's pipe"
            self._tell("collector", f"ERROR: {self._trouble['collector']}")
        else:
            if self._trouble["collector"]:
                say(f"writes to {self.sites} again")
            self._trouble["collector"] = ""
        self._beat()

    def _beat(self) -> None:
        try:
            self._beat_file.write_text("; ".join(text for text in self._trouble.values() if text))
        except OSError as error:
            self._tell("beat", f"ERROR: {self._beat_file}: {error}; it must be writable")

    def _keep(self) -> None:
        while True:
            try:
                done = keep(
                    self.sites,
                    keep_days=self.options.keep_days,
                    keep_bytes=self.options.keep_bytes,
                    now=time.time(),
                )
            except OSError as error:
                self._trouble["keeper"] = f"cannot compress or remove old files: {error}"
                self._tell("keeper", f"ERROR: {self._trouble['keeper']}")
            else:
                self._trouble["keeper"] = ""
                if done.expired:
                    say(f"{len(done.expired)} files were older than {self.options.keep_days} days")
                if done.evicted:
                    say(f"WARNING: over KEEP_MB: removed {', '.join(str(path) for path in done.evicted)}")
            self._rotated.wait(KEEP_SECONDS)
            self._rotated.clear()

    def _tell(self, about: str, text: str) -> None:
        last, at = self._told.get(about, ("", 0.0))
        if text != last or time.monotonic() - at >= REPEAT_SECONDS:
            self._told[about] = (text, time.monotonic())
            say(text)


def say(text: str) -> None:
    """One line for `docker logs`."""
    print(f"accesslog: {text}", file=sys.stderr)


def main(environment: Mapping[str, str]) -> int:
    """Run with these variables; the exit status."""
    try:
        collector = Collector(parse(environment))
    except InputError as error:
        say(f"nothing is collected:\n{error}")
        return 2
    except OSError as error:
        say(f"ERROR: {error}; mount an empty named volume at {SITES}, or give the folder to uid {os.getuid()}")
        return 1
    signal.signal(signal.SIGTERM, collector.stop)
    signal.signal(signal.SIGINT, collector.stop)
    signal.signal(signal.SIGHUP, collector.rotate)
    options = collector.options
    say(f"collects into {SITES}, {options.keep_days} days, at most {options.keep_bytes >> 20} MB")
    return collector.run()


if __name__ == "__main__":
    sys.exit(main(os.environ))
