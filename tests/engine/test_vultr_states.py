"""A stack of the official plugin goes on with the program's own, and the other way round.

tests/conformance/vultr_exchanges.jsonl holds what the official plugin kept in the state, and what the API had told it.
From these a whole stack is put together as the official one left it, and given to the engine with the program's own
plugin and the same answers. The official plugin is not run here on a state of ours: that such a state has its keys,
kinds of values, defaults, secrets and private parts is shown instead.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from lab.api.testing import Emulator
from provider.creation import snake
from tests.conformance.recorded import load
from tests.engine import vultr
from tests.engine.workplace import Project, Workplace

MARK = {"4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270"}  # the engine's, of a secret
PROVIDER = "default_2_27_1_github_/api.github.com/dirien/pulumi-vultr"
MADE = [case for case in load("vultr_exchanges.jsonl") if case["method"] == "Create" and "response" in case]
OFFICIAL = {case["urn"].split("::")[0]: case["response"]["properties"] for case in MADE}


@pytest.fixture(scope="module")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    with Emulator(tmp_path_factory.mktemp("api")) as running:
        yield running


def secrets(value: Any) -> Any:
    """The recordings' marks of a secret as an imported state spells them."""
    if isinstance(value, dict):
        if "$secret" in value:
            return {**MARK, "plaintext": json.dumps(value["$secret"])}
        return {key: secrets(inner) for key, inner in value.items()}
    return value


def program_of(case: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """What the program said of a recorded resource: its inputs without what Check had filled in."""
    inputs = case["request"]["properties"]
    given = {snake(key): value for key, value in inputs.items() if key not in ("__defaults", *inputs["__defaults"])}
    return case["urn"].split("::")[0].rpartition(":")[2], given


def official_state(project: Project) -> dict[str, Any]:
    """The deployment as the official plugin left it."""
    exported = project.run("stack", "export").json()
    urn = f"urn:pulumi:{project.stack}::apiary"
    provider = f"{urn}::pulumi:providers:vultr::{PROVIDER}"
    stack: dict[str, Any] = {
        "urn": f"{urn}::pulumi:pulumi:Stack::apiary-{project.stack}", "custom": False, "type": "pulumi:pulumi:Stack",
    }  # fmt: skip
    default: dict[str, Any] = {
        "urn": provider, "custom": True, "id": "a-provider", "type": "pulumi:providers:vultr",
        "inputs": {"__internal": {"pluginDownloadURL": "github://api.github.com/dirien/pulumi-vultr"},
                   "apiKey": {**MARK, "plaintext": '"a-key"'}, "version": "2.27.1"},
        "outputs": {"apiKey": {**MARK, "plaintext": '"a-key"'}, "version": "2.27.1"},
    }  # fmt: skip
    resources = [
        {
            "urn": f"{urn}::{case['urn']}", "custom": True, "id": case["response"]["id"],
            "type": case["urn"].split("::")[0], "parent": stack["urn"], "provider": f"{provider}::a-provider",
            "inputs": case["request"]["properties"], "outputs": secrets(case["response"]["properties"]),
        }
        for case in MADE
    ]  # fmt: skip
    exported["deployment"]["resources"] = [stack, default, *resources]
    return dict(exported)


@pytest.fixture
def recorded(emulator: Emulator) -> Iterator[Emulator]:
    """The API, answering each read as it did when the official plugin made the stack."""
    last = {path: answer for case in MADE for method, path, _, _, answer in case["http"] if method == "GET"}
    for path, answer in last.items():
        fault = {"method": "GET", "path": f"^{re.escape(path)}$", "status": 200, "body": answer, "count": -1}
        emulator.control.post("/faults", json=fault).raise_for_status()
    yield emulator
    emulator.control.delete("/faults").raise_for_status()


def test_nothing_is_to_be_done_in_a_stack_that_the_official_plugin_made(
    workplace: Workplace, recorded: Emulator
) -> None:
    project = vultr.project(workplace, "official", {case["urn"].split("::")[1]: program_of(case) for case in MADE})
    with project.state(official_state(project)):
        before = vultr.resources_of(project)
        assert len(before) == len(MADE) > 10
        preview = project.run("preview", "--expect-no-changes", "--diff", environment=vultr.reaching(recorded))
        assert preview.status == 0, preview.output
        refresh = project.run("refresh", "--yes", "--expect-no-changes", environment=vultr.reaching(recorded))
        assert refresh.status == 0, refresh.output
        up = project.run("up", "--yes", "--expect-no-changes", environment=vultr.reaching(recorded))
        assert up.status == 0, up.output
        after = vultr.resources_of(project)
        assert {name: r["outputs"] for name, r in after.items()} == {name: r["outputs"] for name, r in before.items()}
        assert {name: r["inputs"] for name, r in after.items()} == {name: r["inputs"] for name, r in before.items()}


def kinds(value: Any) -> Any:
    """What a value is made of; of a list, what its elements are made of."""
    if isinstance(value, dict) and set(MARK) <= set(value):
        return "secret"
    if isinstance(value, list):
        return [kinds(value[0])] if value else []
    return {float: "number", int: "number"}.get(type(value), type(value).__name__)


def test_what_it_makes_has_the_keys_and_kinds_of_values_that_the_official_plugin_keeps(
    workplace: Workplace, emulator: Emulator
) -> None:
    project = vultr.project(workplace, "own")
    vultr.succeeded(project.run("up", "--yes", "--skip-preview", environment=vultr.reaching(emulator)))
    exported = project.run("stack", "export").json()["deployment"]["resources"]
    made = {r["type"]: r for r in exported if r["type"].startswith("vultr:")}
    assert made.keys() >= OFFICIAL.keys()
    for type_, official in OFFICIAL.items():
        own, theirs = made[type_]["outputs"], secrets(official)
        assert own.keys() == theirs.keys(), type_
        for key in own:
            if own[key] not in (None, []) and theirs[key] not in (None, []):
                assert kinds(own[key]) == kinds(theirs[key]), (type_, key)
        assert made[type_]["id"] == own["id"]
        assert isinstance(made[type_]["inputs"]["__defaults"], list)
    instance = made["vultr:index/instance:Instance"]["outputs"]
    assert instance["__meta"] == OFFICIAL["vultr:index/instance:Instance"]["__meta"]
