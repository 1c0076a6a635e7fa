"""The job for certificates: what it wants, what it leaves alone, what it tells; with an authority that is played."""

from __future__ import annotations

import base64
import datetime
import json
import os
import sys
from pathlib import Path
from typing import Any

import josepy
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

sys.path.insert(0, str(Path(__file__).parents[2] / "images" / "CertBot"))

from certjob import account, certificate
from certjob.account import thumbprint
from certjob.authority import Authority, AuthorityError
from certjob.failures import Failures, RefusedError
from certjob.proxy import SERVED, WAITS, Proxy, ProxyError
from certjob.run import Run
from certjob.settings import PRODUCTION, STAGING, InputError, Settings, parse, slug

from tests.unit.test_hasetup_certificates import made

NOW = datetime.datetime.now(datetime.UTC)
DOMAINS = {"example.com": {"www": True, "tls": True}, "echo.example.net": {"www": False, "tls": True}}
BASE = {"DOMAINS": json.dumps(DOMAINS), "HAPROXY_CONTAINER": "haproxy"}
NAMES = {"example.com": ("example.com", "www.example.com"), "echo.example.net": ("echo.example.net",)}


class PlayedAuthority(Authority):
    """Gives 90 days to every name, but to those it `refuses`; `given` is what it has given."""

    def __init__(self, settings: Settings, home: Path) -> None:
        super().__init__(settings, home)
        played: dict[str, Any] = {"given": {}, "refuses": {}, "asked": [], "dead": ""}
        self.__dict__.update(played)

    def check(self) -> None:
        if self.dead:
            raise AuthorityError(self.dead)

    def account(self) -> str:
        return "thumb"

    def pem(self, domain: str) -> str | None:
        return self.given.get(domain)

    def obtain(self, domain: str, names: Any) -> certificate.Certificate:
        self.asked.append(domain)
        if domain in self.refuses:
            raise RefusedError(*self.refuses[domain])
        self.given[domain] = made(*names, days=90)
        given = certificate.read(self.given[domain])
        assert given
        return given


class PlayedProxy(Proxy):
    """Serves what is installed."""

    def __init__(self) -> None:
        super().__init__("haproxy")
        self.__dict__.update({"live": {}, "of_the_stack_file": {}, "silent": {}, "told": [], "out": {}})

    def own(self) -> Any:
        return self.of_the_stack_file

    def ready(self) -> bool:
        return True

    def learn(self, thumbprint: str) -> None:
        self.told.append(thumbprint)

    def answers(self, names: Any, thumbprint: str, seconds: float) -> dict[str, str]:
        return {name: text for name, text in self.silent.items() if name in names}

    def install(self, domain: str, pem: str, name: str, seconds: float) -> str:
        assert name not in self.of_the_stack_file, "a visitor of it gets another certificate"
        changed = self.live.get(domain) != pem
        self.live[domain] = pem
        return SERVED if changed else ""

    def hands(self) -> dict[str, str]:
        return dict(self.out)

    def hand(self, name: str, word: str) -> None:
        self.out[name] = word

    def hand_only(self, names: Any) -> None:
        for name in self.out.keys() - names:
            del self.out[name]

    def handed(self, domain: str, name: str) -> str | None:
        return self.out.get(name)


@pytest.fixture
def run(tmp_path: Path) -> Any:
    settings = Settings(domains=NAMES, proxy="haproxy")

    def made_run(**more: Any) -> Run:
        return Run(
            more.pop("settings", settings),
            more.pop("proxy", proxy),
            more.pop("authority", authority),
            Failures(tmp_path / "failures.json"),
            more.pop("now", NOW),
            resolver=more.pop("resolver", lambda name: True),
            dns_seconds=0,
            proxy_seconds=0,
        )

    proxy, authority = PlayedProxy(), PlayedAuthority(settings, tmp_path)
    made_run.proxy, made_run.authority = proxy, authority  # type: ignore[attr-defined]
    return made_run


def test_every_domain_and_its_www_get_a_certificate_that_is_served(run: Any):
    assert run().run() == 0
    for domain, names in NAMES.items():
        found = certificate.read(run.proxy.live[domain])
        assert found is not None
        assert found.names == set(names)


def test_a_second_run_asks_nobody(run: Any):
    run().run()
    run.authority.dead = "nobody may be asked"
    assert run().run() == 0
    assert run.authority.asked == list(NAMES)


def test_what_is_due_is_renewed_and_nothing_else(run: Any):
    run().run()
    run.authority.given["example.com"] = made(*NAMES["example.com"], days=5)
    assert run().run() == 0
    assert run.authority.asked == [*NAMES, "example.com"]


def test_one_domain_that_is_refused_is_told_and_blocks_no_other(run: Any, capsys: pytest.CaptureFixture[str]):
    run.authority.refuses["example.com"] = ("example.com: CAA record forbids it (caa)", "caa")
    assert run().run() == 0
    assert list(run.proxy.live) == ["echo.example.net"]
    captured = capsys.readouterr()
    assert "not yet: example.com: example.com: CAA record forbids it (caa); to be tried again after" in captured.err
    assert "1 served; 1 not yet (example.com)" in captured.out


def test_strict_means_that_a_refused_domain_fails_the_run(run: Any):
    run.authority.refuses["example.com"] = ("no", "caa")
    assert run(settings=Settings(domains=NAMES, proxy="haproxy", strict=True)).run() == 1


def test_a_refused_domain_is_not_tried_again_too_soon(run: Any):
    run.authority.refuses["example.com"] = ("no", "unauthorized")
    for _ in range(3):
        run().run()
    assert run.authority.asked.count("example.com") == 1
    run(now=NOW + datetime.timedelta(minutes=6)).run()
    assert run.authority.asked.count("example.com") == 2
    run.authority.refuses.clear()
    run(now=NOW + datetime.timedelta(hours=1)).run()
    assert "example.com" in run.proxy.live


def test_a_rate_limit_is_kept_as_long_as_the_authority_says(tmp_path: Path):
    failures = Failures(tmp_path / "failures.json")
    later = (NOW + datetime.timedelta(days=3)).replace(microsecond=0)
    failures.add("a.example", f"too many, retry after {later:%Y-%m-%d %H:%M:%S} UTC: see", "rateLimited", NOW)
    kept = Failures(tmp_path / "failures.json").of("a.example")
    assert kept is not None
    assert kept.waits(NOW) == later


def test_pauses_grow_and_end(tmp_path: Path):
    failures = Failures(tmp_path / "failures.json")
    waits = [failures.add("a.example", "no", "dns", NOW).waits(NOW) for _ in range(8)]
    minutes = [round((wait - NOW).total_seconds() / 60) for wait in waits if wait]
    assert minutes[:5] == [5, 15, 60, 240, 720]
    assert set(minutes[5:]) == {720}


def test_a_torn_file_of_failures_is_no_failure(tmp_path: Path):
    (tmp_path / "failures.json").write_text('{"a": {"cou')
    assert Failures(tmp_path / "failures.json").of("a") is None


def test_a_domain_without_an_address_is_told_without_asking_the_authority(run: Any, capsys: pytest.CaptureFixture[str]):
    assert run(resolver=lambda name: "example.com" not in name).run() == 0
    assert run.authority.asked == ["echo.example.net"]
    assert "example.com: has no address in DNS" in capsys.readouterr().err
    run().run()
    assert "example.com" in run.proxy.live, "it is tried again at once, since nobody was asked"


def test_a_www_without_an_address_is_left_out_and_added_when_it_has_one(run: Any):
    assert run(resolver=lambda name: not name.startswith("www.")).run() == 0
    assert certificate.read(run.proxy.live["example.com"]).names == {"example.com"}  # type: ignore[union-attr]
    run(resolver=lambda name: not name.startswith("www.")).run()
    assert run.authority.asked.count("example.com") == 1
    run().run()
    assert certificate.read(run.proxy.live["example.com"]).names == set(NAMES["example.com"])  # type: ignore[union-attr]


def test_a_domain_that_the_proxy_does_not_know_yet_is_not_tried(run: Any, capsys: pytest.CaptureFixture[str]):
    run.proxy.silent["www.example.com"] = "it answers with status 421"
    assert run().run() == 0
    assert run.authority.asked == ["echo.example.net"]
    assert "run hasetup with this domain first" in capsys.readouterr().err


def test_a_certificate_near_its_end_that_cannot_be_renewed_fails_the_run(run: Any, capsys: pytest.CaptureFixture[str]):
    run().run()
    run.authority.given["example.com"] = made(*NAMES["example.com"], days=3)
    run.authority.refuses["example.com"] = ("the zone is gone (dns)", "dns")
    assert run().run() == 1
    assert "FAILED: example.com: the zone is gone (dns)" in capsys.readouterr().err
    assert "example.com" in run.proxy.live, "what it has is served to its end"


def test_an_authority_that_does_not_answer_fails_the_run(run: Any):
    run.authority.dead = "the ACME directory https://... does not answer"
    with pytest.raises(AuthorityError):
        run().run()


def test_an_authority_that_has_forgotten_the_account_gets_another_one(run: Any):
    obtain, forgot = run.authority.obtain, []

    def forgetful(domain: str, names: Any) -> certificate.Certificate:
        if not forgot:
            forgot.append(domain)
            raise RefusedError("unknown account", "accountDoesNotExist")
        return obtain(domain, names)

    run.authority.__dict__["obtain"] = forgetful
    assert run().run() == 0
    assert set(run.proxy.live) == set(NAMES)


def test_half_a_certificate_is_obtained_anew(run: Any):
    run.authority.given["example.com"] = made("example.com", key=False)
    assert run().run() == 0
    assert certificate.read(run.proxy.live["example.com"]) is not None


def test_a_live_file_that_is_not_what_was_given_is_put_right_without_the_authority(run: Any):
    run().run()
    run.proxy.live["example.com"] = "broken"
    run.authority.dead = "nobody may be asked"
    run().run()
    assert certificate.read(run.proxy.live["example.com"]) is not None


def test_names_with_a_certificate_of_the_stack_file_are_left_to_it(run: Any):
    own = certificate.read(made("example.com", "www.example.com", days=60))
    run.proxy.of_the_stack_file.update({"example.com": own, "www.example.com": own})
    assert run().run() == 0
    assert run.authority.asked == ["echo.example.net"]


def test_a_name_that_the_stack_file_s_certificate_does_not_cover_gets_one_of_its_own(run: Any):
    """As `www.one.shops.example.net` beside `*.shops.example.net`."""
    run.proxy.of_the_stack_file.update({"example.com": certificate.read(made("example.com", days=60))})
    for _ in range(2):  # obtained, and found to be served
        assert run().run() == 0
        found = certificate.read(run.proxy.live["example.com"])
        assert found is not None
        assert found.names == {"www.example.com"}
    assert run.authority.asked == ["example.com", "echo.example.net"]


def test_a_certificate_of_the_stack_file_that_ends_soon_is_told_as_a_failure(
    run: Any, capsys: pytest.CaptureFixture[str]
):
    own = certificate.read(made("example.com", days=10))
    run.proxy.of_the_stack_file.update({"example.com": own, "www.example.com": own})
    assert run().run() == 1
    assert "the stack file's own certificate ends on" in capsys.readouterr().err


@pytest.mark.parametrize("pem", ["", "junk", made("a.example", key=False), made("a.example").replace("M", "N", 3)])
def test_a_broken_certificate_is_never_installed(pem: str, tmp_path: Path):
    proxy = Proxy("127.0.0.1", tmp_path, 1, 1)
    (tmp_path / "certs").mkdir()
    (tmp_path / "certs" / "a.example.pem").write_text("what was there")
    with pytest.raises(ProxyError, match="it was not installed"):
        proxy.install("a.example", pem, "a.example", 0)
    assert (tmp_path / "certs" / "a.example.pem").read_text() == "what was there"


def test_a_proxy_that_is_down_finds_its_certificate_when_it_starts(tmp_path: Path):
    proxy = Proxy("127.0.0.1", tmp_path, 1, 1)
    proxy.certificates.mkdir()
    pem = made("a.example")
    assert proxy.install("a.example", pem, "a.example", 0) == WAITS
    assert (tmp_path / "certs" / "a.example.pem").read_text() == pem
    assert (tmp_path / "certs" / "a.example.pem").stat().st_mode & 0o777 == 0o600
    proxy.learn("thumb")
    assert (tmp_path / "acme.map").read_text() == "thumbprint thumb\n"


def test_what_a_killed_run_left_stands_in_nobody_s_way(tmp_path: Path):
    """In a container a process has the same number at every start."""
    proxy = Proxy("127.0.0.1", tmp_path, 1, 1)
    proxy.certificates.mkdir()
    (proxy.certificates / f".a.example.pem.{os.getpid()}").write_text("half of a certificate")
    assert proxy.install("a.example", pem := made("a.example"), "a.example", 0) == WAITS
    (left,) = proxy.certificates.glob("*.pem*")
    assert (left.read_text(), left.stat().st_mode & 0o777) == (pem, 0o600)


def test_the_stack_file_s_own_certificates_are_known_by_the_list_that_the_proxy_reads(tmp_path: Path):
    (tmp_path / "certs" / "own").mkdir(parents=True)
    (tmp_path / "certs" / "own" / "1.pem").write_text(made("example.com"))
    crt_list = tmp_path / "certs" / "2.list"
    crt_list.write_text(f"{tmp_path}/certs/own/1.pem example.com\n{tmp_path}/certs/example.com.pem www.example.com\n")
    (tmp_path / "haproxy.cfg").write_text(f"    bind 0.0.0.0:443 ssl crt-list {crt_list} strict-sni\n")
    assert list(Proxy("haproxy", tmp_path).own()) == ["example.com"]


@pytest.mark.parametrize(
    ("days", "renew_days", "due"),
    [(89, None, False), (80, None, False), (66, None, True), (89, 90, True), (9, 5, False)],
)
def test_a_certificate_is_renewed_in_the_last_third_of_its_life(days: int, renew_days: int | None, due: bool):
    known = certificate.read(made("a.example", days=days))  # of 200 days
    assert known is not None
    assert certificate.renewal_due(known, NOW, renew_days) == due


def test_the_thumbprint_is_that_of_rfc_7638():
    key = {
        "kty": "RSA",
        "n": "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWK"
        "RXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMic"
        "AtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3"
        "XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw",
        "e": "AQAB",
        "alg": "RS256",
        "d": "not a part of it",
    }
    assert thumbprint(key) == "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"


def test_settings_are_let_s_encrypt_s_unless_something_else_is_said():
    assert parse(BASE).directory == PRODUCTION
    assert parse({**BASE, "TEST": "true"}).directory == STAGING
    assert parse({**BASE, "TEST": "false", "DIRECTORY": "https://ca.example/dir"}).directory == "https://ca.example/dir"
    assert parse(BASE).domains == NAMES


def test_sites_without_https_get_no_certificate():
    plain = {**BASE, "DOMAINS": json.dumps({"example.com": {"www": True, "tls": False}})}
    assert parse(plain).domains == {}


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"DOMAINS": "{"}, "DOMAINS is not JSON"),
        ({"DOMAINS": "[]"}, "DOMAINS must be a JSON object"),
        ({"DOMAINS": '{"a b": {"tls": true}}'}, "no authority gives a certificate to 'a b'"),
        ({"HAPROXY_CONTAINER": ""}, "write `haproxy_container: $haproxy`"),
        ({"TEST": "yes"}, "TEST: 'yes' is neither true nor false"),
        ({"TEST": "true", "DIRECTORY": "https://ca.example/dir"}, "leave one out"),
        ({"DIRECTORY": "http://ca.example/dir"}, "is not an https URL"),
        ({"DIRECTORY_CA": "x"}, "DIRECTORY_CA: holds no certificate"),
        ({"EMAIL": "nobody"}, "EMAIL: 'nobody' is not an address"),
        ({"EAB_KID": "1"}, "an external account needs both"),
        ({"RENEW_DAYS": "a month"}, "RENEW_DAYS: 'a month' is not a number of days"),
    ],
)
def test_unusable_settings_are_told_by_name(more: dict[str, str], message: str):
    with pytest.raises(InputError) as caught:
        parse({**BASE, **more})
    assert message in str(caught.value)


def test_each_authority_has_a_folder_of_its_own():
    assert slug(PRODUCTION) == "acme-v02.api.letsencrypt.org-directory"
    assert slug(STAGING) != slug(PRODUCTION)
    assert slug("https://ca.example:14000/../dir") == "ca.example-14000-..-dir"


# One account for several servers


def account_key() -> str:
    key = rsa.generate_private_key(65537, 2048)
    traditional = serialization.PrivateFormat.TraditionalOpenSSL
    return key.private_bytes(serialization.Encoding.PEM, traditional, serialization.NoEncryption()).decode()


def test_a_key_that_is_given_has_the_thumbprint_of_its_jwk():
    key = account_key()
    numbers = serialization.load_pem_private_key(key.encode(), None).public_key().public_numbers()  # type: ignore[union-attr]
    packed = {name: getattr(numbers, name).to_bytes(256 if name == "n" else 3) for name in ("n", "e")}
    jwk = {name: base64.urlsafe_b64encode(value).decode().rstrip("=") for name, value in packed.items()}
    assert account.thumbprint_of(key) == thumbprint({**jwk, "kty": "RSA"})
    with pytest.raises(account.AccountError, match="no private key"):
        account.thumbprint_of("-----BEGIN PRIVATE KEY-----\nnone\n-----END PRIVATE KEY-----\n")


def test_the_account_of_a_given_key_takes_the_place_of_one_made_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    key, asked = account_key(), list[str]()
    settings = Settings(domains=NAMES, proxy="haproxy", directory="https://acme.example/dir", account_key=key)
    authority = Authority(settings, tmp_path)
    account.keep(tmp_path / "accounts" / "acme.example" / "dir" / "another", '{"kty": "EC"}', "{}")

    def register(directory: str, pem: str, *_: Any) -> tuple[str, str]:
        asked.append(directory)
        private = serialization.load_pem_private_key(pem.encode(), None)
        return josepy.JWKRSA(key=private).json_dumps(), '{"uri": "https://acme.example/account/1"}'

    monkeypatch.setattr(account, "register", register)
    assert authority.account() == authority.account() == account.thumbprint_of(key)
    assert asked == ["https://acme.example/dir"]
    [kept] = (tmp_path / "accounts" / "acme.example" / "dir").iterdir()
    assert {file.name: oct(file.stat().st_mode & 0o777) for file in kept.iterdir()} == dict.fromkeys(
        ("meta.json", "private_key.json", "regr.json"), "0o600"
    )


def test_who_has_nothing_to_ask_for_answers_for_the_others_all_the_same(run: Any):
    key = account_key()
    run.authority.given = {name: made(*names, days=90) for name, names in NAMES.items()}
    assert run(settings=Settings(domains=NAMES, proxy="haproxy", account_key=key)).run() == 0
    assert run.authority.asked == []
    assert run.proxy.told == [account.thumbprint_of(key)]


def test_the_authority_is_not_asked_while_another_server_would_answer_wrongly(
    run: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    other = PlayedProxy()
    other.__dict__["silent"] = {"echo.example.net": "it answers with status 404"}
    addresses: list[str] = []
    monkeypatch.setattr(PlayedProxy, "at", lambda _, address: addresses.append(address) or other)
    peers = {"echo.example.net": ("203.0.113.7",)}
    settings = Settings(domains=NAMES, proxy="haproxy", account_key=account_key(), peers=peers)
    assert run(settings=settings).run() == 0
    assert set(addresses) == {"203.0.113.7"}
    assert run.authority.asked == ["example.com"]
    assert "203.0.113.7 does not answer it: it answers with status 404; bring that one back" in capsys.readouterr().err
    other.__dict__["silent"] = {}
    assert run(settings=settings).run() == 0
    assert "echo.example.net" in run.authority.given


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"ACCOUNT_KEY": "secret"}, "ACCOUNT_KEY: holds no private key"),
        ({"PEERS": "203.0.113.7"}, "PEERS: must be a JSON object"),
        ({"PEERS": '{"example.com": ["web2"]}'}, "PEERS: must be a JSON object"),
        ({"OBTAINED_BY": '["example.com"]'}, "OBTAINED_BY: must be a JSON object"),
        ({"OBTAINED_BY": '{"example.com": "web2"}'}, "OBTAINED_BY: must be a JSON object"),
    ],
)
def test_what_several_servers_are_told_is_checked(more: dict[str, str], message: str):
    with pytest.raises(InputError, match=message) as refused:
        parse({**BASE, **more})
    assert "secret" not in str(refused.value)
