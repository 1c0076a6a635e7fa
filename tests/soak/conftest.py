"""The hives of the lab tests, for hours instead of minutes."""

from tests.lab.conftest import hive, region, settled, whole, whole_region

__all__ = ["hive", "region", "settled", "whole", "whole_region"]
