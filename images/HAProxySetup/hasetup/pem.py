"""One certificate: read, judged by its names and its age, and made where there is none yet."""

from __future__ import annotations

import datetime
import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass

SELF_SIGNED = "Apiary self-signed"
SELF_SIGNED_DAYS = 3650
OPENSSL_SECONDS = 30

_REQUEST = """\
[req]
distinguished_name = subject
x509_extensions = server
prompt = no
[subject]
CN = {subject}
[server]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = serverAuth
subjectAltName = {names}
"""


class CertificateError(Exception):
    """No certificate can be made or judged; str() says why and what to do."""


@dataclass(frozen=True)
class Certificate:
    """What the first certificate of a PEM says."""

    names: frozenset[str]  # lower case, `*.` in front where it is for every name one level below
    expires: datetime.datetime
    issuer: str

    def covers(self, name: str) -> bool:
        """Whether a visitor who asks for `name` would accept it, as far as names go."""
        return name in self.names or f"*.{name.partition('.')[2]}" in self.names

    def has_expired(self, now: datetime.datetime | None = None) -> bool:
        """Whether visitors refuse it for its age."""
        return self.expires <= (now or datetime.datetime.now(datetime.UTC))

    @property
    def is_self_signed(self) -> bool:
        """Whether it is one that stands in until there is a better one."""
        return self.issuer == SELF_SIGNED


def inspect(pem: str) -> Certificate | None:
    """The first certificate in the text, None when there is none that can be read."""
    words = ["-noout", "-issuer", "-enddate", "-dateopt", "iso_8601", "-nameopt", "RFC2253", "-ext", "subjectAltName"]
    done = _openssl(["x509", *words], pem)
    if done.returncode != 0:
        return None
    expires = re.search(r"^notAfter=(\S+ \S+)Z$", done.stdout, re.MULTILINE)
    issuer = re.search(r"^issuer=(.*)$", done.stdout, re.MULTILINE)
    if expires is None or issuer is None:
        return None
    common = re.search(r"CN=((?:[^,\\]|\\.)+)", issuer[1])
    return Certificate(
        frozenset(name.lower() for name in re.findall(r"DNS:([^\s,]+)", done.stdout)),
        datetime.datetime.fromisoformat(f"{expires[1]}+00:00"),
        re.sub(r"\\(.)", r"\1", common[1]) if common else issuer[1],
    )


def self_signed(names: Sequence[str]) -> str:
    """Key and certificate for these names, which nobody trusts but every client can be told to accept."""
    request = _REQUEST.format(subject=SELF_SIGNED, names=", ".join(f"DNS:{name}" for name in names))
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", "-"]
    done = _openssl(
        ["req", "-x509", *key, "-out", "-", "-days", str(SELF_SIGNED_DAYS), "-config", "/dev/stdin"], request
    )
    if done.returncode != 0:
        raise CertificateError(f"openssl makes no certificate for {names[0]}: {done.stderr.strip()}")
    return done.stdout


def _openssl(words: Sequence[str], text: str) -> subprocess.CompletedProcess[str]:
    return run(["openssl", *words], text, OPENSSL_SECONDS)


def run(command: Sequence[str], text: str, seconds: float) -> subprocess.CompletedProcess[str]:
    """A program's end, given the text on its standard input. Raises CertificateError where it does not end in time."""
    try:
        return subprocess.run(command, input=text, capture_output=True, text=True, timeout=seconds, check=False)
    except subprocess.TimeoutExpired as error:
        raise CertificateError(
            f"{command[0]} has not ended within {seconds} seconds; is the host overloaded? Run this job again"
        ) from error
