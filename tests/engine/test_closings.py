"""What the verbs that are no whole update read out of real plans before they release anything."""

from __future__ import annotations

import copy
import json
import shutil
import subprocess
import sys
from typing import Any

import pytest

from lab.paths import CHECKOUT
from operations import closings
from operations.jobs import find
from operations.state import State
from tests.engine.workplace import SECONDS, Project, Workplace


def verb(project: Project, *arguments: str) -> subprocess.CompletedProcess[str]:
    """`python -m operations ARGUMENTS` in the project."""
    shutil.copytree(CHECKOUT / "operations", project.folder / "operations")
    return subprocess.run(
        [sys.executable, "-m", "operations", *arguments, "--stack", project.stack],
        cwd=project.folder, env=project.workplace.environment, stdin=subprocess.DEVNULL,
        capture_output=True, text=True, timeout=SECONDS, check=False,
    )  # fmt: skip


@pytest.mark.parametrize(
    "edit", [{"allow_from": ["203.0.113.0/24"]}, {"password": {"anna": "_secrets^mail"}}, {"timeout": 600}]
)
def test_a_job_that_shop_is_released_after_does_not_release_it_without_its_edits(
    workplace: Workplace, settled_hive: Project, hive_file: dict[str, Any], edit: dict[str, Any], request: Any
) -> None:
    file = copy.deepcopy(hive_file)
    file["config"]["apiary:applications"]["shop"] |= {"site": edit}
    workplace.forget()
    done = verb(workplace.project(request.node.name, settled_hive.stack, file), "run", "web1:dbsetup")
    assert done.returncode == 1
    assert "the stack file has edits of sites that are not in force" in done.stderr
    assert "make run JOB=web1:dbsetup does not apply them: hasetup would not tell the proxy" in done.stderr
    assert workplace.asked() == []


def test_where_sites_are_as_the_proxy_knows_them_nothing_is_in_the_way(settled_hive: Project) -> None:
    state = State.of(json.loads(settled_hive.run("stack", "export").stdout))
    [closing] = closings.before(state, find(state, "dbsetup"))
    assert closing.name == "hasetup-closing"
    assert closings.before(state, find(state, "shop", "apiary:docker:Application")) == [closing]
    assert closings.before(state, find(state, "tidy")) == []
    closings.refuse_unfinished(state, [closing], "make release APP=shop")
    plan = settled_hive.plan("--target", closing.urn)
    assert plan["changeSummary"].keys() == {"same"}
