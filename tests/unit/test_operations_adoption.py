"""What of a zone that exists is what the stack file makes of it."""

from __future__ import annotations

from operations.adoption import Planned, compare

RECORD = {"domain": "example.com", "ttl": 300, "priority": -1}


def test_a_name_in_unicode_is_the_one_that_is_planned() -> None:
    """Else it would be made a second time beside the one that is there."""
    inputs = {**RECORD, "type": "MX", "name": "xn--bcher-kva", "data": "mx.xn--bcher-kva.example", "priority": 10}
    there = {**inputs, "id": "r", "name": "Bücher", "data": "mx.bücher.example"}
    found = compare([Planned("urn", "vultr:index/dnsRecord:DnsRecord", inputs, "")], [there])
    assert [record.id for _, record in found.kept] == ["r"]
    assert [*found.new, *found.others, *found.in_the_way, *found.unlike] == []
