"""The detailed difference of two states, with the paths and kinds that a bridged Terraform provider
reports.

Pure: `compare(table, old, planned, inputs)` maps property paths to ADD, UPDATE or DELETE, with `_REPLACE`
where the change needs a new resource. Set elements are found by content; their indexes are those of the
inputs.
"""

from __future__ import annotations

import re

from provider.protocol.base import UNKNOWN, Props, Value
from provider.protocol.schema import Prop, Table, contains_unknown, empty, identity

Kinds = dict[str, str]
PLAIN_KEY = re.compile(r"[A-Za-z_$][\w$]*\Z")


def compare(table: Table, old: Props, planned: Props, inputs: Props) -> Kinds:
    """All differences of the properties in `table`."""
    kinds: Kinds = {}
    for name in sorted(table):
        prop = table[name]
        kinds.update(_compare(name, prop, old.get(name), planned.get(name), inputs.get(name), forced=prop.force_new))
    return kinds


def _compare(path: str, prop: Prop, old: Value, new: Value, inputs: Value, *, forced: bool) -> Kinds:
    """`forced`: whether a change of this value itself (not of something in it) replaces."""
    if prop.table is not None:  # no blocks at all and no list of blocks are the same
        old, new = (None if old == [] else old), (None if new == [] else new)
    if old is None or new is None or new is UNKNOWN:
        return _whole(path, prop, old, new, forced)
    if prop.max_one and prop.table is not None:
        return _members(path, prop.table, old, new, inputs)
    if prop.kind == "set":
        return _set(path, prop, old, new, inputs)
    if prop.kind == "list":
        return _list(path, prop, old, new, inputs)
    if prop.kind == "map":
        return _map(path, prop, old, new, forced)
    return {} if old == new else {path: _kind("UPDATE", forced)}


def _kind(kind: str, replaces: bool) -> str:
    return kind + "_REPLACE" if replaces else kind


def _whole(path: str, prop: Prop, old: Value, new: Value, forced: bool) -> Kinds:
    """One side is missing, or only known later."""
    if old is None and new is None:
        return {}
    nothing_before = old is None or (prop.kind == "list" and old == [])
    kind = "ADD" if nothing_before else "DELETE" if new is None else "UPDATE"
    present = new if new is not None and new is not UNKNOWN else old
    return {path: _kind(kind, forced or (new is not UNKNOWN and _inside_forces(prop, present)))}


def _inside_forces(prop: Prop, value: Value) -> bool:
    """Whether something present in a block asks for a replacement when it comes or goes."""
    if prop.table is None:
        return False
    blocks = value if isinstance(value, list) else [value]
    return any(
        name in prop.table and (prop.table[name].force_new or _inside_forces(prop.table[name], item))
        for block in blocks
        if isinstance(block, dict)
        for name, item in block.items()
    )


def _members(path: str, table: Table, old: Props, new: Props, inputs: Value) -> Kinds:
    kinds: Kinds = {}
    given = inputs if isinstance(inputs, dict) else {}
    for name in sorted({*old, *new} & set(table)):
        prop = table[name]
        kinds.update(
            _compare(f"{path}.{name}", prop, old.get(name), new.get(name), given.get(name), forced=prop.force_new)
        )
    return kinds


def _element(path: str, prop: Prop, old: Value, new: Value, inputs: Value) -> Kinds:
    """One element of a list or set: it comes, goes, or changes inside."""
    if prop.table is None:
        if old == new:
            return {}
        kind = "ADD" if old is None else "DELETE" if new is None else "UPDATE"
        return {path: _kind(kind, prop.force_new)}
    if old is None or new is None or new is UNKNOWN:
        return _whole(path, prop, old, new, prop.force_new)
    return _members(path, prop.table, old, new, inputs)


def _list(path: str, prop: Prop, old: list[Value], new: list[Value], inputs: Value) -> Kinds:
    kinds: Kinds = {}
    given = inputs if isinstance(inputs, list) else []
    for i in range(max(len(old), len(new))):
        was, will = (old[i] if i < len(old) else None), (new[i] if i < len(new) else None)
        kinds.update(_element(f"{path}[{i}]", prop, was, will, given[i] if i < len(given) else None))
    return kinds


def _map(path: str, prop: Prop, old: Props, new: Props, forced: bool) -> Kinds:
    kinds: Kinds = {}
    for key in sorted({*old, *new}):
        was, will = old.get(key), new.get(key)
        if was != will:
            kind = "ADD" if was is None else "DELETE" if will is None else "UPDATE"
            step = f".{key}" if PLAIN_KEY.match(key) else f'["{key}"]'
            kinds[path + step] = _kind(kind, forced)
    return kinds


def _set(path: str, prop: Prop, old: list[Value], new: list[Value], inputs: Value) -> Kinds:
    olds = {identity(element, prop): i for i, element in enumerate(old)}
    news = {identity(element, prop): i for i, element in enumerate(new)}
    removed = sorted(i for key, i in olds.items() if key not in news)
    added = sorted(i for key, i in news.items() if key not in olds)
    if not removed and not added:
        return {}
    given = inputs if isinstance(inputs, list) else []  # the program may leave it out
    matched = _match(prop, [new[i] for i in added], given, len(new))
    if matched is None:
        return {path: _kind("UPDATE", prop.force_new)}
    changes: dict[int, tuple[Value, Value]] = {i: (old[i], None) for i in removed}
    for index, element in matched.items():
        changes[index] = (changes[index][0] if index in changes else None, element)
    kinds: Kinds = {}
    for index, (was, will) in sorted(changes.items()):
        kinds.update(_element(f"{path}[{index}]", prop, was, will, given[index] if index < len(given) else None))
    return kinds


def _match(prop: Prop, added: list[Value], inputs: list[Value], size: int) -> dict[int, Value] | None:
    """The input index of each added element, or None when one of them can't have come from the inputs as
    they are.
    """
    if len(inputs) < size:
        return None
    matched: dict[int, Value] = {}
    for element in added:
        for i, given in enumerate(inputs):
            if i not in matched and _from_input(prop.table, given, element):
                matched[i] = element
                break
        else:
            return None
    return matched


def _from_input(table: Table | None, given: Value, planned: Value) -> bool:
    if table is None:
        return planned is not UNKNOWN and bool(given == planned)
    if not isinstance(given, dict) or not isinstance(planned, dict):
        return False
    for name, prop in table.items():
        was, will = given.get(name), planned.get(name)
        if was == will or (prop.computed and was is None):
            continue
        if not prop.scalar and (prop.max_one or (isinstance(was, list) and isinstance(will, list))):
            continue
        if not prop.scalar and was is None and empty(will):
            continue
        return False
    return not contains_unknown(planned)
