"""Releases: one after the other without a failed request, and one that never gets healthy."""

from __future__ import annotations

import pytest

from tests.lab.hive import Hive, until


def test_releases_in_a_row_lose_no_request(hive: Hive) -> None:
    load = hive.load()
    for number in range(2):
        hive.settings["apiary:applications"]["echo"]["env"]["version"] = f"release {number}"
        hive.up()
        assert f"release {number}" in hive.get("http://echo.example.net/", "-6", "-H", "Accept: application/json")[1]
    requests, failed = load.stop()
    assert requests > 100
    assert failed == []
    hive.container("echo")


def test_a_container_that_restarts_after_a_release_is_served_again(hive: Hive) -> None:
    hive.on_server(f"docker restart -t 2 {hive.container('echo')}")

    def served() -> bool:
        """For longer than the proxy needs to see that the container was away, which may be after it is back."""
        requests, failed = hive.load(seconds=4).end()
        return requests > 20 and not failed

    until(served, 40, "echo is served after its restart")
    hive.expect_served()


def test_a_release_that_never_gets_healthy_leaves_the_old_one_serving(hive: Hive) -> None:
    before = hive.container("echo")
    load = hive.load()
    with hive.changed() as settings:
        settings["apiary:applications"]["echo"]["env"]["unhealthy"] = "1"
        settings["apiary:applications"]["echo"]["health"] = {"timeout": 5}
        failed = hive.up(check=False)
        assert failed.status != 0
        assert "not ready after 5 s" in failed.output
        assert "UNHEALTHY" in failed.output, "the container's last log lines say why"
        assert before in hive.on_server("docker ps -q --filter label=apiary.resource=applications.echo").split()
    # The next good release cleans up after the bad one.
    hive.up()
    requests, lost = load.stop()
    assert requests > 100
    assert lost == []
    hive.container("echo")
    hive.expect_nothing_left()
    hive.expect_no_changes()
    hive.expect_served()


@pytest.mark.soak
def test_a_release_that_exits_at_once_shows_its_last_words(hive: Hive) -> None:
    with hive.changed() as settings:
        settings["apiary:applications"]["echo"]["build_dir"] = "Shell"
        settings["apiary:applications"]["echo"]["command"] = ["sh", "-c", "echo the disk is on fire; exit 3"]
        failed = hive.up(check=False)
        assert failed.status != 0
        assert "the disk is on fire" in failed.output
        hive.expect_served()
    hive.up()
    hive.expect_nothing_left()
    hive.expect_no_changes()
