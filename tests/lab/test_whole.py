"""The whole hive of the lab: everything in one stack, and a second update changes nothing."""

from __future__ import annotations

from tests.lab.hive import Hive


def test_the_whole_hive_is_served_and_settled(whole: Hive) -> None:
    whole.expect_served()
    whole.expect_no_changes()
    refreshed = whole.pulumi("refresh", "--yes", "--skip-preview", "--expect-no-changes", check=False)
    assert refreshed.status == 0, refreshed.output[-4000:]
