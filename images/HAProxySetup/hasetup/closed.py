"""A site that is closed to visitors stays so, whichever application it is led to by another name.

What is closed is said by application, in a map that `apiary-maintenance` on the host writes. An application is known
again by what leads to it: one that has nothing left of its own and answers what others answered, be its name new or one
of theirs, is closed if it was, or if one of them was. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

# As `routes.answering` has them: the application, its host names or their pattern, and the path.
_LEADS = re.compile(
    r"^ +http-request set-var\(txn\.app\) str\(([^)]+)\) if \{ \S+ -m (str|reg) ([^}]+) \}(.*)$", re.MULTILINE
)


def carried(entries: str, before: Sequence[str], text: str) -> str:
    """The map for the configuration `text`, which follows those of `before`, of which the last one is the newest: also
    with what is closed by names that are gone, since the proxy may refuse it. An entry of a name that none of them has
    is of an application that is no more.
    """
    old, new = {app: leads for one in before for app, leads in _names(one).items()}, _names(text)
    former = {lead: app for one in before for app, leads in _names(one).items() for lead in leads}
    known = {key: value for key, value in _read(entries).items() if not old or _app(key) in old or _app(key) not in new}
    made = dict(known)
    for app, leads in new.items():
        heirs = {former[lead] for lead in leads if lead in former}
        if app not in heirs and app not in known:
            for key, value in known.items():
                if _app(key) in heirs:
                    made.setdefault(f"{app}{key.removeprefix(_app(key))}", value)
    return _spelt(made)


def dropped(entries: str, text: str) -> str:
    """The map without applications that `text` does not lead to: another one may have their names some day."""
    served = _names(text)
    return _spelt({key: value for key, value in _read(entries).items() if _app(key) in served})


def _names(text: str) -> Mapping[str, set[str]]:
    """What leads to each application: a host name or a pattern, with the path."""
    found: dict[str, set[str]] = {}
    for app, kind, hosts, path in _LEADS.findall(text):
        found.setdefault(app, set()).update(f"{host}{path}" for host in (hosts.split() if kind == "str" else [hosts]))
    return found


def _app(key: str) -> str:
    """Whose a line is: `shop SINCE`, or `shop@ADDRESS let-in`."""
    return key.partition("@")[0]


def _read(entries: str) -> dict[str, str]:
    return {words[0]: words[1] for line in entries.splitlines() if len(words := line.split()) == 2}


def _spelt(entries: Mapping[str, str]) -> str:
    return "".join(f"{key} {value}\n" for key, value in sorted(entries.items()))
