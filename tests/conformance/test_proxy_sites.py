"""What `site:` says as visitors meet it: what hasetup writes, run by a real HAProxy on this machine."""

from __future__ import annotations

import http.client
import json
import socket
import ssl
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.conformance.applications import Application, Listener
from tests.conformance.proxy import FAMILIES, curl, needs_proxy, running

pytestmark = needs_proxy
APPLICATION = {"port": 8080, "tls": True, "www": False}
TOLD = {
    "plain.example.org": {**APPLICATION, "app": "plain"},
    "patient.example.org": {**APPLICATION, "app": "patient", "site": {"timeout": 600}},
    "lasting.example.org": {**APPLICATION, "app": "lasting", "site": {"timeout": 7200}},
    "hasty.example.org": {**APPLICATION, "app": "hasty", "site": {"timeout": 1}},
    "small.example.org": {**APPLICATION, "app": "small", "site": {"body_limit": 20_000}},
    "closed.example.org": {**APPLICATION, "app": "closed", "site": {"allow_from": ["203.0.113.0/24", "::1/128"]}},
    "behind.example.org": {**APPLICATION, "app": "behind", "site": {"trusted_proxies": ["127.0.0.0/8"]}},
    "busy.example.org": {**APPLICATION, "app": "busy", "tls": False, "site": {"rate_limit": [20, 60]}},
    "down.example.org": {**APPLICATION, "app": "down", "site": {"allow_from": ["203.0.113.0/24"]}},
}
DOWN = "down"
KEY = "dGhlIHNhbXBsZSBub25jZQ=="  # of RFC 6455
# What a visitor may claim in words that proxies use; none of it reaches an application as he says it.
FORGED = (
    "CF-Connecting-IP", "CF-Connecting-IPv6", "Client-IP", "Fastly-Client-IP", "Fly-Client-IP", "Forwarded", "Proxy",
    "Remote-User", "Remote_User", "True-Client-IP", "X-Client-IP", "X-Cluster-Client-IP", "X-Forwarded",
    "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Port", "X-Forwarded-Proto", "X-Forwarded-Server",
    "X-Original-Host", "X-Original-URL", "X-Originating-IP", "X-Real-IP", "X-Real_IP", "X-Remote-Addr", "X-Remote-IP",
    "X-Rewrite-URL", "Remote-Email", "Remote-Groups", "X-authentik-username", "X-Auth-Request-Email", "X-WEBAUTH-EMAIL",
    "X-Pomerium-Claim-Email", "Cf-Access-Authenticated-User-Email", "X-Goog-Authenticated-User-Id",
    "Tailscale-User-Login", "X-MS-CLIENT-PRINCIPAL", "X-Amzn-Oidc-Identity",
)  # fmt: skip


def impatient(text: str) -> str:
    """A visitor who waits is not one who is gone: his own time is made as short as the tests, and a WebSocket's."""
    for whose, said in {"client": "60s", "tunnel": "1h"}.items():
        assert text.count(f"timeout {whose} {said}\n") == 1
        text = text.replace(f"timeout {whose} {said}", f"timeout {whose} 1s")
    return text


@pytest.fixture(scope="module")
def ports(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, int]]:
    with Listener(("127.0.0.1", 0), Application) as listener:
        threading.Thread(target=listener.serve_forever, daemon=True).start()
        here = {site["app"]: listener.server_address[1] for site in TOLD.values() if site["app"] != DOWN}
        with running(tmp_path_factory.mktemp("proxy"), TOLD, here, impatient) as found:
            yield found
        listener.shutdown()


@pytest.mark.parametrize("how", ["wait=3", "pause=3"])
def test_a_patient_site_waits_for_its_application_longer_than_for_its_visitor(ports, family, version, how):
    body, status = curl(ports, f"https://patient.example.org/?{how}", family, version)
    assert (status, json.loads(body)[0][0].lower()) == ("200", "host")


def test_a_hasty_one_does_not(ports, family, version):
    assert curl(ports, "https://hasty.example.org/?wait=0.2", family, version)[1] == "200"
    assert curl(ports, "https://hasty.example.org/?wait=3", family, version)[1] == "504"


@pytest.mark.parametrize(("host", "lasts"), [("patient.example.org", False), ("lasting.example.org", True)])
def test_a_websocket_is_silent_for_an_hour_or_as_long_as_its_site_says(ports, family, host, lasts):
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with (
        socket.create_connection((FAMILIES[family].strip("[]"), ports["https"]), timeout=20) as connected,
        context.wrap_socket(connected, server_hostname=host) as visitor,
        visitor.makefile("rb") as said,
    ):
        head = (
            "GET / HTTP/1.1",
            f"Host: {host}",
            "Upgrade: websocket",
            "Connection: Upgrade",
            f"Sec-WebSocket-Key: {KEY}",
        )
        visitor.sendall("\r\n".join([*head, "", ""]).encode())
        assert b" 101 " in said.readline()
        while said.readline().strip():
            pass
        visitor.settimeout(3)
        try:
            assert said.readline() == b""
            assert not lasts
        except TimeoutError:
            assert lasts
            visitor.settimeout(20)
            visitor.sendall(b"still here\n")
            assert visitor.recv(64) == b"still here\n"


def test_heads_of_requests_pass_up_to_the_limit_and_are_told_why_beyond(ports, family, version, tmp_path):
    file = tmp_path / "head"

    def asked(*lines: str) -> tuple[str, str]:
        file.write_text("\n".join(lines))
        return curl(ports, "https://plain.example.org/", family, version, "--header", f"@{file}")

    body, status = asked(f"Cookie: a={'x' * 60_000}")
    assert (status, max(len(value) for _, value in json.loads(body))) == ("200", 60_002)
    body, status = asked(*(f"X-{number}: 1" for number in range(240)))
    assert (status, len(json.loads(body)) > 240) == ("200", True)
    body, status = asked(*(f"X-{number}: 1" for number in range(260)))
    assert (status, "more than 256 lines" in body) == ("431", True)
    if version == "--http1.1":  # curl sends no more than 64 kB over HTTP/2
        for size in (66_000, 85_000):
            body, status = asked(f"Cookie: a={'x' * size}")
            assert (status, "larger than 64 kB" in body) == ("431", True), size
        # More than a buffer holds: HAProxy's own 400, or the end of the connection before it is read.
        assert asked(f"Cookie: a={'x' * 120_000}")[1] in ("400", "000")


def test_heads_of_answers_pass_up_to_the_limit_and_are_told_why_beyond(ports, family, version):
    for query in ("lines=1&bytes=60000", "lines=250&bytes=200"):
        assert curl(ports, f"https://plain.example.org/?{query}", family, version)[1] == "200", query
    for query in ("lines=1&bytes=120000", "lines=600"):
        body, status = curl(ports, f"https://plain.example.org/?{query}", family, version)
        assert (status, "a head of more than 64 kB" in body) == ("502", True), query


def test_what_is_sent_is_limited_by_what_is_said_of_it(ports, family, version, tmp_path):
    file = tmp_path / "sent"
    # A megabyte is still being sent when it is known that it is too much.
    for size, wanted in ((20_000, "200"), (20_001, "413"), (1_000_000, "413")):
        file.write_bytes(bytes(size))
        assert curl(ports, "https://small.example.org/", family, version, "--data-binary", f"@{file}")[1] == wanted
    assert curl(ports, "https://small.example.org/", family, version)[1] == "200"


def test_what_does_not_say_how_large_it_is_is_not_taken(ports, family, version, tmp_path):
    """Of a pipe curl does not know it."""
    file = tmp_path / "sent"
    file.write_bytes(bytes(1_000_000))
    with file.open("rb") as sent:
        assert curl(ports, "https://small.example.org/", family, version, "--upload-file", "-", stdin=sent)[1] == "411"


@pytest.mark.parametrize("method", ["GET", "DELETE", "REPORT"])
def test_nor_where_the_method_brings_something_that_seldom_does(ports, family, version, method, tmp_path):
    file, how = tmp_path / "sent", ("--request", method, "--upload-file", "-")
    file.write_bytes(bytes(1_000_000))
    with file.open("rb") as sent:
        assert curl(ports, "https://small.example.org/", family, version, *how, stdin=sent)[1] == "411"
    assert curl(ports, "https://small.example.org/", family, version, "--request", method)[1] == "200"


def test_who_is_refused_is_told_so_whatever_he_sends(ports, version, tmp_path):
    file = tmp_path / "sent"
    file.write_bytes(bytes(1_000_000))
    body, status = curl(ports, "https://closed.example.org/", "IPv4", version, "--data-binary", f"@{file}")
    assert (status, "Not for you" in body) == ("403", True)


def test_only_those_may_come_that_are_named_and_what_is_down_says_so_to_all(ports, version):
    assert curl(ports, "https://closed.example.org/", "IPv6", version)[1] == "200"
    body, status = curl(ports, "https://closed.example.org/", "IPv4", version)
    assert (status, "Not for you" in body) == ("403", True)
    assert curl(ports, "https://down.example.org/", "IPv4", version)[1] == "503"


@pytest.mark.parametrize("name", FORGED)
def test_what_a_visitor_claims_in_the_words_of_proxies_reaches_no_application(ports, version, name):
    body, status = curl(ports, "https://plain.example.org/", "IPv6", version, "--header", f"{name}: 198.51.100.66")
    assert status == "200"
    assert "198.51.100.66" not in body
    told = {key.lower(): value for key, value in json.loads(body)}
    assert told["x-forwarded-for"] == "::1"
    assert told["x-forwarded-proto"] == "https"
    assert told["x-forwarded-host"] == "plain.example.org"
    assert told["x-forwarded-port"] == "443"


def test_a_site_that_is_served_over_http_alone_answers_challenges_itself(ports):
    body, status = curl(ports, "http://busy.example.org/.well-known/acme-challenge/abc", "IPv4", "--http1.1")
    assert status == "200"
    assert ["x-forwarded-proto", "http"] in [[key.lower(), value] for key, value in json.loads(body)]


def test_a_trusted_proxy_names_the_visitor_and_nobody_else_does(ports, version):
    said = ("--header", "X-Forwarded-For: 198.51.100.1, 203.0.113.9")
    for family, site, seen in (
        ("IPv4", "behind", "203.0.113.9"), ("IPv6", "behind", "::1"), ("IPv4", "plain", "127.0.0.1"),
    ):  # fmt: skip
        body, _ = curl(ports, f"https://{site}.example.org/", family, version, *said)
        assert [value for name, value in json.loads(body) if name.lower() == "x-forwarded-for"] == [seen]
    body, _ = curl(ports, "https://behind.example.org/", "IPv4", version, "--header", "X-Forwarded-For: 2001:db8::7")
    assert ["x-forwarded-for", "2001:db8::7"] in json.loads(body)


def test_two_hundred_visitors_within_their_limit_lose_nothing_while_one_floods(ports):
    done = threading.Event()

    def asked(source: str, most: int) -> Counter[int]:
        seen: Counter[int] = Counter()
        connection = http.client.HTTPConnection("127.0.0.1", ports["http"], timeout=30, source_address=(source, 0))
        while seen.total() < most and not (most > 20 and done.is_set()):
            connection.request("GET", "/", headers={"Host": "busy.example.org"})
            answer = connection.getresponse()
            answer.read()
            seen[answer.status] += 1
            assert answer.status == 200 or answer.headers["Retry-After"] == "60"
        connection.close()
        return seen

    with ThreadPoolExecutor(20) as visitors, ThreadPoolExecutor(4) as flood:
        flooding = [flood.submit(asked, "127.0.9.9", 100_000) for _ in range(4)]
        within = [visitors.submit(asked, f"127.0.8.{number}", 20) for number in range(1, 201)]
        seen = [one.result() for one in within]
        done.set()
        flooded = sum((one.result() for one in flooding), Counter())
    assert seen == [Counter({200: 20})] * 200
    # Each of the proxy's threads counts a request after it let it in: of four at once three may be one too many.
    assert 20 <= flooded[200] < 20 + 4
    assert flooded[429] > 100
