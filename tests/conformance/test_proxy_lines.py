"""Every visit is one line of the access log, however many threads the proxy has: by a real HAProxy on this machine."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from bench.lines import Found, measure
from tests.conformance.proxy import needs_proxy

pytestmark = needs_proxy
SECONDS = 4.0


@pytest.mark.parametrize("threads", [1, 2])
def test_no_line_is_lost_between_the_threads_of_a_proxy(tmp_path: Path, threads: int) -> None:
    found = measure(tmp_path, threads, SECONDS)
    assert found.failed == 0
    assert found.requests > 1000
    assert found.lost == 0
    assert found.dropped == 0


def test_no_line_is_lost_in_reloads_of_a_proxy_of_two_threads(tmp_path: Path) -> None:
    def reload(number: int) -> None:
        os.kill(int((tmp_path / "run" / "pid").read_text()), signal.SIGUSR2)

    found: Found = measure(tmp_path, 2, SECONDS, every_second=reload)
    assert found.failed == 0
    assert found.lost == 0
