"""Exactly 22 and 80 answer, on exactly the intended addresses, from wherever one looks, whatever happened."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence
from typing import Any

import pytest

from tests.lab.hive import PORTS, Hive, until


def intended(hive: Hive) -> list[tuple[str, int]]:
    server = hive.server
    published = hive.settings["apiary:applications"]["haproxy"]["ports"]
    web = [(server[address], port) for address in ("ipv4", "web_ipv6") for port in published]
    return sorted([(server["ipv4"], 22), (server["ipv6"], 22), *web])


def every_address(hive: Hive) -> list[str]:
    server = hive.server
    return sorted({server["ipv4"], server["ipv6"], *hive.container_addresses()})


# Prints the ports on which anything of the server listens, in whatever network namespace.
LISTENING = (
    "set -e; for pid in $(lsns --noheadings --type net --output PID); do nsenter --net --target $pid ss -Htln; done"
)


def listening(hive: Hive) -> list[int]:
    """What could be open at all, and what is known to be asked for by those who look for open doors."""
    lines: list[str] = []

    def listed() -> bool:
        """A process may end, and its namespace with it, before it is looked into."""
        done = hive.server_command("bash", "-c", LISTENING)
        lines[:] = done.stdout.splitlines()
        return done.returncode == 0

    until(listed, 60, "all network namespaces have been looked into")
    return sorted({int(line.split()[3].rpartition(":")[2]) for line in lines}.union(PORTS[1024:], [22, 80, 443]))


def expect_closed(hive: Hive, ports: Sequence[int], but: Sequence[tuple[str, int]] = ()) -> None:
    """Nothing answers on these ports but what is intended on every server, and `but`."""
    for routed in (False, True):
        expect_open(hive, [*intended(hive), *but], every_address(hive), ports, routed=routed)


def expect_open(
    hive: Hive, wanted: Collection[tuple[str, int]], addresses: Sequence[str], ports: Sequence[int], *, routed: bool
) -> None:
    """Exactly these answer, of all ports at all addresses, from one of the probers' positions."""
    # Twice: on a busy machine an open port may not answer in time among thousands of others.
    few = hive.scan(list(addresses), routed=routed, ports=sorted({port for _, port in wanted}))
    found = {*few, *hive.scan(list(addresses), routed=routed, ports=ports)}
    assert found == set(wanted), f"open from {'a routed' if routed else 'the on-link'} position: {sorted(found)}"


def nothing(hive: Hive) -> None:
    """Look at once."""


def ufw_reload(hive: Hive) -> None:
    hive.on_server("ufw reload")


def docker_restart(hive: Hive) -> None:
    hive.on_server("systemctl restart docker")
    until(lambda: hive.on_server("docker ps -q", check=False), 60, "Docker answers again")


def reboot(hive: Hive) -> None:
    hive.reboot()
    until(lambda: hive.get("http://example.com/", "-6")[0] == 200, 120, "the site is served again")


def late(event: Callable[[Hive], None]) -> Any:
    """What happens to a server happens to two of them in test_afterwards, where the same is looked at."""
    return pytest.param(event, marks=pytest.mark.soak)


@pytest.mark.parametrize(
    "event", [nothing, late(ufw_reload), late(docker_restart), late(reboot)], ids=lambda event: event.__name__
)
def test_only_the_intended_ports_answer_after(hive: Hive, event: Callable[[Hive], None]) -> None:
    event(hive)
    until(lambda: hive.get("http://example.com/", "-4")[0] == 200, 60, "the site is served")
    expect_closed(hive, listening(hive))
    hive.expect_served()


@pytest.mark.soak
def test_nor_does_any_port_answer_on_which_nothing_listens(hive: Hive) -> None:
    """The first thousand at each address from both positions, twice, for what only somebody else's rule could open."""
    expect_closed(hive, PORTS)


def test_the_scan_would_see_an_open_database(hive: Hive) -> None:
    """The negative control: with routed traffic allowed, 5432 of the container is open to the world."""
    [address] = list(container_ipv6(hive, "database"))
    assert (address, 5432) not in hive.scan([address], routed=True)
    hive.on_server("ufw default allow routed")
    try:
        assert (address, 5432) in hive.scan([address], routed=True)
    finally:
        hive.on_server("ufw default deny routed")
    assert (address, 5432) not in hive.scan([address], routed=True)


def test_the_site_needs_its_route_rule(hive: Hive) -> None:
    web = hive.server["web_ipv6"]
    hive.on_server(f"ufw route delete allow proto tcp from any to {web} port 80")
    try:
        assert hive.get("http://example.com/", "-6")[0] == 0
    finally:
        hive.on_server(f"ufw route allow proto tcp from any to {web} port 80 comment 'apiary published {web} 80/tcp'")
    until(lambda: hive.get("http://example.com/", "-6")[0] == 200, 20, "the site is served again")


def test_the_web_address_is_found_after_the_neighbour_cache_is_flushed(hive: Hive) -> None:
    flush(hive)
    hive.expect_served()


def test_the_web_address_is_found_after_the_proxy_has_been_replaced(hive: Hive) -> None:
    before = hive.container("haproxy")
    hive.settings["apiary:applications"]["haproxy"]["env"] = {"another": "1"}
    hive.up()
    assert hive.container("haproxy") != before
    flush(hive)
    hive.expect_served()


@pytest.mark.soak
def test_the_web_address_is_found_when_others_took_ipv4_addresses_while_the_proxy_was_away(hive: Hive) -> None:
    """Docker makes a container's MAC address of its IPv4 one, and the host remembers it for half a minute.

    A moment that only a stopped door meets.
    """
    hive.expect_served()
    door, echo = hive.container("haproxy-door"), hive.container("echo")
    takers = [f"taker{number}" for number in range(6)]
    run = "docker run --detach --name $name --network $network --entrypoint sleep $image"
    hive.on_server(
        f"network=$(docker network ls -q --filter label=apiary.stack=apiary-lab); docker stop {door}; "
        f"image=$(docker inspect --format '{{{{.Image}}}}' {echo}); "
        f"for name in {' '.join(takers)}; do {run} 300; done; docker start {door}"
    )
    try:
        until(lambda: hive.get("http://example.com/", "-4")[0] == 200, 20, "it is served over IPv4")
        started = time.monotonic()
        until(lambda: hive.get("http://example.com/", "-6")[0] == 200, 60, "it is served over IPv6")
        assert time.monotonic() - started < 5
    finally:
        hive.on_server("docker rm --force " + " ".join(takers))


def test_without_ndppd_nobody_finds_the_web_address(hive: Hive) -> None:
    hive.on_server("systemctl stop ndppd")
    try:
        flush(hive)
        assert hive.get("http://example.com/", "-6")[0] == 0
    finally:
        hive.on_server("systemctl start ndppd")
    flush(hive)
    until(lambda: hive.get("http://example.com/", "-6")[0] == 200, 20, "the site is served again")


def test_ndppd_comes_back_when_it_is_killed(hive: Hive) -> None:
    before = hive.on_server("systemctl show -p MainPID --value ndppd").strip()
    hive.on_server("systemctl kill -s KILL ndppd")
    until(
        lambda: (
            hive.on_server("systemctl is-active ndppd", check=False).strip() == "active"
            and hive.on_server("systemctl show -p MainPID --value ndppd").strip() not in ("0", before)
        ),
        30,
        "ndppd runs again",
    )
    flush(hive)
    until(lambda: hive.get("http://example.com/", "-6")[0] == 200, 20, "the site is served again")


def test_an_address_that_nobody_has_is_silent(hive: Hive) -> None:
    prefix = hive.server["prefix"].removesuffix("::/64")
    for address in (f"{prefix}:0:2:0:dead", f"{prefix}:0:9:0:1"):
        hive.prober("ping", "-6", "-c", "1", "-W", "2", address)
        entry = hive.prober("ip", "-6", "neighbour", "show", address).stdout
        assert "lladdr" not in entry, entry


def flush(hive: Hive) -> None:
    """Forget every neighbour, on the visitor's side."""
    done = hive.prober("ip", "-6", "neighbour", "flush", "all")
    assert done.returncode == 0, done.stderr


def container_ipv6(hive: Hive, name: str) -> list[str]:
    found = hive.on_server(
        f"docker inspect {hive.container(name)} "
        "--format '{{range .NetworkSettings.Networks}}{{.GlobalIPv6Address}}{{end}}'"
    )
    return found.split()
