"""Which application answers: by the host name, and by the path where several share one. Pure.

Names that are written out win over `*.example.com`, and among paths the longest one wins, on the borders of segments.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from hasetup.pages import refused

if TYPE_CHECKING:
    from hasetup.domains import Domain

# HAProxy reads at most 64 words a line.
NAMES_A_LINE = 8
EVERYTHING = "/"  # as the path of an application that answers all paths
HOST = "var(txn.host)"


def are(names: Iterable[str]) -> Iterator[str]:
    """What is true of a request for one of the names, in as many conditions as it takes, without braces."""
    listed = sorted(set(names))
    exact = [name for name in listed if not name.startswith("*.")]
    for at in range(0, len(exact), NAMES_A_LINE):
        yield f"{HOST} -m str {' '.join(exact[at : at + NAMES_A_LINE])}"
    for name in listed:
        if name.startswith("*."):
            yield f"{HOST} -m reg '^[a-z0-9_-]+{re.escape(name[1:])}$'"


def acl(name: str, names: Iterable[str]) -> list[str]:
    """The lines that give the condition a name."""
    return [f"    acl {name} {condition}" for condition in are(names)]


def names_of(domains: Iterable[Domain]) -> list[str]:
    """Every host name of these, sorted, each once."""
    return sorted({name for domain in domains for name in domain.names})


def answering(domains: Sequence[Domain]) -> Iterator[str]:
    """The lines of a frontend that find the application of a request, in txn.app; where there are paths, the one that
    it was found by in txn.below. What is said later wins.
    """
    apps = [domain for domain in domains if domain.app]
    by_path = any(domain.below for domain in apps)
    if by_path:
        yield "    http-request set-var(txn.way) path,concat(/)"

    def key(domain: Domain) -> tuple[bool, int, str, str]:
        return not domain.is_wildcard, len(domain.below), domain.below, domain.app

    for (_, _, below, app), of in itertools.groupby(sorted(apps, key=key), key):
        way = f" {{ var(txn.way) -m beg {below}/ }}" if below else ""
        for condition in are(name for domain in of for name in domain.names):
            yield f"    http-request set-var(txn.app) str({app}) if {{ {condition} }}{way}"
            if by_path:
                yield f"    http-request set-var(txn.below) str({below or EVERYTHING}) if {{ {condition} }}{way}"


def to_applications(domains: Sequence[Domain]) -> Iterator[str]:
    """The lines of a frontend that lead to them; an address that belongs to none is not found."""
    served = [domain for domain in domains if domain.app]
    whole = {domain.name for domain in served if not domain.below}
    if any(domain.name not in whole for domain in served):
        nothing = "This site has nothing at this address."
        yield from refused("if !{ var(txn.app) -m found }", 404, "Not found", nothing)
    for app in sorted({domain.app for domain in served}):
        yield f"    use_backend app-{app} if {{ var(txn.app) -m str {app} }}"
