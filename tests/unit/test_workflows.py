"""The workflow that updates on merge: what was agreed to is what happens, and nothing else."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

UPDATE = Path(__file__).parents[2] / ".github" / "workflows" / "update.yml"
pytestmark = pytest.mark.skipif(shutil.which("jq") is None, reason="there is no jq here; GitHub's machines have one")


def agreed(*steps: dict[str, Any]) -> str:
    """What the workflow takes for a preview's content."""
    told = yaml.safe_load(UPDATE.read_text())["env"]["AGREED"]
    preview = json.dumps({"steps": [*steps, {"op": "same", "urn": "urn:x"}]})
    return subprocess.run(["jq", "-cS", told], input=preview, check=True, capture_output=True, text=True).stdout


def step(**inputs: str) -> dict[str, Any]:
    return {"op": "replace", "urn": "urn:shop", "newState": {"inputs": inputs}, "detailedDiff": {"image": {}}}


def test_two_previews_of_one_change_are_one() -> None:
    """The engine names what it makes anew each time, and goes its own way through what is independent."""
    other = {"op": "create", "urn": "urn:a"}
    first = agreed(
        step(name="shop-0a1b2c3", image="apiary/shop:0a1b2c3d4e5f", run="docker start shop-0a1b2c3 &"), other
    )
    again = agreed(
        other, step(name="shop-9f8e7d6", image="apiary/shop:0a1b2c3d4e5f", run="docker start shop-9f8e7d6 &")
    )
    assert first == again
    assert json.loads(agreed()) == []


@pytest.mark.parametrize(
    "changed",
    [
        step(image="apiary/shop:other"),
        {**step(image="apiary/shop:1"), "op": "delete"},
        {**step(image="apiary/shop:1"), "detailedDiff": {"image": {}, "ports": {}}},
        {**step(image="apiary/shop:1"), "urn": "urn:other"},
    ],
)
def test_another_change_is_another(changed: dict[str, Any]) -> None:
    assert agreed(changed) != agreed(step(image="apiary/shop:1"))
