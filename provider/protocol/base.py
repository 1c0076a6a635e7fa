"""What a plugin is made of: values, errors, resources, the plugin itself.

`dispatch.py` turns the protocol's requests into calls of these classes, `server.py` serves that over gRPC.
What a property means (defaults, differences) is `bridge.py`; what a resource does is the plugin's own
module. Nothing here knows a resource type or the transport.

Values: None, bool, int, float, str, list, dict, and `UNKNOWN` (a value known only after an update, seen in
previews). Secrets are unwrapped before a resource sees them; in answers `Secret(value)` marks one, and
where the plugin says `accept_secrets` the outputs named like secret inputs are marked again. Assets and
archives stay the engine's dictionaries, with their signature key.
"""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

Value = Any  # a plain value of a property: what JSON can say, or UNKNOWN, or Secret
Props = dict[str, Value]
SecretPaths = set[tuple[str | int, ...]]

UNKNOWN_TEXT = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
SIGNATURE = "4dabf18193072939515e22adb298388d"
SECRET = "1b47061264138c4ac30d75fd1eb44270"  # noqa: S105 (the protocol's marker of a secret, not one itself)
RESOURCE_REF = "5cf8f73096256a8f31e491e813e4eb8e"
OUTPUT = "d0e6a833031e9bbcd3f4e8bde6ca49a4"


class _Unknown:
    """The single value `UNKNOWN`: not known before an update has run."""

    def __repr__(self) -> str:
        return "UNKNOWN"

    def __copy__(self) -> _Unknown:
        return self

    def __deepcopy__(self, memo: object) -> _Unknown:
        return self


UNKNOWN = _Unknown()


@dataclass(frozen=True)
class Secret:
    """A value in an answer that the engine has to keep encrypted."""

    value: Value


class Failure(Exception):
    """An operation failed; the text reaches the user unchanged. Nothing was made."""

    framed = True  # bridged resources put their usual frame around the text


class PartialFailure(Failure):
    """A create or update failed after something was made.

    `id` and `state` go into the state with the error.
    """

    def __init__(
        self, message: str, id: str, state: Props, inputs: Props | None = None, reason: str | None = None
    ) -> None:
        super().__init__(message)
        self.id, self.state, self.inputs = id, state, inputs
        self.reason = reason or message  # what the engine shows; it adds nothing


@dataclass(frozen=True)
class CheckFailure:
    """One input that is wrong: `property` may be empty when `reason` names the path itself."""

    property: str
    reason: str


@dataclass
class Difference:
    """Answer of a diff.

    `detailed` maps property paths to kinds: ADD, UPDATE, DELETE, each with `_REPLACE` or without.
    """

    detailed: dict[str, str] = field(default_factory=dict)
    diffs: list[str] = field(default_factory=list)
    replaces: list[str] = field(default_factory=list)
    stables: list[str] = field(default_factory=list)
    delete_before_replace: bool = False
    input_diff: bool = False
    detailed_given: bool = True


@dataclass
class Context:
    """What a resource may know of the call it serves, and its way to talk to the user."""

    plugin: Plugin
    urn: str = ""
    type: str = ""
    name: str = ""
    timeout: float = 0.0  # seconds, 0 = none given
    preview: bool = False
    ignore_changes: list[str] = field(default_factory=list)
    old_inputs: Props = field(default_factory=dict)
    proposed_name: str = ""  # engine's autonaming configuration, if any
    autonaming_mode: int = 0
    secret_inputs: set[str] = field(default_factory=set)  # top-level names that arrived as secrets
    secret_paths: SecretPaths = field(default_factory=set)  # all that arrived as secrets, nested ones too

    @property
    def config(self) -> Props:
        """The provider's configuration, as Configure gave it."""
        return self.plugin.config

    @property
    def cancelled(self) -> threading.Event:
        """Set when the engine sends Cancel (first interrupt). Resources decide whether they obey."""
        return self.plugin.cancelled

    def log(self, message: str, severity: str = "info", ephemeral: bool = False) -> None:
        """Show a line to the user under this resource. `severity`: debug, info, warning, error."""
        self.plugin.log(message, severity=severity, urn=self.urn, ephemeral=ephemeral)


class Resource(ABC):
    """One resource type.

    Subclasses override what they do; `bridge.BridgedResource` adds tables of properties.
    """

    token: str = ""

    def check(self, ctx: Context, olds: Props, news: Props) -> tuple[Props, list[CheckFailure]]:
        """Validate and complete inputs. Returns (inputs, failures)."""
        return news, []

    @abstractmethod
    def diff(self, ctx: Context, id: str, olds: Props, news: Props) -> Difference:
        """Compare the recorded outputs `olds` (and `ctx.old_inputs`) with the checked inputs `news`."""

    @abstractmethod
    def create(self, ctx: Context, inputs: Props) -> tuple[str, Props]:
        """Make it; returns (id, outputs). With `ctx.preview` nothing is touched, the id is ignored."""

    @abstractmethod
    def read(self, ctx: Context, id: str, state: Props, inputs: Props) -> tuple[str, Props, Props] | None:
        """Look at it.

        Returns (id, outputs, inputs), or None when it is gone. An import has empty `state`, `inputs`.
        """

    @abstractmethod
    def update(self, ctx: Context, id: str, olds: Props, news: Props) -> Props:
        """Change it in place; returns outputs. With `ctx.preview` nothing is touched."""

    @abstractmethod
    def delete(self, ctx: Context, id: str, state: Props) -> None:
        """Remove it; returns when it is gone, also when it was gone before."""


class Plugin:
    """A named, versioned set of resources with the provider's own configuration."""

    accept_secrets = False  # True: secret inputs are marked again on the outputs of the same name
    supports_autonaming = True
    elsewhere = ""  # ends the refusal of a type that this plugin lacks: where there is one that has it

    @property
    def title(self) -> str:
        """What a user calls it."""
        return f"the lab's stand-in of plugin {self.name}"

    def __init__(self, name: str, version: str, resources: list[Resource]) -> None:
        self.name, self.version = name, version
        self.resources = {resource.token: resource for resource in resources}
        self.config: Props = {}
        self.cancelled = threading.Event()
        self.sink: Callable[[str, str, str, bool], None] | None = None  # (message, severity, urn, ephemeral)

    # The provider resource itself
    def check_config(self, ctx: Context, olds: Props, news: Props) -> tuple[Props, list[CheckFailure]]:
        """Validate and normalise the provider's inputs."""
        return news, []

    def diff_config(self, ctx: Context, olds: Props, news: Props) -> Difference:
        """By default every changed input of the provider is an update in place; an unknown one compares equal."""
        keys = sorted(
            k
            for k in {*olds, *news} - {"version", "__defaults"}
            if olds.get(k) != news.get(k) and news.get(k) is not UNKNOWN
        )
        kinds = {k: "DELETE" if k not in news else "ADD" if k not in olds else "UPDATE" for k in keys}
        return Difference(detailed=kinds, diffs=keys, input_diff=True, detailed_given=False)

    def configure(self, ctx: Context, args: Props) -> None:
        """Called once before any resource; `self.config` holds `args` already. Raise `Failure` to refuse."""

    def close(self) -> None:
        """The engine has ended in good order, and recorded all that it was answered."""

    def invoke(self, ctx: Context, token: str, args: Props) -> Props:
        """Run a function (data source)."""
        raise Failure(f"unknown function {token} of plugin {self.name}")

    def log(self, message: str, severity: str = "info", urn: str = "", ephemeral: bool = False) -> None:
        """Send one log line to the engine; lost when none listens (in tests)."""
        if self.sink is not None:
            self.sink(message, severity, urn, ephemeral)


def encode(value: Value) -> Value:
    """A value as JSON-like data for a protobuf Struct.

    Unknowns and secrets in the protocol's own spelling.
    """
    if value is UNKNOWN:
        return UNKNOWN_TEXT
    if isinstance(value, Secret):
        return {SIGNATURE: SECRET, "value": encode(value.value)}
    if isinstance(value, Mapping):
        return {str(k): encode(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [encode(v) for v in value]
    return value


def decode(value: Value) -> Value:  # noqa: PLR0911 (one return a kind of value)
    """The opposite of `encode`, with secrets and output wrappers taken off."""
    if value == UNKNOWN_TEXT:
        return UNKNOWN
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, Mapping):
        mark = value.get(SIGNATURE)
        if mark == SECRET:
            return decode(value.get("value"))
        if mark == OUTPUT:
            return decode(value["value"]) if "value" in value else UNKNOWN
        if mark == RESOURCE_REF:
            return decode(value.get("id"))
        return {k: decode(v) for k, v in value.items()}
    if isinstance(value, list):
        return [decode(v) for v in value]
    return value


def secret_paths(value: Value, path: tuple[str | int, ...] = ()) -> SecretPaths:
    """Where secrets stand in a request's plain data, nested ones included."""
    if isinstance(value, Mapping):
        if value.get(SIGNATURE) == SECRET:
            return {path} | secret_paths(value.get("value"), path)
        return {found for key, inner in value.items() for found in secret_paths(inner, (*path, str(key)))}
    if isinstance(value, list):
        return {found for index, inner in enumerate(value) for found in secret_paths(inner, (*path, index))}
    return set()


def mark(value: Value, paths: SecretPaths, path: tuple[str | int, ...] = ()) -> Value:
    """Mark the values that stand at `paths` as secret, where they are not marked already."""
    if not paths:
        return value
    if isinstance(value, Secret):
        return Secret(mark(value.value, paths - {path}, path))
    if isinstance(value, Mapping):
        inner: Value = {key: mark(entry, paths, (*path, str(key))) for key, entry in value.items()}
    elif isinstance(value, list):
        inner = [mark(entry, paths, (*path, index)) for index, entry in enumerate(value)]
    else:
        inner = value
    return Secret(inner) if path in paths else inner
