"""What a site asks for, in the proxy's words: the lines of its application's backend, and the sections beside it. Pure.

Whoever is refused is refused with the reason only while the application is healthy: what is down says so to everybody,
and a refusal proves that it is not.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from hasetup.pages import refused
from hasetup.site import TIMEOUT_SECONDS, Site

if TYPE_CHECKING:
    from hasetup.domains import Domain

TUNNEL_SECONDS = 3600  # as the defaults have it (config.py), for a WebSocket: for it this counts alone
VISITORS = 100_000  # that are counted at a time, of each application; some 60 bytes each
NETWORKS_A_LINE = 8  # of at most 64 words
AGENT = "apiary-health"  # as whoever looks after a site calls himself
# Written by apiary-maintenance: `shop SINCE`, and `shop@ADDRESS let-in` for visitors that may come all the same.
MAINTENANCE_MAP = "/etc/haproxy/maintenance.map"
MAINTENANCE_SECONDS = 120
MAINTENANCE_SIGN = "Apiary-State"
# Whose password has been right is not asked again for so long: to look at a hash takes some milliseconds of all sites.
KNOWN_MINUTES, KNOWN = 60, 10_000
GUESSES, GUESS_SECONDS = 10, 10  # wrong passwords of one visitor, who then waits
BODY_SECONDS = 10  # until something comes of what a visitor has announced; else he is cut off
COOKIE = "apiary_sticky"
COMPRESSED = (
    "text/html text/css text/plain text/javascript text/xml text/csv text/markdown text/vtt application/javascript "
    "application/json application/ld+json application/manifest+json application/xml application/rss+xml "
    "application/atom+xml application/xhtml+xml application/wasm image/svg+xml font/ttf font/otf"
)
# Name, value, and what else says that the application has decided it itself.
_HEADERS = (
    ("X-Content-Type-Options", "nosniff", ""),
    ("Referrer-Policy", "strict-origin-when-cross-origin", ""),
    ("X-Frame-Options", "SAMEORIGIN", " || { res.hdr(Content-Security-Policy) -m sub -i frame-ancestors }"),
)
# One visitor of IPv6 has a /64.
_VISITOR = "src,ipmask(32,64)"
# Of several the first, as http_auth has it.
_CREDENTIALS = "req.fhdr(Authorization,1),sha2(256)"
_DOWN = "http-request deny deny_status 503"  # with the page that says so


def beside(app: str, domains: Sequence[Domain], passwords: Mapping[str, Mapping[str, str]]) -> Iterator[list[str]]:
    """The sections that the backend refers to."""
    users = domains[0].site.password
    if users:
        yield [f"userlist password-{app}", *(f"    user {user} password {passwords[app][user]}" for user in users)]
        known = f"    stick-table type binary len 32 size {KNOWN} expire {KNOWN_MINUTES}m store gpt0"
        yield [f"backend known-{app}", known]
        guesses = f"store gpc0_rate({GUESS_SECONDS}s)"
        yield [f"backend guesses-{app}", f"    stick-table type ipv6 size {KNOWN} expire {GUESS_SECONDS}s {guesses}"]


def within(app: str, domains: Sequence[Domain]) -> Iterator[str]:
    """The lines of the backend, before those that reach the application."""
    site = domains[0].site
    if site.timeout != TIMEOUT_SECONDS:
        yield f"    timeout server {site.timeout}s"
    if site.timeout > TUNNEL_SECONDS:
        yield f"    timeout tunnel {site.timeout}s"
    yield from _maintenance(app, domains)
    yield from _who(app, site)
    if site.password:
        yield from _password(app)
    yield from _size(site)
    if site.strip:
        yield from _strip({domain.below for domain in domains if domain.below})
    if site.sticky:
        yield from _sticky(secure=domains[0].tls)
    if site.compress:
        yield from _compress()
    if site.security_headers:
        for name, value, own in _HEADERS:
            yield f"    http-after-response set-header {name} {value} unless {{ res.hdr({name}) -m found }}{own}"


def visitor(app: str, site: Site) -> Iterator[str]:
    """The lines of a frontend by which the visitor is whom a trusted proxy names."""
    if site.trusted_proxies:
        yield from _networks(f"before-{app}", site.trusted_proxies)
        mine = f"{{ var(txn.app) -m str {app} }}"
        yield f"    http-request set-src hdr_ip(X-Forwarded-For,-1) if before-{app} {mine}"


def _maintenance(app: str, domains: Sequence[Domain]) -> Iterator[str]:
    """Whoever looks after the site, as AGENT and by its own path, sees the application itself, and is told."""
    yield f"    acl maintained str({app}),map({MAINTENANCE_MAP}) -m found"
    yield f"    http-request set-var(txn.visitor) {_VISITOR} if maintained"
    yield f"    acl let-in str({app}@),concat(,txn.visitor),map({MAINTENANCE_MAP}) -m found"
    for path in sorted({domain.visited for domain in domains}):
        yield f"    acl looked-at var(txn.uri) -m str {path}"
    yield "    http-request set-var(txn.closed) bool(true) if maintained !let-in"
    looked_at = f"looked-at {{ method GET }} {{ req.hdr(User-Agent) -m str {AGENT} }}"
    yield f"    http-request set-var(txn.closed) bool(false) if maintained {looked_at}"
    text = "This site is being worked on, and will be back soon."
    closed = "if { var(txn.closed) -m bool }"
    yield from refused(closed, 503, "Under maintenance", text, again=MAINTENANCE_SECONDS)
    yield f"    http-response set-header {MAINTENANCE_SIGN} maintenance if maintained"


def _who(app: str, site: Site) -> Iterator[str]:
    if site.allow_from:
        yield from _networks("allowed", site.allow_from)
        text = "This site is not for everybody, and your address is none of those that may come."
        yield from refused(f"if {_serves(app)} !allowed", 403, "Not for you", text)
        yield f"    {_DOWN} if !allowed"
    if site.rate_limit:
        requests, seconds = site.rate_limit
        yield f"    stick-table type ipv6 size {VISITORS} expire {seconds}s store gpc0,gpc0_rate({seconds}s)"
        yield f"    http-request track-sc0 {_VISITOR}"
        text = "You have asked this site more often than it answers one visitor. Please wait a moment."
        often = f"if {_serves(app)} {{ sc0_gpc0_rate ge {requests} }}"
        yield from refused(often, 429, "Too many requests", text, again=seconds)
        # Who is refused is not counted: whoever keeps asking is let in as often as everybody.
        yield "    http-request sc-inc-gpc0(0)"


def _password(app: str) -> Iterator[str]:
    """Each hash is looked at once: what was right is known again by a digest, what was wrong is counted."""
    unknown = "!{ var(txn.known) -m bool }"
    given = "{ req.hdr(Authorization) -m found }"
    yield f"    http-request set-var(txn.known) bool(true) if {{ {_CREDENTIALS},in_table(known-{app}) }}"
    yield f"    http-request track-sc1 {_VISITOR} table guesses-{app} if {unknown} {given}"
    text = "You have given too many wrong passwords. Please wait a moment."
    often = f"if {_serves(app)} {unknown} {{ sc1_gpc0_rate(guesses-{app}) ge {GUESSES} }}"
    yield from refused(often, 429, "Too many wrong passwords", text, again=GUESS_SECONDS)
    yield f"    http-request set-var(txn.known) bool(true) if {unknown} {{ http_auth(password-{app}) }}"
    yield f"    http-request sc-inc-gpc0(1) if {unknown} {given}"
    asks = 'WWW-Authenticate: Basic realm="%[var(txn.host)]", charset="UTF-8"'
    text = "This site asks for a name and a password."
    yield from refused(f"if {_serves(app)} {unknown}", 401, "Who are you?", text, more=asks)
    yield f"    {_DOWN} if {unknown}"
    yield f"    http-request track-sc2 {_CREDENTIALS} table known-{app}"
    yield "    http-request del-header Authorization"


def _size(site: Site) -> Iterator[str]:
    if site.body_limit is not None:
        text = "What you send is larger than this site takes."
        # Not req.body_size, which over HTTP/2 is what has arrived by then.
        limit = f"{{ req.hdr_val(Content-Length) gt {site.body_limit} }}"
        yield from refused(f"if {limit}", 413, "Too large", text)
        text = "This site takes nothing of which is not said beforehand how large it is."
        # HTTP/2 has no such header; what such methods bring is said by its length there, also if it is nothing.
        unsaid = "{ req.ver 2.0 } !{ req.hdr(Content-Length) -m found }"
        bring = "{ method POST PUT PATCH }"
        condition = f"if {{ req.hdr(Transfer-Encoding) -m found }} or {unsaid} {bring}"
        yield from refused(condition, 411, "Length required", text)
        # Of all others it shows when something comes. Upgrade is only there for a WebSocket, which has yet to be taken.
        others = f"{unsaid} !{bring} !{{ req.hdr(Upgrade) -m found }}"
        yield f"    http-request wait-for-body time {BODY_SECONDS}s at-least 1 if {others}"
        yield from refused(f"if {others} {{ req.body_len gt 0 }}", 411, "Length required", text)


def _strip(paths: set[str]) -> Iterator[str]:
    for path in sorted(paths):
        here = f"if {{ var(txn.below) -m str {path} }}"
        yield f"    http-request set-header X-Forwarded-Prefix {path} {here}"
        yield f"    http-request replace-path '^{re.escape(path)}/*(.*)$' '/\\1' {here}"


def _sticky(*, secure: bool) -> Iterator[str]:
    """One of 4,096 numbers, and by it a container: a container that goes takes no other one's visitors along, and its
    own go elsewhere at once.
    """
    kept = f"{{ req.cook({COOKIE}) -m reg ^[0-9a-f]{{3}}$ }}"
    yield f"    http-request set-var(txn.sticky) req.cook({COOKIE}) if {kept}"
    yield "    http-request set-var(txn.fresh) uuid,bytes(0,3) if !{ var(txn.sticky) -m found }"
    yield "    http-request set-var(txn.sticky) var(txn.fresh) if { var(txn.fresh) -m found }"
    yield "    balance hash var(txn.sticky)"
    yield "    hash-type consistent"
    cookie = f"{COOKIE}=%[var(txn.fresh)]; Path=/; HttpOnly; SameSite=Lax{'; Secure' if secure else ''}"
    yield f'    http-response add-header Set-Cookie "{cookie}" if {{ var(txn.fresh) -m found }}'


def _compress() -> Iterator[str]:
    yield "    filter compression"
    yield "    compression algo gzip"
    yield f"    compression type {COMPRESSED}"


def _serves(app: str) -> str:
    return f"{{ nbsrv(app-{app}) gt 0 }}"


def _networks(name: str, networks: Sequence[str]) -> Iterator[str]:
    for at in range(0, len(networks), NETWORKS_A_LINE):
        yield f"    acl {name} src {' '.join(networks[at : at + NETWORKS_A_LINE])}"
