"""The whole hive of the lab: everything in one stack, and a second update changes nothing."""

from __future__ import annotations

import re
import subprocess
import time
from pathlib import Path

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
    built, booted = whole.on_server(
        "parent=$(docker image inspect --format '{{.Parent}}' $(docker images --quiet apiary/postgresql)); "
        "date -d $(docker image inspect --format '{{.Created}}' $parent) +%s; stat -c %Y /proc/1"
    ).split()
    assert int(built) < int(booted)


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
