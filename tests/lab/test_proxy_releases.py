"""Releases of the proxy itself: nobody is refused, nothing breaks off, whatever becomes of the release, its door, the
server.
"""

from __future__ import annotations

from signal import SIGKILL

import pytest

from tests.lab.hive import Hive, until
from tests.lab.test_heal import UP, expect_healed
from tests.lab.visitors import Visitors

HOSTS = ["echo.example.net", "example.com"]
KINDS = ("fresh", "kept", "download")  # each over both families
VOLUME = "/var/lib/docker/volumes/haproxycfg/_data"
AWAY_SECONDS = 60  # for which a machine under load may do something else


def new_image(hive: Hive, mark: str) -> None:
    """The proxy's image becomes another one."""
    script = hive.program / "images" / "HAProxy" / "healthy.sh"
    script.write_text(f"{script.read_text()}# {mark}\n")


def release(hive: Hive, number: int, seconds: int = 8) -> Visitors:
    """A release of the proxy's image, or every third time of its options, while visitors come; they have to be over."""
    before, door = hive.container("haproxy"), hive.container("haproxy-door")
    with Visitors(hive, HOSTS, KINDS, download_seconds=seconds) as seen:
        if number % 3 == 2:
            hive.settings["apiary:applications"]["haproxy"]["env"] = {"release": number}
        else:
            new_image(hive, f"release {number}")
        done = hive.up()
    assert "haproxy-rolling-release" in done.touched()
    assert hive.container("haproxy") != before
    assert hive.container("haproxy-door") == door
    return seen


def expect_nobody_noticed(seen: Visitors) -> None:
    assert seen.failed == []
    assert {kind for kind, count in seen.requests.items() if count} >= {f"{k} {v}" for k in KINDS for v in ("v4", "v6")}


def served(hive: Hive) -> bool:
    return all(hive.get("http://echo.example.net/", family)[0] == 200 for family in ("-6", "-4"))


@pytest.mark.soak
def test_releases_of_the_proxy_refuse_no_connection_and_break_no_download(hive: Hive) -> None:
    """As the good one that follows a bad one below, twice; 20 in a row are in tests/soak."""
    for number in (1, 2):  # another image, then other options
        seen = release(hive, number)
        print(f"release {number}: {seen.requests}", flush=True)
        expect_nobody_noticed(seen)
    hive.expect_served()
    hive.expect_nothing_left()
    hive.expect_no_changes()
    # Reloads go to the one that serves, and it has them all.
    done = hive.beside("hasetup", METRICS_FROM="192.0.2.1")
    assert "has reloaded the configuration" in done.stdout, done.stdout + done.stderr
    hive.on_server(f"docker start -a {hive.job('hasetup')}")


def test_a_release_that_can_t_serve_leaves_the_old_one_serving_and_a_good_one_refuses_nobody(hive: Hive) -> None:
    """Neither breaks a download off."""
    before, door = hive.container("haproxy"), hive.container("haproxy-door")
    live = hive.on_server(f"cat {VOLUME}/haproxy.cfg")
    script = hive.program / "images" / "HAProxy" / "start.sh"
    good = script.read_text()
    with Visitors(hive, HOSTS, KINDS, download_seconds=8) as seen:
        # As a version of HAProxy would that lacks a word of the configuration.
        script.write_text(good.replace('! valid "$live"', "! false"))
        assert script.read_text() != good
        failed = hive.up(check=False)
        assert failed.status != 0
        assert "the other proxy serves on as it was" in failed.output, failed.output[-3000:]
        assert before in hive.on_server("docker ps -q --filter label=apiary.resource=applications.haproxy").split()
        assert hive.on_server(f"cat {VOLUME}/haproxy.cfg") == live
        script.write_text(good)
        new_image(hive, "a good one again")
        hive.up()
    expect_nobody_noticed(seen)
    assert hive.container("haproxy") != before
    assert hive.container("haproxy-door") == door
    hive.expect_served()
    hive.expect_nothing_left()
    hive.expect_no_changes()


@pytest.mark.soak
def test_a_release_that_was_killed_is_finished_by_heal_and_served_meanwhile(hive: Hive) -> None:
    """As any release that is killed (test_heal), but for its door; and many times over in tests/soak."""
    for moment in (r"Container haproxy creating", r"haproxy-rolling-release creating"):
        new_image(hive, f"killed at {moment}")
        with Visitors(hive, HOSTS, ("fresh",)) as seen:
            hive.interrupt(UP, moment, [SIGKILL])
            expect_healed(hive)
        assert seen.failed == []
        hive.container("haproxy")


@pytest.mark.parametrize("killed", ["haproxy", pytest.param("haproxy-door", marks=pytest.mark.soak)])
def test_what_is_killed_comes_back_and_serves(hive: Hive, killed: str) -> None:
    """Its program ends, as of one that ran out of memory: Docker starts it again, and the proxy joins its door."""
    one = hive.container(killed)
    hive.on_server(f"kill -9 $(docker inspect --format '{{{{.State.Pid}}}}' {one})")
    until(lambda: served(hive), AWAY_SECONDS, "the sites are served again")
    assert hive.container(killed) == one
    hive.expect_served()
    hive.expect_no_changes()


@pytest.mark.soak
def test_a_door_that_was_stopped_and_started_by_hand_has_its_proxy_again(hive: Hive) -> None:
    """As one that was killed, by another way."""
    hive.on_server(f"docker stop {hive.container('haproxy-door')}")
    assert not served(hive)
    hive.on_server("docker start $(docker ps -aq --filter label=apiary.door)")
    until(lambda: served(hive), AWAY_SECONDS, "the sites are served again")


@pytest.mark.soak
def test_after_a_reboot_and_a_restart_of_docker_the_proxy_is_behind_its_door(hive: Hive) -> None:
    """test_firewall reboots this hive too, and what is released here has been through that."""
    for event in (hive.reboot, lambda: hive.on_server("systemctl restart docker")):
        event()
        until(lambda: served(hive), 2 * AWAY_SECONDS, "the sites are served again")
        hive.container("haproxy")
        hive.container("haproxy-door")
    hive.expect_served()
    hive.expect_no_changes()
    # And it can be released as before.
    expect_nobody_noticed(release(hive, 9))
