"""What each thread of the proxy is worth, and what it costs the access log: `python -m bench.lines [--seconds 8]`.

Needs HAProxy on this machine (Debian: haproxy), no region and no Docker: hasetup's own configuration on loopback, with
a site that leads elsewhere, so that the proxy itself answers; the collector's own reader at its pipe; visitors in
processes of their own, by http, by https and by https with a handshake for each request. Prints a table for one thread,
for two, and for two that share a way to the pipe, as they would without frontends of their own.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.request import urlopen

from bench import load
from lab.paths import CHECKOUT
from tests.conformance.proxy import running

sys.path.insert(0, str(CHECKOUT / "images" / "AccessLog"))
sys.path.insert(0, str(CHECKOUT / "images" / "HAProxySetup"))

from accesslog.pipe import Pipe
from accesslog.store import sorted_by_site
from hasetup.access import Access

HOST = "lines.example.org"
TOLD = {HOST: {"redirects": {"": "https://elsewhere.example.org"}, "tls": True, "www": False}}
CONNECTIONS = 8  # of each process
PROCESSES = 4
KINDS = ("http", "https", "handshakes")


@dataclass(frozen=True)
class Found:
    """What came of one run."""

    requests: int
    failed: int
    lines: int
    dropped: int  # by the proxy's own count
    seconds: float

    @property
    def lost(self) -> int:
        """Requests without a line."""
        return self.requests - self.lines

    @property
    def rate(self) -> float:
        """Requests a second."""
        return self.requests / self.seconds


class Reader:
    """Counts the lines of the site, in a thread, as the collector reads them."""

    def __init__(self, pipe: Path) -> None:
        self._pipe = Pipe(pipe)
        self._pipe.find()
        self._stopping = False
        self.lines = 0
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        while (lines := self._pipe.lines(0.5)) or not self._stopping:
            self.lines += sum(len(found) for found in sorted_by_site(lines)[0].values())

    def stop(self) -> None:
        """Read all that is there, and end."""
        self._stopping = True
        self._thread.join()
        self._pipe.close()


def measure(
    folder: Path,
    threads: int,
    seconds: float,
    *,
    kind: str = "http",
    shared: bool = False,
    every_second: Callable[[int], None] | None = None,
) -> Found:
    """One run: so many threads; with `shared` all of them at one descriptor, `every_second` meanwhile."""

    def edited(text: str) -> str:
        return text.replace("ACCESS_LOG_2}", "ACCESS_LOG}") if shared else text

    with running(folder, TOLD, edited=edited, access=Access(collected=True, threads=threads)) as ports:
        reader = Reader(folder / "run" / "access")
        try:
            results = _visit(ports, kind, seconds, every_second)
            until = time.monotonic() + 10
            asked = sum(int(one["requests"]) for one in results)
            while reader.lines < asked and time.monotonic() < until:
                time.sleep(0.05)
            dropped = _dropped(ports["inside"])
        finally:
            reader.stop()
    failed = sum(int(one["failed"]) for one in results)
    return Found(asked, failed, reader.lines, dropped, max(float(one["seconds"]) for one in results))


def _visit(
    ports: dict[str, int], kind: str, seconds: float, every_second: Callable[[int], None] | None
) -> Sequence[dict[str, float]]:
    scheme = "http" if kind == "http" else "https"
    words = [
        str(ports[scheme]),
        HOST,
        str(CONNECTIONS),
        str(seconds),
        scheme,
        *(["once"] if kind == "handshakes" else []),
    ]
    addresses = ["127.0.0.1", "::1"] * (PROCESSES // 2)
    visitors = [
        subprocess.Popen([sys.executable, load.__file__, address, *words], stdout=subprocess.PIPE, text=True)
        for address in addresses
    ]
    number = 0
    while any(visitor.poll() is None for visitor in visitors):
        time.sleep(1)
        if every_second and number < seconds - 1:
            number += 1
            every_second(number)
    return [json.loads(visitor.communicate()[0]) for visitor in visitors]


def _dropped(port: int) -> int:
    with urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        lines = answer.read().decode().splitlines()
    (value,) = (line.split()[1] for line in lines if line.startswith("haproxy_process_dropped_logs_total "))
    return int(value)


def main() -> int:
    """Measures and prints; the process's exit status."""
    parser = argparse.ArgumentParser(prog="python -m bench.lines", description="What a thread of the proxy is worth.")
    parser.add_argument("--seconds", type=float, default=8.0, help="of each run (8)")
    options = parser.parse_args()
    print("| threads | visitors by | requests a second | requests | failed | lines lost |")
    print("| --- | --- | --: | --: | --: | --: |")
    for kind in KINDS:
        for what, threads, shared in (("1", 1, False), ("2", 2, False), ("2 at one descriptor", 2, True)):
            with tempfile.TemporaryDirectory(prefix="apiary-lines-") as folder:
                found = measure(Path(folder), threads, options.seconds, kind=kind, shared=shared)
            counts = f"{found.requests:,} | {found.failed} | {found.lost}"
            print(f"| {what} | {kind} | {found.rate:,.0f} | {counts} |", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
