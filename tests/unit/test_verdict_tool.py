"""The verdict on an update: what visitors get, asked of a proxy on this machine."""

from __future__ import annotations

import datetime
import http.server
import io
import json
import os
import socket
import socketserver
import ssl
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.unit.scripts import load

TOOLS = Path(__file__).parents[2] / "playbooks" / "roles" / "tools" / "files"
os.environ["APIARY_LIB"] = str(TOOLS)
tool = load(TOOLS / "apiary-verdict")
health = sys.modules["apiary_health"]  # the tool's own

# (Host, path) -> status, or where it leads.
Answers = dict[tuple[str, str], int | str]
HOME = "127.0.0.1"
BLOG = {"app": "blog", "path": "/", "status": "200-399", "www": True, "tls": False}


class Dual(socketserver.ThreadingMixIn, http.server.HTTPServer):
    """Both families on one port, as the proxy is asked."""

    address_family = socket.AF_INET6
    daemon_threads = True

    def server_bind(self) -> None:
        self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        super().server_bind()


@pytest.fixture
def serve() -> Iterator[Callable[..., int]]:
    """Starts a server that gives these answers, 421 for all others, and returns its port."""
    running = []

    def start(answers: Answers, asked: list[str] | None = None, context: ssl.SSLContext | None = None) -> int:
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                host = str(self.headers["Host"])
                if asked is not None:
                    asked.append(f"{'IPv4' if '.' in self.client_address[0] else 'IPv6'} {host}{self.path}")
                found = answers.get((host, self.path), 421)
                self.send_response(found if isinstance(found, int) else 301)
                if isinstance(found, str):
                    self.send_header("Location", found)
                self.end_headers()

            def log_message(self, *arguments: object) -> None:
                pass

        server = Dual(("::", 0), Handler)
        if context:
            server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        running.append(server)
        return int(server.server_address[1])

    yield start
    for server in running:
        server.shutdown()
        server.server_close()


class Host:
    """The server on which the update happened: its containers, its proxy, and what the proxy says of its servers."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.patch = patch
        self.containers: dict[str, dict[str, Any]] = {}
        self.doors: list[str] | None = ["::1", HOME]
        self.up: dict[str, str] = {}  # application -> what the proxy says of its only server
        self.weight = 1
        self.said: list[str] = []
        patch.setattr(tool, "running_proxy", lambda: None if self.doors is None else self.container("web", *self.doors))
        patch.setattr(tool, "socket_of", lambda proxy: "/run/admin.sock")
        patch.setattr(tool, "inspect", self.inspect)
        patch.setattr(tool.Proxy, "ask", lambda proxy, command: self.answer(command))
        patch.setattr(tool, "last_lines", lambda container: ["its last word"])
        patch.setattr(tool, "PATIENCE_SECONDS", 0.3)
        patch.setattr(tool, "INTERVAL_SECONDS", 0.02)

    def container(self, name: str, *addresses: str, **state: object) -> dict[str, Any]:
        networks = {
            f"net{at}": {"GlobalIPv6Address" if ":" in address else "IPAddress": address}
            for at, address in enumerate(addresses)
        }
        started = datetime.datetime.now(datetime.UTC).isoformat()
        full = {"Status": "running", "Running": True, "ExitCode": 0, "StartedAt": started, **state}
        self.containers[name] = {"Id": name, "State": full, "NetworkSettings": {"Networks": networks}}
        return self.containers[name]

    def inspect(self, name: str) -> dict[str, Any]:
        if name not in self.containers:
            raise tool.HostError(f"docker inspect: no such container: {name}")
        return self.containers[name]

    def answer(self, command: str) -> str:
        self.said.append(command)
        if command != "show stat":
            self.weight = 1
            return ""
        rows = [
            f"app-{name},{name}-1,0,0,{status},{self.weight},L7STS,{HOME}:8080," for name, status in self.up.items()
        ]
        return "\n".join(["# pxname,svname,qcur,scur,status,weight,check_status,addr,", *rows])

    def visit(self, port: int, tls_port: int = 1) -> None:
        self.patch.setattr(tool, "PORTS", {"http": port, "https": tls_port})


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> Host:
    return Host(monkeypatch)


def told(applications: dict[str, dict[str, dict[str, Any]]], proxy: str = "p1") -> dict[str, Any]:
    """`applications`: name -> domain -> route; each runs in the container of its name."""
    return {
        "proxy": [proxy],
        "applications": {name: {"container": name, "sites": sites} for name, sites in applications.items()},
    }


def blog(host: Host, serve: Callable[..., int], answers: Answers, **route: object) -> dict[str, Any]:
    """A hive whose application answers so by itself."""
    host.container("blog", HOME)
    host.up.setdefault("blog", "UP")
    return told({"blog": {"example.com": {**BLOG, "port": serve(answers), **route}}})


def lines(verdict: Any, hive: dict[str, Any]) -> list[str]:
    return [
        finding.line(tool.Application(name, name, hive["applications"][name]["sites"]))
        for name, finding in verdict.failed.items()
    ]


GOOD: Answers = {("example.com", "/"): 200}


def through(port: int) -> Answers:
    """What the proxy gives visitors of a site that it serves."""
    return {**GOOD, ("www.example.com", "/"): f"http://example.com:{port}/"}


def proxied(host: Host, serve: Callable[..., int], asked: list[str] | None = None) -> Answers:
    """A proxy that serves it, whose answers can be changed."""
    answers: Answers = {}
    port = serve(answers, asked)
    answers |= through(port)
    host.visit(port)
    host.patch.setattr(tool.Application, "questions", _at(port, tool.Application.questions))
    return answers


def _at(port: int, questions: Callable[[Any], Iterator[Any]]) -> Callable[[Any], list[Any]]:
    """Redirects lead to where this proxy is."""

    def moved(application: Any) -> list[Any]:
        return [
            tool.Question(one.scheme, one.host, one.path, f"http://example.com:{port}/" if one.leads_to else None)
            for one in questions(application)
        ]

    return moved


def test_every_domain_is_asked_over_both_families_and_in_all_its_spellings(
    host: Host, serve: Callable[..., int]
) -> None:
    asked: list[str] = []
    proxied(host, serve, asked)
    verdict = tool.judge(blog(host, serve, GOOD), {})
    assert [application.name for application in verdict.proven] == ["blog"]
    assert sorted(asked) == [
        "IPv4 example.com/", "IPv4 www.example.com/", "IPv6 example.com/", "IPv6 www.example.com/"
    ]  # fmt: skip


def test_over_https_all_other_spellings_lead_there() -> None:
    sites = {"example.com": {**BLOG, "port": 8080, "path": "/up", "tls": True}}
    asked = {question.url: question.leads_to for question in tool.Application("blog", "blog", sites).questions()}
    assert asked == {
        "https://example.com/up": None,
        "http://example.com/up": "https://example.com/up",
        "https://www.example.com/up": "https://example.com/up",
        "http://www.example.com/up": "https://example.com/up",
    }


@pytest.mark.parametrize(
    ("site", "www", "leads"),
    [
        ({"www": "www"}, True, {"example.com": "http://www.example.com/", "www.example.com": None}),
        ({"www": "both"}, True, {"example.com": None, "www.example.com": None}),
        ({"www": "none"}, False, {"example.com": None}),
    ],
)
def test_www_is_asked_for_as_the_site_says(site: dict[str, Any], www: bool, leads: dict[str, str | None]) -> None:
    sites = {"example.com": {**BLOG, "port": 8080, "www": www, "site": site}}
    asked = {question.host: question.leads_to for question in tool.Application("blog", "blog", sites).questions()}
    assert asked == leads


@pytest.mark.parametrize(
    ("site", "status", "served"),
    [({"allow_from": ["203.0.113.0/24"]}, 403, True), ({"rate_limit": [5, 10]}, 429, True), ({}, 403, False),
     ({"allow_from": ["203.0.113.0/24"]}, 429, False), ({"allow_from": ["203.0.113.0/24"]}, 503, False)],
)  # fmt: skip
def test_a_proxy_that_lets_this_server_not_in_serves_and_no_other_refusal_does(
    serve: Callable[..., int], monkeypatch: pytest.MonkeyPatch, site: dict[str, Any], status: int, served: bool
) -> None:
    port = serve({("example.com", "/"): status})
    monkeypatch.setitem(tool.PORTS, "http", port)
    application = tool.Application("blog", "blog", {"example.com": {**BLOG, "port": 8080, "www": False, "site": site}})
    [question] = application.questions()
    assert (tool.wrong(question, application, "127.0.0.1") is None) is served


@pytest.mark.parametrize(("is_proxys", "said"), [(True, "answered 404, by the proxy itself"), (False, None)])
def test_what_nobody_serves_is_no_answer_of_an_application_whatever_counts(
    monkeypatch: pytest.MonkeyPatch, is_proxys: bool, said: str | None
) -> None:
    monkeypatch.setattr(tool, "ask", lambda *_, **__: health.Answer(404, "", is_proxys))
    route = {**BLOG, "port": 8080, "www": False, "visited": {"path": "/api", "status": "200-499"}}
    application = tool.Application("blog", "blog", {"example.com/api": route})
    [question] = application.questions()
    assert tool.wrong(question, application, "127.0.0.1") == said


@pytest.mark.parametrize("status", [401, 403, 404, 405])
def test_a_first_release_that_the_proxy_refuses_is_red_until_its_status_counts(
    host: Host, serve: Callable[..., int], status: int
) -> None:
    answers = proxied(host, serve)
    answers[("example.com", "/")] = 503
    host.up["blog"] = "DOWN"
    hive = blog(host, serve, {("example.com", "/"): status})
    (line,) = lines(tool.judge(hive, {}), hive)
    assert line.startswith("applications.blog: GET http://127.0.0.1:")
    assert f'answered {status} (health.path "/")' in line
    assert "says DOWN (L7STS)" in line
    assert "visitors: http://example.com:" in line
    assert "answered 503 over IPv6 and IPv4" in line
    assert line.endswith(
        "Set health.path to a path that answers 200-399, or name the statuses that count in health.status"
    )
    # What the stack file says then, and what the proxy makes of it.
    hive["applications"]["blog"]["sites"]["example.com"]["status"] = f"200-399,{status}"
    answers[("example.com", "/")], host.up["blog"] = status, "UP"
    assert not tool.judge(hive, {}).failed


def test_what_is_well_by_itself_is_red_when_the_proxy_does_not_pass_it_on(
    host: Host, serve: Callable[..., int]
) -> None:
    answers = proxied(host, serve)
    answers[("example.com", "/")] = 503
    hive = blog(host, serve, GOOD)
    (line,) = lines(tool.judge(hive, {}), hive)
    assert line.startswith("applications.blog: visitors: http://example.com:")
    assert "answered 503 over IPv6 and IPv4" in line


def test_one_family_alone_is_not_enough(host: Host, serve: Callable[..., int]) -> None:
    proxied(host, serve)
    hive = blog(host, serve, GOOD)
    host.doors = [HOME]
    assert "the proxy has no IPv6 address" in lines(tool.judge(hive, {}), hive)[0]
    host.doors = ["::2", HOME]  # nobody is there
    (line,) = lines(tool.judge(hive, {}), hive)
    assert "got no answer" in line
    assert "over IPv6" in line
    assert "IPv4" not in line


def test_the_old_container_s_answers_prove_nothing_of_the_new_one(host: Host, serve: Callable[..., int]) -> None:
    proxied(host, serve)
    hive = blog(host, serve, GOOD)
    host.containers["blog"]["NetworkSettings"]["Networks"]["more"] = {"IPAddress": "127.0.0.2"}
    host.up = {"blog": "UP 1/3"}  # not checked yet
    assert "backend app-blog says UP 1/3" in lines(tool.judge(hive, {}), hive)[0]
    host.containers["blog"]["NetworkSettings"]["Networks"] = {"net": {"IPAddress": "127.0.0.3"}}
    assert "app-blog does not list its container" in lines(tool.judge(hive, {}), hive)[0]


def test_replicas_that_still_have_the_name_of_a_container_are_told_with_the_way_out(
    host: Host, serve: Callable[..., int]
) -> None:
    proxied(host, serve)
    hive = blog(host, serve, GOOD)
    host.container("blog", "172.18.0.5")
    for net, is_told in (("10.201.64.0", False), ("127.0.0.9", True)):
        found = host.container("web", "::1", HOME)
        found["NetworkSettings"]["Networks"]["swarm"] = {"IPAddress": net, "IPPrefixLen": 20, "Gateway": ""}
        host.patch.setattr(tool, "running_proxy", lambda found=found: found)
        (line,) = lines(tool.judge(hive, {}), hive)
        assert "app-blog does not list its container" in line
        assert ("write it under another name" in line) == is_told


def test_a_proxy_with_an_old_configuration_is_red(host: Host, serve: Callable[..., int]) -> None:
    proxied(host, serve)
    hive = blog(host, serve, GOOD)
    host.up = {"other": "UP"}
    (line,) = lines(tool.judge(hive, {}), hive)
    assert "no backend app-blog: it runs with another configuration than the stack file's" in line


def test_a_server_that_a_cut_off_release_has_left_without_visitors_is_taken_back(
    host: Host, serve: Callable[..., int]
) -> None:
    proxied(host, serve)
    host.weight = 0
    assert not tool.judge(blog(host, serve, GOOD), {}).failed
    assert "set server app-blog/blog-1 weight 100%" in host.said


def test_without_a_proxy_nothing_is_served(host: Host, serve: Callable[..., int]) -> None:
    hive = blog(host, serve, GOOD)
    host.doors = None
    assert lines(tool.judge(hive, {}), hive) == ["applications.blog: no proxy runs on this server"]


def test_a_redirect_that_leads_elsewhere_is_no_answer(host: Host, serve: Callable[..., int]) -> None:
    answers = proxied(host, serve)
    answers[("www.example.com", "/")] = "http://example.org/"
    hive = blog(host, serve, GOOD)
    assert "answered 301, leading to http://example.org/ instead of" in lines(tool.judge(hive, {}), hive)[0]


def test_what_was_down_before_and_is_not_touched_is_said_and_fails_nothing(
    host: Host, serve: Callable[..., int], tmp_path: Path
) -> None:
    record = str(tmp_path / "lib" / "verdict.json")
    proxied(host, serve)
    answers: Answers = dict(GOOD)
    hive = blog(host, serve, answers)
    tool.write_record(record, hive, tool.judge(hive, {}))
    answers[("example.com", "/")] = 500
    # Neither an update of something else nor one of the proxy.
    for now in (hive, {**hive, "proxy": ["p2"]}):
        verdict = tool.judge(now, tool.read_record(record))
        assert not verdict.failed
        assert "applications.blog: GET" in verdict.untouched["blog"]
        tool.write_record(record, now, verdict)
    # One that touches it.
    hive["applications"]["blog"]["sites"]["example.com"]["www"] = False
    verdict = tool.judge(hive, tool.read_record(record))
    assert list(verdict.failed) == ["blog"]
    # And what has failed is not forgotten for having been looked at.
    tool.write_record(record, hive, verdict)
    assert list(tool.judge(hive, tool.read_record(record)).failed) == ["blog"]


def test_a_new_proxy_has_to_pass_on_what_is_well_by_itself(
    host: Host, serve: Callable[..., int], tmp_path: Path
) -> None:
    record = str(tmp_path / "verdict.json")
    answers = proxied(host, serve)
    hive = blog(host, serve, GOOD)
    tool.write_record(record, hive, tool.judge(hive, {}))
    answers[("example.com", "/")] = 503
    assert not tool.judge(hive, tool.read_record(record)).failed
    assert list(tool.judge({**hive, "proxy": ["p2"]}, tool.read_record(record)).failed) == ["blog"]


@pytest.mark.parametrize("text", ["", "{", "[]"])
def test_a_record_that_is_none_makes_everything_touched(tmp_path: Path, text: str) -> None:
    (tmp_path / "verdict.json").write_text(text)
    assert tool.read_record(str(tmp_path / "verdict.json")) == {}
    assert tool.read_record(str(tmp_path / "nowhere")) == {}


def test_what_comes_in_time_is_waited_for(host: Host, serve: Callable[..., int]) -> None:
    answers = proxied(host, serve)
    answers[("example.com", "/")] = 503
    host.patch.setattr(tool, "PATIENCE_SECONDS", 20)
    threading.Timer(0.3, lambda: answers.update({("example.com", "/"): 204})).start()
    assert not tool.judge(blog(host, serve, GOOD), {}).failed


def test_the_command_ends_red_with_a_line_each_and_green_with_the_sites(
    host: Host,
    serve: Callable[..., int],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    proxied(host, serve)
    monkeypatch.setenv("APIARY_RECORD", str(tmp_path / "verdict.json"))
    hive = blog(host, serve, GOOD)
    host.container("blog", HOME, Running=False, Status="exited", ExitCode=3)
    monkeypatch.setattr(sys, "stdin", io.StringIO(json.dumps(hive)))
    assert tool.main() == 1
    err = capsys.readouterr().err
    assert err.startswith("applications.blog: its container is exited, with exit code 3")
    assert "  its last word" in err
    host.container("blog", HOME)
    monkeypatch.setattr(sys, "stdin", io.StringIO(json.dumps(hive)))
    assert tool.main() == 0
    assert capsys.readouterr().out.startswith("example.com: served over IPv6 and IPv4 (")


def test_https_is_asked_by_name_whatever_the_certificate(serve: Callable[..., int], tmp_path: Path) -> None:
    """As long as the authority has given none, the proxy has one that it has signed itself."""
    names: list[str | None] = []
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(self_signed(tmp_path / "all.pem"))
    context.sni_callback = lambda _socket, name, _context: names.append(name)
    port = serve({("example.com", "/"): 200}, None, context)
    for address in ("::1", HOME):
        assert health.ask(address, port, "/", "example.com", tls=True).status == 200
    assert names == ["example.com", "example.com"]
    with pytest.raises(health.NoAnswerError):
        health.ask(HOME, 1, "/", "example.com", tls=True)


def self_signed(path: Path) -> Path:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "nobody's")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now)
        .not_valid_after(now + datetime.timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(private + certificate.public_bytes(serialization.Encoding.PEM))
    return path
