"""Passwords, compression, headers, maintenance and cookies of sites as visitors meet them: by a real HAProxy."""

from __future__ import annotations

import gzip
import http.client
import json
import re
import socket
import ssl
import subprocess
import threading
import time
import zlib
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.conformance.applications import Listener, Named, named, port
from tests.conformance.proxy import FAMILIES, curl, needs_proxy, running
from tests.unit.scripts import load

pytestmark = needs_proxy
ON = {"port": 8080, "tls": True, "www": False}
TOLD = {
    "plain.example.org": {**ON, "app": "plain"},
    "raw.example.org": {**ON, "app": "raw", "site": {"compress": False}},
    "secret.example.org": {**ON, "app": "secret", "site": {"password": ["anna", "b.ob@example.com"]}},
    "away.example.org": {**ON, "app": "away", "site": {"password": ["anna"], "allow_from": ["203.0.113.0/24"]}},
    "firm.example.org": {**ON, "app": "firm", "site": {"security_headers": True, "password": ["anna"]}},
    "sticky.example.org": {**ON, "app": "sticky", "site": {"sticky": True}},
    "loose.example.org": {**ON, "app": "loose"},
}
SECRET, OTHER = "correct horse 'batt%ry\" $taple", "pässword"
PASSWORDS = {
    "secret": {"anna": SECRET, "b.ob@example.com": OTHER},
    "away": {"anna": SECRET},
    "firm": {"anna": SECRET},
}
ANNA = ("--user", f"anna:{SECRET}")
MANY = ("one", "two", "three")


@dataclass(frozen=True)
class Proxy:
    """The proxy, its volume, and what is behind it."""

    ports: dict[str, int]
    folder: Path
    listening: dict[str, Listener]

    def say(self, command: str) -> str:
        """To its admin socket."""
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(self.folder / "run" / "admin.sock"))
            client.sendall(command.encode() + b"\n")
            return b"".join(iter(lambda: client.recv(65536), b"")).decode()


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    with named("plain", "raw", "secret", "firm", *MANY) as listening:
        here: dict[str, int | list[int]] = {name: port(listening[name]) for name in ("plain", "raw", "secret", "firm")}
        here |= {name: [port(listening[one]) for one in MANY] for name in ("sticky", "loose")}
        folder = tmp_path_factory.mktemp("proxy")
        with running(folder, TOLD, here, passwords=PASSWORDS) as ports:
            yield Proxy(ports, folder, listening)


def test_only_who_knows_a_password_comes_in_and_the_application_does_not_see_it(proxy, family, version):
    for user in (ANNA, ("--user", f"b.ob@example.com:{OTHER}")):
        for _ in range(2):  # the second time it is known already
            body, status = curl(proxy.ports, "https://secret.example.org/", family, version, *user)
            assert status == "200", body
            assert "authorization" not in dict(json.loads(body)["head"])
    asks = "%{http_code} %header{www-authenticate}"
    wanted = '401 Basic realm="secret.example.org", charset="UTF-8"'
    for user in ((), ("--user", f"anna:{OTHER}"), ("--user", f"eve:{SECRET}"), ("--header", "Authorization: Bearer x")):
        body, told = curl(proxy.ports, "https://secret.example.org/", family, version, *user, shown=asks)
        assert (told, "a name and a password" in body) == (wanted, True)
    proxy.say("clear table guesses-secret")


def test_a_password_makes_no_other_one_known(proxy):
    """Of two that are sent the first is looked at, and it alone is known from then on."""
    made_up = "Authorization: Basic bWFkZTp1cA=="
    url, how = "https://secret.example.org/", ("IPv4", "--http1.1")
    curl(proxy.ports, url, *how, "--header", f"Authorization: Basic {b64encode(f'anna:{SECRET}'.encode()).decode()}",
         "--header", made_up)  # fmt: skip
    assert curl(proxy.ports, url, *how, "--header", made_up)[1] == "401"
    proxy.say("clear table guesses-secret")


def test_what_is_sent_to_who_knows_no_password_is_refused_with_the_reason(proxy, version, tmp_path):
    file = tmp_path / "sent"
    file.write_bytes(bytes(1_000_000))
    sent = ("--data-binary", f"@{file}")
    assert curl(proxy.ports, "https://secret.example.org/", "IPv4", version, *sent)[1] == "401"
    assert curl(proxy.ports, "https://secret.example.org/", "IPv4", version, *sent, *ANNA)[1] == "200"


def test_what_is_down_asks_nobody_for_a_password_and_lets_nobody_in(proxy, version):
    for user in ((), ANNA):
        assert curl(proxy.ports, "https://away.example.org/", "IPv4", version, *user)[1] == "503"


def test_challenges_and_redirects_ask_for_no_password(proxy):
    body, status = curl(proxy.ports, "http://secret.example.org/.well-known/acme-challenge/abc", "IPv4", "--http1.1")
    assert (status, body) == ("200", "abc.account")
    led = curl(proxy.ports, "http://secret.example.org/x", "IPv4", "--http1.1", shown="%{http_code} %header{location}")
    assert led[1] == "301 https://secret.example.org/x"


def test_who_guesses_waits_and_who_knows_does_not_even_from_the_same_address(proxy):
    site = "https://secret.example.org/"
    try:
        assert curl(proxy.ports, site, "IPv4", "--http2", *ANNA)[1] == "200"
        seen = [curl(proxy.ports, site, "IPv4", "--http2", "--user", f"anna:{number}")[1] for number in range(12)]
        assert seen == ["401"] * 10 + ["429"] * 2
        assert curl(proxy.ports, site, "IPv4", "--http2", *ANNA)[1] == "200"
        assert curl(proxy.ports, site, "IPv4", "--http2")[1] == "401"  # who says nothing guesses nothing
        assert curl(proxy.ports, site, "IPv6", "--http2", "--user", f"anna:{OTHER}")[1] == "401"
    finally:
        proxy.say("clear table guesses-secret")


def test_no_password_stands_in_the_configuration(proxy):
    text = (proxy.folder / "haproxy.cfg").read_text()
    assert len(set(re.findall(r"user \S+ password (\$6\$\S+)", text))) == 4  # the same one is another hash elsewhere
    assert not any(password in text for users in PASSWORDS.values() for password in users.values())


def compressed(proxy: Proxy, site: str, query: str, *options: str, family: str, version: str) -> tuple[str, str, bytes]:
    """(what is told of the coding and the caching, the length that is told, the body)."""
    url = f"https://{site}.example.org:{proxy.ports['https']}/?{query}"
    done = subprocess.run(
        ["curl", "-sSk", "--globoff", version, "--noproxy", "*", "--max-time", "20", "-D", "-", "--connect-to",
         f"{site}.example.org:{proxy.ports['https']}:{FAMILIES[family]}:{proxy.ports['https']}",
         *(options or ("-H", "Accept-Encoding: gzip, br")), url],
        capture_output=True, check=True,
    ).stdout  # fmt: skip
    head, _, body = done.partition(b"\r\n\r\n")
    found = {key.lower(): value for key, _, value in (line.partition(": ") for line in head.decode().split("\r\n"))}
    return found.get("content-encoding", ""), found.get("content-length", ""), body


def test_text_is_compressed_and_stays_what_it_is(proxy, family, version):
    for media in ("text/html; charset=utf-8", "application/json", "image/svg+xml"):
        coding, length, body = compressed(
            proxy, "plain", f"bytes=20000&type={media.replace(' ', '%20').replace('+', '%2B')}",
            family=family, version=version,
        )  # fmt: skip
        assert (coding, length, gzip.decompress(body)) == ("gzip", "", b"word " * 4000), media
        assert len(body) < 2000


@pytest.mark.parametrize(
    ("site", "query", "options"),
    [
        ("plain", "bytes=20000&type=image/png", ()),
        ("plain", "bytes=20000&type=application/zip", ()),
        ("plain", "bytes=20000&type=text/event-stream", ()),
        ("plain", "bytes=20000&type=text/html&head=Cache-Control:%20no-transform", ()),
        ("plain", "bytes=20000&type=text/html&status=404", ()),
        ("plain", "bytes=20000&type=text/html", ("-H", "Accept-Encoding: br")),
        ("raw", "bytes=20000&type=text/html", ()),
    ],
)
def test_what_would_not_gain_by_it_is_sent_as_it_is(proxy, version, site, query, options):
    coding, length, body = compressed(proxy, site, query, *options, family="IPv4", version=version)
    assert (coding, body) == ("", b"word " * (int(length) // 5))


def test_what_is_encoded_already_is_sent_as_it_is(proxy, version):
    query = "bytes=20000&type=text/html&head=Content-Encoding:%20br"
    coding, length, body = compressed(proxy, "plain", query, family="IPv6", version=version)
    assert (coding, length, body) == ("br", "20000", b"word " * 4000)


def test_a_text_that_is_said_in_pieces_arrives_in_pieces(proxy):
    """Compressed, and not held back until it is whole: but for the end of a piece, which goes with the next one."""
    Named.go.clear()
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    plain = socket.create_connection(("127.0.0.1", proxy.ports["https"]), 20)
    with context.wrap_socket(plain, server_hostname="plain.example.org") as visitor:
        connection = http.client.HTTPConnection("plain.example.org", timeout=20)
        connection.sock = visitor
        head = {"Accept-Encoding": "gzip"}
        connection.request("GET", "/?bytes=5000&type=text/plain&parts=2", headers=head)
        answer = connection.getresponse()
        assert answer.headers["Content-Encoding"] == "gzip"
        unpacked, reader, begun = b"", zlib.decompressobj(31), time.monotonic()
        while len(unpacked) < 4000:
            unpacked += reader.decompress(answer.read1(65536))
        assert time.monotonic() - begun < 15, "by then the second piece comes by itself"
        Named.go.set()
        unpacked += reader.decompress(answer.read())
    assert unpacked == b"word " * 2000


def test_security_headers_are_set_unless_the_application_says_otherwise(proxy, version):
    names = ("x-content-type-options", "referrer-policy", "x-frame-options")
    shown = "|".join(f"%header{{{name}}}" for name in names)

    def told(site: str, query: str = "", *options: str) -> str:
        return curl(proxy.ports, f"https://{site}.example.org/?{query}", "IPv4", version, *options, shown=shown)[1]

    assert told("firm", "", *ANNA) == "nosniff|strict-origin-when-cross-origin|SAMEORIGIN"
    assert told("firm") == "nosniff|strict-origin-when-cross-origin|SAMEORIGIN"  # of the refusal
    own = "head=X-Frame-Options:%20DENY&head=Referrer-Policy:%20no-referrer"
    assert told("firm", own, *ANNA) == "nosniff|no-referrer|DENY"
    policy = "head=Content-Security-Policy:%20default-src%20*;%20Frame-Ancestors%20https://a.example"
    assert told("firm", policy, *ANNA) == "nosniff|strict-origin-when-cross-origin|"
    assert told("plain") == "||"


def test_maintenance_closes_a_site_at_once_and_lets_in_who_is_named_and_who_looks_after_it(proxy, version):
    site, shown = "https://plain.example.org/", "%{http_code} %header{retry-after} %header{apiary-state}"
    table = f"{proxy.folder}/maintenance.map"
    after = ("--user-agent", "apiary-health")
    try:
        proxy.say(f"add map {table} plain 1764400000")
        for family in FAMILIES:
            body, told = curl(proxy.ports, site, family, version, shown=shown)
            assert (told, "being worked on" in body) == ("503 120 maintenance", True)
            assert curl(proxy.ports, site, family, version, *after, shown=shown)[1] == "200  maintenance"
        assert curl(proxy.ports, f"{site}x", "IPv4", version, *after)[1] == "503"
        assert curl(proxy.ports, site, "IPv4", version, *after, "--data", "x")[1] == "503"
        assert curl(proxy.ports, "https://raw.example.org/", "IPv4", version)[1] == "200"
        proxy.say(f"add map {table} plain@127.0.0.1 let-in")
        assert curl(proxy.ports, f"{site}x", "IPv4", version, "--data", "x")[1] == "200"
        assert curl(proxy.ports, site, "IPv6", version)[1] == "503"
        proxy.say(f"add map {table} plain@:: let-in")  # the /64 of ::1
        assert curl(proxy.ports, site, "IPv6", version)[1] == "200"
    finally:
        proxy.say(f"clear map {table}")
    assert curl(proxy.ports, site, "IPv4", version, shown=shown)[1] == "200  "


def visits(proxy: Proxy, site: str, how: tuple[str, str], count: int, kept: str = "") -> tuple[list[str], str]:
    """Who has answered, and the cookie that was given; asked over (family, version)."""
    seen = []
    for _ in range(count):
        options = ("--header", f"Cookie: other=1; {kept}") if kept else ()
        shown = "%header{set-cookie}"
        body, given = curl(proxy.ports, f"https://{site}.example.org/", *how, *options, shown=shown)
        seen.append(json.loads(body)["name"])
        assert not (kept and given), "a visitor who has a cookie is given no other"
        kept = kept or given.partition(";")[0]
    return seen, kept


def test_a_cookie_keeps_a_visitor_on_one_of_many_and_visitors_are_on_all(proxy, family, version):
    found = [visits(proxy, "sticky", (family, version), 4) for _ in range(16)]
    assert all(len(set(seen)) == 1 for seen, _ in found)
    assert {seen[0] for seen, _ in found} == set(MANY)
    assert len(set(visits(proxy, "loose", (family, version), 4)[0])) > 1
    given = curl(proxy.ports, "https://sticky.example.org/", family, version, shown="%header{set-cookie}")[1]
    assert re.fullmatch(r"apiary_sticky=[0-9a-f]{3}; Path=/; HttpOnly; SameSite=Lax; Secure", given)


def test_a_forged_cookie_is_replaced(proxy):
    seen = curl(
        proxy.ports, "https://sticky.example.org/", "IPv4", "--http2", "--header", "Cookie: apiary_sticky=zzzz",
        shown="%header{set-cookie}",
    )[1]  # fmt: skip
    assert seen.startswith("apiary_sticky=")


def test_a_visitor_of_a_container_that_goes_moves_at_once_and_the_others_stay(proxy):
    """As a release takes it out of rotation: nobody waits for its visitors, and none sees an error."""
    found = dict.fromkeys(MANY, "")
    while not all(found.values()):
        (name,), cookie = visits(proxy, "sticky", ("IPv4", "--http2"), 1)
        found[name] = found[name] or cookie
    try:
        proxy.say("set server app-sticky/sticky-1 weight 0")
        moved, _ = visits(proxy, "sticky", ("IPv4", "--http2"), 4, found["one"])
        assert len(set(moved)) == 1
        assert moved[0] != "one"
        for name in ("two", "three"):
            assert set(visits(proxy, "sticky", ("IPv4", "--http2"), 2, found[name])[0]) == {name}
    finally:
        proxy.say("set server app-sticky/sticky-1 weight 100%")
    assert visits(proxy, "sticky", ("IPv4", "--http2"), 1, found["one"])[0] == ["one"]


def test_a_visitor_of_a_container_that_dies_is_answered_by_another(proxy):
    done = threading.Event()
    answers = []

    def ask() -> None:
        while not done.is_set():
            answers.append(curl(proxy.ports, "https://sticky.example.org/", "IPv4", "--http2", "--data", "x")[1])

    visitors = [threading.Thread(target=ask) for _ in range(3)]
    for visitor in visitors:
        visitor.start()
    three = proxy.listening["three"]
    until = time.monotonic() + 30
    while len(answers) < 10 and time.monotonic() < until:
        time.sleep(0.05)
    three.shutdown()
    three.socket.close()
    seen = len(answers)
    while len(answers) < seen + 30 and time.monotonic() < until:
        time.sleep(0.05)
    done.set()
    for visitor in visitors:
        visitor.join()
    assert len(answers) >= seen + 30
    assert set(answers) == {"200"}


def test_the_host_s_verb_closes_a_site_in_a_running_proxy_and_in_one_that_is_started_anew(tmp_path, monkeypatch):
    tools = Path(__file__).parents[2] / "playbooks" / "roles" / "tools" / "files"
    monkeypatch.setenv("APIARY_LIB", str(tools))
    tool = load(tools / "apiary-maintenance")
    monkeypatch.setattr(tool, "admin_socket", lambda: str(tmp_path / "run" / "admin.sock"))
    monkeypatch.setattr(tool, "CONFIG_FOLDER", str(tmp_path))
    told = {name: site for name, site in TOLD.items() if site["app"] in ("plain", "raw")}

    def statuses(ports: dict[str, int]) -> list[str]:
        return [curl(ports, f"https://{name}/x", "IPv4", "--http2")[1] for name in sorted(told)]

    with named("plain", "raw") as listening:
        here = {name: port(listener) for name, listener in listening.items()}
        with running(tmp_path, told, here) as ports:
            for _ in range(2):
                assert tool.main(["on", "plain", "192.0.2.1"]) == 0
                assert statuses(ports) == ["503", "200"]
            # As if a run had been cut off before the proxy was told.
            tool.Proxy(tool.admin_socket()).ask(f"clear map {tmp_path}/maintenance.map")
            assert statuses(ports) == ["200", "200"]
            assert tool.main(["on", "plain", "192.0.2.1"]) == 0
            assert statuses(ports) == ["503", "200"]
        with running(tmp_path, told, here) as ports:
            assert statuses(ports) == ["503", "200"]
            assert tool.main(["on", "plain", "127.0.0.1"]) == 0
            assert statuses(ports) == ["200", "200"]
            assert tool.main(["on", "plain"]) == 0
            assert statuses(ports) == ["503", "200"]
            assert tool.main(["off", "plain"]) == 0
            assert statuses(ports) == ["200", "200"]
            assert tool.main(["on", "nobody"]) == 1
