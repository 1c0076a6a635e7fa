"""The region's ACME directory: its own certificate, its configuration, and the visitors' trust in what it issues.

Makes files in `.lab/acme` for Debian's pebble, which validates as Let's Encrypt does: it looks every name up in the
region's DNS and asks the address for the challenge, over IPv6 first. What it issues is signed by an authority
that it makes anew whenever it starts; the probers are given the root of each, as browsers have roots: what was
issued before stays good.

Whom to trust for the directory itself, `https://acme.lab.internal/dir`, and for the region's other services, has to
stand in stack files. So that authority is the same in every lab: its key follows from a sentence, is no secret, and may
speak for `lab.internal` alone. Another one, made in the same way, stands for those that the world trusts: it speaks for
the provider's object storage, and every server of the region knows it from its making on.
"""

from __future__ import annotations

import datetime
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from lab.paths import Paths
from lab.shell import docker, succeeds, wait_for

HOST = "acme.lab.internal"
# A name that the authority refuses for its policy. (pebble 2.4 needs it to have no more labels than any name it is
# asked for.)
REFUSED = "refused.example"
CONFIGURATION = {
    "pebble": {
        "listenAddress": "0.0.0.0:443",
        "managementListenAddress": "127.0.0.1:15000",
        "certificate": "/acme/cert.pem",
        "privateKey": "/acme/key.pem",
        "httpPort": 80,
        "tlsPort": 443,
        "domainBlocklist": [REFUSED],
        "certificateValidityPeriod": 90 * 24 * 3600,  # seconds
    }
}
ROOT_SECONDS = 60.0
# Runs in a prober: roots on standard input, each made known as update-ca-certificates does, which would look at a
# hundred others too: for a second, and a thousand processes.
TRUST = """
import hashlib, pathlib, subprocess, sys
known, end = pathlib.Path("/etc/ssl/certs"), "-----END CERTIFICATE-----\\n"
for root in (part + end for part in sys.stdin.read().split(end)[:-1]):
    file = known / f"acme-{hashlib.sha256(root.encode()).hexdigest()[:12]}.pem"
    if file.exists():
        continue
    with open(known / "ca-certificates.crt", "a") as bundle:
        bundle.write(root)
    command = ["openssl", "x509", "-noout", "-hash"]
    subject = subprocess.run(command, input=root, check=True, capture_output=True, text=True).stdout.strip()
    number = sum(1 for _ in known.glob(f"{subject}.*"))
    (known / f"{subject}.{number}").symlink_to(file.name)
    file.write_text(root)
"""
_START, _END = datetime.datetime(2026, 1, 1), datetime.datetime(2126, 1, 1)


@dataclass(frozen=True)
class Authority:
    """Signs for a domain and all below it; the same key and subject wherever it is made."""

    sentence: bytes  # its key follows from this
    common_name: str
    domain: str

    @property
    def name(self) -> x509.Name:
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, self.common_name)])

    def key(self) -> ec.EllipticCurvePrivateKey:
        return ec.derive_private_key(int.from_bytes(hashlib.sha256(self.sentence).digest(), "big"), ec.SECP256R1())

    def certificate(self) -> x509.Certificate:
        """What to trust."""
        key = self.key()
        builder = _builder(key, self.name, self.name, ca=True).add_extension(
            x509.NameConstraints([x509.DNSName(self.domain)], None), critical=True
        )
        return builder.sign(key, hashes.SHA256())

    def pem(self) -> str:
        return self.certificate().public_bytes(serialization.Encoding.PEM).decode()

    def issue(self, folder: Path, names: Sequence[str]) -> None:
        """key.pem and cert.pem for these names, where they are missing."""
        if (folder / "cert.pem").exists():
            return
        folder.mkdir(parents=True, exist_ok=True)
        issuer, key = self.key(), ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])])
        builder = (
            _builder(key, subject, self.name, ca=False)
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), critical=False)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.public_key()), critical=False)
        )
        (folder / "key.pem").write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        certificate = builder.sign(issuer, hashes.SHA256())
        (folder / "cert.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))


REGION = Authority(
    b"The authority of the lab's ACME directory; its key is no secret", "Apiary lab ACME directory", "lab.internal"
)
WORLD = Authority(
    b"The authority of what the lab's region has of the world; its key is no secret",
    "Apiary lab world",
    "vultrobjects.com",
)


def prepare(paths: Paths) -> Path:
    """The folder with what the directory's server needs, made when it is not there."""
    folder = paths.acme
    folder.mkdir(exist_ok=True)
    config = json.dumps(CONFIGURATION, indent=1)
    REGION.issue(folder, [HOST])
    (folder / "pebble.json").write_text(config)
    return folder


def root(paths: Paths) -> str:
    """The authority that the directory signs with, as PEM. Raises LabError."""
    return _told(paths, "roots/0")


def signers(paths: Paths) -> str:
    """Who has signed the sites' certificates, now and before, as PEM: between them and the roots. Raises LabError."""
    return _collected(paths, "intermediates.pem", "intermediates/0")


def trust(paths: Paths, visitors: tuple[str, ...]) -> None:
    """Have the probers trust what the directory signs now, and what it has signed before."""
    signers(paths)  # a directory that is started anew forgets them
    roots = _collected(paths, "roots.pem", "roots/0")
    for visitor in visitors:
        command = ["exec", "-i", paths.name(visitor), "python3", "-c", TRUST]
        docker(*command, step=f"the trust of the {visitor}", stdin=roots.encode())


def _collected(paths: Paths, file: str, what: str) -> str:
    """What the directory tells now, with all that it told before."""
    known = paths.acme / file
    pem, before = _told(paths, what), known.read_text() if known.exists() else ""
    if pem not in before:
        before += pem
        known.write_text(before)
    return before


def _told(paths: Paths, what: str) -> str:
    command = ["exec", paths.name("acme"), "curl", "-skf", "--max-time", "5", f"https://127.0.0.1:15000/{what}"]
    wait_for(lambda: succeeds(["docker", *command]), ROOT_SECONDS)
    return docker(*command, step="asking the region's ACME directory for its root")


def _builder(
    key: ec.EllipticCurvePrivateKey, name: x509.Name, issuer: x509.Name, *, ca: bool
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(_START)
        .not_valid_after(_END)
        .add_extension(x509.BasicConstraints(ca=ca, path_length=0 if ca else None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.KeyUsage(not ca, False, False, False, False, ca, ca, False, False), critical=True)
    )
