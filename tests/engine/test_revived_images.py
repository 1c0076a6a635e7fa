"""A server that is revived gets the commits and digests that ran, whatever its branches and tags are at by then."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from typing import Any

from operations.jobs import all_look_ups
from operations.state import INSTANCE, State, alone, without
from tests.engine.plans import operations, short
from tests.engine.workplace import Project, Workplace

SERVERS = ("web1", "web2")


def export(project: Project) -> dict[str, Any]:
    return dict(json.loads(project.run("stack", "export").stdout))


def dropped(project: Project, exported: Mapping[str, Any]) -> set[str]:
    """What goes with the instances, as `revive` has the engine drop them."""
    targets = [
        word for one in State.of(exported).of_type(INSTANCE) if one.name in SERVERS for word in ("--target", one.urn)
    ]
    with project.state(exported):
        run = project.run("destroy", "--preview-only", "--json", *targets, "--target-dependents")
    return {step["urn"] for step in run.json()["steps"] if step["op"] == "delete"}


def test_what_was_looked_up_stays_and_all_else_of_the_server_goes(settled_hive: Project) -> None:
    before = export(settled_hive)
    found = {one.urn: one.outputs["stdout"] for one in all_look_ups(State.of(before))}
    assert {urn.rpartition("-")[2] for urn in found} == {"commit", "digest"}
    all_ = dropped(settled_hive, before)
    assert set(found) <= all_, "without help they go with their server"
    kept = alone(before, set(found))
    gone = dropped(settled_hive, kept)
    assert gone == all_ - set(found)
    with settled_hive.state(without(kept, gone)):
        plan = operations(settled_hive.steps())
        shown = settled_hive.plan()["steps"]
    assert {how for urn in found if (how := plan.get(short(urn)))} <= {("same",)}
    images = {step["newState"]["inputs"].get("image") for step in shown if step["op"] == "create"}
    assert {text.strip() for urn, text in found.items() if urn.endswith("-digest")} <= images


def test_a_rebuild_looks_nothing_up(workplace: Workplace, settled_hive: Project, hive_file: dict[str, Any]) -> None:
    file = copy.deepcopy(hive_file)
    for server in SERVERS:
        file["config"]["apiary:servers"][server]["os"] = 2625
    found = {short(one.urn) for one in all_look_ups(State.of(export(settled_hive)))}
    plan = operations(workplace.project("anew", settled_hive.stack, file).steps())
    assert any("create-replacement" in how for how in plan.values())
    assert not {name: how for name, how in plan.items() if name in found and "replace" in " ".join(how)}
