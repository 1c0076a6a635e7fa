"""Measures the program in a region of its own, and prints a table: `python -m bench [--write]`.

Makes: a region in `.lab/bench` (with the caches of the lab), and in it stacks of a copy of the checkout: the small one
of tests/lab/stacks/spine.yaml, with more and more applications; then, in a region as new, the whole hive of
Pulumi.lab.yaml. All is gone at the end, however it ends.
`--write` puts the table into bench/RESULTS.md when all was measured.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench import load
from bench.report import Report, machine
from lab import cli, tools
from lab.paths import CHECKOUT, Paths
from lab.servers import Servers
from tests.lab.hive import Hive

RUNS = 3
STACK = CHECKOUT / "tests" / "lab" / "stacks" / "spine.yaml"
CONNECTIONS, SECONDS = 16, 8
WATCH_SECONDS = 300
CLIENT = Path(load.__file__).read_text()


def main() -> int:
    """Runs all measurements; the process's exit status."""
    parser = argparse.ArgumentParser(prog="python -m bench", description="Figures of the program, on this machine.")
    parser.add_argument("--write", action="store_true", help="write bench/RESULTS.md")
    parser.add_argument("--applications", default="5,20", help="numbers of applications (5,20); 50 takes minutes")
    options = parser.parse_args()
    counts = [int(word) for word in options.applications.split(",") if word]
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the region is taken down
    root = CHECKOUT / ".lab" / "bench"
    os.environ["APIARY_LAB_CACHE"] = str(CHECKOUT / ".lab" / "cache")
    os.environ["APIARY_LAB_DIR"] = str(root)
    paths = Paths.find(root)
    pulumi = tools.ensure_pulumi(paths)
    os.environ["PATH"] = f"{pulumi.parent}:{os.environ['PATH']}"
    report = Report()
    try:
        report.add("region up, caches warm", "s", seconds(lambda: cli.up(renewed(root))))
        about = machine(pulumi)  # Docker runs now, at the latest
        with tempfile.TemporaryDirectory(prefix="apiary-bench-") as folder:
            measure(Hive.copy_of_the_checkout(Paths.find(root), Path(folder), STACK), report, counts)
        cli.up(renewed(root))
        with tempfile.TemporaryDirectory(prefix="apiary-bench-") as folder:
            measure_whole(Hive.copy_of_the_checkout(Paths.find(root), Path(folder)), report)
    finally:
        cli.down(Paths.find(root), everything=False)
    page = report.markdown(about)
    print(page)
    if options.write:
        (CHECKOUT / "bench" / "RESULTS.md").write_text(page)
    return 0


def measure(hive: Hive, report: Report, counts: list[int]) -> None:
    """All figures of a stack: as it is first, then with more applications."""
    hive.pulumi("stack", "select", "--create")
    report.add("first `pulumi up` of the small stack, caches warm", "s", seconds(hive.up))
    hive.expect_served()
    memory(hive, report, "small stack")
    no_change(hive, report)
    edit(hive, report)
    for count in counts:
        grow(hive, count)
        report.add(f"`pulumi up` that grows the stack to {count} applications", "s", seconds(hive.up))
        no_change(hive, report)


def renewed(root: Path) -> Paths:
    """The folder of a region, with nothing of an older region in it."""
    cli.down(Paths.find(root), everything=False)
    return Paths.find(root)  # `down` removes folders that `up` needs


def measure_whole(hive: Hive, report: Report) -> None:
    """The figures of the whole hive: from an edit of the stack file to what the edit asked for."""
    hive.pulumi("stack", "select", "--create")
    started = time.monotonic()
    done = hive.up()
    report.add("first `pulumi up` of the whole hive, caches warm", "s", time.monotonic() - started)
    report.add("resources of the whole hive", "", len(done.touched()))
    hive.expect_served()
    images(hive, report)
    memory(hive, report, "whole hive")
    no_change(hive, report)
    throughput(hive, report)
    new(hive, report, "a new site with its certificate", lambda name: {"build_dir": "NginxStatic"})
    new(hive, report, "a new application with its database and certificate", with_database)


def with_database(name: str) -> dict[str, Any]:
    """The visitors' notes, in a database of their own."""
    return {
        "build_dir": "Notes",
        "db": [f"postgres:{name}"],
        "env": {
            "db_kind": "postgresql",
            "db_host": "$postgres",
            "db_name": name,
            "db_user": name,
            "db_password": f"_postgres:{name}^password",
        },
        "health": {"path": "/healthz"},
    }


def new(hive: Hive, report: Report, what: str, application: Callable[[str], dict[str, Any]]) -> None:
    """From the edit that adds one, to its first answer over IPv6 by https with a certificate that visitors trust."""
    seen, ended, touched = [], [], []
    for number in range(RUNS):
        name = f"new{number}"
        url = f"https://{name}.example.com/"
        with hive.changed() as settings:
            settings["apiary:servers"]["web1"]["dns"]["web"].append(f"{name}.example.com")
            settings["apiary:applications"][name] = section = application(name)
            section["env"] = {**section.get("env", {}), "domains": [f"{name}.example.com"], "http_port": 8080}
            started = time.monotonic()
            watch = hive.in_prober(
                *("timeout", str(WATCH_SECONDS), "bash", "-c"),
                f"until curl -6 -sf -o /dev/null --max-time 2 {url}; do sleep 0.1; done; date +%s.%N",
            )
            clock = time.time()
            touched.append(len(hive.up().touched()))
            ended.append(time.monotonic() - started)
            out, err = watch.communicate(timeout=WATCH_SECONDS + 10)
            if watch.returncode:
                raise RuntimeError(f"{url} was never served: {err}")
            seen.append(float(out) - clock)
        hive.up()
    report.add(f"{what}: edit to served", "s", *seen)
    report.add(f"{what}: edit to the end of `pulumi up`", "s", *ended)
    report.add(f"{what}: resources touched", "", *touched)


def no_change(hive: Hive, report: Report) -> None:
    """A preview and an update that find nothing to do."""
    count = len(hive.settings["apiary:applications"])
    for words in (["preview"], ["up", "--yes", "--skip-preview"]):
        run = [*words, "--expect-no-changes"]
        times = [seconds(lambda run=run: hive.pulumi(*run)) for _ in range(RUNS)]  # type: ignore[misc]
        report.add(f"no-change `pulumi {words[0]}`, {count} applications", "s", *times)


def edit(hive: Hive, report: Report) -> None:
    """From the edit of a page to the new page in the prober, over IPv6, and to the end of the update."""
    page = hive.program / "images" / "NginxStatic" / "site" / "index.html"
    original, seen, ended = page.read_text(), [], []
    for number in range(RUNS):
        mark = f"bench-{number}"
        watch = f"until curl -6 -s --max-time 2 {hive.scheme}://example.com/ | grep -q {mark}; do sleep 0.1; done"
        command = ["docker", "exec", hive.paths.name("prober"), "timeout", str(WATCH_SECONDS), "bash", "-c", watch]
        page.write_text(original.replace("</body>", f"<!-- {mark} --></body>"))
        started = time.monotonic()
        update = subprocess.Popen(
            ["pulumi", "up", "--yes", "--skip-preview", "--stack", "lab", "--non-interactive"],
            cwd=hive.program,
            env=hive.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
        )
        try:
            subprocess.run(command, check=True)
            seen.append(time.monotonic() - started)
            status = update.wait(WATCH_SECONDS)
            ended.append(time.monotonic() - started)
        finally:
            if update.poll() is None:
                update.terminate()
                update.wait(60)
        if status:
            raise RuntimeError(f"the update of an edited page failed ({status}); run it by hand to see why")
    report.add("one page edited, to seen by a visitor over IPv6", "s", *seen)
    report.add("one page edited, to the end of `pulumi up`", "s", *ended)


def throughput(hive: Hive, report: Report) -> None:
    """The same page of nginx: through the proxy from outside and from the server, and without it from the server."""
    web = str(hive.server["web_ipv6"])
    container = json.loads(hive.on_server(f"docker inspect {hive.container('site')}"))[0]
    direct = next(iter(container["NetworkSettings"]["Networks"].values()))["GlobalIPv6Address"]
    prober, server = hive.paths.name("prober"), _server(hive)
    for what, inside, address, port in (
        ("prober, HAProxy at the static web address", prober, web, "443"),
        ("server, HAProxy at the static web address", server, web, "443"),
        ("server, the container itself", server, direct, "8080"),
    ):
        words = [address, port, "example.com", str(CONNECTIONS), str(SECONDS)]
        found = []
        for _ in range(RUNS):
            done = subprocess.run(
                ["docker", "exec", inside, "python3", "-c", CLIENT, *words],
                check=True,
                capture_output=True,
                text=True,
                timeout=SECONDS + 60,
            )
            found.append(json.loads(done.stdout))
        report.add(f"requests a second: {what}", "1/s", *(one["rps"] for one in found))
        report.add(f"p99: {what}", "ms", *(one["p99_ms"] for one in found))
        report.add(f"failed requests: {what}", "", *(one["failed"] for one in found))
    report.notes.append(
        f"Load: `GET /` of the site (nginx) over IPv6, {CONNECTIONS} kept connections, {SECONDS} s a run, from one "
        "asyncio client in Python; by https at the proxy, by http at the container. The client shares the cores with "
        "what it asks, and is likely the slowest part, so these are lower bounds, and differences between the rows are "
        "of this set-up. The two rows from the server differ by the proxy and its TLS alone; the row from the prober "
        "has another network path as well."
    )


def images(hive: Hive, report: Report) -> None:
    """The size of each image on the server."""
    listed = hive.on_server("docker images --format '{{.Repository}} {{.ID}}'").splitlines()
    for repository, image in sorted(line.split() for line in listed):
        size = int(hive.on_server(f"docker image inspect --format '{{{{.Size}}}}' {image}"))
        report.add(f"image {repository}", "MB", size / 1e6)
    report.notes.append(
        "Image sizes are Docker's: layers that images share count in each. Memory is the sum of the proportional set "
        "sizes (PSS) of all processes of the server, in containers too; the kernel's own share is not in it."
    )


def memory(hive: Hive, report: Report, stack: str) -> None:
    """The memory of the server just after its first update."""
    report.add(f"memory of the idle server with the {stack}", "MiB", *(_memory(hive) for _ in range(RUNS)))


def grow(hive: Hive, count: int) -> None:
    """Adds Echo applications, each with a domain of its own, until there are `count`."""
    applications = hive.settings["apiary:applications"]
    for number in range(len(applications), count):
        domain = f"app{number}.example.com"
        applications[f"app{number}"] = {"build_dir": "Echo", "env": {"domains": [domain], "http_port": 8080}}
        hive.settings["apiary:servers"]["web1"]["dns"]["web"].append(domain)


def seconds(action: Callable[[], object]) -> float:
    """How long it took."""
    started = time.monotonic()
    action()
    return time.monotonic() - started


def _server(hive: Hive) -> str:
    """The name of the server's container on this machine's engine."""
    (server,) = (one for one in Servers(hive.paths.root).all() if one["state"] == "running")
    return hive.paths.name(server["id"])


# The proportional share of all processes, those in its containers too: it needs no memory accounting of the kernel.
MEMORY = r"""cat /proc/[0-9]*/smaps_rollup 2>/dev/null | awk '/^Pss:/ { sum += $2 } END { print sum }'"""


def _memory(hive: Hive) -> float:
    """MiB that the processes of the server hold."""
    return float(hive.on_server(MEMORY)) / 1024


if __name__ == "__main__":
    sys.exit(main())
