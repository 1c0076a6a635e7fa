"""Which tests one worker runs one after another, and what begins first.

Not by xdist's groups: its 3.8 has none with pytest 9.2, and says nothing (every test would be a group of its own, and
every hive be brought up by every worker).
"""

from __future__ import annotations

import gc
import os
import signal
import subprocess
from collections.abc import Generator
from pathlib import PurePath
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

# Hives side by side, each with the modules that use it one after another and leave it as they found it, but for the
# monitor, which stays in the hive of two servers at the end: the whole one of Pulumi.lab.yaml, a small one
# (lab/stacks/spine.yaml) that is looked at, changed and broken, one of two servers (lab/stacks/two.yaml), and the three
# of Pulumi.swarm.yaml, one with data that come back. `make test` has these alone.
HIVES = {
    "whole": [
        "test_whole",
        "test_status",
        "test_certificates",
        "test_proxy",
        "test_sites",
        "test_databases",
        "test_logs",
        "test_built_sites",
        "test_browse",
        "test_whole_lost",
    ],
    "two": [
        "test_inside",
        "test_neighbours",
        "test_afterwards",
        "test_monitor",
        "test_private",
        "test_addresses",
    ],
    "rebuilt": ["test_rebuild"],
    "change": [
        "test_up",
        "test_visitors",
        "test_firewall",
        "test_schedule",
        "test_changes",
        "test_contexts",
        "test_images",
        "test_jobs",
        "test_releases",
        "test_closing",
        "test_proxy_releases",
        "test_heal",
        "test_destroy",
    ],
    "saved": ["test_backups", "test_backup_faults", "test_restore"],
    "store": ["test_block_storage"],
    "moves": ["test_moves"],
    "moves-data": ["test_moves_data"],
    "copies": ["test_copies"],
    "swarm": ["test_swarm", "test_swarm_data", "test_swarm_lost"],
    "grown": ["test_grown"],
    "bee2": ["test_bee2_move"],
    "examples": ["test_examples"],
    "no-hive": ["test_region", "test_down", "test_stores", "test_backup_places"],
}
# What is looked at in the state of one hive, which is made once; the others of tests/engine have their own.
SETTLED = (
    "block_storage",
    "changes",
    "closings",
    "heal_guard",
    "killed_rebuild",
    "moves",
    "secrets",
    "without_anybody",
)
LAB = [module for modules in HIVES.values() for module in modules]
# What takes longest begins first, and all the rest gives way to it at the processor.
TURNS = [
    "whole",
    "change",
    "two",
    "swarm",
    "grown",
    "saved",
    "rebuilt",
    "store",
    "moves",
    "moves-data",
    "copies",
    "bee2",
    "examples",
    "engine",
    "no-hive",
    "conformance",
    "strangers",
    "provider",
    "mocks",
    "unit",
    "soak",
]
NICENESS = 5
PRINTED = "what the command printed"
SAID = 1600  # characters of why a test failed, in the closing summary


def hive_of(module: str) -> str:
    """The hive of a module of tests/lab."""
    for hive, modules in HIVES.items():
        if module in modules:
            return hive
    raise pytest.UsageError(f"tests/lab/{module}.py stands in no hive of HIVES in tests/conftest.py; say which it uses")


def part_of(test: str) -> str:
    """What goes to one worker, by a test's id: what uses one hive, elsewhere those of a file."""
    path = PurePath(test.split("::", maxsplit=1)[0])
    room, name = path.parent.name, path.stem.removeprefix("test_")
    if room == "lab":
        return hive_of(path.stem)
    return "engine" if room == "engine" and name in SETTLED else f"{room}-{name}"


class ByHive(LoadScopeScheduling):
    def _split_scope(self, nodeid: str) -> str:
        return part_of(nodeid)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> ByHive:
    return ByHive(config, log)


def pytest_configure() -> None:
    # A script's background jobs ignore it, and so would all that is started here: the CLI then waits five seconds for
    # the end of each language host.
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_sessionstart() -> None:
    gc.disable()  # of what is collected nothing is garbage


def pytest_collection_finish() -> None:
    gc.freeze()
    gc.enable()


def pytest_runtest_setup(item: pytest.Item) -> None:
    if TURNS[_turn(item)[0]] != "whole":
        os.nice(max(0, NICENESS - os.nice(0)))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.parent.name == "lab":
            item.add_marker(pytest.mark.timeout(1500))
        if item.path.parent.name == "soak":
            item.add_marker(pytest.mark.soak)
    items.sort(key=_turn)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    call: pytest.CallInfo[None],
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """With what a command printed that failed: its exception says the status alone."""
    report = yield
    failed = call.excinfo and call.excinfo.value
    if isinstance(failed, subprocess.CalledProcessError | subprocess.TimeoutExpired):
        printed = [
            part if isinstance(part, str) else part.decode(errors="replace")
            for part in (failed.stdout, failed.stderr)
            if part
        ]
        report.sections.append((PRINTED, "\n".join(printed)))
    return report


@pytest.hookimpl(trylast=True)
def pytest_terminal_summary(terminalreporter: Any) -> None:
    """What failed and of what, on one screen at the end: before it stand hundreds of lines for each."""
    for report in [*terminalreporter.stats.get("failed", []), *terminalreporter.stats.get("error", [])]:
        crash = getattr(report.longrepr, "reprcrash", None)
        said = crash.message if crash else str(report.longrepr)
        said = "\n".join([said, *(text for title, text in report.sections if title == PRINTED)])
        seconds = getattr(report, "duration", 0.0)  # of a module that can't be read there is none
        terminalreporter.section(f"{report.nodeid} ({report.when}, {seconds:.0f} s)", sep="-")
        terminalreporter.line(f"at {crash.path}:{crash.lineno}" if crash else "")
        terminalreporter.line(said if len(said) <= SAID else f"{said[: SAID // 2]}\n[...]\n{said[-SAID // 2 :]}")


def _turn(item: pytest.Item) -> tuple[int, int]:
    room, module = item.path.parent.name, item.path.stem
    return (TURNS.index(hive_of(module)), LAB.index(module)) if room == "lab" else (TURNS.index(room), 0)
