"""One certificate with its key: read, judged, and whether it is time for another. Pure but for the clock given."""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterable
from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives import serialization

UTC = datetime.timezone.utc  # noqa: UP017 - also where Python is older than 3.11


@dataclass(frozen=True)
class Certificate:
    """The leaf of a chain."""

    names: frozenset[str]
    starts: datetime.datetime
    ends: datetime.datetime
    issuer: str
    der: bytes

    @property
    def lifetime(self) -> datetime.timedelta:
        """How long it is valid in all."""
        return self.ends - self.starts


def read(pem: str) -> Certificate | None:
    """The certificate of a PEM with chain and key; None when there is none, or the key is another's."""
    try:
        leaf = x509.load_pem_x509_certificate(pem.encode())
        key = serialization.load_pem_private_key(_key_block(pem), None)
        names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (ValueError, TypeError, x509.ExtensionNotFound):
        return None
    if _public(key.public_key()) != _public(leaf.public_key()):
        return None
    common = leaf.issuer.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
    return Certificate(
        frozenset(name.lower() for name in names.get_values_for_type(x509.DNSName)),
        _moment(leaf, "not_valid_before"),
        _moment(leaf, "not_valid_after"),
        str(common[0].value) if common else leaf.issuer.rfc4514_string(),
        leaf.public_bytes(serialization.Encoding.DER),
    )


def renewal_due(known: Certificate, now: datetime.datetime, renew_days: int | None) -> bool:
    """Whether it is in the last third of its life, or in its last `renew_days`."""
    margin = known.lifetime / 3 if renew_days is None else datetime.timedelta(days=renew_days)
    return known.ends - now <= margin


def overdue(known: Certificate, now: datetime.datetime, renew_days: int | None) -> bool:
    """Whether a quarter of the time in which it is to be renewed has gone by."""
    margin = known.lifetime / 3 if renew_days is None else datetime.timedelta(days=renew_days)
    return known.ends - now <= margin * 3 / 4


def at_risk(known: Certificate, now: datetime.datetime) -> bool:
    """Whether so little is left that somebody has to look: half of the time in which it is to be renewed."""
    return known.ends - now <= known.lifetime / 6


def why(known: Certificate | None, names: Iterable[str], now: datetime.datetime, renew_days: int | None) -> str | None:
    """Why another one is wanted; None when it will do."""
    if known is None:
        return "there is none yet"
    if missing := sorted(set(names) - known.names):
        return f"it lacks {', '.join(missing)}"
    if renewal_due(known, now, renew_days):
        return f"it ends on {known.ends:%Y-%m-%d}"
    return None


def _key_block(pem: str) -> bytes:
    match = re.search(r"-----BEGIN ([A-Z ]*PRIVATE KEY)-----.+?-----END \1-----", pem, re.DOTALL)
    if match is None:
        raise ValueError("no key")
    return match[0].encode()


def _public(key: object) -> bytes:
    encoded: bytes = key.public_bytes(  # type: ignore[attr-defined]
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return encoded


def _moment(leaf: x509.Certificate, name: str) -> datetime.datetime:
    """In UTC; older libraries have it without a zone."""
    moment: datetime.datetime = getattr(leaf, f"{name}_utc", None) or getattr(leaf, name).replace(tzinfo=UTC)
    return moment
