"""The text of haproxy.cfg for a set of domains. Pure: the same domains give the same bytes.

Valid for HAProxy 2.6 (bookworm) and 3.0 (trixie). Leaves alone: which certificate is whose (`certificates`
writes the list that the frontend for https names), and which server of a backend gets visitors (rotation.lua).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

from hasetup import frontends, rules
from hasetup.access import Access
from hasetup.domains import Domain
from hasetup.frontends import HEAD_KIB, HEAD_LINES
from hasetup.made import Made, line
from hasetup.pages import page

# A reload takes the addresses from the saved state, all else comes from the resolver within its first answer.
# Never `libc`: it blocks the check and the start for seconds for each name that is not there (yet), and it
# prefers IPv6, where many applications do not listen.
_RESOLVED = "resolvers docker resolve-prefer ipv4 init-addr last,none"
RUN = "/etc/haproxy/run"
# Decides which servers get visitors. Its digest is in the configuration: another text is a reason to reload.
ROTATION = Path(__file__).with_name("rotation.lua").read_text()
REFUSED = Path(__file__).with_name("refused.lua").read_text()  # answers whoever is refused

# TLS 1.2 with forward secrecy and authenticated encryption, and TLS 1.3.
_CIPHERS = (
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384"
    ":ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305"
)
_SUITES = "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256"


def render(
    domains: Sequence[Domain],
    *,
    crt_list: str | None = None,
    hsts: str | None = None,
    metrics_from: Sequence[str] = (),
    access: Access = Access(),  # noqa: B008 - it can't be changed
    passwords: Mapping[str, Mapping[str, str]] = {},
) -> str:
    """The whole configuration.

    `crt_list`: file that says which certificate is for which name; without it nothing listens for https.
    `hsts`: value of Strict-Transport-Security. `metrics_from`: networks that may read stats and metrics; none
    means this container only. `access`: how requests are logged.
    """
    made = Made(tuple(domains), crt_list, hsts, tuple(metrics_from), access, passwords)
    secure = [domain for domain in domains if domain.tls]
    applications: dict[str, list[Domain]] = {}
    for domain in domains:
        if domain.app:
            applications.setdefault(domain.app, []).append(domain)
    sections = [
        ["# Written by hasetup; the next run overwrites it.", line(made)],
        _global(access),
        _defaults(),
        _resolvers(),
        _inside(metrics_from),
        _figures(),
        *(frontends.http(domains, access, way) for way in access.ways),
        *(frontends.https(secure, crt_list, hsts, access, way) for way in access.ways if crt_list),
        *(section for app in sorted(applications) for section in rules.beside(app, applications[app], passwords)),
        *(_application(applications[app]) for app in sorted(applications)),
    ]
    return "\n\n".join("\n".join(section) for section in sections) + "\n"


def _global(access: Access) -> list[str]:
    return [
        "global",
        *access.globals(),
        "    maxconn 4000",
        "    # A head of a request or an answer lies in one buffer, with room for what is added.",
        f"    tune.bufsize {(HEAD_KIB + 32) << 10}",
        "    tune.maxrewrite 8192",
        f"    tune.http.maxhdr {2 * HEAD_LINES}",
        "    # How long a reload leaves the old worker to what it still transfers.",
        "    hard-stop-after 1h",
        f"    stats socket {RUN}/admin.sock mode 660 level admin expose-fd listeners",
        "    stats timeout 1m",
        f"    server-state-file {RUN}/state",
        f"    # rotation.lua is {hashlib.sha256(ROTATION.encode()).hexdigest()[:12]}.",
        "    lua-load /etc/haproxy/rotation.lua",
        f"    # refused.lua is {hashlib.sha256(REFUSED.encode()).hexdigest()[:12]}.",
        "    lua-load /etc/haproxy/refused.lua",
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
        error(
            502,
            "Bad gateway",
            "The application behind this site broke off its answer, or gave it a head of more than "
            f"{HEAD_KIB} kB or {HEAD_LINES} lines. Please try again.",
        ),
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


def _application(domains: Sequence[Domain]) -> list[str]:
    domain = domains[0]
    return [
        f"backend app-{domain.app}",
        "    # Nobody is told that it is down before it has been asked (rotation.lua).",
        "    http-request lua.first_check if !{ nbsrv gt 0 }",
        *rules.within(domain.app, domains),
        "    # A request that changes something is not sent twice: a broken answer to it is a 502.",
        "    http-request disable-l7-retry unless { method GET HEAD OPTIONS PUT DELETE TRACE }",
        "    option httpchk",
        f"    http-check send meth GET uri {domain.path} ver HTTP/1.1 hdr Host {domain.asked}"
        f" hdr User-Agent {rules.AGENT} hdr Connection close",
        f"    http-check expect status {domain.status}",
        f"    server-template {domain.app}- {domain.slots} {domain.app}:{domain.port} check inter 1s fastinter 500ms"
        f" downinter 500ms rise 1 fall 3 {_RESOLVED}",
    ]
