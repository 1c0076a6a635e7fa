"""Another first manager is refused by the command that goes before every instance."""

from __future__ import annotations

import os
import shlex
import subprocess

import pytest

from components.first_manager import KEPT, REFUSED


def run(before: str, first: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["/bin/sh", "-c", KEPT.format(refused=shlex.quote(REFUSED.strip()))],
        env={**os.environ, "PULUMI_COMMAND_STDOUT": before, "FIRST": first},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_same_one_may_be_told_anew() -> None:
    done = run("web1", "web1")
    assert (done.returncode, done.stdout, done.stderr) == (0, "web1", "")


@pytest.mark.parametrize("first", ["web2", "web0"])
def test_another_one_is_refused_with_the_one_that_stays_and_the_way_to_another(first: str) -> None:
    done = run("web1", first)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("web1: it is the first manager of the swarm")
    assert "docs/scale.md#how-many-managers" in done.stderr
    assert done.stderr.count("\n") == 1
