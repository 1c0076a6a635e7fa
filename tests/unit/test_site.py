"""What `site:` says reaches the proxy, DNS and who asks whether a site serves; who says nothing changes nothing."""

from __future__ import annotations

import json
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest

import settings
from settings import monitoring
from settings.domains import Route
from settings.models import Application
from settings.site import statuses

sys.path.insert(0, str(Path(__file__).parents[2] / "images" / "HAProxySetup"))

from hasetup.config import render
from hasetup.domains import InputError, parse_domains

SERVER = {"plan": "vc2-1c-2gb", "region": "ewr", "os": 2136, "dns": {"web": ["example.com", "example.net"]}}
PROXY = {"build_dir": "HAProxy", "ipv6_web": True, "ports": [80, 443], "volumes": ["haproxycfg:/etc/haproxy"]}
SETUP = {
    "build_dir": "HAProxySetup",
    "env": {"domains": "all", "haproxy_container": "$haproxy"},
    "volumes": ["haproxycfg:/etc/haproxy"],
}
ALL: dict[str, Any] = {
    "timeout": 600,
    "body_limit": "1.5g",
    "www": "both",
    "allow_from": ["203.0.113.7", "2001:db8:5::/48"],
    "rate_limit": {"requests": 50},
    "trusted_proxies": ["192.0.2.0/24"],
}


def stack(site: dict[str, Any] | None) -> settings.Stack:
    said = {} if site is None else {"site": site}
    shop = {"build_dir": "Echo", "env": {"domains": ["example.com"], "http_port": 8080}, **said}
    plain = {"build_dir": "Echo", "env": {"domains": ["example.net"], "http_port": 8080}}
    applications = {"haproxy": PROXY, "shop": shop, "plain": plain}
    return settings.load(
        {"servers": {"web1": SERVER}, "applications": applications, "jobs": {"hasetup": SETUP}}, name="test"
    )


def routed(site: dict[str, Any] | None) -> Route:
    return settings.domains_map(stack(site), "web1")["example.com"]


def configured(site: dict[str, Any] | None) -> list[str]:
    text = render(parse_domains(json.dumps(settings.domains_map(stack(site), "web1"))), crt_list="/certs/list")
    return [line.strip() for line in text.splitlines()]


def backend(site: dict[str, Any] | None) -> list[str]:
    lines = configured(site)
    at = lines.index("backend app-shop")
    return [*lines, ""][at : [*lines, ""].index("", at)]


@pytest.mark.parametrize("site", [None, {}, {"timeout": 60, "www": "bare", "allow_from": []}])
def test_who_says_nothing_of_a_site_changes_nothing(site: dict[str, Any] | None) -> None:
    assert "site" not in routed(site)
    assert configured(site) == configured(None)


def test_all_that_is_said_reaches_the_proxy() -> None:
    assert routed(ALL)["site"] == {
        "timeout": 600,
        "body_limit": 1536 << 20,
        "www": "both",
        "allow_from": ["2001:db8:5::/48", "203.0.113.7/32"],
        "rate_limit": (50, 10),
        "trusted_proxies": ["192.0.2.0/24"],
    }
    lines = backend(ALL)
    assert "timeout server 600s" in lines
    assert "acl allowed src 2001:db8:5::/48 203.0.113.7/32" in lines
    assert "stick-table type ipv6 size 100000 expire 10s store gpc0,gpc0_rate(10s)" in lines
    assert "http-request set-var(txn.status) int(403) if { nbsrv(app-shop) gt 0 } !allowed" in lines
    assert "http-request use-service lua.refused if { nbsrv(app-shop) gt 0 } !allowed" in lines
    assert "http-request use-service lua.refused if { nbsrv(app-shop) gt 0 } { sc0_gpc0_rate ge 50 }" in lines
    again = [line for line in lines if "set-var(txn.again)" in line and "sc0" in line]
    assert again == ["http-request set-var(txn.again) int(10) if { nbsrv(app-shop) gt 0 } { sc0_gpc0_rate ge 50 }"]
    assert [line for line in lines if line.endswith(f"if {{ req.hdr_val(Content-Length) gt {1536 << 20} }}")]


def test_a_trusted_proxy_is_believed_for_its_own_site_before_its_header_goes() -> None:
    lines = configured(ALL)
    at = [number for number, line in enumerate(lines) if "set-src" in line]
    assert len(at) == 2, "of http and of https"
    for number in at:
        assert lines[number].endswith("if before-shop { var(txn.app) -m str shop }")
        assert lines[number + 1].startswith("http-request del-header")
    assert not [line for line in configured(None) if "set-src" in line]


@pytest.mark.parametrize(
    ("www", "redirected", "to"),
    [
        ("bare", ["www.example.com", "www.example.net"], "%[var(txn.host),regsub(^www\\.,)]"),
        ("www", ["example.com"], "www.%[var(txn.host)]"),
        ("both", [], ""),
        ("none", [], ""),
    ],
)
def test_www_leads_where_the_site_says(www: str, redirected: list[str], to: str) -> None:
    lines = configured({"www": www})
    https = lines[lines.index("frontend https") :]
    found = [line for line in https if "redirect prefix https://" in line and f"https://{to} " in line]
    named = {name for line in https if line.startswith(("acl www ", "acl bare ")) for name in line.split()[5:]}
    assert set(redirected) <= named
    assert bool(found) is bool(redirected)
    assert ("www.example.com" in " ".join(lines)) is (www != "none")


@pytest.mark.parametrize(("www", "there"), [("bare", True), ("www", True), ("both", True), ("none", False)])
def test_only_none_has_no_record_for_www(www: str, there: bool) -> None:
    names = {(record.zone, record.name) for record in settings.dns_records(stack({"www": www}), "web1")}
    assert (("example.com", "www") in names) is there
    assert ("example.net", "www") in names


@pytest.mark.parametrize(
    ("site", "counted"),
    [
        ({}, "200-399"),
        ({"allow_from": ["203.0.113.7"]}, "200-399,403"),
        ({"rate_limit": {"requests": 5}}, "200-399,429"),
        (ALL, "200-399,403,429"),
    ],
)
def test_a_refusal_by_the_proxy_counts_as_served_for_who_asks_from_elsewhere(
    site: dict[str, Any], counted: str
) -> None:
    route = routed(site)
    assert statuses(route["status"], route.get("site")) == counted
    # The proxy's own check of the application is as strict as ever.
    assert "http-check expect status 200-399" in backend(site)


@pytest.mark.parametrize(
    ("site", "said"),
    [
        ({"timeout": 0}, "write at least 1"),
        ({"body_limit": "much"}, "not an amount"),
        ({"allow_from": ["203.0.113.0/8"]}, "bits set behind its length"),
        ({"trusted_proxies": ["0.0.0.0/0"]}, "is everywhere"),
        ({"rate_limit": {}}, "missing"),
        ({"www": "no"}, "bare"),
        ({"timout": 5}, "timeout"),
    ],
)
def test_a_mistake_is_told_with_its_place(site: dict[str, Any], said: str) -> None:
    with pytest.raises(settings.SettingsError) as raised:
        stack(site)
    [problem] = raised.value.problems
    assert problem.path.startswith("applications.shop.site")
    assert said in f"{problem.path} {problem.message}"


def test_a_site_without_domains_is_refused() -> None:
    applications = {"haproxy": PROXY, "quiet": {"build_dir": "Echo", "site": {"timeout": 5}}}
    with pytest.raises(settings.SettingsError, match="serves no domain"):
        settings.load({"servers": {"web1": SERVER}, "applications": applications}, name="test")


@pytest.mark.parametrize(
    "site",
    [3, {"timeout": "5s"}, {"body_limit": -1}, {"www": True}, {"allow_from": ["x y"]}, {"rate_limit": [1]}, {"x": 1},
     {"timeout": True}, {"trusted_proxies": [{}]}],
)  # fmt: skip
def test_the_proxy_s_setup_takes_nothing_that_it_does_not_know(site: object) -> None:
    with pytest.raises(InputError, match=r"DOMAINS\['example.com'\]\.site"):
        parse_domains(json.dumps({"example.com": {"app": "shop", "port": 8080, "site": site}}))


def test_a_monitor_asks_for_the_name_that_answers_itself() -> None:
    """The other one leads there, and a 301 may be no sign of health."""
    seen = {}
    for www in ("bare", "www", "both", "none"):
        hive = stack({"www": www})
        monitor = Application(build_dir="Monitor", volumes=["monitor:/var/lib/monitor"])
        watched = hive.model_copy(update={"applications": {**hive.applications, "monitor": monitor}})
        seen[www] = {site["domain"] for site in monitoring.watched(watched, "monitor", {"web1": "192.0.2.1"})["sites"]}
    assert seen == {
        "bare": {"example.com", "example.net"},
        "www": {"www.example.com", "example.net"},
        "both": {"example.com", "example.net"},
        "none": {"example.com", "example.net"},
    }


@pytest.mark.parametrize(("www", "refused"), [("none", False), ("bare", True)])
def test_where_there_is_no_www_its_name_is_free_for_another_record(www: str, refused: bool) -> None:
    shop = {"build_dir": "Echo", "env": {"domains": ["example.com"], "http_port": 8080}, "site": {"www": www}}
    zones = {"example.com": {"records": [{"type": "CNAME", "name": "www", "data": "pages.example.org"}]}}
    server = {**SERVER, "dns": {"web": ["example.com"]}}
    told = {"servers": {"web1": server}, "applications": {"haproxy": PROXY, "shop": shop}, "zones": zones}
    with pytest.raises(settings.SettingsError, match="www") if refused else nullcontext():
        settings.load({**told, "jobs": {"hasetup": SETUP}}, name="test")
