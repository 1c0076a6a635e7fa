"""The private side as the program declares it: who may log in, the VPC, what is published on it."""

from __future__ import annotations

import base64
import io
import json
import tarfile
from typing import Any

from tests.mocks.program import Graph


def rules(graph: Graph) -> set[tuple[str, str, str]]:
    """(family, port, network) of every TCP rule of the cloud firewall."""
    return {
        (rule.inputs["ipType"], rule.inputs["port"], f"{rule.inputs['subnet']}/{rule.inputs['subnetSize']:.0f}")
        for rule in graph.of_type("vultr:index/firewallRule:FirewallRule")
        if rule.inputs["protocol"] == "tcp"
    }


def told(graph: Graph, server: str) -> dict[str, Any]:
    """The variables that the playbooks of a server get."""
    [cargo] = [
        command.inputs["stdin"]
        for command in graph.of_type("command:remote:Command")
        if command.name == server and "apiary:host:Bootstrap" in command.urn
    ]
    with tarfile.open(fileobj=io.BytesIO(base64.b64decode(cargo))) as archive:
        file = archive.extractfile("vars.json")
        assert file is not None
        found: dict[str, Any] = json.loads(file.read())
        return found


def test_ssh_is_narrowed_at_vultr_and_on_the_host_by_one_setting(stack_file: dict[str, Any], program: Any) -> None:
    stack_file["servers"]["web1"]["ssh_from"] = ["203.0.113.0/24", "2001:db8:5::/48"]
    graph = program(stack_file)
    assert {rule for rule in rules(graph) if rule[1] == "22"} == {
        ("v4", "22", "203.0.113.0/24"),
        ("v6", "22", "2001:db8:5::/48"),
    }
    assert {rule for rule in rules(graph) if rule[1] == "80"} == {("v4", "80", "0.0.0.0/0"), ("v6", "80", "::/0")}
    assert told(graph, "web1")["apiary_ssh_from"] == ["203.0.113.0/24", "2001:db8:5::/48"]


def test_without_it_ssh_is_open_to_all_who_have_the_key(graph: Graph) -> None:
    assert {rule for rule in rules(graph) if rule[1] == "22"} == {("v4", "22", "0.0.0.0/0"), ("v6", "22", "::/0")}
    assert told(graph, "web1")["apiary_ssh_from"] == []


def test_the_cloud_is_narrowed_after_the_host(stack_file: dict[str, Any], program: Any) -> None:
    """Rules of another name: the engine removes the wide ones at the end of an update that went well."""
    wide = {rule.name for rule in program(stack_file).of_type("vultr:index/firewallRule:FirewallRule")}
    stack_file["servers"]["web1"]["ssh_from"] = ["203.0.113.0/24"]
    narrow = {rule.name for rule in program(stack_file).of_type("vultr:index/firewallRule:FirewallRule")}
    assert narrow - wide == {"web1-tcp22-203.0.113.0/24"}
    assert wide - narrow == {"web1-tcp22-v4", "web1-tcp22-v6"}
