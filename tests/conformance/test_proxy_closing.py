"""What is closed for everybody until the end of an update lets nobody in, by a real HAProxy."""

from __future__ import annotations

import re
import threading
from pathlib import Path

import pytest
from hasetup.closing import NO_ADDRESS, NO_PASSWORD, NO_USER

from tests.conformance.applications import Application, Listener
from tests.conformance.proxy import curl, needs_proxy, running

pytestmark = needs_proxy
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
