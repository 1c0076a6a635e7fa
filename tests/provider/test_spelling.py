"""What Vultr spells in another way is no change, and what it wants is what it is sent."""

from __future__ import annotations

from typing import Any

import pytest

from provider import spelling
from tests.provider.fake import Engine, FakeApi

RECORD = {"domain": "example.com", "name": "w"}
FULL = "2001:0db8:0000:0000:0000:0000:0000:0053"
# Kind, inputs, what the API then says of it.
SPELLINGS: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "AAAA": ("DnsRecord", {**RECORD, "type": "AAAA", "data": "2001:db8::53"}, {"data": FULL}),
    "TXT": ("DnsRecord", {**RECORD, "type": "TXT", "data": "v=spf1 -all"}, {"data": '"v=spf1 -all"'}),
    "TXT with quotes": ("DnsRecord", {**RECORD, "type": "TXT", "data": '"v=spf1 -all"'}, {"data": "v=spf1 -all"}),
    "MX": ("DnsRecord", {**RECORD, "type": "MX", "data": "M.example.com.", "priority": 10}, {"data": "m.example.com"}),
    "MX in Unicode": (
        "DnsRecord",
        {**RECORD, "type": "MX", "data": "mx.xn--bcher-kva.example.", "priority": 10},
        {"data": "MX.bücher.example"},
    ),
    "SRV": (
        "DnsRecord",
        {**RECORD, "name": "_sip._tcp", "type": "SRV", "data": "5 5060 SIP.example.com.", "priority": 0},
        {"data": "5 5060 sip.example.com", "name": "_SIP._tcp"},
    ),
    "SRV in Unicode": (
        "DnsRecord",
        {**RECORD, "name": "_sip._tcp", "type": "SRV", "data": "5 5060 xn--bcher-kva.example.", "priority": 0},
        {"data": "5 5060 bücher.example"},
    ),
    "half of a name in Unicode": (
        "DnsRecord",
        {**RECORD, "type": "CNAME", "data": "bücher.xn--p1ai"},
        {"data": "xn--bcher-kva.рф"},
    ),
    "name in Unicode": (
        "DnsRecord",
        {**RECORD, "name": "xn--bcher-kva", "type": "A", "data": "192.0.2.1"},
        {"name": "bücher"},
    ),
    "TXT of 600": (
        "DnsRecord",
        {**RECORD, "type": "TXT", "data": f"v=DKIM1; p={'A' * 600}"},
        {"data": f'"v=DKIM1; p={"A" * 600}"'},
    ),
    "CAA": ("DnsRecord", {**RECORD, "type": "CAA", "data": '0 issue "ca.example"'}, {"data": "0 issue ca.example"}),
    "no priority": ("DnsRecord", {**RECORD, "type": "A", "data": "192.0.2.1"}, {"priority": -1}),
    "priority 0": ("DnsRecord", {**RECORD, "type": "A", "data": "192.0.2.1", "priority": 0}, {"priority": -1}),
    "priority -1": ("DnsRecord", {**RECORD, "type": "A", "data": "192.0.2.1", "priority": -1}, {"priority": 0}),
    "MX without priority": ("DnsRecord", {**RECORD, "type": "MX", "data": "m.example.com"}, {"priority": -1}),
    "firewall": (
        "FirewallRule",
        {"firewallGroupId": "g", "ipType": "v6", "protocol": "tcp", "subnet": "2001:DB8:0::", "subnetSize": 32,
         "port": "22"},
        {"subnet": "2001:db8::"},
    ),
    "mask 0": ("Vpc", {"region": "ewr", "description": "d", "v4SubnetMask": 0}, {"v4_subnet_mask": 20}),
    "region": ("Vpc", {"region": "EWR", "description": "d"}, {"region": "ewr"}),
    "key": ("SSHKey", {"name": "n", "sshKey": "ssh-ed25519 A\n"}, {"ssh_key": "ssh-ed25519 A"}),
    "zone": ("DnsDomain", {"domain": "Example.com"}, {"domain": "Example.com"}),
}  # fmt: skip


@pytest.mark.parametrize("case", SPELLINGS)
def test_another_spelling_is_no_change(engine: Engine, api: FakeApi, case: str) -> None:
    """Neither after the creation, nor after a refresh; and a state of the official plugin's spelling is no change."""
    kind, inputs, says = SPELLINGS[case]
    news = engine.inputs(kind, **inputs)
    respelled: list[str] = []

    def respell(method: str, path: str, body: object) -> None:
        for collection in api.objects.values():
            for entry in collection.values():
                entry.update(says)
                respelled.append(path)

    api.rules.append(respell)
    state = engine.create(kind, **inputs)
    assert respelled
    assert engine("Diff", kind, id=state["id"], olds=state, news=news)["changes"] == "DIFF_NONE"
    read = engine("Read", kind, id=state["id"], properties=state, inputs=news)
    assert engine("Diff", kind, id=state["id"], olds=read["properties"], news=read["inputs"])["changes"] == "DIFF_NONE"
    assert engine("Diff", kind, id=state["id"], olds=read["properties"], news=news)["changes"] == "DIFF_NONE"
    official = {**state, **{camel(name): value for name, value in says.items()}}
    assert engine("Diff", kind, id=state["id"], olds=official, news=news)["changes"] == "DIFF_NONE"


def camel(name: str) -> str:
    head, *rest = name.split("_")
    return head + "".join(word.capitalize() for word in rest)


@pytest.mark.parametrize(
    ("kind", "old", "new"),
    [
        ("DnsRecord", {"type": "AAAA", "data": "2001:db8::53"}, {"data": "2001:db8::54"}),
        ("DnsRecord", {"type": "TXT", "data": "Key"}, {"data": "key"}),
        ("DnsRecord", {"type": "MX", "data": "m.example.com", "priority": 10}, {"priority": 20}),
        ("DnsRecord", {"type": "MX", "data": "m.example.com", "priority": 10}, {"priority": None}),
        ("DnsRecord", {"type": "A", "data": "192.0.2.1", "name": ""}, {"name": "www"}),
        ("FirewallRule", {"firewallGroupId": "g", "subnet": "2001:db8::"}, {"subnet": "2001:db9::"}),
    ],
)
def test_another_value_is_a_change(engine: Engine, kind: str, old: dict[str, Any], new: dict[str, Any]) -> None:
    olds = {"id": "x", "domain": "example.com", "name": "w", "ttl": 3600, "priority": -1, **old}
    news = {k: v for k, v in {**olds, **new}.items() if v is not None and k != "id"}
    assert engine("Diff", kind, id="x", olds=olds, news=news)["changes"] == "DIFF_SOME"


def test_priorities_are_sent_where_there_are_some(engine: Engine, api: FakeApi) -> None:
    engine.create("DnsRecord", **RECORD, type="A", data="192.0.2.1")
    engine.create("DnsRecord", **RECORD, type="MX", data="m.example.com", priority=10)
    bodies = [body for method, _, body in api.asked if method == "POST" and body]
    assert [body.get("priority") for body in bodies] == [None, 10]


def test_a_reverse_name_is_asked_for_in_full_and_kept_as_the_program_spells_it(engine: Engine, api: FakeApi) -> None:
    path = "/v2/instances/i/ipv6/reverse"
    api.reverse[path] = []

    def named(method: str, asked: str, body: Any) -> tuple[int, None] | None:
        if (method, asked) == ("POST", path):
            assert body["ip"] == FULL
            api.reverse[path].append(dict(body))
            return 204, None
        if method == "DELETE":
            assert asked == f"{path}/{FULL}"
            api.reverse[path].clear()
            return 204, None
        return None

    api.rules.append(named)
    inputs = {"instanceId": "i", "ip": "2001:db8::53", "reverse": "a.example"}
    state = engine.create("ReverseIpv6", **inputs)
    assert state["id"] == state["ip"] == "2001:db8::53"
    read = engine("Read", "ReverseIpv6", id=state["id"], properties=state, inputs=inputs)
    assert engine("Diff", "ReverseIpv6", id=state["id"], olds=read["properties"], news=inputs)["changes"] == "DIFF_NONE"
    engine("Delete", "ReverseIpv6", id=state["id"], properties=state)
    assert not api.reverse[path]


@pytest.mark.parametrize(
    ("kind", "path", "found", "id", "inputs"),
    [
        (
            "DnsRecord",
            "/v2/domains/example.com/records",
            {"type": "A", "name": "", "data": "192.0.2.1"},
            "example.com,{id}",
            {"domain": "example.com", "type": "A", "name": "", "data": "192.0.2.1", "ttl": 300},
        ),
        ("DnsDomain", "/v2/domains", {"domain": "example.com"}, "example.com", {"domain": "example.com"}),
        (
            "ReservedIp",
            "/v2/reserved-ips",
            {"region": "ewr", "ip_type": "v4", "label": "l"},
            "{id}",
            {"region": "ewr", "ipType": "v4", "label": "l"},
        ),
        (
            "FirewallRule",
            "/v2/firewalls/g/rules",
            {"ip_type": "v4", "protocol": "icmp", "subnet": "0.0.0.0", "subnet_size": 0},
            "g,{id}",
            {"firewallGroupId": "g", "ipType": "v4", "protocol": "icmp", "subnet": "0.0.0.0"},
        ),
    ],
)
def test_what_is_imported_is_no_change_afterwards(  # noqa: PLR0917
    engine: Engine, api: FakeApi, kind: str, path: str, found: dict[str, Any], id: str, inputs: dict[str, Any]
) -> None:
    made = api.put(path, **found)
    answer = engine("Read", kind, id=id.format(id=made.get("id")))
    assert inputs.items() <= answer["inputs"].items()
    assert "priority" not in answer["inputs"]
    again = engine("Read", kind, id=answer["id"], properties=answer["properties"], inputs=answer["inputs"])
    assert again["id"] == answer["id"]


def test_a_reverse_name_is_imported_by_its_instance_and_address(engine: Engine, api: FakeApi) -> None:
    api.reverse["/v2/instances/i/ipv6/reverse"] = [{"ip": FULL, "reverse": "a.example"}]
    answer = engine("Read", "ReverseIpv6", id="i,2001:db8::53")
    assert answer["id"] == "2001:db8::53"
    assert answer["inputs"]["instanceId"] == "i"
    assert spelling.address(answer["inputs"]["ip"], {}) == "2001:db8::53"
