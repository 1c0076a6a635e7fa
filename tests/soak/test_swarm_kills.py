"""Servers of a swarm killed at random, with releases between, while visitors come over both families.

SOAK_ROUNDS is how many (20 when it is not given, about an hour), SOAK_SEED repeats a run; the seed is printed.
"""

from __future__ import annotations

import random
import time
from collections import Counter

import pytest

from tests.lab.hive import LABEL, Hive, until
from tests.lab.test_swarm import (
    REPLICAS,
    SERVERS,
    addresses,
    expect_no_failures,
    leader,
    load,
    replicas,
    seconds_without,
)
from tests.soak.rounds import ROUNDS

pytestmark = pytest.mark.timeout(6 * 3600)


def elsewhere(three: Hive, killed: str, asked: str, seconds: float) -> float:
    """Kill a server; the seconds until all of its replicas run elsewhere, as another one is asked."""
    started = time.monotonic()
    three.lab("kill", f"{LABEL}{killed}")
    try:
        until(lambda: replicas(three, asked, but=killed) == REPLICAS, seconds, "all replicas run elsewhere")
    except AssertionError as error:
        said = three.on_server("docker node ls; docker service ps --no-trunc echo", check=False, server=asked)
        raise AssertionError(f"{error}; {killed} was killed, and {asked} says:\n{said}") from None
    return time.monotonic() - started


def test_a_server_killed_at_random_is_seen_by_nobody_who_tries_the_next_address(
    three: Hive, chance: random.Random
) -> None:
    seen = Counter[str]()
    # Each once in three rounds: chance alone had one seed kill the same server ten times in a row.
    victims = [one for _ in range(0, ROUNDS, len(SERVERS)) for one in chance.sample(SERVERS, len(SERVERS))]
    for number, killed in enumerate(victims[:ROUNDS]):
        others = [server for server in SERVERS if server != killed]
        led = leader(three)
        with load(three, *addresses(three, *others), ",".join(addresses(three, *SERVERS))) as result:
            started = time.monotonic()
            moved = elsewhere(three, killed, others[0], seconds_without(three, killed))
            three.operations("revive", killed, "--yes")
            back = time.monotonic() - started
        expect_no_failures(result)
        seen.update(result["asked"])
        slow, _ = max(result["slowest"].values())
        # Of another prefix, where that is not reserved.
        with load(three, *addresses(three, *SERVERS)) as result:
            three.settings["apiary:applications"]["echo"]["env"]["release"] = f"round {number}"
            three.up()
        expect_no_failures(result)
        seen.update(result["asked"])
        print(
            f"round {number}: {killed} killed{', which led' if killed == led else ''}; replicas elsewhere after "
            f"{moved:.0f} s, back after {back:.0f} s; the slowest visit {slow} s",
            flush=True,
        )
    print(f"{sum(seen.values())} visits, none failed", flush=True)
    three.expect_no_changes()
