"""A server comes back: rebuilt on purpose, or deleted behind the program's back (a dead one: test_private.py)."""

from __future__ import annotations

from tests.lab.hive import Hive

DEBIAN_13 = 2625  # Vultr's number; the hive began with Debian 12


def test_a_server_deleted_behind_the_program_s_back_is_revived(hive: Hive) -> None:
    before = hive.server
    hive.lab("delete-instance", "apiary-lab-web1")
    hive.operations("revive", "web1", "--yes")
    assert hive.server["ipv4"] == before["ipv4"]
    hive.expect_served()
    hive.expect_nothing_left()
    hive.expect_no_changes()


def test_a_rebuilt_server_has_everything_again_under_the_same_ipv4(hive: Hive) -> None:
    before = hive.server
    with hive.changed() as settings:
        settings["apiary:servers"]["web1"]["os"] = DEBIAN_13
        hive.up()
        after = hive.server
        assert hive.on_server("cat /etc/debian_version").startswith("13")
        assert after["ipv4"] == before["ipv4"]
        assert after["host_key"] == before["host_key"]
        assert after["prefix"] != before["prefix"]
        hive.expect_served()
        assert hive.prober("dig", "+short", "example.com", "AAAA").stdout.split() == [after["web_ipv6"]]
        hive.expect_nothing_left()
        hive.expect_no_changes()
    # The stack stays there: going back would be another rebuild and prove nothing more.
    hive.settings["apiary:servers"]["web1"]["os"] = DEBIAN_13
