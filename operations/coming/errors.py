"""What is wrong with a file that somebody comes with: where, and what to do about it."""

from __future__ import annotations

from collections.abc import Iterable

from settings.errors import Key, Problem, kind_of, path_of, printable, show

__all__ = ["Key", "Problem", "SourceError", "Wrong", "items", "kind_of", "mapping", "path_of", "show", "text", "texts"]


class SourceError(ValueError):
    """Every problem that keeps files from being read; `str()` is one line a problem."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(dict.fromkeys(Problem(one.path, printable(one.message)) for one in problems))
        super().__init__("\n".join(str(problem) for problem in self.problems))


class Wrong(ValueError):
    """A value that is none of those that may stand there; `below` is where in it."""

    def __init__(self, message: str, *below: Key) -> None:
        super().__init__(message)
        self.below = below


def mapping(value: object, example: str) -> dict[str, object]:
    """Return a map; an empty one for nothing. Raises Wrong."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise Wrong(f"must be a map, not {kind_of(value)}; write e.g. {example}")
    return value


def items(value: object, example: str) -> list[object]:
    """Return a list; an empty one for nothing. Raises Wrong."""
    if value is None:
        return []
    if not isinstance(value, list):
        raise Wrong(f"must be a list, not {kind_of(value)}; write e.g. {example}")
    return value


def text(value: object, example: str) -> str:
    """Return text; a number or truth as Compose spells it. Raises Wrong."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return number(value)
    if not isinstance(value, str):
        raise Wrong(f"must be text, not {kind_of(value)}; write e.g. {example}")
    return value


def texts(value: object, example: str) -> list[str]:
    """Return a list of texts; one text alone is a list of one. Raises Wrong."""
    if isinstance(value, (str, int, float)):
        return [text(value, example)]
    found = []
    for index, item in enumerate(items(value, f"[{example}]")):
        if isinstance(item, (dict, list)) or item is None:
            raise Wrong(f"must be text, not {kind_of(item)}; write e.g. {example}", index)
        found.append(text(item, example))
    return found


def number(value: float) -> str:
    """Spell a number as Compose hands it to a container: Go's shortest form (`1.1`, `1e+21`)."""
    if isinstance(value, int):
        return show(value)
    spelt = repr(value)
    if spelt in ("nan", "inf", "-inf"):
        return {"nan": "NaN", "inf": "+Inf", "-inf": "-Inf"}[spelt]
    if "e" in spelt and abs(value) >= 1 and abs(value) < 1e21:
        return f"{value:.0f}"
    mantissa, _, exponent = spelt.partition("e")
    if exponent:
        return f"{mantissa}e{exponent[0] if exponent[0] in '+-' else '+'}{exponent.lstrip('+-').zfill(2)}"
    return mantissa.removesuffix(".0")
