"""Redirects as visitors meet them: what hasetup writes, run by a real HAProxy on this machine, asked by curl."""

from collections.abc import Callable, Iterator

import pytest

from tests.conformance.proxy import FAMILIES, VERSIONS, curl, needs_proxy, running

pytestmark = needs_proxy
TOLD = {
    "old.example.org": {"tls": True, "redirects": {"": "https://example.com", "/team": "https://example.com/about?a=b%20c#us"}},
    "plain.example.org": {"tls": False, "redirects": {"": "https://example.com/one/page"}},
    "example.com": {"app": "blog", "port": 8080, "tls": True, "redirects": {"/feed": "/rss.xml", "/a%20b": "/%20%ci"}},
}  # fmt: skip
HTTP, HTTP2 = VERSIONS
# Scheme, host and path of a request, and where it leads; None is the application's own (there is none here: 503).
LEADS = [
    ("https", "old.example.org", "/", "https://example.com/"),
    ("https", "old.example.org", "/a/b?c=d", "https://example.com/a/b?c=d"),
    ("https", "www.old.example.org", "/a", "https://example.com/a"),
    ("https", "OLD.example.org", "/a", "https://example.com/a"),
    ("https", "old.example.org", "/team", "https://example.com/about?a=b%20c#us"),
    ("https", "old.example.org", "/teams", "https://example.com/teams"),
    ("http", "old.example.org", "/a", "https://old.example.org/a"),
    ("http", "plain.example.org", "/a?b", "https://example.com/one/page"),
    ("https", "example.com", "/feed", "/rss.xml"),
    ("https", "example.com", "/feed?page=2", "/rss.xml"),
    ("https", "example.com", "/a%20b", "/%20%ci"),
    ("https", "example.com", "/feed/", None),
    ("https", "example.com", "/", None),
]


@pytest.fixture(scope="module")
def ports(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, int]]:
    with running(tmp_path_factory.mktemp("proxy"), TOLD) as found:
        yield found


@pytest.fixture(params=FAMILIES)
def asked(request: pytest.FixtureRequest, ports: dict[str, int]) -> Callable[..., tuple[str, str, str]]:
    """Asks over one family: the version of HTTP, the status and the Location."""

    def ask(scheme: str, host: str, path: str, version: str) -> tuple[str, str, str]:
        shown = "%{http_version} %{http_code} %header{location}"
        _, told = curl(ports, f"{scheme}://{host}{path}", request.param, version, shown=shown)
        version, status, location = told.split(" ", 2)
        return version, status, location

    return ask


@pytest.mark.parametrize(("scheme", "host", "path", "to"), LEADS, ids=str)
def test_a_redirect_leads_where_it_is_written(asked, scheme, host, path, to):
    for version in (HTTP, HTTP2) if scheme == "https" else (HTTP,):
        spoken, status, location = asked(scheme, host, path, version)
        assert spoken == ("2" if version == HTTP2 else "1.1")
        assert (status, location) == (("301", to) if to else ("503", "")), version


def test_a_challenge_for_the_certificate_of_a_redirected_domain_is_answered(asked):
    """By the proxy itself, as for a domain that is served; everything else of it leads to its https."""
    for name in ("old.example.org", "www.old.example.org"):
        assert asked("http", name, "/.well-known/acme-challenge/token", HTTP)[1:] == ("200", "")


def test_a_name_that_nobody_wrote_leads_nowhere(asked):
    assert asked("http", "other.example.org", "/feed", HTTP)[1:] == ("421", "")
