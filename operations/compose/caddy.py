"""What a service's labels tell caddy-docker-proxy: a Caddyfile, a label a directive.

https://github.com/lucaslorentz/caddy-docker-proxy and https://caddyserver.com/docs/caddyfile/directives.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping

from operations.coming.entries import Path
from operations.coming.errors import Wrong
from operations.compose import forms, proxied
from operations.compose.proxied import ASKED, BY_CERTIFICATE, HASHED, NO_WORD, PATHS, Said

_LABEL = re.compile(r"caddy(?:_\d+)?", re.IGNORECASE)
_UPSTREAM = re.compile(r"(?P<matcher>(?:/\S*|\*|@\S+)\s+)?\{\{\s*upstreams(?:\s+(?P<scheme>https?|h2c))?"
                       r"(?:\s+(?P<port>\d+))?\s*\}\}")  # fmt: skip
_ORDER = re.compile(r"^\d+_")
_HTTP_ALONE = "the proxy here speaks http with containers; have it listen so, or leave it out"
Row = Callable[[Said, str, Path], None]


def read(said: Said, labels: Iterable[tuple[str, str, Path]]) -> None:
    """Read a service's labels, site by site."""
    sites: dict[str, list[tuple[str, str, Path]]] = {}
    for label, value, at in labels:
        head, _, below = label.partition(".")
        sites.setdefault(head.lower(), []).append((below, value, at))
    for head, lines in sites.items():
        own = Said(said.told)
        address = next((line for line in lines if not line[0]), None)
        if not _LABEL.fullmatch(head) or address is None or address[1].startswith("("):
            for _, _, at in lines:
                said.told.cannot(at, "snippets and routes are not converted; write what they do with the site itself")
            continue
        _site(own, address, [line for line in lines if line[0]])
        said.hosts |= {host: at for host, at in own.hosts.items() if host not in said.hosts}
        said.moved |= own.moved
        said.ports |= own.ports
        said.also(own)
        said.health = said.health or own.health


def _site(said: Said, address: tuple[str, str, Path], lines: Iterable[tuple[str, str, Path]]) -> None:
    _, names, at = address
    for name in re.split(r"[,\s]+", names.strip()):
        host, slash, path = re.sub(r"^https?://", "", name).partition("/")
        if slash and path not in ("", "*"):
            said.told.cannot(at, f"{name}: {PATHS}")
        else:
            said.host(re.sub(r":(?:80|443)$", "", host), at)
    said.told.becomes(at, "env.domains")
    for below, value, place in lines:
        directive = ".".join(_ORDER.sub("", part) for part in below.lower().split("."))
        row = next((row for start, row in _ROWS.items() if re.fullmatch(start, directive)), None)
        try:
            (row or _refused(NO_WORD))(said, value, place)
        except Wrong as error:
            said.told.cannot(place, str(error))


def _proxy(said: Said, value: str, at: Path) -> None:
    match = _UPSTREAM.fullmatch(value.strip())
    if match is None:
        raise Wrong(f"{value} is not converted; write {{{{upstreams 8080}}}}, or leave it out by --leave-out")
    if match["matcher"] and match["matcher"].strip() not in ("*", "/*"):
        raise Wrong(f"{value}: {PATHS}")
    if match["scheme"] not in (None, "http"):
        raise Wrong(_HTTP_ALONE)
    if match["port"]:
        said.ports.setdefault(match["port"], at)
    said.told.becomes(at, "env.http_port")


def _move(said: Said, value: str, at: Path) -> None:
    to = proxied.moved_to(value.split(maxsplit=1)[0]) if value.split() else None
    if to is None:
        raise Wrong(f"{value} is not converted; write it into redirects of the server, and leave it out")
    for host in list(said.hosts):
        said.move(host, to, at)


def _timeout(said: Said, value: str, at: Path) -> None:
    said.word("timeout", max(1, round(forms.seconds(value))), at)


def _transport(said: Said, value: str, at: Path) -> None:
    if value.strip().lower() not in ("", "http"):
        raise Wrong(_HTTP_ALONE)
    said.told.needless(at, "the proxy speaks http with it")


def _health(said: Said, value: str, at: Path) -> None:
    said.health = value
    said.told.becomes(at, f"health: {{path: {value}}}")


def _compressed(said: Said, _: str, at: Path) -> None:
    said.told.needless(at, "text is compressed anyway")


def _needless(why: str) -> Row:
    return lambda said, _, at: said.told.needless(at, why)


def _refused(why: str) -> Row:
    def row(_: Said, __: str, ___: Path) -> None:
        raise Wrong(why)

    return row


# A directive, with what stands below it, as a pattern.
_ROWS: Mapping[str, Row] = {
    r"reverse_proxy": _proxy,
    r"reverse_proxy\.transport": _transport,
    r"reverse_proxy\.transport\.response_header_timeout": _timeout,
    r"reverse_proxy\.health_uri": _health,
    r"reverse_proxy\.(?:health_|fail_|max_fails|lb_).*": _needless(
        "there is one container of it, which is asked anyway"
    ),
    r"reverse_proxy\.flush_interval": _needless("answers are handed on as they come"),
    r"reverse_proxy\.trusted_proxies": lambda said, value, at: proxied.networks(
        said, "trusted_proxies", value.replace("private_ranges", "10.0.0.0/8 172.16.0.0/12 192.168.0.0/16"), at
    ),
    r"request_body\.max_size": proxied.body_limit,
    r"redir": _move,
    r"encode(?:\..*)?": _compressed,
    r"tls\.client_auth(?:\..*)?": _refused(BY_CERTIFICATE),
    r"tls(?:\..*)?": _needless(proxied.CERTIFICATES),
    r"log(?:\..*)?": _needless("logs are kept and rotated by the host (docs/logs.md)"),
    r"basic_?auth(?:\..*)?": _refused(HASHED),
    r"forward_auth(?:\..*)?": _refused(ASKED),
    r"(?:handle|handle_path|route|rewrite|uri|root)(?:\..*)?": _refused(PATHS),
}
