"""A renewed certificate on its way to the other servers of its name: when which job is started."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.unit.scripts import load
from tests.unit.test_swarm_tools import TOOLS

module = load(TOOLS / "apiary_certificates.py")
SAME, OTHER = "a" * 64, "b" * 64
PEER = "203.0.113.8"


class Docker:
    """A job for certificates, and another one; what was started."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.started, self.status = folder, list[str](), "exited"
        self.env = [f'OBTAINED_BY={{"shop.example.net": "{PEER}"}}', "EMAIL=x"]
        self.map(SAME)

    def map(self, word: str) -> None:
        (self.folder / "acme.map").write_text(f"thumbprint t\nabc word\n{'0' * 32} {word}\n")

    def ask(self, method: str, path: str, body: object = None) -> Any:
        there = urlsplit(path)
        if there.path == "/containers/json":
            assert json.loads(parse_qs(there.query)["filters"][0])["status"] == ["exited"]
            labelled = [("c1", "jobs.certbot"), ("c2", "jobs.hasetup"), ("c3", "applications.shop")]
            return [
                {"Id": id, "Labels": {"apiary.resource": name}} for id, name in labelled * (self.status == "exited")
            ]
        _, kind, id, *what = there.path.split("/")
        if (method, kind, what) == ("POST", "containers", ["start"]):
            return self.started.append(id)
        env = {"c1": self.env, "c2": ["EMAIL=x"]}[id]
        mounts = [{"Destination": "/etc/haproxy", "Source": str(self.folder)}]
        return {"Id": id, "Name": f"/{id}", "Config": {"Env": env}, "Mounts": mounts}


@pytest.fixture
def docker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Docker:
    made = Docker(tmp_path)
    monkeypatch.setattr(module, "ask", made.ask)
    return made


def look(tried: dict[str, Any], said: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "asked", lambda address, domain: {(PEER, "shop.example.net"): said}[address, domain])
    module.look(tried)


def test_the_job_runs_once_for_what_another_server_has(docker: Docker, monkeypatch: pytest.MonkeyPatch) -> None:
    tried: dict[str, Any] = {}
    look(tried, SAME, monkeypatch)
    look(tried, None, monkeypatch)
    assert docker.started == [], "it is what is here, or away"
    look(tried, OTHER, monkeypatch)
    look(tried, OTHER, monkeypatch)
    assert docker.started == ["c1"], "what it did not take it will not take the second time"
    look(tried, "c" * 64, monkeypatch)
    docker.map("c" * 64)
    look(tried, "c" * 64, monkeypatch)
    assert docker.started == ["c1", "c1"]


def test_who_obtains_them_follows_nobody(docker: Docker, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that renews all at each run would go on for ever."""
    docker.env = ['PEERS={"shop.example.net": ["203.0.113.8"]}', "OBTAINED_BY={}", "RENEW_DAYS=9999"]
    look({}, OTHER, monkeypatch)
    assert docker.started == []


def test_one_that_runs_is_let_end_and_looked_at_again(docker: Docker, monkeypatch: pytest.MonkeyPatch) -> None:
    tried: dict[str, Any] = {}
    docker.status = "running"
    look(tried, OTHER, monkeypatch)
    docker.status = "exited"
    look(tried, OTHER, monkeypatch)
    assert docker.started == ["c1"]


def test_what_could_not_be_started_is_tried_again(docker: Docker, monkeypatch: pytest.MonkeyPatch) -> None:
    tried: dict[str, Any] = {}
    monkeypatch.setattr(docker, "started", None)
    with pytest.raises(AttributeError):
        look(tried, OTHER, monkeypatch)
    assert tried == {}


def test_a_server_that_hands_nothing_out_yet_takes_what_there_is(
    docker: Docker, monkeypatch: pytest.MonkeyPatch
) -> None:
    (docker.folder / "acme.map").unlink()
    look({}, OTHER, monkeypatch)
    assert docker.started == ["c1"]


class Answer(http.server.BaseHTTPRequestHandler):
    status, body = 200, OTHER

    def do_GET(self) -> None:
        assert self.headers["Host"] == "shop.example.net"
        self.send_response(self.status if self.path.endswith("/apiary-certificate/" + "0" * 32) else 404)
        self.end_headers()
        self.wfile.write(self.body.encode())

    def log_message(self, *_: object) -> None:
        """It is a test's."""


@pytest.fixture
def proxy(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Answer]]:
    class Own(Answer):
        pass

    with http.server.HTTPServer(("127.0.0.1", 0), Own) as server:
        monkeypatch.setattr(module, "PORT", server.server_port)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield Own
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(
    ("status", "body", "word"),
    [(200, OTHER, OTHER), (301, OTHER, None), (503, OTHER, None), (200, "<html>", None), (200, OTHER + "c", None)],
)
def test_a_proxys_word_is_taken_for_one_and_nothing_else(
    proxy: type[Answer], status: int, body: str, word: str | None
) -> None:
    proxy.status, proxy.body = status, body
    assert module.asked("127.0.0.1", "shop.example.net") == word


def test_a_server_that_is_away_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PORT", 1)
    assert module.asked("127.0.0.1", "shop.example.net") is None
