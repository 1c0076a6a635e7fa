"""A Docker engine that counts a container which is gone keeps a network: nobody's `down`, or next `up`, ends by it."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab import engine, network
from lab.paths import Paths
from lab.shell import LabError

LOST = "error while removing network: network apiary-lab-net id d9932fb45e71 has active endpoints"


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    return Paths.find(tmp_path / "lab")


@pytest.fixture
def docker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A `docker` with one network of the lab's, nothing on it, whose removal fails as the file `why` says."""
    (tmp_path / "bin").mkdir()
    command = tmp_path / "bin" / "docker"
    command.write_text(f"""#!/bin/sh
case "$1 $2 $4" in
'network ls '*) echo d9932fb45e71;;
'network inspect --format') echo 10.89.0.0/16;;
'network inspect '*) echo '[{{"Containers": {{}}}}]';;
'network rm '*) cat {tmp_path}/why >&2; exit 1;;
esac
""")
    command.chmod(0o755)
    monkeypatch.setenv("PATH", f"{command.parent}:/usr/bin:/bin")
    return tmp_path


def test_a_network_that_the_engine_cannot_let_go_of_is_told_and_left(
    paths: Paths, docker: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (docker / "why").write_text(LOST)
    engine.clean(paths)
    told = capsys.readouterr().err
    assert "d9932fb45e71 stays" in told
    assert "restart of Docker" in told


def test_any_other_failure_to_remove_a_network_is_one(paths: Paths, docker: Path) -> None:
    (docker / "why").write_text("permission denied while trying to connect to the Docker daemon socket")
    with pytest.raises(LabError, match="permission denied"):
        engine.clean(paths)


def test_the_next_region_goes_on_the_network_that_stayed(paths: Paths, docker: Path) -> None:
    (docker / "why").write_text(LOST)
    assert network.ensure(paths) == network.Plan("10.89.0.0/16")
    assert network.load_plan(paths) == network.Plan("10.89.0.0/16")
