"""The TLS stand-in makes keys in the forms, and answers in the words, of the official plugin.

The expected answers are those that version 5.6.2 gave to the same requests.
"""

import hashlib
import subprocess

import pytest

from lab.plugins import tls
from provider.protocol.base import Failure
from provider.protocol.dispatch import Dispatcher
from tests.conformance.recorded import comparable, spelled

URN = "urn:pulumi:dev::lab::tls:index/privateKey:PrivateKey::k"
SECRET = ("privateKeyPem", "privateKeyOpenssh", "privateKeyPemPkcs8")
PUBLIC = ("publicKeyPem", "publicKeyOpenssh", "publicKeyFingerprintMd5", "publicKeyFingerprintSha256")


def call(method, **request):
    return comparable(Dispatcher(tls.plugin("5.6.2")).call(method, {"urn": URN, **request}))


def made(**inputs):
    answer = call("Create", properties=inputs)
    return answer["id"], {k: v["value"] if isinstance(v, dict) else v for k, v in answer["properties"].items()}


def test_check_adds_nothing_to_the_inputs():
    assert call("Check", olds={}, news={"algorithm": "ED25519"}) == {"inputs": {"algorithm": "ED25519"}}


@pytest.mark.parametrize(
    ("news", "reason"),
    [
        ({}, "Missing required property 'algorithm': Name of the algorithm to use when generating the "
         "private key. Currently-supported values are: `RSA`, `ECDSA`, `ED25519`. "),
        ({"algorithm": "X"}, "Invalid Attribute Value Match. Attribute algorithm value must be one of: "
         '["RSA" "ECDSA" "ED25519"], got: "X". Examine values at \'k.algorithm\'.'),
    ],
)  # fmt: skip
def test_wrong_inputs_are_refused_in_the_official_words(news, reason):
    assert call("Check", olds={}, news=news)["failures"] == [{"reason": reason}]


def test_a_preview_knows_the_inputs_only():
    unknown = dict.fromkeys((*SECRET, *PUBLIC, "id"), "$unknown")
    wanted = {"algorithm": "ED25519", "rsaBits": 2048, "ecdsaCurve": "P224", **unknown}
    assert call("Create", preview=True, properties={"algorithm": "ED25519"}) == {
        "id": "",
        "properties": spelled(wanted),
    }


def test_private_forms_are_secret_and_the_state_has_its_version():
    properties = call("Create", properties={"algorithm": "ED25519"})["properties"]
    assert {k for k, v in properties.items() if isinstance(v, dict)} == set(SECRET)
    assert properties["__meta"] == '{"schema_version":"1"}'


@pytest.mark.parametrize(
    "inputs", [{"algorithm": "ED25519"}, {"algorithm": "RSA"}, {"algorithm": "ECDSA", "ecdsaCurve": "P256"}]
)
def test_all_forms_are_of_one_key(tmp_path, inputs):
    from cryptography.hazmat.primitives import serialization as form  # noqa: PLC0415 (heavy)

    id, key = made(**inputs)
    (tmp_path / "key").write_text(key["privateKeyOpenssh"])
    (tmp_path / "key").chmod(0o600)
    public = subprocess.run(
        ["ssh-keygen", "-y", "-f", str(tmp_path / "key")], capture_output=True, text=True, check=True
    ).stdout
    assert public.split()[:2] == key["publicKeyOpenssh"].split()
    assert key["publicKeyOpenssh"].endswith("\n")
    for kind, name in (("md5", "publicKeyFingerprintMd5"), ("sha256", "publicKeyFingerprintSha256")):
        (tmp_path / "key.pub").write_text(key["publicKeyOpenssh"])
        shown = subprocess.run(
            ["ssh-keygen", "-l", "-E", kind, "-f", str(tmp_path / "key.pub")],
            capture_output=True,
            text=True,
            check=True,
        )
        assert shown.stdout.split()[1].removeprefix("MD5:") == key[name]
    der = [
        form.load_pem_private_key(key[name].encode(), None)
        .public_key()
        .public_bytes(form.Encoding.DER, form.PublicFormat.SubjectPublicKeyInfo)
        for name in ("privateKeyPem", "privateKeyPemPkcs8")
    ]
    der.append(
        form.load_pem_public_key(key["publicKeyPem"].encode()).public_bytes(
            form.Encoding.DER, form.PublicFormat.SubjectPublicKeyInfo
        )
    )
    assert der[0] == der[1] == der[2]
    assert id == hashlib.sha1(der[0], usedforsecurity=False).hexdigest()


@pytest.mark.parametrize(
    ("inputs", "heads"),
    [
        ({"algorithm": "ED25519"}, ("-----BEGIN PRIVATE KEY-----", "-----BEGIN PRIVATE KEY-----")),
        ({"algorithm": "RSA"}, ("-----BEGIN RSA PRIVATE KEY-----", "-----BEGIN PRIVATE KEY-----")),
        ({"algorithm": "ECDSA"}, ("-----BEGIN EC PRIVATE KEY-----", "-----BEGIN PRIVATE KEY-----")),
    ],
)
def test_pem_forms_have_the_official_kind(inputs, heads):
    _id, key = made(**inputs)
    assert (key["privateKeyPem"].splitlines()[0], key["privateKeyPemPkcs8"].splitlines()[0]) == heads


def test_p224_has_no_openssh_form():
    _id, key = made(algorithm="ECDSA")
    assert [key[name] for name in ("privateKeyOpenssh", "publicKeyOpenssh", "publicKeyFingerprintMd5")] == [
        "",
        "",
        "",
    ]


def test_every_change_replaces_and_makes_all_outputs_unknown():
    answer = call("Create", properties={"algorithm": "ED25519"})
    olds = answer["properties"]
    assert call("Diff", id="x", olds=olds, news={"algorithm": "ED25519"}) == {"changes": "DIFF_NONE"}
    changed = call("Diff", id="x", olds=olds, news={"algorithm": "RSA"})
    assert changed == {
        "changes": "DIFF_SOME",
        "diffs": sorted(("algorithm", "id", *SECRET, *PUBLIC)),
        "replaces": ["algorithm"],
    }


def test_a_read_gives_the_state_back_and_an_import_is_refused():
    answer = call("Create", properties={"algorithm": "ED25519"})
    again = call("Read", id=answer["id"], properties=answer["properties"], inputs={"algorithm": "ED25519"})
    assert again == {
        "id": answer["id"],
        "properties": answer["properties"],
        "inputs": {"algorithm": "ED25519"},
    }
    with pytest.raises(
        Failure,
        match=r"^Resource Import Not Implemented: This resource does not support import\. Please contact",
    ):
        call("Read", id="x")
