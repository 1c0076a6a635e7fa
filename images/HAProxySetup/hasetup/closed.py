"""A site that is closed to visitors stays so when its application gets another name.

What is closed is said by application, in a map that `apiary-maintenance` on the host writes. An application that is
gone and one that is new, to which the same names lead, are one by another name. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

# As `routes.answering` has them: the application, its host names or their pattern, and the path.
_LEADS = re.compile(
    r"^ +http-request set-var\(txn\.app\) str\(([^)]+)\) if \{ \S+ -m (str|reg) ([^}]+) \}(.*)$", re.MULTILINE
)


def renamed(before: str, text: str) -> list[tuple[str, str]]:
    """The applications by their former names and their new ones, of a configuration and the one that follows it."""
    old, new = _names(before), _names(text)
    return [
        (was, now)
        for was in sorted(old.keys() - new.keys())
        for now in sorted(new.keys() - old.keys())
        if old[was] & new[now]
    ]


def _names(text: str) -> Mapping[str, set[str]]:
    """What leads to each application: a host name or a pattern, with the path."""
    found: dict[str, set[str]] = {}
    for app, kind, hosts, path in _LEADS.findall(text):
        found.setdefault(app, set()).update(f"{host}{path}" for host in (hosts.split() if kind == "str" else [hosts]))
    return found


def carried(entries: str, names: list[tuple[str, str]]) -> str:
    """The map in which what was closed by a former name is closed by the new one too."""
    return _spelt({**_read(entries), **dict(_moved(entries, names))})


def dropped(entries: str, names: list[tuple[str, str]]) -> str:
    """The map without the former names."""
    gone = {was for was, _ in names}
    return _spelt({key: value for key, value in _read(entries).items() if key.partition("@")[0] not in gone})


def _moved(entries: str, names: list[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """`shop SINCE` and `shop@ADDRESS let-in`, by the new names."""
    for was, now in names:
        for key, value in _read(entries).items():
            app, sign, visitor = key.partition("@")
            if app == was:
                yield f"{now}{sign}{visitor}", value


def _read(entries: str) -> dict[str, str]:
    return {words[0]: words[1] for line in entries.splitlines() if len(words := line.split()) == 2}


def _spelt(entries: Mapping[str, str]) -> str:
    return "".join(f"{key} {value}\n" for key, value in sorted(entries.items()))
