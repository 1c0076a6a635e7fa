"""The hive that the lab tests share: brought up once, changed by each, destroyed by the last."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from lab import cli
from lab.paths import CHECKOUT, Paths
from tests.lab.hive import Hive

# From looking to breaking; each leaves the hive as it found it, the last leaves nothing.
ORDER = [
    "test_region", "test_up", "test_visitors", "test_firewall", "test_changes", "test_jobs", "test_releases",
    "test_heal", "test_rebuild", "test_destroy",
]  # fmt: skip


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    mine = [item for item in items if item.path.is_relative_to(here)]
    for item in mine:
        item.add_marker(pytest.mark.timeout(1500))
    mine.sort(key=lambda item: ORDER.index(item.path.stem) if item.path.stem in ORDER else len(ORDER))
    items[:] = [item for item in items if not item.path.is_relative_to(here)] + mine


@pytest.fixture(scope="session")
def region(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Paths]:
    """A region of the tests' own, beside the one that `make up` made, with the same caches."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("APIARY_LAB_CACHE", str(CHECKOUT / ".lab" / "cache"))
        paths = Paths.find(CHECKOUT / ".lab" / "test")
        patch.setenv("APIARY_LAB_DIR", str(paths.root))
        cli.down(paths, everything=False)
        paths = Paths.find(paths.root)
        cli.up(paths)
        yield paths
        cli.down(paths, everything=False)


@pytest.fixture(scope="session")
def hive(region: Paths, tmp_path_factory: pytest.TempPathFactory) -> Hive:
    """The stack `lab` and a database-like container that nobody may reach, up and served."""
    found = Hive.copy_of_the_checkout(region, tmp_path_factory.mktemp("program"))
    # Without an entrypoint, so that a test says what runs.
    shell = found.program / "images" / "Shell"
    shell.mkdir()
    (shell / "Dockerfile").write_text("ARG BASE=debian:bookworm-slim\nFROM ${BASE}\n")
    found.settings["apiary:applications"]["database"] = {
        "build_dir": "Echo",
        "stateful": True,
        "env": {"http_port": 5432},
    }
    found.pulumi("stack", "select", "--create")
    found.up()
    return found
