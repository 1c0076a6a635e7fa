"""An account by a key that is given: one for all servers that a name leads to.

An authority asks any of them for the answer to a challenge, which is the token and the thumbprint of the account's key;
so the proxies of all have to know the same one. Makes what certbot keeps of an account, as certbot 2 to 4 read it back.
Leaves alone: accounts that certbot makes by itself (authority.py).
"""

from __future__ import annotations

import base64
import datetime
import hashlib
import json
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

AGENT = "apiary-certjob"


class AccountError(Exception):
    """The authority gives no account for this key; str() says why."""


def thumbprint_of(pem: str) -> str:
    """What is added to a challenge for the account of a key (RFC 7638)."""
    numbers = _private(pem).public_key().public_numbers()
    members = {name: _in_base64(getattr(numbers, name)) for name in ("e", "n")} | {"kty": "RSA"}
    text = json.dumps(members, sort_keys=True, separators=(",", ":"))
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).decode().rstrip("=")


def _in_base64(number: int) -> str:
    packed = number.to_bytes((number.bit_length() + 7) // 8)
    return base64.urlsafe_b64encode(packed).decode().rstrip("=")


def _private(pem: str) -> Any:  # noqa: ANN401 - of a library that is in the image alone
    """The key. Raises AccountError for what is none, or none that an account is asked for by."""
    from cryptography.hazmat.primitives import serialization  # noqa: PLC0415 - comes with certbot
    from cryptography.hazmat.primitives.asymmetric import rsa  # noqa: PLC0415

    try:
        key = serialization.load_pem_private_key(pem.encode(), None)
    except ValueError as error:
        raise AccountError(f"ACCOUNT_KEY is no private key: {error}") from error
    if not isinstance(key, rsa.RSAPrivateKey):
        raise AccountError("ACCOUNT_KEY is no RSA key; give it one of 2048 bits")
    return key


def folder_of(home: Path, directory: str, pem: str) -> Path:
    """Where certbot looks for the account of a key: by the authority's address, and a hash of the public key."""
    from cryptography.hazmat.primitives import serialization  # noqa: PLC0415 - comes with certbot

    text = (
        _private(pem)
        .public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    )
    # As certbot has it; nothing is kept secret by it.
    number = hashlib.md5(text, usedforsecurity=False).hexdigest()
    url = urlsplit(directory)
    return home / "accounts" / f"{url.netloc}{url.path}" / number


def register(directory: str, pem: str, roots: Path, email: str | None, eab: tuple[str, str] | None) -> tuple[str, str]:
    """(key, registration) as certbot keeps them: of a new account, or of the one that the key has already.

    Raises AccountError.
    """
    import josepy  # noqa: PLC0415 - these come with certbot
    from acme import client, errors, messages  # noqa: PLC0415
    from requests.exceptions import RequestException  # noqa: PLC0415

    key = josepy.JWKRSA(key=_private(pem))
    try:
        network = client.ClientNetwork(key, user_agent=AGENT, verify_ssl=str(roots))
        known = client.ClientV2.get_directory(directory, network)
        asked = client.ClientV2(known, network)
        external = eab and messages.ExternalAccountBinding.from_data(key.public_key(), *eab, known)
        wanted = messages.NewRegistration.from_data(
            email=email, terms_of_service_agreed=True, external_account_binding=external
        )
        try:
            made = asked.new_account(wanted)
        except errors.ConflictError as there:  # another server has been here
            made = messages.RegistrationResource(uri=there.location, body=messages.Registration())
    except (errors.Error, josepy.errors.Error, RequestException, ValueError) as error:
        raise AccountError(str(error) or repr(error)) from error
    return key.json_dumps(), made.json_dumps()


def keep(folder: Path, key: str, registration: str) -> None:
    """Write an account down; whole, or not there."""
    meta = {
        "creation_dt": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "creation_host": AGENT,
        "register_to_eff": None,
    }
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    for name, text in (("regr.json", registration), ("meta.json", json.dumps(meta)), ("private_key.json", key)):
        file = folder / name
        file.touch(mode=0o600)
        file.write_text(text)
