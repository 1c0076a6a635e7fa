"""The full counts of what tests/unit tries in small: stack files, and compose files, that nobody has thought of."""

from __future__ import annotations

from tests.unit import compose_fuzz, stack_judge

STACK_FILES = 10_000
COMPOSE_FILES = 1_000


def test_ten_thousand_stack_files_are_planned_or_refused_with_path_and_remedy() -> None:
    planned = sum(stack_judge.one(seed) is not None for seed in range(1_000_000, 1_000_000 + STACK_FILES))
    print(f"{planned} of {STACK_FILES} stack files were planned, the others refused")
    assert planned > STACK_FILES // 20


def test_a_thousand_mutated_compose_files_are_converted_or_refused_with_path_and_remedy() -> None:
    converted = sum(compose_fuzz.one(seed) for seed in range(1_000_000, 1_000_000 + COMPOSE_FILES))
    print(f"{converted} of {COMPOSE_FILES} compose files were converted, the others refused")
    assert converted > COMPOSE_FILES // 20
