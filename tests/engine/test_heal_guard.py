"""What `heal` reads out of a real plan before it lets an update go on."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from operations import guard


@pytest.mark.parametrize(("under_way", "lost"), [(False, ["web1"]), (True, [])], ids=["edited-os", "killed-rebuild"])
def test_heal_costs_no_server_but_finishes_a_rebuild_that_was_killed(
    settled_hive: Any, workplace: Any, hive_file: dict[str, Any], under_way: bool, lost: list[str]
) -> None:
    state = json.loads(settled_hive.run("stack", "export").stdout)
    file = copy.deepcopy(hive_file)
    file["config"]["apiary:servers"]["web1"]["os"] = 2625
    for resource in state["deployment"]["resources"]:
        if under_way and resource["urn"].endswith("vultr:index/instance:Instance::web1"):
            resource["pendingReplacement"] = True  # the engine's mark between deletion and creation
    project = workplace.project(f"heal-{under_way}", settled_hive.stack, file)
    with project.state(state):
        exported = json.loads(project.run("stack", "export").stdout)
        assert guard.lost_servers(project.plan(), exported) == lost
