"""What a first preview plans is what the golden files say, and nothing is asked of anybody for it."""

from __future__ import annotations

import pytest

from tests.engine import golden
from tests.engine.plans import difference, reduced
from tests.engine.workplace import Workplace


@pytest.mark.parametrize("stack", sorted(golden.STACK_FILES))
def test_a_stack_plans_the_resources_of_its_golden(workplace: Workplace, stack: str) -> None:
    workplace.forget()  # a preview that makes a server anew asks what is sold
    plan = golden.planned(workplace, stack)
    assert set(plan["changeSummary"]) == {"create"}
    assert workplace.asked() == [], "a first preview asks nobody"
    report = difference(golden.read(stack), reduced(plan))
    assert not report, (
        f"stack {stack} plans something else than {golden.path_of(stack).name}; "
        f"where that is meant: {golden.COMMAND}\n{report}"
    )


def test_the_picture_in_the_readme_is_the_plan_of_the_example(workplace: Workplace) -> None:
    assert golden.picture(workplace) == golden.PICTURE.read_text(), f"docs/hive.svg is old; {golden.COMMAND}"


def test_every_golden_has_a_stack() -> None:
    assert {path.stem for path in golden.path_of("x").parent.glob("*.yaml")} == set(golden.STACK_FILES)


def test_a_difference_names_the_resource_and_the_line() -> None:
    before = {"a:B c": {"type": "a", "inputs": {"x": 1}}, "a:B gone": {}}
    after = {"a:B c": {"type": "a", "inputs": {"x": 2}}, "a:B come": {}}
    assert difference(before, before) == ""
    report = difference(before, after).splitlines()
    assert report[:3] == ["only in the golden: a:B gone", "only in the plan:   a:B come", "changed: a:B c"]
    assert {"    -  x: 1", "    +  x: 2"} <= set(report)
