"""What `make down` and `make clean` take down, with a program in the place of the lab that notes how it is called."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from lab import cli
from lab.paths import CHECKOUT, Paths
from provider.journal import Journal, Note


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A region of the user's, one of the tests' and one of the bench's, and one that was taken down before."""
    shutil.copy(CHECKOUT / "Makefile", tmp_path)
    for folder in ("run", "cache", "test-gw0/run", "bench/run", "test-gw1/log"):
        (tmp_path / ".lab" / folder).mkdir(parents=True)
    python = tmp_path / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text('#!/bin/sh\necho "$@" >> called\n')
    python.chmod(0o755)
    return tmp_path


def make(checkout: Path, verb: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    return subprocess.run(
        ["make", verb], cwd=checkout, env=environment, capture_output=True, text=True, timeout=60, check=False
    )


def called(checkout: Path) -> list[str]:
    return [line.removeprefix("-m lab --dir ") for line in (checkout / "called").read_text().splitlines()]


def test_down_is_for_every_region_and_the_users_last(checkout: Path) -> None:
    assert make(checkout, "down").returncode == 0
    assert sorted(called(checkout)[:-1]) == [".lab/bench/ down", ".lab/test-gw0/ down"]
    assert called(checkout)[-1] == ".lab down"
    assert (checkout / ".lab" / "cache").exists()


@pytest.mark.parametrize("gone", ["nothing", "run"])
def test_clean_removes_the_images_too_after_a_down_as_well(checkout: Path, gone: str) -> None:
    shutil.rmtree(checkout / ".lab" / gone, ignore_errors=True)
    assert make(checkout, "clean").returncode == 0
    assert called(checkout)[-1] == ".lab down --all"
    assert not (checkout / ".lab").exists()


@pytest.mark.parametrize("verb", ["down", "clean"])
def test_without_the_virtual_environment_they_say_so_and_touch_nothing(checkout: Path, verb: str) -> None:
    shutil.rmtree(checkout / ".venv")
    done = make(checkout, verb)
    assert done.returncode != 0
    assert f"run: make .venv/.ready {verb}" in done.stderr
    assert (checkout / ".lab" / "run").exists()


@pytest.mark.parametrize("verb", ["down", "clean"])
def test_without_a_region_there_is_nothing_to_say(checkout: Path, verb: str) -> None:
    shutil.rmtree(checkout / ".venv")
    shutil.rmtree(checkout / ".lab")
    done = make(checkout, verb)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize("answers", [True, False])
def test_a_region_whose_objects_nobody_could_remove_is_not_forgotten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answers: bool
) -> None:
    script = "exit 0" if answers else "exit 1"
    (tmp_path / "docker").write_text(f"#!/bin/sh\n{script}\n")
    (tmp_path / "docker").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("APIARY_LAB_CACHE", raising=False)
    paths = Paths.find(tmp_path / ".lab")
    cli.down(paths, everything=False)
    assert paths.run.exists() != answers


def test_what_an_interrupted_update_was_making_went_with_its_region(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the next region's first update finds a creation that was cut off, of which nothing is there."""
    (tmp_path / "docker").write_text("#!/bin/sh\nexit 0\n")
    (tmp_path / "docker").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("APIARY_LAB_CACHE", raising=False)
    paths = Paths.find(tmp_path / ".lab")
    monkeypatch.setenv("PULUMI_HOME", str(paths.pulumi))
    journal = Journal("lab")
    journal.write(Note("urn:pulumi:lab::apiary::vultr:index/firewallRule:FirewallRule::web1", "{}", []))
    assert Journal("lab").find("urn:pulumi:lab::apiary::vultr:index/firewallRule:FirewallRule::web1")
    cli.down(paths, everything=False)
    assert not Journal("lab").find("urn:pulumi:lab::apiary::vultr:index/firewallRule:FirewallRule::web1")
