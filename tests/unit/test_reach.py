"""What visitors may reach: exactly what is published and opened, at the addresses and names that it has."""

from __future__ import annotations

import copy
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis
from hypothesis import strategies as st

import settings
from settings.container_texts import OpenPort, parse_open
from tests.unit.test_playbook_tools import ufw_rules
from tests.unit.test_settings import good
from tests.unit.test_settings_errors import report

# A whole stack file is read in each example; how long that takes says more of the machine than of the program.
patiently = hypothesis(deadline=None)


def hive(**mail: Any) -> dict[str, Any]:
    """A good stack file whose mail server, which has an address of its own, has these settings besides."""
    raw = copy.deepcopy(good())
    raw["applications"]["mail"].update(mail)
    return raw


def load(raw: dict[str, Any]) -> settings.Stack:
    return settings.load(raw, name="test")


def said(raw: dict[str, Any]) -> tuple[str, str]:
    """Path and message of the one problem."""
    [(path, message)] = report(raw).items()
    return path, message


# --- the language

ports = st.tuples(st.sampled_from(["tcp", "udp"]), st.integers(1, 65535), st.integers(1, 65535)).map(
    lambda drawn: OpenPort(drawn[0], min(drawn[1:]), max(drawn[1:]))
)


@patiently
@given(ports)
def test_opened_ports_are_read_as_they_are_spelt(port: OpenPort) -> None:
    assert parse_open(str(port)) == port


@patiently
@given(ports, ports)
def test_opened_ports_overlap_exactly_when_they_share_one(one: OpenPort, other: OpenPort) -> None:
    shared = set(range(one.first, one.last + 1)) & set(range(other.first, other.last + 1))
    assert one.overlaps(other) == other.overlaps(one) == (one.proto == other.proto and bool(shared))


@patiently
@given(st.text(alphabet="tcpud/-0123456789 ", max_size=16) | st.text() | st.integers() | st.none() | st.booleans())
def test_anything_is_opened_ports_or_an_error_that_says_what_to_write(value: object) -> None:
    try:
        found = parse_open(value)
    except ValueError as error:
        assert "write" in str(error)  # noqa: PT017 - either outcome is right
    else:
        assert 1 <= found.first <= found.last <= 65535


@pytest.mark.parametrize(
    ("written", "message"),
    [
        (25565, "25565 does not say tcp or udp; write tcp/25565"),
        ("25565/tcp", '"25565/tcp" names the protocol last; write tcp/25565'),
        ("tcp/6010-6000", '"tcp/6010-6000" ends before it begins; write "tcp/6000-6010"'),
        ("tcp/70000", '"tcp/70000" is out of range'),
        ("sctp/1", '"sctp/1" is not a port with its protocol; write'),
    ],
)
def test_a_port_that_can_t_be_opened_is_said_with_what_to_write(written: object, message: str) -> None:
    path, text = said(hive(open=[written]))
    assert path == "applications.mail.open[0]"
    assert text.startswith(message)


# --- the whole file


@pytest.mark.parametrize(("key", "value"), [("open", ["tcp/25"]), ("dns", ["mail.example.com"])])
def test_without_an_address_of_its_own_nothing_is_opened_or_named(key: str, value: list[str]) -> None:
    raw = good()
    raw["applications"]["blog"][key] = value
    path, message = said(raw)
    assert path == f"applications.blog.{key}"
    assert message.endswith('write static_ipv6: "2:0:b" as well')


@pytest.mark.parametrize(
    ("more", "path", "by"),
    [
        ({"open": ["tcp/25", "tcp/20-30"]}, "applications.mail.open[1]", "applications.mail.open[0]"),
        ({"ports": ["2525:25"], "open": ["tcp/25"]}, "applications.mail.open[0]", "applications.mail.ports[0]"),
    ],
)
def test_a_port_is_opened_once(more: dict[str, Any], path: str, by: str) -> None:
    found = said(hive(**more))
    assert found[0] == path
    assert f"is opened by {by} already" in found[1]


def test_more_rules_than_the_cloud_firewall_holds_are_an_error() -> None:
    load(hive(open=[f"tcp/{port}" for port in range(1000, 1040)]))
    path, message = said(hive(open=[f"tcp/{port}" for port in range(1000, 1041)]))
    assert path == "servers.web1"
    assert message.startswith("its firewall would need 51 rules")
    assert message.endswith("or open ranges, as in tcp/6000-6010")


@pytest.mark.parametrize(("key", "value"), [("open", "tcp/22"), ("open", "tcp/20-30"), ("ports", "2222:22")])
def test_a_narrowed_ssh_is_not_opened_again_for_a_container(key: str, value: str) -> None:
    raw = hive(**{key: [value]})
    load(raw)
    raw["servers"]["web1"]["ssh_from"] = ["192.0.2.0/24"]
    path, message = said(raw)
    assert path == f"applications.mail.{key}[0]"
    assert message.startswith("port 22 of this container would open port 22 of the server")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("web1.example.com", '"web1.example.com" is listed at servers.web1.dns.public[0] already'),
        ("example.com", '"example.com" is listed at servers.web1.dns.web[0] already'),
        ("www.example.com", '"www.example.com" leads to the web domain "example.com" already'),
        ("co.uk", '"co.uk" is a public suffix'),
        ("Mail.example.com", '"Mail.example.com" must be lower case'),
    ],
)
def test_a_name_that_leads_elsewhere_is_refused(name: str, message: str) -> None:
    path, text = said(hive(dns=[name]))
    assert path == "applications.mail.dns[0]"
    assert text.startswith(message)


@pytest.mark.parametrize("kind", ["A", "AAAA", "CNAME"])
def test_a_record_for_such_a_name_is_refused(kind: str) -> None:
    raw = hive(dns=["far.example.com"])
    data = {"A": "192.0.2.1", "AAAA": "2001:db8::1", "CNAME": "example.net"}[kind]
    raw["zones"]["example.com"]["records"][-1] = {"type": kind, "name": "far", "data": data}
    path, text = said(raw)
    assert path == 'zones["example.com"].records[4]'
    assert text.startswith(f'{kind} of "far.example.com" follows from applications.mail.dns')


# --- what follows


def test_a_name_of_a_container_leads_to_its_own_address_alone() -> None:
    records = settings.dns_records(load(hive(open=["tcp/25"], dns=["mail.example.org"])), "web1")
    assert [one for one in records if one.zone == "example.org"] == [
        settings.RecordPlan("example.org", "mail", "AAAA", "own_ipv6", 300, application="mail")
    ]


def test_with_published_ports_it_leads_to_the_server_over_ipv4_too() -> None:
    stack = load(hive(ports=[25], dns=["mail.example.org"]))
    found = [(one.type, one.source) for one in settings.dns_records(stack, "web1") if one.zone == "example.org"]
    assert found == [("AAAA", "own_ipv6"), ("A", "ipv4")]
    assert "example.org" in settings.zones_of(stack)


def rules(raw: dict[str, Any]) -> set[tuple[str, str, str]]:
    return {(one.family, one.protocol, one.port) for one in settings.openings(load(raw), "web1")}


def test_the_cloud_lets_opened_ports_through_over_ipv6_alone() -> None:
    more = rules(hive(open=["tcp/25565", "udp/6000-6010"])) - rules(good())
    assert more == {("v6", "tcp", "25565"), ("v6", "udp", "6000:6010")}


def test_the_cloud_lets_the_server_s_port_through_over_ipv4_and_the_container_s_over_ipv6() -> None:
    assert rules(hive(ports=["2525:25"])) - rules(good()) == {("v4", "tcp", "2525"), ("v6", "tcp", "25")}


def test_a_port_published_without_an_own_address_is_no_matter_of_ipv6() -> None:
    raw = good()
    raw["applications"]["blog"]["ports"] = ["8080:8080"]
    assert rules(raw) - rules(good()) == {("v4", "tcp", "8080")}


@patiently
@given(st.lists(ports, max_size=8), st.lists(ports, max_size=8))
def test_after_a_change_nothing_is_open_but_what_is_wanted_now(before: list[OpenPort], after: list[OpenPort]) -> None:
    """From any set of opened ports to any other: what ufw then holds of ours is what a first run would make."""

    def wanted(opened: list[OpenPort]) -> list[Any]:
        entries = [{"address": "2001:db8::b", "proto": p.proto, "port": p.first, "last": p.last} for p in opened]
        return list(ufw_rules.desired("ens3", ["2001:db8:0:0:2::/96"], entries, []))

    def shown(some: list[Any]) -> str:
        lines = [
            " ".join((["route"] if r.routed else []) + list(r.words)) + f" comment 'apiary {r.comment}'" for r in some
        ]
        return "\n".join(f"ufw {line}" for line in lines)

    missing, stale = ufw_rules.plan(wanted(after), shown(wanted(before)))
    left = [rule for rule in wanted(before) if rule.comment not in stale] + missing
    assert {rule.comment for rule in left} == {rule.comment for rule in wanted(after)}
    assert ufw_rules.plan(wanted(after), shown(left)) == ([], {})


# --- private addresses (ipv6: nat)


def with_nat(**mail: Any) -> dict[str, Any]:
    """The good stack file with `ipv6: nat` and a mail server with these settings."""
    raw = good()
    raw["servers"]["web1"]["ipv6"] = "nat"
    raw["applications"]["mail"] = {"image": "mail", **mail}
    return raw


def test_nat_is_a_word_or_a_setting() -> None:
    assert load(with_nat()).servers["web1"].ipv6.is_nat
    raw = with_nat()
    raw["servers"]["web1"]["ipv6"] = {"mode": "nat", "docker": {"suffix_net": "5:0:0/96", "static_web": "5:0:a"}}
    assert load(raw).servers["web1"].ipv6.is_nat
    raw["servers"]["web1"]["ipv6"] = "natt"
    path, message = said(raw)
    assert path == "servers.web1.ipv6"
    assert message == '"natt" is not a way to give containers IPv6; write nat, or leave it out'


@pytest.mark.parametrize(
    ("mail", "key", "remedy"),
    [
        ({"static_ipv6": "2:0:b"}, "static_ipv6", "leave it out, and publish ports, which are forwarded"),
        ({"open": ["tcp/25", "udp/53"]}, "open", "publish them on the server's own instead: ports: [25, 53/udp]"),
        ({"dns": ["mail.example.org"]}, "dns", "publish ports, and they lead to the server's own"),
    ],
)
def test_with_nat_what_needs_a_public_address_is_refused(mail: dict[str, Any], key: str, remedy: str) -> None:
    path, message = said(with_nat(**mail))
    assert path == f"applications.mail.{key}"
    assert message.startswith("servers.web1.ipv6 is nat, so containers have no public address")
    assert remedy in message


@patiently
@given(st.integers(0, 2**64 - 1), st.sets(st.sampled_from([f"app{number}" for number in range(15)])))
def test_with_nat_all_addresses_are_private_stay_over_a_rebuild_and_never_meet(bits: int, names: set[str]) -> None:
    raw = with_nat()
    raw["applications"] |= {name: {"image": "x", "ports": [8100 + int(name[3:])]} for name in names}
    stack = load(raw)
    plan = settings.plan(stack, "web1", str(IPv6Network((bits << 64, 64))))
    assert set(plan.statics) == {"haproxy", *names}
    assert len(set(plan.statics.values())) == len(plan.statics)
    net = IPv6Network(str(plan.net))
    assert net.subnet_of(IPv6Network("fd00::/8"))
    lower = next(net.subnets())
    assert all(IPv6Address(address) in lower for address in plan.statics.values())
    assert str(plan.net_gateway) not in plan.statics.values()
    before = settings.plan(stack, "web1", None)
    assert (before.net, before.statics) == (plan.net, plan.statics), "the addresses hang on the server's prefix"


def test_two_servers_and_two_stacks_have_private_networks_of_their_own() -> None:
    raw = with_nat()
    raw["servers"]["web2"] = {"plan": "p", "region": "ams", "os": 2136, "ipv6": "nat"}
    for section in ("applications", "jobs"):
        for container in raw[section].values():
            container["server"] = "web1"
    found = {
        settings.plan(settings.load(raw, name=stack), server, None).net
        for stack in ("prod", "test")
        for server in ("web1", "web2")
    }
    assert len(found) == 4


def test_with_nat_every_name_leads_to_the_server_itself() -> None:
    stack = load(with_nat(ports=[25], dns=["mail.example.org"]))
    aaaa = [one for one in settings.dns_records(stack, "web1") if one.type == "AAAA" and one.source != "literal"]
    assert {one.source for one in aaaa} == {"host_ipv6"}
    assert {(one.zone, one.name) for one in aaaa} >= {
        ("example.org", "mail"),
        ("example.com", ""),
        ("example.com", "www"),
    }
    assert settings.reverse_names(stack) == {}


def test_with_nat_the_cloud_lets_the_server_s_ports_through_over_both_families() -> None:
    assert rules(with_nat(ports=["2525:25"])) - rules(with_nat()) == {("v4", "tcp", "2525"), ("v6", "tcp", "2525")}


# --- without IPv4


def test_without_ipv4_nothing_is_published() -> None:
    path, message = said(hive(ipv4=False, ports=["2525:25"]))
    assert path == "applications.mail.ports"
    assert message.endswith("open them over IPv6: open: [tcp/25]")
    load(hive(ipv4=False, open=["tcp/25"]))


@patiently
@given(st.sets(st.sampled_from([f"app{number}" for number in range(60)])))
def test_without_ipv4_or_with_static_ipv6_docker_hands_the_ipv4_address_to_nobody_else(names: set[str]) -> None:
    """The firewall knows the one by it, and with another one a restart would be noticed over IPv6."""
    raw = good()
    raw["applications"] |= {name: {"image": "x", "ipv4": False} for name in names}
    plan = settings.plan(load(raw), "web1", "2001:db8:1:2::/64")
    assert set(plan.ipv4_statics) == names | set(plan.statics)
    assert plan.statics
    assert len(set(plan.ipv4_statics.values())) == len(plan.ipv4_statics)
    for address in map(IPv4Address, plan.ipv4_statics.values()):
        assert address in IPv4Network(plan.ipv4_net)
        assert address not in IPv4Network(plan.ipv4_range)
        assert str(address) not in (plan.ipv4_gateway, str(IPv4Network(plan.ipv4_net)[0]))


def test_more_without_ipv4_than_the_network_has_fixed_addresses_for_are_refused() -> None:
    raw = good()
    raw["servers"]["web1"]["ipv4_net"] = "10.1.2.0/28"
    raw["applications"] |= {f"app{number}": {"image": "x", "ipv4": False} for number in range(7)}
    path, message = said(raw)
    assert path == "servers.web1.ipv4_net"
    assert message.startswith(
        "10.1.2.0/28 has fixed addresses for 6 applications with static IPv6 or ipv4: false, here"
    )


def test_two_without_ipv4_can_t_run_side_by_side() -> None:
    raw = good()
    assert load(raw).applications["blog"].is_rolling
    raw["applications"]["blog"]["ipv4"] = False
    assert not load(raw).applications["blog"].is_rolling


def test_without_ipv4_there_is_no_private_network_either() -> None:
    raw = hive(ipv4=False, private=[5432])
    path, message = said(raw)
    assert path == "applications.mail.private"
    assert message.startswith("the private network is IPv4, which ipv4: false takes away")
