"""What `make status` says to `python3` where visitors are: names asked of a real name server, sites of real servers."""

from __future__ import annotations

import datetime
import http.server
import json
import socket
import socketserver
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from lab.dns import Zones, respond
from operations.status import visit

DAY = datetime.timedelta(days=1)
RECORDS = [
    {"type": "A", "name": "", "data": "127.0.0.1"},
    {"type": "AAAA", "name": "", "data": "::1"},
    {"type": "A", "name": "deaf", "data": "127.0.0.1"},
    {"type": "CNAME", "name": "alias", "data": "example.com"},
    {"type": "NS", "name": "", "data": "ns1.vultr.com"},
    {"type": "NS", "name": "", "data": "ns2.vultr.com"},
]
SITE = {"domain": "example.com", "host": "example.com", "zone": "example.com", "path": "/up", "tls": False}


class Udp(socketserver.ThreadingUDPServer):
    daemon_threads = True


@pytest.fixture
def zone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[list[dict[str, Any]]]:
    """The zone example.com at the name servers of 127.0.0.1, which is this machine's resolver as well."""
    records = list(RECORDS)

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            packet, client = self.request
            zones = Zones({"domains": {"example.com": {"records": records}}}, "10.88.0.0/16", "2001:db8:77::/48")
            client.sendto(respond(zones, packet, False, "127.0.0.1") or b"", self.client_address)

    with Udp(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        monkeypatch.setitem(visit.PORTS, "dns", server.server_address[1])
        resolver = tmp_path / "resolv.conf"
        resolver.write_text("search example.org\nnameserver 127.0.0.1\n")
        monkeypatch.setattr(visit, "RESOLVERS", str(resolver))
        real = socket.getaddrinfo

        def told(name: str, *rest: Any) -> Any:
            return real("127.0.0.1" if name in ("ns1.vultr.com", "ns2.vultr.com") else name, *rest)

        monkeypatch.setattr(socket, "getaddrinfo", told)
        yield records
        server.shutdown()


class Dual(socketserver.ThreadingMixIn, http.server.HTTPServer):
    address_family = socket.AF_INET6
    daemon_threads = True

    def server_bind(self) -> None:
        self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        super().server_bind()


class Answering(http.server.BaseHTTPRequestHandler):
    """Answers with the status in the path's last part, 200 at `/up`; its first part is what the proxy says of it."""

    def do_GET(self) -> None:
        assert (self.headers["Host"], self.headers["User-Agent"]) == ("example.com", "apiary-health")
        state, status = self.path[1:].rpartition("/")[::2]
        self.send_response(200 if status == "up" else int(status))
        if state:
            self.send_header("Apiary-State", state)
        self.end_headers()

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    running = []

    def start(scheme: str = "http", context: ssl.SSLContext | None = None) -> None:
        server = Dual(("::", 0), Answering)
        if context:
            server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        monkeypatch.setitem(visit.PORTS, scheme, server.server_address[1])
        running.append(server)

    yield start
    for server in running:
        server.shutdown()
        server.server_close()


def test_the_zone_s_own_name_servers_are_found_and_asked(zone: list[dict[str, Any]]) -> None:
    servers = visit.name_servers("example.com")
    assert servers == [("ns1.vultr.com", "127.0.0.1"), ("ns2.vultr.com", "127.0.0.1")]
    assert visit.look_up("example.com", "IPv4", servers) == (["127.0.0.1"], "ns1.vultr.com")
    assert visit.look_up("example.com", "IPv6", servers) == (["::1"], "ns1.vultr.com")
    assert visit.look_up("alias.example.com", "IPv6", servers) == (["::1"], "ns1.vultr.com"), "an alias is followed"
    assert visit.look_up("nobody.example.com", "IPv6", servers) == ([], "ns1.vultr.com")
    zone[0] = {**zone[0], "data": "127.0.0.9"}
    assert visit.look_up("example.com", "IPv4", servers)[0] == ["127.0.0.9"], "nothing is remembered"


def test_the_region_of_the_lab_stands_for_the_zones_name_servers_and_for_nothing_else_of_their_domain() -> None:
    zones = Zones(
        {}, "10.88.0.0/16", "2001:db8:77::/48", {"ns1.vultr.com": "10.88.0.53", "git.lab.internal": "10.88.0.60"}
    )
    assert visit.answers(respond(zones, visit.question("ns1.vultr.com", 1, 7), False, "") or b"", 1) == ["10.88.0.53"]
    assert visit.answers(respond(zones, visit.question("git.lab.internal", 1, 7), False, "") or b"", 1) == [
        "10.88.0.60"
    ]
    assert zones.zone_of("api.vultr.com") is None


def test_where_no_name_server_answers_the_machine_s_resolver_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as deaf:
        deaf.bind(("127.0.0.1", 0))
        monkeypatch.setitem(visit.PORTS, "dns", deaf.getsockname()[1])
        monkeypatch.setattr(visit, "DNS_SECONDS", 0.05)
        assert visit.look_up("localhost", "IPv4", [("ns1.vultr.com", "127.0.0.1")]) == (["127.0.0.1"], "")


@pytest.mark.parametrize(
    "packet", [b"", b"\0" * 11, b"\0\0\x81\x80\0\1\0\1\0\0\0\0\xc0\x0c", b"\0\0\x81\x85" + b"\0" * 8]
)
def test_what_is_no_reply_is_no_answer(packet: bytes) -> None:
    with pytest.raises(visit.NoAnswerError):
        visit.answers(packet, 1)


@pytest.mark.usefixtures("zone")
def test_each_family_is_asked_at_what_the_zone_says(serve: Callable[..., None]) -> None:
    serve()
    servers = visit.name_servers("example.com")
    for family, address in (("IPv6", "::1"), ("IPv4", "127.0.0.1")):
        told = visit.visit(SITE, family, servers)
        assert (told["addresses"], told["status"], told["error"]) == ([address], 200, None)
        assert 0 <= told["ms"] < 5000
        assert visit.visit({**SITE, "path": "/503"}, family, servers)["status"] == 503
    told = visit.visit({**SITE, "host": "deaf.example.com"}, "IPv6", servers)
    assert (told["status"], told["error"]) == (None, "has no address in DNS")


@pytest.mark.usefixtures("zone")
@pytest.mark.parametrize(
    ("path", "maintenance", "nowhere"),
    [
        ("/404", False, False),
        ("/nowhere/404", False, True),
        ("/refused/403", False, False),
        ("/maintenance/200", True, False),
    ],
)
def test_what_the_proxy_says_of_a_site_is_told(
    serve: Callable[..., None], path: str, maintenance: bool, nowhere: bool
) -> None:
    serve()
    told = visit.visit({**SITE, "path": path}, "IPv6", visit.name_servers("example.com"))
    assert (told["maintenance"], told["nowhere"]) == (maintenance, nowhere)


@pytest.mark.usefixtures("zone")
def test_who_refuses_and_who_says_nothing_are_told_and_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    servers = visit.name_servers("example.com")
    with socket.create_server(("127.0.0.1", 0)) as listening:
        monkeypatch.setitem(visit.PORTS, "http", listening.getsockname()[1])
        monkeypatch.setattr(visit, "ANSWER_SECONDS", 0.1)
        told = visit.visit(SITE, "IPv4", servers)
        assert (told["status"], told["error"]) == (None, "no answer (timed out)")
    told = visit.visit(SITE, "IPv4", servers)
    assert told["error"] == "no answer (Connection refused)"
    assert told["no_route"] is False


@pytest.mark.usefixtures("zone")
def test_a_machine_without_a_way_to_a_family_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(*_: object) -> None:
        raise OSError(101, "Network is unreachable")

    monkeypatch.setattr(visit, "request", unreachable)
    assert visit.visit(SITE, "IPv6", visit.name_servers("example.com"))["no_route"] is True


@dataclass(frozen=True)
class Home:
    """Where a test's servers are at home."""

    serve: Callable[..., None]
    folder: Path
    patch: pytest.MonkeyPatch


@pytest.fixture
def home(serve: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    return Home(serve, tmp_path, monkeypatch)


def issued(tmp_path: Path, name: str, begins: datetime.timedelta, ends: datetime.timedelta) -> ssl.SSLContext:
    """A server's context with a certificate of its own making; `tmp_path/cert.pem`."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.datetime.now(datetime.UTC)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    built = (
        x509.CertificateBuilder().subject_name(subject).issuer_name(subject).public_key(key.public_key())
        .serial_number(1).not_valid_before(now + begins).not_valid_after(now + ends)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    (tmp_path / "cert.pem").write_bytes(built.public_bytes(serialization.Encoding.PEM))
    (tmp_path / "key.pem").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "cert.pem", tmp_path / "key.pem")
    return context


@pytest.mark.usefixtures("zone")
@pytest.mark.parametrize(
    ("name", "left", "trusted", "why"),
    [
        ("example.com", 3, True, None),
        ("example.com", 3, False, "self-signed certificate"),
        ("example.com", -1, True, "certificate has expired"),
        ("example.org", 3, True, "Hostname mismatch"),
    ],
)
def test_a_certificate_is_held_to_every_check_and_what_is_behind_a_bad_one_is_told_all_the_same(
    home: Home, name: str, left: int, trusted: bool, why: str | None
) -> None:
    home.serve("https", issued(home.folder, name, -87 * DAY, left * DAY))
    if trusted:
        home.patch.setenv("SSL_CERT_FILE", str(home.folder / "cert.pem"))
    told = visit.visit({**SITE, "tls": True}, "IPv6", visit.name_servers("example.com"))
    assert told["status"] == 200
    if why:
        assert (told["certificate"], why in told["distrust"]) == (None, True)
    else:
        seconds = told["certificate"]["ends"] - datetime.datetime.now(datetime.UTC).timestamp()
        assert 2.9 < seconds / DAY.total_seconds() <= 3
        assert told["distrust"] is None


def test_as_a_program_it_needs_nothing_but_python_and_ends_in_time_whatever_is_missing() -> None:
    """As it is said to `python3 -`: one site whose server says nothing, and one second."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        told = {"sites": [{**SITE, "domain": "localhost", "host": "localhost", "zone": "localhost"}], "seconds": 1}
        program = (
            f"{Path(visit.__file__).read_text()}\n"
            f"PORTS['http'] = {listening.getsockname()[1]}\nRESOLVERS = '/nowhere'\n"
            f"main(json.loads({json.dumps(told)!r}))\n"
        )
        done = subprocess.run(
            [sys.executable, "-I", "-"], input=program, capture_output=True, text=True, timeout=20, check=True
        )
    visits = [json.loads(line) for line in done.stdout.splitlines()]
    # Over IPv6 nobody listens, which is told at once; over IPv4 somebody who says nothing.
    assert [one["family"] for one in visits] == ["IPv6"]
