"""Tables of properties with the semantics of bridged Terraform providers, and planning on them.

Makes: `Prop`, and pure functions that predict what a provider of that kind plans (`plan`), keeps after
applying (`settle`) and reads back (`fill`). Sets are unordered and compared by content, where null, zero
and empty are the same; an optional property that is computed too keeps its old value when the program
leaves it out.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass

from provider.protocol.base import UNKNOWN, Props, Value

ZERO: dict[str, Value] = {"bool": False, "int": 0, "float": 0, "string": ""}
SCALARS = frozenset(ZERO)

Table = dict[str, "Prop"]


@dataclass(frozen=True)
class Prop:
    """One property. `of` is the kind of the elements of a list, set or map: a scalar kind, or a nested table.

    `output`: never an input. `max_one`: a list or set of at most one block, which Pulumi shows as an object.
    `never_followed`: a refresh leaves the input alone. `diff_suppress(old, new)` true: not a change.
    `check(value)` returns what is wrong, or None.
    """

    kind: str
    required: bool = False
    computed: bool = False
    output: bool = False
    force_new: bool = False
    default: Value = None
    secret: bool = False
    of: str | Table = "string"
    max_one: bool = False
    auto_name: bool = False
    max_len: int = 0
    separator: str = "-"
    never_followed: bool = False
    diff_suppress: Callable[[Value, Value], bool] | None = None
    check: Callable[[Value], str | None] | None = None

    @property
    def table(self) -> Table | None:
        """The nested table, for blocks."""
        return None if isinstance(self.of, str) else self.of

    @property
    def scalar(self) -> bool:
        """Whether the value is a single bool, number or string."""
        return self.kind in SCALARS


def empty(value: Value) -> bool:
    """Null, zero, false, or an empty text or collection.

    What the bridged kind of provider can't tell apart.
    """
    return value is None or (value is not UNKNOWN and value in (False, 0, "", [], {}))


def essence(value: Value) -> Value:
    """A value without what is empty in it and without the list of defaults.

    Equal essences are one set element.
    """
    if isinstance(value, dict):
        return {k: essence(v) for k, v in value.items() if k != "__defaults" and not empty(essence(v))}
    if isinstance(value, list):
        return [essence(v) for v in value]
    return "\0unknown" if value is UNKNOWN else value


def identity(value: Value, prop: Prop) -> str:
    """The identity of one element of the set `prop`; nested sets are unordered in it too."""
    return json.dumps(_sorted(essence(value), prop.of), sort_keys=True)


def _sorted(value: Value, of: str | Table) -> Value:
    if isinstance(of, str) or not isinstance(value, dict):
        return value
    out = {}
    for key, item in value.items():
        prop = of.get(key)
        if prop is not None and isinstance(item, list):
            items = [_sorted(element, prop.of) for element in item]
            out[key] = sorted(items, key=lambda i: json.dumps(i, sort_keys=True)) if prop.kind == "set" else items
        else:
            out[key] = item
    return out


def contains_unknown(value: Value) -> bool:
    """Whether something in the value is only known after the update."""
    if isinstance(value, dict):
        return any(contains_unknown(v) for v in value.values())
    if isinstance(value, list):
        return any(contains_unknown(v) for v in value)
    return value is UNKNOWN


def known(value: Value) -> Value:
    """The value with null for everything unknown.

    What the state holds after a create that failed half way.
    """
    if isinstance(value, dict):
        return {k: known(v) for k, v in value.items()}
    if isinstance(value, list):
        return [known(v) for v in value]
    return None if value is UNKNOWN else value


def plan(table: Table, prior: Props | None, config: Props) -> Props:
    """The planned value of every property of `table`, from the recorded `prior` (None.

    To be created) and the inputs.
    """
    return {
        name: plan_one(prop, (prior or {}).get(name), config.get(name), prior is not None)
        for name, prop in table.items()
    }


def plan_one(prop: Prop, old: Value, new: Value, exists: bool) -> Value:  # noqa: PLR0911 (a kind of property a return)
    """The planned value of one property."""
    if new is UNKNOWN:
        # A set that the provider may compute stays as it was, so a preview shows no change of it.
        return old if exists and prop.computed and prop.kind == "set" and not empty(old) else UNKNOWN
    # An empty text in place of one that the provider may compute is as good as none.
    if new is None or prop.output or (prop.computed and prop.kind == "string" and new == ""):
        return _left_out(prop, old, exists)
    if exists and prop.diff_suppress is not None and prop.diff_suppress(old, new):
        return old
    if prop.scalar:
        return new
    if prop.max_one:
        return _block(prop, old, new, exists)
    if prop.kind == "set":
        return _set(prop, old, new)
    if prop.kind == "list" and prop.table is not None:
        olds = old if isinstance(old, list) else []
        return [
            element if element is UNKNOWN else plan(prop.table, olds[i] if i < len(olds) else None, element)
            for i, element in enumerate(new)
        ]
    return new


def _left_out(prop: Prop, old: Value, exists: bool) -> Value:
    """A property the program does not mention."""
    if prop.computed or prop.output:
        unread_list = prop.kind == "list" and not prop.max_one and old is None
        return UNKNOWN if not exists or unread_list else old
    if prop.default is not None:
        return prop.default
    suppressed = prop.diff_suppress is not None and prop.diff_suppress(old, ZERO.get(prop.kind, ""))
    return old if exists and (empty(old) or suppressed) else None


def _block(prop: Prop, old: Value, new: Value, exists: bool) -> Value:
    if prop.table is None:
        return new
    planned = plan(prop.table, old if isinstance(old, dict) else None, new)
    planned = {k: [] if v is None and prop.table[k].kind == "set" else v for k, v in planned.items()}
    if prop.kind == "set" and isinstance(old, dict) and identity(planned, prop) == identity(old, prop):
        return old
    return planned


def _set(prop: Prop, old: Value, new: list[Value]) -> Value:
    """A set keeps the recorded spelling of what did not change.

    Texts left out of a new block are empty, not null.
    """
    if prop.table is not None and prop.computed and not new:
        return old  # a set of blocks can't be emptied when the provider may compute it
    olds = {identity(element, prop): element for element in (old or [])}
    planned: dict[str, Value] = {}
    for given in new:
        block = isinstance(given, dict) and prop.table is not None
        element = set_element(prop.table or {}, given) if block else given
        key = identity(element, prop)
        planned[key] = olds.get(key, element)
    if old is not None and set(planned) == set(olds):
        return old
    return [planned[key] for key in sorted(planned)]


def set_element(table: Table, element: Props) -> Props:
    """A block of a set as planned: defaults applied, texts that were left out are empty."""
    out: Props = {}
    for name, prop in table.items():
        value = element.get(name)
        if value is None:
            value = prop.default if prop.default is not None else "" if prop.kind == "string" else None
        elif prop.table is not None and isinstance(value, dict):
            value = {k: value.get(k) for k in prop.table}
        out[name] = [] if value is None and prop.kind == "set" else value
    return out


def settle(table: Table, planned: Props, seen: Props) -> Props:
    """The state after applying `planned`, when the provider then read `seen` (which may leave properties
    out).

    Sets stay as planned when all of them was known; an empty collection that nobody asked for stays null.
    """
    out: Props = {}
    for name, prop in table.items():
        wanted = planned.get(name)
        if name not in seen:
            out[name] = never_null(prop, known(wanted))
            continue
        value = seen[name]
        decided = wanted is not None and not contains_unknown(wanted)
        if prop.kind == "list" and prop.table is not None and isinstance(wanted, dict) and isinstance(value, dict):
            value = settle(prop.table, wanted, value)
        elif prop.kind == "set" and decided:
            value = wanted
        elif not prop.scalar and wanted is None and empty(value):
            value = None
        out[name] = never_null(prop, value)
    return out


def never_null(prop: Prop, value: Value) -> Value:
    """Repeated blocks are never null in such a state, nor are sets that the provider may compute."""
    if value is not None or prop.max_one:
        return value
    blocks = prop.table is not None and prop.kind in ("list", "set")
    return (
        []
        if (blocks and not (prop.kind == "list" and prop.computed)) or (prop.kind == "set" and prop.computed)
        else None
    )


def fill(table: Table, state: Props) -> Props:
    """A state as it looks once it has been read back.

    Every property present, blocks of sets with zeros, not nulls.
    """
    out: Props = {}
    for name, prop in table.items():
        value = state.get(name)
        if prop.kind == "set" and not prop.max_one and prop.table is not None and isinstance(value, list):
            inner = prop.table
            value = [{k: _zero(p, e.get(k)) for k, p in inner.items()} for e in value]
        out[name] = never_null(prop, value)
    return out


def _zero(prop: Prop, value: Value) -> Value:
    if value is not None:
        return value
    if prop.scalar:
        return ZERO[prop.kind]
    return None if prop.max_one else {} if prop.kind == "map" else []
