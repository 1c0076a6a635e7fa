"""Promises that hold for the whole graph, whatever is in it."""

from __future__ import annotations

import base64
import json
import re
from pathlib import Path
from typing import Any

from tests.mocks.program import Graph, Registered

ON_THE_HOST = ("command:", "docker:index/")
# Runs between two hosts, belongs to neither, and undoes nothing (test_carried.py).
CARRIED = "-carried"


def senders(graph: Graph) -> list[Registered]:
    """The commands that send a folder to a server."""
    return [one for one in graph.of_type("command:local:Command") if not one.name.endswith(CARRIED)]


def test_every_resource_has_a_component_as_its_parent(graph: Graph) -> None:
    for resource in graph:
        if resource.type.startswith("apiary:"):
            assert resource.parent.endswith("pulumi:pulumi:Stack::apiary-test")
        else:
            assert graph.by_urn(resource.parent).type.startswith("apiary:"), resource.urn


def test_a_dead_server_is_given_up_without_being_contacted(graph: Graph) -> None:
    instance = graph.one("vultr:index/instance:Instance", "web1")
    for resource in graph:
        if resource.type.startswith(ON_THE_HOST) and not resource.name.endswith(CARRIED):
            assert resource.deleted_with == instance.urn, f"{resource.urn} would be deleted over a dead connection"


def test_everything_in_docker_goes_through_the_server_s_own_provider(graph: Graph) -> None:
    provider = graph.one("pulumi:providers:docker", "web1-ewr")
    for resource in graph:
        if resource.type.startswith("docker:"):
            assert resource.provider.startswith(f"{provider.urn}::"), resource.urn


def test_everything_in_docker_is_made_anew_on_a_rebuilt_server(graph: Graph) -> None:
    instance = graph.one("vultr:index/instance:Instance", "web1")
    for resource in graph:
        if resource.type.startswith("docker:"):
            labels = {label["label"]: label["value"] for label in resource.inputs["labels"]}
            assert labels["apiary.instance"] == "web1-id"
            assert labels["apiary.stack"] == "apiary-test"
            assert instance.urn in resource.property_dependencies["labels"], resource.urn


def test_everything_in_docker_waits_for_the_bootstrap(graph: Graph) -> None:
    bootstrap = graph.one("command:local:Command", "web1")
    for resource in graph:
        is_image = resource.type.startswith("command:") and resource.name.startswith("web1/")
        if resource.type.startswith("docker:") or is_image:
            assert bootstrap.urn in resource.dependencies, resource.urn


def test_every_command_runs_again_on_a_rebuilt_server(graph: Graph) -> None:
    for command in [*graph.of_type("command:remote:Command"), *senders(graph)]:
        if command.inputs["create"].startswith("apiary-image digest "):
            continue  # what runs is in the state, and a rebuilt server gets the same
        assert command.inputs["triggers"], f"{command.urn} would never run on the new instance"
        trigger = str(command.inputs["triggers"][0])
        assert trigger.endswith("-id"), trigger


def test_every_connection_pins_the_host_key(graph: Graph) -> None:
    for command in graph.of_type("command:remote:Command"):
        connection = command.inputs["connection"]
        assert connection["hostKey"] == "ssh-ed25519 web1-host-key"
        assert "connection" in command.secret_inputs
    for command in senders(graph):
        script = command.inputs["interpreter"][-1]
        assert "'KnownHostsCommand=/bin/echo %H ssh-ed25519 web1-host-key'" in script, command.urn
        assert "StrictHostKeyChecking=yes" in script
    options = graph.one("pulumi:providers:docker", "web1-ewr").inputs["sshOpts"]
    assert "KnownHostsCommand=/bin/echo %H ssh-ed25519 web1-host-key os-2136" in options
    assert "StrictHostKeyChecking=yes" in options


def test_no_file_that_a_server_gets_is_among_the_inputs(graph: Graph) -> None:
    """They would lie in the state in plain text, keys among them."""
    files = [content for sender in senders(graph) for content in sender.sent().values() if len(content) > 40]
    assert len(files) > 50
    for resource in graph:
        inputs = json.dumps(resource.inputs)
        encoded = re.findall(r"[A-Za-z0-9+/]{200,}", inputs)
        held = [inputs.encode(), *(base64.b64decode(text[: len(text) // 4 * 4]) for text in encoded)]
        assert not [content for content in files for text in held if content in text], resource.urn


def test_the_same_files_are_the_same_inputs_on_every_machine(stack_file: dict[str, Any], program: Any) -> None:
    def wanted() -> dict[str, Any]:
        return {one.urn: one.inputs for one in program(stack_file).of_type("command:local:Command")}

    first = wanted()
    Path(".apiary").rename("elsewhere")
    assert wanted() == first
