"""Who waits for whom, where nobody wrote it: the proxy, what tells it of the sites, and their certificates."""

from __future__ import annotations

from typing import Any

import pytest

import settings
from settings.order import waits_for

TOLD = {"domains": "all", "haproxy_container": "$haproxy"}
CONFIGURATION = "haproxycfg:/etc/haproxy"


@pytest.fixture
def raw() -> dict[str, Any]:
    web = {"plan": "vc2-1c-2gb", "region": "ewr", "os": 2136, "dns": {"web": ["example.com"]}}
    certificates = {"build_dir": "CertBot", "volumes": [CONFIGURATION, "letsencrypt:/etc/letsencrypt"]}
    return {
        "servers": {"web1": web},
        "applications": {
            "haproxy": {"build_dir": "HAProxy", "ipv6_web": True, "ports": [80, 443], "volumes": [CONFIGURATION]},
            "shop": {"image": "shop", "env": {"domains": ["example.com"], "http_port": 8080}},
        },
        "jobs": {
            "hasetup": {"build_dir": "HAProxySetup", "env": {**TOLD}, "volumes": [CONFIGURATION]},
            "certbot": {**certificates, "env": {**TOLD, "email": "hostmaster@example.com"}},
        },
        "secrets": {"shop_pem": "a certificate"},
    }


def load(raw: dict[str, Any]) -> settings.Stack:
    return settings.load(raw, name="test")


def test_sites_are_told_to_the_proxy_when_they_serve_and_get_their_certificates_meanwhile(raw):
    stack = load(raw)
    assert waits_for(stack, "hasetup") == ["haproxy", "shop"]
    assert waits_for(stack, "certbot") == ["haproxy"]


def test_whoever_names_a_proxy_of_another_name_waits_for_that_of_the_server_all_the_same(raw):
    raw["jobs"]["certbot"]["env"]["haproxy_container"] = "haproxy"
    assert waits_for(load(raw), "certbot") == ["haproxy"]


def test_what_the_stack_file_has_a_certificate_for_is_known_before_any_is_asked_for(raw):
    raw["jobs"]["hasetup"]["env"]["certificate_shop"] = "_secrets^shop_pem"
    assert waits_for(load(raw), "certbot") == ["haproxy", "hasetup"]
    del raw["jobs"]["hasetup"]["env"]["certificate_shop"]
    raw["jobs"]["hasetup"]["environment"] = {"CERTIFICATE_SHOP": "_secrets^shop_pem"}
    assert waits_for(load(raw), "certbot") == ["haproxy", "hasetup"]


def test_certificates_come_after_the_releases_where_the_stack_file_says_so(raw):
    raw["jobs"]["certbot"]["after"] = ["hasetup"]
    assert waits_for(load(raw), "certbot") == ["haproxy", "hasetup"]
