"""Certificates of the whole hive: from the region's own authority, after one update, and renewed under load."""

from __future__ import annotations

import json

import pytest

from lab import acme, network
from tests.lab.hive import Hive, until
from tests.lab.visitors import Visitors

FAMILIES = ["-6", "-4"]
CERTIFICATES = "/var/lib/docker/volumes/haproxycfg/_data/certs"
VALIDATOR = network.PROBERS.replace("::/64", "::54")


def sites(hive: Hive) -> list[str]:
    """Every domain that the hive serves."""
    return list(hive.outputs()["sites"])


def renew(hive: Hive) -> None:
    """The certificate of one site, long before it is due."""
    alone = json.dumps({"echo.example.net": {"app": "echo", "port": 8080, "www": True, "tls": True}})
    done = hive.beside("certbot", RENEW_DAYS="9999", DOMAINS=alone)
    assert done.returncode == 0, done.stderr
    assert "echo.example.net: renewed" in done.stdout, done.stdout


def serial(hive: Hive, domain: str) -> str:
    """Of the certificate that a visitor gets now."""
    script = f"openssl s_client -connect {domain}:443 -servername {domain} </dev/null 2>/dev/null"
    return hive.prober("sh", "-c", f"{script} | openssl x509 -noout -serial").stdout.strip()


@pytest.mark.parametrize("family", FAMILIES)
def test_every_site_and_its_www_have_a_certificate_after_one_update(whole: Hive, family: str) -> None:
    """A visitor who trusts the authority and nothing else, with every check on."""
    for site in sites(whole):
        for name in (site, f"www.{site}"):
            done = whole.prober("curl", "-sS", family, "-o", "/dev/null", "-w", "%{http_code}", f"https://{name}/")
            assert done.returncode == 0, f"{name}: {done.stderr}"


def test_the_authority_validated_over_ipv6(whole: Hive) -> None:
    lines = whole.on_server(
        "{ docker logs $(docker ps -q --filter label=apiary.proxy=true) 2>&1; "
        "grep -rhs acme-challenge /var/lib/docker/volumes/*/_data --include='*.log*'; } | grep acme-challenge"
    ).splitlines()
    asked = {line.split()[0]: line.split()[1] for line in lines if " 200 " in line and VALIDATOR in line}
    assert set(asked) >= {name for site in sites(whole) for name in (site, f"www.{site}")}, lines


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(
    ("url", "leads_to"),
    [
        ("http://example.com/a?b=c", "https://example.com/a?b=c"),
        ("http://www.example.com/a?b=c", "https://example.com/a?b=c"),
        ("https://www.example.com/a?b=c", "https://example.com/a?b=c"),
    ],
)
def test_http_leads_to_https_and_www_to_the_bare_domain(whole: Hive, family: str, url: str, leads_to: str) -> None:
    done = whole.prober("curl", "-sS", family, "-o", "/dev/null", "-w", "%{http_code} %{redirect_url}", url)
    assert done.stdout == f"301 {leads_to}"


def test_who_names_no_site_gets_no_certificate(whole: Hive) -> None:
    web = whole.server["web_ipv6"]
    done = whole.prober("curl", "-sSk", "-6", "--resolve", f"stranger.example.org:443:[{web}]",
                        "https://stranger.example.org/")  # fmt: skip
    assert done.returncode == 35, done.stderr  # the handshake was refused


def test_keys_are_readable_by_the_proxy_alone(whole: Hive) -> None:
    proxy = whole.container("haproxy")
    uid = whole.on_server(f"docker exec {proxy} id -u").strip()
    found = whole.on_server(f"find {CERTIFICATES} -printf '%m %U %f\\n'").splitlines()
    assert any(line.endswith(" example.com.pem") for line in found)
    for line in found:
        mode, owner, name = line.split()
        assert (int(mode, 8) & 0o077 == 0, owner) == (True, uid) or name == "lock", line
    letsencrypt = whole.on_server("stat -c '%a %u' /var/lib/docker/volumes/letsencrypt/_data").strip()
    assert letsencrypt == f"700 {uid}"
    running = "docker ps --no-trunc --format '{{.ID}} {{.Label \"apiary.resource\"}}'"
    # The jobs that write them run now and then.
    applications = [line.split()[0] for line in whole.on_server(running).splitlines() if " applications." in line]
    for container in applications:
        mounts = whole.on_server(f"docker inspect -f '{{{{json .Mounts}}}}' {container}")
        if not container.startswith(proxy) and "haproxycfg" in mounts:
            read = whole.server_command("docker", "exec", container, "cat", "/etc/haproxy/certs/example.com.pem")
            assert "KEY" not in read.stdout, f"{container} reads the keys"
            assert "Permission denied" in read.stderr, read.stderr


@pytest.mark.soak
def test_a_scanner_finds_no_weak_protocol_or_cipher(whole: Hive) -> None:
    """Hundreds of handshakes, of which another version of the proxy or the scanner alone changes the outcome."""
    done = whole.prober(
        *("testssl", "--quiet", "--color", "0", "--warnings", "off", "--jsonfile", "/dev/stderr", "-p", "-s"),
        *("--ip", whole.server["ipv4"], "https://example.com/"),
    )
    findings = json.loads(done.stderr[done.stderr.index("[") :])
    by_id = {finding["id"]: finding for finding in findings}
    for old in ("SSLv2", "SSLv3", "TLS1", "TLS1_1"):
        assert by_id[old]["finding"].startswith("not offered"), by_id[old]
    assert by_id["TLS1_2"]["severity"] == by_id["TLS1_3"]["severity"] == "OK"
    weak = [
        finding
        for finding in findings
        # What the scanner says of its own openssl is not the proxy's matter.
        if finding["severity"] in ("MEDIUM", "HIGH", "CRITICAL", "WARN") and finding["id"] != "engine_problem"
    ]
    assert weak == []


@pytest.mark.soak
def test_a_domain_without_an_address_fails_alone_and_the_run_does_not(whole: Hive) -> None:
    """As one that the authority refuses, below; it is waited for half a minute."""
    before = serial(whole, "example.com")
    site = {"app": "site", "port": 8080, "www": False, "tls": True}
    done = whole.beside("certbot", DOMAINS=json.dumps(dict.fromkeys(("absent.example.org", "example.com"), site)))
    assert done.returncode == 0, done.stderr
    assert "not yet: absent.example.org: has no address in DNS" in done.stderr
    assert "certificates: 1 served; 1 not yet (absent.example.org)" in done.stdout
    assert serial(whole, "example.com") == before


def test_a_domain_that_the_authority_refuses_is_served_self_signed_and_blocks_nothing(whole: Hive) -> None:
    with whole.changed() as settings:
        settings["apiary:servers"]["web1"]["dns"]["web"].append(acme.REFUSED)
        settings["apiary:applications"]["site"]["env"]["domains"].append(acme.REFUSED)
        done = whole.up()
        assert f"not yet: {acme.REFUSED}: " in done.output
        assert "forbidden by policy" in done.output
        whole.expect_served()
        status, _ = whole.get(f"https://{acme.REFUSED}/", "-6")
        assert status == 0, "nobody trusts a self-signed one"
        status, _ = whole.get(f"https://{acme.REFUSED}/", "-6", "-k")
        assert status == 200
    whole.up()
    left = whole.on_server(f"ls {CERTIFICATES}").split()
    assert f"{acme.REFUSED}.pem" not in left


def test_renewal_under_load_loses_no_request(whole: Hive) -> None:
    before = serial(whole, "echo.example.net")
    with Visitors(whole, ["echo.example.net"]) as visitors:
        for _ in range(2):
            renew(whole)
    assert serial(whole, "echo.example.net") != before
    assert visitors.failed == []
    assert min(visitors.requests.values()) > 10, visitors.requests


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (": >", "can't be loaded; kept as"),
        ("printf -- '-----BEGIN CERTIFICATE-----\\nMIIB' >", "can't be loaded; kept as"),
        ("rm", "is missing"),
    ],
    ids=["empty", "torn", "missing"],
)
def test_a_broken_file_stops_neither_the_proxy_nor_another_site(whole: Hive, spoil: str, why: str) -> None:
    whole.on_server(f"{spoil} {CERTIFICATES}/example.com.pem")
    proxy = whole.container("haproxy")
    whole.on_server(f"docker restart {proxy}")
    for family in FAMILIES:
        until(lambda family=family: whole.get("https://echo.example.net/", family)[0] == 200, 30, "echo is served")
        until(lambda family=family: whole.get("https://example.com/", family, "-k")[0] == 200, 30, "site is served")
    assert f"example.com.pem {why}" in whole.on_server(f"docker logs --since 60s {proxy} 2>&1")
    assert whole.get("https://example.com/", "-6")[0] == 0, "self-signed meanwhile"
    # The scheduler's next start of the job puts it right, without asking the authority.
    told = whole.on_server(f"docker start -a {whole.job('certbot')} 2>&1")
    assert "example.com: now served: " in told
    assert whole.get("https://example.com/", "-6")[0] == 200
