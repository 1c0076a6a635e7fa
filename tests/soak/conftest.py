"""The hive of the lab tests, for hours instead of minutes."""

from tests.lab.conftest import hive, region, settled

__all__ = ["hive", "region", "settled"]
