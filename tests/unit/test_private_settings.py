"""What the stack file may say of the private side: who logs in, private addresses, private ports."""

from __future__ import annotations

from typing import Any

import pytest

import settings
from settings.container_texts import Port
from tests.unit.test_settings import good
from tests.unit.test_settings_errors import put, report

WEB1 = ("servers", "web1")
SSH_FROM = (*WEB1, "ssh_from")


def loaded(raw: Any) -> settings.Stack:
    return settings.load(raw, name="test")


def test_networks_that_may_log_in_are_spelt_as_vultr_reads_them_back():
    raw = good()
    put(raw, SSH_FROM, ["203.0.113.0/24", "198.51.100.7", "2001:DB8:0::/48"])
    assert loaded(raw).servers["web1"].ssh_from == ["203.0.113.0/24", "198.51.100.7/32", "2001:db8::/48"]


@pytest.mark.parametrize(
    ("sources", "path", "message"),
    [
        (["home"], "[0]", '"home" is neither a network nor an address; write'),
        (["0.0.0.0/0"], "[0]", '"0.0.0.0/0" is everywhere; leave the whole setting out'),
        (["203.0.113.7/24"], "[0]", '"203.0.113.7/24" has bits set behind its length; write "203.0.113.0/24"'),
        (["::ffff:203.0.113.7"], "[0]", '"::ffff:203.0.113.7" is IPv4 in disguise'),
        ([], "", "is empty: nobody could log in, this program neither"),
        (["2001:db8:5::/48"], "", "holds IPv6 only, but this program logs in over IPv4"),
        (["203.0.113.0/24", "203.0.113.7"], "[1]", "203.0.113.7/32 lies in servers.web1.ssh_from[0], 203.0.113.0/24"),
        (["203.0.113.7", "203.0.113.7"], "[1]", "203.0.113.7/32 lies in servers.web1.ssh_from[0]"),
    ],
)
def test_what_would_lock_everybody_out_or_is_no_network_is_refused(sources: list[str], path: str, message: str) -> None:
    raw = good()
    put(raw, SSH_FROM, sources)
    found = report(raw)
    assert set(found) == {f"servers.web1.ssh_from{path}"}
    assert found[f"servers.web1.ssh_from{path}"].startswith(message)


def test_a_container_on_port_22_would_open_what_ssh_from_narrows():
    raw = good()
    put(raw, ("applications", "haproxy", "ports"), [80, "2222:22"])
    loaded(raw)
    put(raw, SSH_FROM, ["203.0.113.0/24"])
    assert report(raw)["applications.haproxy.ports[1]"].startswith("port 22 of this container would open port 22")


def test_more_rules_than_a_firewall_group_holds_are_refused_before_vultr_does():
    raw = good()
    put(raw, SSH_FROM, [f"198.51.100.{number}" for number in range(60)])
    assert "Vultr allows 50: 60 for SSH" in report(raw)["servers.web1.ssh_from"]
    raw = good()
    put(raw, ("applications", "haproxy", "ports"), list(range(8000, 8040)))
    assert "publish fewer ports" in report(raw)["servers.web1"]


# --- the private network


def two_servers() -> dict[str, Any]:
    """A second server of the same region, and every container on the first one."""
    raw = good()
    raw["servers"]["db1"] = {"plan": "p", "region": "ewr", "os": 2136, "private_ip": "192.168.150.11"}
    for section in ("applications", "jobs"):
        for container in raw[section].values():
            container["server"] = "web1"
    raw["applications"]["postgres"]["server"] = "db1"
    return raw


def test_a_private_port_on_another_server_makes_it_reachable():
    raw = two_servers()
    put(raw, ("applications", "blog", "env", "db_host"), "$postgres")
    assert report(raw)["applications.blog.env.db_host"] == (
        '"$postgres" runs on db1, this container on web1, and publishes nothing there; '
        "write its port, e.g. private: [5432], in applications.postgres"
    )
    put(raw, ("applications", "postgres", "private"), [5432])
    stack = loaded(raw)
    assert stack.applications["postgres"].private_published == (Port(5432, 5432, "tcp"),)
    assert not stack.applications["postgres"].is_rolling
    assert stack.private_peers("db1") == {"web1": "192.168.150.10"}
    assert stack.private_nets() == {"ewr": "192.168.150.0/24"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"region": "ams"}, "and a private network does not reach from ewr to ams; move one of them"),
        ({"private_ip": None}, "and they share no network; write private_ip for servers.db1, and the port in"),
    ],
)
def test_what_the_private_network_does_not_reach_is_refused(change: dict[str, Any], message: str) -> None:
    raw = two_servers()
    put(raw, ("applications", "blog", "env", "db_host"), "$postgres")
    raw["servers"]["db1"] |= change
    assert message in report(raw)["applications.blog.env.db_host"]


def test_the_name_of_a_job_means_nothing_on_another_server():
    raw = two_servers()
    put(raw, ("applications", "postgres", "env"), {"job": "+certs"})
    assert "the name of a job means something on its own server only" in report(raw)["applications.postgres.env.job"]


def test_peers_are_those_of_the_same_region_with_an_address():
    raw = two_servers()
    raw["servers"]["far"] = {"plan": "p", "region": "ams", "os": 2136, "private_ip": "10.1.2.3"}
    raw["servers"]["alone"] = {"plan": "p", "region": "ewr", "os": 2136}
    stack = loaded(raw)
    assert [list(stack.private_peers(name)) for name in ("web1", "db1", "far", "alone")] == [["db1"], ["web1"], [], []]
    assert stack.private_nets() == {"ewr": "192.168.150.0/24", "ams": "10.1.2.0/24"}


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("192.168.151.11", "192.168.151.11 lies outside 192.168.150.0/24, the private network of this region"),
        ("192.168.150.255", "192.168.150.255 is the address of 192.168.150.0/24 as a whole"),
        ("192.168.150.10", "192.168.150.10 is taken by servers.web1.private_ip"),
    ],
)
def test_servers_of_a_region_are_on_one_private_network(address: str, message: str) -> None:
    raw = two_servers()
    raw["servers"]["db1"]["private_ip"] = address
    assert report(raw)["servers.db1.private_ip"].startswith(message)


@pytest.mark.parametrize(
    ("ports", "private", "path", "message"),
    [
        ([], [22], "private[0]", "port 22/tcp is the server's own, for SSH"),
        (
            [],
            [5432, "5432:5433"],
            "private[1]",
            "port 5432/tcp of db1 is published by applications.postgres.private[0]",
        ),
        (
            [5432],
            ["15432:5432"],
            "private[0]",
            "port 5432/tcp of the container is published to everybody by applications.postgres.ports[0]",
        ),
        ([], ["x"], "private[0]", '"x" is not a port'),
    ],
)
def test_a_private_port_is_published_once_and_to_the_stack_alone(
    ports: list[Any], private: list[Any], path: str, message: str
) -> None:
    raw = two_servers()
    raw["applications"]["postgres"] |= {"ports": ports, "private": private}
    assert report(raw)[f"applications.postgres.{path}"].startswith(message)


def test_a_private_port_needs_a_private_address():
    raw = two_servers()
    raw["applications"]["postgres"]["private"] = [5432]
    del raw["servers"]["db1"]["private_ip"]
    assert report(raw)["applications.postgres.private"].startswith(
        "db1 is on no private network; write servers.db1.private_ip as well"
    )
