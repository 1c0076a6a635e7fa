"""The environment as typed values. Pure."""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

PRODUCTION = "https://acme-v02.api.letsencrypt.org/directory"
STAGING = "https://acme-staging-v02.api.letsencrypt.org/directory"

_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_DOMAIN = re.compile(rf"(?=.{{1,253}}\Z){_LABEL}(?:\.{_LABEL})+\Z")
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+\Z")
_HOST = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?\Z")


class InputError(ValueError):
    """The environment cannot be used; str() has one line for each thing that is wrong."""


@dataclass(frozen=True)
class Settings:
    """What to obtain, and from whom."""

    domains: Mapping[str, tuple[str, ...]]  # domain -> its names, itself first; those served over https
    proxy: str  # host name of the proxy
    directory: str = PRODUCTION
    directory_ca: str | None = None  # PEM
    email: str | None = None
    eab: tuple[str, str] | None = None  # key id and HMAC key of an external account
    renew_days: int | None = None  # days before its end at which one is renewed; a third of its life when None
    strict: bool = False  # whether a domain that has never had a certificate fails the run
    account_key: str | None = None  # PEM of an RSA key; of one account for several servers, else one is made here
    peers: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # domain -> addresses of its other servers
    obtained_by: Mapping[str, str] = field(
        default_factory=dict
    )  # domain -> the server that obtains it, if not this one


def parse(environment: Mapping[str, str]) -> Settings:
    """Raises InputError with all errors."""
    errors: list[str] = []
    values = {name: value.strip() for name, value in environment.items()}
    domains = _domains(values.get("DOMAINS"), errors)
    proxy = values.get("HAPROXY_CONTAINER", "")
    if not _HOST.match(proxy):
        errors.append("HAPROXY_CONTAINER: names no container; in the stack file write `haproxy_container: $haproxy`")
    test, strict = _flag(values, "TEST", errors), _flag(values, "STRICT", errors)
    directory = values.get("DIRECTORY", "")
    if directory and test:
        errors.append("TEST: means Let's Encrypt's staging, and DIRECTORY names another; leave one out")
    if directory and (urlsplit(directory).scheme != "https" or not urlsplit(directory).hostname):
        errors.append(f"DIRECTORY: {directory!r} is not an https URL; write e.g. {STAGING}")
    ca = values.get("DIRECTORY_CA") or None
    if ca and "-----BEGIN CERTIFICATE-----" not in ca:
        errors.append("DIRECTORY_CA: holds no certificate; give it the authority's certificate as PEM")
    email = values.get("EMAIL") or None
    if email and not _EMAIL.match(email):
        errors.append(f"EMAIL: {email!r} is not an address")
    kid, key = values.get("EAB_KID", ""), values.get("EAB_HMAC_KEY", "")
    if bool(kid) != bool(key):
        errors.append("EAB_KID and EAB_HMAC_KEY: an external account needs both")
    days = values.get("RENEW_DAYS", "")
    if days and not re.fullmatch(r"[0-9]{1,5}", days):
        errors.append(f"RENEW_DAYS: {days!r} is not a number of days")
    account_key = values.get("ACCOUNT_KEY") or None
    if account_key and "PRIVATE KEY-----" not in account_key:
        errors.append("ACCOUNT_KEY: holds no private key; give it one as PEM")
    peers = _peers(values.get("PEERS"), errors)
    obtained_by = _obtained_by(values.get("OBTAINED_BY"), errors)
    if errors:
        raise InputError("\n".join(errors))
    return Settings(
        domains=domains,
        proxy=proxy,
        directory=directory or (STAGING if test else PRODUCTION),
        directory_ca=f"{ca}\n" if ca else None,
        email=email,
        eab=(kid, key) if kid else None,
        renew_days=int(days) if days else None,
        strict=strict,
        account_key=f"{account_key}\n" if account_key else None,
        peers=peers,
        obtained_by=obtained_by,
    )


def slug(directory: str) -> str:
    """A folder's name for an ACME directory: what one authority has issued says nothing about another."""
    url = urlsplit(directory)
    return re.sub(r"[^a-z0-9.]+", "-", f"{url.netloc}{url.path}".lower()).strip("-.")


def _domains(text: str | None, errors: list[str]) -> dict[str, tuple[str, ...]]:
    if text is None:
        errors.append("DOMAINS is not set; in the stack file write `domains: all` in the job's env")
        return {}
    try:
        raw = json.loads(text)
    except ValueError as error:
        errors.append(f"DOMAINS is not JSON: {error}")
        return {}
    if not isinstance(raw, dict) or not all(isinstance(value, dict) for value in raw.values()):
        errors.append('DOMAINS must be a JSON object such as {"example.com": {"www": true, "tls": true}}')
        return {}
    # A path has no certificate of its own, and all names below a domain have one of the stack file.
    hosts = {key.partition("/")[0]: value for key, value in raw.items() if not key.startswith("*.")}
    if bad := sorted(name for name in hosts if not _DOMAIN.match(name)):
        errors.append(f"DOMAINS: no authority gives a certificate to {', '.join(map(repr, bad))}")
    secure = sorted(name for name, value in hosts.items() if value.get("tls") is True)
    return {name: (name, f"www.{name}") if hosts[name].get("www", True) else (name,) for name in secure}


def _peers(text: str | None, errors: list[str]) -> dict[str, tuple[str, ...]]:
    try:
        raw = json.loads(text or "{}")
        return {str(name): tuple(str(ipaddress.ip_address(one)) for one in its) for name, its in raw.items()}
    except (ValueError, AttributeError, TypeError) as error:
        errors.append(f'PEERS: must be a JSON object such as {{"example.com": ["203.0.113.7"]}}: {error}')
        return {}


def _obtained_by(text: str | None, errors: list[str]) -> dict[str, str]:
    try:
        return {str(name): str(ipaddress.ip_address(one)) for name, one in json.loads(text or "{}").items()}
    except (ValueError, AttributeError, TypeError) as error:
        errors.append(f'OBTAINED_BY: must be a JSON object such as {{"example.com": "203.0.113.7"}}: {error}')
        return {}


def _flag(values: Mapping[str, str], name: str, errors: list[str]) -> bool:
    value = values.get(name, "").lower()
    if value not in ("", "true", "false"):
        errors.append(f"{name}: {values[name]!r} is neither true nor false")
    return value == "true"
