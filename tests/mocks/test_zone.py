"""What DNS promises."""

from __future__ import annotations

from typing import Any

from tests.mocks.program import Graph

RECORD = "vultr:index/dnsRecord:DnsRecord"


def test_web_domains_lead_to_the_static_web_address_and_the_host_s_name_to_the_host(graph: Graph) -> None:
    data = {
        (record.name, record.inputs["type"]): record.inputs["data"]
        for record in graph.of_type(RECORD)
        if record.inputs["type"] == "AAAA"
    }
    web, host = "2001:db8:77:1:0:2:0:a", "2001:db8:77:1:5400:ff:fe00:1"
    assert data == {
        ("example.com/@/AAAA", "AAAA"): web,
        ("example.com/www/AAAA", "AAAA"): web,
        ("example.net/shop/AAAA", "AAAA"): web,
        ("example.net/www.shop/AAAA", "AAAA"): web,
        ("example.com/web1/AAAA", "AAAA"): host,
    }


def test_every_name_has_the_reserved_ipv4(graph: Graph) -> None:
    reserved = graph.one("vultr:index/reservedIp:ReservedIp", "web1")
    a_records = [record for record in graph.of_type(RECORD) if record.inputs["type"] == "A"]
    assert len(a_records) == 5
    for record in a_records:
        assert reserved.urn in record.property_dependencies["data"]


def test_the_apex_is_named_explicitly(graph: Graph) -> None:
    assert graph.one(RECORD, "example.com/@/A").inputs["name"] == ""


def test_records_of_the_zone_keep_priority_and_ttl(graph: Graph) -> None:
    mail = next(record for record in graph.of_type(RECORD) if record.inputs["type"] == "MX")
    assert (mail.inputs["data"], mail.inputs["priority"], mail.inputs["ttl"]) == ("mail.example.com", 10, 600)


def test_a_record_is_forgotten_only_when_it_has_been_deleted(graph: Graph) -> None:
    """Else a destroy that is interrupted before it comes to the zone leaves records that nothing knows."""
    assert {record.deleted_with for record in graph.of_type(RECORD)} == {""}


def test_only_a_protected_zone_is_protected_and_its_records_are_not(program: Any, stack_file: dict[str, Any]) -> None:
    stack_file["zones"]["example.com"]["protect"] = True
    graph = program(stack_file, secret_keys=("secrets",))
    assert [one.name for one in graph if one.protect] == ["example.com"]
    assert graph.one("vultr:index/dnsDomain:DnsDomain", "example.com").protect
