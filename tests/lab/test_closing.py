"""What a site closes is closed before the release that it belongs to has its first visitor, whatever becomes of it."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.lab.hive import Hive

HOST, OTHER = "echo.example.net", "example.com"
ANNA = ("-u", "anna:correct horse")

# Runs in the prober: asks the hosts over both families until a file is there, and counts what it was answered by whom.
ASK = """
import collections, http.client, json, os, socket, sys, time
flag, *hosts = sys.argv[1:]
seen, end = collections.Counter(), time.monotonic() + 900
while not os.path.exists(flag) and time.monotonic() < end:
    for host in hosts:
        for family in (socket.AF_INET6, socket.AF_INET):
            try:
                address = socket.getaddrinfo(host, 80, family, socket.SOCK_STREAM)[0][4][0]
                connection = http.client.HTTPConnection(address, 80, timeout=10)
                connection.request("GET", "/", headers={"Host": host, "Accept": "application/json"})
                answer = connection.getresponse()
                text = answer.read().decode()
                whose = json.loads(text).get("version", "") if text.startswith("{") else ""
                seen[f"{host} {family.name} {answer.status} {whose}".rstrip()] += 1
                connection.close()
            except OSError as error:
                seen[f"{host} {family.name} {error!r}"] += 1
    time.sleep(0.02)
print(json.dumps(seen))
"""


@contextmanager
def asked(hive: Hive, *hosts: str) -> Iterator[dict[str, int]]:
    """Visits meanwhile; afterwards what they were answered, and how often."""
    flag, seen = f"/tmp/stop-{time.monotonic_ns()}", dict[str, int]()
    asking = hive.in_prober("python3", "-c", ASK, flag, *hosts)
    try:
        yield seen
    finally:
        subprocess.run(["docker", "exec", hive.paths.name("prober"), "touch", flag], check=True)
        out, err = asking.communicate(timeout=60)
    assert asking.returncode == 0, err
    seen |= json.loads(out)


def version(hive: Hive, family: str, host: str = HOST) -> tuple[int, str]:
    """What somebody with a password is answered, and by which release."""
    status, body = hive.get(f"{hive.scheme}://{host}/", family, *ANNA, "-H", "Accept: application/json")
    return status, json.loads(body)["version"] if status == 200 else body


def test_a_password_is_there_before_the_release_that_it_protects_and_stays_where_another_one_fails(hive: Hive) -> None:
    """Also where the proxy itself is released by the same update, and where what failed is mended by the next one."""
    with hive.changed() as settings:
        echo = settings["apiary:applications"]["echo"]
        echo["env"]["version"] = "public"
        hive.up()
        settings["apiary:secrets"] = {**settings.get("apiary:secrets", {}), "anna": "correct horse"}
        echo["site"] = {"password": {"anna": "_secrets^anna"}}
        echo["env"]["version"] = "secret"
        settings["apiary:applications"]["haproxy"]["env"] = {"stop_seconds": 6}
        site = settings["apiary:applications"]["site"]
        site["health"] = {"path": "/nothing", "timeout": 5}
        with asked(hive, HOST, OTHER) as seen:
            failed = hive.up(check=False)
            assert failed.status != 0
            assert "applications.site: not ready after 5 s" in failed.output
            assert "closed before the releases" in failed.output
            # Both of its releases serve, for her alone.
            assert {version(hive, family)[0] for family in ("-6", "-4") for _ in range(8)} == {200}
        answers = {answer.split(" ", 2)[2] for answer in seen if answer.startswith(HOST)}
        assert answers == {"200 public", "401"}, seen
        for family in ("AF_INET6", "AF_INET"):
            assert seen[f"{HOST} {family} 200 public"] > 10
            assert seen[f"{HOST} {family} 401"] > 10
        assert {answer.split(" ", 2)[2] for answer in seen if answer.startswith(OTHER)} == {"200"}, seen
        del site["health"]
        with asked(hive, HOST) as seen:
            hive.up()
        assert {answer.split(" ", 2)[2] for answer in seen} == {"401"}, seen
        for family in ("-6", "-4"):
            assert version(hive, family) == (200, "secret")
    hive.up()
    hive.expect_served()
    hive.expect_nothing_left()
    hive.expect_no_changes()


@pytest.mark.soak
def test_what_is_taken_back_after_a_failed_update_is_open_again(hive: Hive) -> None:
    """Where the update failed so early that all the rest of it is as it was: an edit that somebody thinks better of."""
    dockerfile = hive.program / "images" / "NginxStatic" / "Dockerfile"
    before = dockerfile.read_text()
    try:
        with hive.changed() as settings:
            settings["apiary:applications"]["echo"]["site"] = {"allow_from": ["203.0.113.0/24"]}
            dockerfile.write_text(f"{before}RUN echo the disk is on fire; exit 3\n")
            failed = hive.up(check=False)
            assert failed.status != 0
            assert "the disk is on fire" in failed.output
            # Its container is that of before, when this was open; whoever starts it, it is not so again.
            run = hive.operations("run", "web1:hasetup", check=False)
            assert run.returncode == 1
            assert "the last update has not come to its end" in run.stderr
            started = hive.operations("start", "web1:hasetup")
            assert "WARNING: an update has closed what it closes, and has not come to its end" in started.stdout
            for family in ("-6", "-4"):
                assert hive.get(f"{hive.scheme}://{HOST}/", family)[0] == 403
    finally:
        dockerfile.write_text(before)
    hive.up()
    hive.expect_served()
    hive.expect_no_changes()


@pytest.mark.soak
def test_applications_that_exchange_their_domains_take_what_they_close_along(hive: Hive) -> None:
    """The one that is closed is released at a domain that was open, and serves it until the other one can.

    Three updates for a rare edit; what is closed first: tests/unit/test_hasetup_closing.py.
    """
    with hive.changed() as settings:
        applications = settings["apiary:applications"]
        settings["apiary:servers"]["web1"]["dns"]["web"].append("new.example.net")
        applications["new"] = {
            "build_dir": "Echo", "env": {"domains": ["new.example.net"], "http_port": 8080, "version": "new"},
        }  # fmt: skip
        hive.up()
        applications["echo"]["env"] |= {"domains": ["new.example.net"], "version": "inner"}
        applications["new"]["env"]["domains"] = [HOST]
        applications["echo"]["site"] = {"allow_from": ["203.0.113.0/24"]}
        with asked(hive, HOST, "new.example.net") as seen:
            hive.up()
        assert not [answer for answer in seen if "inner" in answer], seen
        for family in ("-6", "-4"):
            assert hive.get("http://new.example.net/", family)[0] == 403
            assert version(hive, family) == (200, "new")
    hive.up()
    hive.expect_served()
    hive.expect_nothing_left()
    hive.expect_no_changes()
