"""What the pure tests share.

They say nothing about time: on a loaded machine one example in a thousand takes a moment longer.
"""

from __future__ import annotations

from pathlib import Path

import hypothesis
import pytest

from tests.unit import backups_server

hypothesis.settings.register_profile("apiary", deadline=None)
hypothesis.settings.load_profile("apiary")


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> backups_server.Server:
    """A server that is told of its backups, with a restic and a Docker of its own on PATH."""
    return backups_server.make(tmp_path, monkeypatch)


@pytest.fixture
def real(server: backups_server.Server) -> backups_server.Server:
    """The same with the true restic."""
    backups_server.use_true_restic(server)
    return server
