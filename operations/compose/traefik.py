"""What a service's labels tell Traefik, of version 2 and 3 (and the few of version 1 that say domain and port).

https://doc.traefik.io/traefik/routing/providers/docker/ lists them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from operations.coming.entries import Path
from operations.compose import proxied, traefik_middlewares
from operations.compose.proxied import BY_CERTIFICATE, NO_WORD, PATHS, Said
from operations.compose.traefik_middlewares import Part, Parts

_PART = re.compile(r"traefik\.http\.(routers|services|middlewares)\.([^.]+)\.(.+)", re.IGNORECASE)
_HOST = re.compile(r"Host\(\s*((?:[`\"'][^`\"']+[`\"']\s*,?\s*)+)\)", re.IGNORECASE)
_NAMES = re.compile(r"[`\"']([^`\"']+)[`\"']")
_BELOW = re.compile(r"\s*&&\s*PathPrefix\(\s*[`\"']([^`\"']+)[`\"']\s*\)", re.IGNORECASE)
_WHOLE_PATH = re.compile(r"\s*&&\s*PathPrefix\(\s*[`\"']/[`\"']\s*\)", re.IGNORECASE)


Labels = Iterable[tuple[str, str, Path]]


def parts(labels: Labels) -> Parts:
    """Sort labels by what they are options of; names and options are alike in either case."""
    found: Parts = {}
    for label, value, at in labels:
        if match := _PART.fullmatch(label):
            kind, name, option = (text.lower() for text in match.groups())
            found.setdefault((kind, name), Part()).options[option] = (value, at)
    return found


def read(said: Said, labels: Labels, shared: Parts) -> set[Path]:
    """Read a service's labels; `shared` are the middlewares of all services. Return what was read of others' labels."""
    own = list(labels)
    known = parts(own)
    for label, value, at in own:
        if not _PART.fullmatch(label):
            _other(said, label.lower(), value, at)
    met: set[Path] = set()
    for (kind, name), part in known.items():
        if kind == "routers":
            met |= _router(said, name, part, known, shared)
        elif kind == "services":
            _service(said, part)
    return met


def _other(said: Said, label: str, value: str, at: Path) -> None:
    """A label that stands by itself, or of version 1."""
    if label == "traefik.enable":
        said.is_off = value.lower() != "true"
        said.told.needless(at, "it is a site where it has domains")
    elif label in ("traefik.frontend.rule",) and value.lower().startswith("host:"):
        for host in value[5:].split(","):
            said.host(host.strip(), at)
        said.told.becomes(at, "env.domains")
    elif label == "traefik.port":
        said.ports.setdefault(value, at)
        said.told.becomes(at, "env.http_port")
    elif label.startswith(("traefik.docker.", "traefik.swarm.")) or label in ("traefik.backend", "traefik.tags"):
        said.told.needless(at, "the proxy reaches what it leads to")
    elif label in ("traefik.frontend.entrypoints", "traefik.protocol") and value.lower() != "https":
        said.told.needless(at, proxied.BY_HTTPS)
    elif label.startswith(("traefik.tcp.", "traefik.udp.")):
        said.told.cannot(at, "what is no http is published: write ports; leave it out by --leave-out")
    else:
        said.told.cannot(at, NO_WORD)


# Routers


def _router(said: Said, name: str, part: Part, known: Parts, shared: Parts) -> set[Path]:
    rule, at = part.options.get("rule", ("", ()))
    own = Said(said.told)
    if rule:
        _rule(own, rule, at)
    met = set()
    for option, (value, place) in part.options.items():
        if option == "middlewares":
            met |= traefik_middlewares.read(own, value, place, shared)
        elif option == "service":
            if value.endswith("@internal") or ("services", value.lower().partition("@")[0]) not in known:
                said.told.cannot(place, f"{value} is not the service's own; leave the router out by --leave-out")
            else:
                said.told.becomes(place, "env.http_port")
        elif option == "tls.options" and value.lower().partition("@")[0] != "default":
            said.told.cannot(place, BY_CERTIFICATE)
        elif option == "tls" or option.startswith("tls."):
            said.told.needless(place, proxied.CERTIFICATES)
        elif option in ("entrypoints", "priority", "rulesyntax") or option.startswith("observability"):
            said.told.needless(place, proxied.BY_HTTPS if option == "entrypoints" else "each domain is one site")
        elif option != "rule":
            said.told.cannot(place, NO_WORD)
    if own.below and (said.below == own.below or not said.hosts):
        said.below = own.below
    elif own.below or said.below:
        said.told.cannot(at, f"{rule}: one application is at one path of its domains; leave this router out")
    said.hosts |= {host: where for host, where in own.hosts.items() if host not in said.hosts}
    said.moved |= own.moved
    said.also(own)
    return met


def _rule(said: Said, rule: str, at: Path) -> None:
    """The hosts of a rule, which has to say nothing else."""
    bare = _WHOLE_PATH.sub("", rule)
    for match in _HOST.finditer(bare):
        for host in _NAMES.findall(match[1]):
            said.host(host, at)
    paths = _BELOW.findall(bare)
    rest = re.sub(r"[\s()|]+", "", _HOST.sub("", _BELOW.sub("", bare)))
    # Of several hosts without parentheses only the last one has it.
    is_of_all = len(_HOST.findall(bare)) == 1 or re.search(r"\)\s*\)\s*&&\s*PathPrefix", bare, re.IGNORECASE)
    if not rest and len(paths) == 1 and is_of_all:
        if said.path(paths[0], at):
            said.told.becomes(at, "env.domains")
    elif not rest and not paths:
        said.told.becomes(at, "env.domains")
    elif re.fullmatch(r"\s*PathPrefix\(\s*[`\"']/[`\"']\s*\)\s*", rule, re.IGNORECASE):
        remedy = f"name the one it has by --domain {at[1]}=example.com, and leave this out by --leave-out"
        said.told.cannot(at, f"{rule}: whatever name a visitor asks for, and a site has a domain here; {remedy}")
    elif paths or "path" in rest.lower():
        said.told.cannot(at, f"{rule}: {PATHS}")
    else:
        said.told.cannot(at, f"{rule}: only Host(`...`) is converted; name the domains so, or leave it out")


# Services


def _service(said: Said, part: Part) -> None:
    for option, (value, at) in part.options.items():
        below = option.removeprefix("loadbalancer.")
        if below == "server.port":
            if said.ports and value not in said.ports:
                said.told.cannot(at, f"one application is one site, at port {said.port}; leave this one out")
            else:
                said.ports.setdefault(value, at)
                said.told.becomes(at, "env.http_port")
        elif below == "healthcheck.path" and value.startswith("/"):
            said.health = value
            said.told.becomes(at, f"health: {{path: {value}}}")
        elif below.startswith("healthcheck."):
            said.told.needless(at, "the proxy asks every application, by itself")
        elif (below, value.lower()) in (("server.scheme", "http"), ("passhostheader", "true")):
            said.told.needless(at, "it is so anyway")
        elif below.startswith("responseforwarding."):
            said.told.needless(at, "answers are handed on as they come")
        elif below.startswith("sticky"):
            said.told.needless(at, "there is one container of it, on which everybody stays; else site: {sticky: true}")
        else:
            said.told.cannot(at, NO_WORD)
