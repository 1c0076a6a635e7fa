"""The end: what was made is gone, and nothing else."""

from __future__ import annotations

from tests.lab.hive import Hive


def test_destroy_leaves_nothing(hive: Hive) -> None:
    assert len(hive.machines()) == 1
    hive.expect_destroyed()
