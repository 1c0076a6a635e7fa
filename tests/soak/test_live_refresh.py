"""Reloads of the proxy and releases behind it, with visitors of every sort on 50 domains: nobody notices.

SOAK_RELOADS and SOAK_RELEASES say how many (20 and 10). It prints how many requests there were, by kind.
"""

from __future__ import annotations

import os

import pytest

from tests.lab.hive import Hive
from tests.lab.test_proxy import reload
from tests.lab.visitors import Visitors

pytestmark = pytest.mark.timeout(3 * 3600)

RELOADS = int(os.environ.get("SOAK_RELOADS", "20"))
RELEASES = int(os.environ.get("SOAK_RELEASES", "10"))
DOMAINS = 50
SOCKET, DOWNLOAD = "socket.example.com", "echo.example.net"


@pytest.fixture
def fifty(whole: Hive) -> list[str]:
    """The domains of the whole hive and more, 50 in all but for that of a WebSocket, each with its certificate."""
    web = whole.settings["apiary:servers"]["web1"]["dns"]["web"]
    more = [f"site{number}.example.com" for number in range(DOMAINS - 2)]
    web += [*more, SOCKET]
    applications = whole.settings["apiary:applications"]
    applications["site"]["env"]["domains"] += more[::2]
    applications["echo"]["env"]["domains"] += more[1::2]
    applications["socket"] = {"build_dir": "Echo", "env": {"domains": [SOCKET], "http_port": 8080}}
    whole.settings["apiary:jobs"]["certbot"]["timeout"] = 1800
    whole.up()
    return [DOWNLOAD, "example.com", *more]


def release(hive: Hive, number: int) -> None:
    """Another version of an application that serves."""
    hive.settings["apiary:applications"]["echo"]["env"]["version"] = f"release {number}"
    hive.up()


def test_reloads_and_releases_under_load_fail_no_request_and_reset_no_download(whole: Hive, fifty: list[str]) -> None:
    kinds = ("fresh", "kept", "h2", "download", "websocket")
    with Visitors(whole, fifty, kinds, websocket=SOCKET, seconds=3600) as visitors:
        for number in range(RELOADS):
            reload(whole, number + 1)
        for number in range(RELEASES):
            release(whole, number)
    print(f"{RELOADS} reloads, {RELEASES} releases: {visitors.requests}; failed: {len(visitors.failed)}")
    assert visitors.failed == []
    assert {kind.split()[0] for kind, count in visitors.requests.items() if count} == set(kinds)
