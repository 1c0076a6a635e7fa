"""What a next configuration closes is closed in the one that serves, before releases; what it opens has to wait."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "images" / "HAProxySetup"))

from hasetup import made
from hasetup.__main__ import main
from hasetup.access import Access
from hasetup.apply import Files
from hasetup.closing import NO_ADDRESS, NO_PASSWORD, NO_USER, closed
from hasetup.config import render
from hasetup.domains import parse_domains
from hasetup.made import Made

OFFICE, HOME, FAR = "203.0.113.0/24", "203.0.113.7/32", "198.51.100.0/24"
SIX, SIXTH = "2001:db8:5::/48", "2001:db8:5:1::/64"


def of(routes: Mapping[str, Mapping[str, Any] | str], **passwords: dict[str, str]) -> Made:
    """What is made of routes to applications, or of an application's site at example.com."""
    raw = {
        key: {"port": 80, "www": False, **({"app": route} if isinstance(route, str) else route)}
        for key, route in routes.items()
    }
    return Made(parse_domains(json.dumps(raw)), passwords=passwords)


def site(**said: Any) -> Made:
    users = said.pop("hashes", {})
    told = {**said, **({"password": list(users)} if users else {})}
    return of({"example.com": {"app": "shop", "site": told}}, **({"shop": users} if users else {}))


def then(serving: Made, wanted: Made) -> dict[str, Any]:
    """What is closed of the one site, by the words for it."""
    strict = closed(serving, wanted)
    [domain] = strict.domains
    assert set(strict.passwords.get("shop", {})) == set(domain.site.password)
    words = {"allow_from", "trusted_proxies", "rate_limit", "body_limit", "timeout"}
    found = {word: getattr(domain.site, word) for word in words} | {"hashes": strict.passwords.get("shop", {})}
    return {word: value for word, value in found.items() if value and value != 60}


@pytest.mark.parametrize(
    ("serving", "wanted", "expected"),
    [
        ({}, {"allow_from": [OFFICE]}, {"allow_from": (OFFICE,)}),
        ({"allow_from": [OFFICE]}, {}, {"allow_from": (OFFICE,)}),
        ({"allow_from": [OFFICE, SIX]}, {"allow_from": [HOME, SIXTH, FAR]}, {"allow_from": (SIXTH, HOME)}),
        ({"allow_from": [HOME]}, {"allow_from": [OFFICE]}, {"allow_from": (HOME,)}),
        ({"allow_from": [OFFICE]}, {"allow_from": [FAR, SIX]}, {"allow_from": (NO_ADDRESS,)}),
        ({}, {"hashes": {"anna": "1"}}, {"hashes": {"anna": "1"}}),
        ({"hashes": {"anna": "1"}}, {}, {"hashes": {"anna": "1"}}),
        # One that is changed is changed because somebody knows it; who is new waits until what he may see is there.
        ({"hashes": {"anna": "1", "bob": "2"}}, {"hashes": {"anna": "3", "eve": "4"}}, {"hashes": {"anna": "3"}}),
        ({"hashes": {"bob": "2"}}, {"hashes": {"eve": "4"}}, {"hashes": {NO_USER: NO_PASSWORD}}),
        ({}, {"rate_limit": [10, 1]}, {"rate_limit": (10, 1)}),
        ({"rate_limit": [100, 60]}, {"rate_limit": [10, 1]}, {"rate_limit": (100, 60)}),
        ({"rate_limit": [100, 1]}, {"rate_limit": [100, 60]}, {"rate_limit": (100, 60)}),
        ({"body_limit": 5}, {"body_limit": 3}, {"body_limit": 3}),
        ({"body_limit": 5}, {}, {"body_limit": 5}),
        # What is no question of who may come has to wait, in either direction.
        ({"timeout": 600}, {"timeout": 5}, {"timeout": 600}),
        # Whoever asks for an address says who is believed about it; where both ask, both have to believe.
        ({}, {"trusted_proxies": [FAR]}, {}),
        ({}, {"trusted_proxies": [FAR], "allow_from": [OFFICE]}, {"trusted_proxies": (FAR,), "allow_from": (OFFICE,)}),
        ({"trusted_proxies": [FAR]}, {"rate_limit": [9, 1]}, {"rate_limit": (9, 1)}),
        ({"trusted_proxies": [FAR], "rate_limit": [9, 1]}, {"trusted_proxies": [FAR, SIX], "rate_limit": [9, 1]},
         {"trusted_proxies": (FAR,), "rate_limit": (9, 1)}),
    ],
)  # fmt: skip
def test_a_visitor_passes_what_serves_and_what_is_wanted(
    serving: dict[str, Any], wanted: dict[str, Any], expected: dict[str, Any]
):
    assert then(site(**serving), site(**wanted)) == expected


def leads(one: Made) -> dict[str, str]:
    return {f"{domain.name}{domain.below}": domain.app for domain in one.domains}


@pytest.mark.parametrize(
    ("serving", "wanted", "expected"),
    [
        # What leads nowhere any more leads nowhere before the release.
        ({"a.org": "shop", "b.org": "shop"}, {"a.org": "shop"}, {"a.org": "shop"}),
        ({"a.org": "home", "a.org/admin": "shop", "b.org": "shop"}, {"a.org": "home", "b.org": "shop"},
         {"a.org": "home", "b.org": "shop"}),
        # What somebody else is to serve is served by whom it was until then, and so is what is still served in part.
        ({"a.org": "shop", "b.org": "home"}, {"a.org": "home", "b.org": "shop"}, {"a.org": "shop", "b.org": "home"}),
        ({"*.a.org": "shop"}, {"one.a.org": "shop"}, {"*.a.org": "shop"}),
        ({"a.org": "shop"}, {"a.org/in": "shop"}, {"a.org": "shop"}),
        ({"a.org/in": "shop", "b.org": "shop"}, {"a.org/inner": "home", "b.org": "shop"}, {"b.org": "shop"}),
        ({"*.a.org": "shop", "b.org": "shop"}, {"one.two.a.org": "home", "b.org": "shop"}, {"b.org": "shop"}),
        # Of one that is led to no more no release is led to either; and it may have moved to another server.
        ({"a.org": "shop", "b.org": "home"}, {"b.org": "home"}, {"a.org": "shop", "b.org": "home"}),
        # What is new has to wait.
        ({"a.org": "shop"}, {"a.org": "shop", "b.org": "shop", "c.org": "home"}, {"a.org": "shop"}),
    ],
)  # fmt: skip
def test_routes_stay_until_others_are_there(serving: dict[str, str], wanted: dict[str, str], expected: dict[str, str]):
    assert leads(closed(of(serving), of(wanted))) == expected


def test_redirects_of_a_host_outlive_the_route_that_goes():
    away = {"a.org/one": {"app": "shop", "redirects": {"/feed": "/rss"}}, "a.org/two": "shop"}
    strict = closed(of(away), of({"a.org/two": "shop"}))
    assert leads(strict) == {"a.org/one": "", "a.org/two": "shop"}
    text = render(**vars(strict))
    assert "redirect location '/rss'" in text
    assert "{ var(txn.way) -m beg /one/ }" not in text


def test_an_application_is_closed_wherever_it_is_led_to_and_no_other_one():
    inner = {"app": "shop", "site": {"allow_from": [HOME]}}
    wanted = of({"b.org": inner, **dict.fromkeys(("a.org", "a.org/x", "c.org"), "home")})
    strict = closed(of({"a.org": "shop", "a.org/x": "shop", "c.org": "home"}), wanted)
    found = {f"{domain.name}{domain.below}": domain.site.allow_from for domain in strict.domains}
    assert found == {"a.org": (HOME,), "a.org/x": (HOME,), "c.org": ()}


def test_a_password_of_an_application_that_goes_stays():
    serving = of({"a.org": {"app": "shop", "site": {"password": ["anna"]}}}, shop={"anna": "1"})
    assert closed(serving, of({"b.org": "home"})) == serving


def test_a_configuration_says_what_it_was_made_of():
    whole = Made(
        parse_domains(
            json.dumps(
                {
                    "a.org/x": {
                        "app": "shop", "port": 80, "tls": True, "status": "200", "slots": 12, "www": True,
                        "redirects": {"/feed": "/rss"}, "visited": {"path": "/x/up"},
                        "site": {"allow_from": [OFFICE, SIX], "rate_limit": [3, 4], "password": ["anna"]},
                    },
                    "b.org": {"www": False, "redirects": {"": "https://a.org"}},
                }
            )
        ),
        "/etc/haproxy/certs/x.list", "max-age=5", (OFFICE,), Access(True, True, 3), {"shop": {"anna": "$6$x$y"}},
    )  # fmt: skip
    text = render(**vars(whole))
    assert made.read(text) == whole
    assert render(**vars(whole)) == text
    assert made.read(render([])) == Made()
    for odd in ('{"of": "another hasetup"}', '{"domains": [{"name": "a.org"}]}', '{"domains": 1}', "[]", "{"):
        assert made.read(re.sub(f"{made.MARK}.*", lambda _, odd=odd: made.MARK + odd, text)) is None


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path)


def run(files: Files, domains: dict[str, Any], *, only_closing: bool = False, **environment: str) -> int:
    given = {"DOMAINS": json.dumps(domains), **environment}
    return main(given, files, only_closing=only_closing, check=lambda _: None)


SHOP = {"app": "shop", "port": 80, "www": False}


def test_before_the_releases_only_what_closes_is_in_force_and_after_them_all(files: Files, capsys: Any):
    assert run(files, {"a.org": {**SHOP, "site": {"timeout": 9}}}) == 0
    before = files.live.read_text()
    wanted = {"a.org": {**SHOP, "path": "/up", "site": {"allow_from": [OFFICE]}}, "b.org": SHOP | {"app": "home"}}
    assert run(files, wanted, only_closing=True) == 0
    between = files.live.read_text()
    assert f"acl allowed src {OFFICE}" in between
    assert "app-home" not in between
    # Beside that it is what served, byte for byte.
    kept = [one for one in between.splitlines() if "allowed" not in one and not one.startswith(made.MARK)]
    mine = [one for one in before.splitlines() if not one.startswith(made.MARK)]
    assert [one for one in kept if one in mine] == mine
    assert run(files, wanted, only_closing=True) == 0
    assert "nothing to close" in capsys.readouterr().out
    files.released.touch()
    assert run(files, wanted) == 0
    after = files.live.read_text()
    assert "app-home" in after
    # Who takes it back waits for the end as well, since what is open now may be what has to be closed.
    assert run(files, {"a.org": SHOP}, only_closing=True) == 0
    assert f"acl allowed src {OFFICE}" in files.live.read_text()
    files.released.touch()
    assert run(files, {"a.org": SHOP}) == 0
    assert "acl allowed" not in files.live.read_text()


@pytest.mark.parametrize(
    ("serves", "wanted"), [({}, {"allow_from": [OFFICE]}), ({"allow_from": [OFFICE]}, {}),
                           ({"allow_from": [OFFICE]}, {"allow_from": [FAR]})],
)  # fmt: skip
def test_whoever_starts_the_job_before_the_releases_are_through_opens_nothing(
    files: Files, capsys: Any, serves: dict[str, Any], wanted: dict[str, Any]
):
    """By hand or by the clock, in the container of before the update or in its own."""
    old, new = ({"a.org": {**SHOP, "site": site}} for site in (serves, wanted))
    new["b.org"] = {**SHOP, "app": "home"}
    assert run(files, old) == 0
    assert run(files, new, only_closing=True) == 0
    closed_one = files.live.read_text()
    assert "acl allowed" in closed_one
    for told in (old, new, old):
        assert run(files, told) == 0
        said = capsys.readouterr().out
        assert "WARNING: an update has closed what it closes, and has not come to its end" in said
        assert "nothing to close" in said
        assert files.live.read_text() == closed_one
    files.released.touch()
    assert run(files, new) == 0
    assert "app-home" in files.live.read_text()
    # It may be run again at any time, until the next update closes something.
    assert run(files, old) == 0
    assert "WARNING" not in capsys.readouterr().out
    assert run(files, new, only_closing=True) == 0
    assert run(files, new) == 0
    assert "WARNING" in capsys.readouterr().out


def test_a_password_is_asked_for_before_the_releases(files: Files):
    assert run(files, {"a.org": SHOP}) == 0
    wanted = {"a.org": {**SHOP, "site": {"password": ["anna"]}}}
    assert run(files, wanted, only_closing=True, PASSWORDS=json.dumps({"shop": {"anna": "secret"}})) == 0
    assert re.search(r"^    user anna password \$6\$", files.live.read_text(), re.MULTILINE)


def test_where_nothing_serves_yet_nothing_is_closed_and_nothing_made(files: Files, capsys: Any):
    assert run(files, {"a.org": SHOP}, only_closing=True) == 0
    assert "no sites are served yet" in capsys.readouterr().out
    assert not files.live.exists()
    files.live.write_text("backend app-shop\n    server-template shop- 8 shop:80 check\n")
    assert run(files, {"a.org": SHOP}, only_closing=True) == 0
    assert "WARNING: what serves was written by another hasetup" in capsys.readouterr().out


def test_what_can_t_be_understood_closes_nothing_and_fails(files: Files, capsys: Any):
    assert run(files, {"a.org": SHOP}) == 0
    before = files.live.read_text()
    assert run(files, {"a.org": {**SHOP, "site": {"password": ["anna"]}}}, only_closing=True) == 2
    assert "holds no password of 'anna'" in capsys.readouterr().err
    assert files.live.read_text() == before
