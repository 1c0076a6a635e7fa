"""What is asked of the proxy for the visitors of one application, beyond reaching it: read from `site`.

Pure. Leaves alone: the proxy's own words for it (`rules`).
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

Www = Literal["bare", "www", "both", "none"]
TIMEOUT_SECONDS = 60
_USER = re.compile(r"[A-Za-z0-9._@-]{1,64}\Z")


@dataclass(frozen=True)
class Site:
    """What is asked of the proxy for one application."""

    timeout: int = TIMEOUT_SECONDS  # seconds
    body_limit: int | None = None  # bytes
    www: Www = "bare"
    allow_from: tuple[str, ...] = ()  # networks
    rate_limit: tuple[int, int] | None = None  # requests, in so many seconds
    trusted_proxies: tuple[str, ...] = ()  # networks
    password: tuple[str, ...] = ()  # the names of those who have one
    compress: bool = True
    security_headers: bool = False
    strip: bool = False  # the path of a domain, before the application sees it
    sticky: bool = False


def parse(value: object, at: str, errors: list[str]) -> Site:
    """From `{"timeout": 600, "allow_from": ["203.0.113.0/24"]}`; what is wrong is told in `errors`."""
    if not isinstance(value, Mapping):
        errors.append(f"{at}: {value!r} is no object")
        return Site()
    found: dict[str, object] = {}
    for key, given in value.items():
        if key not in _READ:
            errors.append(f"{at}.{key}: is not known; known are {', '.join(sorted(_READ))}")
            continue
        try:
            found[key] = _READ[key](given)
        except ValueError as error:
            errors.append(f"{at}.{key}: {error}")
    return Site(**found)  # type: ignore[arg-type]


def _number(most: int) -> Callable[[object], int]:
    def read(value: object) -> int:
        if type(value) is not int or not 1 <= value <= most:
            raise ValueError(f"{value!r} is not a whole number from 1 to {most}")
        return value

    return read


def _rate(value: object) -> tuple[int, int]:
    if not isinstance(value, Sequence) or len(value) != 2:
        raise ValueError(f"{value!r} is not a number of requests and one of seconds")
    return _number(1_000_000)(value[0]), _number(86400)(value[1])


def _sources(value: object) -> tuple[str, ...]:
    networks = value if isinstance(value, list) else [value]
    return tuple(str(ipaddress.ip_network(str(one))) for one in networks)


def _www(value: object) -> str:
    if value not in ("bare", "www", "both", "none"):
        raise ValueError(f"{value!r} is none of bare, www, both, none")
    return str(value)


def _users(value: object) -> tuple[str, ...]:
    names = value if isinstance(value, list) else [value]
    if wrong := [name for name in names if not (isinstance(name, str) and _USER.match(name))]:
        raise ValueError(f"{wrong[0]!r} is not the name of a user")
    return tuple(names)


def _switch(value: object) -> bool:
    if value is not True and value is not False:
        raise ValueError(f"{value!r} is neither true nor false")
    return value


_READ: Mapping[str, Callable[[object], object]] = {
    "timeout": _number(86400),
    "body_limit": _number(1 << 50),
    "www": _www,
    "allow_from": _sources,
    "rate_limit": _rate,
    "trusted_proxies": _sources,
    "password": _users,
    **dict.fromkeys(("compress", "security_headers", "strip", "sticky"), _switch),
}
