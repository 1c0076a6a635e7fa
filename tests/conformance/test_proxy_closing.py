"""What is closed before a release is closed to its first visitor, and to everybody where nobody may come by both rules.

By a real HAProxy on this machine, which hasetup tells as in a hive, but for paths and ports.
"""

from __future__ import annotations

import base64
import http.client
import json
import re
import subprocess
import threading
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from hasetup.__main__ import main
from hasetup.apply import EMPTY_STATE, Files
from hasetup.closing import NO_ADDRESS, NO_PASSWORD, NO_USER
from hasetup.config import render

from tests.conformance.applications import Application, Listener, container
from tests.conformance.names import Names
from tests.conformance.ports import free_port
from tests.conformance.proxy import PROGRAM, curl, needs_proxy, running

pytestmark = needs_proxy
CONTAINERS = free_port()  # of each, at an address of its own
SITES = {"password": {"password": [NO_USER]}, "address": {"allow_from": [NO_ADDRESS]}}
TOLD = {
    f"{app}.example.org": {"app": app, "port": 8080, "www": False, "tls": True, "site": site}
    for app, site in SITES.items()
}


@pytest.fixture(scope="module")
def ports(tmp_path_factory: pytest.TempPathFactory):
    def edited(text: str) -> str:
        text, count = re.subn(rf"(user {NO_USER} password )\S+", lambda match: match[1] + NO_PASSWORD, text)
        assert count == 1
        return text

    with Listener(("127.0.0.1", 0), Application) as listener:
        threading.Thread(target=listener.serve_forever, daemon=True).start()
        here = dict.fromkeys(SITES, listener.server_address[1])
        folder: Path = tmp_path_factory.mktemp("proxy")
        with running(folder, TOLD, here, edited, passwords={"password": {NO_USER: "another"}}) as found:
            yield found
        listener.shutdown()


@pytest.mark.parametrize("given", ["", "nobody", "another", "*", "$6$nobody$", NO_PASSWORD])
def test_no_password_is_the_one_that_nobody_has(ports, family, version, given):
    asked = curl(ports, "https://password.example.org/", family, version, "--user", f"{NO_USER}:{given}")
    assert asked[1] in ("401", "429"), "ten wrong ones are the last that are looked at"
    assert curl(ports, "https://password.example.org/", family, version)[1] == "401"


def test_nobody_comes_from_the_address_that_nobody_has(ports, family, version):
    assert curl(ports, "https://address.example.org/", family, version)[1] == "403"


class Visits:
    """What visitors of both families were answered: status and text."""

    def __init__(self, port: int) -> None:
        self._port, self._over = port, threading.Event()
        self.answers: Counter[tuple[str, int, str]] = Counter()
        self._threads = [threading.Thread(target=self._visit, args=(host,)) for host in ("127.0.0.1", "::1") * 2]
        for thread in self._threads:
            thread.start()

    def _visit(self, host: str) -> None:
        while not self._over.is_set():
            status, text = self.ask(host)
            self.answers[host, status, text if status == 200 else ""] += 1
            time.sleep(0.01)

    def ask(self, host: str, **head: str) -> tuple[int, str]:
        connection = http.client.HTTPConnection(host, self._port, timeout=20)
        connection.request("GET", "/", headers={"Host": "a.example.org", **head})
        answer = connection.getresponse()
        text = answer.read().decode()
        connection.close()
        return answer.status, text

    def end(self) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()


@pytest.fixture
def told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """hasetup on a volume of the test's: what it is told, and whether it is the closing; the port of its proxy."""
    port, names = free_port(), Names(app=["127.0.0.2"])

    def here(*given: Any, **more: Any) -> str:
        text = render(*given, **more).replace("/etc/haproxy", str(tmp_path))
        text = text.replace("bind 0.0.0.0:80", f"bind 127.0.0.1:{port}").replace("bind [::]:80", f"bind [::1]:{port}")
        return text.replace("127.0.0.11:53", f"127.0.0.1:{names.port}").replace(":8404", f":{inside}")

    inside = free_port()
    monkeypatch.setattr("hasetup.__main__.render", here)
    files = Files(tmp_path)

    def tell(site: dict[str, Any], *, only_closing: bool = False) -> None:
        domains = {"a.example.org": {"app": "app", "port": CONTAINERS, "www": False, "site": site}}
        environment = {"DOMAINS": json.dumps(domains), "PASSWORDS": json.dumps({"app": {"anna": "hush"}})}
        if not only_closing:  # as the update does before it has the job run
            files.released.touch()
        assert main(environment, files, only_closing=only_closing) == 0

    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "state").write_text(EMPTY_STATE)
    tell({})
    with (tmp_path / "log").open("wb") as log:
        command = [PROGRAM, "-W", "-db", "-S", f"{tmp_path}/run/master.sock,mode,660", "-f", str(files.live)]
        proxy = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        until = time.monotonic() + 60
        while not (tmp_path / "run" / "admin.sock").exists() and time.monotonic() < until:
            time.sleep(0.05)
        yield tell, names, port
        assert proxy.poll() is None, (tmp_path / "log").read_text()
    finally:
        proxy.terminate()
        proxy.wait(30)


@pytest.mark.parametrize(
    ("fails", "closes"),
    [
        pytest.param(False, True, id="to the end, closed first"),
        pytest.param(False, False, id="to the end, without that"),
        pytest.param(True, True, id="cut off, closed first"),
        pytest.param(True, False, id="cut off, without that", marks=pytest.mark.soak),  # as the other one, and for ever
    ],
)
def test_a_release_that_is_for_few_has_no_other_visitor(told, closes, fails):
    """And where it is not closed first, it has: until the end, or for ever."""
    tell, names, port = told
    site = {"password": ["anna"]}
    with container("127.0.0.2", CONTAINERS, lambda _: 200, "public"), ExitStack() as stack:
        visits = Visits(port)
        stack.callback(visits.end)
        time.sleep(3)
        if closes:
            tell(site, only_closing=True)
        stack.enter_context(container("127.0.0.3", CONTAINERS, lambda _: 200, "secret"))
        names.known["app"] = ["127.0.0.2", "127.0.0.3"]
        time.sleep(4)
        if not fails:
            tell(site)
            names.known["app"] = ["127.0.0.3"]
            time.sleep(3)
        hers = {"Authorization": f"Basic {base64.b64encode(b'anna:hush').decode()}"}
        assert {visits.ask(host, **hers)[0] for host in ("127.0.0.1", "::1")} == {200}
    for host in ("127.0.0.1", "::1"):
        seen = {(status, text) for at, status, text in visits.answers if at == host}
        assert (200, "public") in seen
        expected = {(401, "")} if closes or not fails else set()
        assert seen - {(200, "public")} == expected | (set() if closes else {(200, "secret")})
