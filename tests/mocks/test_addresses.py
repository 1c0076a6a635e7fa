"""What an application with an address of its own gets."""

from __future__ import annotations

import base64
import io
import json
import tarfile
from typing import Any

import pytest

from tests.mocks.program import Graph

OWN = "2001:db8:77:1:0:2:0:b"
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
    cargo = base64.b64decode(graph.one("command:remote:Command", "web1").inputs["stdin"])
    with tarfile.open(fileobj=io.BytesIO(cargo)) as archive:
        file = archive.extractfile("vars.json")
        assert file is not None
        found: dict[str, Any] = json.load(file)
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
