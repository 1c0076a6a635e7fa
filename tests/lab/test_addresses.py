"""A container with an IPv6 address, names and ports of its own; and nothing left of them when they change."""

from __future__ import annotations

import json
import re
import subprocess

from tests.lab.hive import PORTS, Hive

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


def expect_no_trace(hive: Hive, *texts: str) -> None:
    """Neither the host nor Vultr has anything of an address, a name or a port left."""
    places = {
        "ndppd": hive.on_server("cat /etc/ndppd.conf"),
        "ufw's rules": hive.on_server("ufw show added"),
        "ufw's files": hive.on_server("cat /etc/ufw/*.rules"),
        "the kernel's rules": hive.on_server("ip6tables-save; iptables-save"),
        "connections": hive.on_server("conntrack -L -f ipv6 2>&1"),
        "the region": hive.paths.region.read_text(),
    }
    for text in texts:
        word = re.compile(rf"\b{re.escape(text)}\b")  # no part of an id
        assert [place for place, content in places.items() if word.search(content)] == [], text


def test_a_container_is_reached_at_its_own_name_and_sees_who_comes(whole: Hive) -> None:
    assert resolve(whole, GAME, "AAAA") == [own(whole)]
    assert resolve(whole, GAME, "A") == []
    assert resolve(whole, "-x", own(whole)) == [f"{GAME}."]
    status, body = whole.get(f"http://{GAME}:{PORT}/", "-6")
    assert status == 200, body
    seen = json.loads(body)
    assert (seen["peer"], seen["x_forwarded_for"]) == (whole.own_address("-6"), [])


def test_nothing_but_the_opened_port_answers_and_that_nowhere_else(whole: Hive) -> None:
    expect_open(whole, own(whole), PORT)
    assert whole.scan([whole.server["ipv4"], whole.server["ipv6"], whole.server["web_ipv6"]], ports=[PORT]) == []


def download(hive: Hive) -> subprocess.Popen[str]:
    """A visitor's connection that lasts, and ends with status 28 when nothing has come for 5 seconds."""
    url = f"http://{GAME}:{PORT}/download?bytes=900000&seconds=600"
    words = ["docker", "exec", hive.paths.name("prober"), "curl", "-sS", "-6", "-o", "/dev/null"]
    return subprocess.Popen([*words, "--speed-limit", "1", "--speed-time", "5", url], text=True, stderr=subprocess.PIPE)


def test_what_changes_leaves_nothing_behind(whole: Hive) -> None:
    old, new = own(whole, "b"), own(whole, "c")
    with whole.changed() as settings:
        game = settings["apiary:applications"]["game"]
        visitor = download(whole)

        game["open"] = [f"tcp/{OTHER}"]
        assert "game" not in whole.up().touched(), "closing a port is no release"
        assert visitor.wait(60) == 28, "who is connected must be cut off with the port"
        expect_no_trace(whole, str(PORT))
        expect_open(whole, old)

        game.update(static_ipv6="2:0:c", dns=["play.example.com"], env={"http_port": OTHER})
        whole.up()
        expect_no_trace(whole, old, GAME)
        assert resolve(whole, GAME, "AAAA") == resolve(whole, "-x", old) == []
        assert resolve(whole, "play.example.com", "AAAA") == [new]
        assert resolve(whole, "-x", new) == ["play.example.com."]
        expect_open(whole, old)
        expect_open(whole, new, OTHER)

        del settings["apiary:applications"]["game"]
        whole.up()
        expect_no_trace(whole, new, "play.example.com", str(OTHER))
        expect_open(whole, new)
        whole.expect_nothing_left()
    whole.up()
    expect_open(whole, old, PORT)
    whole.expect_no_changes()
