"""Measures the program in a region of its own, and prints a table a section: `python -m bench [--only ...] [--write]`.

    small    tests/lab/stacks/spine.yaml, with more and more applications
    prod     Pulumi.prod.yaml, as far as it goes without its hosts
    whole    Pulumi.lab.yaml, from `make up` on
    backups  restic alone, on a server with 1 GiB of memory
    scale    previews of more and more applications, servers and records, beside Terraform's plans
    requests what is asked of Vultr's API, with more and more servers and records
    survival what is lost of a visitor's rows, and for how long, through all that can happen to a hive

Makes: a region in `.lab/bench` (with the caches of the lab), and in it the stack of a copy of the checkout; all is gone
at the end of the section, however it ends.
`--write` puts each section into bench/RESULTS.md when all of it was measured.
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
from contextlib import closing
from pathlib import Path
from typing import Any

from bench import backups, load, path, requests, scale, survival
from bench.report import Report, machine, with_section
from lab import cli, tools
from lab.paths import CHECKOUT, Paths
from lab.servers import Servers
from tests.engine.golden import STACK_FILES
from tests.engine.settled import settle
from tests.engine.workplace import Workplace, read_stack_file
from tests.lab.hive import Hive
from tests.lab.test_certificates import renew
from tests.lab.test_logs import lines_lost
from tests.lab.visitors import KINDS, Visitors
from tests.soak.test_live_refresh import release, reload

RUNS = 3
SPINE = CHECKOUT / "tests" / "lab" / "stacks" / "spine.yaml"
RESULTS = CHECKOUT / "bench" / "RESULTS.md"
CONNECTIONS, SECONDS = 16, 8
WATCH_SECONDS = 300
SLOW = 0.5  # seconds of a step that is named
RELOADS, RELEASES, RENEWALS, ROTATION_SECONDS = 2, 2, 1, 15
CLIENT = Path(load.__file__).read_text()


def main() -> int:
    """Runs the measurements; the process's exit status."""
    sections: dict[str, Callable[[Report, Path, argparse.Namespace], None]] = {
        "small": small,
        "prod": prod,
        "whole": whole,
        "scale": grown,
        "requests": asked,
        "backups": saved,
        "survival": survived,
    }
    parser = argparse.ArgumentParser(prog="python -m bench", description="Figures of the program, on this machine.")
    parser.add_argument("--write", action="store_true", help="write bench/RESULTS.md")
    parser.add_argument("--only", nargs="+", choices=sections, default=sections, help="sections to measure (all)")
    parser.add_argument("--applications", default="5,20,50", help="numbers of applications of `small` (5,20,50)")
    parser.add_argument(
        "--places",
        nargs="+",
        choices=survival.PLACES,
        default=list(survival.PLACES),
        help="columns of `survival` (all)",
    )
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the region is taken down
    # A script's background jobs ignore it, and so would each CLI, which then waits five seconds for its language host.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.environ["APIARY_LAB_CACHE"] = str(CHECKOUT / ".lab" / "cache")
    os.environ["APIARY_LAB_DIR"] = str(CHECKOUT / ".lab" / "bench")
    pulumi = tools.ensure_pulumi(Paths.find())
    os.environ["PATH"] = f"{pulumi.parent}:{os.environ['PATH']}"
    tools.ensure_plugins(Paths.find(), pulumi)
    for name in options.only:
        with tempfile.TemporaryDirectory(prefix="apiary-bench-") as folder:
            cli.down(Paths.find(), everything=False)
            try:
                cli.prepare(Paths.find())  # `down` removed folders that this needs
                report = Report(name, machine(pulumi))
                sections[name](report, Path(folder), options)
            finally:
                cli.down(Paths.find(), everything=False)
        print(report.markdown())
        if options.write:
            RESULTS.write_text(with_section(RESULTS.read_text(), report))
    return 0


def small(report: Report, folder: Path, options: argparse.Namespace) -> None:
    """A small stack as it is first, then with more applications."""
    hive = Hive.copy_of_the_checkout(Paths.find(), folder, SPINE)
    report.add("region up, caches warm", "s", seconds(lambda: cli.up(hive.paths, stack_file=SPINE)))
    hive.pulumi("stack", "select", "--create")
    first(hive, report, "the small stack")
    hive.expect_served()
    memory(hive, report, "small stack")
    state(hive, report, "small stack")
    no_change(hive, report)
    edited_page(hive, report)
    for count in (int(word) for word in options.applications.split(",") if word):
        grow(hive, count)
        report.add(f"`pulumi up` that grows the stack to {count} applications", "s", seconds(hive.up))
        memory(hive, report, f"small stack grown to {count} applications")
        no_change(hive, report)
        edited_page(hive, report)


def prod(report: Report, folder: Path, options: argparse.Namespace) -> None:
    """The example for Vultr, in the state that an update would leave."""
    with closing(Workplace(folder)) as workplace:
        project = workplace.project("prod", "prod", read_stack_file(STACK_FILES["prod"])).made()
        settle(project, {})
        runs = [project.run("preview", "--expect-no-changes") for _ in range(RUNS)]
        size = len(project.run("stack", "export").stdout)
    for run in runs:
        if run.status:
            raise RuntimeError(f"a preview with nothing to do failed: {run.output}")
    report.add("no-change `pulumi preview` of Pulumi.prod.yaml", "s", *(run.seconds for run in runs))
    report.add("state of Pulumi.prod.yaml", "kB", size / 1000)
    report.notes.append(
        "The state is the one that an update would leave (tests/engine/settled.py). `pulumi up` needs the servers at "
        "Vultr; that of a stack of this shape in the lab is in `whole`."
    )


def whole(report: Report, folder: Path, options: argparse.Namespace) -> None:
    """The stack that `make up` brings up, from an edit of its file to what the edit asked for."""
    hive = Hive.copy_of_the_checkout(Paths.find(), folder)
    report.add("`make up`, nothing there but warm caches", "s", seconds(lambda: make_up(hive)))
    report.add("`make up` again, nothing to do", "s", *(seconds(lambda: make_up(hive)) for _ in range(RUNS)))
    hive.expect_served()
    planned = {urn for _, urn in hive.pulumi("preview").steps}
    report.add("resources of the whole hive, components aside", "", len(planned))
    images(hive, report)
    memory(hive, report, "whole hive")
    state(hive, report, "whole hive")
    no_change(hive, report)
    refresh(hive, report)
    throughput(hive, report)
    new(hive, report, "site", "a new site with its certificate", lambda name: {"build_dir": "NginxStatic"})
    new(hive, report, "book", "a new application with its database and certificate", with_database)
    unnoticed(hive, report)
    hive.pulumi("state", "unprotect", "--all", "--yes")  # the password of its backups
    hive.pulumi("destroy", "--yes", "--skip-preview")
    first(hive, report, "the whole hive")


def grown(report: Report, folder: Path, options: argparse.Namespace) -> None:
    """The program's own time."""
    scale.measure(report, folder)


def asked(report: Report, folder: Path, options: argparse.Namespace) -> None:
    """The requests to Vultr's API."""
    requests.measure(report, folder)


def saved(report: Report, folder: Path, options: argparse.Namespace) -> None:
    """What a backup costs, before anything of a hive is in it."""
    cli.up(Paths.find(), stack_file=SPINE)
    backups.measure(report, Paths.find())


def survived(report: Report, folder: Path, options: argparse.Namespace) -> None:
    """A table: what happens, and what it costs with data on the disk, on block storage, with backups."""
    survival.measure(report, folder, options.places)


def first(hive: Hive, report: Report, what: str) -> None:
    """The first update of a stack, and which part of its time no number of hands makes shorter."""
    total, steps, chain = path.watched(hive)
    shortest = sum(step.seconds for step in chain)
    report.add(f"first `pulumi up` of {what}, caches warm", "s", total)
    report.add(f"first `pulumi up` of {what}: its critical path", "s", shortest)
    report.add(f"first `pulumi up` of {what}: all its steps, one after another", "s", sum(s.seconds for s in steps))
    slow = [f"{step.name} {step.seconds:.1f} s" for step in chain if step.seconds >= SLOW]
    report.notes.append(
        f"The critical path of {what}, of {len(chain)} resources; those of {SLOW} s and more: {', '.join(slow)}."
    )


def make_up(hive: Hive) -> None:
    """As it is typed, but for the virtual environment: this program runs in it."""
    done = subprocess.run(
        ["make", "up", f"VENV={sys.prefix}", f"--old-file={sys.prefix}/.ready"],
        cwd=hive.program,
        check=False,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
    )
    if done.returncode:
        raise RuntimeError(f"`make up` failed:\n{done.stdout[-4000:]}\n{done.stderr[-2000:]}")


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


def new(hive: Hive, report: Report, kind: str, what: str, application: Callable[[str], dict[str, Any]]) -> None:
    """From the edit that adds one, to its first answer over IPv6 by https with a certificate that visitors trust."""

    def add(number: int) -> str:
        name = f"{kind}{number}"
        hive.settings["apiary:servers"]["web1"]["dns"]["web"].append(f"{name}.example.com")
        hive.settings["apiary:applications"][name] = section = application(name)
        section["env"] = {**section.get("env", {}), "domains": [f"{name}.example.com"], "http_port": 8080}
        return f"curl -6 -sf -o /dev/null --max-time 2 https://{name}.example.com/"

    edits(hive, report, what, add)


def no_change(hive: Hive, report: Report) -> None:
    """A preview and an update that find nothing to do."""
    count = len(hive.settings["apiary:applications"])
    for words in (["preview"], ["up", "--yes", "--skip-preview"]):
        run = [*words, "--expect-no-changes"]
        times = [seconds(lambda run=run: hive.pulumi(*run)) for _ in range(RUNS)]  # type: ignore[misc]
        report.add(f"no-change `pulumi {words[0]}`, {count} applications", "s", *times)


def refresh(hive: Hive, report: Report) -> None:
    """What it costs to look at everything, at Vultr and on the server, and to find it as it should be."""
    log = hive.paths.log / "api-requests.jsonl"
    for words in (["up", "--yes", "--skip-preview", "--refresh"], ["refresh", "--yes", "--skip-preview"]):
        run = [*words, "--expect-no-changes"]
        before = len(log.read_text().splitlines())
        times = [seconds(lambda run=run: hive.pulumi(*run)) for _ in range(RUNS)]  # type: ignore[misc]
        asked = (len(log.read_text().splitlines()) - before) / RUNS
        name = "`pulumi up --refresh`" if words[0] == "up" else "`pulumi refresh`"
        report.add(f"{name}, nothing to do", "s", *times)
        report.add(f"{name}, nothing to do: requests to Vultr's API", "", asked)


def edited_page(hive: Hive, report: Report) -> None:
    """From the edit of a page of a site to the new page over IPv6."""
    page = hive.program / "images" / "NginxStatic" / "site" / "index.html"

    def edit(number: int) -> str:
        mark = f"bench-{time.monotonic_ns()}"
        page.write_text(page.read_text().replace("</body>", f"<!-- {mark} --></body>"))
        return f"curl -6 -s --max-time 2 {hive.scheme}://example.com/ | grep -q {mark}"

    edits(hive, report, f"one page edited, {len(hive.settings['apiary:applications'])} applications", edit)


def edits(hive: Hive, report: Report, what: str, edit: Callable[[int], str]) -> None:
    """From an edit to what it asked for; `edit` makes one and says which command of a visitor then succeeds."""
    runs = []
    for number in range(RUNS):
        visit = edit(number)
        started = time.time()
        watch = hive.in_prober(
            *("timeout", str(WATCH_SECONDS), "bash", "-c"), f"until {visit}; do sleep 0.1; done; date +%s.%N"
        )
        done = hive.up()
        ended = time.time()
        out, err = watch.communicate(timeout=WATCH_SECONDS + 10)
        if watch.returncode:
            raise RuntimeError(f"`{visit}` never succeeded: {err}")
        runs.append((float(out) - started, ended - started, len(done.resources())))
    served, updated, touched = zip(*runs, strict=True)
    report.add(f"{what}: edit to served", "s", *served)
    report.add(f"{what}: edit to the end of `pulumi up`", "s", *updated)
    report.add(f"{what}: resources touched, components aside", "", *touched)


def unnoticed(hive: Hive, report: Report) -> None:
    """What visitors, and who counts them, would notice of a proxy that is never left alone."""
    changes: tuple[tuple[str, int, Callable[[int], object]], ...] = (
        ("reloads of the proxy", RELOADS, lambda number: reload(hive, number + 1)),
        ("releases", RELEASES, lambda number: release(hive, number)),
        ("renewals of a certificate", RENEWALS, lambda number: renew(hive)),
    )
    for what, times, change in changes:
        with Visitors(hive, ["echo.example.net", "example.com"], (*KINDS, "download")) as visitors:
            for number in range(times):
                change(number)
        asked = sum(visitors.requests.values()) + len(visitors.failed)
        report.add(f"failed requests of {asked:,}: {what} ({times})", "", len(visitors.failed))
    requests, lines, files = lines_lost(hive, ROTATION_SECONDS, 0.005)
    what = f"rotations ({files} files), reloads and restarts of the collector, {ROTATION_SECONDS} s"
    report.add(f"lines lost of {requests:,}: {what}", "", requests - lines)
    report.notes.append(
        "Failed requests: of visitors of two sites by https over IPv6 and IPv4, with a connection for each request, a "
        "kept one, HTTP/2, and downloads of 20 s. `make soak` does more of all of it, on 50 domains."
    )


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


def state(hive: Hive, report: Report, stack: str) -> None:
    """What the engine writes at every step of an update, and what a preview reads."""
    report.add(f"state of the {stack}", "kB", len(hive.output_of("stack", "export")) / 1000)


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
