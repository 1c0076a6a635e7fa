"""What `site:` says holds at the proxy, over both families, HTTP/1.1 and HTTP/2; so do the limits of heads."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from lab import acme
from tests.lab.hive import Hive, until

ECHO, WWW, TRUSTING = "https://echo.example.net", "https://www.echo.example.net", "https://trusting.example.net"
FAMILIES, VERSIONS = ("-6", "-4"), ("--http1.1", "--http2")
SITE: dict[str, Any] = {
    "timeout": 2,
    "body_limit": "1m",
    "www": "both",
    "rate_limit": {"requests": 30, "seconds": 10},
}


@pytest.fixture(scope="module")
def sited(whole: Hive) -> Iterator[Hive]:
    """The hive whose echo says much of its site, with a second one that trusts a proxy; given back as it was."""
    networks = [whole.own_address(family) for family in FAMILIES]
    with whole.changed() as settings:
        settings["apiary:applications"]["echo"]["site"] = {**SITE, "allow_from": networks}
        settings["apiary:servers"]["web1"]["dns"]["web"].append("trusting.example.net")
        settings["apiary:applications"]["trusting"] = {
            "build_dir": "Echo",
            "env": {"domains": ["trusting.example.net"], "http_port": 8080},
            "site": {"trusted_proxies": networks},
        }
        # The server itself is none of those that may come, and the update is well all the same.
        whole.up()
        yield whole
    whole.up()
    whole.expect_served()


def asked(hive: Hive, url: str, family: str, version: str, *options: str, routed: bool = False) -> tuple[int, str]:
    """(status, body) from a prober; what is larger than an argument may be stands in a file there."""
    words = ("curl", "-sS", family, version, "--max-time", "20", "-w", "\n%{http_code}", *options, url)
    done = hive.prober(*words, routed=routed)
    body, _, status = done.stdout.rpartition("\n")
    return int(status or 0), body or done.stderr


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("family", FAMILIES)
def test_heads_of_64_kb_pass_and_larger_ones_are_told_why(whole: Hive, family: str, version: str) -> None:
    cookies = {}
    for size in (60_000, 70_000):
        cookies[size] = f"/tmp/head-{size}"
        made = f"printf 'Cookie: a=' > {cookies[size]}; head -c {size} /dev/zero | tr '\\0' x >> {cookies[size]}"
        whole.prober("sh", "-c", made)
    status, body = asked(
        whole, f"{ECHO}/", family, version, "-H", f"@{cookies[60_000]}", "-H", "Accept: application/json"
    )
    assert status == 200, body[-500:]
    assert any(len(value) > 60_000 for _, value in json.loads(body)["headers"])
    if version == "--http1.1":  # curl sends no more than 64 kB by HTTP/2
        status, body = asked(whole, f"{ECHO}/", family, version, "-H", f"@{cookies[70_000]}")
        assert (status, "larger than 64 kB" in body) == (431, True), body[-500:]
    many = [word for number in range(300) for word in ("-H", f"X-{number}: 1")]
    status, body = asked(whole, f"{ECHO}/", family, version, *many)
    assert (status, "more than 256 lines" in body) == (431, True), body[-500:]
    for query, wanted in (("bytes=60000", 200), ("bytes=200&lines=250", 200), ("bytes=120000", 502)):
        status, body = asked(whole, f"{ECHO}/head?{query}", family, version)
        assert status == wanted, f"{query}: {body[-500:]}"
    assert "head of more than 64 kB" in body


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("family", FAMILIES)
def test_what_is_large_or_slow_is_ended_as_the_site_says(sited: Hive, family: str, version: str) -> None:
    sited.prober("sh", "-c", "head -c 1000000 /dev/zero > /tmp/less; head -c 1100000 /dev/zero > /tmp/more")
    assert asked(sited, f"{ECHO}/", family, version, "--data-binary", "@/tmp/less")[0] == 200
    status, body = asked(sited, f"{ECHO}/", family, version, "--data-binary", "@/tmp/more")
    assert (status, "larger than this site takes" in body) == (413, True), body[-500:]
    # Of what comes from standard input curl does not say how large it is.
    assert asked(sited, f"{ECHO}/", family, version, "-T", "-")[0] == 411
    assert asked(sited, f"{ECHO}/slow?seconds=1", family, version)[0] == 200
    assert asked(sited, f"{ECHO}/slow?seconds=4", family, version)[0] == 504
    assert asked(sited, f"{WWW}/", family, version)[0] == 200


@pytest.mark.parametrize("family", FAMILIES)
def test_only_those_may_come_that_the_site_names(sited: Hive, family: str) -> None:
    assert asked(sited, f"{ECHO}/", family, "--http2")[0] == 200
    status, body = asked(sited, f"{ECHO}/", family, "--http2", routed=True)
    assert (status, "not for everybody" in body) == (403, True), body[-500:]
    # Of the next site nothing is said.
    assert asked(sited, "https://example.com/", family, "--http2", routed=True)[0] == 200


# Of either family the proxy's counter is of the same kind, and its window has to go by.
@pytest.mark.parametrize("family", ["-6", pytest.param("-4", marks=pytest.mark.soak)])
def test_who_asks_too_often_waits_and_is_let_in_again(sited: Hive, family: str) -> None:
    shown = "%{http_code} %header{retry-after}\\n"
    flood = ("curl", "-sS", family, "-o", "/dev/null", "-w", shown, f"{ECHO}/?[1-60]")
    seen = [line.strip() for line in sited.prober(*flood).stdout.splitlines()]
    assert set(seen) == {"200", "429 10"}, seen
    assert seen.count("200") <= 30
    # Who asks of another network is somebody else: not let in here, but not counted as the first.
    assert asked(sited, f"{ECHO}/", family, "--http2", routed=True)[0] == 403
    until(lambda: asked(sited, f"{ECHO}/", family, "--http2")[0] == 200, 30, "the visitor is let in again")


@pytest.mark.parametrize("family", FAMILIES)
def test_a_proxy_in_front_is_believed_where_it_is_trusted_and_nobody_else(sited: Hive, family: str) -> None:
    said = ("-H", "X-Forwarded-For: 198.51.100.1, 203.0.113.9", "-H", "Accept: application/json")
    status, body = asked(sited, f"{TRUSTING}/", family, "--http2", *said)
    assert (status, json.loads(body)["x_forwarded_for"]) == (200, ["203.0.113.9"])
    status, body = asked(sited, f"{TRUSTING}/", family, "--http2", *said, routed=True)
    assert status == 200
    assert "203.0.113.9" not in json.loads(body)["x_forwarded_for"]


@pytest.mark.soak
def test_every_name_below_a_domain_is_served_by_a_certificate_of_one_s_own(whole: Hive, tmp_path: Path) -> None:
    """Two more updates; an own certificate of one name: test_proxy."""
    wild, authority = "*.shops.example.net", acme.Authority(b"Who signs for shops", "Shops", "shops.example.net")
    authority.issue(tmp_path, [wild])
    whole.prober("python3", "-c", acme.TRUST, stdin=authority.pem())
    before = whole.get(f"{ECHO}/", "-6")[0]
    with whole.changed() as settings:
        pem = "".join((tmp_path / name).read_text() for name in ("cert.pem", "key.pem"))
        settings["apiary:secrets"] = {**settings.get("apiary:secrets", {}), "shops": pem}
        settings["apiary:servers"]["web1"]["dns"]["web"] += [wild, "one.shops.example.net"]
        settings["apiary:jobs"]["hasetup"]["env"]["certificate_shops"] = "_secrets^shops"
        for name, domain in (("shops", wild), ("one", "one.shops.example.net")):
            settings["apiary:applications"][name] = {
                "build_dir": "Echo", "env": {"domains": [domain], "http_port": 8080, "version": name},
            }  # fmt: skip
        whole.up()
        for family in FAMILIES:
            for version in VERSIONS:
                for host, serves in (("any", "shops"), ("other", "shops"), ("one", "one")):
                    url, text = f"https://{host}.shops.example.net/", ("-H", "Accept: application/json")
                    status, body = asked(whole, url, family, version, *text)
                    assert (status, json.loads(body)["version"]) == (200, serves)
                # One level, and nothing that the certificate does not name.
                assert asked(whole, "https://a.b.shops.example.net/", family, version)[0] == 0
        assert whole.get(f"{ECHO}/", "-6")[0] == before == 200
        whole.expect_no_changes()
    whole.up()
    assert asked(whole, "https://any.shops.example.net/", "-6", "--http2")[0] == 0


STICKY = """
while ! [ -e /tmp/released ]; do
    curl -sS --max-time 20 -u "$0" -b /tmp/jar -c /tmp/jar -o /dev/null -w '%{http_code}\\n' "$1"
done
"""
USER = ("-u", "anna:correct horse $1")


def test_a_site_is_closed_at_once_and_opened_by_one_line(whole: Hive) -> None:
    whole.operations("maintenance", "web1:echo")
    assert asked(whole, f"{ECHO}/", "-6", "--http2")[0] == 503
    assert asked(whole, "https://example.com/", "-6", "--http2")[0] == 200
    whole.operations("maintenance", "echo", "--let-in", whole.own_address("-6"))
    assert asked(whole, f"{ECHO}/", "-6", "--http2")[0] == 200
    assert asked(whole, f"{ECHO}/", "-4", "--http2")[0] == 503
    whole.operations("maintenance", "echo", "--off")
    assert asked(whole, f"{ECHO}/", "-4", "--http2")[0] == 200


@pytest.mark.soak
def test_a_site_behind_a_password_that_shares_its_domain_is_released_closed_and_opened(whole: Hive) -> None:
    """Four updates of the whole hive: a password and a release are in test_closing, closing and opening above."""
    with whole.changed() as settings:
        settings["apiary:secrets"] = {**settings.get("apiary:secrets", {}), "visitor": "correct horse $1"}
        echo = settings["apiary:applications"]["echo"]
        echo["site"] = {"password": {"anna": "_secrets^visitor"}, "sticky": True}
        settings["apiary:applications"]["part"] = {
            "build_dir": "Echo",
            "env": {"domains": ["echo.example.net/part"], "http_port": 8080},
            "site": {"strip": True, "security_headers": True},
        }
        whole.up()
        for family in FAMILIES:
            for version in VERSIONS:
                assert asked(whole, f"{ECHO}/", family, version)[0] == 401
                status, body = asked(whole, f"{ECHO}/", family, version, *USER, "-H", "Accept: application/json")
                assert (status, "authorization" in body.lower()) == (200, False), body[-500:]
                # Whoever has the password of one has none of the other, and needs none.
                status, body = asked(whole, f"{ECHO}/part", family, version, "-H", "Accept: application/json")
                told = {name.lower(): value for name, value in json.loads(body)["headers"]}
                assert (status, told["x-forwarded-prefix"]) == (200, "/part")
                assert asked(whole, f"{ECHO}/part/status?code=404", family, version)[0] == 404
        # A visitor with a cookie meets no error while one container takes the place of another.
        with ThreadPoolExecutor(1) as beside:
            visitor = beside.submit(whole.prober, "sh", "-c", STICKY, USER[1], f"{ECHO}/")
            try:
                echo["env"]["version"] = "sticky"
                whole.up()
            finally:
                whole.prober("touch", "/tmp/released")
        seen = visitor.result(60).stdout.split()
        assert (set(seen), len(seen) > 5) == ({"200"}, True), seen[-50:]
        # Closed at once; through a release, a restart of the proxy, and its set-up.
        whole.operations("maintenance", "web1:echo")
        assert asked(whole, f"{ECHO}/", "-6", "--http2", *USER)[0] == 503
        assert asked(whole, f"{ECHO}/part", "-6", "--http2")[0] == 200
        told = whole.operations("status", "--seconds", "60", check=False).stdout
        assert "under maintenance: visitors get 503" in told, told
        echo["env"]["version"] = "closed"
        echo["site"]["timeout"] = 50
        whole.up()
        assert asked(whole, f"{ECHO}/", "-4", "--http2", *USER)[0] == 503
        whole.on_server(f"docker restart {whole.container('haproxy')}")
        until(lambda: asked(whole, f"{ECHO}/part", "-4", "--http2")[0] == 200, 60, "the proxy serves again")
        assert asked(whole, f"{ECHO}/", "-4", "--http2", *USER)[0] == 503
        whole.operations("maintenance", "echo", "--let-in", whole.own_address("-6"))
        assert asked(whole, f"{ECHO}/", "-6", "--http2", *USER)[0] == 200
        assert asked(whole, f"{ECHO}/", "-4", "--http2", *USER)[0] == 503
        whole.operations("maintenance", "echo", "--off")
        assert asked(whole, f"{ECHO}/", "-4", "--http2", *USER)[0] == 200
        whole.expect_no_changes()
    whole.up()
    whole.expect_served()
