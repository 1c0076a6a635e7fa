"""Problems found in a stack file, and the one error that reports them all.

Makes: `Problem`, `SettingsError`, and the small helpers every message is worded with: dotted paths, values
shown safely, "did you mean". Leaves alone: finding problems (see `load`, `plain` and `checks`).
"""

import difflib
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass

Key = str | int

_PLAIN_KEY = re.compile(r"[A-Za-z0-9_$+^-]+")
_SHOWN = 60  # characters of a value that a message repeats


@dataclass(frozen=True, order=True)
class Problem:
    """One thing to put right: where in the stack file, and what is wrong and what to write instead."""

    path: str
    message: str

    def __str__(self) -> str:
        return f"{self.path}: {self.message}"


class SettingsError(ValueError):
    """Every problem of a stack file; `str()` is the whole report, one sorted line a problem."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(sorted({Problem(one.path, printable(one.message)) for one in problems}))
        super().__init__("\n".join(str(problem) for problem in self.problems))


def path_of(*keys: Key) -> str:
    """Spell a path as `pulumi config set --path` does: `servers.web1.os`, `zones["example.com"].ttl`."""
    path = ""
    for key in keys:
        if isinstance(key, int):
            path += f"[{key}]"
        elif _PLAIN_KEY.fullmatch(key):
            path += f".{key}" if path else key
        else:
            path += f"[{show(key)}]"
    return path


def show(value: object) -> str:
    """Spell a value for a message: quoted, on one line, printable, and not longer than a line can bear."""
    if isinstance(value, str):
        cut = value if len(value) <= _SHOWN else value[: _SHOWN - 3] + "..."
        return json.dumps(cut, ensure_ascii=not cut.isprintable())
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        # Python refuses to print integers of thousands of digits.
        return str(value) if abs(value) < 10**20 else "a very large number"
    return repr(value) if isinstance(value, float) else kind_of(value)


def printable(text: str) -> str:
    """Escape what would break a line of the report or its encoding: names in it may hold anything."""
    return "".join(char if char.isprintable() else json.dumps(char)[1:-1] for char in text)


def kind_of(value: object) -> str:
    """Name the kind of a value as YAML read it: `"a whole number"`, `"a list"`."""
    if value is None:
        return "nothing"
    kinds: tuple[tuple[type, str], ...] = (
        (bool, "true or false"),
        (int, "a whole number"),
        (float, "a number"),
        (str, "text"),
        (list, "a list"),
        (dict, "a map"),
    )
    return next((words for kind, words in kinds if isinstance(value, kind)), "a date or other special value")


def closest(word: str, known: Iterable[str], *, cutoff: float = 0.6) -> str | None:
    """Return the known word that `word` most resembles, or None when none is near. `cutoff`: 1.0 is the same."""
    by_lower = {candidate.lower(): candidate for candidate in known}
    found = difflib.get_close_matches(word.lower()[:100], sorted(by_lower), n=1, cutoff=cutoff)
    return by_lower[found[0]] if found else None


def did_you_mean(word: str, known: Iterable[str], *, sign: str = "") -> str:
    """Word the remedy for an unknown name: the nearest known one, else the list of them.

    `sign` is put before each name, so that a reference is suggested as it has to be written.
    """
    names = sorted(set(known))
    if near := closest(word, names):
        return f'did you mean "{sign}{near}"?'
    if not names:
        return "there are none in this stack"
    more = ", ..." if len(names) > 12 else ""
    return "known here: " + ", ".join(f"{sign}{name}" for name in names[:12]) + more
