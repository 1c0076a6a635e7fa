"""Stand-in for the official TLS plugin: tls:index/privateKey:PrivateKey, in all its forms.

Held to the answers of version 5.6.2: every input forces a replacement, reading changes nothing, the
id is the SHA-1 of the public key. Left out: certificates, requests, data sources.
The cryptography library is imported on first use only, so that the plugin starts fast.
"""

from __future__ import annotations

import base64
import hashlib
from typing import TYPE_CHECKING

from lab.plugins.framework import FrameworkResource, one_of
from provider.protocol.base import Context, Failure, Plugin, Props
from provider.protocol.bridge import Prop

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

CURVES = ("P224", "P256", "P384", "P521")


class PrivateKey(FrameworkResource):
    """A key pair, kept in the state."""

    token = "tls:index/privateKey:PrivateKey"  # noqa: S105 (a type's name)
    schema_version = 1
    keeps_computed = False
    required_texts = {  # noqa: RUF012 (never changed)
        "algorithm": "Name of the algorithm to use when generating the private key. "
        "Currently-supported values are: `RSA`, `ECDSA`, `ED25519`. "
    }
    properties = {  # noqa: RUF012 (never changed)
        "algorithm": Prop(
            "string", required=True, force_new=True, check=one_of("algorithm", "RSA", "ECDSA", "ED25519")
        ),
        "rsaBits": Prop("int", default=2048, force_new=True),
        "ecdsaCurve": Prop("string", default="P224", force_new=True, check=one_of("ecdsa_curve", *CURVES)),
        "privateKeyPem": Prop("string", computed=True, output=True, secret=True),
        "privateKeyOpenssh": Prop("string", computed=True, output=True, secret=True),
        "privateKeyPemPkcs8": Prop("string", computed=True, output=True, secret=True),
        "publicKeyPem": Prop("string", computed=True, output=True),
        "publicKeyOpenssh": Prop("string", computed=True, output=True),
        "publicKeyFingerprintMd5": Prop("string", computed=True, output=True),
        "publicKeyFingerprintSha256": Prop("string", computed=True, output=True),
    }

    def make(self, ctx: Context, inputs: Props) -> tuple[str, Props]:
        """Generate the key."""
        try:
            key = generate(str(inputs["algorithm"]), int(inputs["rsaBits"]), str(inputs["ecdsaCurve"]))
        except ValueError as error:
            raise Failure(f"Unable to generate Key from configuration: {error}") from error
        return forms(key)


def generate(algorithm: str, bits: int, curve: str) -> PrivateKeyTypes:
    """A new private key. Raises ValueError for an RSA size that is too small."""
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa  # noqa: PLC0415 (on first use)

    if algorithm == "RSA":
        return rsa.generate_private_key(65537, bits)
    if algorithm == "ECDSA":
        curves = {
            "P224": ec.SECP224R1(),
            "P256": ec.SECP256R1(),
            "P384": ec.SECP384R1(),
            "P521": ec.SECP521R1(),
        }
        return ec.generate_private_key(curves[curve])
    return ed25519.Ed25519PrivateKey.generate()


def forms(key: PrivateKeyTypes) -> tuple[str, Props]:
    """The id and all outputs of a private key. ECDSA on P224 has no OpenSSH form: those outputs are empty."""
    from cryptography.hazmat.primitives import serialization as form  # noqa: PLC0415 (on first use)
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519  # noqa: PLC0415 (on first use)

    plain = form.NoEncryption()
    traditional = (
        form.PrivateFormat.PKCS8
        if isinstance(key, ed25519.Ed25519PrivateKey)
        else form.PrivateFormat.TraditionalOpenSSL
    )
    public = key.public_key()
    der = public.public_bytes(form.Encoding.DER, form.PublicFormat.SubjectPublicKeyInfo)
    outputs: Props = {
        "privateKeyPem": key.private_bytes(form.Encoding.PEM, traditional, plain).decode(),
        "privateKeyPemPkcs8": key.private_bytes(form.Encoding.PEM, form.PrivateFormat.PKCS8, plain).decode(),
        "privateKeyOpenssh": "",
        "publicKeyPem": public.public_bytes(form.Encoding.PEM, form.PublicFormat.SubjectPublicKeyInfo).decode(),
        "publicKeyOpenssh": "",
        "publicKeyFingerprintMd5": "",
        "publicKeyFingerprintSha256": "",
    }
    if not (isinstance(key, ec.EllipticCurvePrivateKey) and key.curve.name == "secp224r1"):
        line = public.public_bytes(form.Encoding.OpenSSH, form.PublicFormat.OpenSSH).decode()
        blob = base64.b64decode(line.split()[1])
        outputs["privateKeyOpenssh"] = key.private_bytes(form.Encoding.PEM, form.PrivateFormat.OpenSSH, plain).decode()
        outputs["publicKeyOpenssh"] = line + "\n"
        outputs["publicKeyFingerprintMd5"] = hashlib.md5(blob, usedforsecurity=False).hexdigest()
        outputs["publicKeyFingerprintMd5"] = ":".join(
            outputs["publicKeyFingerprintMd5"][i : i + 2] for i in range(0, 32, 2)
        )
        digest = base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip("=")
        outputs["publicKeyFingerprintSha256"] = f"SHA256:{digest}"
    return hashlib.sha1(der, usedforsecurity=False).hexdigest(), outputs


def plugin(version: str) -> Plugin:
    """The plugin, for the launcher."""
    return Plugin("tls", version, [PrivateKey()])
