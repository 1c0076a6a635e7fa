"""Whether what a program gives, and what the API says, is of the kind that a property has.

Python does not check it by itself. A number for a text, and a text that is a number, are taken as the official plugin
takes them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from provider.protocol.base import UNKNOWN, Failure, Value
from provider.protocol.schema import ZERO, Prop, Table

WORDS = {"string": "text", "int": "a whole number", "float": "a number", "bool": "true or false", "map": "a map"}


def fit(
    table: Table, values: Mapping[str, Value], wrong: dict[str, tuple[str, str]], path: str = ""
) -> dict[str, Value]:
    """The values, each of its property's kind. `wrong` gets those that can't be: path, what was expected, what is."""
    return {
        name: _fit(table[name], value, wrong, f"{path}{name}") if name in table else value
        for name, value in values.items()
    }


def told(said: Value, kind: str, what: str) -> Value:
    """A value of the API's, of its kind; null is the zero value. Raises Failure where a number is none."""
    if said is None:
        return ZERO.get(kind)
    try:
        return {"int": int, "float": float}[kind](said or 0) if kind in ("int", "float") else _quoted(said, kind)
    except (TypeError, ValueError):
        raise Failure(
            f"Vultr says that {what} is {said!r}, which is no number; nothing was concluded from it. Say it again; if "
            "it stays so it is a fault at Vultr"
        ) from None


def _quoted(said: Value, kind: str) -> Value:
    """A number for a text, such as a port, as one."""
    return str(said) if kind == "string" and isinstance(said, int | float) and not isinstance(said, bool) else said


def _fit(prop: Prop, value: Value, wrong: dict[str, tuple[str, str]], path: str) -> Value:
    if value is None or value is UNKNOWN:
        return value
    if isinstance(value, Mapping):
        if prop.table is not None and prop.max_one:
            return fit(prop.table, value, wrong, f"{path}.")
        if prop.kind == "map":
            return {key: _fit(Prop(str(prop.of)), each, wrong, f"{path}.{key}") for key, each in value.items()}
    elif isinstance(value, list) and prop.kind in ("list", "set") and not prop.max_one:
        inner = Prop("list", of=prop.of, max_one=True) if prop.table is not None else Prop(str(prop.of))
        return [_element(inner, each, wrong, f"{path}[{i}]") for i, each in enumerate(value)]
    elif prop.scalar:
        try:
            return _SCALARS[prop.kind](value)
        except (TypeError, ValueError):
            pass
    wrong[path] = f"expected {_word(prop)}", repr(value)
    return value


def _element(inner: Prop, value: Value, wrong: dict[str, tuple[str, str]], path: str) -> Value:
    if value is None:
        wrong[path] = f"expected {_word(inner)}", "nothing"
    return _fit(inner, value, wrong, path)


def _word(prop: Prop) -> str:
    if prop.table is not None and prop.max_one:
        return "a block of settings"
    return WORDS.get(prop.kind, "a list")


def _text(value: Value) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str | int | float):
        return str(value)
    raise TypeError


def _whole(value: Value) -> int:
    if isinstance(value, bool) or (isinstance(value, float) and not value.is_integer()):
        raise TypeError
    return int(value)


def _number(value: Value) -> int | float:
    if isinstance(value, bool):
        raise TypeError
    return value if isinstance(value, int | float) else float(value)


def _flag(value: Value) -> bool:
    if isinstance(value, bool):
        return value
    if value in ("true", "false"):
        return bool(value == "true")
    raise TypeError


_SCALARS: dict[str, Callable[[Value], Value]] = {"string": _text, "int": _whole, "float": _number, "bool": _flag}
