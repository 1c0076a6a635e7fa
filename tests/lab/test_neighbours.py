"""What the containers of a server reach of each other: whom their entries name, and what is published.

Looked at from within their network namespaces, over both families, also by one that may forge what it likes. What
happens to the server meanwhile: test_afterwards.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from tests.lab.hive import SCAN, Hive, until
from tests.lab.test_inside import in_network

PORTS = {"haproxy": 80, "site": 8080, "echo": 8080, "asker": 8080, "game": 25565}
# Besides itself: the proxy what it leads to, `asker` whom it names, everybody what is published (the game's port over
# IPv6 alone).
NAMED = {("haproxy", "site"), ("haproxy", "echo"), ("asker", "echo"), ("asker", "game")}
FAMILIES = {4: "IPAddress", 6: "GlobalIPv6Address"}
FORGER = "forger"

Ways = set[tuple[str, str, int]]  # who, whom, over which family


def expected() -> Ways:
    everybody = {(one, "haproxy", family) for one in PORTS for family in FAMILIES}
    everybody |= {(one, "game", 6) for one in PORTS} | {(one, one, family) for one in PORTS for family in FAMILIES}
    return everybody | {(one, other, family) for one, other in NAMED for family in FAMILIES}


def addresses(hive: Hive, container: str) -> dict[int, str]:
    """Of a container on the stack's network, by family; the proxy has those of its door."""
    [found] = json.loads(hive.on_server(f"docker inspect {container}"))
    if (mode := found["HostConfig"]["NetworkMode"]).startswith("container:"):
        return addresses(hive, mode.removeprefix("container:"))
    [network] = found["NetworkSettings"]["Networks"].values()
    return {family: network[key] for family, key in FAMILIES.items()}


def doors(hive: Hive, container: str, targets: list[str], ports: list[int]) -> set[tuple[str, int]]:
    """Of these ports at these addresses, those that open to a container."""
    told = json.dumps({"addresses": targets, "ports": ports})
    found = json.loads(hive.on_server(in_network(container, f"python3 -c '{SCAN}'"), stdin=told))
    return {(address, port) for address, port in found}


def knocked(hive: Hive, container: str, targets: list[str], port: int) -> set[str]:
    """Of these addresses, those that open the port to a container."""
    return {address for address, _ in doors(hive, container, targets, [port])}


def ways(hive: Hive) -> Ways:
    """Who reaches whom."""
    ids = {name: hive.container(name) for name in PORTS}
    held = {name: addresses(hive, one) for name, one in ids.items()}

    everywhere = [(other, family, address) for other, own in held.items() for family, address in own.items()]

    def of(one: str) -> Ways:
        opened = doors(hive, ids[one], [address for _, _, address in everywhere], sorted({*PORTS.values()}))
        return {(one, other, family) for other, family, address in everywhere if (address, PORTS[other]) in opened}

    with ThreadPoolExecutor(len(PORTS)) as pool:
        return set().union(*pool.map(of, PORTS))


@contextmanager
def unfiltered(hive: Hive) -> Iterator[None]:
    """The negative control: for a while the filter is not there."""
    hive.on_server("systemctl stop apiary-neighbours && nft delete table bridge apiary && nft delete table inet apiary")
    try:
        yield
    finally:
        hive.on_server("systemctl start apiary-neighbours")
        until(
            lambda: hive.on_server("nft list set bridge apiary known").count("veth") >= len(PORTS), 20, "all are known"
        )


def expect_named_alone(two: Hive) -> None:
    """Containers reach whom they name, and nobody else."""
    found = Ways()

    def served() -> bool:
        # Who has just come is known within moments; what is closed is closed before.
        found.clear()
        found.update(ways(two))
        return not expected() - found

    until(served, 60, "all are served")
    assert found == expected()


def test_without_the_filter_all_reach_all(two: Hive) -> None:
    with unfiltered(two):
        assert ways(two) == {(one, other, family) for one in PORTS for other in PORTS for family in FAMILIES}


@pytest.mark.soak
def test_the_filter_comes_back_when_its_tables_are_gone(two: Hive) -> None:
    """As `nft flush ruleset` does to it, which would take Docker's own rules along.

    Nothing of the host's does it; after what happens to a server: test_afterwards.
    """
    two.on_server("nft delete table bridge apiary && nft delete table inet apiary")
    known = "nft list set bridge apiary known 2>/dev/null || true"
    until(lambda: two.on_server(known).count("veth") >= len(PORTS), 60, "the filter is there again")
    expect_named_alone(two)


def test_what_was_refused_is_told_by_names_with_the_line_to_write(two: Hive) -> None:
    site, echo = two.container("site"), addresses(two, two.container("echo"))
    assert knocked(two, site, list(echo.values()), PORTS["echo"]) == set()
    told = json.loads(two.on_server("apiary-status apiary-lab"))
    wanted = {"from": "applications.site", "to": "applications.echo", "proto": "tcp", "port": 8080}
    [found] = [one for one in told["refused"] if wanted.items() <= one.items()]
    assert found["count"] >= 2
    line = (
        "applications.site tried to reach applications.echo at tcp/8080 and may not; if it should, write reach: [echo]"
    )
    until(
        lambda: line in two.on_server("journalctl --unit apiary-neighbours --no-pager"), 60, "the journal tells it too"
    )


@pytest.fixture
def forger(two: Hive) -> Iterator[str]:
    """A container on the stack's network that the stack knows nothing of, with every right over its own network."""
    two.on_server(
        "image=$(docker inspect --format '{{.Image}}' $(docker ps -q | head -n 1)); "
        "network=$(docker network ls -q --filter label=apiary.resource); "
        f"docker run --detach --name {FORGER} --network $network --cap-add NET_ADMIN --cap-add NET_RAW "
        "--entrypoint sleep $image inf"
    )
    yield FORGER
    two.on_server(f"docker rm --force {FORGER}")


def test_a_stranger_reaches_nothing_but_what_is_published(two: Hive, forger: str) -> None:
    held = {name: addresses(two, two.container(name)) for name in PORTS}
    opened = {
        (name, family)
        for name, own in held.items()
        for family, address in own.items()
        if address in knocked(two, forger, [address], PORTS[name])
    }
    assert opened == {("haproxy", 4), ("haproxy", 6), ("game", 6)}


def test_who_takes_a_neighbour_s_addresses_is_not_taken_for_it(two: Hive, forger: str) -> None:
    """`asker` reaches `echo`. Neither by its addresses nor by the host as a router does another one."""
    asker, echo = addresses(two, two.container("asker")), addresses(two, two.container("echo"))
    shown = two.on_server(in_network(two.container("asker"), "ip -j link show dev eth0"))
    [mac] = [link["address"] for link in json.loads(shown)]

    def inside(command: str) -> None:
        two.on_server(in_network(forger, command))

    gateway = two.on_server(in_network(forger, "ip -4 route show default")).split()[2]
    inside(f"ip route add {echo[4]}/32 via {gateway}")
    assert knocked(two, forger, [echo[4]], PORTS["echo"]) == set()
    inside(f"ip route del {echo[4]}/32 via {gateway}")
    inside(f"ip link set eth0 down address {mac}")
    inside("ip link set eth0 up")
    inside(f"ip address add {asker[4]}/24 dev eth0")
    inside(f"ip address add {asker[6]}/96 dev eth0 nodad")
    assert knocked(two, forger, list(echo.values()), PORTS["echo"]) == set()
    # And nobody who is let in loses its way by it.
    assert knocked(two, two.container("asker"), list(echo.values()), PORTS["echo"]) == set(echo.values())
    assert knocked(two, two.container("haproxy"), list(echo.values()), PORTS["echo"]) == set(echo.values())


def test_who_is_named_answers_and_reaches_nobody_for_that(two: Hive) -> None:
    assert ("echo", "asker", 4) not in expected()
    asker = addresses(two, two.container("asker"))
    assert knocked(two, two.container("echo"), list(asker.values()), PORTS["asker"]) == set()


def test_a_new_release_is_reached_as_it_starts(two: Hive) -> None:
    """It is known before its program begins: the first thing that it does is to ask whom it names."""
    echo = addresses(two, two.container("echo"))[4]
    ask = (
        "import socket, time; begun = time.monotonic(); "
        f"socket.create_connection(('{echo}', 8080), 20).close(); print(time.monotonic() - begun)"
    )
    took = two.on_server(
        "image=$(docker inspect --format '{{.Image}}' " + two.container("echo") + "); "
        "network=$(docker network ls -q --filter label=apiary.resource); "
        "for _ in 1 2 3 4 5; do docker run --rm --network $network --label apiary.resource=applications.probe "
        f'--label apiary.reach=echo --entrypoint python3 $image -c "{ask}"; done'
    )
    seconds = [float(line) for line in took.split()]
    assert len(seconds) == 5
    assert min(seconds) < 1.0, f"a first packet was lost each time: {seconds}"
