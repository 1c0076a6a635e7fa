"""Most managers of a swarm made anew at once: refused by preview and update, where that is not how they come back."""

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
    exported = json.loads(project.run("stack", "export").stdout)
    remembering = [one for one in exported["deployment"]["resources"] if one["urn"].endswith("-spared")]
    assert len(remembering) == len(SERVERS)
    for one in remembering:  # what it has printed
        one["outputs"]["stdout"] = one["inputs"]["environment"]["MANAGERS"]
    done = project.run("stack", "import", stdin=json.dumps(exported))
    assert done.status == 0, done.output
    return project


def manager(folder: Path, *, alive: bool, away: str = "") -> dict[str, str]:
    """An environment in which each server is a manager, and `away` can't be reached; else none lets anybody in."""
    ssh, docker = folder / "ssh", folder / "docker"
    reached = 'while [ "$1" != sh ]; do shift; done; exec "$@"' if alive else "exit 255"
    ssh.write_text(f'#!/bin/sh\necho "$@" >> {folder}/asked\n{reached}\n')
    nodes = [f"{name} {'Unreachable' if name == away else 'Reachable'}" for name in SERVERS]
    docker.write_text("#!/bin/sh\n" + "".join(f"echo '{node}'\n" for node in nodes))
    for file in (ssh, docker):
        file.chmod(0o755)
    return {"PATH": str(folder)}


def asked(folder: Path) -> int:
    lines = (folder / "asked").read_text().splitlines() if (folder / "asked").exists() else []
    assert all(" sh -s -- web" in line for line in lines), lines
    return len(lines)


def write(project: Project, rebuilt: tuple[str, ...] = ()) -> None:
    """The stack file, in which `rebuilt` get another `os`."""
    stack_file = copy.deepcopy(STACK)
    for name in rebuilt:
        stack_file["config"]["apiary:servers"][name]["os"] = 2625
    project.write(stack_file)


def run(project: Project, manager: dict[str, str], *words: str) -> tuple[int, str]:
    """(status, output) of `pulumi WORDS`."""
    path = f"{manager['PATH']}:{project.workplace.environment['PATH']}"
    done = project.run(*words, environment={"PATH": path})
    assert "Traceback" not in done.output
    return done.status, done.output


def test_most_managers_at_once_are_refused_with_the_way_that_there_is(settled: Project, tmp_path: Path) -> None:
    for rebuilt in (SERVERS, ("web1", "web3")):
        write(settled, rebuilt)
        status, output = run(settled, manager(tmp_path, alive=True), "preview")
        assert status != 0
        assert f"{', '.join(rebuilt)}: this update makes them anew at once" in output, output
        assert "One at a time" in output


def test_an_update_that_nobody_has_previewed_is_refused_before_anything_is_touched(
    settled: Project, tmp_path: Path
) -> None:
    before = settled.run("stack", "export").stdout
    instances = [one for one in json.loads(before)["deployment"]["resources"] if one["type"] == INSTANCE]
    for rebuilt in (SERVERS, ("web1", "web3")):
        write(settled, rebuilt)
        with settled.state(json.loads(before)):
            settled.workplace.forget()
            status, output = run(settled, manager(tmp_path, alive=True), "up", "--yes", "--skip-preview")
            left = json.loads(settled.run("stack", "export").stdout)["deployment"]["resources"]
        assert status != 0
        assert f"{' '.join(rebuilt)}: this update makes them anew at once" in output, output
        assert {one["id"] for one in left if one["type"] == INSTANCE} == {one["id"] for one in instances}
        assert settled.workplace.asked() == [], "Vultr, or a server, about something else"


def test_one_is_replaced_while_the_others_are_there(settled: Project, tmp_path: Path) -> None:
    write(settled, ("web2",))
    status, output = run(settled, manager(tmp_path, alive=True), "preview")
    assert (status, asked(tmp_path)) == (0, 1), output
    status, output = run(settled, manager(tmp_path, alive=True, away="web3"), "preview")
    assert status != 0, "with the one that is away it is most of them"
    assert "web2: this update makes" in output


def test_who_stays_is_asked_nothing(settled: Project, tmp_path: Path) -> None:
    write(settled)
    status, output = run(settled, manager(tmp_path, alive=True), "preview", "--expect-no-changes")
    assert (status, asked(tmp_path)) == (0, 0), output


def test_who_is_dead_may_be_made_anew_with_others(settled: Project, tmp_path: Path) -> None:
    """As `make revive` of several has it: out of the state, and their addresses stay."""
    write(settled)
    dead = ("web2", "web3")
    exported = json.loads(settled.run("stack", "export").stdout)
    resources = exported["deployment"]["resources"]
    gone = {one["urn"] for one in resources if one["type"] == INSTANCE and one["urn"].endswith(dead)}
    exported["deployment"]["resources"] = [
        one for one in resources if one["urn"] not in gone and not gone & {one.get("deletedWith"), *dependencies(one)}
    ]
    with settled.state(exported):
        status, output = run(settled, manager(tmp_path, alive=False), "preview")
    assert (status, asked(tmp_path)) == (0, 2), output


def dependencies(one: dict[str, Any]) -> list[str]:
    return one.get("dependencies") or []


def test_a_first_update_asks_nobody(workplace: Workplace, tmp_path: Path) -> None:
    project = workplace.project("new", "new", STACK).made()
    status, output = run(project, manager(tmp_path, alive=True), "preview")
    assert (status, asked(tmp_path)) == (0, 0), output
