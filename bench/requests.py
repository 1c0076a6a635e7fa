"""How the requests to Vultr's API grow with servers and records, and the time that its limit of 30 a second leaves.

Makes: an emulated API that keeps its limits and knows no machines, and for each size a stack of which an update makes
what is Vultr's alone (`--target`): servers, addresses, firewalls, zones, records. What runs on a server is not in it.
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

from bench.report import Report
from bench.scale import SERVERS, with_records, with_servers
from lab.api.testing import Emulator
from tests.engine import vultr
from tests.engine.workplace import Project, Workplace

RECORDS = (10, 100, 1000)
SECONDS = 1800
# What is Vultr's, the keys that it is told, and the components that hold them.
TARGET = [word for kind in ("vultr:**", "tls:**", "random:**", "apiary:*:*::*") for word in ("--target", f"**{kind}")]
VERBS: Mapping[str, tuple[str, ...]] = {
    "the first update of what is Vultr's": ("up", "--yes", "--skip-preview", *TARGET),
    "`pulumi up`, nothing to do": ("up", "--yes", "--skip-preview", *TARGET),
    "`pulumi refresh`, nothing to do": ("refresh", "--yes", "--skip-preview"),
    "`pulumi destroy` of it": ("destroy", "--yes", "--skip-preview"),
}


def measure(report: Report, folder: Path) -> None:
    """Adds the rows of each size; prints them as they come."""
    sizes: list[tuple[str, dict[str, Any]]] = [
        *((f"{count} servers", with_servers(count)) for count in SERVERS),
        *((f"{count} records of a zone", with_records(count)) for count in RECORDS),
    ]
    with closing(Workplace(folder / "engine")) as workplace:
        for number, (what, stack_file) in enumerate(sizes):
            name = f"requests{number}"
            project = workplace.project(name, name, stack_file).made()
            with Emulator(folder / f"api{number}") as emulator:
                for verb, words in VERBS.items():
                    asked, seconds = _asked(project, emulator, words)
                    report.add(f"{what}, {verb}: requests to Vultr's API", "", asked)
                    report.add(f"{what}, {verb}", "s", seconds)
    report.notes.append(
        "The API is the lab's, with its limit of 30 requests a second and the times that it takes for a server; there "
        "is no host, so bootstrap and containers are in no row."
    )


def _asked(project: Project, emulator: Emulator, words: tuple[str, ...]) -> tuple[int, float]:
    """How often the API was asked, and for how many seconds the command ran."""
    log = emulator.directory / "log" / "api-requests.jsonl"
    before = len(log.read_text().splitlines()) if log.exists() else 0
    started = time.monotonic()
    done = subprocess.run(
        [str(project.workplace.pulumi), *words, "--stack", project.stack, "--non-interactive"],
        cwd=project.folder,
        env={**project.workplace.environment, **vultr.reaching(emulator)},
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    seconds = time.monotonic() - started
    if done.returncode:
        raise RuntimeError(f"`pulumi {words[0]}` failed:\n{(done.stdout + done.stderr)[-4000:]}")
    return len(log.read_text().splitlines()) - before, seconds
