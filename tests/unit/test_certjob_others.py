"""Of a name that leads to several servers one certificate is obtained, and the others take it from there."""

from __future__ import annotations

import datetime
import sys
import time
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "images" / "CertBot"))

from certjob import certificate
from certjob.failures import Failure, Failures
from certjob.others import Closed
from certjob.proxy import Proxy
from certjob.run import Run
from certjob.settings import PRODUCTION, STAGING, Settings, slug

from tests.unit.test_certjob import NOW, PlayedAuthority, PlayedProxy, account_key
from tests.unit.test_hasetup_certificates import made

KEY = account_key()
DOMAIN = "shop.example.net"
NAMES = (DOMAIN,)
FIRST, SECOND = "203.0.113.7", "203.0.113.8"


class Servers:
    """The servers of one name: each has a proxy and an authority's folder, and reaches the other's proxy."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.proxies = {address: self._proxy() for address in (FIRST, SECOND)}
        self.authorities: dict[str, PlayedAuthority] = {}

    def _proxy(self) -> PlayedProxy:
        proxy = PlayedProxy()
        proxy.__dict__["at"] = lambda address: self.proxies[address]
        return proxy

    def run(
        self,
        address: str,
        *,
        now: datetime.datetime = NOW,
        key: str = KEY,
        names: tuple[str, ...] = NAMES,
        directory: str = PRODUCTION,
        shared: tuple[str, ...] = (DOMAIN,),
        seconds: float = 0.3,
    ) -> int:
        other = SECOND if address == FIRST else FIRST
        settings = Settings(
            domains={DOMAIN: names} | {one: (one,) for one in shared if one != DOMAIN},
            proxy="haproxy",
            directory=directory,
            account_key=key,
            peers=dict.fromkeys(shared, (other,)),
            obtained_by=dict.fromkeys(shared, FIRST) if address == SECOND else {},
        )
        home = self._folder / address / slug(directory)
        home.mkdir(parents=True, exist_ok=True)
        authority = self.authorities.setdefault(address, Taking(settings, home))
        if authority.settings.directory != directory:
            authority = self.authorities[address] = Taking(settings, home)
        failures = Failures(home / "failures.json")
        return Run(
            settings, self.proxies[address], authority, failures, now,
            resolver=lambda _: True, dns_seconds=0, proxy_seconds=0, others_seconds=seconds,
        ).run()  # fmt: skip

    def failure(self, address: str) -> Failure | None:
        return Failures(self._folder / address / slug(PRODUCTION) / "failures.json").of(DOMAIN)

    def live(self, address: str) -> str:
        pem: str = self.proxies[address].live[DOMAIN]
        return pem


class Taking(PlayedAuthority):
    """Keeps what is taken as what it gives."""

    def keep(self, domain: str, pem: str) -> None:
        self.given[domain] = pem


@pytest.fixture
def servers(tmp_path: Path) -> Servers:
    return Servers(tmp_path)


def in_days(days: int) -> datetime.datetime:
    return NOW + datetime.timedelta(days=days)


def test_the_second_server_takes_what_the_first_has_obtained(servers: Servers, capsys: pytest.CaptureFixture[str]):
    assert servers.run(FIRST) == servers.run(SECOND) == 0
    assert servers.live(SECOND) == servers.live(FIRST)
    assert servers.authorities[SECOND].asked == []
    assert "taken from another server" in capsys.readouterr().out


def test_a_first_server_on_a_new_disk_takes_it_back_from_the_second(servers: Servers):
    servers.run(FIRST)
    servers.run(SECOND)
    servers.proxies[FIRST].live.clear()
    servers.authorities[FIRST].given.clear()
    assert servers.run(FIRST) == 0
    assert servers.live(FIRST) == servers.live(SECOND)
    assert servers.authorities[FIRST].asked == [DOMAIN], "five a week is what an authority gives"


def test_it_is_waited_for_as_long_as_the_first_one_may_be_at_it(servers: Servers):
    servers.run(FIRST)
    handed, asked = servers.proxies[FIRST].handed, list[str]()

    def late(domain: str, name: str) -> str | None:
        asked.append(domain)
        return handed(domain, name) if len(asked) > 1 else None

    servers.proxies[FIRST].__dict__["handed"] = late
    assert servers.run(SECOND) == 0
    assert servers.authorities[SECOND].asked == []


def test_where_nobody_has_one_in_time_it_is_obtained_here(servers: Servers):
    assert servers.run(SECOND) == 0
    assert servers.authorities[SECOND].asked == [DOMAIN]
    assert certificate.read(servers.live(SECOND)) is not None


def test_a_first_server_that_is_dead_is_asked_once_and_not_waited_for(servers: Servers):
    asked = list[str]()

    def dead(domain: str, name: str) -> str | None:
        asked.append(domain)
        raise TimeoutError

    servers.proxies[FIRST].__dict__["handed"] = dead
    began = time.monotonic()
    assert servers.run(SECOND, shared=(DOMAIN, "b.example.net", "c.example.net"), seconds=60) == 0
    assert time.monotonic() - began < 30, "half of what a living one is waited for"
    assert asked == [DOMAIN]
    assert servers.authorities[SECOND].asked == [DOMAIN, "b.example.net", "c.example.net"]


def test_what_no_other_server_has_any_more_is_handed_out_no_more(servers: Servers):
    servers.run(FIRST, shared=(DOMAIN, "b.example.net"))
    assert len(servers.proxies[FIRST].out) == 2
    servers.run(FIRST)
    assert list(servers.proxies[FIRST].out) == [Closed.by(KEY, PRODUCTION).name(DOMAIN)]
    word = servers.proxies[FIRST].out.copy()
    servers.run(FIRST)
    assert servers.proxies[FIRST].out == word, "the same is not closed anew"


def test_a_server_none_of_whose_names_leads_elsewhere_any_more_hands_out_nothing(servers: Servers):
    servers.run(FIRST)
    servers.run(SECOND)
    assert servers.run(SECOND, key="", shared=()) == 0
    assert servers.proxies[SECOND].out == {}
    assert servers.live(SECOND), "it serves on with what it has"


def test_what_was_taken_is_forgotten_as_a_failure(servers: Servers):
    servers.proxies[SECOND].silent[DOMAIN] = "it does not answer"
    servers.run(SECOND)
    assert servers.failure(SECOND) is not None
    servers.proxies[SECOND].silent.clear()
    servers.run(FIRST)
    servers.run(SECOND)
    assert servers.failure(SECOND) is None


def test_a_name_that_is_new_is_not_left_to_a_first_one_that_does_not_get_it(servers: Servers):
    servers.run(FIRST)
    servers.run(SECOND)
    assert servers.run(SECOND, names=(DOMAIN, f"www.{DOMAIN}")) == 0
    assert servers.authorities[SECOND].asked == [DOMAIN]


def test_what_is_due_is_left_to_the_first_one_for_a_while_and_served_meanwhile(
    servers: Servers, capsys: pytest.CaptureFixture[str]
):
    servers.run(FIRST)
    servers.run(SECOND)
    assert servers.run(SECOND, now=in_days(30)) == 0
    assert servers.authorities[SECOND].asked == []
    assert f"to be renewed by {FIRST}" in capsys.readouterr().out
    assert servers.run(SECOND, now=in_days(45)) == 0
    assert servers.authorities[SECOND].asked == [DOMAIN], "a quarter of the time to renew it has gone by"


def test_what_the_first_one_has_renewed_is_taken_when_ones_own_is_due(servers: Servers):
    servers.run(FIRST)
    servers.run(SECOND)
    servers.proxies[FIRST].live.clear()
    renewed = made(*NAMES, days=180)
    servers.authorities[FIRST].given[DOMAIN] = renewed
    servers.run(FIRST, now=in_days(30))
    servers.run(SECOND, now=in_days(30))
    assert servers.live(SECOND) == renewed
    assert servers.authorities[SECOND].asked == []


def test_what_the_first_one_has_renewed_before_it_was_due_is_taken_at_the_next_run(servers: Servers):
    """A key that got out, say. Nothing older is, and the first one takes nothing that it does not need."""
    servers.run(FIRST)
    servers.run(SECOND)
    for days, is_taken in ((85, False), (95, True)):
        servers.authorities[FIRST].given[DOMAIN] = made(*NAMES, days=days)
        servers.run(FIRST)
        servers.run(SECOND)
        assert (servers.live(SECOND) == servers.live(FIRST)) is is_taken
    assert servers.authorities[SECOND].asked == []
    servers.authorities[SECOND].given[DOMAIN] = made(*NAMES, days=99)
    servers.run(SECOND)
    servers.run(FIRST)
    assert servers.live(FIRST) != servers.live(SECOND)


def test_one_that_lacks_a_name_is_not_taken(servers: Servers):
    servers.run(FIRST)
    assert servers.run(SECOND, names=(DOMAIN, f"www.{DOMAIN}")) == 0
    assert servers.authorities[SECOND].asked == [DOMAIN]


def test_a_server_of_another_account_finds_nothing(servers: Servers):
    servers.run(FIRST)
    assert servers.run(SECOND, key=account_key()) == 0
    assert servers.authorities[SECOND].asked == [DOMAIN]


def test_what_an_authority_for_tests_has_given_is_taken_for_no_other_ones(servers: Servers):
    for address in (FIRST, SECOND):
        assert servers.run(address, directory=STAGING) == 0
    tried = servers.live(FIRST)
    for address in (FIRST, SECOND):
        assert servers.run(address) == 0
    assert servers.authorities[FIRST].asked == [DOMAIN]
    assert servers.live(FIRST) == servers.live(SECOND) != tried


def test_what_is_handed_out_is_unread_and_unchanged_without_the_key():
    pem, closed = made(DOMAIN, days=90), Closed.by(KEY, PRODUCTION)
    word = closed.close(DOMAIN, pem)
    assert closed.open(DOMAIN, word) == pem
    assert closed.close(DOMAIN, pem) == word, "servers that have the same say the same"
    others = {closed.close(DOMAIN, made(DOMAIN)), closed.close("b.example.net", pem), word}
    assert len({one[:16] for one in others}) == len(others), "a nonce of its own"
    assert "PRIVATE" not in word
    assert closed.open("other.example.net", word) is None
    assert Closed.by(account_key(), PRODUCTION).open(DOMAIN, word) is None
    changed = word[:40] + ("A" if word[40] != "A" else "B") + word[41:]
    assert closed.open(DOMAIN, changed) is None
    for broken in ("", "x", "none at all", word[:-8]):
        assert closed.open(DOMAIN, broken) is None
    assert closed.name(DOMAIN) != closed.name("other.example.net")
    assert Closed.by(account_key(), PRODUCTION).name(DOMAIN) != closed.name(DOMAIN)


def test_the_proxys_map_keeps_the_account_and_drops_the_domains_that_went(tmp_path: Path):
    proxy = Proxy("haproxy", tmp_path)
    proxy.learn("thumb")
    proxy.hand("aa", "word-of-a")
    proxy.hand("bb", "word-of-b")
    proxy.learn("other")
    assert proxy.hands() == {"aa": "word-of-a", "bb": "word-of-b"}
    both = said(tmp_path)["0" * 32]
    proxy.hand_only({"bb"})
    assert said(tmp_path) == {"thumbprint": "other", "bb": "word-of-b", "0" * 32: said(tmp_path)["0" * 32]}
    assert said(tmp_path)["0" * 32] != both, "by which others see that something has changed"
    proxy.hand("aa", "word-of-a")
    assert said(tmp_path)["0" * 32] == both, "and that it is what they have"
    proxy.hand_only(())
    assert said(tmp_path) == {"thumbprint": "other"}


def said(folder: Path) -> dict[str, str]:
    """What a proxy has read of its map."""
    return dict(line.split() for line in (folder / "acme.map").read_text().splitlines())
