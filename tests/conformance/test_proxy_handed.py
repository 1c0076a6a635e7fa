"""One server's CertBot hands a certificate to another one's through a real HAProxy, and nobody else learns of it."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "images" / "CertBot"))

from certjob.others import Closed, Others
from certjob.proxy import HANDED, Proxy
from certjob.settings import PRODUCTION

from tests.conformance.applications import named, port
from tests.conformance.proxy import curl, needs_proxy, running
from tests.unit.scripts import load
from tests.unit.test_certjob import account_key
from tests.unit.test_hasetup_certificates import made
from tests.unit.test_swarm_tools import TOOLS

pytestmark = needs_proxy
certificates = load(TOOLS / "apiary_certificates.py")  # what asks for it
DOMAIN = "shop.example.org"
# Leaf and key, and links as long as those of any authority.
LONG = made(DOMAIN) + "".join(made("link", key=False) for _ in range(6))
BOTH = ("127.0.0.1", "::1")


@dataclass(frozen=True)
class Place:
    others: Others
    folder: Path
    ports: dict[str, int]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("proxy")
    with named("shop") as listening:
        here = {name: port(listener) for name, listener in listening.items()}
        with running(folder, {DOMAIN: {"app": "shop", "port": 8080, "tls": True, "www": False}}, here) as ports:
            proxy = Proxy("127.0.0.1", folder, ports["http"], ports["https"])
            yield Place(Others(Closed.by(account_key(), PRODUCTION), proxy), folder, ports)


def test_what_is_handed_out_is_had_at_once_over_both_families_and_after_a_reload(place: Place):
    assert list(place.others.have(DOMAIN, BOTH)) == []
    for pem in (LONG, LONG.replace("\n-----BEGIN", "\n\n-----BEGIN")):  # one more, and then another in its place
        place.others.hand(DOMAIN, pem)
        assert list(place.others.have(DOMAIN, BOTH)) == [pem, pem]
    os.kill(int((place.folder / "run" / "pid").read_text()), signal.SIGUSR2)
    deadline = time.monotonic() + 20
    while (place.folder / "log").read_text().count("Loading success") < 2:  # else it is the one before that answers
        assert time.monotonic() < deadline
        time.sleep(0.1)
    while list(place.others.have(DOMAIN, BOTH)) != [pem, pem]:
        assert time.monotonic() < deadline, "what is in its file is read by every start"
        time.sleep(0.1)


def test_a_site_that_is_still_to_come_is_answered_for_and_handed_out_too(place: Place):
    place.others.hand("new.example.org", LONG)
    assert list(place.others.have("new.example.org", BOTH)) == [LONG, LONG]
    url = "http://new.example.org/.well-known/acme-challenge/abc"
    assert curl(place.ports, url, "IPv6", "--http1.1") == ("abc.account", "200")
    for other in ("http://new.example.org/", f"http://new.example.org{HANDED}{'2' * 32}", f"{url}/"):
        assert curl(place.ports, other, "IPv6", "--http1.1")[1] == "421"


def test_who_asks_for_anything_else_is_sent_to_https_as_ever(place: Place):
    place.others.hand(DOMAIN, LONG)
    name = place.others.closed.name(DOMAIN)
    for asked in ("1" * 32, "thumbprint", name.upper(), f"{name}/", ""):
        body, status = curl(place.ports, f"http://{DOMAIN}{HANDED}{asked}", "IPv4", "--http1.1")
        assert status == "301", asked
        assert "account" not in body


def test_another_server_sees_by_one_word_that_what_is_handed_out_has_changed(
    place: Place, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(certificates, "PORT", place.ports["http"])
    words = []
    for pem in (LONG, made(DOMAIN), LONG):
        place.others.hand(DOMAIN, pem)
        words += [{certificates.asked(address, DOMAIN) for address in BOTH}]
    assert all(len(both) == 1 and None not in both for both in words)
    assert words[0] == words[2] != words[1]


def test_servers_among_themselves_are_no_visits(place: Place):
    place.others.hand(DOMAIN, LONG)
    before = len((place.folder / "log").read_text())
    for asked in (place.others.closed.name(DOMAIN), "0" * 32, "2" * 32):
        curl(place.ports, f"http://{DOMAIN}{HANDED}{asked}", "IPv4", "--http1.1")
    deadline = time.monotonic() + 20
    while HANDED + "2" * 32 not in (log := (place.folder / "log").read_text()[before:]):
        assert time.monotonic() < deadline, "who gets nothing is a visitor"
        time.sleep(0.1)
    assert HANDED + place.others.closed.name(DOMAIN) not in log
    assert HANDED + "0" * 32 not in log


def test_a_domain_that_went_is_handed_out_no_more(place: Place):
    place.others.hand(DOMAIN, LONG)
    place.others.hand_only(iter(()))
    assert list(place.others.have(DOMAIN, BOTH)) == []
    body, status = curl(place.ports, f"http://{DOMAIN}/.well-known/acme-challenge/abc", "IPv4", "--http1.1")
    assert (status, body) == ("200", "abc.account"), "the account is answered for all the same"
