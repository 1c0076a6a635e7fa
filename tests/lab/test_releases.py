"""Releases: one after the other without a failed request, and one that never gets healthy."""

from __future__ import annotations

import pytest

from tests.lab.hive import Hive, until


@pytest.mark.soak
def test_releases_in_a_row_lose_no_request(hive: Hive) -> None:
    """As the one of test_changes does, and what follows a bad one below; many in tests/soak."""
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
    """Another way of being bad than the one before."""
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


def test_a_first_release_that_the_proxy_would_not_serve_is_red_and_says_what_to_write(hive: Hive) -> None:
    with hive.changed() as settings:
        settings["apiary:servers"]["web1"]["dns"]["web"].append("new.example.net")
        new = settings["apiary:applications"]["new"] = {
            "build_dir": "Echo",
            "env": {"domains": ["new.example.net"], "http_port": 8080},
            "health": {"path": "/nothing", "timeout": 5},
        }
        failed = hive.up(check=False)
        assert failed.status != 0
        assert "applications.new: not ready after 5 s: GET http://" in failed.output
        assert 'answered 404 (health.path "/nothing")' in failed.output
        assert "visitors of new.example.net 503" in failed.output
        assert "name the statuses that count in health.status" in failed.output
        hive.expect_served()
        # As the message says; and the proxy goes by the same statuses.
        new["health"]["status"] = "200-399,404"
        done = hive.up()
        assert "new.example.net: served over IPv6 and IPv4" in done.output
        for family in ("-6", "-4"):
            assert hive.get("http://new.example.net/nothing", family)[0] == 404
        hive.expect_no_changes()
    hive.up()
    hive.expect_nothing_left()


@pytest.mark.soak
def test_another_question_is_put_to_the_container_that_serves_and_it_serves_on(hive: Hive) -> None:
    """Whatever the answer: a red update that harms nobody, after the one above."""
    with hive.changed() as settings:
        settings["apiary:servers"]["web1"]["dns"]["web"].append("new.example.net")
        new = settings["apiary:applications"]["new"] = {
            "build_dir": "Echo",
            "env": {"domains": ["new.example.net"], "http_port": 8080},
            "health": {"timeout": 15},
        }
        hive.up()
        container = hive.container("new")
        new["health"] |= {"path": "/status?code=401", "status": "200-399"}
        failed = hive.up(check=False)
        assert failed.status != 0
        assert 'answered 401 (health.path "/status?code=401")' in failed.output
        assert hive.get("http://new.example.net/", "-6")[0] == 200
        new["health"]["status"] = "401"
        hive.up()
        assert hive.get("http://new.example.net/", "-4")[0] == 200
        assert hive.container("new") == container
    hive.up()
    hive.expect_nothing_left()
    hive.expect_no_changes()


# Listens on IPv6 alone: it is well when it is asked by itself, and the proxy asks it over IPv4.
ONLY_IPV6 = r"""
use Socket;
socket(S, PF_INET6, SOCK_STREAM, 0) and setsockopt(S, 41, 26, pack("i", 1))
  and bind(S, Socket::pack_sockaddr_in6(8080, Socket::IN6ADDR_ANY)) and listen(S, 16) or die $!;
$SIG{TERM} = sub { exit 0 };
while (accept(C, S)) { sysread(C, $b, 4096); syswrite(C, "HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n"); close C }
"""


def test_an_update_is_judged_by_what_it_touched_and_says_what_else_is_down(hive: Hive) -> None:
    site = hive.container("site")
    hive.on_server(f"docker pause {site}")
    try:
        # The update of another application goes through.
        hive.settings["apiary:applications"]["echo"]["env"]["version"] = "judged"
        done = hive.up()
    finally:
        hive.on_server(f"docker unpause {site}")
    assert "echo.example.net: served over IPv6 and IPv4" in done.output
    assert "not this update's doing, and still so: applications.site: GET http://" in done.output
    until(lambda: hive.get("http://example.com/", "-6")[0] == 200, 30, "the site is served again")


@pytest.mark.soak
def test_one_of_which_the_proxy_gives_nothing_to_visitors_is_red_though_its_container_is_well(hive: Hive) -> None:
    """Another reason for the same verdict as that of a first release, by four updates."""
    with hive.changed() as settings:
        settings["apiary:servers"]["web1"]["dns"]["web"].append("more.example.net")
        more = settings["apiary:applications"]["more"] = {
            "build_dir": "Shell",
            "command": ["perl", "-e", ONLY_IPV6],
            "env": {"domains": ["more.example.net"], "http_port": 8080},
            "health": {"timeout": 15},
        }
        failed = hive.up(check=False)
        assert failed.status != 0
        assert "applications.more: the proxy's backend app-more says DOWN (L4CON)" in failed.output
        assert "visitors: http://more.example.net/ answered 503 over IPv6 and IPv4" in failed.output
        assert "echo.example.net" in failed.output, "what else was touched is proven all the same"
        hive.expect_served()
        # Nothing else has to be changed for it to be judged again, nor to be repaired.
        assert "applications.more: " in hive.up(check=False).output
        more["build_dir"] = "Echo"
        del more["command"]
        hive.up()
        for family in ("-6", "-4"):
            assert hive.get("http://more.example.net/", family)[0] == 200
    hive.up()
    hive.expect_nothing_left()
    hive.expect_no_changes()
    hive.expect_served()


def test_a_container_has_its_grace_whoever_stops_it(hive: Hive) -> None:
    """Longer than Docker's own ten seconds, and than the 90 that systemd has for all of a shutdown."""
    slow = hive.container("slow")
    since = hive.on_server("date --rfc-3339=ns").strip()
    hive.on_server(f"docker restart {slow}")
    assert hive.on_server(f"docker logs --since '{since.replace(' ', 'T')}' {slow}").split() == ["clean"]
    limit = "systemctl show --property=TimeoutStopUSec --value"
    scope = f"docker-$(docker inspect -f '{{{{.Id}}}}' {slow}).scope"
    assert hive.on_server(f"systemctl cat {scope} >/dev/null 2>&1 && {limit} {scope} || echo none").strip() in (
        "2min 10s",
        "none",  # where the kernel's groups are not systemd's
    )
    assert hive.on_server("systemctl show --property=DefaultTimeoutStopUSec --value").strip() == "2min 10s"
