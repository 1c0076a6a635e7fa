"""Addresses that lead elsewhere: what the stack file may say, and what DNS, proxy and verdict make of it."""

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "images" / "HAProxySetup"))

from hasetup.config import render
from hasetup.domains import InputError, parse_domains

import settings
from settings.domains import dns_records, redirects_map, zones_of
from tests.unit.scripts import load
from tests.unit.test_settings import good
from tests.unit.test_settings_errors import report

TOOLS = Path(__file__).parents[2] / "playbooks" / "roles" / "tools" / "files"
os.environ["APIARY_LIB"] = str(TOOLS)
verdict = load(TOOLS / "apiary-verdict")
SERVED = "example.com"  # by an application of web1 in the good stack


def with_redirects(redirects: dict[str, str]) -> dict[str, Any]:
    stack = good()
    stack["servers"]["web1"]["redirects"] = redirects
    return stack


def read(redirects: dict[str, str]) -> settings.Stack:
    return settings.load(with_redirects(redirects), name="test")


def test_a_whole_domain_has_records_a_zone_and_a_place_in_what_the_proxy_is_told():
    stack = read({"old.example.org": "https://example.com", f"{SERVED}/feed": "/rss.xml"})
    names = {(one.zone, one.name, one.type, one.source) for one in dns_records(stack, "web1")}
    for name in ("old", "www.old"):
        assert ("example.org", name, "A", "ipv4") in names
        assert ("example.org", name, "AAAA", "web_ipv6") in names
    assert "example.org" in zones_of(stack)
    assert redirects_map(stack, "web1")["old.example.org"]["redirects"] == {"": "https://example.com"}
    told = settings.proxy_map(stack, "web1")
    assert told[SERVED]["redirects"] == {"/feed": "/rss.xml"}
    assert told[SERVED]["app"] == settings.domains_map(stack, "web1")[SERVED]["app"]
    parsed = {one.name: one for one in parse_domains(json.dumps(told))}
    assert parsed["old.example.org"].app == ""
    assert "backend app-\n" not in render(list(parsed.values()), crt_list="/x")


def test_a_stack_without_redirects_tells_its_proxy_what_it_told_before():
    stack = settings.load(good(), name="test")
    assert json.dumps(settings.proxy_map(stack, "web1")) == json.dumps(settings.domains_map(stack, "web1"))


@pytest.mark.parametrize(
    ("source", "to", "message"),
    [
        ("https://old.example.org", "https://example.com", "is not a domain; write it without scheme"),
        ("old.example.org/*", "https://example.com", "or from one path each"),
        ("old.example.org/a?b=c", "https://example.com", "or from one path each"),
        ("old.example.org/a b", "https://example.com", "holds what no address does"),
        ("www.old.example.org", "https://example.com", 'www. is added by itself; write "old.example.org"'),
        ("old.example.org", "example.com", "is no target"),
        ("old.example.org", "//example.com/", "is no target"),
        ("old.example.org", "https://exa mple.com", "is no target"),
        ("old.example.org", "https://example.com/it's", "is no target"),
        ("old.example.org", "https://u:p@example.com", "is no target"),
        ("old.example.org", "https://example.com:99999/", "is no target"),
        ("old.example.org", "/rss.xml", "would lead to itself"),
        ("old.example.org", "https://www.old.example.org", "leads in a circle"),
        ("other.example.org/feed", "/rss.xml", "no application of this server serves"),
        (f"{SERVED}/feed", "/feed", "leads in a circle"),
        (f"{SERVED}/feed", f"https://www.{SERVED}/feed", "leads in a circle"),
        (SERVED, "https://example.net", "is served by applications.blog; leave one out"),
    ],
)
def test_what_leads_nowhere_is_refused_at_its_place(source, to, message):
    found = report(with_redirects({source: to}))
    assert any(message in text for path, text in found.items() if path.startswith("servers.web1.redirects")), found


def test_a_circle_of_two_is_seen_and_a_chain_that_ends_is_not_one():
    a, b = "a.example.org", "b.example.org"
    assert len(report(with_redirects({a: f"https://{b}", b: f"http://{a}"}))) == 2
    read({a: f"https://{b}", b: f"https://{SERVED}", f"{SERVED}/x": "/y", f"{SERVED}/y": "https://example.net/x"})


@pytest.mark.parametrize("value", [[], {"feed": "/x"}, {"/a": "x"}, {"/a": "/it's"}, {"/a\n": "/x"}, {"/a": "/x y"}])
def test_the_proxy_takes_no_redirect_that_would_be_a_line_of_its_own(value):
    with pytest.raises(InputError, match="redirects"):
        parse_domains(json.dumps({"a.example": {"app": "a", "port": 1, "redirects": value}}))


def test_a_domain_without_an_application_leads_elsewhere_as_a_whole():
    with pytest.raises(InputError, match="is not the name of an application"):
        parse_domains(json.dumps({"a.example": {"redirects": {"/a": "/b"}}}))


def test_the_verdict_asks_for_each_redirect_and_needs_no_container_for_it():
    told = {
        "applications": {},
        "redirects": {
            "old.example.org": {"www": True, "tls": True, "redirects": {"": "https://example.com"}},
            "example.com": {"www": True, "tls": False, "redirects": {"/feed": "/rss.xml"}},
        },
    }
    (old, feed) = (
        verdict.Application(name, one["container"], one["sites"]) for name, one in verdict.everything(told).items()
    )
    assert [(one.url, one.leads_to) for one in old.questions()] == [
        ("https://old.example.org/", "https://example.com/"),
    ]
    assert [(one.url, one.leads_to) for one in feed.questions()] == [("http://example.com/feed", "/rss.xml")]
    assert verdict.meet(old) == ({}, None)
