"""What the pure tests share.

They say nothing about time: on a loaded machine one example in a thousand takes a moment longer.
"""

from __future__ import annotations

from pathlib import Path

import hypothesis
import pytest

from tests.unit import backups_hive, backups_server, backups_shop, light_restic

hypothesis.settings.register_profile("apiary", deadline=None)
hypothesis.settings.load_profile("apiary")


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> backups_server.Server:
    """A server that is told of its backups, with a restic and a Docker of its own on PATH."""
    return backups_server.make(tmp_path, monkeypatch)


@pytest.fixture
def hive(server: backups_server.Server, monkeypatch: pytest.MonkeyPatch) -> backups_server.Server:
    """The same with two volumes and a database server with two databases."""
    return backups_hive.make(server, monkeypatch)


@pytest.fixture
def shop(server: backups_server.Server, monkeypatch: pytest.MonkeyPatch) -> backups_server.Server:
    """The same with a shop whose volume was saved once, and changed since."""
    return backups_shop.make(server, monkeypatch)


@pytest.fixture(scope="session")
def restic(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The true restic. `make test` has it when it comes here; `make quick` on a machine without the lab has not."""
    place = tmp_path_factory.mktemp("restic")
    found = backups_server.true_restic(place)
    if found is None:
        pytest.skip("there is no restic 0.17 or newer, and no disk of the lab's to take one from (make test, make up)")
    return light_restic.wrapped(found, place)


@pytest.fixture
def real(server: backups_server.Server, restic: Path) -> backups_server.Server:
    """The same with the true restic."""
    backups_server.use_true_restic(server, restic)
    return server
