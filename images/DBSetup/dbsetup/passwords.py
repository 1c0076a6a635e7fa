"""What servers keep of a password, made and compared on this side, so that the password itself is in no statement.

Pure.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import secrets

ITERATIONS = 4096
_SCRAM = re.compile(r"SCRAM-SHA-256\$(\d{1,9}):([A-Za-z0-9+/=]+)\$([A-Za-z0-9+/=]+):([A-Za-z0-9+/=]+)")


def scram(password: str, salt: bytes | None = None, iterations: int = ITERATIONS) -> str:
    """PostgreSQL's verifier of a password of ASCII characters (others would have to be normalised first)."""
    salt = secrets.token_bytes(16) if salt is None else salt
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, iterations)
    stored = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    server = hmac.digest(salted, b"Server Key", "sha256")
    return f"SCRAM-SHA-256${iterations}:{_text(salt)}${_text(stored)}:{_text(server)}"


def is_scram_of(password: str, verifier: str | None) -> bool:
    """Whether the server's verifier is that of `password`; False for one of another kind, and for none."""
    match = _SCRAM.fullmatch(verifier or "")
    if match is None:
        return False
    return hmac.compare_digest(scram(password, base64.b64decode(match[2]), int(match[1])), match[0])


def native(password: str) -> str:
    """MariaDB's `mysql_native_password` of a password: `*` and 40 digits."""
    inner = hashlib.sha1(password.encode()).digest()  # noqa: S324 - the protocol's own
    return "*" + hashlib.sha1(inner).hexdigest().upper()  # noqa: S324


def _text(raw: bytes) -> str:
    return base64.b64encode(raw).decode()
