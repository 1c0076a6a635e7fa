"""Several applications on one domain, and all names below one, as visitors meet them: by a real HAProxy."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.conformance.applications import named, port
from tests.conformance.proxy import FAMILIES, VERSIONS, curl, needs_proxy, running

pytestmark = needs_proxy
ON = {"port": 8080, "tls": True}
TOLD = {
    "example.org": {**ON, "app": "blog", "redirects": {"/feed": "/rss.xml", "/api/old": "/api/new"}},
    "example.org/api": {**ON, "app": "api", "visited": {"path": "/api/"}},
    "example.org/api/v2": {**ON, "app": "next", "site": {"strip": True}, "visited": {"path": "/api/v2/"}},
    "example.org/a.b": {**ON, "app": "dotted", "site": {"strip": True, "trusted_proxies": ["127.0.0.1/32"]}},
    "only.example.org/here": {**ON, "app": "part", "www": False},
    "*.example.org": {**ON, "app": "tenants", "www": False},
    "*.example.org/here": {**ON, "app": "part", "www": False},
    "shop.example.org": {**ON, "app": "shop", "www": False},
    "lone.example.net/x": {**ON, "app": "lone", "www": False, "site": {"strip": True}},
}


@pytest.fixture(scope="module")
def ports(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, int]]:
    with named(*sorted({site["app"] for site in TOLD.values()})) as listening:
        here = {name: port(listener) for name, listener in listening.items()}
        with running(tmp_path_factory.mktemp("proxy"), TOLD, here) as found:
            yield found


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    ("url", "wanted"),
    [
        ("example.org/", ("blog", "/")),
        ("example.org/apis", ("blog", "/apis")),
        ("example.org/API/x", ("blog", "/API/x")),
        ("example.org/x/api/", ("blog", "/x/api/")),
        ("example.org/api", ("api", "/api")),
        ("example.org/api?x=/api/v2/", ("api", "/api?x=/api/v2/")),
        ("example.org/api/v20", ("api", "/api/v20")),
        ("example.org/api/v2", ("next", "/")),
        ("example.org/api/v2/", ("next", "/")),
        ("example.org/api/v2/x/y?z=1", ("next", "/x/y?z=1")),
        ("example.org/api/v2?z=1", ("next", "/?z=1")),
        # Whoever takes a path for the beginning of a URL would be led to another host.
        ("example.org/api/v2//evil.example", ("next", "/evil.example")),
        ("example.org/a.b/c", ("dotted", "/c")),
        ("example.org/axb/c", ("blog", "/axb/c")),
        ("shop.example.org/", ("shop", "/")),
        ("shop.example.org/here", ("shop", "/here")),
        ("any.example.org/", ("tenants", "/")),
        ("any.example.org/here/x", ("part", "/here/x")),
        ("only.example.org/here", ("part", "/here")),
        ("only.example.org/there", ("tenants", "/there")),
        ("lone.example.net/x/y", ("lone", "/y")),
    ],
)
def test_the_longest_path_wins_and_names_win_over_wildcards(ports, family, version, url, wanted):
    body, status = curl(ports, f"https://{url}", family, version, "--path-as-is")
    assert status == "200"
    found = json.loads(body)
    assert (found["name"], found["path"]) == wanted


@pytest.mark.parametrize("version", VERSIONS)
def test_a_path_that_is_taken_off_is_told(ports, version):
    said = ("--header", "X-Forwarded-Prefix: /evil")
    for url, prefixes in (("example.org/api/v2/x", ["/api/v2"]), ("example.org/api/x", []), ("example.org/", [])):
        body, _ = curl(ports, f"https://{url}", "IPv4", version, *said)
        assert [value for key, value in json.loads(body)["head"] if key == "x-forwarded-prefix"] == prefixes


@pytest.mark.parametrize("version", VERSIONS)
def test_what_nobody_answers_is_not_found_and_deeper_names_are_not_served(ports, version):
    body, status = curl(ports, "https://lone.example.net/", "IPv6", version)
    assert (status, "nothing at this address" in body) == ("404", True)
    body, status = curl(ports, "http://a.b.example.org/", "IPv6", version="--http1.1")
    assert (status, "no site under this name" in body) == ("421", True)
    # Who looks after sites can tell that from what an application says.
    shown = "%{http_code} %header{apiary-state}"
    for agent, state in (("apiary-health", "nowhere"), ("someone", "")):
        said = curl(ports, "https://lone.example.net/", "IPv6", version, "--user-agent", agent, shown=shown)[1]
        assert said == f"404 {state}"


@pytest.mark.parametrize(
    "host", ["2130706433/.example.org", 'a"b.example.org', "a@b.example.org", "example.com,any.example.org"]
)
def test_what_is_no_name_is_not_served_as_one_below_a_domain(ports, host):
    """It would stand in addresses that the proxy leads to, and in what applications are told."""
    for scheme in ("http", "https"):
        given = ("--header", f"Host: {host}")
        body, status = curl(ports, f"{scheme}://any.example.org/", "IPv4", "--http1.1", *given)
        assert (status, "no site under this name" in body) == ("421", True), body


@pytest.mark.parametrize("version", VERSIONS)
def test_redirects_come_first_and_https_and_www_are_the_domain_s(ports, version):
    for url, to in (
        ("https://example.org/feed", "/rss.xml"),
        ("https://example.org/api/old", "/api/new"),
        ("https://www.example.org/api/x", "https://example.org/api/x"),
    ):
        assert curl(ports, url, "IPv4", version, shown="%{http_code} %header{location}")[1] == f"301 {to}"
    led = curl(ports, "http://any.example.org/here", "IPv4", "--http1.1", shown="%{http_code} %header{location}")[1]
    assert led == "301 https://any.example.org/here"


def test_the_proxy_in_front_of_one_path_is_believed_there_alone(ports):
    for path, seen in (("a.b/", "203.0.113.9"), ("", "127.0.0.1"), ("api/", "127.0.0.1")):
        body, _ = curl(
            ports, f"https://example.org/{path}", "IPv4", "--http2", "--header", "X-Forwarded-For: 203.0.113.9"
        )
        assert ["x-forwarded-for", seen] in json.loads(body)["head"]


def test_challenges_are_answered_whatever_the_paths_are(ports):
    body, status = curl(ports, "http://example.org/.well-known/acme-challenge/abc", "IPv4", "--http1.1")
    assert (status, body) == ("200", "abc.account")
