"""What a monitor has of its host: what it is told, secret and in place, and a folder that nobody else mounts."""

from __future__ import annotations

import json
from typing import Any

import pulumi
import pytest

from tests.mocks.program import Graph

CONTAINER = "docker:index/container:Container"
COMMAND = "command:remote:Command"
BOOTSTRAP = "playbooks/web1"


@pytest.fixture
def watched(program: Any, stack_file: dict[str, Any]) -> Graph:
    """The small hive with a monitor and somebody who is told."""
    stack_file["applications"]["monitor"] = {"build_dir": "Monitor", "volumes": ["metrics:/var/lib/monitor"]}
    stack_file["alerts"] = {"webhook": ["_secrets^hook"]}
    stack_file["secrets"]["hook"] = "https://hooks.example.com/secret"
    return program(stack_file, secret_keys=("secrets",))  # type: ignore[no-any-return]


def test_it_is_told_over_standard_input_as_a_secret_and_in_place(watched: Graph) -> None:
    told = watched.one(COMMAND, "monitor-watched")
    assert told.inputs["create"] == told.inputs["update"] == "apiary-monitor tell"
    assert "stdin" in told.secret_inputs
    found = json.loads(told.inputs["stdin"])
    assert found["alerts"]["webhook"] == ["https://hooks.example.com/secret"]
    assert {site["domain"] for site in found["sites"]} == {"example.com", "shop.example.net"}
    assert told.inputs["triggers"] == ["web1-id"], "it changes in place: a replacement would end with forgetting"
    # Not by a program that the bootstrap may have taken away before.
    assert "\nrm -f /var/lib/apiary/monitor/host/watch.json\n" in told.inputs["delete"]
    assert "grep -qxF web1-id /etc/apiary/instance || exit 0" in told.inputs["delete"]
    assert told.inputs["logging"] == "none"


def test_it_is_told_when_the_proxy_has_been_told_of_the_sites_and_before_it_starts(watched: Graph) -> None:
    told = watched.one(COMMAND, "monitor-watched")
    assert watched.one(COMMAND, "hasetup-run").urn in told.dependencies
    assert told.urn in watched.one(CONTAINER, "monitor").dependencies


def test_nobody_else_mounts_the_folder_and_no_environment_holds_what_it_is_told(watched: Graph) -> None:
    mounts = {c.name: [v for v in c.inputs.get("volumes", []) if v.get("hostPath")] for c in watched.of_type(CONTAINER)}
    folder = {"containerPath": "/run/apiary", "hostPath": "/var/lib/apiary/monitor/host", "readOnly": True}
    assert mounts.pop("monitor") == [folder]
    assert folder not in [mount for found in mounts.values() for mount in found]
    for container in watched.of_type(CONTAINER):
        assert "hooks.example.com" not in json.dumps(container.inputs)


def test_a_host_without_a_monitor_is_made_as_before(watched: Graph, graph: Graph) -> None:
    def variables(found: Graph) -> dict[str, Any]:
        (cargo,) = [one for one in found if one.cargo and "vars.json" in one.sent()]
        return dict(json.loads(cargo.sent()["vars.json"]))

    assert variables(watched) == {**variables(graph), "apiary_monitor": True}


def test_a_preview_warns_of_each_server_that_has_none(
    program: Any, stack_file: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    monkeypatch.setattr(pulumi, "warn", said.append)
    stack_file["applications"]["monitor"] = {"build_dir": "Monitor", "volumes": ["metrics:/var/lib/monitor"]}
    program(stack_file)
    assert said == []
    stack_file["servers"]["db1"] = {**stack_file["servers"]["web1"], "dns": {}}
    for section in ("applications", "jobs"):
        for one in stack_file[section].values():
            one["server"] = "web1"
    program(stack_file)
    assert [text.partition(",")[0] for text in said] == ["server db1 has no monitor"]
