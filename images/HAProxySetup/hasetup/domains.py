"""DOMAINS, METRICS_FROM, HSTS and container names as typed values. Pure.

Everything that ends up in the configuration passes here first: a value with a space, a quote or a line break
in it would otherwise be a directive of its own.
"""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from hasetup import redirects
from hasetup.site import Site
from hasetup.site import parse as parse_site

_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_DOMAIN = re.compile(rf"(?=.{{1,253}}\Z){_LABEL}(?:\.{_LABEL})*\Z")
_BELOW = re.compile(r"(?:/(?!\.{1,2}(?:/|\Z))[A-Za-z0-9._~-]+)*\Z")
_CONTAINER = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?\Z")
_PATH = re.compile(r"/[A-Za-z0-9/._~!$&()*+,;=:@%?-]*\Z")
_STATUSES = re.compile(r"[0-9]{3}(?:-[0-9]{3})?(?:,[0-9]{3}(?:-[0-9]{3})?)*\Z")
_HSTS = re.compile(r"(?:max-age=)?([0-9]{1,10})((?:; ?(?:includeSubDomains|preload))*)\Z")
_KEYS = frozenset({"app", "port", "path", "status", "www", "tls", "site", "redirects", "visited", "slots"})


# Addresses that one application can have at a time: twice during a release, and failed releases that wait for the next
# good one to remove them. Of one with replicas it is told.
SLOTS, MOST_SLOTS = 8, 128


class InputError(ValueError):
    """The environment cannot be used; str() has one line for each thing that is wrong."""


@dataclass(frozen=True)
class Domain:
    """One domain, or some of its paths, and the application that serves it or where it leads."""

    name: str  # bare, lower case, without `www.`; `*.example.com` is every name one level below
    app: str  # the application's name, which is its alias on the containers' network; "" when all of it leads elsewhere
    port: int  # 0 then
    path: str = "/"  # asked by the health check
    status: str = "200-399"  # which statuses count as healthy there
    www: bool = True  # answer www.<name> too, with a redirect
    tls: bool = False  # served over https, and over http only sent there
    site: Site = field(default_factory=Site)  # what is done for its visitors
    redirects: tuple[tuple[str, str], ...] = ()  # paths that lead elsewhere, and where to
    below: str = ""  # `/api`: this path and all below it; "" is the whole domain
    visited: str = "/"  # the path by which visitors are asked for it
    slots: int = SLOTS  # how many addresses the application can have at a time

    @property
    def names(self) -> tuple[str, ...]:
        """Every host name under which a visitor may come."""
        return (self.name, f"www.{self.name}") if self.www else (self.name,)

    @property
    def is_wildcard(self) -> bool:
        """Whether it is for every name one level below."""
        return self.name.startswith("*.")

    @property
    def asked(self) -> str:
        """The host name by which it is asked for."""
        return f"apiary-health{self.name[1:]}" if self.is_wildcard else self.name


def parse_domains(text: str | None) -> tuple[Domain, ...]:
    """Domains sorted by name, wildcards last, from
    `{"example.com": {"app": "blog", "port": 8080, "path": "/", "www": true}, "example.com/api": {...}}`.

    `{}` is valid: a server without sites. Raises InputError with all errors.
    """
    if text is None:
        raise InputError("DOMAINS is not set; in the stack file write `domains: all` in the job's env")
    try:
        raw = json.loads(text)
    except ValueError as error:
        raise InputError(f"DOMAINS is not JSON: {error}") from error
    if not isinstance(raw, dict):
        raise InputError(
            "DOMAINS must be a JSON object of domain to application, for example "
            '{"example.com": {"app": "blog", "port": 8080}}'
        )
    errors: list[str] = []
    names = sorted(raw, key=lambda name: (name.startswith("*."), name))
    domains = [domain for name in names if (domain := _domain(name, raw[name], errors))]
    errors += _contradictions(domains)
    if errors:
        raise InputError("\n".join(errors))
    return tuple(domains)


def _domain(key: str, value: object, errors: list[str]) -> Domain | None:
    at = f"DOMAINS[{key!r}]"
    found: list[str] = []
    name, below = _entry(key, at, found)
    if not isinstance(value, dict):
        errors += [*found, f'{at}: must be an object such as {{"app": "blog", "port": 8080}}']
        return None
    if unknown := sorted(set(value) - _KEYS):
        known = ", ".join(sorted(_KEYS))
        found.append(f"{at}: unknown keys {', '.join(unknown)}; known are {known}")
    app, port, path = value.get("app"), value.get("port"), value.get("path", "/")
    status = value.get("status", "200-399")
    www, tls = value.get("www", True), value.get("tls", False)
    leads = redirects.parse(value.get("redirects", {}), f"{at}.redirects", found)
    elsewhere = app is None and port is None and redirects.WHOLE in dict(leads)
    if not (elsewhere or (isinstance(app, str) and _CONTAINER.match(app))):
        found.append(f"{at}.app: {app!r} is not the name of an application")
    if not elsewhere and (type(port) is not int or not 1 <= port <= 65535):
        found.append(f"{at}.port: {port!r} is not a port (1 to 65535)")
    if not (isinstance(path, str) and _PATH.match(path)):
        found.append(f"{at}.path: {path!r} is not a path: it starts with / and has no spaces or quotes")
    if not (isinstance(status, str) and _STATUSES.match(status)):
        found.append(f"{at}.status: {status!r} is not a list of statuses such as 200-399,401")
    if not isinstance(www, bool):
        found.append(f"{at}.www: {www!r} is neither true nor false")
    if not isinstance(tls, bool):
        found.append(f"{at}.tls: {tls!r} is neither true nor false")
    site = parse_site(value.get("site", {}), f"{at}.site", found)
    visited = _visited(value.get("visited", {}), path)
    if not (isinstance(visited, str) and _PATH.match(visited)):
        found.append(f"{at}.visited: {visited!r} is not a path")
    slots = value.get("slots", SLOTS)
    if type(slots) is not int or not 1 <= slots <= MOST_SLOTS:
        found.append(f"{at}.slots: {slots!r} is not a number from 1 to {MOST_SLOTS}")
    if found:
        errors += found
        return None
    served = ("", 0) if elsewhere else (str(app), int(str(port)))
    return Domain(
        name, *served, str(path), str(status), bool(www), bool(tls), site, leads, below, str(visited), int(str(slots))
    )


def _entry(key: str, at: str, found: list[str]) -> tuple[str, str]:
    """The host and the path of `example.com/api`; what is wrong is told in `found`."""
    name, slash, rest = key.partition("/")
    below = slash + rest
    if not _BELOW.match(below):
        found.append(f"{at}: {below!r} is not a path of plain letters between slashes, without one at its end")
    if not _DOMAIN.match(name.removeprefix("*.")):
        found.append(f"{at}: is not a domain name in lower case ASCII (write xn--... for other scripts)")
    return name, below


def _visited(value: object, path: object) -> object:
    """The path by which visitors are asked for it; that of the health check where nothing else is said."""
    return value.get("path", path) if isinstance(value, dict) else value


def _contradictions(domains: list[Domain]) -> list[str]:
    errors: list[str] = []
    first: dict[str, Domain] = {}
    of_name: dict[str, Domain] = {}
    owner: dict[str, str] = {}
    for domain in domains:
        known = first.setdefault(domain.app, domain)
        at = f"DOMAINS[{domain.name + domain.below!r}]"
        if domain.is_wildcard and domain.www:
            errors.append(f"{at}.www: there is no www. of all names below a domain")
        # www is the domain's, which an application may share with others.
        if domain.app and replace(known.site, www="bare") != replace(domain.site, www="bare"):
            errors.append(f"{at}: the site of {domain.app!r} is another one for {known.name!r}")
        if domain.app and (known.port, known.path, known.status) != (domain.port, domain.path, domain.status):
            errors.append(
                f"{at}: application {domain.app!r} is at {domain.port}{domain.path} here"
                f" (healthy: {domain.status}) and at {known.port}{known.path} ({known.status}) for {known.name!r};"
                " one application has one port, path and list of statuses"
            )
        same = of_name.setdefault(domain.name, domain)
        if (same.www, same.tls, same.site.www) != (domain.www, domain.tls, domain.site.www):
            errors.append(f"{at}: www or tls is another one than for {same.name + same.below!r}")
        for name in domain.names:
            if owner.setdefault(name, domain.name) != domain.name:
                errors.append(f"{at}: {name} is already answered for {owner[name]!r}")
    return errors


def parse_container(variable: str, environment: Mapping[str, str]) -> str | None:
    """Host name of a container from the environment, None when the variable is unset or empty."""
    value = environment.get(variable, "").strip()
    if not value:
        return None
    if not _CONTAINER.match(value):
        raise InputError(f"{variable}: {value!r} is not the name of a container")
    return value


def parse_networks(text: str) -> tuple[str, ...]:
    """Networks from `172.30.0.0/24,2001:db8::/96`, in their canonical spelling. Raises InputError."""
    networks: list[str] = []
    for word in text.replace(",", " ").split():
        try:
            networks.append(str(ipaddress.ip_network(word)))
        except ValueError as error:
            raise InputError(f"METRICS_FROM: {error}") from error
    return tuple(networks)


def parse_hsts(text: str) -> str | None:
    """The value of Strict-Transport-Security from `31536000` or `31536000; includeSubDomains`; None when empty."""
    if not text.strip():
        return None
    match = _HSTS.match(text.strip())
    if match is None:
        raise InputError(
            f"HSTS: {text!r} is not a time in seconds; write e.g. 31536000 or '31536000; includeSubDomains; preload'"
        )
    return f"max-age={match[1]}{match[2].replace('; ', ';').replace(';', '; ')}"
