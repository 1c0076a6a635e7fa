"""What is closed stays closed, and what is open open, whatever happens to a server: on the hive of two.

Each happens to both once, and all that is promised of the time afterwards is looked at.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest

from tests.lab.hive import Hive, until
from tests.lab.test_inside import containers, expect_closed_inside
from tests.lab.test_neighbours import expect_named_alone
from tests.lab.test_private import expect_private


def nothing(_: Hive, __: str) -> None:
    """Look at once."""


def ufw_reload(two: Hive, server: str) -> None:
    two.on_server("ufw reload", server=server)


def docker_restart(two: Hive, server: str) -> None:
    two.on_server("systemctl restart docker", server=server)
    until(lambda: two.on_server("docker ps -q", check=False, server=server), 60, "Docker answers again")


def reboot(two: Hive, server: str) -> None:
    before = len(containers(two, server))
    two.reboot(server)
    until(
        lambda: len(two.on_server("docker ps -q", check=False, server=server).split()) == before,
        120,
        f"the containers of {server} run again",
    )


@pytest.mark.usefixtures("stray")
@pytest.mark.parametrize("event", [nothing, ufw_reload, docker_restart, reboot], ids=lambda event: event.__name__)
def test_what_is_closed_is_closed_and_what_is_open_open_after(two: Hive, event: Callable[[Hive, str], None]) -> None:
    with ThreadPoolExecutor() as both:
        list(both.map(partial(event, two), two.servers()))
    for server in two.servers():
        expect_closed_inside(two, server)
    expect_named_alone(two)
    expect_private(two)
