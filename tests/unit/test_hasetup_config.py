"""What hasetup writes for a set of domains, and which domains it refuses."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "images" / "HAProxySetup"))

from hasetup import access
from hasetup.access import Access
from hasetup.config import page, render
from hasetup.domains import SLOTS, InputError, parse_container, parse_domains, parse_hsts, parse_networks

GOLDEN = Path(__file__).with_name("test_hasetup_golden.cfg")
HIVE = {
    "example.com": {"app": "blog", "port": 8080, "path": "/", "www": True, "tls": True},
    "example.net": {"app": "blog", "port": 8080, "path": "/", "www": False, "tls": False},
    "echo.example.org": {"app": "echo", "port": 9000, "path": "/status?code=200", "www": True, "tls": True},
}
LIST = "/etc/haproxy/certs/0123456789ab.list"


def domains(raw: object = HIVE):
    return parse_domains(json.dumps(raw))


def test_the_configuration_of_a_small_hive_is_the_golden_one():
    """After a wanted change: write `render(...)` of these arguments to the file and read its diff."""
    text = render(domains(), crt_list=LIST, hsts="max-age=300", metrics_from=["172.30.0.0/24", "2001:db8::/96"])
    assert text == GOLDEN.read_text()


def logged(**how: bool | int) -> list[str]:
    return [line.strip() for line in render(domains(), access=Access(**how)).splitlines()]


def test_access_lines_go_to_standard_output_unless_somebody_collects_them():
    assert "log stdout len 4096 format raw local0 info" in logged()
    assert not [line for line in logged() if "APIARY_ACCESS_LOG" in line or "txn.site" in line]
    collected = logged(collected=True)
    assert "log stdout len 4096 format raw local0 notice" in collected
    at = collected.index("no log", collected.index("frontend http"))
    assert collected[at + 1] == 'log "${APIARY_ACCESS_LOG}" len 4096 format raw local0 info'


def test_a_collected_line_names_the_site_and_only_a_site_that_is_served():
    lines = logged(collected=True)
    named = [line for line in lines if "set-var(txn.site)" in line]
    assert named == [
        "http-request set-var(txn.site) var(txn.host) if served",
        "http-request set-var(txn.site) var(txn.host),regsub(^www\\.,)"
        " if { var(txn.host) -m str www.echo.example.org www.example.com }",
    ]
    # Before the answer to a name that is not served ends the rules.
    assert lines.index(named[1]) < next(at for at, line in enumerate(lines) if "int(421)" in line)
    (line,) = (line for line in lines if line.startswith("log-format"))
    assert line.startswith("log-format '@%[var(txn.site)] %[var(txn.host),")


def test_all_names_below_a_domain_share_one_file_of_lines():
    """Anybody could fill the disk with names else."""
    hive = {
        **HIVE,
        "*.example.com": {"app": "tenants", "port": 1, "www": False},
        "shop.example.com": {"app": "shop", "port": 1, "www": False},
    }
    lines = [line.strip() for line in render(domains(hive), access=Access(collected=True)).splitlines()]
    below = "{ var(txn.host) -m reg '^[a-z0-9_-]+\\.example\\.com$' }"
    wild = f"http-request set-var(txn.site) str(_.example.com) if {below} !named"
    assert wild in lines
    named = " ".join(line for line in lines[: lines.index(wild)] if line.startswith("acl named"))
    for name in ("shop.example.com", "www.example.com", "example.net", "always_false"):
        assert name in named.split()


def texts_of_frontends(text: str) -> dict[str, str]:
    """The text of each, by its name."""
    sections = [section.partition("\n") for section in text.split("\n\n") if section.startswith("frontend ")]
    return {head.removeprefix("frontend "): body for head, _, body in sections}


def test_each_thread_of_a_collected_proxy_has_connections_and_a_way_to_the_pipe_of_its_own():
    """Two threads that meet at one descriptor drop a line."""
    text = render(domains(), crt_list=LIST, access=Access(collected=True, threads=2))
    assert "    nbthread 2\n" in text
    found = texts_of_frontends(text)
    assert list(found) == ["inside", "figures", "http", "http-2", "https", "https-2"]
    for first in ("http", "https"):
        for thread, target, body in ((1, "", found[first]), (2, "_2", found[f"{first}-2"])):
            binds = [line for line in body.splitlines() if line.startswith("    bind ")]
            assert [line.endswith(f" thread {thread}") for line in binds] == [True, True]
            assert f'    log "${{APIARY_ACCESS_LOG{target}}}" len' in body
        # Whichever of them a visitor meets, it treats him alike.
        second = found[f"{first}-2"].replace("thread 2", "thread 1").replace("ACCESS_LOG_2}", "ACCESS_LOG}")
        assert second == found[first]


def test_a_proxy_of_one_thread_and_one_without_a_collector_have_one_frontend_for_a_scheme():
    for one in (Access(collected=True), Access(collected=True, threads=1), Access(threads=4), Access()):
        text = render(domains(), crt_list=LIST, access=one)
        assert list(texts_of_frontends(text)) == ["inside", "figures", "http", "https"]
        assert " thread " not in text
    assert "nbthread 1" in logged(collected=True)
    assert "nbthread 4" in logged(threads=4)
    assert not [line for line in logged() if "nbthread" in line]


@pytest.mark.parametrize("collected", [False, True])
def test_an_anonymous_log_shows_no_whole_address_of_a_visitor_anywhere(collected: bool):
    lines = [line for line in logged(collected=collected, anonymous=True) if "log-format" in line]
    assert len(lines) == 2
    for line in lines:
        assert "%[src,ipmask(24,48)]" in line
        assert "%ci" not in line
    # The application is told all the same.
    assert "http-request set-header X-Forwarded-For %[src]" in logged(anonymous=True)


def test_logging_comes_from_the_environment():
    assert access.parse({}) == Access()
    assert access.parse({"ACCESS_LOG": "", "ANONYMIZE": "false"}) == Access()
    assert access.parse({"ACCESS_LOG": "logs", "ANONYMIZE": "true"}) == Access(True, True, threads=1)
    assert access.parse({"ACCESS_LOG": "logs"}, processors=8) == Access(collected=True, threads=8)
    assert access.parse({"ACCESS_LOG": "logs", "THREADS": "2"}, processors=8) == Access(collected=True, threads=2)
    assert access.parse({"ACCESS_LOG": "logs"}, processors=96) == Access(collected=True, threads=64)
    assert access.parse({}, processors=8) == Access()
    with pytest.raises(InputError, match="ANONYMIZE: 'yes' is neither true nor false"):
        access.parse({"ANONYMIZE": "yes"})
    assert access.parse({"THREADS": "4"}) == Access(threads=4)
    for wrong in ("0", "x", "65", "-1", "9999999999"):
        with pytest.raises(InputError, match=f"THREADS: '{wrong}' is not a whole number from 1 to 64"):
            access.parse({"THREADS": wrong})
    with pytest.raises(InputError, match="ACCESS_LOG"):
        access.parse({"ACCESS_LOG": "a b"})


def test_order_of_the_stack_file_does_not_matter():
    assert render(domains()) == render(domains(dict(reversed(HIVE.items()))))


def test_visitor_addresses_are_set_after_everything_forgeable_is_deleted():
    lines = [line.strip() for line in render(domains()).splitlines()]
    assert not [line for line in lines if "add-header" in line or "forwardfor" in line]
    deleted = next(at for at, line in enumerate(lines) if line.startswith("http-request del-header"))
    assert lines.index("http-request set-header X-Forwarded-For %[src]") > deleted


def test_each_family_has_a_bind_of_its_own():
    text = render(domains())
    assert "    bind 0.0.0.0:80\n    bind [::]:80 v6only\n" in text


def test_metrics_are_bound_to_the_loopback_unless_networks_are_named():
    assert "bind 127.0.0.1:8404\n" in render(domains())
    assert "0.0.0.0:8404" not in render(domains())
    opened = render(domains(), metrics_from=["172.30.0.0/24"])
    assert "tcp-request connection reject unless { src 127.0.0.1 172.30.0.0/24 }" in opened


def test_the_proxy_goes_by_the_statuses_of_the_stack_file():
    assert "    http-check expect status 200-399\n" in render(domains())
    own = {name: {**domain, "status": "200-399,401"} for name, domain in HIVE.items()}
    assert render(domains(own)).count("    http-check expect status 200-399,401\n") == 2


@pytest.mark.parametrize("status", ["", "2xx", "200 reject", "200\n  acl", 200, "200,"])
def test_what_is_no_list_of_statuses_is_refused(status: object):
    with pytest.raises(InputError, match=r"DOMAINS\['example.net'\].status: .* is not a list of statuses"):
        domains({"example.net": {**HIVE["example.net"], "status": status}})


def test_one_application_has_one_list_of_statuses():
    other = {**HIVE, "example.net": {**HIVE["example.net"], "status": "204"}}
    with pytest.raises(InputError, match="one application has one port, path and list of statuses"):
        domains(other)


def frontends(text: str) -> dict[str, list[str]]:
    sections = (section.splitlines() for section in text.split("\n\n"))
    return {lines[0].removeprefix("frontend "): [line.strip() for line in lines[1:]] for lines in sections}


def test_http_only_sends_on_what_is_served_over_https():
    found = frontends(render(domains(), crt_list=LIST))
    assert [line for line in found["http"] if line.startswith("use_backend")] == [
        "use_backend app-blog if { var(txn.app) -m str blog }"
    ]
    assert "http-request redirect prefix https://%[var(txn.host)] code 301 if secure" in found["http"]
    assert (
        "acl secure var(txn.host) -m str echo.example.org example.com www.echo.example.org www.example.com"
        in (found["http"])
    )
    assert not any("example.net" in line for line in found["https"])
    assert "http-request set-header X-Forwarded-Proto https" in found["https"]


def test_without_https_nothing_is_said_of_it():
    plain = {name: {**domain, "tls": False} for name, domain in HIVE.items()}
    text = render(domains(plain))
    assert ":443" not in text
    assert "https" not in text


def test_challenges_are_answered_before_anything_is_sent_on_or_refused_for_its_name():
    lines = frontends(render(domains(), crt_list=LIST))["http"]
    answer = next(at for at, line in enumerate(lines) if "lf-string" in line)
    assert lines[answer].endswith("if challenge { var(txn.thumbprint) -m found } !plain")
    assert answer < min(at for at, line in enumerate(lines) if " redirect " in line or "unless served" in line)


def test_https_gives_no_certificate_to_who_names_no_site_and_knows_no_old_protocol():
    text = render(domains(), crt_list=LIST)
    binds = [line for line in text.splitlines() if ":443" in line]
    assert len(binds) == 2
    assert all(f"ssl crt-list {LIST} strict-sni alpn h2,http/1.1" in line for line in binds)
    assert "ssl-default-bind-options ssl-min-ver TLSv1.2 no-tls-tickets" in text
    ciphers = next(line for line in text.splitlines() if "bind-ciphers " in line).split()[-1].split(":")
    assert all(
        name.startswith("ECDHE-") and name.endswith(("GCM-SHA256", "GCM-SHA384", "POLY1305")) for name in ciphers
    )


def test_hsts_is_an_option_and_never_said_over_http():
    assert "Strict-Transport-Security" not in render(domains(), crt_list=LIST)
    found = frontends(render(domains(), crt_list=LIST, hsts="max-age=300"))
    assert 'http-after-response set-header Strict-Transport-Security "max-age=300"' in found["https"]
    assert not any("Strict-Transport" in line for line in found["http"])


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", None),
        ("31536000", "max-age=31536000"),
        ("max-age=60", "max-age=60"),
        ("63072000; includeSubDomains; preload", "max-age=63072000; includeSubDomains; preload"),
        ("63072000;includeSubDomains", "max-age=63072000; includeSubDomains"),
    ],
)
def test_hsts_is_written_as_seconds(text: str, value: str | None):
    assert parse_hsts(text) == value


@pytest.mark.parametrize("text", ["yes", "1y", '60"\n  user root', "60; includeSubDomain", "-1"])
def test_an_hsts_that_is_none_is_refused(text: str):
    with pytest.raises(InputError, match="HSTS"):
        parse_hsts(text)


def test_a_domain_without_www_has_no_redirect_and_no_route_for_it():
    assert "www.example.net" not in render(domains())


def test_a_server_without_sites_answers_every_request_with_421():
    text = render(domains({}))
    lines = text.splitlines()
    assert (
        lines[lines.index("    http-request set-var(txn.status) int(421)") + 2]
        == "    http-request use-service lua.refused"
    )
    assert "use_backend" not in text


def test_fifty_domains_of_one_application_fit_haproxys_64_words_a_line():
    many = {f"site{n}.example.com": {"app": "blog", "port": 8080} for n in range(50)}
    text = render(domains(many))
    unquoted = [line.split("'")[0] for line in text.splitlines()]
    assert max(len(line.split()) for line in unquoted) <= 40
    assert all(f" www.site{n}.example.com" in text for n in range(50))
    assert text.count("server-template") == 1


def test_no_name_is_looked_up_by_libc_which_blocks_on_absent_ones():
    assert "libc" not in render(domains(), crt_list=LIST)


def test_slots_hold_a_release_and_its_failed_predecessors():
    assert f"server-template echo- {SLOTS} echo:9000 check" in render(domains())
    assert SLOTS >= 4


def test_an_application_with_replicas_has_as_many_slots_as_it_is_told():
    told = {"echo.example.net": {"app": "echo", "port": 9000, "slots": 20}}
    assert "server-template echo- 20 echo:9000 check" in render(domains(told))
    with pytest.raises(InputError, match=r"slots: 0 is not a number from 1 to 128"):
        domains({"echo.example.net": {"app": "echo", "port": 9000, "slots": 0}})


def test_a_page_that_would_end_its_own_quotes_is_refused():
    with pytest.raises(ValueError, match="apostrophe"):
        page("It's", "text")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "DOMAINS is not JSON"),
        ("[]", "must be a JSON object"),
        ('{"example.com": "blog"}', "must be an object such as"),
        ('{"Example.com": {"app": "blog", "port": 80}}', "not a domain name in lower case"),
        ('{"a.com\\n": {"app": "blog", "port": 80}}', "not a domain name"),
        ('{"-a.com": {"app": "blog", "port": 80}}', "not a domain name"),
        ('{"a.com": {"port": 80}}', "app: None is not the name of an application"),
        ('{"a.com": {"app": "x\\n  user root", "port": 80}}', "is not the name of an application"),
        ('{"a.com": {"app": "blog", "port": true}}', "port: True is not a port"),
        ('{"a.com": {"app": "blog", "port": 65536}}', "port: 65536 is not a port"),
        ('{"a.com": {"app": "blog", "port": "80"}}', "port: '80' is not a port"),
        ('{"a.com": {"app": "blog", "port": 80, "path": "up"}}', "path: 'up' is not a path"),
        ('{"a.com": {"app": "blog", "port": 80, "path": "/a b"}}', "is not a path"),
        ('{"a.com": {"app": "blog", "port": 80, "path": "/#"}}', "is not a path"),
        ('{"a.com": {"app": "blog", "port": 80, "www": 1}}', "www: 1 is neither"),
        ('{"a.com": {"app": "blog", "port": 80, "tls": 1}}', "tls: 1 is neither"),
        ('{"a.com": {"app": "blog", "port": 80, "ports": 1}}', "unknown keys ports"),
    ],
)
def test_what_cannot_be_configured_is_refused_with_its_place(text: str, message: str):
    with pytest.raises(InputError) as caught:
        parse_domains(text)
    assert message in str(caught.value)


def test_all_errors_are_told_at_once():
    with pytest.raises(InputError) as caught:
        parse_domains('{"a b": {"app": "blog", "port": 0}, "c.com": {"app": "", "port": 80}}')
    assert len(str(caught.value).splitlines()) == 3


def test_one_application_at_two_ports_is_refused():
    with pytest.raises(InputError, match="one application has one port"):
        domains({"a.com": {"app": "x", "port": 1}, "b.com": {"app": "x", "port": 2}})


def test_a_www_name_that_is_a_domain_of_its_own_is_refused():
    with pytest.raises(InputError, match=r"www\.a\.com is already answered for 'a\.com'"):
        domains({"a.com": {"app": "x", "port": 1}, "www.a.com": {"app": "y", "port": 1}})


def test_container_names_come_from_the_environment_or_not_at_all():
    assert parse_container("HAPROXY_CONTAINER", {}) is None
    assert parse_container("HAPROXY_CONTAINER", {"HAPROXY_CONTAINER": ""}) is None
    assert parse_container("HAPROXY_CONTAINER", {"HAPROXY_CONTAINER": "haproxy"}) == "haproxy"
    with pytest.raises(InputError, match="HAPROXY_CONTAINER"):
        parse_container("HAPROXY_CONTAINER", {"HAPROXY_CONTAINER": "x y"})


def test_networks_are_parsed_and_spelled_canonically():
    assert parse_networks("172.30.0.0/24, 2001:DB8::/96") == ("172.30.0.0/24", "2001:db8::/96")
    with pytest.raises(InputError, match="METRICS_FROM"):
        parse_networks("172.30.0.1/24")


def test_a_monitor_reads_the_figures_by_a_socket_in_the_volume_and_gets_nothing_else_there():
    for text in (render(domains()), render(domains(), metrics_from=["172.30.0.0/24"])):
        (figures,) = [part for part in text.split("\n\n") if part.startswith("frontend figures\n")]
        assert [line.strip() for line in figures.splitlines() if "bind" in line] == [
            "bind unix@/etc/haproxy/run/metrics.sock mode 666"
        ]
        assert "stats" not in figures
        assert figures.splitlines()[-1].strip() == "http-request return status 404"
