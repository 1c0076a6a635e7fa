"""Reads the table: facts, the objects they need, and how an answer is compared.

A step of a fact:
  call: METHOD /path           `$name` stands for what an earlier step kept, or for an object's id
  body: {...}   anonymous: true (no key)   burst: N (so many at once; the first 429 is what is compared)
  status: 404   is: {...} (the whole body, order included)   expect: {path: matcher}   headers: {name: matcher}
  within: S     asked again until it holds, for at most S seconds
  keep: {name: path}
A path is dotted, numbers index lists: `instance.vpcs.0.subnet`. A matcher is a value, or one of {matches: regex},
{among: [...]}, {has: {...}} (a list with an object of these fields), {absent: true}, {spelling: full} or short (of an
IPv6 address).
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv6Address
from pathlib import Path
from typing import Any, Final

import yaml

JSON = Any
FILE: Final = Path(__file__).with_name("facts.yaml")
_STEP: Final = {"call", "body", "anonymous", "burst", "status", "is", "expect", "headers", "within", "keep"}
_FACT: Final = {"id", "fact", "source", "unknown", "needs", "rents", "steps", "provider"}
_MATCHERS: Final = {"matches", "among", "has", "absent", "spelling"}
ABSENT: Final = object()


@dataclass(frozen=True)
class Step:
    """One request and what is expected of its answer."""

    method: str
    path: str
    body: JSON = None
    anonymous: bool = False
    burst: int = 1
    status: int | None = None
    exact: JSON = None
    expect: Mapping[str, JSON] = field(default_factory=dict)
    headers: Mapping[str, JSON] = field(default_factory=dict)
    within: float = 0.0  # seconds
    keep: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Fact:
    """One row. `unknown`: nobody has seen it, so a run tells what it saw and judges nothing."""

    id: str
    fact: str
    source: str
    unknown: bool
    needs: tuple[str, ...]  # objects, by their names
    rents: tuple[str, ...]  # objects that its own steps make
    steps: tuple[Step, ...]
    provider: Mapping[str, JSON] | None


@dataclass(frozen=True)
class Kind:
    """An object that a run makes: how, and what it costs."""

    name: str
    needs: tuple[str, ...]
    make: tuple[Step, ...]  # the first one keeps the object's id under `name`
    plan: str  # a key of the catalogue's plans; "" for what is no instance
    monthly: float  # US dollars, for what is no instance


@dataclass(frozen=True)
class Table:
    """The whole file."""

    kinds: Mapping[str, Kind]
    facts: tuple[Fact, ...]


def load(file: Path = FILE) -> Table:
    """The table. Raises ValueError that names the row and the word that can't be."""
    data = yaml.safe_load(file.read_text(encoding="utf-8"))
    kinds = {
        name: Kind(
            name, tuple(kind.get("needs", ())), tuple(_step(name, step) for step in kind["make"]),
            kind.get("plan", ""), float(kind.get("monthly", 0)),
        )
        for name, kind in data["objects"].items()
    }  # fmt: skip
    facts = tuple(_fact(row, kinds) for row in data["facts"])
    twice = {fact.id for fact in facts if sum(other.id == fact.id for other in facts) > 1}
    if twice:
        raise ValueError(f"{file.name}: two rows are called {', '.join(sorted(twice))}")
    return Table(kinds, facts)


def _fact(row: JSON, kinds: Mapping[str, Kind]) -> Fact:
    name = row.get("id", "a row without id")
    if unknown := set(row) - _FACT:
        raise ValueError(f"{name}: unknown {', '.join(sorted(unknown))}")
    if not row.get("source") or not row.get("fact"):
        raise ValueError(f"{name}: a row needs a fact and its source")
    if not row.get("steps") and not row.get("provider"):
        raise ValueError(f"{name}: a row needs steps or a provider's part")
    needs, rents = tuple(row.get("needs", ())), tuple(row.get("rents", ()))
    if missing := {*needs, *rents} - set(kinds):
        raise ValueError(f"{name}: there is no object {', '.join(sorted(missing))}")
    steps = tuple(_step(name, step) for step in row.get("steps", ()))
    return Fact(name, row["fact"], row["source"], bool(row.get("unknown")), needs, rents, steps, row.get("provider"))


def _step(row: str, step: JSON) -> Step:
    if unknown := set(step) - _STEP:
        raise ValueError(f"{row}: unknown {', '.join(sorted(unknown))}")
    method, path = step["call"].split(" ", 1)
    for matcher in (*step.get("expect", {}).values(), *step.get("headers", {}).values()):
        if isinstance(matcher, dict) and matcher and not set(matcher) <= _MATCHERS:
            raise ValueError(f"{row}: unknown matcher {', '.join(sorted(set(matcher) - _MATCHERS))}")
    return Step(
        method, path, step.get("body"), bool(step.get("anonymous")), int(step.get("burst", 1)), step.get("status"),
        step.get("is"), step.get("expect", {}), step.get("headers", {}), float(step.get("within", 0)),
        step.get("keep", {}),
    )  # fmt: skip


def filled(value: JSON, names: Mapping[str, str]) -> JSON:
    """The value with every `$name` in its texts replaced. KeyError when it is not known."""
    if isinstance(value, dict):
        return {key: filled(item, names) for key, item in value.items()}
    if isinstance(value, list):
        return [filled(item, names) for item in value]
    if isinstance(value, str):
        return re.sub(r"\$([a-z]\w*)", lambda found: str(names[found[1]]), value)
    return value


def at(value: JSON, path: str) -> JSON:
    """What lies at a dotted path, or ABSENT."""
    for part in path.split(".") if path else ():
        if isinstance(value, dict) and part in value:
            value = value[part]
        elif isinstance(value, list) and part.isdecimal() and int(part) < len(value):
            value = value[int(part)]
        else:
            return ABSENT
    return value


def fits(matcher: JSON, value: JSON) -> bool:
    """Whether the value is what the matcher says."""
    if not isinstance(matcher, dict) or not set(matcher) <= _MATCHERS or not matcher:
        return bool(type(matcher) is type(value) and matcher == value)
    if "absent" in matcher:
        return bool((value is ABSENT) == matcher["absent"])
    if "among" in matcher:
        return bool(value in matcher["among"])
    if "has" in matcher:
        wanted = matcher["has"].items()
        items = value if isinstance(value, list) else []
        return any(isinstance(item, dict) and all(fits(m, at(item, k)) for k, m in wanted) for item in items)
    if "spelling" in matcher:
        return isinstance(value, str) and _spelled(matcher["spelling"], value)
    return isinstance(value, str) and re.fullmatch(matcher["matches"], value, re.DOTALL) is not None


def _spelled(how: str, value: str) -> bool:
    try:
        address = IPv6Address(value)
    except ValueError:
        return False
    return bool(value == (address.exploded if how == "full" else address.compressed))


def told(value: JSON) -> str:
    """The value for people, on one line."""
    return "nothing" if value is ABSENT else json.dumps(value, ensure_ascii=False)
