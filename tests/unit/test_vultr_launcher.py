"""The Vultr plugin starts from the program's own environment, fast, and says what is missing where it can't."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from operations import processes

CHECKOUT = Path(__file__).resolve().parents[2]
LAUNCHER = "provider/pulumi-resource-vultr"
# Of processor time, which is what is left of the time that passes on a machine that does nothing else.
LIMIT_SECONDS = 0.3
TRIES = 5


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """A program's folder with the plugin, without an environment."""
    folder = tmp_path / "a program"
    shutil.copytree(CHECKOUT / "provider", folder / "provider", ignore=shutil.ignore_patterns("__pycache__"))
    return folder


def refused(launcher: Path) -> str:
    done = subprocess.run([launcher, "127.0.0.1:1"], capture_output=True, text=True, timeout=30, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    return done.stderr


@contextmanager
def started(launcher: Path, cwd: Path = Path("/")) -> Iterator[tuple[str, float, int]]:
    """The port that it prints, how many seconds of a processor it had taken by then, and its process."""
    environment = {"PATH": os.environ["PATH"]}
    with subprocess.Popen([launcher], cwd=cwd, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        port = process.stdout.readline().strip()
        fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
        seconds = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
        try:
            yield port, seconds, process.pid
        finally:
            process.terminate()
            assert process.wait(timeout=10) == 0


def test_without_an_environment_it_says_which_line_makes_it(program: Path) -> None:
    assert f"make -C '{program}' .venv/.ready" in refused(program / LAUNCHER)


def test_with_an_environment_that_lacks_packages_it_says_which_line_makes_it_anew(program: Path) -> None:
    venv.create(program / ".venv", with_pip=False)
    said = refused(program / LAUNCHER)
    assert "No module named" in said
    assert f"make -B -C '{program}' .venv/.ready" in said


def test_it_starts_from_any_folder_and_through_links(program: Path, tmp_path: Path) -> None:
    (program / ".venv").symlink_to(sys.prefix)
    (tmp_path / "link").symlink_to(program)
    (tmp_path / "launcher").symlink_to(program / LAUNCHER)
    for launcher in (program / LAUNCHER, tmp_path / "link" / LAUNCHER, tmp_path / "launcher"):
        with started(launcher) as (port, _, _):
            assert port.isdigit(), launcher


def test_it_has_printed_its_port_before_anybody_notices() -> None:
    taken = []
    for _ in range(TRIES):
        with started(CHECKOUT / LAUNCHER) as (port, seconds, _):
            assert port.isdigit()
            taken.append(seconds)
    assert 0 < min(taken) < LIMIT_SECONDS, taken


def test_make_heal_knows_it_by_its_process() -> None:
    with started(CHECKOUT / LAUNCHER) as (_, _, pid):
        process = processes.read(pid)
        assert process is not None
        assert process.is_plugin


def test_it_does_without_the_sdk_whose_import_takes_longer_than_all_the_rest() -> None:
    code = "import sys; import provider.plugin, provider.protocol.server; print('pulumi' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=CHECKOUT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
