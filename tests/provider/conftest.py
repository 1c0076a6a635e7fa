"""The account and the engine of one test."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.provider.fake import Engine, FakeApi


@pytest.fixture
def api() -> FakeApi:
    return FakeApi()


@pytest.fixture
def engine(api: FakeApi, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Engine:
    monkeypatch.setenv("PULUMI_HOME", str(tmp_path))
    return Engine(api, monkeypatch)
