"""The command that goes before a manager's instance, run with an `ssh` that runs its script here, beside a `docker`."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from components.majority import ENDS, REFUSED, SPARE

BEFORE = "web1=2136/ewr web2=2136/ewr web3=2136/ewr"
NODES = ("web1 Leader", "web2 Reachable", "web3 Reachable")


def run(
    root: Path, name: str, managers: str, *, before: str = BEFORE, nodes: tuple[str, ...] = NODES, status: int = 0
) -> subprocess.CompletedProcess[str]:
    """The update of the command of `name`; `nodes` is what Docker says there, `status` how `docker` ends."""
    (root / "ssh").write_text(f'#!/bin/sh\necho "$@" >>{root}/asked\nwhile [ "$1" != sh ]; do shift; done\nexec "$@"\n')
    listed = "".join(f"echo '{node}'\n" for node in nodes)
    (root / "docker").write_text(f"#!/bin/sh\n{listed}exit {status}\n")
    for program in ("ssh", "docker"):
        (root / program).chmod(0o755)
    script = SPARE.format(name=name, options="-i key", host="192.0.2.1", ends=ENDS, refused=f"'{REFUSED.strip()}'")
    environment = {
        "PATH": f"{root}:{os.environ['PATH']}",
        "MANAGERS": managers,
        **({"PULUMI_COMMAND_STDOUT": before} if before else {}),
    }
    return subprocess.run(["/bin/sh", "-c", script], env=environment, capture_output=True, text=True, check=False)


def rebuilt(*names: str) -> str:
    return " ".join(one.replace("2136", "2625") if one[:4] in names else one for one in BEFORE.split())


def asked(root: Path) -> list[str]:
    return (root / "asked").read_text().splitlines() if (root / "asked").exists() else []


@pytest.mark.parametrize("names", [("web1", "web2"), ("web1", "web2", "web3")])
def test_most_at_once_are_refused_by_each_of_them(tmp_path: Path, names: tuple[str, ...]) -> None:
    for name in names:
        done = run(tmp_path, name, rebuilt(*names))
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr == f" {' '.join(names)}: {REFUSED}"
    assert asked(tmp_path)[0] == f"-T -i key root@192.0.2.1 sh -s -- {' '.join(names)}"


def test_one_is_made_anew_and_remembered(tmp_path: Path) -> None:
    wanted = rebuilt("web2")
    assert run(tmp_path, "web2", wanted).stdout == wanted
    assert len(asked(tmp_path)) == 1
    # Those that stay ask nothing.
    for name in ("web1", "web3"):
        assert run(tmp_path, name, wanted).stdout == wanted
    assert len(asked(tmp_path)) == 1


def test_one_while_another_is_away_is_refused(tmp_path: Path) -> None:
    away = ("web1 Leader", "web2 Reachable", "web3 Unreachable")
    assert run(tmp_path, "web1", rebuilt("web1"), nodes=away).returncode == 1
    # The one that is away is who is made anew: it can't be asked in earnest, and would say so.
    assert run(tmp_path, "web3", rebuilt("web3"), nodes=away).returncode == 0


@pytest.mark.parametrize(
    ("nodes", "status"),
    [
        pytest.param((), 1, id="of no swarm, a worker, or without a majority"),
        pytest.param(("web1 Unreachable", "web2 Unreachable", "web3 Leader", "web4 Reachable", "web5 Reachable"), 0),
    ],
)
def test_who_does_not_decide_or_has_enough_others_stops_nothing(
    tmp_path: Path, nodes: tuple[str, ...], status: int
) -> None:
    wanted = rebuilt("web1", "web2")
    assert run(tmp_path, "web1", wanted, nodes=nodes, status=status).stdout == wanted


def test_more_managers_than_before_are_no_loss(tmp_path: Path) -> None:
    before, wanted = "web1=2136/ewr", BEFORE
    assert run(tmp_path, "web1", wanted, before=before).stdout == wanted
    assert asked(tmp_path) == []
