"""The hives of the lab tests, for hours instead of minutes; the servers of the small one are bare."""

from __future__ import annotations

import random

import pytest

from lab.paths import Paths
from tests.lab.conftest import (
    first_saved,
    hive,
    region,
    saved,
    saved_region,
    settled,
    swarm_region,
    three,
    whole,
    whole_region,
)
from tests.soak.rounds import SEED

__all__ = [
    "changed_region",
    "first_saved",
    "hive",
    "region",
    "saved",
    "saved_region",
    "settled",
    "swarm_region",
    "three",
    "whole",
    "whole_region",
]


@pytest.fixture(scope="module")
def chance() -> random.Random:
    print(f"SOAK_SEED={SEED}")
    return random.Random(SEED)  # noqa: S311 - moments, not keys


@pytest.fixture(scope="session")
def changed_region(region: Paths) -> Paths:
    return region
