"""The access of an application to the jobs that it refers to."""

from __future__ import annotations

import json
from typing import Any

from tests.mocks.program import Graph

CONTAINER = "docker:index/container:Container"
COMMAND = "command:remote:Command"


def test_an_application_may_start_the_jobs_that_it_names_and_no_others(graph: Graph) -> None:
    [grant] = [command for command in graph.of_type(COMMAND) if command.name.endswith("-docker-access")]
    assert grant.name == "scheduler-docker-access"
    assert grant.inputs["create"] == grant.inputs["update"] == "apiary-access grant scheduler"
    assert json.loads(grant.inputs["stdin"]) == {
        "jobs": [{"container": "hasetup-1234567", "job": "hasetup", "seconds": 600, "grace": 10}]
    }
    assert grant.inputs["triggers"] == ["web1-id"], "it changes in place: a replacement would end with a revocation"
    assert "apiary-access revoke scheduler" in grant.inputs["delete"]
    assert "grep -qxF web1-id /etc/apiary/instance || exit 0" in grant.inputs["delete"]


def test_its_socket_is_there_before_the_application_and_nobody_else_mounts_it(graph: Graph) -> None:
    grant = graph.one(COMMAND, "scheduler-docker-access")
    mounts = {c.name: [v for v in c.inputs.get("volumes", []) if v.get("hostPath")] for c in graph.of_type(CONTAINER)}
    assert mounts.pop("scheduler") == [
        {"containerPath": "/run/apiary", "hostPath": "/var/lib/apiary/access/scheduler", "readOnly": True}
    ]
    assert not any(mounts.values())
    assert grant.urn in graph.one(CONTAINER, "scheduler").dependencies


def test_a_job_that_names_another_gets_no_access_to_it(stack_file: dict[str, Any], program: Any) -> None:
    stack_file["jobs"]["hasetup"]["env"]["then"] = "+dbsetup"
    graph = program(stack_file)
    assert [c.name for c in graph.of_type(COMMAND) if "docker-access" in c.name] == ["scheduler-docker-access"]
