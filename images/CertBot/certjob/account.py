"""An account at an ACME directory: by a key that is made here, or by one that is given.

One is given where a name leads to several servers: an authority asks any of them for the answer to a challenge, which
is the token and the thumbprint of the account's key, so the proxies of all have to know the same one. It is kept as
certbot keeps accounts, since by certbot those of earlier versions were made.
"""

from __future__ import annotations

import base64
import datetime
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

AGENT = "apiary-certjob"
_CURVES = {"P-256": "ES256", "P-384": "ES384"}


class AccountError(Exception):
    """The authority gives no account for this key; str() says why."""


@dataclass(frozen=True)
class Account:
    """An account as the library `acme` has it."""

    key: Any  # josepy.JWK
    registration: Any  # acme.messages.RegistrationResource

    @property
    def algorithm(self) -> Any:  # noqa: ANN401 - josepy.JWASignature
        """That this kind of key signs with."""
        import josepy  # noqa: PLC0415

        return getattr(josepy, _CURVES.get(self.key.to_partial_json().get("crv"), "RS256"))


def thumbprint(key: dict[str, str]) -> str:
    """RFC 7638: the hash of a public key in its one true spelling."""
    members = {"RSA": ("e", "kty", "n"), "EC": ("crv", "kty", "x", "y")}[key["kty"]]
    text = json.dumps({name: key[name] for name in members}, sort_keys=True, separators=(",", ":"))
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).decode().rstrip("=")


def thumbprint_of(pem: str) -> str:
    """What is added to a challenge for the account of a key."""
    numbers = _private(pem).public_key().public_numbers()
    return thumbprint({name: _in_base64(getattr(numbers, name)) for name in ("e", "n")} | {"kty": "RSA"})


def made() -> str:
    """A new key, PEM."""
    from cryptography.hazmat.primitives import serialization  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric import rsa  # noqa: PLC0415

    key = rsa.generate_private_key(65537, 2048)
    pem = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    return key.private_bytes(*pem).decode()


def _in_base64(number: int) -> str:
    packed = number.to_bytes((number.bit_length() + 7) // 8)
    return base64.urlsafe_b64encode(packed).decode().rstrip("=")


def _private(pem: str) -> Any:  # noqa: ANN401 - of a library that is in the image alone
    """The key. Raises AccountError for what is none, or none that an account is asked for by."""
    from cryptography.hazmat.primitives import serialization  # noqa: PLC0415
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
    from cryptography.hazmat.primitives import serialization  # noqa: PLC0415

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
    import josepy  # noqa: PLC0415
    from acme import client, errors, messages  # noqa: PLC0415
    from requests.exceptions import RequestException  # noqa: PLC0415

    key = josepy.JWKRSA(key=_private(pem))
    try:
        # A file of authorities is taken as well.
        network = client.ClientNetwork(key, user_agent=AGENT, verify_ssl=str(roots))  # type: ignore[arg-type]
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


def kept(folder: Path) -> Account:
    """The account in a folder. Raises AccountError."""
    import josepy  # noqa: PLC0415
    from acme import messages  # noqa: PLC0415

    try:
        return Account(
            josepy.JWK.json_loads((folder / "private_key.json").read_text()),
            messages.RegistrationResource.json_loads((folder / "regr.json").read_text()),
        )
    except (OSError, ValueError, josepy.errors.Error) as error:
        raise AccountError(f"{folder} holds no account: {error}; remove it, and another one is made") from error


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
