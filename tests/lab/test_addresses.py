"""A container with an IPv6 address, names and ports of its own; and nothing left of them when they change."""

from __future__ import annotations

import json
import re
import subprocess

import pytest

from tests.lab.hive import PORTS, Hive
from tests.lab.test_inside import expect_closed_inside

GAME, PORT, OTHER = "game.example.com", 25565, 25566


def own(hive: Hive, tail: str = "b") -> str:
    """A static address of the containers' network."""
    return f"{hive.server['prefix'].removesuffix('::/64')}:0:2:0:{tail}"


def resolve(hive: Hive, *question: str) -> list[str]:
    return hive.prober("dig", "+short", *question).stdout.split()


def expect_open(hive: Hive, address: str, *ports: int) -> None:
    """Exactly these ports answer at the address, from next to the server and from behind a router."""
    wanted = [(address, port) for port in ports]
    for routed in (False, True):
        found = hive.scan([address], routed=routed, ports=[*PORTS, PORT, OTHER])
        assert found == wanted, f"open from {'a routed' if routed else 'the on-link'} position: {found}"


def connections(hive: Hive) -> str:
    """What conntrack knows, both directions of each: who opened one may be either. What is closing goes by itself."""
    return hive.on_server("conntrack -L -f ipv6 2>/dev/null | sed -E '/ (TIME_WAIT|CLOSE) /d'")


def expect_no_trace(hive: Hive, *texts: str) -> None:
    """Neither the host nor Vultr has anything of an address, a name or a port (each a pattern) left."""
    places = {
        "ndppd": hive.on_server("cat /etc/ndppd.conf"),
        "ufw's rules": hive.on_server("ufw show added"),
        "ufw's files": hive.on_server("cat /etc/ufw/*.rules"),
        "the kernel's rules": hive.on_server("ip6tables-save; iptables-save"),
        "connections": connections(hive),
        "the region": hive.paths.region.read_text(),
    }
    for text in texts:
        word = re.compile(rf"\b{text}\b")  # no part of an id
        lines = [(place, line) for place, content in places.items() for line in content.splitlines()]
        assert [one for one in lines if word.search(one[1])] == [], text


def test_a_container_is_reached_at_its_own_name_and_sees_who_comes(two: Hive) -> None:
    assert resolve(two, GAME, "AAAA") == [own(two)]
    assert resolve(two, GAME, "A") == []
    assert resolve(two, "-x", own(two)) == [f"{GAME}."]
    status, body = two.get(f"http://{GAME}:{PORT}/", "-6")
    assert status == 200, body
    seen = json.loads(body)
    assert (seen["peer"], seen["x_forwarded_for"]) == (two.own_address("-6"), [])


def test_nothing_but_the_opened_port_answers_and_that_nowhere_else(two: Hive) -> None:
    expect_open(two, own(two), PORT)
    assert two.scan([two.server["ipv4"], two.server["ipv6"], two.server["web_ipv6"]], ports=[PORT]) == []


def download(hive: Hive) -> subprocess.Popen[str]:
    """A visitor's connection on which something comes every second; status 28 when nothing has for 5 seconds."""
    url = f"http://{GAME}:{PORT}/download?bytes=9800000&seconds=600"
    words = ["docker", "exec", hive.paths.name("prober"), "curl", "-sS", "-6", "-o", "/dev/null"]
    return subprocess.Popen([*words, "--speed-limit", "1", "--speed-time", "5", url], text=True, stderr=subprocess.PIPE)


# Runs in the prober: lets one visitor in, and tells him his address.
GREETER = """
import socket, sys
family = socket.AF_INET6 if sys.argv[1] == "-6" else socket.AF_INET
listener = socket.create_server(("", 9998), family=family)
listener.settimeout(60)
print("ready", flush=True)
visitor, address = listener.accept()
visitor.sendall(address[0].encode())
visitor.close()
"""
ASK = """
import socket, sys
try:
    print(socket.create_connection((sys.argv[1], 9998), 10).recv(100).decode())
except OSError as error:
    print(error.strerror or error)
"""


def seen_from_outside(hive: Hive, application: str, family: str) -> str:
    """The address that the world sees an application come from, or why it can't come."""
    greeter = subprocess.Popen(
        ["docker", "exec", hive.paths.name("prober"), "python3", "-c", GREETER, family],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert greeter.stdout is not None
    assert greeter.stdout.readline() == "ready\n"
    to = hive.own_address(family)
    seen = hive.on_server(f"docker exec {hive.container(application)} python3 -c '{ASK}' {to}").strip()
    hive.prober("python3", "-c", ASK, to)  # lets the greeter end, if nobody else came
    greeter.wait(60)
    return seen


def test_without_ipv4_it_reaches_out_over_ipv6_alone_and_is_told_so_at_once(two: Hive) -> None:
    assert seen_from_outside(two, "game", "-6") == own(two)
    assert seen_from_outside(two, "game", "-4") == "Network is unreachable"
    # Others do, and those that name it may speak with it as with anybody on their network.
    assert seen_from_outside(two, "echo", "-4") == two.server["ipv4"]
    game = json.loads(two.on_server(f"docker inspect {two.container('game')}"))[0]["NetworkSettings"]["Networks"]
    [ipv4] = [network["IPAddress"] for network in game.values()]
    fetch = f'import urllib.request; print(urllib.request.urlopen("http://{ipv4}:{PORT}/", timeout=10).status)'
    assert two.on_server(f"docker exec {two.container('asker')} python3 -c '{fetch}'").strip() == "200"


def expect_forwarded(hive: Hive) -> None:
    """With `ipv6: nat`: visitors come to the server's own address, and keep theirs; nobody gets past it."""
    server = hive.server
    hive.expect_served()
    assert resolve(hive, "echo.example.net", "AAAA") == resolve(hive, "play.example.com", "AAAA") == [server["ipv6"]]
    for family in ("-6", "-4"):
        status, body = hive.get(f"http://play.example.com:{OTHER}/", family)
        assert status == 200, body
        assert json.loads(body)["peer"] == hive.own_address(family)
        assert seen_from_outside(hive, "game", family) == server["ipv6" if family == "-6" else "ipv4"]
    for routed in (False, True):
        assert hive.scan([server["ipv6"]], routed=routed, ports=[5432, 8080, PORT, OTHER]) == [(server["ipv6"], OTHER)]
    # A neighbour who sets a route to the private network finds it closed, also where a port is forwarded.
    private = [address for address in hive.container_addresses() if address.startswith("fd")]
    assert len(private) > 2
    for address in private:
        assert hive.prober("ip", "-6", "route", "replace", address, "via", server["ipv6"]).returncode == 0
    try:
        assert hive.scan(private, ports=[80, 8080, PORT, OTHER]) == []
    finally:
        for address in private:
            hive.prober("ip", "-6", "route", "delete", address)


def public_networks(hive: Hive) -> list[str]:
    """Patterns of everything that lies in the public networks of a server's containers."""
    prefix = hive.server["prefix"].removesuffix("::/64")
    return [rf"{prefix}:0:[12]:[0-9a-f:]+"]


def test_what_changes_leaves_nothing_behind(two: Hive) -> None:
    old, new = own(two, "b"), own(two, "c")
    with two.changed() as settings:
        settings["apiary:applications"]["game"].update(
            open=[f"tcp/{OTHER}"], static_ipv6="2:0:c", dns=["play.example.com"], env={"http_port": OTHER}
        )
        two.up()
        expect_no_trace(two, old, GAME, str(PORT))
        assert resolve(two, GAME, "AAAA") == resolve(two, "-x", old) == []
        assert resolve(two, "play.example.com", "AAAA") == [new]
        assert resolve(two, "-x", new) == ["play.example.com."]
        expect_open(two, old)
        expect_open(two, new, OTHER)
        two.expect_nothing_left()
        two.expect_no_changes()


@pytest.mark.soak
def test_who_is_connected_is_cut_off_with_the_port_and_closing_it_is_no_release(two: Hive) -> None:
    """One more update, and the playbooks once more, for a visitor of the moment."""
    two.up()
    with two.changed() as settings:
        visitor = download(two)
        settings["apiary:applications"]["game"]["open"] = [f"tcp/{OTHER}"]
        assert "game" not in two.up().touched()
        assert visitor.wait(60) == 28
        expect_no_trace(two, str(PORT))
        expect_open(two, own(two))
        two.expect_bootstrapped()


@pytest.mark.soak
def test_nat_and_going_back_from_it_leave_nothing_behind(two: Hive) -> None:
    """Every container of a server anew, and once more: an edit for hosts without a usable prefix."""
    two.up()
    old = own(two)
    with two.changed() as settings:
        game = settings["apiary:applications"]["game"]
        settings["apiary:servers"]["web1"]["ipv6"] = "nat"
        game.update(ports=[f"{OTHER}:{OTHER}"], ipv4=True, dns=["play.example.com"], env={"http_port": OTHER})
        del game["static_ipv6"], game["open"]
        two.up()
        expect_no_trace(two, old, GAME, *public_networks(two))
        expect_open(two, old)
        assert resolve(two, GAME, "AAAA") == resolve(two, "-x", old) == []
        expect_forwarded(two)
        expect_closed_inside(two)
        two.expect_bootstrapped()
        two.expect_nothing_left()
        two.expect_no_changes()
    two.up()
    expect_no_trace(two, "APIARY-IN", "APIARY-OUT", "fd[0-9a-f:]+:0:2:0:a")
    expect_open(two, own(two), PORT)
    two.expect_served()
    two.expect_no_changes()


@pytest.mark.soak
def test_destroy_leaves_nothing_of_names_and_addresses_of_their_own(two: Hive) -> None:
    """As test_destroy shows it of the others."""
    assert two.machines()
    two.expect_destroyed()
