"""The lab's certificate authority and the certificate of api.vultr.com.

Files: DIR/ca/ca.key and ca.crt (made once and kept), DIR/ca/api.key and api.crt (made at each start), and
DIR/ca.pem: the system's roots with the lab's authority, for SSL_CERT_FILE. The authority is constrained to
the one name, so that whoever trusts ca.pem trusts the lab for nothing else.
"""

import os
import ssl
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from lab.api.files import write_atomically

HOST: Final = "api.vultr.com"
_NAME: Final = "Apiary lab authority"
_BUNDLES: Final = (
    "/etc/ssl/certs/ca-certificates.crt",  # Debian, Ubuntu, Alpine, Arch
    "/etc/pki/tls/certs/ca-bundle.crt",  # Fedora, RHEL
    "/etc/ssl/ca-bundle.pem",  # SUSE
    "/etc/ssl/cert.pem",  # macOS, BSD
)
_END: Final = "-----END CERTIFICATE-----"


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                             serialization.NoEncryption())  # fmt: skip


def _certificate(
    subject: str, key: ec.EllipticCurvePrivateKey, issuer_key: ec.EllipticCurvePrivateKey, days: int, ca: bool
) -> x509.Certificate:
    start = datetime.now(UTC) - timedelta(days=1)
    builder = (
        x509.CertificateBuilder()
        .subject_name(_name(subject))
        .issuer_name(_name(_NAME))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + timedelta(days=days))
        .add_extension(x509.BasicConstraints(ca=ca, path_length=0 if ca else None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False)
        .add_extension(x509.KeyUsage(not ca, False, False, False, False, ca, ca, False, False), critical=True)
    )
    if ca:
        names = x509.NameConstraints(permitted_subtrees=[x509.DNSName(HOST)], excluded_subtrees=None)
        builder = builder.add_extension(names, critical=True)
    else:
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(HOST)]), critical=False)
        builder = builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
    return builder.sign(issuer_key, hashes.SHA256())


def _authority(folder: Path) -> tuple[ec.EllipticCurvePrivateKey, x509.Certificate]:
    key_file, certificate_file = folder / "ca.key", folder / "ca.crt"
    if key_file.exists() and certificate_file.exists():
        key = serialization.load_pem_private_key(key_file.read_bytes(), None)
        certificate = x509.load_pem_x509_certificate(certificate_file.read_bytes())
        fresh = certificate.not_valid_after_utc > datetime.now(UTC) + timedelta(days=30)
        if isinstance(key, ec.EllipticCurvePrivateKey) and key.public_key() == certificate.public_key() and fresh:
            return key, certificate
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = _certificate(_NAME, key, key, 3650, ca=True)
    write_atomically(key_file, _pem(key))
    write_atomically(certificate_file, certificate.public_bytes(serialization.Encoding.PEM), 0o644)
    return key, certificate


def _roots(environment: Mapping[str, str], own: str) -> str:
    """The system's trusted roots, without an authority of a lab that SSL_CERT_FILE may already carry."""
    candidates = [environment.get("SSL_CERT_FILE", ""), *_BUNDLES]
    for candidate in candidates:
        path = Path(candidate)
        if candidate and path.is_file() and path.stat().st_size:
            blocks = [block.strip() + f"\n{_END}\n" for block in path.read_text().split(_END)[:-1]]
            own_block = own.strip()
            return "".join(block for block in blocks if block.strip() != own_block)
    try:
        import certifi  # noqa: PLC0415 - only where the system has no bundle
    except ImportError as error:
        raise SystemExit("lab.api: no system certificates found; install ca-certificates, "
                         "or name a bundle in SSL_CERT_FILE") from error  # fmt: skip
    return Path(certifi.where()).read_text()


def prepare(directory: Path, environment: Mapping[str, str] = os.environ) -> tuple[ssl.SSLContext, Path]:
    """Make what is missing; the TLS context of api.vultr.com and the path of the bundle."""
    folder = directory / "ca"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    authority_key, authority = _authority(folder)
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = _certificate(HOST, key, authority_key, 365, ca=False)
    own = authority.public_bytes(serialization.Encoding.PEM).decode()
    write_atomically(folder / "api.key", _pem(key))
    write_atomically(folder / "api.crt", certificate.public_bytes(serialization.Encoding.PEM) + own.encode(), 0o644)
    bundle = directory / "ca.pem"
    write_atomically(bundle, (_roots(environment, own).rstrip() + "\n" + own).encode(), 0o644)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(folder / "api.crt", folder / "api.key")
    return context, bundle
