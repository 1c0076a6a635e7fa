"""A plan of the engine as data that a person can read and a golden file can keep.

Pure. From `pulumi preview --json` it keeps type, name, parent, provider, known inputs, dependencies and
options. A value that is not known yet says whose it will be; what changes with every edit of an image or a
playbook (archives, digests) is blanked.
"""

from __future__ import annotations

import difflib
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

import yaml

UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"  # how the engine writes a value that it does not know yet
OPTIONS = (
    "deletedWith", "retainOnDelete", "protect", "ignoreChanges", "replaceOnChanges", "replaceWith", "hideDiff",
    "additionalSecretOutputs", "customTimeouts", "aliases",
)  # fmt: skip
VOLATILE = ("stdin", "version", "__internal", "__defaults")
_DIGEST = re.compile(r"(apiary/[a-z0-9]+):[0-9a-f]{12}")

Plan = dict[str, dict[str, Any]]
Step = tuple[str, str]  # operation, resource as `short` names it


def short(urn: str) -> str:
    """`docker:Container site` of a URN."""
    type_, name = urn.split("::")[2].rsplit("$", maxsplit=1)[-1], urn.split("::", 3)[3]
    package, *_, kind = type_.split(":")
    return f"{package}:{kind} {name}"


def operations(steps: Iterable[Step]) -> dict[str, tuple[str, ...]]:
    """What the engine would do with each resource that does not stay the same, in the engine's order."""
    found: dict[str, tuple[str, ...]] = {}
    for operation, name in steps:
        if operation != "same":
            found[name] = (*found.get(name, ()), operation)
    return found


def reduced(plan: Mapping[str, Any]) -> Plan:
    """The planned resources by `short`. ValueError where two would have the same."""
    resources = [step["newState"] for step in plan["steps"] if step["op"] == "create"]
    twice = [name for name, count in Counter(short(one["urn"]) for one in resources).items() if count > 1]
    if twice:
        raise ValueError(f"two resources of one type and name: {', '.join(twice)}")
    return {short(one["urn"]): _resource(one) for one in sorted(resources, key=lambda one: short(one["urn"]))}


def _resource(resource: Mapping[str, Any]) -> dict[str, Any]:
    origins = resource.get("propertyDependencies", {})
    entry: dict[str, Any] = {"type": resource["type"]}
    if "parent" in resource:
        entry["parent"] = short(resource["parent"])
    if "provider" in resource:
        entry["provider"] = _provider(resource["provider"])
    inputs = {
        key: _value(value, _names(origins.get(key, [])))
        for key, value in resource.get("inputs", {}).items()
        if key not in VOLATILE
    }
    if inputs:
        entry["inputs"] = dict(sorted(inputs.items()))
    if resource.get("dependencies"):
        entry["after"] = _names(resource["dependencies"])
    for option in OPTIONS:
        if resource.get(option):
            entry[option] = short(resource[option]) if option == "deletedWith" else resource[option]
    return entry


def _provider(reference: str) -> str:
    name = short(reference.rsplit("::", 1)[0])
    return "default" if re.search(r" default_\d", name) else name


def _names(urns: Iterable[str]) -> list[str]:
    return sorted(short(urn) for urn in urns)


def _value(value: Any, origins: list[str]) -> Any:
    match value:
        case str() if value == UNKNOWN:
            return f"<from {', '.join(origins) or 'nowhere'}>"
        case str():
            return _DIGEST.sub(r"\1:<digest>", value)
        case dict():
            return {key: _value(inner, origins) for key, inner in value.items() if key not in VOLATILE}
        case list():
            return [_value(inner, origins) for inner in value]
        case _:
            return value


class _Dumper(yaml.SafeDumper):
    """Scripts as blocks, and everything in full where it stands."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _text)


def as_text(plan: Plan) -> str:
    """The plan as YAML, one resource after the other, in the order of their names."""
    return yaml.dump(plan, Dumper=_Dumper, sort_keys=False, width=110, allow_unicode=True)


def difference(golden: Plan, plan: Plan) -> str:
    """Which resources came, went and changed, and each change line by line; empty when both are the same."""
    report = [f"only in the golden: {name}" for name in golden.keys() - plan.keys()]
    report += [f"only in the plan:   {name}" for name in plan.keys() - golden.keys()]
    for name in sorted(golden.keys() & plan.keys()):
        if golden[name] != plan[name]:
            before, after = (as_text(side[name]).splitlines() for side in (golden, plan))
            lines = list(difflib.unified_diff(before, after, lineterm="", n=2))[2:]
            report += [f"changed: {name}", *(f"    {line}" for line in lines)]
    return "\n".join(report)
