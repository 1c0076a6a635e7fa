"""What a proxy that is left out did for all sites at once is said of each, or told: no guard goes without a word."""

from __future__ import annotations

import json

import pytest

from operations.coming.told import Outcome
from tests.unit.compose_kit import converted, entry, refused, verdicts

HOST, PORT = (
    "traefik.http.routers.shop.rule=Host(`shop.example.org`)",
    "traefik.http.services.shop.loadbalancer.server.port=80",
)
MIDDLEWARES = "--entrypoints.websecure.http.middlewares"
ALLOW = "traefik.http.middlewares.inside.ipallowlist.sourcerange=203.0.113.0/24"
STATIC = "entryPoints: {web: {http: {tls: {options: mutual}}}}"
LOGIN = "traefik.http.middlewares.login.basicauth.users=me:x"


def of(
    *,
    command=(),
    environment=None,
    volumes=(),
    labels=(),
    site=(),
    image="traefik:v3.5",
    files=None,
    leave_out=(),
    **more,
):
    """A Traefik that is left out, and a site behind it."""
    services = {
        "proxy": {"image": image, "command": list(command), "environment": environment or {}, "volumes": list(volumes),
                  "labels": list(labels), **more},
        "web": {"image": "x", "labels": [HOST, PORT, *site]},
    }  # fmt: skip
    text = json.dumps(
        {
            "services": services,
            "volumes": dict.fromkeys(("htpasswd", "vhost", "certs", "html")),
            "configs": {"static": {"content": STATIC}},
        }
    )
    return converted({"compose.yaml": text, **(files or {})}, leave_out=("services.proxy", *leave_out))


# what the proxy is given; the words of the site
SAID = [
    ({"command": [f"{MIDDLEWARES}=inside@docker"], "labels": [ALLOW]}, {"allow_from": ["203.0.113.0/24"]}),
    ({"command": [f"{MIDDLEWARES}[0]=inside"], "site": [ALLOW]}, {"allow_from": ["203.0.113.0/24"]}),
    ({"environment": {"TRAEFIK_ENTRYPOINTS_WEB_HTTP_MIDDLEWARES": "inside@docker"}, "site": [ALLOW]},
     {"allow_from": ["203.0.113.0/24"]}),
    ({"command": ["--entrypoints.websecure.forwardedHeaders.trustedIPs=192.0.2.0/24,198.51.100.7"]},
     {"trusted_proxies": ["192.0.2.0/24", "198.51.100.7/32"]}),
    ({"volumes": ["./traefik.yml:/etc/traefik/traefik.yml:ro"], "site": [ALLOW],
      "files": {"traefik.yml": "entryPoints: {websecure: {address: ':443', http: {middlewares: [inside@docker]}}}"}},
     {"allow_from": ["203.0.113.0/24"]}),
    ({"volumes": ["./conf:/etc/traefik"], "site": [ALLOW],
      "files": {"conf/traefik.toml": '[entryPoints.web.http]\nmiddlewares = ["inside@docker"]\n'}},
     {"allow_from": ["203.0.113.0/24"]}),
    ({"command": [f"{MIDDLEWARES}=inside@docker"], "labels": [ALLOW],
      "site": ["traefik.http.routers.shop.middlewares=inside"]}, {"allow_from": ["203.0.113.0/24"]}),
    ({"command": ["--entrypoints.web.address=:80", "--providers.docker", "--api.dashboard=true", "--log.level=DEBUG",
                  "--entrypoints.web.http.redirections.entrypoint.to=websecure"]}, {}),
]  # fmt: skip


@pytest.mark.parametrize(("given", "site"), SAID)
def test_what_holds_for_every_site_becomes_words_of_each(given, site):
    done = of(**given)
    assert refused(done) == {}
    assert entry(done, "web").get("site", {}) == site


# what the proxy is given; where it is told; words of it
TOLD = [
    ({"command": ["--api", f"{MIDDLEWARES}=login@docker"], "labels": [LOGIN]}, "command[1]", "password"),
    ({"command": [f"{MIDDLEWARES}=login@file"]}, "command[0]", "login@file stands before every site"),
    ({"command": [f"{MIDDLEWARES}=inside"], "labels": [ALLOW],
      "site": ["traefik.http.routers.shop.middlewares=own",
               "traefik.http.middlewares.own.ipallowlist.sourcerange=192.0.2.7"]},
     "command[0]", "web says another allow_from"),
    ({"command": ["--entrypoints.web.http.tls.options=mutual@file"]}, "command[0]", "certificate"),
    ({"command": ["--entrypoints.web.proxyprotocol.trustedips=192.0.2.1"]}, "command[0]", "PROXY"),
    ({"command": ["--providers.docker.constraints=Label(`public`, `yes`)"]}, "command[0]", "leave the others out"),
    ({"command": ["--providers.file.directory=/dynamic"]}, "command[0]", "what it says of sites is not read"),
    ({"environment": {"TRAEFIK_PROVIDERS_FILE_FILENAME": "/x.yml"}},
     "environment.TRAEFIK_PROVIDERS_FILE_FILENAME", "not"),
    ({"volumes": ["./none.yml:/etc/traefik/traefik.yml"]}, "volumes[0]", "not read"),
    ({"command": ["--configfile=/t.yml"], "volumes": ["./t.yml:/t.yml"], "files": {"t.yml": "a: ["}},
     "volumes[0]", "not read"),
    ({"configs": [{"source": "static", "target": "/etc/traefik/traefik.yml"}]}, "configs[0]", "certificate"),
    ({"image": "traefik:1.7", "command": ["--entryPoints=Name:https Address::443 Auth.Basic.Users:me:x"]}, "command[0]",
     "guards every site"),
    ({"image": "nginxproxy/nginx-proxy", "volumes": ["htpasswd:/etc/nginx/htpasswd"]}, "volumes[0]", "password"),
    ({"image": "jwilder/nginx-proxy:alpine", "volumes": ["./vhost.d:/etc/nginx/vhost.d:ro"]},
     "volumes[0]", "directives"),
    ({"image": "lucaslorentz/caddy-docker-proxy:2.9", "environment": {"CADDY_DOCKER_CADDYFILE_PATH": "/c"}},
     "environment.CADDY_DOCKER_CADDYFILE_PATH", "directives"),
]  # fmt: skip


@pytest.mark.parametrize(("given", "at", "words"), TOLD)
def test_a_guard_that_can_not_be_said_is_told_by_its_own_path_and_goes_by_that_alone(given, at, words):
    at = f"services.proxy.{at}"
    assert list(refused(done := of(**given))) == [at]
    assert words in refused(done)[at]
    assert f"--leave-out '{at}'" in refused(done)[at]
    done = of(**given, leave_out=(at,))
    assert refused(done) == {}
    assert verdicts(done)[at][0] is Outcome.LEFT_OUT


def test_where_only_those_are_sites_that_say_so_nobody_else_becomes_one():
    closed = ["--providers.docker.exposedByDefault=false"]
    assert "env" not in entry(of(command=closed), "web")
    assert "env" in entry(of(command=closed, site=["traefik.enable=true"]), "web")


def test_without_a_site_behind_it_there_is_nothing_to_guard():
    text = f"services: {{proxy: {{image: traefik, command: ['{MIDDLEWARES}=login@file']}}, web: {{image: x}}}}"
    assert refused(converted(text, leave_out=("services.proxy",))) == {}


def test_volumes_of_companions_hold_no_guard():
    volumes = ["vhost:/etc/nginx/vhost.d", "certs:/etc/nginx/certs:ro", "html:/usr/share/nginx/html"]
    assert refused(of(image="nginxproxy/nginx-proxy", volumes=volumes)) == {}
