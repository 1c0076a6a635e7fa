"""Passwords of sites as hashes: what the proxy compares with.

The hash is SHA-512-crypt, the slowest that HAProxy reads by crypt(3) of every C library. The salt is the site's and the
user's own and says nothing of the password; it stays the same, so that what has not changed is no change.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence

from hasetup.domains import Domain, InputError
from hasetup.pem import OPENSSL_SECONDS, CertificateError, run

VARIABLE = "PASSWORDS"
LONGEST = 256  # bytes: of a longer one openssl hashes these, and the whole of it would never be right


def hashed(domains: Sequence[Domain], text: str) -> dict[str, dict[str, str]]:
    """application -> user -> hash, for the sites that ask for one, from `{"shop": {"anna": "her password"}}`.

    Raises InputError, which repeats no password.
    """
    wanted = {domain.app: domain for domain in reversed(domains) if domain.site.password}
    try:
        given = json.loads(text or "{}")
    except ValueError:
        raise InputError(f"{VARIABLE} is not JSON") from None
    found: dict[str, dict[str, str]] = {}
    for app, domain in wanted.items():
        mine = given.get(app) if isinstance(given, dict) else None
        for user in domain.site.password:
            password = mine.get(user) if isinstance(mine, dict) else None
            if not isinstance(password, str) or not password or not password.isprintable():
                raise InputError(f"{VARIABLE}: holds no password of {user!r} for {app!r}, or none of one line")
            if len(password.encode()) > LONGEST:
                raise InputError(f"{VARIABLE}: holds no password of {user!r} for {app!r} of at most {LONGEST} bytes")
            found.setdefault(app, {})[user] = _hash(password, f"{domain.name}{domain.below} {user}")
    return found


def _hash(password: str, owner: str) -> str:
    salt = hashlib.sha256(owner.encode()).hexdigest()[:16]
    done = run(["openssl", "passwd", "-6", "-salt", salt, "-stdin"], f"{password}\n", OPENSSL_SECONDS)
    if done.returncode != 0:
        raise CertificateError(f"openssl hashes no password: {done.stderr.strip()}")
    return done.stdout.strip()
