"""The text of haproxy.cfg for a set of domains. Pure: the same domains give the same bytes.

Valid for HAProxy 2.6 (bookworm) and 3.0 (trixie). Leaves alone: which certificate is whose (`certificates`
writes the list that the frontend for https names), and which server of a backend gets visitors (rotation.lua).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path

from hasetup.access import Access
from hasetup.domains import Domain

# Addresses that one application can have at a time: replicas, twice during a release, and failed releases
# that wait for the next good one to remove them.
SLOTS = 8
# HAProxy reads at most 64 words a line.
NAMES_A_LINE = 8
# A reload takes the addresses from the saved state, all else comes from the resolver within its first answer.
# Never `libc`: it blocks the check and the start for seconds for each name that is not there (yet), and it
# prefers IPv6, where many applications do not listen.
_RESOLVED = "resolvers docker resolve-prefer ipv4 init-addr last,none"
ACME = "/.well-known/acme-challenge/"
RUN = "/etc/haproxy/run"
# Decides which servers get visitors. Its digest is in the configuration: another text is a reason to reload.
ROTATION = Path(__file__).with_name("rotation.lua").read_text()
# What the account of the ACME client adds to a challenge: the line `thumbprint ...`, written by the client.
ACME_MAP = "/etc/haproxy/acme.map"

# TLS 1.2 with forward secrecy and authenticated encryption, and TLS 1.3.
_CIPHERS = (
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384"
    ":ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305"
)
_SUITES = "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256"

# Everything a proxy may say about the visitor. CGI-like servers read `_` as `-`, hence both.
_FORGEABLE = (
    "^(forwarded|proxy|x[-_]real[-_]ip|x[-_]client[-_]ip|x[-_]cluster[-_]client[-_]ip|true[-_]client[-_]ip"
    "|cf[-_]connecting[-_]ip|fastly[-_]client[-_]ip|x[-_]forwarded|x[-_]forwarded[-_].*)$"
)


def render(
    domains: Sequence[Domain],
    *,
    crt_list: str | None = None,
    hsts: str | None = None,
    metrics_from: Sequence[str] = (),
    access: Access = Access(),  # noqa: B008 - it can't be changed
) -> str:
    """The whole configuration.

    `crt_list`: file that says which certificate is for which name; without it nothing listens for https.
    `hsts`: value of Strict-Transport-Security. `metrics_from`: networks that may read stats and metrics; none
    means this container only. `access`: how requests are logged.
    """
    applications = {domain.app: domain for domain in reversed(domains)}
    sections = [
        ["# Written by hasetup; the next run overwrites it."],
        _global(access),
        _defaults(),
        _resolvers(),
        _inside(metrics_from),
        _figures(),
        _http(domains, access),
        *([_https([domain for domain in domains if domain.tls], crt_list, hsts, access)] if crt_list else []),
        *(_application(applications[app]) for app in sorted(applications)),
    ]
    return "\n\n".join("\n".join(section) for section in sections) + "\n"


def page(title: str, text: str) -> str:
    """A small page for an answer that the proxy gives itself, quoted as one word of the configuration."""
    html = (
        '<!doctype html><html lang="en"><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width"><title>{title}</title>'
        '<body style="font:1.1rem/1.6 system-ui,sans-serif;max-width:34rem;margin:18vh auto;'
        f'padding:0 1rem;color:#33302a;background:#fbf8f1"><h1>{title}</h1><p>{text}</p></body></html>'
    )
    if "'" in html or "\n" in html:
        raise ValueError(f"a page cannot hold an apostrophe or a line break: {title}")
    return f"'{html}'"


def _global(access: Access) -> list[str]:
    return [
        "global",
        *access.globals(),
        "    maxconn 4000",
        "    # How long a reload leaves the old worker to what it still transfers.",
        "    hard-stop-after 1h",
        f"    stats socket {RUN}/admin.sock mode 660 level admin expose-fd listeners",
        "    stats timeout 1m",
        f"    server-state-file {RUN}/state",
        f"    # rotation.lua is {hashlib.sha256(ROTATION.encode()).hexdigest()[:12]}.",
        "    lua-load /etc/haproxy/rotation.lua",
        "    # No session tickets: their key would stay the same for as long as the proxy runs.",
        "    ssl-default-bind-options ssl-min-ver TLSv1.2 no-tls-tickets",
        f"    ssl-default-bind-ciphers {_CIPHERS}",
        f"    ssl-default-bind-ciphersuites {_SUITES}",
    ]


def _defaults() -> list[str]:
    def error(status: int, title: str, text: str) -> str:
        return (
            f'    http-error status {status} content-type "text/html; charset=utf-8" hdr Retry-After 5'
            f" hdr Cache-Control no-store string {page(title, text)}"
        )

    return [
        "defaults",
        "    mode http",
        "    log global",
        "    option dontlognull",
        "    # Idle connections are told to close at a reload, not cut.",
        "    option idle-close-on-response",
        "    option redispatch 1",
        "    retries 3",
        "    retry-on conn-failure empty-response",
        "    load-server-state-from-file global",
        "    timeout connect 3s",
        "    timeout client 60s",
        "    timeout client-fin 30s",
        "    timeout server 60s",
        "    timeout check 5s",
        "    timeout http-request 10s",
        "    timeout http-keep-alive 15s",
        "    timeout queue 10s",
        "    timeout tunnel 1h",
        error(502, "Bad gateway", "The application behind this site broke off its answer. Please try again."),
        error(
            503,
            "Unavailable",
            "The application behind this site is not running at the moment. Please try again in a few seconds.",
        ),
        error(504, "Too slow", "The application behind this site did not answer in time. Please try again."),
    ]


def _resolvers() -> list[str]:
    return [
        "resolvers docker",
        "    nameserver embedded 127.0.0.11:53",
        "    accepted_payload_size 8192",
        "    resolve_retries 3",
        "    timeout resolve 500ms",
        "    timeout retry 1s",
        "    hold valid 1s",
    ]


def _inside(metrics_from: Sequence[str]) -> list[str]:
    lines = ["frontend inside", "    no log"]
    if metrics_from:
        lines += ["    bind 0.0.0.0:8404", "    bind [::]:8404 v6only"]
        sources = " ".join(["127.0.0.1", *metrics_from])
        lines.append(f"    tcp-request connection reject unless {{ src {sources} }}")
    else:
        lines.append("    bind 127.0.0.1:8404")
    return [
        *lines,
        "    monitor-uri /healthz",
        "    http-request use-service prometheus-exporter if { path /metrics }",
        "    stats enable",
        "    stats uri /stats",
    ]


def _figures() -> list[str]:
    """For a monitor, whose address is not known: who mounts the volume reads them, and no network does."""
    return [
        "frontend figures",
        "    no log",
        f"    bind unix@{RUN}/metrics.sock mode 666",
        "    http-request use-service prometheus-exporter if { path /metrics }",
        "    http-request return status 404",
    ]


def _http(domains: Sequence[Domain], access: Access) -> list[str]:
    return [
        "frontend http",
        "    # Two binds: one for both families would show IPv4 visitors as ::ffff:a.b.c.d.",
        "    bind 0.0.0.0:80",
        "    bind [::]:80 v6only",
        *_request_rules("http", domains, access),
        *_to_https([domain for domain in domains if domain.tls]),
        *_to_the_bare_domain("http", [domain for domain in domains if not domain.tls]),
        *_routes([domain for domain in domains if not domain.tls]),
    ]


def _https(domains: Sequence[Domain], crt_list: str, hsts: str | None, access: Access) -> list[str]:
    """Who names no site of this server gets no certificate, and so learns of none."""
    return [
        "frontend https",
        f"    bind 0.0.0.0:443 ssl crt-list {crt_list} strict-sni alpn h2,http/1.1",
        f"    bind [::]:443 v6only ssl crt-list {crt_list} strict-sni alpn h2,http/1.1",
        *_request_rules("https", domains, access),
        *([f'    http-after-response set-header Strict-Transport-Security "{hsts}"'] if hsts else []),
        *_to_the_bare_domain("https", domains),
        *_routes(domains),
    ]


def _request_rules(scheme: str, domains: Sequence[Domain], access: Access) -> list[str]:
    """Who is asked, who asks: the same for every frontend that visitors reach."""
    names = sorted(name for domain in domains for name in domain.names)
    misdirected = page("No such site here", "This server is running, but it serves no site under this name.")
    return [
        "    # Without port and final dot, in lower case.",
        "    http-request set-var(txn.host) req.hdr(host),host_only,lower,rtrim(.)",
        "    http-request set-var(txn.uri) pathq",
        "    http-request capture req.hdr(Referer) len 512",
        "    http-request capture req.hdr(User-Agent) len 512",
        *_acl("served", names),
        *access.rules(domains),
        '    http-request return status 421 content-type "text/html; charset=utf-8"'
        f" hdr Cache-Control no-store string {misdirected}{' unless served' if names else ''}",
        f"    http-request del-header {_FORGEABLE} -m reg",
        "    http-request set-header X-Forwarded-For %[src]",
        f"    http-request set-header X-Forwarded-Proto {scheme}",
    ]


def _to_https(domains: Sequence[Domain]) -> list[str]:
    """Everything but the challenges of ACME, which the proxy itself answers once it knows the account."""
    if not domains:
        return []
    www = sorted(f"www.{domain.name}" for domain in domains if domain.www)
    return [
        *_acl("secure", sorted(name for domain in domains for name in domain.names)),
        *_acl("secure_www", www),
        f"    acl challenge path_reg ^{ACME.replace('.', chr(92) + '.')}[A-Za-z0-9_-]+$",
        f"    http-request set-var(txn.thumbprint) str(thumbprint),map({ACME_MAP}) if challenge",
        "    http-request return status 200 content-type text/plain lf-string"
        ' "%[path,field(4,/)].%[var(txn.thumbprint)]" if secure challenge { var(txn.thumbprint) -m found }',
        *([f"    {_bare('https')} if secure_www"] if www else []),
        "    http-request redirect prefix https://%[var(txn.host)] code 301 if secure",
    ]


def _to_the_bare_domain(scheme: str, domains: Sequence[Domain]) -> list[str]:
    names = sorted(f"www.{domain.name}" for domain in domains if domain.www)
    return [*_acl("www", names), f"    {_bare(scheme)} if www"] if names else []


def _bare(scheme: str) -> str:
    return f"http-request redirect prefix {scheme}://%[var(txn.host),regsub(^www\\.,)] code 301"


def _routes(domains: Sequence[Domain]) -> list[str]:
    lines = []
    for app in sorted({domain.app for domain in domains}):
        names = sorted(name for domain in domains if domain.app == app for name in domain.names)
        for line in _chunks(names):
            lines.append(f"    use_backend app-{app} if {{ var(txn.host) -m str {line} }}")
    return lines


def _application(domain: Domain) -> list[str]:
    return [
        f"backend app-{domain.app}",
        "    # A request that changes something is not sent twice: a broken answer to it is a 502.",
        "    http-request disable-l7-retry unless { method GET HEAD OPTIONS PUT DELETE TRACE }",
        "    option httpchk",
        f"    http-check send meth GET uri {domain.path} ver HTTP/1.1 hdr Host {domain.name}"
        " hdr User-Agent apiary-health hdr Connection close",
        f"    http-check expect status {domain.status}",
        f"    server-template {domain.app}- {SLOTS} {domain.app}:{domain.port} check inter 1s fastinter 500ms"
        f" downinter 500ms rise 1 fall 3 {_RESOLVED}",
    ]


def _acl(name: str, values: Sequence[str]) -> list[str]:
    return [f"    acl {name} var(txn.host) -m str {line}" for line in _chunks(values)]


def _chunks(values: Sequence[str]) -> Iterable[str]:
    return (" ".join(values[at : at + NAMES_A_LINE]) for at in range(0, len(values), NAMES_A_LINE))
