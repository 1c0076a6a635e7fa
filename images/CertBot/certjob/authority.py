"""The authority, asked by certbot: an account, and one certificate at a time.

Makes, in a folder of the authority's own under /etc/letsencrypt, what certbot keeps there: accounts/, live/,
archive/, renewal/; and beside it taken/, what other servers have obtained. What is served is the proxy's matter,
whether another one is wanted is `certificate`'s.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import shutil
import ssl
import subprocess
import tempfile
import urllib.error
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from certjob import account, certificate
from certjob.settings import Settings

SYSTEM_ROOTS = Path("/etc/ssl/certs/ca-certificates.crt")
CERTBOT_SECONDS = 180
DIRECTORY_SECONDS = 20
# certbot repeats a request once when its nonce is refused, and gives up when that happens twice in a row, which means
# nothing (RFC 8555, 6.5).
ATTEMPTS = 4
# An ACME problem as certbot's log has it.
_PROBLEM = re.compile(r'"type": "urn:ietf:params:acme:error:(\w+)",\s*"detail": ("(?:[^"\\]|\\.)*")')


class AuthorityError(Exception):
    """Nothing can be had from this authority now; str() says why and what to do."""


class RefusedError(Exception):
    """One certificate was not given; `kind` is the ACME error's, e.g. dns, caa, rateLimited, or ""."""

    def __init__(self, reason: str, kind: str) -> None:
        super().__init__(reason)
        self.kind = kind


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
            with urllib.request.urlopen(url, timeout=DIRECTORY_SECONDS, context=context) as answer:  # noqa: S310
                wanted = json.load(answer)["newOrder"]
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
        if self.settings.account_key:
            return self._given(self.settings.account_key)
        if not self._account_keys():
            email = ["--email", self.settings.email] if self.settings.email else ["--register-unsafely-without-email"]
            eab = self.settings.eab
            external = ["--eab-kid", eab[0], "--eab-hmac-key", eab[1]] if eab else []
            status, said, log = self._certbot("register", "--agree-tos", *email, *external)
            if status != 0 or not self._account_keys():
                why = _reason(said, _problem(log)[1])
                raise AuthorityError(f"{self.settings.directory} gives no account: {why}")
        return thumbprint(json.loads(self._account_keys()[0].read_text()))

    def _given(self, pem: str) -> str:
        """The account of a key that several servers have; any other one goes: certbot would have to be told which."""
        settings = self.settings
        folder = account.folder_of(self.home, settings.directory, pem)
        if [key.parent for key in self._account_keys()] != [folder]:
            self.forget_account()
            try:
                made = account.register(settings.directory, pem, self._roots, settings.email, settings.eab)
            except account.AccountError as error:
                raise AuthorityError(f"{settings.directory} gives no account: {error}") from error
            account.keep(folder, *made)
        return account.thumbprint_of(pem)

    def forget_account(self) -> None:
        """Have the next `account` make another one."""
        shutil.rmtree(self.home / "accounts", ignore_errors=True)

    def pem(self, domain: str) -> str | None:
        """What it has given, here or to another server, chain and key; of two the one that came last; None without.

        Each came because the one before would not do: it may end later, and lack a name.
        """
        folder = self.home / "live" / domain
        found: list[tuple[int, str]] = []
        for files in ((folder / "fullchain.pem", folder / "privkey.pem"), (self._taken(domain),)):
            try:
                pem, came = "".join(file.read_text() for file in files), files[0].stat().st_mtime_ns
            except FileNotFoundError:
                continue
            if certificate.read(pem):
                found.append((came, pem))
        return max(found)[1] if found else None

    def take(self, domain: str, pem: str) -> None:
        """Keep what it has given to another server."""
        file = self._taken(domain)
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        beside = file.with_suffix(".new")
        with open(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as out:
            out.write(pem)
            out.flush()
            os.fsync(out.fileno())
        beside.replace(file)

    def _taken(self, domain: str) -> Path:
        """Beside what certbot keeps: what it has not obtained itself it can't renew, and stumbles over."""
        return self.home / "taken" / f"{domain}.pem"

    def forget(self, domain: str) -> None:
        """Remove what is left of a domain: certbot stumbles over half of something."""
        for folder in ("live", "archive"):
            shutil.rmtree(self.home / folder / domain, ignore_errors=True)
        (self.home / "renewal" / f"{domain}.conf").unlink(missing_ok=True)
        self._taken(domain).unlink(missing_ok=True)

    def obtain(self, domain: str, names: Sequence[str]) -> None:
        """Have a certificate for these names, under the domain's. The proxy answers the challenges by itself.

        Raises RefusedError.
        """
        words = [word for name in names for word in ("-d", name)]
        status, said, log = self._certbot(
            "certonly",
            "--manual",
            "--manual-auth-hook",
            "/bin/true",
            "--preferred-challenges",
            "http",
            "--key-type",
            "ecdsa",
            "--force-renewal",
            "--renew-with-new-domains",
            "--cert-name",
            domain,
            *words,
        )
        if status != 0:
            kind, detail = _problem(log)
            raise RefusedError(_reason(said, detail), kind)

    def _account_keys(self) -> list[Path]:
        return sorted((self.home / "accounts").glob("**/private_key.json"))

    def _certbot(self, verb: str, *words: str) -> tuple[int, str, str]:
        """(exit status, what it said, its log); again as long as nothing but a nonce was refused."""
        for _ in range(ATTEMPTS):
            status, said, log = self._once(verb, *words)
            if status == 0 or _problem(log)[0] or "acme:error:badNonce" not in log:
                break
        return status, said, log

    def _once(self, verb: str, *words: str) -> tuple[int, str, str]:
        with tempfile.TemporaryDirectory() as scratch:
            folders = ["--config-dir", str(self.home), "--work-dir", f"{scratch}/work", "--logs-dir", f"{scratch}/logs"]
            command = ["certbot", verb, "--non-interactive", "--server", self.settings.directory, *folders, *words]
            environment = {**os.environ, "REQUESTS_CA_BUNDLE": str(self._roots)}
            try:
                done = subprocess.run(
                    command,
                    env=environment,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    text=True,
                    errors="replace",
                    timeout=CERTBOT_SECONDS,
                    check=False,
                )
            except subprocess.TimeoutExpired:
                return (
                    1,
                    f"An unexpected error occurred:\nthe authority has not come to an end in {CERTBOT_SECONDS} s",
                    "",
                )
            log = Path(scratch) / "logs" / "letsencrypt.log"
            return done.returncode, done.stdout, log.read_text(errors="replace") if log.exists() else ""


def thumbprint(key: dict[str, str]) -> str:
    """RFC 7638: the hash of a public key in its one true spelling."""
    members = {"RSA": ("e", "kty", "n"), "EC": ("crv", "kty", "x", "y")}[key["kty"]]
    text = json.dumps({name: key[name] for name in members}, sort_keys=True, separators=(",", ":"))
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).decode().rstrip("=")


def _problem(log: str) -> tuple[str, str]:
    """(kind, detail) of the last problem that the authority told, refused nonces aside."""
    found = [(kind, str(json.loads(detail))) for kind, detail in _PROBLEM.findall(log) if kind != "badNonce"]
    return found[-1] if found else ("", "")


def _reason(said: str, detail: str) -> str:
    """One line: what certbot said of each name, else what the authority said, else certbot's last words."""
    problems = re.findall(r"Domain:\s*(\S+)\n\s*Type:\s*(\S+)\n\s*Detail:\s*(.+)", said)
    if problems:
        return "; ".join(f"{name}: {text.strip()} ({kind})" for name, kind, text in problems)
    if detail:
        return detail
    noise = ("Ask for help", "Saving debug log", "See the logfile", "- - -", "Some challenges have failed")
    lines = [line.strip() for line in said.splitlines() if line.strip() and not line.strip().startswith(noise)]
    if "An unexpected error occurred:" in lines:
        lines = lines[lines.index("An unexpected error occurred:") + 1 :]
    return " ".join(lines[:3])[:500] if lines else "certbot has not said why"
