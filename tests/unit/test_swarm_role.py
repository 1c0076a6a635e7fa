"""The role of the swarm gives its programs all that they import, before any of them is run."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

ROLE = Path(__file__).parents[2] / "playbooks/roles/swarm"


def installed() -> Iterator[tuple[Path, str]]:
    """What is there, by where it is from, when the first program is run."""
    for task in yaml.safe_load((ROLE / "tasks/wanted.yml").read_text()):
        if "host_files" not in task:
            return
        source = Path(task["host_files"]["source"].replace("{{ role_path }}", str(ROLE)))
        yield from ((source / Path(path).name, path) for path in task["host_files"]["files"])


@pytest.mark.parametrize("program", ["apiary-swarm", "apiary-replicas"])
def test_on_a_new_server_its_programs_begin(tmp_path: Path, program: str) -> None:
    for source, path in installed():
        place = tmp_path / path.lstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(source.read_bytes())
    done = subprocess.run(
        [sys.executable, "-I", str(tmp_path / "usr/local/sbin" / program), "--help"],
        env={"APIARY_LIB": str(tmp_path / "usr/local/lib/apiary")},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_a_server_that_leaves_the_swarm_keeps_none_of_its_files() -> None:
    tools = {path for source, path in installed() if ROLE not in source.resolve().parents}
    [gone] = [
        task["host_files"]["absent"]
        for task in yaml.safe_load((ROLE / "tasks/gone.yml").read_text())
        if "host_files" in task
    ]
    own = {path for _, path in installed()} - tools
    assert own - {"/etc/systemd/system/apiary-swarm.service"} == set(gone) - {"{{ swarm_unit }}"}
