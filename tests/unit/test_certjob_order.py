"""The job for certificates and an authority, by the protocol: ACME, played (played_acme.py)."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "images" / "CertBot"))

from certjob import account, certificate, order
from certjob import authority as authority_module
from certjob.authority import Authority, AuthorityError
from certjob.failures import RefusedError
from certjob.settings import Settings

from tests.unit import played_acme
from tests.unit.test_hasetup_certificates import made

NAMES = ("example.com", "www.example.com")
LATE = "the authority has not come to an end in 1 s"


@pytest.fixture(scope="module")
def key() -> str:
    return account.made()


@pytest.fixture
def acme() -> Iterator[played_acme.Directory]:
    with played_acme.directory() as played:
        yield played


def authority(acme: played_acme.Directory, home: Path, key: str | None = None, **more: Any) -> Authority:
    """With its account."""
    settings = Settings(
        domains={NAMES[0]: NAMES}, proxy="haproxy", directory=f"{acme.url}/directory", account_key=key, **more
    )
    found = Authority(settings, home)
    found.check()
    found.account()
    return found


def test_a_certificate_is_for_all_names_and_comes_with_its_key(acme: played_acme.Directory, tmp_path: Path, key: str):
    asked = authority(acme, tmp_path, key)
    asked.obtain("example.com", NAMES)
    pem = asked.pem("example.com")
    assert pem
    known = certificate.read(pem)  # None where the key is another's
    assert known
    assert known.names == {*NAMES}
    [file] = (tmp_path / "certificates").iterdir()
    assert (file.name, oct(file.stat().st_mode & 0o777)) == ("example.com.pem", "0o600")


def test_each_order_has_a_key_of_its_own(acme: played_acme.Directory, tmp_path: Path, key: str):
    asked = authority(acme, tmp_path, key)
    asked.obtain("example.com", NAMES)
    first = asked.pem("example.com")
    acme.chain, acme.answered = "", set()
    asked.obtain("example.com", NAMES)
    second = asked.pem("example.com")
    assert first
    assert second
    assert certificate._key_block(first) != certificate._key_block(second)


def test_an_account_is_made_once_and_what_certbot_kept_goes_on(acme: played_acme.Directory, tmp_path: Path):
    asked = authority(acme, tmp_path, email="hostmaster@example.com")
    thumbprint = asked.account()
    assert asked.account() == thumbprint
    assert [made["contact"] for made in acme.accounts] == [["mailto:hostmaster@example.com"]]
    # As certbot keeps it: a body that is empty, and other words beside it.
    [registration] = tmp_path.glob("accounts/**/regr.json")
    registration.write_text(f'{{"body": {{}}, "uri": "{acme.url}/account/1"}}')
    asked.obtain("example.com", NAMES)
    assert len(acme.accounts) == 1


def test_what_earlier_versions_kept_is_served_until_it_is_renewed(
    acme: played_acme.Directory, tmp_path: Path, key: str
):
    asked, pem = authority(acme, tmp_path, key), made("example.com", days=50)
    block = certificate._key_block(pem).decode()
    live = tmp_path / "live" / "example.com"
    live.mkdir(parents=True)
    (live / "fullchain.pem").write_text(pem.replace(block, ""))
    (live / "privkey.pem").write_text(block)
    found = asked.pem("example.com")
    assert found
    assert certificate.read(found) == certificate.read(pem)
    taken = made("example.com", days=80)
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "example.com.pem").write_text(taken)
    assert asked.pem("example.com") == taken  # came after it
    asked.obtain("example.com", NAMES)
    renewed = certificate.read(asked.pem("example.com") or "")
    assert renewed
    assert renewed.issuer == "Played"


def test_the_authority_s_pace_is_kept_and_no_slower_one(acme: played_acme.Directory, tmp_path: Path, key: str):
    """A new site is served by https within seconds: nothing sleeps for what the authority did not ask for."""
    asked = authority(acme, tmp_path, key)
    acme.pending, acme.processing = 2, 2
    started = time.monotonic()
    asked.obtain("example.com", NAMES)
    assert time.monotonic() - started < 2
    acme.chain, acme.answered, acme.pending, acme.processing, acme.retry_after = "", set(), 0, 2, "2"
    started = time.monotonic()
    asked.obtain("example.com", NAMES)
    assert time.monotonic() - started > 1, "`Retry-After: 2` was not waited for"


def test_an_authority_that_knows_an_earlier_proof_is_not_asked_for_another(
    acme: played_acme.Directory, tmp_path: Path, key: str
):
    acme.valid = True
    authority(acme, tmp_path, key).obtain("example.com", NAMES)
    assert not [path for path in acme.asked if path.startswith("/challenge/")]


@pytest.mark.parametrize(("refused", "is_obtained"), [(1, True), (3, True), (9, False)])
def test_a_nonce_that_is_refused_again_costs_no_certificate(
    acme: played_acme.Directory, tmp_path: Path, key: str, refused: int, *, is_obtained: bool
):
    asked = authority(acme, tmp_path, key)
    acme.refused_nonces = refused
    if is_obtained:
        asked.obtain("example.com", NAMES)
    else:
        with pytest.raises(RefusedError, match="anti-replay nonce") as refusal:
            asked.obtain("example.com", NAMES)
        assert refusal.value.kind == "badNonce"
        assert acme.refused_nonces == 9 - 2 * order.ATTEMPTS


@pytest.mark.parametrize(
    ("does", "reason", "kind"),
    [
        ({"refused_order": ("rateLimited", 'too many "new" orders')}, 'too many "new" orders', "rateLimited"),
        ({"refused_order": ("accountDoesNotExist", "who?")}, "who?", "accountDoesNotExist"),
        (
            {"wrong": {"www.example.com": ("dns", "no AAAA"), "example.com": ("caa", "another's\nname")}},
            "example.com: another's name (caa); www.example.com: no AAAA (dns)",
            "caa",
        ),
        ({"offers": "dns-01"}, "example.com: the authority does not take a proof by http", ""),
        ({"pending": 10**6}, LATE, ""),
        ({"processing": 10**6}, LATE, ""),
        ({"processing": 10**6, "retry_after": "86400"}, LATE, ""),
        ({"drips": True}, LATE, ""),
    ],
    ids=["limit", "no account", "names", "no proof by http", "never looks", "never ends", "tomorrow", "drips"],
)
@pytest.mark.usefixtures("short")
def test_the_authority_s_own_words_are_told(tmp_path: Path, key: str, does: dict[str, Any], reason: str, kind: str):
    with played_acme.directory(**does) as acme:
        asked = authority(acme, tmp_path, key)
        with pytest.raises(RefusedError) as refused:
            asked.obtain("example.com", NAMES)
    assert (str(refused.value), refused.value.kind) == (reason, kind)
    assert asked.pem("example.com") is None


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """All that is asked has a second."""
    monkeypatch.setattr(authority_module, "SECONDS", 1.0)


def test_what_is_of_no_use_does_not_take_the_place_of_what_is_served(
    acme: played_acme.Directory, tmp_path: Path, key: str
):
    asked = authority(acme, tmp_path, key)
    asked.obtain("example.com", NAMES)
    served = asked.pem("example.com")
    acme.chain, acme.answered, acme.strange = "", set(), True
    with pytest.raises(RefusedError, match="no certificate that belongs to its key"):
        asked.obtain("example.com", NAMES)
    assert asked.pem("example.com") == served is not None


def test_an_authority_that_goes_away_meanwhile_is_told_in_a_line(tmp_path: Path, key: str):
    with played_acme.directory() as acme:
        asked = authority(acme, tmp_path, key)
    with pytest.raises(RefusedError) as refused:
        asked.obtain("example.com", NAMES)
    assert "\n" not in str(refused.value)
    assert "127.0.0.1" in str(refused.value)


def test_an_account_that_is_torn_is_told_with_its_place(acme: played_acme.Directory, tmp_path: Path, key: str):
    asked = authority(acme, tmp_path, key)
    [registration] = tmp_path.glob("accounts/**/regr.json")
    registration.write_text("")
    with pytest.raises(AuthorityError, match=f"{registration.parent} holds no account"):
        asked.obtain("example.com", NAMES)
