"""govultr and lego, Go modules pinned in go/go.sum, built with the machine's own Go."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from lab.paths import Paths

SOURCE = Path(__file__).parent / "go"

pytestmark = pytest.mark.usefixtures("nothing_left")


def the_go():
    """The compiler on PATH, or the one that toolchain/build.sh has put beside the CLI that it built."""
    return shutil.which("go") or shutil.which("go", path=str(Paths.find(None).cache / "bin" / "go" / "bin"))


@pytest.fixture(scope="session")
def strangers(tmp_path_factory):
    go = the_go()
    if go is None:
        pytest.skip("no Go here: `go` is neither on PATH nor was it needed to build the Pulumi CLI")
    program = tmp_path_factory.mktemp("go") / "strangers"
    built = subprocess.run(
        [go, "build", "-mod=readonly", "-o", program, "."], cwd=SOURCE, capture_output=True, text=True, check=False,
        env={**os.environ, "GOTOOLCHAIN": "local"},
    )  # fmt: skip
    assert built.returncode == 0, built.stderr
    return program


@pytest.fixture
def unhurried(emulator):
    """The region lets go as late as it has to for a client on a busy machine to see that it does."""
    late = dict.fromkeys(("destruction", "reserved_release", "vpc_release"), 6)
    emulator.control.post("/pace", json=late).raise_for_status()
    yield
    emulator.control.post("/pace", json=dict.fromkeys(late)).raise_for_status()


@pytest.mark.usefixtures("unhurried")
@pytest.mark.parametrize("client", ["govultr", "lego"])
def test_a_go_client_lives_its_whole_life(strangers, environment, client):
    names = {"LEGO_DISABLE_CNAME_SUPPORT": "true"}  # the zone's names are nobody's in the world's DNS
    run = subprocess.run(
        [strangers, client], env={**os.environ, **environment, **names}, capture_output=True, text=True, check=False,
        timeout=300,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
