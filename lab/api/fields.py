"""Reading a request's JSON object: each getter checks the type and refuses with the field's name."""

import ipaddress
from collections.abc import Mapping
from typing import Any

from lab.api.errors import refused

JSON = dict[str, Any]


def text(body: Mapping[str, Any], name: str, default: str | None = "") -> str:
    """A string; `default` when absent or null, and with the default None the field is required."""
    value = body.get(name)
    if value is None:
        if default is None:
            raise refused(f"Missing required field: {name}")
        return default
    if not isinstance(value, str):
        raise refused(f"Invalid {name}: must be a string")
    return value


def whole(body: Mapping[str, Any], name: str, default: int | None = None) -> int:
    """A whole number, also one written as a string; required without default."""
    value = body.get(name)
    if value is None:
        if default is None:
            raise refused(f"Missing required field: {name}")
        return default
    if isinstance(value, str) and value.lstrip("-").isdecimal():
        return int(value)
    if not isinstance(value, int) or isinstance(value, bool):
        raise refused(f"Invalid {name}: must be a number")
    return value


def flag(body: Mapping[str, Any], name: str, default: bool = False) -> bool:
    """A boolean; null is the default."""
    value = body.get(name)
    if value is None:
        return default
    if not isinstance(value, bool):
        raise refused(f"Invalid {name}: must be true or false")
    return value


def texts(body: Mapping[str, Any], name: str) -> list[str] | None:
    """A list of strings; None when absent or null."""
    value = body.get(name)
    if value is None:
        return None
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise refused(f"Invalid {name}: must be a list of strings")
    return list(value)


def address(value: str, version: int, name: str = "ip") -> str:
    """An address of this IP version in its canonical spelling."""
    try:
        parsed = ipaddress.ip_address(value)
    except ValueError as error:
        raise refused(f"Invalid {name}: {value!r} is not an IPv{version} address") from error
    if parsed.version != version:
        raise refused(f"Invalid {name}: {value!r} is not an IPv{version} address")
    return str(parsed)


def refuse_undone(body: JSON, *names: str) -> None:
    """ApiError 400 for what the real API does and this region does not; better than to take it and do nothing."""
    for name in names:
        if body.get(name):
            raise refused(f"Invalid {name}: this region does not have it")
