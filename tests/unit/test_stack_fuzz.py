"""Whatever a stack file holds, it is planned whole or refused with a path and a remedy; never a traceback."""

from __future__ import annotations

import pytest

from tests.unit import stack_judge


@pytest.mark.parametrize("first", range(0, 300, 100))
def test_some_stack_files_are_planned_or_refused_with_path_and_remedy(first):
    judged = [stack_judge.one(seed) for seed in range(first, first + 100)]
    assert sum(stack is not None for stack in judged) > 5, "hardly one was planned: the files are no likely ones"
