"""The proxy released many times in a row, over https, while visitors of every sort come over both families.

SOAK_ROUNDS is how many (20 when it is not given).
"""

from __future__ import annotations

from collections import Counter

import pytest

from tests.lab.hive import Hive
from tests.lab.test_proxy_releases import new_image
from tests.lab.visitors import Visitors
from tests.soak.rounds import ROUNDS

pytestmark = pytest.mark.timeout(6 * 3600)
KINDS = ("fresh", "kept", "h2", "download")


def test_many_releases_of_the_proxy_refuse_no_connection_and_break_no_download(whole: Hive) -> None:
    door, seen = whole.container("haproxy-door"), Counter[str]()
    hosts = ["echo.example.net", "example.com"]
    for number in range(ROUNDS):
        before = whole.container("haproxy")
        with Visitors(whole, hosts, KINDS, download_seconds=10) as visitors:
            new_image(whole, f"release {number} of many")
            whole.up()
        assert whole.container("haproxy") != before
        assert whole.container("haproxy-door") == door
        print(f"release {number}: {visitors.requests}, failed: {visitors.failed}", flush=True)
        assert visitors.failed == []
        seen.update(visitors.requests)
    assert {kind for kind, count in seen.items() if count} >= {f"{k} {v}" for k in KINDS for v in ("v4", "v6")}
    assert sum(seen.values()) > 50 * ROUNDS
    whole.expect_served()
    whole.expect_nothing_left()
    whole.expect_no_changes()
