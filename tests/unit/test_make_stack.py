"""Which stack `make` works on: in the lab each has a region of its own, and any other is at Vultr."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from lab import control
from lab.paths import CHECKOUT, Paths, home


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """With a program in the place of Python that notes how it is called."""
    for file in ("Makefile", "Pulumi.lab.yaml", "Pulumi.swarm.yaml", "Pulumi.prod.yaml"):
        shutil.copy(CHECKOUT / file, tmp_path)
    python = tmp_path / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text('#!/bin/sh\necho "$@" >> called\n')
    python.chmod(0o755)
    (tmp_path / "requirements-dev.txt").touch()
    (tmp_path / ".venv" / ".ready").touch()
    return tmp_path


def make(checkout: Path, *words: str, **variables: str) -> tuple[int, list[str], str]:
    """(status, how Python was called, standard error)."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "STACK"))}
    done = subprocess.run(
        ["make", *words], cwd=checkout, env={**environment, **variables}, capture_output=True, text=True, timeout=60,
        check=False,
    )  # fmt: skip
    called = checkout / "called"
    lines = called.read_text().splitlines() if called.exists() else []
    called.unlink(missing_ok=True)
    return done.returncode, lines, done.stderr


def test_another_stack_of_the_lab_has_a_region_of_its_own(checkout: Path) -> None:
    status, called, _ = make(checkout, "up", "STACK=swarm")
    assert status == 0
    lab = "-m lab --stack swarm"
    assert called == [f"{lab} up", f"{lab} env", "-m operations up --stack swarm", f"{lab} visit"]


def test_the_labs_own_stack_is_where_it_always_was(checkout: Path) -> None:
    assert make(checkout, "up")[1] == ["-m lab up", "-m lab env", "-m operations up --stack lab", "-m lab visit"]


def test_in_the_shell_of_a_region_its_stack_needs_no_word(checkout: Path) -> None:
    called = make(checkout, "status", STACK="swarm")[1]
    assert called == ["-m lab --stack swarm env", "-m operations status --stack swarm"]


def test_a_stack_at_vultr_is_not_brought_up_here_and_its_verbs_leave_the_lab_alone(checkout: Path) -> None:
    status, called, said = make(checkout, "up", "STACK=prod")
    assert status != 0
    assert called == []
    assert "pulumi up --stack prod" in said
    assert make(checkout, "status", "STACK=prod")[1] == ["-m operations status --stack prod"]


def test_a_region_knows_its_stack_and_shares_the_caches(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("APIARY_LAB_CACHE", raising=False)
    own, other, elsewhere = Paths(home("lab")), Paths(home("swarm")), Paths(tmp_path)
    assert (own.stack, other.stack, elsewhere.stack) == ("lab", "swarm", "lab")
    assert other.root.parent == own.root
    assert other.cache == own.cache
    assert elsewhere.cache == tmp_path / "cache"
    assert (own.verb, other.verb) == ("python -m lab", "python -m lab --stack swarm")
    monkeypatch.setattr(control, "info", lambda _: {"proxy_port": 1})
    assert control.environment(other)["STACK"] == "swarm"
