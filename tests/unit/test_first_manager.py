"""Another first manager is refused by the command that goes before every instance."""

from __future__ import annotations

import os
import shlex
import subprocess
from pathlib import Path

import pytest

from components.first_manager import AWAY, KEPT, REACHED, REFUSED


def run(before: str, first: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["/bin/sh", "-c", KEPT.format(refused=shlex.quote(REFUSED))],
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


@pytest.mark.parametrize("alive", [True, False])
def test_before_a_release_it_is_asked_whether_it_is_there_and_what_to_do_is_said(tmp_path: Path, alive: bool) -> None:
    ssh = tmp_path / "ssh"
    ssh.write_text("#!/bin/sh\n" + ("" if alive else "echo 'ssh: No route to host' >&2; exit 255\n"))
    ssh.chmod(0o755)
    script = REACHED.format(host="192.0.2.1", options="-i key", refused=shlex.quote(AWAY.format(name="web1")))
    done = subprocess.run(
        ["/bin/sh", "-c", script],
        env={**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode == 0) is alive
    said = done.stderr.splitlines()
    assert said[1:] == ([] if alive else [AWAY.format(name="web1")])
    assert alive or said[1].endswith("First: make revive SERVER=web1")
