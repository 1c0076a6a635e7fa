"""The authority: an account, and one certificate at a time.

Makes, in a folder of the authority's own under /etc/letsencrypt, accounts/ and certificates/; in the latter is also
what other servers have obtained. What is served is the proxy's matter, whether another one is wanted `certificate`'s.
"""

from __future__ import annotations

import json
import os
import shutil
import ssl
import urllib.error
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from certjob import account, certificate
from certjob.certificate import Certificate
from certjob.failures import RefusedError
from certjob.limit import LateError, at_most
from certjob.settings import Settings

SYSTEM_ROOTS = Path("/etc/ssl/certs/ca-certificates.crt")
DIRECTORY_SECONDS = 20
SECONDS = 180.0  # for an account, and for each certificate


class AuthorityError(Exception):
    """Nothing can be had from this authority now; str() says why and what to do."""


@dataclass(frozen=True)
class Authority:
    """An ACME directory, and the folder `home` for what it has given."""

    settings: Settings
    home: Path

    @property
    def _roots(self) -> Path:
        """Whom to trust: the system's authorities, and the given one."""
        return self.home / "roots.pem"

    def check(self) -> None:
        """Raises AuthorityError unless the directory answers."""
        self.home.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._roots.write_text(SYSTEM_ROOTS.read_text() + (self.settings.directory_ca or ""))
        url = self.settings.directory
        try:
            context = ssl.create_default_context(cafile=str(self._roots))
            # The settings take https alone.
            with (
                at_most(DIRECTORY_SECONDS),
                urllib.request.urlopen(url, timeout=DIRECTORY_SECONDS, context=context) as answer,  # noqa: S310
            ):
                wanted = json.load(answer)["newOrder"]
        except LateError as error:
            raise AuthorityError(f"the ACME directory {url} does not answer: {error}") from error
        except ssl.SSLError as error:
            raise AuthorityError(f"DIRECTORY_CA is of no use: {error}") from error
        except urllib.error.URLError as error:
            hint = "; give its authority in DIRECTORY_CA" if isinstance(error.reason, ssl.SSLError) else ""
            raise AuthorityError(f"the ACME directory {url} does not answer: {error.reason}{hint}") from error
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise AuthorityError(f"{url} is no ACME directory: {error!r}") from error
        if not str(wanted).startswith("http"):
            raise AuthorityError(f"{url} is no ACME directory: its newOrder is {wanted!r}")

    def account(self) -> str:
        """The thumbprint of the account's key; the account is made when there is none. Raises AuthorityError."""
        given = self.settings.account_key
        kept = [key.parent for key in self._account_keys()]
        if given and kept != [account.folder_of(self.home, self.settings.directory, given)]:
            self.forget_account()
        if not self._account_keys():
            self._register(given or account.made())
        [key, *_] = self._account_keys()
        return account.thumbprint(json.loads(key.read_text()))

    def _register(self, pem: str) -> None:
        settings = self.settings
        try:
            with at_most(SECONDS):
                made = account.register(settings.directory, pem, self._roots, settings.email, settings.eab)
        except (account.AccountError, LateError) as error:
            raise AuthorityError(f"{settings.directory} gives no account: {error}") from error
        account.keep(account.folder_of(self.home, settings.directory, pem), *made)

    def forget_account(self) -> None:
        """Have the next `account` make another one."""
        shutil.rmtree(self.home / "accounts", ignore_errors=True)

    def pem(self, domain: str) -> str | None:
        """What it has given, here or to another server, chain and key; None without."""
        for files in (self._kept(domain), *self._left(domain)):
            try:
                pem = "".join(file.read_text() for file in files)
            except FileNotFoundError:
                continue
            if certificate.read(pem):
                return pem
        return None

    def keep(self, domain: str, pem: str) -> None:
        """Put what it has given in the place of the one before."""
        [file] = self._kept(domain)
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        beside = file.with_suffix(".new")
        with open(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as out:
            out.write(pem)
            out.flush()
            os.fsync(out.fileno())
        beside.replace(file)

    def _kept(self, domain: str) -> tuple[Path]:
        return (self.home / "certificates" / f"{domain}.pem",)

    def _left(self, domain: str) -> list[tuple[Path, ...]]:
        """What earlier versions have kept, the last first: by certbot, or taken from another server."""
        live = self.home / "live" / domain
        found: list[tuple[Path, ...]] = [
            (live / "fullchain.pem", live / "privkey.pem"),
            (self.home / "taken" / f"{domain}.pem",),
        ]
        there = [files for files in found if all(file.exists() for file in files)]
        return sorted(there, key=lambda files: files[0].stat().st_mtime_ns, reverse=True)

    def obtain(self, domain: str, names: Sequence[str]) -> Certificate:
        """Have a certificate for these names, under the domain's. The proxy answers the challenges by itself.

        Raises RefusedError, AuthorityError.
        """
        from certjob import order  # noqa: PLC0415 - takes half a second, and most runs obtain nothing

        try:
            mine = account.kept(self._account_keys()[0].parent)
        except account.AccountError as error:
            raise AuthorityError(str(error)) from error
        try:
            with at_most(SECONDS):
                pem = order.obtain(self.settings.directory, mine, self._roots, names)
        except LateError as error:
            raise RefusedError(str(error), "") from error
        given = certificate.read(pem)
        if given is None:
            raise RefusedError("what the authority has given is no certificate that belongs to its key", "")
        self.keep(domain, pem)
        return given

    def _account_keys(self) -> list[Path]:
        return sorted((self.home / "accounts").glob("**/private_key.json"))
