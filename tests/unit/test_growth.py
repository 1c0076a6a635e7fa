"""What a stack file costs grows with it, not with its square: in lines that Python runs, whatever the machine."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

import pytest

import settings
from bench import scale
from settings import order

SIZE = 60
# Twice as much of anything is at most twice the work, and what does not grow is in both.
TWICE = 2.05


def applications(count: int) -> dict[str, Any]:
    return sections(scale.with_applications(count))


def zones(count: int) -> dict[str, Any]:
    """Applications, each in a listed zone of its own, with the database of its own name."""
    read = applications(count)
    read["zones"] = {}
    read["applications"]["postgres"] = {
        "build_dir": "PostgreSQL",
        "env": {"postgres_password": "_postgres^adminpass"},
    }
    read["jobs"]["dbsetup"] = {"build_dir": "DBSetup", "env": {"dbmap": "_dbmap"}}
    web = read["servers"]["web1"]["dns"]["web"]
    for number in range(count - 3):
        web[web.index(f"app{number}.example.com")] = domain = f"app{number}.example"
        env = {"domains": [domain], "http_port": 8080, "db_host": "$postgres"}
        read["applications"][f"app{number}"] |= {"env": env, "db": ["postgres"]}
        read["zones"][domain] = {"records": [{"type": "MX", "name": "", "data": "mail.example.net", "priority": 10}]}
    return read


def records(count: int) -> dict[str, Any]:
    return sections(scale.with_records(count))


def sections(stack_file: dict[str, Any]) -> dict[str, Any]:
    return {
        key.removeprefix("apiary:"): value for key, value in stack_file["config"].items() if key.startswith("apiary:")
    }


def work(raw: dict[str, Any]) -> None:
    """What the program asks of a stack file."""
    stack = settings.load(raw, name="test")
    settings.neighbours(stack)
    for name in order.container_order(stack):
        order.waits_for(stack, name)
        order.database_servers(stack, name)
    for server in stack.servers:
        settings.dns_records(stack, server)
        settings.proxy_map(stack, server)
        settings.openings(stack, server)
        settings.plan(stack, server, "2001:db8:1:2::/64")
    settings.zones_of(stack)


def lines(run: Callable[[], None]) -> int:
    """How many lines Python has run, those of loops as often as they ran."""
    count = 0

    def trace(_frame: FrameType, event: str, _what: object) -> Any:
        nonlocal count
        count += event == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        run()
    finally:
        sys.settrace(before)
    return count


@pytest.mark.parametrize("made", [applications, zones, records])
def test_twice_the_stack_file_is_at_most_twice_the_work(made: Callable[[int], dict[str, Any]]) -> None:
    work(made(SIZE))  # what is read once
    once, twice = made(SIZE), made(2 * SIZE)
    first, second = lines(lambda: work(once)), lines(lambda: work(twice))
    assert second < TWICE * first, f"{second / first:.2f} times the lines: {first}, then {second}"
