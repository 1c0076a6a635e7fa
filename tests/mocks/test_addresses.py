"""What an application with an address of its own gets."""

from __future__ import annotations

import json
from ipaddress import IPv6Address, IPv6Network
from typing import Any

import pytest

from tests.mocks.program import RESERVED, Graph
from tests.unit.test_playbook_tools import variables

OWN = "2001:db8:77:1:0:2:0:b"
CONTAINER = "docker:index/container:Container"
REVERSE = "vultr:index/reverseIpv6:ReverseIpv6"


@pytest.fixture
def mail(stack_file: dict[str, Any], program: Any) -> Graph:
    """The small hive with a mail server that has an address, two names, a published and an opened port."""
    stack_file["applications"]["mail"] = {
        "build_dir": "Echo",
        "static_ipv6": "2:0:b",
        "ports": [25],
        "open": ["tcp/993"],
        "dns": ["mail.example.net", "imap.example.org"],
    }
    graph: Graph = program(stack_file)
    return graph


def told_to_the_host(graph: Graph) -> dict[str, Any]:
    """The variables of the playbooks, out of what the bootstrap is given."""
    found: dict[str, Any] = json.loads(graph.one("command:local:Command", "web1").sent()["vars.json"])
    return found


def test_its_names_lead_to_its_own_address_over_ipv6(mail: Graph) -> None:
    for name in ("example.net/mail", "example.org/imap"):
        assert mail.one("vultr:index/dnsRecord:DnsRecord", f"{name}/AAAA").inputs["data"] == OWN
        reserved = mail.one("vultr:index/reservedIp:ReservedIp", "web1")
        a_record = mail.one("vultr:index/dnsRecord:DnsRecord", f"{name}/A")
        assert reserved.urn in a_record.property_dependencies["data"]


def test_the_host_opens_both_ports_there_and_the_published_one_on_its_ipv4(mail: Graph) -> None:
    told = told_to_the_host(mail)
    assert [(entry["address"], entry["port"]) for entry in told["apiary_published"]] == [
        ("2001:db8:77:1:0:2:0:a", 80),
        (OWN, 25),
        (OWN, 993),
    ]
    assert [entry["port"] for entry in told["apiary_published_ipv4"]] == [80, 25]
    ports = mail.one("docker:index/container:Container", "mail").inputs["ports"]
    assert [(port["external"], port["ip"]) for port in ports] == [(25, "0.0.0.0")]


def test_its_address_is_called_by_the_first_of_its_names_until_it_goes(mail: Graph) -> None:
    entry = mail.one(REVERSE, "applications/mail")
    assert (entry.inputs["ip"], entry.inputs["reverse"]) == (OWN, "mail.example.net")
    assert not entry.retain_on_delete, "the old address would keep its name for ever"
    # Creating first would let the old entry's deletion take the new name away.
    assert entry.delete_before_replace is True
    assert entry.deleted_with == mail.one("vultr:index/instance:Instance", "web1").urn


def test_an_application_without_names_has_no_reverse_name(graph: Graph) -> None:
    assert {entry.name for entry in graph.of_type(REVERSE)} == {"web1"}


@pytest.fixture
def private(stack_file: dict[str, Any], program: Any) -> Graph:
    """The small hive with `ipv6: nat`, and a mail server that publishes a port."""
    stack_file["servers"]["web1"]["ipv6"] = "nat"
    stack_file["applications"]["mail"] = {"build_dir": "Echo", "ports": ["2525:25"], "dns": ["mail.example.net"]}
    graph: Graph = program(stack_file)
    return graph


def test_with_nat_what_is_published_is_forwarded_from_the_server_s_own_address(private: Graph) -> None:
    host = "2001:db8:77:1:5400:ff:fe00:1"
    containers = {one.name: one.inputs.get("networksAdvanced", [{}])[0] for one in private.of_type(CONTAINER)}
    addresses = {name: network.get("ipv6Address") for name, network in containers.items()}
    assert {name for name, address in addresses.items() if address} == {"haproxy-door", "mail"}
    assert all(IPv6Address(addresses[name]) in IPv6Network("fd00::/8") for name in ("haproxy-door", "mail"))
    told = told_to_the_host(private)
    assert told["apiary_nat"] == {
        "address": host,
        "forwarded": [
            {"proto": "tcp", "port": 80, "to": addresses["haproxy-door"], "to_port": 80},
            {"proto": "tcp", "port": 2525, "to": addresses["mail"], "to_port": 25},
        ],
    }
    assert told["apiary_addresses"] == [], "nobody is to be answered for"
    variables.check(told)
    for name in ("example.com/@", "example.com/www", "example.net/mail"):
        assert private.one("vultr:index/dnsRecord:DnsRecord", f"{name}/AAAA").inputs["data"] == host
    assert {entry.name for entry in private.of_type(REVERSE)} == {"web1"}


def test_without_ipv4_the_host_is_told_whom_to_refuse_it(stack_file: dict[str, Any], program: Any) -> None:
    stack_file["applications"]["shop"]["ipv4"] = False
    graph = program(stack_file)
    joined = {one.name: one.inputs.get("networksAdvanced", [{}])[0] for one in graph.of_type(CONTAINER)}
    fixed = {name: network["ipv4Address"] for name, network in joined.items() if network.get("ipv4Address")}
    assert sorted(fixed) == ["haproxy-door", "shop"]
    told = told_to_the_host(graph)
    assert told["apiary_ipv6_only"] == [fixed["shop"]]
    variables.check(told)


def test_what_the_host_is_told_of_a_hive_is_accepted_there(mail: Graph, graph: Graph) -> None:
    for one in (mail, graph):
        variables.check(told_to_the_host(one))
        assert told_to_the_host(one)["apiary_nat"] is None


@pytest.fixture
def reserved(stack_file: dict[str, Any], program: Any) -> Graph:
    """The small hive with a reserved /64, and a mail server that has an address and a name."""
    stack_file["servers"]["web1"]["ipv6"] = {"reserved": True}
    stack_file["applications"]["mail"] = {
        "build_dir": "Echo", "static_ipv6": "2:0:b", "open": ["tcp/25"], "dns": ["mail.example.net"],
    }  # fmt: skip
    graph: Graph = program(stack_file)
    return graph


def test_in_a_reserved_network_every_address_is_of_it(reserved: Graph) -> None:
    data = {one.name: one.inputs["data"] for one in reserved.of_type("vultr:index/dnsRecord:DnsRecord")}
    aaaa = {name: address for name, address in data.items() if name.endswith("/AAAA")}
    assert aaaa["example.com/web1/AAAA"] == f"{RESERVED}::1"
    assert aaaa["example.com/@/AAAA"] == aaaa["example.net/www.shop/AAAA"] == f"{RESERVED}:0:2:0:a"
    assert aaaa["example.net/mail/AAAA"] == f"{RESERVED}:0:2:0:b"
    assert all(IPv6Address(address) in IPv6Network(f"{RESERVED}::/64") for address in aaaa.values())
    reverse = {entry.name: (entry.inputs["ip"], entry.inputs["reverse"]) for entry in reserved.of_type(REVERSE)}
    assert reverse == {
        "web1": (f"{RESERVED}::1", "web1.example.com"),
        "applications/mail": (f"{RESERVED}:0:2:0:b", "mail.example.net"),
    }
    subnets = reserved.one("docker:index/network:Network", "web1").inputs["ipamConfigs"]
    assert [part["subnet"] for part in subnets] == ["172.30.0.0/24", f"{RESERVED}:0:2::/96"]


def test_the_host_is_told_of_its_own_address_in_a_reserved_network_and_of_no_other(
    reserved: Graph, graph: Graph
) -> None:
    told = told_to_the_host(reserved)
    assert (told["apiary_prefix"], told["apiary_own_address"]) == (f"{RESERVED}::/64", f"{RESERVED}::1")
    variables.check(told)
    assert told_to_the_host(graph)["apiary_own_address"] is None


def test_a_reserved_network_is_attached_to_the_instance_and_does_not_go_with_it(reserved: Graph) -> None:
    """What drops a dead instance drops its dependents: the network, and the records in it, must not be among them."""
    network = reserved.one("vultr:index/reservedIp:ReservedIp", "web1/ipv6")
    instance = reserved.one("vultr:index/instance:Instance", "web1")
    assert network.inputs | {"label": ""} == {
        "region": "ewr", "ipType": "v6", "label": "", "instanceId": "web1-id",
    }  # fmt: skip
    assert instance.urn not in network.dependencies
    for record in reserved.of_type("vultr:index/dnsRecord:DnsRecord"):
        assert instance.urn not in record.dependencies, record.name
    # Who needs the addresses waits until they lead there.
    for type_ in (REVERSE, "command:local:Command", "docker:index/network:Network"):
        assert network.urn in reserved.one(type_, "web1").dependencies, type_


def test_without_the_switch_no_network_is_reserved(graph: Graph) -> None:
    assert [one.name for one in graph.of_type("vultr:index/reservedIp:ReservedIp")] == ["web1"]
