"""A second server on the private network: what its peers reach there, what nobody else does, and who may log in."""

from __future__ import annotations

import json
import subprocess

import pytest

from lab import network
from lab.servers import Servers
from tests.lab.hive import LABEL, PORTS, SCAN, Hive, until
from tests.lab.test_block_storage import block, expect_kept, expect_on_block_storage, let_go_of_storage, rows
from tests.lab.test_inside import expect_closed_inside

WEB, DB = "192.168.150.10", "192.168.150.11"
STRANGER = "192.168.150.77"
PORT = 5432


def region_plan(hive: Hive) -> network.Plan:
    plan = network.load_plan(hive.paths)
    assert plan is not None
    return plan


def knocks(hive: Hive, doors: list[tuple[str, int]], routed: bool) -> int:
    """At how many of these doors somebody answers a prober."""
    return sum(bool(hive.scan([address], routed=routed, ports=[port])) for address, port in doors)


def asked(hive: Hive, check: bool = True) -> str:
    """The address that `ledger` sees when `asker` asks it under the name that the stack file gave it."""
    program = (
        "import json, os, urllib.request as r;"
        f"print(json.load(r.urlopen('http://' + os.environ['LEDGER'] + ':{PORT}/', timeout=10))['peer'])"
    )
    asker = "$(docker ps -q --filter label=apiary.resource=applications.asker)"
    return hive.on_server(f'docker exec {asker} python3 -c "{program}"', check).strip()


def ledger_heard(hive: Hive) -> int:
    """Packets of new connections that the firewall of db1 has let through to the container."""
    rules = hive.on_server("iptables -nvxL DOCKER", server="db1").splitlines()
    return sum(int(rule.split()[0]) for rule in rules if f"dpt:{PORT}" in rule)


def open_db1(hive: Hive, action: str) -> None:
    """The negative control: for a moment DOCKER-USER lets everything through (-I), and then no more (-D)."""
    hive.on_server(f"iptables {action} DOCKER-USER -j RETURN", server="db1")


def expect_private(two: Hive) -> None:
    """A container reaches the other server's private port by its reference, and from the private address.

    The address that Vultr has given the interface is there at boot: it must go, or connections come from it.
    """
    # Not for Docker's word: 20.10 looks no more after the health of a container that has just begun when it restarts.
    until(lambda: asked(two, check=False) == WEB, 60, "the ledger answers, and sees the private address")
    for server, address in (("web1", WEB), ("db1", DB)):
        shown = json.loads(two.on_server("ip -j -4 addr show dev enp6s0", server=server))
        assert [info["local"] for info in shown[0]["addr_info"]] == [address]


def test_its_private_name_leads_there(two: Hive) -> None:
    assert two.prober("dig", "+short", "db1.internal.example.com", "A").stdout.split() == [DB]


def test_a_peer_finds_nothing_but_ssh_and_the_private_port(two: Hive) -> None:
    """Scanned from web1 itself; the Docker API is among the ports that are tried."""
    targets = json.dumps({"addresses": [DB], "ports": PORTS})
    found = json.loads(two.on_server(f"python3 -c '{SCAN}'", stdin=targets))
    assert found == [[DB, 22], [DB, PORT]]
    # What Docker listens on is the published port: it answers nothing there itself.
    listening = two.on_server("ss -Hltnp", server="db1").splitlines()
    assert {line.split()[3] for line in listening if "dockerd" in line} == {f"{DB}:{PORT}"}


@pytest.mark.soak
def test_the_playbook_s_second_run_changes_nothing(two: Hive) -> None:
    """As of the spine (test_up), and of web1 (test_addresses)."""
    two.expect_bootstrapped("db1")


@pytest.mark.parametrize("routed", [False, True], ids=["on_link", "routed"])
def test_from_outside_nobody_reaches_it(two: Hive, routed: bool) -> None:
    """Neither at the public addresses nor by a route to the private one."""
    server = two.outputs()["servers"]["db1"]
    two.prober("ip", "route", "replace", DB, "via", server["ipv4"], "dev", "eth0", routed=routed)
    try:
        everywhere = [(address, PORT) for address in (server["ipv4"], server["ipv6"], DB)]
        assert knocks(two, everywhere, routed) == 0
        open_db1(two, "-I")
        try:
            assert knocks(two, [(DB, PORT)], routed) == 1
        finally:
            open_db1(two, "-D")
    finally:
        two.prober("ip", "route", "delete", DB, routed=routed)


def test_a_forged_private_source_is_heard_by_nobody(two: Hive) -> None:
    """On the public side somebody claims to be web1. What decides is whether the packet gets to the container: an
    answer would go to the true web1."""
    ipv4 = two.outputs()["servers"]["db1"]["ipv4"]
    forge = f"import socket; socket.create_connection(('{DB}', {PORT}), 2, ('{WEB}', 0))"
    two.prober("ip", "address", "add", f"{WEB}/32", "dev", "eth0")
    two.prober("ip", "route", "replace", DB, "via", ipv4, "dev", "eth0")
    try:
        before = ledger_heard(two)
        two.prober("python3", "-c", forge)
        assert ledger_heard(two) == before
        open_db1(two, "-I")
        try:
            two.prober("python3", "-c", forge)
            assert ledger_heard(two) > before
        finally:
            open_db1(two, "-D")
    finally:
        two.prober("ip", "route", "delete", DB)
        two.prober("ip", "address", "delete", f"{WEB}/32", "dev", "eth0")


def test_a_strange_machine_on_the_private_network_reaches_no_private_port(two: Hive) -> None:
    [vpc] = network.vpcs(two.paths)
    prober = two.paths.name("prober")
    subprocess.run(["docker", "network", "connect", vpc, prober], check=True)
    try:
        two.prober("ip", "address", "add", f"{STRANGER}/24", "dev", "eth1")
        # It is there: SSH of db1 is open to all.
        assert knocks(two, [(DB, 22)], routed=False) == 1
        assert knocks(two, [(DB, PORT)], routed=False) == 0
        open_db1(two, "-I")
        try:
            assert knocks(two, [(DB, PORT)], routed=False) == 1
        finally:
            open_db1(two, "-D")
    finally:
        subprocess.run(["docker", "network", "disconnect", vpc, prober], check=True)


def test_ssh_is_open_to_those_in_ssh_from_alone(two: Hive) -> None:
    servers = two.outputs()["servers"]
    web1, db1 = ([(servers[name][family], 22) for family in ("ipv4", "ipv6")] for name in ("web1", "db1"))
    assert (knocks(two, web1, routed=False), knocks(two, web1, routed=True)) == (2, 0)
    # The other server has no such list.
    assert knocks(two, db1, routed=True) == 2
    rules = json.loads(two.paths.region.read_text())["firewall_groups"].values()
    [cloud] = [group["rules"].values() for group in rules if group["description"] == f"{LABEL}web1"]
    assert sorted(f"{rule['subnet']}/{rule['subnet_size']}" for rule in cloud if rule["port"] == "22") == sorted(
        [f"{region_plan(two).gateway}/32", f"{region_plan(two).prober}/32", "2001:db8:77:ffff::100/128"]
    )


def test_a_list_that_would_lock_this_machine_out_is_refused_and_narrows_nothing(two: Hive) -> None:
    with two.changed() as settings:
        settings["apiary:servers"]["db1"]["ssh_from"] = ["203.0.113.0/24"]
        done = two.up(check=False)
    assert done.status != 0
    assert f"this update came from {region_plan(two).gateway}, which none of 203.0.113.0/24 holds" in done.output
    ipv4 = two.outputs()["servers"]["db1"]["ipv4"]
    assert knocks(two, [(ipv4, 22)], routed=True) == 1
    groups = json.loads(two.paths.region.read_text())["firewall_groups"].values()
    [cloud] = [group["rules"].values() for group in groups if group["description"] == f"{LABEL}db1"]
    assert any(rule["port"] == "22" and rule["subnet"] == "0.0.0.0" for rule in cloud)


def test_an_address_that_another_machine_has_is_refused(two: Hive) -> None:
    """db1 may not take what web1 has, even when nobody but the network knows."""
    servers = Servers(two.paths.root)
    [db1] = [one["id"] for one in servers.all() if one["name"] == f"{LABEL}db1"]
    taken = json.dumps({"address": f"{WEB}/24", "public": "ens3"})
    two.on_server("systemctl stop apiary-private; cp /etc/apiary/private.json /tmp/private.json", server="db1")
    try:
        two.on_server(f"echo '{taken}' > /etc/apiary/private.json", server="db1")
        done = subprocess.run(
            ["docker", "exec", two.paths.name(db1), "apiary-private", "apply"],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 1
        assert "another machine on the private network (5a:" in done.stderr
    finally:
        two.on_server("cp /tmp/private.json /etc/apiary/; systemctl start apiary-private", server="db1")
    assert asked(two) == WEB


@pytest.mark.soak
def test_a_dead_server_is_revived_without_being_contacted_while_the_other_serves(two: Hive) -> None:
    """And has every row that was ever confirmed: they are on block storage, which is let go of late.

    A server with data, on its disk, dies in test_swarm_data, where others serve meanwhile as well.
    """
    before, volume = two.outputs()["servers"]["db1"]["ipv4"], block(two)["id"]
    written = len(rows(two))
    assert written > 20
    two.lab("kill", f"{LABEL}db1")
    two.lab("fault", "release=block_release", "seconds=5")
    load = two.load()
    done = two.operations("revive", "db1", "--yes")
    requests, failed = load.stop()
    assert (requests > 100, failed) == (True, [])
    assert two.outputs()["servers"]["db1"]["ipv4"] == before
    assert asked(two) == WEB
    assert block(two)["id"] == volume
    assert "formatted" not in done.stdout
    expect_kept(two, written, "a dead server")
    expect_on_block_storage(two)
    two.expect_nothing_left()
    two.expect_no_changes()


@pytest.mark.soak
def test_the_next_debian_keeps_a_private_address_as_well(two: Hive) -> None:
    two.settings["apiary:servers"]["db1"]["os"] = 2625  # Debian 13
    two.up()
    assert two.on_server("cat /etc/debian_version", server="db1").startswith("13")
    assert asked(two) == WEB
    two.expect_bootstrapped("db1")
    expect_closed_inside(two, "db1")
    two.reboot("db1")
    until(lambda: two.on_server("docker ps -q", check=False, server="db1"), 120, "db1 is back")
    assert asked(two) == WEB


@pytest.mark.soak
def test_without_private_addresses_nothing_of_the_network_is_left(two: Hive) -> None:
    """The second server leaves the stack, its storage stays at Vultr: the longest edit of a stack file that is rare."""
    applications = two.settings["apiary:applications"]
    del two.settings["apiary:servers"]["db1"]
    del applications["ledger"], applications["writer"], applications["asker"]["env"]["ledger"]
    for option in ("private_ip", "ssh_from"):
        del two.settings["apiary:servers"]["web1"][option]
    let_go_of_storage(two)
    two.up()
    assert block(two)["attached_to_instance"] == ""
    assert two.servers() == ["web1"]
    assert not json.loads(two.paths.region.read_text())["vpcs"]
    # The API answers before the machine has gone, and its network with it.
    until(lambda: not network.vpcs(two.paths), 60, "the network of the VPC has gone")
    assert "enp6s0" not in two.on_server("ip -o link")
    assert "apiary-private" not in two.on_server("systemctl list-unit-files")
    # Port 22 is open again to whom it was closed.
    assert knocks(two, [(two.server["ipv4"], 22), (two.server["ipv6"], 22)], routed=True) == 2
