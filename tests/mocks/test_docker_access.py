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
    assert json.loads(grant.inputs["stdin"]) == {"jobs": ["hasetup"]}
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


def test_the_host_is_told_the_container_of_a_job_that_may_be_started_and_of_no_other(graph: Graph) -> None:
    [told] = [command for command in graph.of_type(COMMAND) if command.name.endswith("-startable")]
    assert told.name == "hasetup-startable"
    assert told.inputs["create"] == told.inputs["update"] == "apiary-access job hasetup"
    assert json.loads(told.inputs["stdin"]) == {"container": "hasetup-1234567", "seconds": 600, "grace": 10}
    assert told.inputs["triggers"] == ["web1-id", "hasetup"], "a renamed job is another one; else it changes in place"
    assert "apiary-access forget hasetup" in told.inputs["delete"]
    assert "grep -qxF web1-id /etc/apiary/instance || exit 0" in told.inputs["delete"]


def test_it_is_told_before_the_job_runs_so_that_a_run_that_fails_leaves_it_startable(graph: Graph) -> None:
    told, run = (graph.one(COMMAND, f"hasetup-{part}") for part in ("startable", "run"))
    assert told.urn in run.dependencies
    assert run.urn not in told.dependencies
    # Neither what the run waits for: it may take long, or fail.
    waited = graph.one(COMMAND, "haproxy-rolling-release").urn
    assert waited in run.dependencies
    assert waited not in told.dependencies


def test_nothing_of_an_application_follows_from_the_container_of_a_job_that_it_may_start(graph: Graph) -> None:
    """Only the order does: a job has a container before anybody is allowed to start it."""
    job = graph.one(CONTAINER, "hasetup").urn
    scheduler = graph.one(CONTAINER, "scheduler")
    for resource in (scheduler, graph.one(COMMAND, "scheduler-docker-access")):
        assert not [key for key, urns in resource.property_dependencies.items() if job in urns]
        assert "hasetup-1234567" not in json.dumps(resource.inputs)
    assert graph.one(COMMAND, "hasetup-startable").urn in graph.one(COMMAND, "scheduler-docker-access").dependencies
    assert graph.one(COMMAND, "hasetup-run").urn not in scheduler.dependencies, "nor does it wait for a run"


def test_a_job_that_names_another_gets_no_access_to_it(stack_file: dict[str, Any], program: Any) -> None:
    stack_file["jobs"]["hasetup"]["env"]["then"] = "+dbsetup"
    graph = program(stack_file)
    assert [c.name for c in graph.of_type(COMMAND) if "docker-access" in c.name] == ["scheduler-docker-access"]
