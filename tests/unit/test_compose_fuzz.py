"""Whatever a compose file holds, it becomes a stack file or errors with a path and a remedy; never a traceback."""

from __future__ import annotations

import hypothesis
import pytest
from hypothesis import strategies as st

from tests.unit.compose_fuzz import judge, one


@pytest.mark.parametrize("first", range(0, 300, 100))
def test_mutated_compose_files_are_converted_or_refused_with_path_and_remedy(first):
    assert sum(one(seed) for seed in range(first, first + 100)) > 5


@hypothesis.given(st.text(st.sampled_from("services:{}[]- \nweb image&*<!?'\"$#|>x1,\t"), max_size=120))
@hypothesis.settings(max_examples=300)
def test_text_that_is_hardly_yaml_is_told_so(text):
    judge({"compose.yaml": f"services: {{web: {{image: x}}}}\n{text}"})
    judge({"compose.yaml": text})
