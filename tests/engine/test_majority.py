"""Most managers of a swarm made anew at once: refused by a preview, wherever that is not how they come back."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from tests.engine.settled import settle
from tests.engine.workplace import Project, Workplace

SERVERS = ("web1", "web2", "web3")
INSTANCE = "vultr:index/instance:Instance"
STACK: dict[str, Any] = {
    "config": {
        "vultr:apiKey": "placeholder",
        "apiary:servers": {
            name: {
                "plan": "vc2-1c-2gb", "region": "ewr", "os": 2136, "private_ip": f"192.168.150.1{number}",
                "swarm": "manager",
            }
            for number, name in enumerate(SERVERS, 1)
        },
    }
}  # fmt: skip


@pytest.fixture(scope="module")
def settled(workplace: Workplace) -> Project:
    """Three managers, all there."""
    project = workplace.project("majority", "majority", STACK).made()
    settle(project, {})
    return project


def previewed(project: Project, folder: Path, *, alive: bool, rebuilt: tuple[str, ...] = ()) -> tuple[int, str, int]:
    """(status, output, how many servers were asked) of a preview; `rebuilt` get another `os`."""
    asked, ssh = folder / "asked", folder / "ssh"
    ssh.write_text(f'#!/bin/sh\necho "$@" >> {asked}\nexit {0 if alive else 255}\n')
    ssh.chmod(0o755)
    stack_file = copy.deepcopy(STACK)
    for name in rebuilt:
        stack_file["config"]["apiary:servers"][name]["os"] = 2625
    project.write(stack_file)
    path = f"{folder}:{project.workplace.environment['PATH']}"
    done = project.run("preview", environment={"PATH": path})
    lines = asked.read_text().splitlines() if asked.exists() else []
    assert all(line.endswith("apiary-swarm decides") for line in lines)
    return done.status, done.output, len(lines)


def test_most_managers_at_once_are_refused_with_the_way_that_there_is(settled: Project, tmp_path: Path) -> None:
    for rebuilt in (SERVERS, ("web1", "web3")):
        status, output, _ = previewed(settled, tmp_path, alive=True, rebuilt=rebuilt)
        assert status != 0
        assert f"this update makes {', '.join(rebuilt)} anew, most managers" in output, output
        assert "One at a time" in output
        assert "Traceback" not in output


def test_one_is_replaced_and_nobody_asked(settled: Project, tmp_path: Path) -> None:
    status, output, asked = previewed(settled, tmp_path, alive=True, rebuilt=("web2",))
    assert (status, asked) == (0, 0), output
    assert previewed(settled, tmp_path, alive=True)[::2] == (0, 0)


def test_who_is_dead_may_be_made_anew_with_others(settled: Project, tmp_path: Path) -> None:
    """As `make revive` of several has it: out of the state, and their addresses stay."""
    dead = ("web2", "web3")
    exported = json.loads(settled.run("stack", "export").stdout)
    resources = exported["deployment"]["resources"]
    gone = {one["urn"] for one in resources if one["type"] == INSTANCE and one["urn"].endswith(dead)}
    exported["deployment"]["resources"] = [
        one for one in resources if one["urn"] not in gone and not gone & {one.get("deletedWith"), *dependencies(one)}
    ]
    with settled.state(exported):
        status, output, asked = previewed(settled, tmp_path, alive=False)
    assert (status, asked) == (0, 2), output


def dependencies(one: dict[str, Any]) -> list[str]:
    return one.get("dependencies") or []


def test_a_first_update_asks_nobody(workplace: Workplace, tmp_path: Path) -> None:
    project = workplace.project("new", "new", STACK).made()
    status, output, asked = previewed(project, tmp_path, alive=True)
    assert (status, asked) == (0, 0), output
