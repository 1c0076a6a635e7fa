"""What is closed stays closed, and what is open open, whatever happens to a server: on the hive of two.

Each happens to both once, and all that is promised of the time afterwards is looked at.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest

from tests.lab.hive import Hive, until
from tests.lab.test_addresses import PORT, own
from tests.lab.test_block_storage import expect_kept, expect_on_block_storage, written
from tests.lab.test_firewall import expect_open, listening
from tests.lab.test_inside import containers, expect_closed_inside
from tests.lab.test_neighbours import expect_named_alone
from tests.lab.test_private import expect_private


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


def expect_published_alone(two: Hive) -> None:
    """From next to the servers and from behind a router, of all that anything of web1 listens on at any address."""
    found, ports = two.outputs()["servers"], listening(two)
    web = [(found["web1"][address], 80) for address in ("ipv4", "web_ipv6")]
    ssh = {server: [(found[server][address], 22) for address in ("ipv4", "ipv6")] for server in ("web1", "db1")}
    addresses = sorted({*two.container_addresses(), *(address for one in ssh.values() for address, _ in one)})
    for routed in (False, True):
        # SSH of web1 is open to those whom `ssh_from` names.
        wanted = [*web, (own(two), PORT), *ssh["db1"], *([] if routed else ssh["web1"])]
        expect_open(two, wanted, addresses, ports, routed=routed)


@pytest.mark.usefixtures("stray")
@pytest.mark.parametrize("event", [ufw_reload, docker_restart, reboot], ids=lambda event: event.__name__)
def test_what_is_closed_is_closed_and_what_is_open_open_after(two: Hive, event: Callable[[Hive, str], None]) -> None:
    before = written(two)
    with ThreadPoolExecutor() as both:
        list(both.map(partial(event, two), two.servers()))
    for server in two.servers():
        expect_closed_inside(two, server)
    expect_named_alone(two)
    expect_private(two)
    expect_published_alone(two)
    expect_kept(two, before, event.__name__)
    expect_on_block_storage(two)
