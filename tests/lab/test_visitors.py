"""What a visitor meets: names, addresses, and his own address in every answer."""

from __future__ import annotations

import json

import pytest

from tests.lab.hive import Hive

FAMILIES = ["-6", "-4"]


def resolve(hive: Hive, name: str, kind: str) -> list[str]:
    return hive.prober("dig", "+short", name, kind).stdout.split()


@pytest.mark.parametrize("name", ["example.com", "www.example.com", "echo.example.net"])
def test_a_web_domain_leads_to_the_static_web_address_alone(hive: Hive, name: str) -> None:
    assert resolve(hive, name, "AAAA") == [hive.server["web_ipv6"]]
    assert resolve(hive, name, "A") == [hive.server["ipv4"]]


def test_the_host_s_name_leads_to_the_host_and_back(hive: Hive) -> None:
    server = hive.server
    assert resolve(hive, "web1.example.com", "AAAA") == [server["ipv6"]]
    assert resolve(hive, "web1.example.com", "A") == [server["ipv4"]]
    for address in (server["ipv4"], server["ipv6"]):
        assert hive.prober("dig", "+short", "-x", address).stdout.strip() == "web1.example.com."


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("forged", [None, "1.2.3.4", "2001:db8::bad, 1.2.3.4"])
def test_the_site_sees_the_visitor_s_own_address_even_when_he_forges_one(
    hive: Hive, family: str, forged: str | None
) -> None:
    options = ["-H", f"X-Forwarded-For: {forged}", "-H", "X-Forwarded-Proto: https"] if forged else []
    status, body = hive.get("http://echo.example.net/", family, "-H", "Accept: application/json", *options)
    assert status == 200, body
    answer = json.loads(body)
    assert answer["x_forwarded_for"] == [hive.own_address(family)]
    assert answer["x_forwarded_proto"] == "http"


@pytest.mark.parametrize("family", FAMILIES)
def test_www_leads_to_the_bare_domain(hive: Hive, family: str) -> None:
    done = hive.prober(
        "curl", "-sS", family, "-o", "/dev/null", "-w", "%{redirect_url}", "http://www.example.com/a?b=c"
    )
    assert done.stdout == "http://example.com/a?b=c"


def test_a_domain_that_nobody_serves_gets_no_other_s_site(hive: Hive) -> None:
    status, body = hive.get(f"http://[{hive.server['web_ipv6']}]/", "-6", "-H", "Host: stranger.example.org")
    assert status == 421, body


def test_containers_reach_out_over_both_families(hive: Hive) -> None:
    """To the prober, which stands for the world: it has to find the way back to the container by itself."""
    listener = (
        "import socket,threading\n"
        "def serve(f,a):\n s=socket.socket(f); s.setsockopt(socket.SOL_SOCKET,socket.SO_REUSEADDR,1)\n"
        " s.bind((a,9999)); s.listen(); s.settimeout(20)\n c,p=s.accept(); c.sendall(p[0].encode()); c.close()\n"
        "t=[threading.Thread(target=serve,args=x) for x in ((socket.AF_INET,'0.0.0.0'),(socket.AF_INET6,'::'))]\n"
    ).replace("s.bind", "f==socket.AF_INET6 and s.setsockopt(socket.IPPROTO_IPV6,socket.IPV6_V6ONLY,1); s.bind")
    ask = "import socket,sys\nc=socket.create_connection((sys.argv[1],9999),10); print(c.recv(100).decode())"
    ready = hive.prober(
        "sh",
        "-c",
        'python3 -c "$0" >/dev/null 2>&1 & sleep 0.5',
        listener + "[x.start() for x in t]; [x.join() for x in t]",
    )
    assert ready.returncode == 0, ready.stderr
    echo = hive.container("echo")
    for family in FAMILIES:
        seen = hive.on_server(f"docker exec {echo} python3 -c '{ask}' {hive.own_address(family)}").strip()
        assert seen in {*hive.container_addresses(), hive.server["ipv4"]}, seen
        # Over IPv6 nothing is translated: the world sees the container itself.
        assert (seen != hive.server["ipv4"]) == (family == "-6")
