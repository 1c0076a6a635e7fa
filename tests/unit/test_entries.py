"""Several applications on one domain, and all names below one: what the stack file may say, and who follows it."""

from __future__ import annotations

import datetime
import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "images" / "HAProxySetup"))
sys.path.insert(0, str(Path(__file__).parents[2] / "images" / "CertBot"))

from certjob.settings import parse as parse_certbot
from hasetup import certificates, pem
from hasetup.config import render
from hasetup.domains import InputError, parse_domains

import settings
from settings import entries, monitoring
from settings.models import Application
from tests.unit.scripts import load

TOOLS = Path(__file__).parents[2] / "playbooks" / "roles" / "tools" / "files"
os.environ["APIARY_LIB"] = str(TOOLS)
verdict = load(TOOLS / "apiary-verdict")
PROXY = {"build_dir": "HAProxy", "ipv6_web": True, "ports": [80, 443], "volumes": ["haproxycfg:/etc/haproxy"]}
WILD = "*.example.com"
SECRETS = {"pem": "x", "word": "correct horse", "lines": "a\nb", "long": "ä" * 128 + "x"}


def told(sites: dict[str, list[str]], **more: Any) -> dict[str, Any]:
    """A stack file: application -> its domains; `site` and `health` by application, `env` of hasetup."""
    applications: dict[str, Any] = {"haproxy": PROXY}
    for name, domains in sites.items():
        applications[name] = {"build_dir": "Echo", "env": {"domains": domains, "http_port": 8080}}
        for word in ("site", "health"):
            if name in more.get(word, {}):
                applications[name][word] = more[word][name]
    setup = {
        "build_dir": "HAProxySetup",
        "env": {"domains": "all", "haproxy_container": "$haproxy", **more.get("env", {})},
        "volumes": ["haproxycfg:/etc/haproxy"],
    }
    web = sorted({domain.partition("/")[0] for domains in sites.values() for domain in domains})
    server = {"plan": "vc2-1c-2gb", "region": "ewr", "os": 2136, "dns": {"web": more.get("web", web)}}
    server |= {"redirects": more["redirects"]} if "redirects" in more else {}
    return {
        "servers": {"web1": server},
        "applications": applications,
        "jobs": {"hasetup": setup},
        "secrets": {**SECRETS, **more.get("secrets", {})},
    }


def stack(sites: dict[str, list[str]], **more: Any) -> settings.Stack:
    return settings.load(told(sites, **more), name="test")


def problems(sites: dict[str, list[str]], **more: Any) -> dict[str, str]:
    with pytest.raises(settings.SettingsError) as raised:
        stack(sites, **more)
    return {problem.path: problem.message for problem in raised.value.problems}


OWN = {"certificate_wild": "_secrets^pem"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("example.com/8080", "http_port: 8080 beside it"),
        ("example.com/", 'write "example.com"'),
        ("example.com/api/", 'write "example.com/api"'),
        ("example.com//api", 'write "example.com/api"'),
        ("example.com/a/../b", 'write "example.com/a/b"'),
        ("example.com/api/*", "holds all below it by itself"),
        ("example.com/a b", "letters, digits and"),
        ("example.com/%61", "letters, digits and"),
        ("https://example.com/api", "without"),
        ("*example.com", '"*.example.com"'),
        ("a.*.example.com", '"*.example.com"'),
        ("*.com", "not a domain name"),
        ("www.example.com/api", 'write "example.com/api"'),
    ],
)
def test_what_is_no_domain_with_or_without_a_path_is_refused_with_what_to_write(text: str, said: str) -> None:
    found = problems({"shop": [text]}, web=["example.com"], env=OWN)
    assert said in found["applications.shop.env.domains[0]"], found


def test_two_on_one_path_are_refused_by_name_and_two_on_one_domain_are_not() -> None:
    stack({"blog": ["example.com"], "api": ["example.com/api"], "next": ["example.com/api/v2"]})
    found = problems({"blog": ["example.com/api"], "api": ["example.com/api"]})
    assert "is served by applications.blog already" in found["applications.api.env.domains[0]"]


def test_a_path_has_no_record_zone_or_certificate_of_its_own() -> None:
    plain = stack({"blog": ["example.com"]})
    paths = stack({"blog": ["example.com"], "api": ["example.com/api"]})
    assert settings.dns_records(paths, "web1") == settings.dns_records(plain, "web1")
    assert settings.zones_of(paths) == settings.zones_of(plain)
    domains = json.dumps(settings.proxy_map(paths, "web1"))
    assert parse_certbot({"DOMAINS": domains, "HAPROXY_CONTAINER": "haproxy"}).domains == {
        "example.com": ("example.com", "www.example.com")
    }


def test_a_path_of_a_domain_that_leads_to_another_server_or_nowhere_is_refused() -> None:
    found = problems({"api": ["example.com/api"]}, web=["example.net"])
    assert 'no server answers for "example.com"' in found["applications.api.env.domains[0]"]


def test_who_serves_all_of_a_domain_says_what_becomes_of_its_www() -> None:
    sites = {"api": ["example.com/api", "example.net"], "blog": ["example.com"]}
    routes = settings.domains_map(stack(sites, site={"blog": {"www": "none"}}), "web1")
    assert [routes[one]["www"] for one in ("example.com", "example.com/api", "example.net")] == [False, False, True]
    names = {(one.zone, one.name) for one in settings.dns_records(stack(sites, site={"blog": {"www": "none"}}), "web1")}
    assert ("example.com", "www") not in names
    assert ("example.net", "www") in names
    parse_domains(json.dumps(routes))
    found = problems(sites, site={"blog": {"www": "none"}, "api": {"www": "both"}})
    assert 'www of "example.com" is none' in found["applications.api.site.www"]


def test_to_strip_wants_a_path() -> None:
    found = problems({"blog": ["example.com"]}, site={"blog": {"strip": True}})
    assert "no path to take off" in found["applications.blog.site.strip"]


@pytest.mark.parametrize(
    ("entry", "path", "strip", "wanted"),
    [
        ("example.com", "/up", False, None),
        ("example.com", "/up", True, None),
        ("example.com/api", "/up", True, {"path": "/api/up"}),
        ("example.com/api", "/", True, {"path": "/api/"}),
        ("example.com/api", "/api/up?x=1", False, {"path": "/api/up?x=1"}),
        ("example.com/api", "/api", False, {"path": "/api"}),
        ("example.com/api", "/apis", False, {"path": "/api", "status": "200-499"}),
        ("example.com/api", "/", False, {"path": "/api", "status": "200-499"}),
        (WILD, "/up", False, {"path": "/up", "status": "200-499"}),
        (f"{WILD}/x", "/", True, {"path": "/x/", "status": "200-499"}),
    ],
)
def test_who_watches_a_site_asks_where_visitors_come(entry: str, path: str, strip: bool, wanted: Any) -> None:
    assert entries.parse(entry).visited(path, strip=strip) == wanted


def test_verdict_and_monitor_ask_for_every_entry_by_what_visitors_ask_for() -> None:
    sites = {"blog": ["example.com"], "api": ["example.com/api"], "tenants": [WILD]}
    hive = stack(sites, site={"api": {"strip": True}}, health={"api": {"path": "/up"}}, env=OWN)
    routes = settings.domains_map(hive, "web1")
    found = {}
    for name in sites:
        mine = {domain: route for domain, route in routes.items() if route["app"] == name}
        application = verdict.Application(name, "c", mine)
        found[name] = (
            (application.rule.host, application.rule.path),
            {(one.url, one.leads_to, one.status) for one in application.questions()},
        )
    assert found["api"][0] == ("example.com", "/up")
    assert found["api"][1] == {
        ("https://example.com/api/up", None, None),
        ("http://example.com/api/up", "https://example.com/api/up", None),
        ("https://www.example.com/api/up", "https://example.com/api/up", None),
        ("http://www.example.com/api/up", "https://example.com/api/up", None),
    }
    assert found["tenants"][0] == ("apiary-health.example.com", "/")
    assert found["tenants"][1] == {
        ("https://apiary-health.example.com/", None, "200-499"),
        ("http://apiary-health.example.com/", "https://apiary-health.example.com/", None),
    }
    monitor = Application(build_dir="Monitor", volumes=["monitor:/var/lib/monitor"])
    watched = hive.model_copy(update={"applications": {**hive.applications, "monitor": monitor}})
    seen = monitoring.watched(watched, "monitor", {"web1": "192.0.2.1"})["sites"]
    assert {(one["domain"], one.get("host"), one["path"], one["status"]) for one in seen} == {
        ("example.com", None, "/", "200-399"),
        ("example.com/api", "example.com", "/api/up", "200-399"),
        (WILD, "apiary-health.example.com", "/", "200-499"),
    }


def test_release_verdict_and_proxy_check_an_application_by_the_same_name() -> None:
    for domains in (
        [WILD, "example.com.au"],
        ["example.com/api", "example.com.au"],
        [WILD],
        ["b.example.com", "a.net"],
    ):
        routes = {domain: {"app": "a", "port": 1, "path": "/", "status": "200", "www": False} for domain in domains}
        host = entries.first(tuple(domains)).asked
        assert verdict.Application("a", "c", {name: {**one} for name, one in routes.items()}).rule.host == host
        assert f" hdr Host {host} " in render(parse_domains(json.dumps(routes)))


def test_all_names_below_a_domain_have_a_record_and_need_a_certificate_of_one_s_own() -> None:
    sites = {"tenants": [WILD], "blog": ["example.com"]}
    found = problems(sites)
    assert "jobs.hasetup.env: {certificate_wildcard: _secrets^NAME}" in found["applications.tenants.env.domains[0]"]
    hive = stack(sites, env=OWN)
    names = {(one.zone, one.name, one.type, one.source) for one in settings.dns_records(hive, "web1")}
    assert ("example.com", "*", "A", "ipv4") in names
    assert ("example.com", "*", "AAAA", "web_ipv6") in names
    assert not [name for _, name, _, _ in names if name.startswith("www.")]
    domains = json.dumps(settings.proxy_map(hive, "web1"))
    wanted = parse_certbot({"DOMAINS": domains, "HAPROXY_CONTAINER": "haproxy"}).domains
    assert set(wanted) == {"example.com"}


def test_http_alone_needs_no_certificate() -> None:
    given = told({"tenants": [WILD]})
    given["applications"]["haproxy"] = {**PROXY, "ports": [80]}
    settings.load(given, name="test")


@pytest.mark.parametrize("name", ["*.com", "*.co.uk", "*.www.example.com", "*.*.example.com"])
def test_names_below_a_public_suffix_and_stars_elsewhere_are_refused_where_they_are_listed(name: str) -> None:
    found = problems({"blog": ["example.com"]}, web=["example.com", name])
    assert "servers.web1.dns.web[1]" in found


def test_a_record_of_one_s_own_clashes_with_all_names() -> None:
    given = told({"tenants": [WILD]}, env=OWN)
    given["zones"] = {"example.com": {"records": [{"type": "CNAME", "name": "*", "data": "elsewhere.example.net"}]}}
    with pytest.raises(settings.SettingsError, match="follows from"):
        settings.load(given, name="test")


def test_a_redirect_of_a_domain_whose_parts_are_served_comes_along_with_one_of_them() -> None:
    hive = stack({"api": ["example.com/api"], "x": ["example.com/x"]}, redirects={"example.com/feed": "/rss.xml"})
    proxy = settings.proxy_map(hive, "web1")
    assert [name for name, one in proxy.items() if "redirects" in one] == ["example.com/api"]
    lines = render(parse_domains(json.dumps(proxy)), crt_list="/x").splitlines()
    assert len([line for line in lines if "location '/rss.xml'" in line]) == 1


def test_passwords_are_told_by_name_alone_and_are_secrets_that_can_be_typed() -> None:
    secret = {"blog": {"password": {"anna": "_secrets^word"}}}
    hive = stack({"blog": ["example.com"]}, site=secret)
    assert settings.domains_map(hive, "web1")["example.com"]["site"] == {"password": ["anna"]}
    assert "correct horse" not in json.dumps(settings.proxy_map(hive, "web1"))
    for given, said in (
        ({"anna": "_secrets^wrod"}, "did you mean"),
        ({"anna": "_secrets^lines"}, "more than one line"),
        ({"anna": "_secrets^long"}, "more than 256 bytes"),
        ({"anna": "correct horse"}, "no reference to a secret"),
        ({"an:na": "_secrets^word"}, "not a name to log in with"),
    ):
        found = problems({"blog": ["example.com"]}, site={"blog": {"password": given}})
        [(path, message)] = found.items()
        assert path.startswith("applications.blog.site.password")
        assert said in message
        assert "correct horse" not in message


def test_what_the_setup_is_told_by_itself_is_not_written_beside_it() -> None:
    found = problems({"blog": ["example.com"]}, env={"passwords": "_secrets^word"})
    assert "site: {password:" in found["jobs.hasetup.env.passwords"]


@pytest.mark.parametrize(
    "domains",
    [
        {"example.com/": {}}, {"example.com/a/": {}}, {"example.com/a b": {}}, {"example.com/..": {}},
        {"example.com/a'": {}}, {"*example.com": {}}, {"*.example.com": {"www": True}},
        {"example.com": {"www": True}, "example.com/x": {"app": "b", "www": False}},
        {"example.com/x": {"visited": {"path": "x y"}}}, {"example.com/x": {"visited": 3}},
    ],
)  # fmt: skip
def test_the_proxy_s_setup_takes_no_entry_that_would_be_a_line_of_its_own(domains: dict[str, Any]) -> None:
    usual = {"app": "a", "port": 1, "www": False}
    with pytest.raises(InputError, match="DOMAINS"):
        parse_domains(json.dumps({name: {**usual, **one} for name, one in domains.items()}))


def test_without_its_own_certificate_names_below_a_domain_are_refused_by_the_setup_too(tmp_path: Path) -> None:
    domains = parse_domains(json.dumps({WILD: {"app": "a", "port": 1, "www": False, "tls": True}}))
    text = pem.self_signed([WILD])
    with pytest.raises(InputError, match="certificate_NAME"):
        certificates.refuse_uncovered(domains, ())
    other = certificates.Own("CERTIFICATE_A", text, pem.Certificate(frozenset({"*.example.net"}), _in(9), "x"))
    with pytest.raises(InputError, match="certificate_NAME"):
        certificates.refuse_uncovered(domains, [other])
    # One that has expired is served, and told of: there is none that could take over.
    for days in (9, -9):
        own = certificates.Own("CERTIFICATE_A", text, pem.Certificate(frozenset({WILD}), _in(days), "x"))
        certificates.refuse_uncovered(domains, [own])
        prepared = certificates.prepare(domains, [own], tmp_path, lambda _: None)
        assert prepared.crt_list.read_text().split()[1:] == [WILD]
        assert any(note.startswith("WARNING") for note in prepared.notes) is (days < 0)


def _in(days: int) -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=days)
