"""A swarm that loses its majority, or the only one that decides: what runs goes on, and what is lost comes back."""

from __future__ import annotations

import time
from typing import Any

import pytest

from tests.lab.hive import LABEL, Hive, until
from tests.lab.test_swarm import (
    REPLICAS,
    SERVERS,
    addresses,
    asked,
    expect_no_failures,
    load,
    nodes,
    replicas,
)

pytestmark = pytest.mark.soak
MANAGERS = {"web1": "Leader", "web2": "Reachable", "web3": "Reachable"}


def lose_two(three: Hive) -> None:
    """What runs on web1 goes on; nobody decides."""
    with load(three, *addresses(three, "web1")) as result:
        for server in ("web2", "web3"):
            three.lab("kill", f"{LABEL}{server}")
        until(lambda: "Error" in three.on_server("docker node ls 2>&1", check=False), 60, "nobody leads")
        refused = three.operations("revive", "web2", "web3", "--yes", check=False)
        assert "make recover SERVER=web1" in refused.stderr, refused.stderr
    expect_no_failures(result)


def expect_whole(three: Hive) -> None:
    """Three managers, replicas to their number, every address answers, and nothing is left to do."""
    there = {server: said.split() for server, said in nodes(three, "web1").items()}
    assert {server: said[0] for server, said in there.items()} == dict.fromkeys(SERVERS, "Ready")
    assert sorted(said[-1] for said in there.values()) == sorted(MANAGERS.values())
    assert replicas(three, "web1") == REPLICAS
    for address in addresses(three, *SERVERS):
        until(lambda one=address: asked(three, one)[0] == 200, 60, f"{address} answers")
    three.expect_no_changes()


def test_two_managers_of_three_are_lost_and_come_back_and_no_visitor_of_the_third_fails(three: Hive) -> None:
    lose_two(three)
    # It starts all replicas anew, its own server's too.
    said = three.operations("recover", "web1").stdout
    assert 'make revive SERVER="web2 web3"' in said, said
    assert replicas(three, "web1") == REPLICAS
    with load(three, *addresses(three, "web1")) as result:
        three.operations("revive", "web2", "web3", "--yes")
    expect_no_failures(result)
    expect_whole(three)
    again = three.operations("recover", "web1")
    assert "every server is there" in again.stdout, again.stdout


def test_a_manager_that_comes_back_after_another_has_recovered_joins_it_again(three: Hive) -> None:
    lose_two(three)
    three.operations("recover", "web1")
    three.lab("reboot", f"{LABEL}web3")  # of a machine that is off: it is switched on
    until(lambda: three.on_server("docker ps -q", check=False, server="web3") != "", 120, "its Docker is up")
    with load(three, *addresses(three, "web1")) as result:
        said = three.operations("recover", "web1").stdout
        # Docker may get it there by itself, as soon as it has noticed; else the verb has it leave and join.
        assert nodes(three, "web1")["web3"].split() == ["Ready", "Reachable"], said
        assert 'make revive SERVER="web2"' in said, said
        three.operations("revive", "web2", "--yes")
    expect_no_failures(result)
    expect_whole(three)


def down_to_one(settings: dict[str, Any]) -> None:
    """One manager is left, and a worker."""
    settings["apiary:servers"]["web2"]["swarm"] = "worker"
    del settings["apiary:servers"]["web3"]
    del settings["apiary:applications"]["proxy3"], settings["apiary:jobs"]["hasetup3"]


def test_of_three_managers_two_go_at_once_and_the_third_decides_alone(three: Hive) -> None:
    """One becomes a worker, one goes with its server, which would count as one of two managers while it ends."""
    with load(three, *addresses(three, "web1", "web2")) as result, three.changed() as settings:
        down_to_one(settings)
        three.up()
        assert {server: said.split() for server, said in nodes(three, "web1").items()} == {
            "web1": ["Ready", "Leader"], "web2": ["Ready"]
        }  # fmt: skip
        assert replicas(three, "web1") == REPLICAS
        three.expect_no_changes()
    expect_no_failures(result)


def expect_begun_anew(three: Hive, number: str) -> None:
    """Another swarm than the one of this number, with its worker and all replicas."""
    assert three.on_server("apiary-swarm cluster") != number
    assert {server: said.split() for server, said in nodes(three, "web1").items()} == {
        "web1": ["Ready", "Leader"], "web2": ["Ready"]
    }  # fmt: skip
    assert replicas(three, "web1") == REPLICAS
    for address in addresses(three, "web1", "web2"):
        until(lambda one=address: asked(three, one)[0] == 200, 60, f"{address} answers")


def test_the_only_manager_comes_back_with_another_swarm_and_its_worker_joins(three: Hive) -> None:
    with three.changed() as settings:
        down_to_one(settings)
        three.expect_no_changes()
        number = three.on_server("apiary-swarm cluster")
        three.lab("kill", f"{LABEL}web1")
        for _ in range(50):  # nothing is moved, and what is there serves
            assert [asked(three, address)[0] for address in addresses(three, "web2")] == [200, 200]
        three.operations("revive", "web1", "--yes")
        expect_begun_anew(three, number)
        three.expect_no_changes()


def test_the_only_manager_is_made_anew_by_an_update_and_all_that_the_swarm_had_with_it(three: Hive) -> None:
    with three.changed() as settings:
        down_to_one(settings)
        number = three.on_server("apiary-swarm cluster")
        settings["apiary:servers"]["web1"]["os"] = 2625
        three.up()
        expect_begun_anew(three, number)
        replica = three.on_server("docker ps -q --filter name=^echo\\.", server="web2").split()[0]
        assert three.on_server(f"docker exec {replica} cat /etc/echo.yml", server="web2") == "size: small"
        three.expect_no_changes()


def test_it_goes_without_waiting_for_servers_that_are_gone(three: Hive) -> None:
    started = time.monotonic()
    three.expect_destroyed()
    assert time.monotonic() - started < 120
