"""A rebuild that was killed while there was no server goes on by making things, and deletes nothing twice."""

from __future__ import annotations

import copy
import json
from typing import Any

from operations.state import without_gone
from tests.engine.plans import operations, short
from tests.engine.workplace import Project, Workplace

ON_THE_HOST = ("docker:index/", "command:", "vultr:index/instance:", "vultr:index/reverse")
UPDATED = ("update",)
OF_WEB2 = ("web2", "collector", "report", "feed")


def emptied(exported: dict[str, Any]) -> dict[str, Any]:
    """The state as a kill leaves it after all on web2 was deleted, and the instance, and before the new one is made."""
    state = copy.deepcopy(exported)
    for resource in state["deployment"]["resources"]:
        name = resource["urn"].rsplit("::", 1)[-1]
        if resource["type"].startswith(ON_THE_HOST) and any(part.startswith(OF_WEB2) for part in name.split("/")):
            resource["pendingReplacement"] = True
    return state


def test_what_is_gone_is_only_made_anew(workplace: Workplace, settled_hive: Project, hive_file: dict[str, Any]) -> None:
    file = copy.deepcopy(hive_file)
    file["config"]["apiary:servers"]["web2"]["os"] = 2625
    project = workplace.project("killed", settled_hive.stack, file)
    killed = emptied(json.loads(settled_hive.run("stack", "export").stdout))
    gone = {short(one["urn"]) for one in killed["deployment"]["resources"] if one.get("pendingReplacement")}
    with project.state(killed):
        plan = operations(project.steps())
    assert any("delete-replaced" in how for how in plan.values()), "without help it deletes on a host that is gone"
    corrected = without_gone(killed)
    assert corrected is not None
    with project.state(corrected):
        plan = operations(project.steps())
    assert {name for name, how in plan.items() if how == ("create",)} == gone
    assert {how for name, how in plan.items() if name not in gone} == {UPDATED}, "records follow"


def test_a_state_in_which_nothing_is_gone_is_left_alone(settled_hive: Project) -> None:
    assert without_gone(json.loads(settled_hive.run("stack", "export").stdout)) is None
