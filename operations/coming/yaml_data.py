"""YAML as those read it who wrote it: Compose by go-yaml's version 3, Bee2 by Ruby's Psych.

Makes: `documents`, from text to plain data. `22:22` is text and `022` is eighteen; `yes` is text for Compose, and true
for Ruby; `!reset` and `!override` are kept for Compose's merge. Leaves alone: what the data mean.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from operations.coming.errors import Key, Problem, SourceError, path_of

_MOST = 200_000  # values, aliases counted each time: anchors can make data without an end
_DEEPEST = 60
_STANDARD = "tag:yaml.org,2002:"
_PLAIN = "plain"
_NULLS = ("", "~", "null", "Null", "NULL")
_TRUTHS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_RUBYS = {
    spelt: truth
    for truth, words in ((True, ("yes", "on", "true")), (False, ("no", "off", "false")))
    for word in words
    for spelt in (word, word.capitalize(), word.upper())
}
_SIXTIES = re.compile(r"[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9_]*)?")
_INTEGER = re.compile(r"[-+]?(?:0b[01_]+|0o?[0-7_]+|0x[0-9a-fA-F_]+|[0-9][0-9_]*)")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9][0-9_]*(?:\.[0-9_]*)?)(?:[eE][-+]?[0-9]+)?")


@dataclass(frozen=True)
class Reset:
    """`!reset`: what the files before said goes."""


@dataclass(frozen=True)
class Override:
    """`!override`: this takes the place of what the files before said."""

    value: object


# The one in C is ten times as fast, where there is one.
_Safe: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Loader(_Safe):  # type: ignore[misc]
    """Composes only, and leaves what stands without quotes to `_scalar`."""

    def resolve(self, kind: type[yaml.Node], value: str, implicit: object) -> str:
        if kind is yaml.ScalarNode and isinstance(implicit, tuple) and implicit[0]:
            return _PLAIN
        return str(super().resolve(kind, value, implicit))


def documents(source: str, name: str, *, of_ruby: bool = False) -> list[object]:
    """Return the data of each document of a file. Raises SourceError, whose paths begin with `name`."""
    try:
        nodes = list(yaml.compose_all(source, Loader=_Loader))
    except yaml.MarkedYAMLError as error:
        line = f" in line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise SourceError([Problem(name, f"is not YAML{line}: {error.problem}; correct that line")]) from error
    except (yaml.YAMLError, ValueError) as error:
        raise SourceError([Problem(name, f"is not YAML: {error}; correct it")]) from error
    except RecursionError as error:
        raise SourceError([Problem(name, "is nested too deep; write it flatter")]) from error
    reading = _Reading(name, of_ruby=of_ruby)
    found = [reading.value(node, ()) for node in nodes if node is not None]
    if reading.problems:
        raise SourceError(reading.problems)
    return found


class _Reading:
    def __init__(self, name: str, *, of_ruby: bool) -> None:
        self.problems: list[Problem] = []
        self._name = name
        self._of_ruby = of_ruby
        self._count = 0
        self._open: set[int] = set()

    def _refuse(self, path: tuple[Key, ...], message: str) -> None:
        self.problems.append(Problem(f"{self._name}: {path_of(*path)}" if path else self._name, message))

    def value(self, node: yaml.Node, path: tuple[Key, ...]) -> object:
        self._count += 1
        if self._count > _MOST or len(path) > _DEEPEST or id(node) in self._open:
            if not self.problems:
                self._refuse(path, "anchors make this endless or too large; write it out")
            return None
        if node.tag == "!reset" and not self._of_ruby:
            return Reset()
        self._open.add(id(node))
        made = self._made(node, path)
        self._open.discard(id(node))
        if node.tag == "!override" and not self._of_ruby:
            return Override(made)
        if not node.tag.startswith(_STANDARD) and node.tag not in (_PLAIN, "!"):
            self._refuse(
                path, f"{node.tag} is not a tag that {'Bee2' if self._of_ruby else 'Compose'} knows; take it out"
            )
        return made

    def _made(self, node: yaml.Node, path: tuple[Key, ...]) -> object:
        if isinstance(node, yaml.ScalarNode):
            if self._of_ruby and node.tag == _PLAIN and _SIXTIES.fullmatch(node.value):
                self._refuse(
                    path, f"Ruby reads {node.value} as a number to the base of 60; write in quotes what is meant"
                )
            return _scalar(node, _RUBYS if self._of_ruby else _TRUTHS)
        if isinstance(node, yaml.SequenceNode):
            return [self.value(item, (*path, index)) for index, item in enumerate(node.value)]
        return self._map(node, path)

    def _map(self, node: yaml.Node, path: tuple[Key, ...]) -> dict[str, object]:
        own: dict[str, object] = {}
        merged: dict[str, object] = {}
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                self._refuse(path, "a key here is no plain text; write a name")
            elif key.tag in (_PLAIN, f"{_STANDARD}merge") and key.value == "<<":
                for one in self._merged(value, path):
                    merged = {**one, **merged}
            elif key.value in own:
                self._refuse((*path, key.value), "stands here twice; leave one out")
            else:
                own[key.value] = self.value(value, (*path, key.value))
        return {**merged, **own}

    def _merged(self, node: yaml.Node, path: tuple[Key, ...]) -> Iterator[dict[str, object]]:
        """The maps that `<<` brings in; the first of several wins."""
        for one in node.value if isinstance(node, yaml.SequenceNode) else [node]:
            made = self.value(one, path)
            if isinstance(made, dict):
                yield made
            else:
                self._refuse((*path, "<<"), "must be a map, or several; write e.g. <<: *common")


def _scalar(node: yaml.ScalarNode, truths: Mapping[str, bool]) -> object:
    written: str = node.value
    if node.tag not in (_PLAIN, "!override"):
        return None if node.tag == f"{_STANDARD}null" else written
    if written in _NULLS:
        return None
    if written in truths:
        return truths[written]
    if _INTEGER.fullmatch(written) and len(written) < 400:
        return _integer(written)
    if _FLOAT.fullmatch(written) and len(written) < 400:
        return float(written.replace("_", ""))
    return written


def _integer(written: str) -> object:
    bare = written.replace("_", "")
    digits = bare.lstrip("+-")
    try:
        if digits.startswith(("0x", "0b", "0o")) or len(digits) == 1 or not digits.startswith("0"):
            return int(bare, 0)
        return int(bare, 8)
    except ValueError:
        # `089` is no octal number: go-yaml reads it as a decimal fraction's whole part.
        return float(bare) if digits.isdigit() else written
