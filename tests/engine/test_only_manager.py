"""The only manager of a swarm made anew by an update: the swarm goes with it, and all of it is made anew."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from tests.engine.plans import operations
from tests.engine.settled import settle
from tests.engine.workplace import Project, Workplace

STACK: dict[str, Any] = {
    "config": {
        "vultr:apiKey": "placeholder",
        "apiary:servers": {
            "web1": {
                "plan": "vc2-1c-2gb", "region": "ewr", "os": 2136, "private_ip": "192.168.150.11", "swarm": "manager",
            },
            "web2": {
                "plan": "vc2-1c-2gb", "region": "ewr", "os": 2136, "private_ip": "192.168.150.12", "swarm": "worker",
            },
        },
        "apiary:applications": {
            "echo": {
                "build_dir": "Echo", "replicas": 2, "env": {"http_port": 8080},
                "files": {"/etc/echo.yml": {"content": "size: small"}, "/run/key": {"content": "${_secrets^echo}"}},
            },
            "asker": {"server": "web2", "build_dir": "Echo", "env": {"http_port": 8080, "echo": "$echo"}},
        },
        "apiary:secrets": {"echo": "known-to-everybody"},
    }
}  # fmt: skip
OF_SWARM = ("docker:Network swarm", "docker:Service echo", "docker:Secret echo-1", "docker:ServiceConfig echo-0")
INSTANCE = "vultr:index/instance:Instance"
MADE_ANEW = ("create-replacement", "replace", "delete-replaced")


@pytest.fixture(scope="module")
def settled(workplace: Workplace) -> Project:
    """A manager and a worker, all there."""
    project = workplace.project("only", "only", STACK).made()
    settle(project, STACK["config"]["apiary:secrets"])
    exported = json.loads(project.run("stack", "export").stdout)
    [first] = [one for one in exported["deployment"]["resources"] if one["urn"].endswith("::swarm-first")]
    first["outputs"]["stdout"] = "web1"  # what it has printed
    done = project.run("stack", "import", stdin=json.dumps(exported))
    assert done.status == 0, done.output
    return project


def planned(project: Project, server: str) -> dict[str, tuple[str, ...]]:
    """What an update would do that makes a server anew."""
    stack_file = copy.deepcopy(STACK)
    stack_file["config"]["apiary:servers"][server]["os"] = 2625
    project.write(stack_file)
    found = operations(project.steps())
    assert set(found[f"vultr:Instance {server}"]) == set(MADE_ANEW)
    return found


def test_all_that_the_swarm_had_is_made_in_the_next_one_before_the_rest_is_forgotten(settled: Project) -> None:
    found = planned(settled, "web1")
    for one in OF_SWARM:
        assert found[one] == MADE_ANEW, one
    assert found["command:Command web2-joined"] == ("update",), "it leaves the one that is no more, and joins"


def test_a_worker_is_made_anew_and_the_swarm_goes_on(settled: Project) -> None:
    found = planned(settled, "web2")
    assert found.pop("docker:Service echo") == ("update",), "spread again"
    assert not set(OF_SWARM) & set(found)


def test_a_release_changes_the_service_in_place(settled: Project) -> None:
    """Replaced it would be gone with all of its replicas before the next one is there."""
    stack_file = copy.deepcopy(STACK)
    stack_file["config"]["apiary:applications"]["echo"]["env"]["release"] = "two"
    settled.write(stack_file)
    found = operations(settled.steps())
    assert found["docker:Service echo"] == ("update",)


@pytest.mark.parametrize("how", ["swapped", "a new one", "sorted anew"])
def test_another_first_manager_is_refused_before_a_server_is_touched(settled: Project, how: str) -> None:
    """Else the engine makes all that the swarm has by way of it, under the names of what is there."""
    stack_file = copy.deepcopy(STACK)
    servers = stack_file["config"]["apiary:servers"]
    servers["web1"]["swarm"] = "manager" if how == "sorted anew" else "worker"
    if how == "swapped":
        servers["web2"]["swarm"] = "manager"
    else:
        web0 = {**servers["web2"], "private_ip": "192.168.150.10", "swarm": "manager"}
        servers = {
            "web0": web0,
            **servers,
            **({"web2": {**servers["web2"], "swarm": "manager"}} if how[0] == "s" else {}),
        }
        stack_file["config"]["apiary:servers"] = servers
        stack_file["config"]["apiary:applications"]["asker"]["server"] = "web2"
    settled.write(stack_file)
    before = settled.run("stack", "export").stdout
    instances = [one["id"] for one in json.loads(before)["deployment"]["resources"] if one["type"] == INSTANCE]
    with settled.state(json.loads(before)):
        settled.workplace.forget()
        done = settled.run("up", "--yes", "--skip-preview")
        left = json.loads(settled.run("stack", "export").stdout)["deployment"]["resources"]
        asked = settled.workplace.asked()
    assert done.status != 0
    assert "web1: it is the first manager of the swarm" in done.output, done.output
    assert "docs/scale.md#how-many-managers" in done.output
    assert sorted(one["id"] for one in left if one["type"] == INSTANCE) == sorted(instances)
    assert not any("ssh" in one for one in asked), "no server was told anything"
