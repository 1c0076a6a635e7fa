"""A GiB of mixed data saved by restic on a server with a GiB of memory: at first, and a day later.

Makes: in the region, the stores and one server's disk as a container of that much memory; restic from its packages.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from bench.report import Report
from lab import acme, stores
from lab.paths import Paths
from lab.shell import docker, packed
from tests.lab.test_stores import WHERE, Machine, machine

MEMORY = ("--memory", "1g", "--memory-swap", "1g")
# How restic can be called: as it is, and ever more sparing of memory.
WAYS: Mapping[str, tuple[Mapping[str, str], Sequence[str]]] = {
    "as it is": ({}, ()),
    "GOGC=20": ({"GOGC": "20"}, ()),
    "GOGC=20 GOMAXPROCS=1, packs of 8 MiB": ({"GOGC": "20", "GOMAXPROCS": "1"}, ("--pack-size", "8")),
}
# The same files each time: pictures that nothing makes smaller, a dump, pages, and thousands of small ones. A day later
# a tenth of the dump is another one, and a hundredth of the small ones, and there are some new pictures.
DATA = """
import pathlib, random, sys
day, root = int(sys.argv[1]), pathlib.Path("/srv/data")
chance, words = random.Random(day), [b"%x" % number for number in range(9000)]
def text(size, chance):
    return b" ".join(chance.choices(words, k=size // 4))[:size]
def put(name, content):
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
if day == 0:
    for number in range(220):
        put(f"pictures/{number}", chance.randbytes(2_500_000))
    for number in range(30):
        put(f"dump/{number}", text(8_000_000, chance))
    for number in range(1_500):
        put(f"pages/{number}", text(100_000, chance))
    for number in range(10_000):
        put(f"small/{number % 100}/{number}", text(13_000, chance))
else:
    for number in range(8):
        put(f"pictures/{day}-{number}", chance.randbytes(2_500_000))
    for number in chance.sample(range(30), 3):
        put(f"dump/{number}", text(8_000_000, chance))
    for number in chance.sample(range(10_000), 100):
        put(f"small/{number % 100}/{number}", text(13_000, chance))
"""
# Runs a command; then, in a line of JSON, how long it took, and the most memory that it had (getrusage(2), kB).
MEASURED = """
import json, resource, subprocess, sys, time
started = time.monotonic()
done = subprocess.run(sys.argv[1:], capture_output=True, text=True)
if done.returncode:
    sys.exit(done.stderr)
told = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
summary = next((one for one in told if one.get("message_type") == "summary"), {})
usage = resource.getrusage(resource.RUSAGE_CHILDREN)
print(json.dumps([time.monotonic() - started, usage.ru_maxrss / 1024, summary.get("data_added_packed", 0) / 2**20]))
"""


def measure(report: Report, paths: Paths) -> None:
    """Both days with each store in each way, and the way back of one; into the report. Raises RuntimeError."""
    stores.ensure(paths, WHERE)
    server = machine(paths, "server", options=MEMORY)
    try:
        pem = acme.REGION.pem()
        docker("cp", "-", f"{server.name}:/", stdin=packed({"ca.pem": pem, "data.py": DATA, "measured.py": MEASURED}))
        server.must("python3 /data.py 0", 600)
        size = float(server.must("du -sm /srv/data").split()[0])
        report.add("mixed data, in 11,750 files", "MiB", size)
        for name in WHERE:
            for day in range(2):
                if day:
                    server.must("python3 /data.py 1", 600)
                for way in WAYS:
                    _backup(report, server, name, way, day)
            for way in WAYS:
                _restore(report, server, name, way)
            server.must("rm -rf /srv/data && python3 /data.py 0", 600)
    finally:
        docker("rm", "-f", "-v", server.name)
    report.notes.append(
        "Restic keeps no cache here, so that each figure is of what goes over the network; a host's own runs have."
    )
    report.notes.append(
        "The server has 1 GiB of memory and no swap, and shares both cores with the store; memory is the most that "
        "restic had at once. Each way has a repository of its own. Of the data, half is text, which restic compresses."
    )


def _backup(report: Report, server: Machine, store: str, way: str, day: int) -> None:
    if day == 0:
        _restic(server, store, way, "init", "--json")
    seconds, memory, sent = _restic(server, store, way, "backup", "--json", *WAYS[way][1], "/srv/data")
    what = f"{'daily' if day else 'first'} backup to {store}, {way}"
    report.add(what, "s", seconds)
    report.add(f"{what}: sent", "MiB", sent)
    report.add(f"{what}: memory", "MiB", memory)


def _restore(report: Report, server: Machine, store: str, way: str) -> None:
    seconds, memory, _ = _restic(server, store, way, "restore", "--json", "latest", "--target", "/back")
    server.must("diff -r /srv/data /back/srv/data && rm -rf /back", 300)
    what = f"restore from {store}, {way}"
    report.add(what, "s", seconds)
    report.add(f"{what}: memory", "MiB", memory)


def _restic(server: Machine, store: str, way: str, *words: str) -> list[float]:
    """Seconds, MiB of memory, MiB sent. Raises AssertionError with what restic said."""
    where, credentials = WHERE[store]
    place = f"{where}-{list(WAYS).index(way)}"
    command = " ".join(["python3 /measured.py restic --cacert /ca.pem --no-cache", *words])
    environment = {"RESTIC_PASSWORD": "bench", "RESTIC_REPOSITORY": place, **credentials, **WAYS[way][0]}
    found: list[float] = json.loads(server.must(command, 900, **environment))
    return found
