"""A second server on the private network: what its peers reach there, what nobody else does, and who may log in."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from lab import network
from tests.lab.hive import PORTS, SCAN, Hive, until

WEB, DB = "192.168.150.10", "192.168.150.11"
PORT = 5432


def region_plan(hive: Hive) -> network.Plan:
    plan = network.load_plan(hive.paths)
    assert plan is not None
    return plan


@pytest.fixture(scope="module")
def two(whole: Hive) -> Iterator[Hive]:
    """The whole hive with a server more for the time of these tests: `ledger` on db1, and `asker` on web1 who asks it.

    SSH of web1 is open to this machine and to the on-link prober, that of db1 to everybody.
    """
    plan = region_plan(whole)
    with whole.changed() as settings:
        servers = settings["apiary:servers"]
        for section in ("apiary:applications", "apiary:jobs"):
            for container in settings[section].values():
                container.setdefault("server", "web1")
        servers["web1"] |= {"private_ip": WEB, "ssh_from": [plan.gateway, plan.prober, "2001:db8:77:ffff::100"]}
        servers["db1"] = {
            **{key: servers["web1"][key] for key in ("plan", "region", "os", "registry_mirrors")},
            "private_ip": DB,
            "dns": {"private": ["db1.internal.example.com"]},
        }
        settings["apiary:applications"] |= {
            "ledger": {"server": "db1", "build_dir": "Echo", "private": [PORT], "env": {"http_port": PORT}},
            "asker": {"server": "web1", "build_dir": "Echo", "env": {"http_port": 8080, "ledger": "$ledger"}},
        }
        whole.up()
        yield whole
    whole.up()
    assert whole.servers() == ["web1"]
    region = json.loads(whole.paths.region.read_text())
    assert not region["vpcs"]
    assert not network.vpcs(whole.paths)
    assert "enp6s0" not in whole.on_server("ip -o link")
    assert "apiary-private" not in whole.on_server("systemctl list-unit-files")
    # Port 22 is open again to whom it was closed.
    assert knocks(whole, [(whole.server["ipv4"], 22), (whole.server["ipv6"], 22)], routed=True) == 2
    whole.expect_no_changes()


def knocks(hive: Hive, doors: list[tuple[str, int]], routed: bool) -> int:
    """At how many of these doors somebody answers a prober."""
    return sum(bool(hive.scan([address], routed=routed, ports=[port])) for address, port in doors)


def asked(hive: Hive) -> str:
    """The address that `ledger` sees when `asker` asks it under the name that the stack file gave it."""
    program = (
        "import json, os, urllib.request as r;"
        f"print(json.load(r.urlopen('http://' + os.environ['LEDGER'] + ':{PORT}/', timeout=10))['peer'])"
    )
    return hive.on_server(f'docker exec {hive.container("asker")} python3 -c "{program}"').strip()


def test_a_container_reaches_the_other_server_s_private_port_by_its_reference(two: Hive) -> None:
    assert asked(two) == WEB
    two.expect_no_changes()


def test_it_does_so_after_a_reboot_a_docker_restart_and_a_reload(two: Hive) -> None:
    """The address that Vultr has given the interface is there at boot: it must go, or connections come from it."""
    for server in ("db1", "web1"):
        two.reboot(server)
    until(lambda: two.on_server("docker ps -q", check=False, server="web1"), 120, "web1 is back")
    two.on_server("until systemctl is-system-running --wait >/dev/null; [ $? -le 1 ]; do :; done", server="db1")
    for command in ("systemctl restart docker", "ufw reload"):
        two.on_server(command, server="db1")
    until(lambda: "healthy" in two.on_server("docker ps --format '{{.Status}}'", check=False, server="db1"), 60, "up")
    assert asked(two) == WEB
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
