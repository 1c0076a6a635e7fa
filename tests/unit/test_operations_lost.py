"""What a sweep of the account may remove, what it takes over, and what it must never touch."""

from __future__ import annotations

from typing import Any

import pytest

from operations.lost import Lists, adopted, find
from operations.state import State

TAG = "apiary-prod"
SERVER = "urn:pulumi:prod::apiary::apiary:host:Server"
VULTR = {
    "instance": "vultr:index/instance:Instance",
    "address": "vultr:index/reservedIp:ReservedIp",
    "firewall": "vultr:index/firewallGroup:FirewallGroup",
    "block": "vultr:index/blockStorage:BlockStorage",
    "vpc": "vultr:index/vpc:Vpc",
    "rule": "vultr:index/firewallRule:FirewallRule",
    "zone": "vultr:index/dnsDomain:DnsDomain",
    "record": "vultr:index/dnsRecord:DnsRecord",
}
LABEL = {"label": "apiary-prod-web1"}
V4, V6 = ({**LABEL, "ipType": kind} for kind in ("v4", "v6"))
INSTANCE = {"id": "i-lost", "label": "apiary-prod-web1", "tags": [TAG]}
ADDRESS = {
    "id": "a-lost",
    "label": "apiary-prod-web1",
    "ip_type": "v4",
    "subnet": "192.0.2.7",
    "subnet_size": 32,
    "instance_id": "",
}
RECORD = {"domain": "example.com", "name": "www", "type": "A", "data": "192.0.2.7"}


def resource(kind: str, inputs: dict[str, Any], id_: str = "") -> dict[str, Any]:
    urn = f"{SERVER}${VULTR[kind]}::web1"
    return {"urn": urn, "type": VULTR[kind], "inputs": inputs, **({"id": id_} if id_ else {})}


def exported(
    recorded: list[dict[str, Any]] | None = None, creating: list[dict[str, Any]] | None = None
) -> dict[str, Any]:
    component = {"urn": f"{SERVER}::web1", "type": "apiary:host:Server"}
    return {
        "deployment": {
            "resources": [component, *(recorded or [])],
            "pending_operations": [{"type": "creating", "resource": entry} for entry in creating or []],
        }
    }


def verdicts(
    lists: Lists,
    recorded: list[dict[str, Any]] | None = None,
    creating: list[dict[str, Any]] | None = None,
) -> dict[str, str]:
    found = find(State.of(exported(recorded, creating)), TAG, lists)
    return {lost.path: lost.action for lost in found}


def test_a_server_whose_creation_was_cut_off_goes() -> None:
    lists = Lists(instances=[INSTANCE])
    assert verdicts(lists, creating=[resource("instance", LABEL)]) == {"/instances/i-lost": "remove"}


def test_a_server_of_our_name_without_a_witness_is_asked_about() -> None:
    """Another backend may know a stack of the same name: its server must not die."""
    assert verdicts(Lists(instances=[INSTANCE])) == {"/instances/i-lost": "ask"}


NETWORK = {**ADDRESS, "id": "n-lost", "ip_type": "v6", "subnet": "2001:db8:1:2::", "subnet_size": 64}


@pytest.mark.parametrize("holder", ["", "i-1"])
def test_a_network_whose_creation_was_cut_off_is_taken_over_beside_the_recorded_address(holder: str) -> None:
    """One label for both; and a network is made attached."""
    found = verdicts(
        Lists(reserved_ips=[{**NETWORK, "instance_id": holder}]),
        recorded=[resource("address", V4, "a-mine")],
        creating=[resource("address", V6)],
    )
    assert found == {"/reserved-ips/n-lost": "adopt"}


def test_a_network_that_serves_and_has_no_witness_is_never_released() -> None:
    lists = Lists(reserved_ips=[{**NETWORK, "instance_id": "i-1"}])
    assert verdicts(lists, creating=[resource("address", V4)]) == {"/reserved-ips/n-lost": "ask"}
    assert verdicts(lists, recorded=[resource("address", V6, "n-mine")]) == {"/reserved-ips/n-lost": "ask"}


def test_the_recorded_server_and_those_of_others_are_left_alone() -> None:
    others = {"id": "i-other", "label": "apiary-prod-web1", "tags": ["shop-prod"]}
    mine = {**INSTANCE, "id": "i-mine"}
    assert not verdicts(
        Lists(instances=[others, mine]),
        recorded=[resource("instance", LABEL, "i-mine")],
        creating=[resource("instance", LABEL)],
    )


def test_a_private_network_goes_only_when_its_creation_was_cut_off() -> None:
    lost = {"id": "v-lost", "description": "apiary-prod-ewr", "region": "ewr"}
    mine = {**lost, "id": "v-mine"}
    others = {"id": "v-other", "description": "apiary-prod-ewr", "region": "ams"}
    recorded = [resource("vpc", {"description": "apiary-prod-ewr"}, "v-mine")]
    lists = Lists(vpcs=[lost, mine, others])
    assert verdicts(lists, recorded) == {"/vpcs/v-lost": "ask"}
    assert verdicts(lists, recorded, [resource("vpc", {"description": "apiary-prod-ewr"})]) == {
        "/vpcs/v-lost": "remove"
    }


def test_a_witness_of_another_server_is_none() -> None:
    creating = [resource("instance", {"label": "apiary-prod-web2"})]
    assert verdicts(Lists(instances=[INSTANCE]), creating=creating) == {"/instances/i-lost": "ask"}


def test_an_address_that_was_cut_off_before_it_was_recorded_is_taken_over_never_released() -> None:
    creating = [resource("address", V4)]
    assert verdicts(Lists(reserved_ips=[ADDRESS]), creating=creating) == {"/reserved-ips/a-lost": "adopt"}


@pytest.mark.parametrize(
    ("change", "creating"),
    [
        pytest.param({"instance_id": "i-1"}, True, id="attached"),
        pytest.param({}, False, id="no witness"),
    ],
)
def test_an_address_that_may_have_served_is_asked_about(change: dict[str, Any], creating: bool) -> None:
    witnesses = [resource("address", V4)] if creating else []
    lists = Lists(reserved_ips=[{**ADDRESS, **change}])
    assert verdicts(lists, creating=witnesses) == {"/reserved-ips/a-lost": "ask"}


def test_of_two_unrecorded_addresses_none_is_chosen() -> None:
    lists = Lists(reserved_ips=[ADDRESS, {**ADDRESS, "id": "a-older"}])
    assert set(verdicts(lists, creating=[resource("address", V4)]).values()) == {"ask"}


def test_a_lost_address_goes_when_the_state_has_another() -> None:
    lists = Lists(reserved_ips=[ADDRESS, {**ADDRESS, "id": "a-mine", "instance_id": "i-1"}])
    found = verdicts(lists, recorded=[resource("address", V4, "a-mine")], creating=[resource("address", V4)])
    assert found == {"/reserved-ips/a-lost": "remove"}


def test_an_adopted_address_is_recorded_and_no_longer_pending() -> None:
    state = exported(creating=[resource("address", V4)])
    lost = find(State.of(state), TAG, Lists(reserved_ips=[ADDRESS]))[0]
    after = State.of(adopted(state, lost))
    assert not after.pending
    recorded = after.resources[-1]
    assert (recorded.id, recorded.outputs["subnet"]) == ("a-lost", "192.0.2.7")
    assert State.of(state).pending, "the state that was given is not changed"


@pytest.mark.parametrize(
    ("type_", "name", "data", "action"),
    [
        ("NS", "", "ns1.vultr.com", "remove"),
        ("NS", "", "ns1.example.net", "ask"),
        ("MX", "", "ns1.vultr.com", "ask"),
        ("NS", "sub", "ns1.vultr.com", "ask"),
    ],
)
def test_a_lost_zone_goes_only_while_nobody_has_written_into_it(type_: str, name: str, data: str, action: str) -> None:
    lists = Lists(
        domains=[{"domain": "example.com"}],
        records={"example.com": [{"id": "r", "type": type_, "name": name, "data": data}]},
    )
    assert verdicts(lists, creating=[resource("zone", {"domain": "example.com"})]) == {"/domains/example.com": action}


def test_a_signed_zone_is_asked_about() -> None:
    """Another one of its name has other keys than the registrar knows, and nobody resolves it."""
    lists = Lists(domains=[{"domain": "example.com", "dns_sec": "enabled"}])
    assert verdicts(lists, creating=[resource("zone", {"domain": "example.com"})]) == {"/domains/example.com": "ask"}


def test_an_empty_zone_in_the_way_of_ours_is_left_alone_without_a_witness() -> None:
    """It was there before the first update, which ended with `domain exists`: it may be signed, or waited for."""
    lists = Lists(domains=[{"domain": "example.com"}], records={"example.com": []})
    wanted = {"urn": "urn:pulumi:prod::apiary::apiary:dns:Zone::example.com", "type": "apiary:dns:Zone"}
    assert not verdicts(lists, recorded=[wanted])


def test_a_zone_that_nobody_was_creating_is_left_alone() -> None:
    assert not verdicts(Lists(domains=[{"domain": "example.com"}], records={"example.com": []}))


def test_only_doubles_of_our_own_records_go_from_our_zone() -> None:
    content = {"name": "www", "type": "A", "data": "192.0.2.7"}
    by_hand = {"id": "r-hand", "name": "www", "type": "A", "data": "192.0.2.99"}
    records = [{"id": "r-mine", **content}, {"id": "r-double", **content}, by_hand]
    zone = resource("zone", {"domain": "example.com"}, "example.com")
    found = verdicts(
        Lists(domains=[{"domain": "example.com"}], records={"example.com": records}),
        recorded=[zone, resource("record", RECORD, "r-mine")],
    )
    assert found == {"/domains/example.com/records/r-double": "remove"}


def test_a_record_whose_creation_was_cut_off_goes() -> None:
    zone = resource("zone", {"domain": "example.com"}, "example.com")
    records = [{"id": "r-lost", "name": "www", "type": "A", "data": "192.0.2.7"}]
    found = verdicts(Lists(records={"example.com": records}), recorded=[zone], creating=[resource("record", RECORD)])
    assert found == {"/domains/example.com/records/r-lost": "remove"}


def test_a_firewall_rule_made_by_hand_stays_and_a_double_goes() -> None:
    inputs = {"firewallGroupId": "g", "ipType": "v4", "protocol": "tcp", "port": "22"}
    inputs |= {"subnet": "0.0.0.0", "subnetSize": 0}
    rule = {"ip_type": "v4", "protocol": "tcp", "port": "22", "subnet": "0.0.0.0", "subnet_size": 0}
    rules = [{"id": 1, **rule}, {"id": 2, **rule}, {"id": 3, **rule, "port": "8443"}]
    group = {"description": "apiary-prod-web1"}
    found = verdicts(
        Lists(firewall_groups=[{"id": "g", **group}], rules={"g": rules}),
        recorded=[resource("firewall", group, "g"), resource("rule", inputs, "1")],
    )
    assert found == {"/firewalls/g/rules/2": "remove"}


MX = {"domain": "example.com", "name": "", "type": "MX", "data": "mail.example.net.", "priority": 10}
TXT = {"domain": "example.com", "name": "", "type": "TXT", "data": "v=spf1 -all"}
AAAA = {"domain": "example.com", "name": "www", "type": "AAAA", "data": "2001:db8::1"}


@pytest.mark.parametrize(
    ("ours", "there", "doubles"),
    [
        (MX, {"data": "mail.example.net", "priority": 10}, True),
        (MX, {"data": "mail.example.net.", "priority": 20}, False),
        (TXT, {"data": '"v=spf1 -all"', "priority": -1}, True),
        (AAAA, {"data": "2001:0db8:0000:0000:0000:0000:0000:0001", "priority": -1}, True),
        (AAAA, {"data": "2001:db8::2", "priority": -1}, False),
    ],
)
def test_a_double_says_the_same_in_whichever_spelling_and_with_the_same_priority(
    ours: dict[str, Any], there: dict[str, Any], doubles: bool
) -> None:
    """A second MX of another priority was made in the portal, by somebody who wants it."""
    found = verdicts(
        Lists(records={"example.com": [{"id": "r", "name": ours["name"], "type": ours["type"], **there}]}),
        recorded=[resource("zone", {"domain": "example.com"}, "example.com"), resource("record", ours, "r-mine")],
    )
    assert found == ({"/domains/example.com/records/r": "remove"} if doubles else {})


@pytest.mark.parametrize(
    ("there", "doubles"), [({"subnet": "2001:0db8::0"}, True), ({"subnet": "", "source": "cloudflare"}, False)]
)
def test_a_double_of_a_rule_lets_the_same_in(there: dict[str, Any], doubles: bool) -> None:
    inputs = {"ipType": "v6", "protocol": "tcp", "port": "22", "subnet": "2001:db8::", "subnetSize": 32}
    if not doubles:
        inputs["subnet"] = ""
    rule = {"id": 2, "ip_type": "v6", "protocol": "tcp", "port": "22", "subnet_size": 32, "source": "", **there}
    found = verdicts(
        Lists(firewall_groups=[{"id": "g"}], rules={"g": [rule]}),
        recorded=[resource("firewall", {}, "g"), resource("rule", {"firewallGroupId": "g", **inputs}, "1")],
    )
    assert found == ({"/firewalls/g/rules/2": "remove"} if doubles else {})


BLOCK = {"id": "b-lost", **LABEL, "size_gb": 40, "mount_id": "ewr-b", "attached_to_instance": ""}


def test_block_storage_is_taken_into_the_state_that_was_making_it_and_never_removed_nor_asked_about() -> None:
    lists = Lists(blocks=[BLOCK, {**BLOCK, "id": "b-other", "label": "somebody-else"}])
    creating = [resource("block", LABEL)]
    assert verdicts(lists, creating=creating) == {"/blocks/b-lost": "adopt"}
    assert verdicts(lists) == {"/blocks/b-lost": "leave"}
    recorded = [resource("block", LABEL, "b-known")]
    assert verdicts(lists, recorded, creating) == {"/blocks/b-lost": "leave"}
    assert verdicts(Lists(blocks=[BLOCK]), [resource("block", LABEL, "b-lost")]) == {}
    twins = Lists(blocks=[BLOCK, {**BLOCK, "id": "b-twin"}])
    assert set(verdicts(twins, creating=creating).values()) == {"leave"}


def test_adopted_block_storage_is_recorded_with_the_name_that_the_server_knows_it_by() -> None:
    state = exported(creating=[resource("block", LABEL)])
    after = State.of(adopted(state, find(State.of(state), TAG, Lists(blocks=[BLOCK]))[0]))
    assert not after.pending
    assert (after.resources[-1].id, after.resources[-1].outputs["mountId"]) == ("b-lost", "ewr-b")
