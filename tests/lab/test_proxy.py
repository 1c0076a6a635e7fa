"""The proxy of the whole hive: reloaded and restarted at any moment, and told what it can't use."""

from __future__ import annotations

import re
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.lab.hive import Hive, until
from tests.lab.visitors import Visitors

VOLUME = "/var/lib/docker/volumes/haproxycfg/_data"
FAMILIES = ("-6", "-4")
ECHO = "https://echo.example.net/"


def hsts(hive: Hive) -> str:
    """The header that a visitor gets, or nothing."""
    head = hive.prober("curl", "-sSI", "-6", ECHO).stdout
    found = re.search(r"(?im)^strict-transport-security: (.*?)\r?$", head)
    return found[1] if found else ""


def reload(hive: Hive, seconds: int) -> None:
    """The proxy's setup again, beside the job of the stack, with another HSTS."""
    done = hive.beside("hasetup", HSTS=str(seconds))
    assert "has reloaded the configuration" in done.stdout, done.stdout + done.stderr


def as_the_stack_has_it(hive: Hive) -> None:
    """The stack's own job again."""
    hive.on_server(f"docker start -a {hive.job('hasetup')}")
    assert hsts(hive) == ""


@pytest.mark.soak
def test_reloads_and_a_release_under_load_fail_no_request_and_reset_no_download(whole: Hive) -> None:
    """Many more of them on 50 domains are in tests/soak, and some in test_proxy_releases and test_certificates."""
    hosts = ["echo.example.net", "example.com"]
    kinds = ("fresh", "kept", "h2", "download")
    # A release ends the WebSockets of the old container, a reload must not.
    with Visitors(whole, hosts, (*kinds, "websocket"), websocket=hosts[0], download_seconds=8) as reloads:
        for seconds in (100, 200):
            reload(whole, seconds)
            assert hsts(whole) == f"max-age={seconds}"
    as_the_stack_has_it(whole)
    with Visitors(whole, hosts, kinds, download_seconds=8) as release:
        whole.settings["apiary:applications"]["echo"]["env"]["version"] = "under load"
        whole.up()
    for seen in (reloads, release):
        assert seen.failed == []
        assert {kind.split()[0] for kind, count in seen.requests.items() if count} >= set(kinds)
    assert any(kind.startswith("websocket") for kind, count in reloads.requests.items() if count)


def test_a_configuration_that_is_not_valid_fails_the_update_with_the_checker_s_line(whole: Hive) -> None:
    """As somebody meets it who changes the image."""
    source = whole.program / "images" / "HAProxySetup" / "hasetup" / "config.py"
    good = source.read_text()
    source.write_text(good.replace('"    stats timeout 1m",', '"    stats timeout soon",'))
    assert source.read_text() != good
    before = whole.on_server(f"cat {VOLUME}/haproxy.cfg")
    try:
        failed = whole.up(check=False)
    finally:
        source.write_text(good)
    assert failed.status != 0
    assert re.search(r"line \d+: stats timeout soon", failed.output), failed.output[-3000:]
    assert "keeps the old one" in failed.output
    assert whole.on_server(f"cat {VOLUME}/haproxy.cfg") == before
    whole.expect_served()
    # The image of before, which is on its way out in the state.
    whole.up()


def test_a_live_file_that_is_not_valid_does_not_stop_a_restarted_proxy(whole: Hive) -> None:
    live = whole.on_server(f"cat {VOLUME}/haproxy.cfg")
    whole.on_server(f"head -c 900 {VOLUME}/haproxy.cfg > {VOLUME}/torn && mv {VOLUME}/torn {VOLUME}/haproxy.cfg")
    proxy = whole.container("haproxy")
    whole.on_server(f"docker restart {proxy}")
    until(lambda: whole.get(ECHO, "-6")[0] == 200, 30, "the last good configuration is served")
    whole.expect_served()
    told = whole.on_server(f"docker logs --since 60s {proxy} 2>&1")
    assert "is NOT VALID" in told
    assert "serving the last good configuration" in told
    assert whole.on_server(f"cat {VOLUME}/haproxy.cfg") == live
    assert whole.on_server(f"cat {VOLUME}/haproxy.cfg.broken") == live[:900]


@pytest.mark.soak  # a moment that is hard to meet
def test_a_proxy_that_is_restarted_while_it_is_set_up_comes_up_with_what_was_set_up_last(whole: Hive) -> None:
    proxy = whole.container("haproxy")
    with ThreadPoolExecutor(1) as beside:
        for number, pause in enumerate((0.0, 0.6, 1.2)):
            restart = beside.submit(whole.on_server, f"sleep {pause}; docker kill {proxy}; docker start {proxy}")
            done = whole.beside("hasetup", HSTS=str(300 + number))
            restart.result(60)
            assert done.returncode == 0, done.stdout + done.stderr
            for family in FAMILIES:
                until(lambda family=family: whole.get(ECHO, family)[0] == 200, 30, "echo is served")
            assert hsts(whole) == f"max-age={300 + number}", done.stdout
    as_the_stack_has_it(whole)
    whole.expect_served()


def test_an_own_certificate_and_anonymised_addresses_are_what_the_proxy_serves_and_logs(whole: Hive) -> None:
    made = whole.on_server(
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=own "
        "-addext subjectAltName=DNS:example.com,DNS:www.example.com -keyout - -out - 2>/dev/null"
    )
    mark = f"/anonymous-{time.monotonic_ns()}"
    done = whole.beside("hasetup", CERTIFICATE_SHOP=made, ANONYMIZE="true")
    assert done.returncode == 0, done.stdout + done.stderr
    try:
        script = "openssl s_client -connect example.com:443 -servername example.com </dev/null 2>/dev/null"
        subject = whole.prober("sh", "-c", f"{script} | openssl x509 -noout -subject").stdout
        assert subject.split("=")[-1].strip() == "own"
        for family in FAMILIES:
            whole.get(f"{ECHO}{mark}", family)
        until(lambda: len(lines(whole, mark)) == 2, 20, "both visits are logged")
        seen = {line.split()[1] for line in lines(whole, mark)}
        assert seen == {"2001:db8:77::", f"{whole.own_address('-4').rpartition('.')[0]}.0"}
    finally:
        as_the_stack_has_it(whole)
        whole.on_server(f"docker start -a {whole.job('certbot')}")
    whole.expect_served()


def lines(hive: Hive, mark: str) -> list[str]:
    """The access lines of echo with `mark`."""
    log = "/var/lib/docker/volumes/accesslog/_data/echo.example.net/access.log"
    return hive.on_server(f"grep -F -- {mark} {log} || true").splitlines()
