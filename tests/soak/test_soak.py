"""The same promises as in tests/lab, many times over and at random moments.

SOAK_ROUNDS is how many of each (20 when it is not given), SOAK_SEED repeats a run: the seed of each is printed.
"""

from __future__ import annotations

import random
import subprocess
from signal import SIGINT, SIGKILL

import pytest

from tests.lab.hive import PORTS, UP_SECONDS, Hive
from tests.lab.test_firewall import every_address, intended
from tests.lab.test_heal import DESTROY, UP, expect_healed
from tests.lab.test_logs import lines_lost
from tests.soak.rounds import ROUNDS

pytestmark = pytest.mark.timeout(6 * 3600)

HOW = ([SIGKILL], [SIGKILL], [SIGINT], [SIGINT, SIGINT])


def kill_somewhere(hive: Hive, chance: random.Random, arguments: list[str], seconds: float) -> None:
    """Start `pulumi ARGUMENTS` and interrupt it after a random time, if it has not ended by itself."""
    process = hive.start(*arguments)
    moment, signals = chance.uniform(0.5, seconds), chance.choice(HOW)
    try:
        # Its output is read meanwhile: an update whose output nobody takes stands still.
        process.communicate(timeout=moment)
        how = "nothing, it was done"
    except subprocess.TimeoutExpired:
        for one in signals:
            process.send_signal(one)
        process.communicate(timeout=UP_SECONDS)
        how = " and ".join(one.name for one in signals)
    print(f"`pulumi {arguments[0]}`: {how} after {moment:.1f} s; it ended with {process.returncode}", flush=True)


def test_changes_killed_at_random_moments_are_finished(hive: Hive, chance: random.Random) -> None:
    for number in range(ROUNDS):
        hive.settings["apiary:applications"]["echo"]["env"]["version"] = f"round {number}"
        kill_somewhere(hive, chance, UP, 6)
        expect_healed(hive)


def test_first_updates_and_destroys_killed_at_random_moments_are_finished(hive: Hive, chance: random.Random) -> None:
    for _ in range(max(1, ROUNDS // 5)):
        kill_somewhere(hive, chance, DESTROY, 8)
        expect_healed(hive)
        hive.pulumi(*DESTROY)
        kill_somewhere(hive, chance, UP, 100)
        expect_healed(hive)


def test_many_releases_lose_no_request(hive: Hive) -> None:
    load = hive.load(seconds=ROUNDS * 60)
    for number in range(ROUNDS):
        hive.settings["apiary:applications"]["echo"]["env"]["version"] = f"release {number}"
        hive.up()
    requests, failed = load.stop()
    assert requests > 50 * ROUNDS
    assert failed == []


def test_no_access_line_is_lost_in_a_minute_of_rotations_reloads_and_restarts(whole: Hive) -> None:
    requests, lines, files = lines_lost(whole, seconds=60, pause=0.001)
    print(f"{requests - lines} of {requests} lines lost, in {files} rotated files")
    assert lines == requests


def test_every_port_of_every_address_is_closed_but_the_intended(hive: Hive) -> None:
    every_port = range(1, 65536)
    assert len(every_port) > len(PORTS)
    for routed in (False, True):
        # One at a time: what drops a connection takes the scan a minute and a half an address.
        found = [
            hit for address in every_address(hive) for hit in hive.scan([address], routed=routed, ports=every_port)
        ]
        assert sorted(found) == intended(hive)
