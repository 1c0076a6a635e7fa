"""The other servers of a name: what they have is taken, and what is had here is handed to them.

The servers of a stack have one key in common, that of their account at the authority. From it each makes the key that
certificates are closed with (AES-GCM: unread and unchanged on the way), and the name that a domain's is asked for by,
which says nothing to others. So a proxy hands out, over plain http, what nobody without the account's key can find or
read. Leaves alone: who of them obtains one (run.py).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from certjob.proxy import Proxy

NONCE = 12  # bytes
LARGEST = 1 << 20  # bytes of a certificate with its key


@dataclass(frozen=True)
class Closed:
    """What only servers with the same account at an authority open: `closing` and `naming` are keys of 32 bytes."""

    closing: bytes
    naming: bytes

    @classmethod
    def by(cls, account_key: str, directory: str) -> Closed:
        """Of the account's private key, as PEM, and the URL of the authority's directory. Raises ValueError.

        The key is the same at every authority: what one for tests has given must be no other's.
        """
        key = serialization.load_pem_private_key(account_key.encode(), None)
        der = key.private_bytes(
            serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        info = f"apiary: certificates between servers, of {directory}".encode()
        made = HKDF(hashes.SHA256(), 64, salt=None, info=info).derive(der)
        return cls(made[:32], made[32:])

    def name(self, domain: str) -> str:
        """What a domain's certificate is asked for by: 32 hexadecimal digits."""
        return hmac.new(self.naming, domain.encode(), hashlib.sha256).hexdigest()[:32]

    def close(self, domain: str, pem: str) -> str:
        """Chain and key in one word of URL-safe base64: the same each time, so that servers with the same say the same.

        The nonce is one for just this text.
        """
        plain = zlib.compress(pem.encode())
        nonce = hmac.new(self.naming, b"\0".join((domain.encode(), plain)), hashlib.sha256).digest()[:NONCE]
        sealed = AESGCM(self.closing).encrypt(nonce, plain, domain.encode())
        return base64.urlsafe_b64encode(nonce + sealed).decode()

    def open(self, domain: str, text: str) -> str | None:
        """What was closed for this domain by the same key; None for anything else."""
        try:
            packed = base64.urlsafe_b64decode(text)
            plain = AESGCM(self.closing).decrypt(packed[:NONCE], packed[NONCE:], domain.encode())
            return zlib.decompressobj().decompress(plain, LARGEST).decode()
        except (InvalidTag, binascii.Error, ValueError, zlib.error):
            return None


@dataclass(frozen=True)
class Others:
    """The other servers of this one's names, by their proxies; `silent` are addresses of which nothing comes."""

    closed: Closed
    proxy: Proxy
    silent: set[str] = field(default_factory=set)

    def have(self, domain: str, addresses: tuple[str, ...]) -> Iterator[str]:
        """Chains with their keys, as those at `addresses` hand them out now.

        One that is silent until the time is up is dead, and not asked again: there may be many domains.
        """
        for address in addresses:
            if address in self.silent:
                continue
            try:
                text = self.proxy.at(address).handed(domain, self.closed.name(domain))
            except TimeoutError:
                self.silent.add(address)
                continue
            pem = self.closed.open(domain, text) if text else None
            if pem:
                yield pem

    def hand(self, domain: str, pem: str) -> None:
        """Have the proxy hand this out from now on."""
        name, word = self.closed.name(domain), self.closed.close(domain, pem)
        if self.proxy.hands().get(name) != word:
            self.proxy.hand(name, word)

    def hand_only(self, domains: Iterator[str]) -> None:
        """Of a domain that is none of these any more, nothing is handed out."""
        self.proxy.hand_only({self.closed.name(domain) for domain in domains})
