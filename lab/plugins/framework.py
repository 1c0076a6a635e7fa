"""Resources of providers on Terraform's newer plugin framework (tls, random): values made once and kept.

They differ from the older bridged kind in what inputs hold (no list of defaults; defaults appear in outputs
only), in differences without details, and in the schema version that their states carry. There is nothing
outside the state to read, change or delete. Left out: `__pulumi_raw_state_delta`, which official states
carry for the plugin's own use.
"""

from __future__ import annotations

import json
from collections.abc import Callable

from provider.protocol.base import CheckFailure, Context, Difference, Failure, Props, Secret, Value
from provider.protocol.bridge import DEFAULTS, BridgedResource
from provider.protocol.schema import empty


class NoImport(Failure):
    """Reaches the user without a frame."""

    framed = False


class FrameworkResource(BridgedResource):
    """A type whose only act is `make`."""

    schema_version = 0
    has_id = True  # whether the type has an `id` property of its own, besides the resource's id
    required_texts: dict[str, str] = {}  # noqa: RUF012 (what a required property is, for the error when it is missing)
    keeps_computed = True  # False: any change makes all computed outputs unknown, and part of the difference
    repeats_reasons = False

    def check(self, ctx: Context, olds: Props, news: Props) -> tuple[Props, list[CheckFailure]]:
        """Validate; inputs stay as the program gave them, and unknown names are not refused."""
        inputs = {k: v for k, v in news.items() if k != DEFAULTS and v is not None}
        for name, text in self.required_texts.items():
            if name not in inputs:
                return inputs, [CheckFailure("", f"Missing required property '{name}': {text}")]
        failures: list[CheckFailure] = []
        self._validate(self.properties, {k: v for k, v in inputs.items() if k in self.properties}, "", ctx, failures)
        return inputs, failures

    def diff(self, ctx: Context, id: str, olds: Props, news: Props) -> Difference:
        """As the older kind, but without details and without the list of what stays."""
        full = super().diff(ctx, id, olds, news)
        diffs = full.diffs
        if diffs and not self.keeps_computed:
            diffs = sorted({*diffs, "id", *(name for name, prop in self.properties.items() if prop.output)})
        return Difference(diffs=diffs, replaces=full.replaces, detailed_given=False)

    def create(self, ctx: Context, inputs: Props) -> tuple[str, Props]:
        """Previews carry no schema version, and their unknown secrets are not marked."""
        id, outputs = super().create(ctx, inputs)
        if not ctx.preview:
            return id, outputs
        return id, {k: v.value if isinstance(v, Secret) else v for k, v in outputs.items() if k != "__meta"}

    def look(self, ctx: Context, id: str, state: Props) -> tuple[str, Props] | None:
        """The state is all there is; an import finds everything in the id."""
        return (id, {name: state.get(name) for name in self.properties}) if state else self.imported(id)

    def imported(self, id: str) -> tuple[str, Props]:
        """From an import's id to the object's id and its properties."""
        raise NoImport(
            "Resource Import Not Implemented: This resource does not support import. "
            "Please contact the provider developer for additional information."
        )

    def change(self, ctx: Context, id: str, olds: Props, news: Props) -> Props:
        """Take over inputs that do not replace."""
        return {}

    def remove(self, ctx: Context, id: str, state: Props) -> None:
        """Nothing to do: it leaves the state."""

    def _marked(self, outputs: Props) -> Props:
        """States carry the schema's version from 1 on, and no nulls."""
        marked = {k: v for k, v in super()._marked(outputs).items() if v is not None}
        if not self.has_id:
            marked.pop("id", None)
        if self.schema_version:
            marked["__meta"] = json.dumps({"schema_version": str(self.schema_version)}, separators=(",", ":"))
        return marked

    def _imported(self, outputs: Props) -> Props:
        """Every input that is not empty, defaults too."""
        table = self.properties
        return {n: v for n, v in outputs.items() if n in table and not table[n].output and not empty(v)}


def one_of(name: str, *words: str) -> Callable[[Value], str | None]:
    """A check that a value is one of `words`."""
    what = f"Invalid Attribute Value Match. Attribute {name} value must be one of"
    listed = " ".join(f'"{word}"' for word in words)
    return lambda value: None if value in words else f'{what}: [{listed}], got: "{value}"'


def at_least(name: str, lowest: int) -> Callable[[Value], str | None]:
    """A check that a number is not below `lowest`."""
    return lambda value: (
        None
        if int(value) >= lowest
        else f"Invalid Attribute Value. Attribute {name} value must be at least {lowest}, got: {value}"
    )
