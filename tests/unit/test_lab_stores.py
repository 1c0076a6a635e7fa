"""The lab's places for backups: which of them a stack file wants, by what they are built, whom their clients trust."""

from __future__ import annotations

from ipaddress import IPv4Network
from pathlib import Path

import pytest
import yaml
from cryptography import x509
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError
from dnslib import DNSRecord

from lab import acme, dns, network, stores, tools
from lab.paths import CHECKOUT, Paths


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ("repository: s3:https://s3.lab.internal/hive", ["s3"]),
        ("repository: rest:https://rest.lab.internal/lab", ["rest"]),
        ("repository: vultr", ["objects"]),
        ('repository: "vultr"   # made by the program', ["objects"]),
        ("repository: s3:https://ams1.vultrobjects.com/hive", ["objects"]),
        ("repository: {server: vultr}", []),
        ("repository: s3:https://s3.example.com/hive", []),
        ("vultr:apiKey: lab", []),
    ],
)
def test_a_stack_file_has_the_stores_that_it_names(line: str, wanted: list[str]):
    assert stores.wanted_by(f"config:\n  apiary:backups:\n    {line}\n") == wanted


def test_the_labs_own_stack_is_saved_to_the_store_that_is_soonest_built():
    assert stores.wanted_by((CHECKOUT / "Pulumi.lab.yaml").read_text()) == ["rest"]


def test_every_store_has_an_address_of_its_own():
    plan = network.Plan("10.88.0.0/16")
    stores_at = [plan.store(name) for name in stores.STORES]
    others = [plan.gateway, plan.registry, plan.nameserver, plan.acme, plan.git, plan.metadata, plan.prober]
    assert len({*stores_at, *others}) == len(stores_at) + len(others)
    assert not [one for one in stores_at if IPv4Network(one).subnet_of(IPv4Network(plan.servers))]


def test_the_region_has_one_name_of_the_provider_s_and_leaves_the_rest_to_the_world():
    zones = dns.Zones({}, "10.88.0.0/16", network.SITE, {"ewr1.vultrobjects.com": "10.88.0.64"})
    found = dns.answer(zones, DNSRecord.question("ewr1.vultrobjects.com"))
    assert found is not None
    assert [str(rr.rdata) for rr in found.rr] == ["10.88.0.64"]
    assert dns.answer(zones, DNSRecord.question("sjc1.vultrobjects.com")) is None


def issued(authority: acme.Authority, folder: Path, name: str) -> x509.Certificate:
    authority.issue(folder / name, [name])
    return x509.load_pem_x509_certificate((folder / name / "cert.pem").read_bytes())


def is_trusted(leaf: x509.Certificate, root: x509.Certificate, name: str) -> bool:
    verifier = PolicyBuilder().store(Store([root])).build_server_verifier(x509.DNSName(name))
    try:
        verifier.verify(leaf, [])
    except VerificationError:
        return False
    return True


def test_whom_the_labs_stack_file_trusts_signs_for_the_labs_names_and_no_others(tmp_path: Path):
    settings = yaml.safe_load((CHECKOUT / "Pulumi.lab.yaml").read_text())["config"]
    assert settings["apiary:backups"]["ca"] == settings["apiary:jobs"]["certbot"]["env"]["directory_ca"]
    root = x509.load_pem_x509_certificate(settings["apiary:backups"]["ca"].encode())
    for name, expected in (("rest.lab.internal", True), ("ewr1.vultrobjects.com", False)):
        assert is_trusted(issued(acme.REGION, tmp_path, name), root, name) is expected
    world = x509.load_pem_x509_certificate(acme.WORLD.pem().encode())
    name = "ewr1.vultrobjects.com"
    assert is_trusted(issued(acme.WORLD, tmp_path / "world", name), world, name)
    assert not is_trusted(issued(acme.WORLD, tmp_path / "world", "example.com"), world, "example.com")


def go(folder: Path, version: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "go").write_text(f"#!/bin/sh\necho {version}\n")
    (folder / "go").chmod(0o755)
    return folder / "go"


def test_a_go_that_is_too_old_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("APIARY_LAB_CACHE", raising=False)
    paths = Paths.find(tmp_path / "lab")
    own = go(paths.bin / "go" / "bin", "go1.26.6")
    old, new = go(tmp_path / "old", "go1.19.8"), go(tmp_path / "new", "go1.25.1")
    for found, used in ((old, own), (new, new)):
        monkeypatch.setenv("PATH", str(found.parent))
        assert tools.ensure_go(paths) == used
