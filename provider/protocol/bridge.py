"""Resources described by a table of properties, behaving as a bridged Terraform provider does.

Makes: `BridgedResource`, whose Check (defaults, names, required and unknown properties), Diff, previews,
states and error texts come from its table. A type adds four hooks: `make`, `look`, `change`, `remove`.
Recorded behaviour of the official plugins is the measure: what such a provider gets wrong (a change
reported and never applied, a default that hides a removal) is wrong here in the same way.
"""

from __future__ import annotations

import re
import secrets
from abc import abstractmethod

from provider.protocol.base import (
    UNKNOWN,
    CheckFailure,
    Context,
    Difference,
    Failure,
    PartialFailure,
    Props,
    Resource,
    Secret,
    Value,
)
from provider.protocol.difference import compare
from provider.protocol.schema import Prop, Table, contains_unknown, empty, fill, identity, known, plan, settle

__all__ = ["Bare", "BridgedResource", "Prop", "Table"]

DEFAULTS = "__defaults"


class Bare(Failure):
    """A failure whose text reaches the user as it is, without the bridge's words around it."""


class BridgedResource(Resource):
    """A resource type given by `properties` and four hooks.

    `deletes_first`: every replacement deletes before it creates.
    """

    properties: Table
    deletes_first = False
    fills_on_read = True  # read-back states spell out what is empty
    zero_defaults = False  # Check fills in defaults that are empty, too
    repeats_reasons = True  # a refused value's reason stands there twice: as summary and as detail

    # What a type does
    @abstractmethod
    def make(self, ctx: Context, inputs: Props) -> tuple[str, Props]:
        """Create.

        Returns (id, what was read of the new object). `PartialFailure(text, id, {})` keeps the object.
        """

    @abstractmethod
    def look(self, ctx: Context, id: str, state: Props) -> tuple[str, Props] | None:
        """Read; returns (id, properties found; those left out keep their state), or None when it is gone."""

    def change(self, ctx: Context, id: str, olds: Props, news: Props) -> Props:
        """Apply the planned `news`; returns what was read afterwards, or {} when nothing was.

        Types of which every change is a replacement have none.
        """
        raise AssertionError(f"{self.token}: a change replaces it")

    @abstractmethod
    def remove(self, ctx: Context, id: str, state: Props) -> None:
        """Delete."""

    # Check
    def check(self, ctx: Context, olds: Props, news: Props) -> tuple[Props, list[CheckFailure]]:
        """Fill in defaults (listed in `__defaults`) and validate."""
        inputs = self._defaults(self.properties, olds, {k: v for k, v in news.items() if k != DEFAULTS}, ctx)
        failures: list[CheckFailure] = []
        self._validate(self.properties, inputs, "", ctx, failures)
        return inputs, failures

    def _defaults(self, table: Table, olds: Props, news: Props, ctx: Context | None) -> Props:
        out: Props = {}
        filled: list[str] = []
        for name, prop in sorted(table.items()):
            value = news.get(name)
            if value is None and prop.auto_name and ctx is not None:
                value = self._auto_name(prop, olds.get(name), ctx)
                if value is not None:
                    filled.append(name)
            elif value is None and not prop.output and self._has_default(prop):
                value = prop.default
                filled.append(name)
            elif prop.table is not None and value is not None and value is not UNKNOWN:
                value = self._nested_defaults(prop, olds.get(name), value)
            if value is not None:
                out[name] = value
        out.update({k: v for k, v in news.items() if k not in table})
        out[DEFAULTS] = filled
        return out

    def _has_default(self, prop: Prop) -> bool:
        return prop.default is not None if self.zero_defaults else not empty(prop.default)

    def _nested_defaults(self, prop: Prop, old: Value, value: Value) -> Value:
        table = prop.table or {}
        if isinstance(value, dict):
            return self._defaults(table, old if isinstance(old, dict) else {}, value, None)
        if isinstance(value, list):
            return [self._defaults(table, {}, v, None) if isinstance(v, dict) else v for v in value]
        return value

    def _auto_name(self, prop: Prop, old: Value, ctx: Context) -> Value:
        if old:
            return old
        if ctx.autonaming_mode == 2:  # disabled by the user's configuration
            return None
        if ctx.proposed_name and ctx.autonaming_mode == 1:
            return ctx.proposed_name
        stem = f"{ctx.name}{prop.separator}"
        if prop.max_len:
            stem = stem[: prop.max_len - 7]
        return stem + secrets.token_hex(4)[:7]

    def _validate(self, table: Table, inputs: Props, path: str, ctx: Context, failures: list[CheckFailure]) -> None:
        for name, value in inputs.items():
            if name == DEFAULTS:
                continue
            prop = table.get(name)
            if prop is None or (prop.output and not prop.computed):
                failures.append(self._wrong(ctx, f"{path}{name}", "Invalid or unknown key"))
                continue
            if value is UNKNOWN or value is None:
                continue
            if prop.check is not None and (text := prop.check(value)) is not None:
                reason = f"{text}. {text}" if self.repeats_reasons else text
                failures.append(self._wrong(ctx, f"{path}{name}", reason, inside_set=path.endswith("\0")))
            if prop.table is not None:
                elements = value if isinstance(value, list) else [value]
                for i, element in enumerate(elements):
                    if isinstance(element, dict):
                        step = "." if prop.max_one else "\0" if prop.kind == "set" else f"[{i}]."
                        self._validate(prop.table, element, f"{path}{name}{step}", ctx, failures)
        for name, prop in sorted(table.items()):
            if prop.required and inputs.get(name) is None:
                place = (path + name).split("\0")[0]
                failures.append(CheckFailure("", f"Missing required property '{place}'"))

    def _wrong(self, ctx: Context, path: str, text: str, inside_set: bool = False) -> CheckFailure:
        place = path.split("\0", maxsplit=1)[0]  # elements of sets have no index of their own
        return CheckFailure("", f"{text}. Examine values at '{ctx.name}.{place}'.")

    # Diff
    def diff(self, ctx: Context, id: str, olds: Props, news: Props) -> Difference:
        """Compare the state with what would be planned."""
        inputs = strip(news)
        planned = self.planned(olds, inputs, ctx)
        detailed = compare(self.properties, olds, planned, inputs)
        tops = [re.split(r"[.\[]", path, maxsplit=1)[0] for path in detailed]
        replaces = sorted(top for top, kind in zip(tops, detailed.values(), strict=True) if kind.endswith("_REPLACE"))
        stables = sorted(n for n, p in self.properties.items() if p.force_new and n not in replaces)
        return Difference(
            detailed=detailed,
            diffs=sorted(set(tops)),
            replaces=replaces,
            stables=stables,
            delete_before_replace=bool(replaces) and (self.deletes_first or self._name_is_fixed(news)),
        )

    def _name_is_fixed(self, news: Props) -> bool:
        filled = news.get(DEFAULTS)
        return isinstance(filled, list) and any(
            prop.auto_name and name in news and name not in filled for name, prop in self.properties.items()
        )

    def planned(self, olds: Props | None, inputs: Props, ctx: Context) -> Props:
        """The planned state; ignored paths keep the recorded value (and only if there is one)."""
        planned = plan(self.properties, olds, inputs)
        for path in ctx.ignore_changes if olds is not None else []:
            steps = [int(s) if s.isdigit() else s for s in re.findall(r'[^.\[\]"]+', path)]
            keep(planned, olds, steps)
        return planned

    # Create, read, update, delete
    def create(self, ctx: Context, inputs: Props) -> tuple[str, Props]:
        """Plan, and make it unless this is a preview."""
        planned = self.planned(None, strip(inputs), ctx)
        if ctx.preview:
            return "", self._marked({**planned, "id": UNKNOWN})
        try:
            id, seen = self.make(ctx, known(planned))
        except PartialFailure as error:
            state = error.state or {**settle(self.properties, planned, {}), "id": error.id}
            raise self._partial(ctx, "creating", error, state) from error
        except Failure as error:
            raise self._failed(ctx, "", error) from error
        return id, self._marked({**settle(self.properties, planned, seen), "id": id})

    def read(self, ctx: Context, id: str, state: Props, inputs: Props) -> tuple[str, Props, Props] | None:
        """Look at it.

        Inputs follow where the state has moved. An import takes every input that is not a default.
        """
        try:
            found = self.look(ctx, id, state)
        except Failure as error:
            raise self._failed(ctx, "refreshing", error) from error
        if found is None:
            return None
        new_id, seen = found
        merged = {**{name: state.get(name) for name in self.properties}, **seen}
        outputs = fill(self.properties, merged) if self.fills_on_read else merged
        self._keep_order(state, outputs)
        imported = not state and not inputs
        new_inputs = self._imported(outputs) if imported else self._followed(inputs, outputs)
        return new_id, self._marked({**outputs, "id": new_id}), new_inputs

    def _keep_order(self, state: Props, outputs: Props) -> None:
        """A set that holds what it held keeps its order."""
        for name, prop in self.properties.items():
            old, new = state.get(name), outputs.get(name)
            if prop.kind == "set" and not prop.max_one and isinstance(old, list) and isinstance(new, list):
                order = {identity(element, prop): i for i, element in enumerate(old)}
                outputs[name] = sorted(new, key=lambda e, o=order, p=prop: o.get(identity(e, p), len(o)))  # type: ignore[misc]

    def _imported(self, outputs: Props) -> Props:
        inputs: Props = {
            name: outputs[name]
            for name, prop in self.properties.items()
            if not prop.output and not empty(outputs.get(name)) and outputs.get(name) != prop.default
        }
        return {**inputs, DEFAULTS: []}

    def _followed(self, inputs: Props, outputs: Props) -> Props:
        return _follow_block(self.properties, inputs, outputs)

    def update(self, ctx: Context, id: str, olds: Props, news: Props) -> Props:
        """Plan, and change it unless this is a preview.

        When that fails the state holds the new values all the same.
        """
        planned = self.planned(olds, strip(news), ctx)
        if ctx.preview:
            return self._marked({**planned, "id": olds.get("id", id)})
        try:
            seen = self.change(ctx, id, olds, known(planned))
        except Failure as error:
            if not error.framed:
                raise
            state = {**known(planned), "id": id}
            raise self._partial(ctx, "updating", PartialFailure(str(error), id, state), state) from error
        return self._marked({**settle(self.properties, planned, seen), "id": id})

    def delete(self, ctx: Context, id: str, state: Props) -> None:
        """Remove it."""
        try:
            self.remove(ctx, id, state)
        except Failure as error:
            raise self._failed(ctx, "deleting", error) from error

    # Texts
    def _failed(self, ctx: Context, verb: str, error: Failure) -> Failure:
        if not error.framed:
            return error
        self._logged(ctx, error)
        return Failure(self._text(ctx, verb, error))

    def _partial(self, ctx: Context, verb: str, error: PartialFailure, state: Props) -> PartialFailure:
        self._logged(ctx, error)
        return PartialFailure(self._text(ctx, verb, error), error.id, self._marked(state), error.inputs)

    def _text(self, ctx: Context, verb: str, error: Failure) -> str:
        text = str(error)
        if "error occurred:" in text or not error.framed:
            return text
        return (f"{verb} {ctx.urn}: " if verb else "") + f"1 error occurred:\n\t* {text}\n\n"

    def _logged(self, ctx: Context, error: Failure) -> None:
        """The bridge logs each diagnostic besides returning it: users see every error twice."""
        ctx.log(
            f"  sdk-v2/provider2.go:571: sdk.helper_schema: {error}: provider={ctx.plugin.name}@{ctx.plugin.version}",
            "error",
        )

    def _marked(self, outputs: Props) -> Props:
        secret = {name for name, prop in self.properties.items() if prop.secret}
        return {k: Secret(v) if k in secret and v is not None else v for k, v in outputs.items()}


def strip(inputs: Value) -> Value:
    """Inputs without the lists of defaults that Check left in them."""
    if isinstance(inputs, dict):
        return {k: strip(v) for k, v in inputs.items() if k != DEFAULTS}
    if isinstance(inputs, list):
        return [strip(v) for v in inputs]
    return inputs


def keep(planned: Value, old: Value, steps: list[str | int]) -> None:
    """Put the old value at a path back into the plan."""
    for step in steps[:-1]:
        planned, old = child(planned, step), child(old, step)
    last = steps[-1] if steps else None
    value = child(old, last)
    if value is None:
        return
    if (isinstance(planned, dict) and isinstance(last, str)) or (
        isinstance(planned, list) and isinstance(last, int) and last < len(planned)
    ):
        planned[last] = value  # type: ignore[index]


def child(value: Value, step: str | int | None) -> Value:
    """The member of a value at one step of a path, or None."""
    if isinstance(value, dict):
        return value.get(step)
    if isinstance(value, list) and isinstance(step, int) and step < len(value):
        return value[step]
    return None


def same(prop: Prop, old: Value, new: Value) -> bool:
    """Whether a refresh found what the program had given."""
    if prop.kind == "set" and not prop.max_one and isinstance(old, list) and isinstance(new, list):
        return sorted(identity(e, prop) for e in old) == sorted(identity(e, prop) for e in new)
    if isinstance(old, dict) and isinstance(new, dict):
        return identity(old, prop) == identity(new, prop)
    return bool(old == new)


def follow(prop: Prop, given: Value, new: Value) -> Value:
    """An input after a refresh found `new`: only what the program had given, with the new values."""
    if isinstance(given, dict) and isinstance(new, dict):
        if prop.table is not None:
            return _follow_block(prop.table, given, new)
        return {key: new[key] for key in given if key in new}
    if not isinstance(given, list) or not isinstance(new, list) or contains_unknown(given):
        return new
    if prop.kind == "set":
        left = {identity(e, prop): e for e in new}
        kept = [left.pop(identity(g, prop), None) for g in given]
        rest = list(left.values())
        pairs = [(g, k if k is not None else (rest.pop(0) if rest else None)) for g, k in zip(given, kept, strict=True)]
        pairs += [(None, r) for r in rest]
    else:
        pairs = [(given[i] if i < len(given) else None, new[i]) for i in range(len(new))]
    out = []
    for was, now in pairs:
        if now is not None:
            block = prop.table is not None and isinstance(was, dict) and isinstance(now, dict)
            out.append(_follow_block(prop.table or {}, was, now) if block else now)
    return out


def _follow_block(table: Table, given: Props, new: Props) -> Props:
    """Every input with the value that was read.

    What is gone goes, what has moved is no default any more, and a set of texts comes in their order.
    """
    out: Props = {}
    for name, value in given.items():
        prop = table.get(name)
        if prop is None or prop.never_followed:
            out[name] = value
            continue
        found = new.get(name)
        if found is None or (found == {} and not empty(value)):
            continue
        followed = value if same(prop, value, found) else follow(prop, value, found)
        texts = prop.kind == "set" and not prop.max_one and all(isinstance(each, str) for each in followed)
        out[name] = sorted(followed) if texts else followed
    if isinstance(given.get(DEFAULTS), list):
        out[DEFAULTS] = [name for name in given[DEFAULTS] if new.get(name) == given.get(name)]
    return out
