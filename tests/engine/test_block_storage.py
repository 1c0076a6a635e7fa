"""Block storage in plans of the engine: who is made anew, in which order, and what is refused beforehand."""

from __future__ import annotations

import copy
import itertools
from typing import Any

import pytest

from tests.engine.conftest import SECRETS
from tests.engine.plans import operations
from tests.engine.settled import settle
from tests.engine.test_changes import CREATED, STOPPED_FIRST, Elsewhere
from tests.engine.workplace import Project, Workplace

BLOCK = "vultr:BlockStorage web1"
NUMBERS = itertools.count()


def test_volumes_of_a_server_that_lives_go_with_their_containers_before_they_come_again(
    elsewhere: Elsewhere, edited: dict[str, Any]
) -> None:
    """The command that moves them from the disk is done before; a container that stayed would write there for ever."""
    edited["config"]["apiary:servers"]["web1"]["data"] = {"gb": 40}
    steps = elsewhere(edited).steps()
    plan = operations(steps)
    assert plan[BLOCK] == CREATED
    assert plan["command:Command web1-data"] == CREATED
    assert "vultr:Instance web1" not in plan
    volumes = [name for name in plan if name.startswith("docker:Volume web1/")]
    assert volumes
    for volume in volumes:
        assert plan[volume] == STOPPED_FIRST
    for container in ("docker:Container haproxy", "docker:Container hasetup"):
        order = [
            ("create", "command:Command web1-data"),
            ("delete-replaced", container),
            ("create-replacement", "docker:Volume web1/haproxycfg"),
            ("create-replacement", container),
        ]
        assert [step for step in steps if step in order] == order
    assert not [name for name in plan if name.startswith("docker:Volume web2/")]


@pytest.fixture(scope="module")
def stored_hive(workplace: Workplace, hive_file: dict[str, Any]) -> Project:
    """The hive as an `up` leaves it, with block storage of web1."""
    with_data = copy.deepcopy(hive_file)
    with_data["config"]["apiary:servers"]["web1"]["data"] = {"gb": 40}
    project = workplace.project("stored", "stored", with_data).made()
    settle(project, SECRETS)
    return project


def changed(workplace: Workplace, stored_hive: Project, edited: dict[str, Any], **change: Any) -> Project:
    """The stored hive with another web1."""
    edited["config"]["apiary:servers"]["web1"] |= {"data": {"gb": 40}, **change}
    return workplace.project(f"stored-{next(NUMBERS)}", stored_hive.stack, edited)


def test_without_an_edit_nothing_is_planned(stored_hive: Project) -> None:
    assert operations(stored_hive.steps()) == {}


def test_a_rebuild_unmounts_it_on_the_old_host_and_only_attaches_it_to_the_new_one(
    workplace: Workplace, stored_hive: Project, edited: dict[str, Any]
) -> None:
    steps = changed(workplace, stored_hive, edited, os=2625).steps()
    plan = operations(steps)
    assert plan[BLOCK] == ("update",)
    order = [
        ("delete-replaced", "docker:Container postgres"),
        ("delete-replaced", "docker:Volume web1/pgdata"),
        ("delete-replaced", "command:Command web1-data"),
        ("delete-replaced", "vultr:Instance web1"),
        ("create-replacement", "vultr:Instance web1"),
        ("update", BLOCK),
        ("create-replacement", "command:Command web1"),
        ("create-replacement", "command:Command web1-data"),
        ("create-replacement", "docker:Volume web1/pgdata"),
        ("create-replacement", "docker:Container postgres"),
    ]
    assert [step for step in steps if step in order] == order


def test_it_grows_in_place_and_no_container_is_touched(
    workplace: Workplace, stored_hive: Project, edited: dict[str, Any]
) -> None:
    plan = operations(changed(workplace, stored_hive, edited, data={"gb": 60}).steps())
    assert plan == {BLOCK: ("update",), "command:Command web1-data": ("update",)}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"data": {"gb": 20}}, "a volume only grows; write 40 or more"),
        ({"data": None}, "protect"),
        # The engine refuses to delete what is protected, whatever the reason.
        pytest.param({"data": {"gb": 40, "type": "storage_opt"}}, "protect", marks=pytest.mark.soak),
        pytest.param({"region": "ams", "private_ip": "10.1.2.10"}, "protect", marks=pytest.mark.soak),
    ],
)
def test_what_would_cost_the_data_is_refused_before_anything_begins(
    workplace: Workplace, stored_hive: Project, edited: dict[str, Any], change: dict[str, Any], words: str
) -> None:
    refused = changed(workplace, stored_hive, edited, **change).run("preview")
    assert refused.status != 0
    assert words in refused.output, refused.output
