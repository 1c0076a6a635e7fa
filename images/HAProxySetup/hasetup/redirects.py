"""Addresses that lead elsewhere: read from a domain's `redirects`, and as lines of a frontend. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from hasetup.domains import Domain

WHOLE = ""  # in the place of a path: the domain with all of its paths
_CHARACTERS = "A-Za-z0-9/._~!$&()+,;=:@%-"
_PATH = re.compile(rf"(?:/[{_CHARACTERS}]*)?\Z")
_TARGET = re.compile(rf"(?:https?://[a-z0-9.:-]+|(?=/))(?:/[{_CHARACTERS}]*)?(?:[?#][{_CHARACTERS}?#]*)?\Z")


def parse(value: object, at: str, errors: list[str]) -> tuple[tuple[str, str], ...]:
    """Path and target of each, sorted, the whole domain last; what is wrong is told in `errors`."""
    if not isinstance(value, Mapping):
        errors.append(f"{at}: {value!r} is no object of path to target")
        return ()
    for path, to in value.items():
        if not _PATH.match(path):
            errors.append(f"{at}: {path!r} is not a path")
        if not (isinstance(to, str) and _TARGET.match(to)):
            errors.append(f"{at}[{path!r}]: {to!r} is neither a URL nor a path")
    return tuple(sorted(value.items(), key=lambda one: (one[0] == WHOLE, one[0])))


def rules(domains: Sequence[Domain]) -> Iterator[str]:
    """The lines of a frontend, one a redirect, after txn.host is set."""
    for domain in domains:
        names = f"{{ var(txn.host) -m str {' '.join(domain.names)} }}"
        for path, to in domain.redirects:
            target = to.replace("%", "%%")
            if path != WHOLE:
                yield f"    http-request redirect location '{target}' code 301 if {names} {{ path -m str '{path}' }}"
            elif _keeps_path(to):
                yield f"    http-request redirect prefix '{target}' code 301 if {names}"
            else:
                yield f"    http-request redirect location '{target}' code 301 if {names}"


def _keeps_path(to: str) -> bool:
    parts = urlsplit(to)
    return not (parts.path or parts.query or parts.fragment)
