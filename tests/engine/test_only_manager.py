"""The only manager of a swarm made anew by an update: the swarm goes with it, and all of it is made anew."""

from __future__ import annotations

import copy
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
MADE_ANEW = ("create-replacement", "replace", "delete-replaced")


@pytest.fixture(scope="module")
def settled(workplace: Workplace) -> Project:
    """A manager and a worker, all there."""
    project = workplace.project("only", "only", STACK).made()
    settle(project, STACK["config"]["apiary:secrets"])
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
