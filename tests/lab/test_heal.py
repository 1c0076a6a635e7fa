"""An update that was killed is finished by one verb, whatever it was doing; the first of all: test_backups."""

from __future__ import annotations

from signal import SIGINT, SIGKILL, Signals

import pytest

from tests.lab.hive import Hive

UP = ["up", "--yes", "--skip-preview"]
DESTROY = ["destroy", "--yes", "--skip-preview"]


def expect_healed(hive: Hive) -> None:
    hive.operations("heal")
    hive.expect_served()
    hive.container("echo")
    hive.expect_nothing_left()
    hive.expect_no_changes()


@pytest.mark.soak
def test_heal_on_a_healthy_stack_changes_nothing(hive: Hive) -> None:
    before = hive.container("echo")
    expect_healed(hive)
    assert hive.container("echo") == before


@pytest.mark.parametrize(
    ("how", "moment"),
    [
        pytest.param([SIGKILL], r"Container echo creating", id="kill-create", marks=pytest.mark.soak),
        pytest.param([SIGKILL], r"Container echo deleting", id="kill-delete", marks=pytest.mark.soak),
        pytest.param([SIGINT], r"echo-rolling-release creating", id="one-interrupt", marks=pytest.mark.soak),
        pytest.param([SIGINT, SIGINT], r"Container echo creat", id="two-interrupts"),
    ],
)
def test_a_change_that_was_killed_is_finished(hive: Hive, how: list[Signals], moment: str) -> None:
    hive.settings["apiary:applications"]["echo"]["env"]["version"] = f"{moment}, {len(how)} x {how[0].name}"
    hive.interrupt(UP, moment, how)
    hive.expect_served()
    expect_healed(hive)


@pytest.mark.soak
@pytest.mark.parametrize(
    "how",
    [pytest.param([SIGINT], id="one-interrupt"), pytest.param([SIGKILL], id="kill")],
)
def test_a_destroy_that_was_killed_is_undone_by_heal(hive: Hive, how: list[Signals]) -> None:
    ipv4 = hive.server["ipv4"]
    hive.interrupt(DESTROY, r"DnsRecord .* deleting", how)
    expect_healed(hive)
    assert hive.server["ipv4"] == ipv4
