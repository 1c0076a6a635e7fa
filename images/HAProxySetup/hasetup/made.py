"""What a configuration was made of, in a line of its own text: so neither is ever there without the other. Pure."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hasetup.access import Access
from hasetup.domains import Domain
from hasetup.site import Site

MARK = "# Made of: "


@dataclass(frozen=True)
class Made:
    """What `config.render` takes, and says of it."""

    domains: tuple[Domain, ...] = ()
    crt_list: str | None = None
    hsts: str | None = None
    metrics_from: tuple[str, ...] = ()
    access: Access = Access()  # noqa: RUF009 - it can't be changed
    passwords: Mapping[str, Mapping[str, str]] = dataclasses.field(default_factory=dict)  # hashes


def line(made: Made) -> str:
    """The line that says it."""
    return MARK + json.dumps(_said(made), sort_keys=True, separators=(",", ":"))


def read(text: str) -> Made | None:
    """What the configuration `text` was made of; None where it says nothing, or what this hasetup does not know."""
    said = next((line.removeprefix(MARK) for line in text.splitlines() if line.startswith(MARK)), None)
    if said is None:
        return None
    try:
        raw = json.loads(said)
        domains = tuple(
            Domain(**{**_tuples(one), "site": Site(**_tuples(one.get("site", {})))}) for one in raw.get("domains", [])
        )
        return Made(**{**_tuples(raw), "domains": domains, "access": Access(**raw.get("access", {}))})
    except (ValueError, TypeError, AttributeError):
        return None


def _said(one: Any) -> dict[str, Any]:  # noqa: ANN401 - any of the classes above
    """Its fields that are not as they are without being said."""
    usual = {
        field.name: field.default_factory() if field.default_factory is not dataclasses.MISSING else field.default
        for field in dataclasses.fields(one)
    }
    return {name: _plain(value) for name, value in vars(one).items() if value != usual[name]}


def _plain(value: Any) -> Any:  # noqa: ANN401 - what a field holds
    if dataclasses.is_dataclass(value):
        return _said(value)
    return [_plain(one) for one in value] if isinstance(value, tuple) else value


def _tuples(raw: Mapping[str, Any]) -> dict[str, Any]:
    """The same with what JSON knows as lists."""

    def frozen(value: Any) -> Any:  # noqa: ANN401 - what JSON holds
        return tuple(frozen(one) for one in value) if isinstance(value, list) else value

    return {key: frozen(value) for key, value in raw.items()}
