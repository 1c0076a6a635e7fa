"""What a service told Traefik, nginx-proxy or Caddy becomes a site here, word for word, or is told by its path."""

from __future__ import annotations

import pytest

import settings
from operations.coming import stack_text
from operations.coming.told import Outcome
from tests.unit.compose_kit import converted, entry, refused, variables, verdicts

B, D, N, C = Outcome.BECOMES, Outcome.DIFFERS, Outcome.NEEDLESS, Outcome.CANNOT
HOST = "traefik.http.routers.shop.rule=Host(`shop.example.org`)"
PORT = "traefik.http.services.shop.loadbalancer.server.port=8000"
USES = "traefik.http.routers.shop.middlewares=m"
DOOR = "caddy: shop.example.org, caddy.reverse_proxy: '{{upstreams 8000}}'"
VIRTUAL = "VIRTUAL_HOST: shop.example.org, VIRTUAL_PORT: 8000"


def of_labels(*labels, beside=""):
    listed = ", ".join(f"'{label}'" for label in labels)
    return converted(f"services: {{web: {{image: x, labels: [{listed}]}}{beside}}}")


def of_traefik(*labels):
    return of_labels(HOST, PORT, *labels)


def of_caddy(more):
    return converted(f"services: {{web: {{image: x, labels: {{{DOOR}, {more}}}}}}}")


def of_nginx(more):
    return converted(f"services: {{web: {{image: x, environment: {{{VIRTUAL}, {more}}}}}}}")


def middleware(*options):
    return of_traefik(USES, *(f"traefik.http.middlewares.m.{option}" for option in options))


# what a service says; the words of its site
WORDS = [
    (lambda: middleware("ipallowlist.sourcerange=203.0.113.0/24, 2001:db8::1"),
     {"allow_from": ["203.0.113.0/24", "2001:db8::1/128"]}),
    (lambda: middleware("ipwhitelist.sourcerange=203.0.113.7"), {"allow_from": ["203.0.113.7/32"]}),
    (lambda: middleware("IPAllowList.SourceRange=0.0.0.0/0"), {}),
    (lambda: middleware("ratelimit.average=20", "ratelimit.burst=50"),
     {"rate_limit": {"requests": 200, "seconds": 10}}),
    (lambda: middleware("ratelimit.average=6", "ratelimit.period=1m"), {"rate_limit": {"requests": 1, "seconds": 10}}),
    (lambda: middleware("ratelimit.average=0"), {}),
    (lambda: middleware("buffering.maxrequestbodybytes=104857600"), {"body_limit": "100m"}),
    (lambda: middleware("buffering.maxrequestbodybytes=1000000"), {"body_limit": "1m"}),
    (lambda: middleware("redirectscheme.scheme=https", "redirectscheme.permanent=true"), {}),
    (lambda: of_labels("traefik.http.routers.shop.rule=Host(`shop.example.org`) || Host(`www.shop.example.org`)", PORT),
     {"www": "both"}),
    (lambda: of_labels("traefik.http.routers.shop.rule=Host(`www.shop.example.org`)", PORT), {"www": "www"}),
    (lambda: of_labels(
        "traefik.http.routers.shop.rule=Host(`shop.example.org`, `www.shop.example.org`)", PORT, USES,
        r"traefik.http.middlewares.m.redirectregex.regex=^https?://www\.shop\.example\.org/(.*)",
        "traefik.http.middlewares.m.redirectregex.replacement=https://shop.example.org/$${1}"), {}),
    (lambda: of_labels(
        "traefik.http.routers.shop.rule=Host(`shop.example.org`, `www.shop.example.org`)", PORT, USES,
        r"traefik.http.middlewares.m.redirectregex.regex=^https://shop\.example\.org/(.*)",
        "traefik.http.middlewares.m.redirectregex.replacement=https://www.shop.example.org/$${1}"), {"www": "www"}),
    (lambda: of_traefik("traefik.http.routers.shop.middlewares=c@docker",
                        "traefik.http.middlewares.c.chain.middlewares=m",
                        "traefik.http.middlewares.m.ipallowlist.sourcerange=203.0.113.0/24"),
     {"allow_from": ["203.0.113.0/24"]}),
    (lambda: of_caddy("caddy.request_body.max_size: 10MB"), {"body_limit": "10m"}),
    (lambda: of_caddy("caddy.reverse_proxy.transport: http, "
                      "caddy.reverse_proxy.transport.response_header_timeout: 5m"), {"timeout": 300}),
    (lambda: of_caddy("caddy.reverse_proxy.trusted_proxies: 203.0.113.0/24"), {"trusted_proxies": ["203.0.113.0/24"]}),
    (lambda: of_caddy("caddy_1: www.shop.example.org, caddy_1.redir: 'https://shop.example.org{uri}'"), {}),
    (lambda: of_nginx("HTTPS_METHOD: redirect"), {}),
]  # fmt: skip


@pytest.mark.parametrize(("made", "site"), WORDS)
def test_what_another_proxy_was_told_is_a_word_of_the_site(made, site):
    done = made()
    assert refused(done) == {}
    assert entry(done, "web")["env"] == {"domains": ["shop.example.org"], "http_port": 8000}
    assert entry(done, "web").get("site", {}) == site
    assert done.redirects == {}
    assert "VIRTUAL_HOST" not in variables(done, "web")


# what a service says besides; where a verdict stands; which one, and words of it
TOLD = [
    (lambda: middleware("basicauth.users=me:x"), 'labels["traefik.http.middlewares.m.basicauth.users"]', C, "password"),
    (lambda: middleware("stripprefix.prefixes=/api"), 'labels["traefik.http.middlewares.m.stripprefix.prefixes"]', C,
     "path"),
    (lambda: middleware("headers.stsseconds=1"), 'labels["traefik.http.middlewares.m.headers.stsseconds"]', C, "leave"),
    (lambda: middleware("compress=true"), 'labels["traefik.http.middlewares.m.compress"]', N, "compressed"),
    (lambda: middleware("ipallowlist.sourcerange=here"), 'labels["traefik.http.middlewares.m.ipallowlist.sourcerange"]',
     C, "neither a network"),
    (lambda: of_traefik("traefik.http.routers.shop.middlewares=auth@file"),
     'labels["traefik.http.routers.shop.middlewares"]', C, "of none of these files"),
    (lambda: of_traefik("traefik.http.routers.shop.tls.certresolver=le"),
     'labels["traefik.http.routers.shop.tls.certresolver"]', N, "certbot"),
    (lambda: of_traefik("traefik.http.routers.shop.entrypoints=websecure"),
     'labels["traefik.http.routers.shop.entrypoints"]', N, "https"),
    (lambda: of_traefik("traefik.tcp.routers.x.rule=HostSNI(`*`)"), 'labels["traefik.tcp.routers.x.rule"]', C, "ports"),
    (lambda: of_traefik("traefik.http.services.b.loadbalancer.server.port=9000"),
     'labels["traefik.http.services.b.loadbalancer.server.port"]', C, "one application is one site"),
    (lambda: of_traefik("traefik.http.services.shop.loadbalancer.sticky.cookie=true"),
     'labels["traefik.http.services.shop.loadbalancer.sticky.cookie"]', N, "one container"),
    (lambda: of_labels("traefik.http.routers.shop.rule=Host(`shop.example.org`) && PathPrefix(`/a`, `/b`)", PORT),
     'labels["traefik.http.routers.shop.rule"]', C, "path"),
    (lambda: of_labels("traefik.http.routers.shop.rule=Host(`shop.example.org`) && PathPrefix(`/a`)",
                       "traefik.http.routers.other.rule=Host(`shop.example.org`) && PathPrefix(`/b`)", PORT),
     'labels["traefik.http.routers.other.rule"]', C, "one path"),
    (lambda: of_labels("traefik.http.routers.shop.rule=Host(`shop.example.org`) && ClientIP(`192.0.2.1`)", PORT),
     'labels["traefik.http.routers.shop.rule"]', C, "only Host"),
    (lambda: of_labels("traefik.http.routers.shop.rule=Host(`*.example.org`)", PORT),
     'labels["traefik.http.routers.shop.rule"]', C, "write each domain"),
    (lambda: of_caddy("caddy.basic_auth.me: hash"), 'labels["caddy.basic_auth.me"]', C, "password"),
    (lambda: of_caddy("caddy.handle_path: /api/*"), 'labels["caddy.handle_path"]', C, "path"),
    (lambda: of_caddy("caddy.encode: gzip"), 'labels["caddy.encode"]', N, "compressed"),
    (lambda: of_caddy("caddy.tls.dns: x"), 'labels["caddy.tls.dns"]', N, "certbot"),
    (lambda: of_caddy("caddy.1_header: -Server"), 'labels["caddy.1_header"]', C, "leave it out"),
    (lambda: of_nginx("VIRTUAL_PATH: /a b"), "environment.VIRTUAL_PATH", C, "letters, digits"),
    (lambda: of_nginx("VIRTUAL_PROTO: https"), "environment.VIRTUAL_PROTO", C, "speaks http"),
    (lambda: of_nginx("HTTPS_METHOD: noredirect"), "environment.HTTPS_METHOD", C, "leave it out"),
    (lambda: of_nginx("NETWORK_ACCESS: internal"), "environment.NETWORK_ACCESS", C, "allow_from"),
    (lambda: of_nginx("LETSENCRYPT_HOST: shop.example.org"), "environment.LETSENCRYPT_HOST", N, "certbot"),
]  # fmt: skip


@pytest.mark.parametrize(("made", "path", "outcome", "words"), TOLD)
def test_of_every_label_and_variable_it_is_told_what_becomes_of_it(made, path, outcome, words):
    told = verdicts(made())
    assert told[f"services.web.{path}"][0] is outcome
    assert words in told[f"services.web.{path}"][1]


def test_every_domain_of_a_service_is_its_own_and_what_leads_elsewhere_is_a_redirect_of_the_server():
    done = of_labels(
        "traefik.http.routers.a.rule=Host(`shop.example.org`) || Host(`shop.example.net`)",
        "traefik.http.routers.b.rule=Host(`old.example.com`)",
        "traefik.http.routers.b.middlewares=move",
        "traefik.http.middlewares.move.redirectregex.regex=^https?://old.example.com/(.*)",
        "traefik.http.middlewares.move.redirectregex.replacement=https://shop.example.org/$$1",
        "traefik.http.services.a.loadbalancer.server.port=80",
    )
    assert refused(done) == {}
    assert entry(done, "web")["env"]["domains"] == ["shop.example.org", "shop.example.net"]
    assert done.redirects == {"old.example.com": "https://shop.example.org"}
    written = stack_text.sections(stack_text.new(done, "apiary"), "apiary")
    stack = settings.load(written, name="new")
    assert settings.redirects_map(stack, "web1")["old.example.com"]["redirects"] == {"": "https://shop.example.org"}


FLOW = """config:
  apiary:servers: {web1: {plan: vc2-1c-2gb, region: ewr, os: 2136, dns: {web: [example.com]}}}
  apiary:applications:
    cache: {image: registry.example.com/x}
"""
BLOCK = """config:
  apiary:servers:
    web1:
      plan: vc2-1c-2gb
      region: ewr
      os: 2136
      dns: {web: [example.com]}
      redirects:
        a.example.com: https://example.com   # kept
  apiary:applications:
    cache: {image: registry.example.com/x}
"""


@pytest.mark.parametrize("source", [FLOW, BLOCK])
def test_redirects_are_put_into_the_server_that_is_there(source):
    stack = stack_text.sections(source, "apiary")
    made = "labels: {caddy: shop.example.org, caddy.reverse_proxy: '{{upstreams 80}}', caddy_1: old.example.org, "
    done = converted(
        f"services: {{web: {{image: x, {made} caddy_1.redir: 'https://shop.example.org/new'}}}}}}", stack=stack
    )
    text = stack_text.added(source, done, "apiary")
    there = stack_text.sections(text, "apiary")["servers"]["web1"]["redirects"]
    assert there["old.example.org"] == "https://shop.example.org/new"
    assert ("a.example.com" in there) == ("# kept" in text)


def test_a_middleware_of_a_service_that_is_left_out_is_not_forgotten():
    files = (
        "services: {web: {image: x, labels: ['%s', '%s', '%s']}, edge: {image: traefik, labels: "
        "['traefik.http.middlewares.m.%s']}}"
    )
    one = converted(files % (HOST, PORT, USES, "ipallowlist.sourcerange=192.0.2.1"), leave_out=("services.edge",))
    assert entry(one, "web")["site"] == {"allow_from": ["192.0.2.1/32"]}
    two = converted(files % (HOST, PORT, USES, "basicauth.users=me:x"), leave_out=("services.edge",))
    assert list(refused(two)) == ['services.web.labels["traefik.http.routers.shop.middlewares"]']


def test_what_says_that_it_is_no_site_is_none():
    done = of_traefik("traefik.enable=false")
    assert "env" not in entry(done, "web")


def test_who_is_told_of_certificates_is_who_was_told():
    done = of_nginx("LETSENCRYPT_EMAIL: me@example.org")
    assert entry(done, "certbot")["env"]["email"] == "me@example.org"
    assert not any("hostmaster" in step for step in done.told.todo)


def test_labels_of_a_swarm_s_service_count_too():
    done = converted(f"services: {{web: {{image: x, deploy: {{labels: ['{HOST}', '{PORT}']}}}}}}")
    assert entry(done, "web")["env"]["http_port"] == 8000


LISTS = [f"traefik.http.middlewares.{name}.ipallowlist.sourcerange={net}"
         for name, net in (("a", "203.0.113.0/24"), ("b", "198.51.100.0/24"))]  # fmt: skip


@pytest.mark.parametrize(
    "made",
    [
        lambda: of_traefik("traefik.http.routers.shop.tls.options=mtls@file"),
        lambda: of_caddy("caddy.tls.client_auth.mode: require_and_verify"),
        # Both have to let a visitor in there: the second in the place of the first would open it wider.
        lambda: of_traefik("traefik.http.routers.shop.middlewares=a,b", *LISTS),
        lambda: of_traefik("traefik.http.routers.shop.middlewares=a", *LISTS,
                           "traefik.http.routers.more.rule=Host(`more.example.org`)",
                           "traefik.http.routers.more.middlewares=b"),
        lambda: converted("services: {web: {image: x, ports: ['80:80'], labels: {caddy: shop.example.org, "
                          "caddy.basic_auth: [me, x]}}}"),
        lambda: converted("services: {web: {image: x, ports: ['80:80'], deploy: {labels: {caddy: shop.example.org, "
                          "caddy.basic_auth: [me, x]}}}}"),
        lambda: of_caddy("caddy.reverse_proxy.transport: fastcgi"),
    ],
)  # fmt: skip
def test_what_guards_a_site_there_is_never_dropped_in_silence(made):
    assert refused(made())


def test_a_path_that_only_one_of_two_hosts_has_is_told():
    """`&&` binds tighter there than `||`."""
    rule = "traefik.http.routers.shop.rule=Host(`a.example.org`) || Host(`b.example.org`) && PathPrefix(`/api`)"
    assert "path" in str(refused(of_labels(rule, PORT)))
    done = of_labels(rule.replace("=Host", "=(Host").replace(" &&", ") &&"), PORT)
    assert entry(done, "web")["env"]["domains"] == ["a.example.org/api", "b.example.org/api"]


@pytest.mark.parametrize("wish", [{}, {"domains": {"web": "shop.example.org"}}])
def test_who_may_come_counts_also_where_the_domain_is_said_elsewhere(wish):
    labels = ", ".join(f"'{label}'" for label in ("traefik.http.routers.shop.middlewares=a", *LISTS[:1]))
    more = "ports: ['8000:8000'], environment: {DOMAIN: shop.example.org}"
    done = converted(f"services: {{web: {{image: x, {more}, labels: [{labels}]}}}}", **wish)
    assert entry(done, "web")["site"] == {"allow_from": ["203.0.113.0/24"]}


@pytest.mark.parametrize("port", ["\u00b2", "\u0661\u00b2"])
def test_a_port_that_only_looks_like_a_number_is_told(port):
    assert refused(of_labels(HOST, PORT.replace("8000", port)))
    assert converted(f"services: {{web: {{image: x, group_add: ['{port}']}}}}")
    assert refused(converted(f"services: {{web: {{image: x, expose: ['{port}'], labels: ['{HOST}']}}}}"))


@pytest.mark.parametrize("address", ["127.0.0.1", "[::1]", "192.168.1.5", "100.64.0.9"])
def test_what_nobody_reached_from_outside_is_no_site_unless_somebody_names_its_domain(address):
    port = f"ports: ['{address}:9090:9090']"
    found = refused(converted(f"services: {{web: {{image: x, {port}}}}}"))
    assert "name its domain by --domain web=example.com" in found["services.web.ports[0]"]
    left = converted(f"services: {{web: {{image: x, {port}}}}}", leave_out=("services.web.ports[0]",))
    assert refused(left) == {}
    assert "env" not in entry(left, "web")
    named = [
        converted(f"services: {{web: {{image: x, {port}}}}}", domains={"web": "shop.example.org"}),
        converted(f"services: {{web: {{image: x, {port}, environment: {{BASE_URL: 'https://shop.example.org'}}}}}}"),
    ]
    for done in named:
        assert refused(done) == {}
        assert entry(done, "web")["env"] == {"domains": ["shop.example.org"], "http_port": 9090}


def test_all_addresses_are_everybody_s():
    done = converted("services: {web: {image: x, ports: ['127.0.0.1:80:80', '0.0.0.0:80:80', '[::]:80:80']}}")
    assert refused(done) == {}
    assert entry(done, "web")["env"]["http_port"] == 80


def test_an_address_at_which_a_site_was_tried_is_told():
    done = converted(
        "services: {web: {image: x, ports: ['9001:8080'], environment: {APP_URL: 'http://localhost:9001/'}}, "
        "api: {image: y, environment: {PUBLIC_URI: 'http://127.0.0.1:9001', SELF: 'http://localhost:8081'}}}",
        domains={"web": "draw.example.org"},
    )
    told = verdicts(done)
    for path in ("services.web.environment.APP_URL", "services.api.environment.PUBLIC_URI"):
        assert told[path][1] == "visitors come to https://draw.example.org here; if it is that address, write it so"
    assert "services.api.environment.SELF" not in told


@pytest.mark.parametrize(
    "label",
    ["traefik.http.middlewares.login.forwardauth.address=http://login:9091/verify", "caddy.forward_auth=login:9091"],
)
def test_a_login_that_another_program_asks_for_is_told_as_one(label):
    site = "traefik.http.routers.web.rule=Host(`a.example.org`)" if "traefik" in label else "caddy=a.example.org"
    done = converted(
        f"services: {{web: {{image: x, expose: [80], labels: ['{site}', "
        f"traefik.http.routers.web.middlewares=login, '{label}']}}}}"
    )
    assert any("asks no other program who may come" in words for words in refused(done).values()), refused(done)
