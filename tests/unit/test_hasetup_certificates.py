"""Which certificate hasetup has served for which name, and what it makes of files that no proxy can load."""

from __future__ import annotations

import datetime
import json
import os
import sys
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

sys.path.insert(0, str(Path(__file__).parents[2] / "images" / "HAProxySetup"))

from hasetup import certificates
from hasetup.__main__ import main
from hasetup.apply import Files
from hasetup.certificates import own_certificates, prepare, tidy
from hasetup.domains import Domain, InputError
from hasetup.pem import SELF_SIGNED, inspect, self_signed

SITE = Domain("example.com", "site", 8080, tls=True)
ECHO = Domain("echo.example.net", "echo", 8080, tls=True)


def made(*names: str, days: int = 90, issuer: str = "Some CA, Inc.", key: bool = True) -> str:
    """Certificate and key as PEM."""
    private = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, issuer)])
    end = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=days)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(end - datetime.timedelta(days=200))
        .not_valid_after(end)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), critical=False)
        .sign(private, hashes.SHA256())
    )
    pem = certificate.public_bytes(serialization.Encoding.PEM)
    if key:
        pem += private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    return pem.decode()


def loads(arguments: str) -> str | None:
    """As the proxy has it: every file is a certificate with the key that belongs to it."""
    kind, path = arguments.split()
    files = [Path(path)] if kind == "crt" else [Path(line.split()[0]) for line in Path(path).read_text().splitlines()]
    for file in files:
        try:
            key = serialization.load_pem_private_key(file.read_bytes(), None).public_key()
            if x509.load_pem_x509_certificate(file.read_bytes()).public_key() != key:
                return f"inconsistencies between private key and certificate loaded '{file}'"
        except ValueError as error:
            return f"unable to load '{file}': {error}"
    return None


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "certs"


def served(crt_list: Path) -> dict[str, Path]:
    """name -> file"""
    lines = [line.split() for line in crt_list.read_text().splitlines()]
    return {name: Path(path) for path, *names in lines for name in names}


def test_a_domain_without_a_certificate_gets_a_self_signed_one_of_its_own(folder: Path):
    prepared = prepare([SITE, ECHO], [], folder, loads)
    assert served(prepared.crt_list) == {
        "example.com": folder / "example.com.pem",
        "www.example.com": folder / "example.com.pem",
        "echo.example.net": folder / "echo.example.net.pem",
        "www.echo.example.net": folder / "echo.example.net.pem",
    }
    found = inspect((folder / "example.com.pem").read_text())
    assert found is not None
    assert (found.names, found.issuer) == ({"example.com", "www.example.com"}, SELF_SIGNED)
    assert loads(f"crt-list {prepared.crt_list}") is None


def test_keys_are_for_their_owner_alone(folder: Path):
    prepared = prepare([SITE], [own(made("echo.example.net"), folder)], folder, loads)
    (folder / "example.com.pem").chmod(0o644)
    prepare([SITE], [], folder, loads)
    for path in [folder, *folder.rglob("*.pem"), folder / "own", prepared.crt_list]:
        assert path.stat().st_mode & 0o077 == 0, path


def test_a_second_run_replaces_nothing(folder: Path):
    first = prepare([SITE], [], folder, loads)
    again = prepare([SITE], [], folder, loads)
    assert (first.replaced, again.replaced) == (True, False)
    assert first.crt_list == again.crt_list


def test_what_the_acme_client_has_put_there_stays_and_needs_no_other_configuration(folder: Path):
    before = prepare([SITE], [], folder, loads)
    (folder / "example.com.pem").write_text(certificate := made("example.com", "www.example.com"))
    after = prepare([SITE], [], folder, loads)
    assert (after.crt_list, after.replaced) == (before.crt_list, False)
    assert (folder / "example.com.pem").read_text() == certificate
    assert after.notes[0].startswith("example.com: by Some CA, Inc., valid until ")


def test_an_expired_one_stays_and_is_told(folder: Path):
    """A visitor refuses both, and it is the one that says why."""
    folder.mkdir()
    (folder / "example.com.pem").write_text(made("example.com", days=-1))
    prepared = prepare([SITE], [], folder, loads)
    assert not prepared.replaced
    assert "WARNING: example.com: the certificate of Some CA, Inc. expired on" in prepared.notes[0]


@pytest.mark.parametrize("kind", ["empty", "half", "junk", "another's key", "no key", "another's name"])
def test_a_file_that_is_of_no_use_is_kept_aside_and_told_and_the_other_sites_are_untouched(folder: Path, kind: str):
    prepare([SITE, ECHO], [], folder, loads)
    (folder / "echo.example.net.pem").write_text(echo := made("echo.example.net", "www.echo.example.net"))
    good = made("example.com", "www.example.com")
    certificate, _, key = good.partition("-----BEGIN PRIVATE")
    hostile = {
        "empty": "",
        "half": good[: len(good) // 3],
        "junk": "\x00\x01 no certificate",
        "another's key": certificate + "-----BEGIN PRIVATE" + made("a.example").partition("-----BEGIN PRIVATE")[2],
        "no key": certificate,
        "another's name": made("example.org"),
    }[kind]
    assert key
    (folder / "example.com.pem").write_text(hostile)
    prepared = prepare([SITE, ECHO], [], folder, loads)
    assert prepared.replaced
    assert loads(f"crt-list {prepared.crt_list}") is None
    found = inspect((folder / "example.com.pem").read_text())
    assert found is not None
    assert found.is_self_signed
    assert (folder / "example.com.pem.broken").read_text() == hostile
    assert any(f"WARNING: {folder / 'example.com.pem'} is of no use" in note for note in prepared.notes)
    assert (folder / "echo.example.net.pem").read_text() == echo


def own(pem: str, folder: Path, name: str = "CERTIFICATE_A"):
    folder.mkdir(exist_ok=True)
    return own_certificates({name: pem}, folder, loads)[0]


def test_a_certificate_of_the_stack_file_is_served_for_every_name_that_it_covers(folder: Path):
    wildcard = own(made("*.example.net", "example.com"), folder)
    prepared = prepare([SITE, ECHO], [wildcard], folder, loads)
    found = served(prepared.crt_list)
    assert found["echo.example.net"] == found["example.com"]
    assert found["example.com"].parent == folder / "own"
    assert found["www.example.com"] == folder / "example.com.pem"
    assert found["www.echo.example.net"] == folder / "echo.example.net.pem", "a wildcard is for one level"


def test_what_the_acme_client_has_put_there_for_the_names_that_are_left_stays(folder: Path):
    wildcard = own(made("*.example.net"), folder)
    before = prepare([ECHO], [wildcard], folder, loads)
    (folder / "echo.example.net.pem").write_text(certificate := made("www.echo.example.net"))
    after = prepare([ECHO], [wildcard], folder, loads)
    assert (after.crt_list, after.replaced) == (before.crt_list, False)
    assert (folder / "echo.example.net.pem").read_text() == certificate
    # The stack file's goes: who asked for www goes on, and the rest is the ACME client's.
    assert not prepare([ECHO], [], folder, loads).replaced
    assert (folder / "echo.example.net.pem").read_text() == certificate


def test_of_two_that_cover_a_name_the_longer_valid_one_is_served(folder: Path):
    folder.mkdir()
    both = own_certificates(
        {"CERTIFICATE_A": made("example.com", days=10), "CERTIFICATE_B": made("example.com", days=50)}, folder, loads
    )
    prepared = prepare([SITE], both, folder, loads)
    assert prepared.notes[0].startswith("example.com: CERTIFICATE_B, valid until ")
    assert "WARNING: CERTIFICATE_A is used for no site here" in prepared.notes[1]


def test_an_expired_certificate_of_the_stack_file_is_told_and_not_used(folder: Path):
    prepared = prepare([SITE], [own(made("example.com", days=-3), folder)], folder, loads)
    assert served(prepared.crt_list)["example.com"] == folder / "example.com.pem"
    assert "WARNING: CERTIFICATE_A expired on" in prepared.notes[0]


def test_a_changed_certificate_of_the_stack_file_is_another_list(folder: Path):
    """So that the last good configuration keeps naming what it was good with."""
    before = prepare([SITE], [own(made("example.com"), folder)], folder, loads)
    listed = before.crt_list.read_text()
    after = prepare([SITE], [own(made("example.com"), folder)], folder, loads)
    assert after.crt_list != before.crt_list
    assert before.crt_list.read_text() == listed
    assert loads(f"crt-list {before.crt_list}") is None


def test_one_of_the_stack_file_that_was_broken_on_the_disk_is_put_right(folder: Path):
    mine = own(made("example.com", "www.example.com"), folder)
    first = prepare([SITE], [mine], folder, loads)
    served(first.crt_list)["example.com"].write_text("")
    again = prepare([SITE], [mine], folder, loads)
    assert again.replaced
    assert loads(f"crt-list {again.crt_list}") is None


@pytest.mark.parametrize(
    ("pem", "message"),
    [
        ("junk", "holds no certificate"),
        ("", "holds no certificate"),
        (made("example.com", key=False), "the proxy can't load it"),
    ],
)
def test_a_certificate_of_the_stack_file_that_cannot_be_used_is_refused_by_its_name(
    folder: Path, pem: str, message: str
):
    folder.mkdir()
    with pytest.raises(InputError) as caught:
        own_certificates({"CERTIFICATE_SHOP": pem, "CERTIFICATE_OTHER": "junk"}, folder, loads)
    assert f"CERTIFICATE_SHOP: {message}" in str(caught.value)
    assert "CERTIFICATE_OTHER" in str(caught.value), "all at once"
    assert "PRIVATE" not in str(caught.value)


def test_what_no_configuration_names_any_more_goes(folder: Path):
    prepare([SITE, ECHO], [own(made("example.com"), folder)], folder, loads)
    prepared = prepare([SITE], [], folder, loads)
    tidy(folder, [SITE], prepared.crt_list)
    assert sorted(str(path.relative_to(folder)) for path in folder.rglob("*")) == sorted(
        ["example.com.pem", "lock", "own", prepared.crt_list.name]
    )


def test_what_a_killed_run_left_stands_in_nobody_s_way(folder: Path):
    """In a container a process has the same number at every start."""
    folder.mkdir()
    (folder / f".example.com.pem.{os.getpid()}").write_text("half of a certificate, and longer than a whole one" * 999)
    prepared = prepare([SITE], [], folder, loads)
    assert loads(f"crt-list {prepared.crt_list}") is None
    assert [path.name for path in folder.glob(".*")] == []
    assert (folder / "example.com.pem").stat().st_mode & 0o777 == 0o600


def test_a_self_signed_one_grows_with_its_domain_s_names(folder: Path):
    folder.mkdir()
    (folder / "example.com.pem").write_text(self_signed(["example.com"]))
    assert prepare([SITE], [], folder, loads).replaced
    found = inspect((folder / "example.com.pem").read_text())
    assert found is not None
    assert "www.example.com" in found.names


def test_a_run_names_the_list_in_the_configuration_and_a_second_one_changes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    files = Files(tmp_path)
    domains = {"example.com": {"app": "site", "port": 8080, "tls": True}}
    environment = {"DOMAINS": json.dumps(domains), "CERTIFICATE_A": made("example.com"), "HSTS": "60"}
    for said in ("will pick it up when it starts", "nothing has changed"):
        if said == "nothing has changed":
            files.good.write_text(files.live.read_text())  # as its start does
        assert main(environment, files, check=lambda _: None, loads=loads) == 0
        assert said in capsys.readouterr().out
    [crt_list] = files.certificates.glob("*.list")
    assert f"ssl crt-list {crt_list} strict-sni" in files.live.read_text()
    assert files.acme_map.exists()


def test_a_broken_certificate_of_the_stack_file_changes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    files = Files(tmp_path)
    domains = {"example.com": {"app": "site", "port": 8080, "tls": True}}
    assert main({"DOMAINS": json.dumps(domains), "CERTIFICATE_A": "junk"}, files, loads=loads) == 2
    assert "nothing was changed:\nCERTIFICATE_A: holds no certificate" in capsys.readouterr().err
    assert not files.live.exists()


def test_a_program_that_does_not_end_is_told_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    (tmp_path / "haproxy").write_text("#!/bin/sh\nexec sleep 60\n")
    (tmp_path / "haproxy").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setattr(certificates, "HAPROXY_SECONDS", 0.2)
    domains = {"example.com": {"app": "site", "port": 8080, "tls": True}}
    files = Files(tmp_path / "volume")
    files.root.mkdir()
    assert main({"DOMAINS": json.dumps(domains)}, files) == 1
    said = capsys.readouterr().err
    assert said == "hasetup: haproxy has not ended within 0.2 seconds; is the host overloaded? Run this job again\n"
    assert not files.live.exists()
