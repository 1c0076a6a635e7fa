"""The private side as the program declares it: who may log in, the VPC, what is published on it."""

from __future__ import annotations

import json
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
    [bootstrap] = [
        command
        for command in graph.of_type("command:local:Command")
        if command.name == server and "apiary:host:Bootstrap" in command.urn
    ]
    found: dict[str, Any] = json.loads(bootstrap.sent()["vars.json"])
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


# --- the private network


def two_servers(stack_file: dict[str, Any]) -> dict[str, Any]:
    """`postgres` on a server of its own, `shop` asking it from web1."""
    servers = stack_file["servers"]
    servers["web1"]["private_ip"] = "192.168.150.10"
    servers["web2"] = {
        **{key: servers["web1"][key] for key in ("plan", "region", "os")},
        "private_ip": "192.168.150.11",
        "dns": {"private": ["db.internal.example.com"]},
    }
    for section in ("applications", "jobs"):
        for container in stack_file[section].values():
            container["server"] = "web1"
    stack_file["applications"]["postgres"] |= {"server": "web2", "private": [5432]}
    return stack_file


def test_servers_with_a_private_address_are_on_one_vpc(stack_file: dict[str, Any], program: Any) -> None:
    graph = program(two_servers(stack_file))
    vpc = graph.one("vultr:index/vpc:Vpc", "ewr")
    assert (vpc.inputs["v4Subnet"], vpc.inputs["v4SubnetMask"]) == ("192.168.150.0", 24)
    # By this `make heal` knows it.
    assert vpc.inputs["description"] == "apiary-test-ewr"
    for name in ("web1", "web2"):
        instance = graph.one("vultr:index/instance:Instance", name)
        assert instance.inputs["vpcIds"] == ["ewr-id"]
        assert instance.property_dependencies["vpcIds"] == {vpc.urn}


def test_a_server_that_leaves_the_private_network_is_detached(graph: Graph) -> None:
    """Left out, the attachment would stay, and the VPC could never be deleted."""
    assert graph.one("vultr:index/instance:Instance", "web1").inputs["vpcIds"] == []
    assert graph.of_type("vultr:index/vpc:Vpc") == []
    assert told(graph, "web1")["apiary_private_ip"] is None


def test_a_private_port_is_on_the_private_address_and_for_the_other_servers_alone(
    stack_file: dict[str, Any], program: Any
) -> None:
    graph = program(two_servers(stack_file))
    [port] = graph.one("docker:index/container:Container", "postgres").inputs["ports"]
    assert (port["ip"], port["external"], port["internal"]) == ("192.168.150.11", 5432, 5432)
    there = told(graph, "web2")
    assert there["apiary_private_ip"] == "192.168.150.11"
    assert there["apiary_private_peers"] == ["192.168.150.10"]
    assert there["apiary_private_ports"] == [{"proto": "tcp", "port": 5432}]
    # Neither firewall opens it to the world.
    assert there["apiary_published_ipv4"] == []
    assert not any(port == "5432" for _, port, _ in rules(graph))
    assert told(graph, "web1")["apiary_private_ports"] == []
    # And there containers reach it, while of the private network nothing else is for them.
    assert told(graph, "web1")["apiary_private_reached"] == [
        {"address": "192.168.150.11", "proto": "tcp", "port": 5432}
    ]
    assert there["apiary_private_reached"] == []


def test_a_reference_to_another_server_is_its_private_address(stack_file: dict[str, Any], program: Any) -> None:
    graph = program(two_servers(stack_file))
    assert "DB_HOST=192.168.150.11" in graph.one("docker:index/container:Container", "shop").inputs["envs"]


def test_private_names_lead_to_the_private_address(stack_file: dict[str, Any], program: Any) -> None:
    records = program(two_servers(stack_file)).of_type("vultr:index/dnsRecord:DnsRecord")
    found = [record.inputs for record in records if record.inputs["name"] == "db.internal"]
    assert [(record["type"], record["data"]) for record in found] == [("A", "192.168.150.11")]
