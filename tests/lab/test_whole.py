"""The whole hive of the lab: everything in one stack, and a second update changes nothing."""

from __future__ import annotations

import json
import re
import subprocess
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from lab.paths import CHECKOUT
from tests.lab.hive import Hive
from tests.lab.test_firewall import container_ipv6, expect_closed, listening

SECONDS = 90  # a tenth of it on an idle machine


def test_the_whole_hive_is_served_and_settled(whole: Hive) -> None:
    whole.expect_served()
    refreshed = whole.pulumi("refresh", "--yes", "--skip-preview", "--expect-no-changes", check=False)
    assert refreshed.status == 0, refreshed.output[-4000:]


def test_only_the_intended_ports_answer(whole: Hive) -> None:
    """Also with databases, a scheduler, and an application that has an address of its own."""
    [game] = container_ipv6(whole, "game")
    ports = listening(whole)
    assert {443, 3306, 5432, 8404, 25565} <= set(ports)
    expect_closed(whole, ports, but=[(game, 25565)])


def test_a_warm_server_builds_nothing_that_it_begins_with(whole: Hive) -> None:
    """Else the tests of a warm region are right, and slow."""
    image = whole.on_server("docker images --quiet apiary/postgresql").strip()
    steps = [
        datetime.fromisoformat(made)
        for line in whole.on_server(f"docker history --no-trunc --format '{{{{json .}}}}' {image}").splitlines()
        if "RUN" in json.loads(line)["CreatedBy"] and (made := json.loads(line)["CreatedAt"])
    ]
    booted = datetime.fromtimestamp(int(whole.on_server("stat -c %Y /proc/1")), UTC)
    assert steps
    assert max(steps) < booted


def test_make_up_again_changes_nothing_and_takes_seconds(whole: Hive, tmp_path: Path) -> None:
    """As it is typed, with the lab, the update and the visit."""
    whole.write()
    # The region is the checkout's, the stack that of the copy.
    for part in ("Makefile", "lab", "components", ".venv", "requirements-dev.txt"):
        (tmp_path / part).symlink_to(CHECKOUT / part)
    for part in ("operations", "provider", "settings"):
        (tmp_path / part).symlink_to(whole.program / part)
    before = whole.on_server("docker ps --no-trunc --format '{{.ID}} {{.CreatedAt}}'")
    started = time.monotonic()
    done = subprocess.run(
        ["make", "up"], cwd=tmp_path, env=whole.environment, check=False, capture_output=True, text=True, timeout=300
    )
    seconds = time.monotonic() - started
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    assert "nothing to do" in done.stderr, "the region was up"
    assert re.search(r"Resources:\n +\d+ unchanged\n", done.stdout), done.stdout[-4000:]
    assert done.stderr.count("the prober's own address") == 2, done.stdout[-4000:] + done.stderr[-2000:]
    assert whole.on_server("docker ps --no-trunc --format '{{.ID}} {{.CreatedAt}}'") == before
    assert seconds < SECONDS


@pytest.mark.soak
def test_it_is_saved_by_one_line(whole: Hive) -> None:
    """As a server of test_swarm_data is."""
    done = whole.operations("backup")
    [(saved, of)] = re.findall(r"(\d+) of (\d+) saved", done.stdout)
    assert saved == of
    assert int(of) >= 8, "two databases, their roles, and the volumes"


@pytest.mark.soak
def test_the_lines_of_the_docs_lose_a_server_and_a_database_and_bring_them_back(whole: Hive) -> None:
    """As they are typed, but that nobody is there to be asked: half an hour's reading in ten minutes."""
    page = (CHECKOUT / "docs" / "backups.md").read_text()
    chapter = page.partition("## How do I try it for nothing?")[2].partition("\n## ")[0]
    lost_server, lost_database = re.findall(r"^```sh\n(.*?)^```$", chapter, re.MULTILINE | re.DOTALL)
    whole.write()
    shell = ["bash", "-ceu", "set -o pipefail; YES=1; export YES; " + lost_server + lost_database]
    done = subprocess.run(
        shell,
        cwd=whole.program,
        env=whole.environment,
        check=False,
        capture_output=True,
        text=True,
        timeout=1500,
    )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-3000:]
    assert done.stdout.count('"note": "Before it died"') == 2, done.stdout[-6000:]
    whole.expect_served()
