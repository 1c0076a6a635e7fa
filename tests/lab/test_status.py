"""`make status` of the whole hive: all that is well, each thing that is not, and an end in time whatever is silent."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from lab.shell import docker, succeeds
from tests.lab.hive import LABEL, Hive, until

SECONDS = 10
CERTIFICATES = "/var/lib/docker/volumes/haproxycfg/_data/certs"
ROOTS = "/tmp/roots-of-status.pem"
# A server whose clock is ahead tells another time, and nothing else of it is asked by the clock.
AHEAD = """\
#!/usr/bin/python3
import runpy, time
real = time.time
time.time = lambda: real() + 90
runpy.run_path("/usr/local/sbin/apiary-status.real", run_name="__main__")
"""
WEEK = timedelta(days=7)


def status(hive: Hive, *options: str, **environment: str) -> tuple[int, dict[str, Any]]:
    """Exit status and report."""
    hive.write()
    done = subprocess.run(
        ["python", "-m", "operations", "status", "--stack", "lab", "--json", *options],
        cwd=hive.program, env={**hive.environment, **environment}, check=False, capture_output=True, text=True,
        timeout=300,
    )  # fmt: skip
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)


def wrong(told: dict[str, Any]) -> dict[tuple[str, str], str]:
    """What is said of each thing that is wrong."""
    return {(one["kind"], one["name"]): one["says"] for one in told["findings"] if one["level"] == "wrong"}


def test_a_hive_that_is_well_is_told_to_be_with_every_thing_in_it(whole: Hive) -> None:
    """Given as long as a loaded machine needs: what is not known is not well."""
    ended, told = status(whole, "--seconds", "120")
    assert (wrong(told), ended) == ({}, 0), told["findings"]
    sites = {row["name"]: row for row in told["tables"]["sites"]}
    assert sorted(sites) == sorted(whole.outputs()["sites"])
    assert {row["certificate"] for row in sites.values()} <= {"89 days", "90 days"}
    for visit in told["facts"]["visits"]:
        assert visit["asked"] == "ns1.vultr.com", visit
        assert visit["addresses"] == [whole.server["web_ipv6" if visit["family"] == "IPv6" else "ipv4"]]
        assert visit["status"] in (200, 204), visit
    jobs = {row["name"]: row for row in told["tables"]["jobs"]}
    assert sorted(jobs) == sorted(whole.settings["apiary:jobs"])
    assert {row["ended with"] for row in jobs.values()} <= {"0", ""}  # one may just run
    assert jobs["tick"]["by the clock"] == "* * * * *"
    all_run = f"{len(whole.settings['apiary:applications']) + 1} run"  # the door of the proxy, too
    assert told["tables"]["applications"][0]["state"] == all_run, told["findings"]
    assert as_made(told["tables"]["drift"][0]["state"]) > 100


def as_made(state: str) -> int:
    """How many resources `none: 189 resources as made` counts."""
    words = state.split()
    assert (words[0], words[2:]) == ("none:", ["resources", "as", "made"])
    return int(words[1])


def test_each_thing_that_is_wrong_is_told_and_in_time(whole: Hive) -> None:
    with ExitStack() as stack:
        for broken in (stopped, full, ahead):
            stack.enter_context(broken(whole))
        visitor = stack.enter_context(nearly_expired(whole, "echo.example.net"))
        ended, told = status(whole, APIARY_VISITOR=visitor)
    said = wrong(told)
    assert ended == 1
    assert told["seconds"] < SECONDS
    assert "is exited" in said["application", "notes"]
    assert said["site", "notes.example.net"] == "answers 503 instead of 200-399 over IPv6 and IPv4"
    assert "certificate ends in 3.0 days" in said["site", "echo.example.net"]
    server = [one["says"] for one in told["findings"] if one["kind"] == "server" and one["level"] == "wrong"]
    assert sorted(text.split(" ")[0] for text in server) == ["/srv/full", "its"], server
    # Less what lies between its answer and the end of it, which may be right.
    [skew] = re.findall(r"its clock is (\d+) s ahead of this machine's", "".join(server))
    assert 75 <= int(skew) <= 91
    others = said.keys() - {("server", "web1"), ("application", "notes"), ("site", "notes.example.net")}
    assert others <= {("site", "echo.example.net"), ("drift", "lab")}, said
    whole.expect_served()


@pytest.mark.soak
def test_what_somebody_has_changed_by_hand_is_told_by_its_name(whole: Hive) -> None:
    """Two refreshes and an update of the whole hive; what is said of a plan: tests/unit/test_status.py."""
    container = whole.container("game")
    whole.on_server(f"docker rm -f {container}")
    ended, told = status(whole, "--seconds", "120")
    assert ended == 1
    assert "its container is gone from web1" in wrong(told)["application", "game"]
    assert wrong(told)["drift", "lab"].endswith(": Container game is gone")
    assert wrong(told).keys() == {("application", "game"), ("drift", "lab")}, "what was broken before is whole again"
    whole.pulumi("up", "--yes", "--skip-preview", "--refresh")


@pytest.mark.soak
@pytest.mark.parametrize("how", ["hangs", "dead"])
def test_a_server_that_tells_nothing_costs_no_more_time_and_is_one_finding(whole: Hive, how: str) -> None:
    """As of any that does not answer in time: tests/unit/test_status_ask.py."""
    with hung(whole) if how == "hangs" else dead(whole):
        ended, told = status(whole)
    assert ended == 1
    assert told["seconds"] < SECONDS
    said = wrong(told)
    assert said.keys() == {("server", "web1"), ("drift", "lab")}
    assert said["server", "web1"].startswith("does not answer: ")
    assert said["server", "web1"].endswith(", and none of 7 sites does")
    assert said["drift", "lab"].startswith("what has drifted is not known: ")
    assert {row["status"] for row in told["tables"]["sites"]} == {"wrong"}
    until(lambda: whole.get("https://example.com/", "-6")[0] == 200, 120, "the site is back")
    whole.expect_served()


@contextmanager
def stopped(hive: Hive) -> Iterator[None]:
    """An application's container is stopped, and its site answers 503."""
    container = hive.container("notes")
    hive.on_server(f"docker stop {container}")
    until(lambda: hive.get("https://notes.example.net/", "-6")[0] == 503, 30, "the proxy has noticed")
    try:
        yield
    finally:
        hive.on_server(f"docker start {container}")
        until(lambda: hive.get("https://notes.example.net/", "-6")[0] == 200, 60, "notes is back")


@contextmanager
def full(hive: Hive) -> Iterator[None]:
    """A file system of the server has no room left."""
    hive.on_server(
        "mkdir /srv/full && mount -t tmpfs -o size=1m tmpfs /srv/full && head -c 1000000 /dev/zero > /srv/full/x"
    )
    try:
        yield
    finally:
        hive.on_server("umount /srv/full && rmdir /srv/full")


@contextmanager
def ahead(hive: Hive) -> Iterator[None]:
    """The server's clock is a minute and a half ahead; that of the machine below can't be changed for it alone."""
    tool = "/usr/local/sbin/apiary-status"
    hive.on_server(f"mv {tool} {tool}.real && cat > {tool} && chmod 755 {tool}", stdin=AHEAD)
    try:
        yield
    finally:
        hive.on_server(f"mv {tool}.real {tool}")


@contextmanager
def nearly_expired(hive: Hive, domain: str) -> Iterator[str]:
    """A site has a certificate that ends in three days, of an authority that a visitor trusts: that visitor."""
    authority, pem = issued(domain, timedelta(days=3))
    file = f"{CERTIFICATES}/{domain}.pem"
    proxy = hive.container("haproxy")

    def served() -> bool:
        return hive.get(f"https://{domain}/", "-6", "-k")[0] == 200

    hive.on_server(f"cp -p {file} {file}.before && cat > {file} && docker restart {proxy}", stdin=pem)
    assert (
        hive.prober("sh", "-c", f"cat /etc/ssl/certs/ca-certificates.crt - > {ROOTS}", stdin=authority).returncode == 0
    )
    until(served, 60, f"{domain} is back")
    try:
        yield shlex.join(["docker", "exec", "-i", "-e", f"SSL_CERT_FILE={ROOTS}", hive.paths.name("prober")])
    finally:
        hive.on_server(f"mv {file}.before {file} && docker restart {proxy}")
        hive.prober("rm", ROOTS)
        until(served, 60, f"{domain} is back")


def issued(domain: str, left: timedelta) -> tuple[str, str]:
    """An authority, and certificate and key of a site as the proxy keeps them, as PEM."""
    now, name = datetime.now(UTC), x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "An authority of the tests")])
    issuer, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())

    def signed(public: ec.EllipticCurvePublicKey, subject: x509.Name, more: x509.ExtensionType) -> str:
        built = (
            x509.CertificateBuilder().subject_name(subject).issuer_name(name).public_key(public)
            .serial_number(x509.random_serial_number()).not_valid_before(now - 12 * WEEK).not_valid_after(now + left)
            .add_extension(more, critical=False).sign(issuer, hashes.SHA256())
        )  # fmt: skip
        return built.public_bytes(serialization.Encoding.PEM).decode()

    names = x509.SubjectAlternativeName([x509.DNSName(domain), x509.DNSName(f"www.{domain}")])
    certificate = signed(key.public_key(), x509.Name([]), names)
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
    return signed(issuer.public_key(), name, x509.BasicConstraints(ca=True, path_length=0)), certificate + secret


@contextmanager
def hung(hive: Hive) -> Iterator[None]:
    """It accepts connections, as its kernel does, and says nothing."""
    machine = hive.machine("web1")
    # Where much runs in it the freezer may give up: what it had frozen by then goes on again.
    until(lambda: succeeds(["docker", "pause", machine], 60), 120, "the server hangs")
    try:
        yield
    finally:
        docker("unpause", machine)


@contextmanager
def dead(hive: Hive) -> Iterator[None]:
    hive.lab("kill", f"{LABEL}web1")
    try:
        yield
    finally:
        hive.reboot()
