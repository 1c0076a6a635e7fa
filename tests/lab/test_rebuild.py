"""A server comes back: rebuilt on purpose, dead, or deleted behind the program's back.

Its network is reserved (conftest.py), so with its IPv4 every IPv6 address comes back, and no record changes.
"""

from __future__ import annotations

import json
from ipaddress import IPv6Address, IPv6Network
from typing import Any

import pytest

from lab import network
from tests.lab.hive import LABEL, Hive, until

# A hive of its own, whose server starts six times. Dead with every address, too, and with data: test_swarm_data.
pytestmark = pytest.mark.soak
DEBIAN_12, DEBIAN_13 = 2136, 2625  # Vultr's numbers; the hive began with Debian 12
# Again and again, until a file is there: what a visitor gets.
ASKED = """\
until [ -e "$1" ]; do
    curl -sS --max-time 2 -o /dev/null -w "%{http_code}\\n" http://echo.example.net/ 2>/dev/null
    sleep 0.1
done
"""
ADDRESSES = ("ipv4", "ipv6", "prefix", "web_ipv6", "host_key")


def addresses(hive: Hive) -> dict[str, Any]:
    """What outlives the instance, as the stack exports it."""
    return {name: hive.server[name] for name in ADDRESSES}


def records(hive: Hive) -> dict[str, list[Any]]:
    """Every record at Vultr by zone: its id, too, which a record that was made anew would not keep."""
    region = json.loads(hive.paths.region.read_text())
    return {zone: sorted(map(str, entry["records"])) for zone, entry in region["domains"].items()}


def own_network(hive: Hive) -> str:
    """The /64 that the instance has beside the reserved one: another with every instance."""
    region = json.loads(hive.paths.region.read_text())
    (instance,) = region["instances"].values()
    return str(instance["v6_network"])


def expect_addresses_answered(hive: Hive, site: str = "example.com") -> None:
    """The host at its own address, the proxy at the static web address, both beside the instance's own network."""
    assert hive.server["prefix"] != f"{own_network(hive)}/64"
    for routed in (False, True):
        found = hive.scan([hive.server["ipv6"], hive.server["web_ipv6"]], routed=routed, ports=[22, 80])
        assert set(found) == {(hive.server["ipv6"], 22), (hive.server["web_ipv6"], 80)}, f"routed: {routed}"
    assert hive.prober("dig", "+short", "web1.example.com", "AAAA").stdout.split() == [hive.server["ipv6"]]
    assert hive.prober("dig", "+short", site, "AAAA").stdout.split() == [hive.server["web_ipv6"]]


def answers(hive: Hive) -> bool:
    """Whether a site is there, over both families."""
    return all(hive.get("http://echo.example.net/", family)[0] == 200 for family in ("-6", "-4"))


def on_loopback(hive: Hive) -> list[str]:
    """The host's public addresses that are on no network interface."""
    shown = json.loads(hive.on_server("ip -j -6 address show dev lo scope global"))
    # What is not of the scope is an empty object there.
    return [info["local"] for link in shown for info in link.get("addr_info", []) if info]


def unreachable(hive: Hive) -> str:
    """The networks that lead nowhere for a visitor, because they are attached to no server."""
    return hive.prober("ip", "-6", "route", "show", "type", "unreachable").stdout


def test_the_reserved_network_is_the_host_s_and_the_containers(hive: Hive) -> None:
    expect_addresses_answered(hive)
    hive.expect_served()
    assert on_loopback(hive) == [hive.server["ipv6"]]
    # What the host sends itself comes from the instance's own address, which needs nothing attached.
    route = json.loads(hive.on_server(f"ip -j -6 route get {network.PROBERS.replace('::/64', '::100')}"))
    assert IPv6Address(route[0]["prefsrc"]) in IPv6Network(f"{own_network(hive)}/64")


def test_after_a_reboot_all_of_it_is_there_again(hive: Hive) -> None:
    hive.reboot()
    until(lambda: answers(hive), 120, "it serves again over both families")
    hive.expect_served()
    expect_addresses_answered(hive)


def test_a_server_deleted_behind_the_program_s_back_is_revived_with_every_address(hive: Hive) -> None:
    before, named = addresses(hive), records(hive)
    hive.operations("maintenance", "web1:echo")
    hive.lab("delete-instance", f"{LABEL}web1")
    # The negative control of all that follows: what is reserved and attached to nothing leads nowhere.
    until(lambda: before["prefix"] in unreachable(hive), 30, "the network leads nowhere")
    asking = hive.in_prober("sh", "-c", ASKED, "sh", "/tmp/revived")
    try:
        hive.operations("revive", "web1", "--yes")
    finally:
        hive.prober("touch", "/tmp/revived")
    seen = set(asking.communicate(timeout=60)[0].split())
    assert "503" in seen, "it is closed"
    assert "200" not in seen, "and was at no moment open"
    assert hive.get("http://example.com/", "-4")[0] == 200, "the other site is not"
    hive.operations("maintenance", "echo", "--off")
    assert before["prefix"] not in unreachable(hive)
    assert addresses(hive) == before
    assert records(hive) == named
    hive.expect_served()
    expect_addresses_answered(hive)
    hive.expect_nothing_left()
    hive.expect_no_changes()


def test_a_dead_server_is_revived_with_every_address(hive: Hive) -> None:
    before, named = addresses(hive), records(hive)
    hive.lab("kill", f"{LABEL}web1")
    hive.operations("revive", "web1", "--yes")
    assert addresses(hive) == before
    assert records(hive) == named
    hive.expect_served()
    expect_addresses_answered(hive)


def test_a_rebuilt_server_has_everything_again_at_the_same_addresses(hive: Hive) -> None:
    before, named, own = addresses(hive), records(hive), own_network(hive)
    with hive.changed() as settings:
        settings["apiary:servers"]["web1"]["os"] = DEBIAN_13
        done = hive.up()
        assert hive.on_server("cat /etc/debian_version").startswith("13")
        assert own_network(hive) != own
        assert addresses(hive) == before
        assert records(hive) == named
        assert not {step for step in done.resources() if "DnsRecord" in step or "DnsDomain" in step}
        hive.expect_served()
        expect_addresses_answered(hive)
        hive.expect_nothing_left()
        hive.expect_no_changes()
    hive.settings["apiary:servers"]["web1"]["os"] = DEBIAN_13


def test_one_update_leads_back_to_the_older_debian_whose_docker_refuses_the_newer_one_s_version(hive: Hive) -> None:
    before = addresses(hive)
    hive.settings["apiary:servers"]["web1"]["os"] = DEBIAN_12
    done = hive.up()
    assert ("update", "apiary:host:Server$pulumi:providers:docker::web1-ewr") in done.steps, done.steps
    assert hive.on_server("cat /etc/debian_version").startswith("12")
    assert addresses(hive) == before
    hive.expect_served()
    hive.expect_nothing_left()
    hive.expect_no_changes()


def test_the_switch_changes_the_addresses_of_a_server_that_lives_and_not_the_server(hive: Hive) -> None:
    """Off, for which this region's API wants the server restarted, and on again."""
    before, machine = addresses(hive), hive.on_server("cat /etc/apiary/instance")
    with hive.changed() as settings:
        del settings["apiary:servers"]["web1"]["ipv6"]
        done = hive.pulumi("up", "--yes", "--skip-preview", check=False)  # it warns of the restart
        assert done.status == 0, done.output[-4000:]
        assert "restarting instance" in done.output
        assert hive.server["prefix"] == f"{own_network(hive)}/64"
        assert on_loopback(hive) == []
        until(lambda: answers(hive), 120, "it serves again after the restart")
        hive.expect_served()
        hive.expect_nothing_left()
        hive.expect_no_changes()
    hive.up()
    assert hive.on_server("cat /etc/apiary/instance") == machine
    assert hive.server["prefix"] not in (before["prefix"], f"{own_network(hive)}/64")
    hive.expect_served()
    expect_addresses_answered(hive)
    hive.expect_no_changes()
