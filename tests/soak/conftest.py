"""The hives of the lab tests, for hours instead of minutes; the servers of the small one are bare."""

from __future__ import annotations

import pytest

from lab.paths import Paths
from tests.lab.conftest import hive, region, saved, saved_region, settled, whole, whole_region

__all__ = ["changed_region", "hive", "region", "saved", "saved_region", "settled", "whole", "whole_region"]


@pytest.fixture(scope="session")
def changed_region(region: Paths) -> Paths:
    return region
