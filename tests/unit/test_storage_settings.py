"""Block storage in the stack file: what Vultr sells, and nothing else."""

from __future__ import annotations

from typing import Any

import pytest

import settings
from tests.unit.test_settings import good
from tests.unit.test_settings_errors import put, report

WEB1 = ("servers", "web1")


def loaded(raw: Any) -> settings.Stack:
    return settings.load(raw, name="test")


@pytest.mark.parametrize("data", [{"gb": 10}, {"gb": 10_000}, {"gb": 40, "type": "storage_opt"}])
def test_what_is_sold_is_taken(data):
    raw = good()
    put(raw, (*WEB1, "data"), data)
    found = loaded(raw).servers["web1"].data
    assert (found.gb, found.type) == (data["gb"], data.get("type", "high_perf"))


@pytest.mark.parametrize(
    ("data", "place", "words"),
    [
        ({"gb": 20, "type": "storage_opt"}, "gb", "comes from 40 to 40000 GB; write one of these, or type: high_perf"),
        ({"gb": 10_001}, "gb", "comes from 10 to 10000 GB; write one of these, or type: storage_opt"),
        ({"gb": 5}, "gb", "10"),
        ({}, "gb", ""),
        ({"gb": 40, "type": "ssd"}, "type", "high_perf"),
    ],
)
def test_what_is_not_sold_is_refused_by_its_path(data, place, words):
    raw = good()
    put(raw, (*WEB1, "data"), data)
    assert words in report(raw)[f"servers.web1.data.{place}"]
