"""What is typed to put something back: which server is meant, and which moment; while an update runs nothing is."""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Iterator
from datetime import UTC
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from operations import processes, restores
from operations.cli import OperationError, Pulumi
from tests.unit import backups_server  # noqa: F401 - puts the package on the path

from apiary_backups import chosen  # isort: skip


@pytest.mark.parametrize(
    ("what", "known", "wanted"),
    [
        ("web1:shop", ["web1", "web2"], ("web1", "shop")),
        ("web1:postgres/shop", ["web1", "web2"], ("web1", "postgres/shop")),
        ("web1:volume:uploads", ["web1", "web2"], ("web1", "volume:uploads")),
        ("web2", ["web1", "web2"], ("web2", "")),
        ("hive", ["web1", "web2"], (None, "")),
        ("hive", ["hive"], ("hive", "")),
        ("shop", ["web1"], ("web1", "shop")),
        ("volume:uploads", ["web1"], ("web1", "volume:uploads")),
    ],
)
def test_which_server_is_meant(what: str, known: list[str], wanted: tuple[str | None, str]) -> None:
    assert restores.meant(what, known) == wanted


@pytest.mark.parametrize(("what", "known"), [("shop", ["web1", "web2"]), ("", ["web1"]), ("web1:", ["web1"])])
def test_what_names_no_server_is_refused_with_those_there_are(what: str, known: list[str]) -> None:
    with pytest.raises(OperationError, match=f"write SERVER:NAME, a server .{', '.join(known)}., or hive for all"):
        restores.meant(what, known)


@pytest.fixture
def los_angeles(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Where the operator is; the server goes by UTC."""
    monkeypatch.setenv("TZ", "America/Los_Angeles")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize(
    ("at", "told", "before"),
    [
        ("2026-11-29", "2026-11-29 23:59:59-08:00", "2026-11-30T08:00:00"),
        ("2026-07-01", "2026-07-01 23:59:59-07:00", "2026-07-02T07:00:00"),
        ("2026-11-29 17:00", "2026-11-29 17:00-08:00", "2026-11-30T01:01:00"),
        ("2026-11-29 17:00 UTC", "2026-11-29 17:00+00:00", "2026-11-29T17:01:00"),
        ("2026-11-29T17:00:05+01:00", "2026-11-29T17:00:05+01:00", "2026-11-29T16:00:06"),
        ("0a1b2c3d", "0a1b2c3d", None),
    ],
)
def test_a_day_is_that_of_who_writes_it(los_angeles: None, at: str, told: str, before: str | None) -> None:
    """`AT=$(date +%F)` at 17:00 has what was saved a minute ago, where the server has tomorrow already."""
    assert restores.moment(at) == told
    assert restores._options("shop", restores.Wish("web1:shop", at)) == [f"--at={told}", "--", "shop"]
    until = chosen.until(told, UTC)
    assert (until and until.astimezone(UTC).isoformat()) == (before and f"{before}+00:00")


@pytest.mark.parametrize("at", ["2026-13-01", "yesterday", "2026-11-29 7", "2026-11-29 25:00"])
def test_what_is_no_moment_is_left_to_the_server_to_refuse(los_angeles: None, at: str) -> None:
    assert restores.moment(at) == at


@pytest.mark.parametrize(("host", "is_dead"), [(socket.gethostname(), False), ("laptop", False), ("laptop", True)])
def test_while_an_update_runs_nothing_is_restored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, host: str, *, is_dead: bool
) -> None:
    """It would start what has to stand still. Whether one on another machine lives can't be seen from here."""
    locks = tmp_path / ".pulumi" / "locks" / "organization" / "apiary" / "prod"
    locks.mkdir(parents=True)
    lock = {"pid": os.getpid(), "username": "me", "hostname": host, "timestamp": "2036-11-20T02:17:00Z"}
    (locks / "a.json").write_text(json.dumps(lock))
    monkeypatch.setattr(restores.backups, "saved_servers", lambda *_: [server("web1")])
    monkeypatch.setattr(restores, "Host", lambda _: pytest.fail("a server was asked"))
    living = SimpleNamespace(started=0.0, is_cli=True)
    monkeypatch.setattr(processes, "read", lambda _: None if is_dead else living)
    pulumi: Any = SimpleNamespace(backend=lambda: f"file://{tmp_path}", project="apiary", stack="prod")
    with pytest.raises(OperationError, match=rf"me updates stack prod on {host} .*pulumi cancel --stack prod"):
        restores.restore(pulumi, restores.Wish("web1"))


def test_nor_where_an_update_has_begun_while_it_was_asked(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    done: list[str] = []

    class Asked:
        def __init__(self, there: Any) -> None:
            self.there = there

        def run(self, *_: str, timeout: float) -> str:
            return "a plan"

        def stream(self, *_: str) -> int:
            done.append(self.there.name)
            updating.append("by me")
            return 0

    updating: list[str] = []
    monkeypatch.setattr(restores.backups, "saved_servers", lambda *_: [server("web1"), server("web2")])
    monkeypatch.setattr(restores, "Host", Asked)
    monkeypatch.setattr(restores, "_confirm", lambda: updating.append("by me"))
    pulumi: Any = SimpleNamespace(
        backend=lambda: "https://app.pulumi.com",
        stack="prod",
        updating=lambda *, is_service: updating[-1] if updating else None,
    )
    assert restores.restore(pulumi, restores.Wish("hive")) == 1
    assert done == []
    assert "web1: lock: an update of stack prod runs" in capsys.readouterr().out
    updating.clear()
    assert restores.restore(pulumi, restores.Wish("hive", yes=True)) == 1
    assert done == ["web1"], "web2 was restored beside an update"


def server(name: str) -> Any:
    return SimpleNamespace(name=name)


@pytest.mark.parametrize(
    ("backend", "is_service"),
    [("s3://bucket?region=ewr", False), ("azblob://b", False), ("https://app.pulumi.com", True)],
)
def test_nor_where_the_state_is_no_folder(monkeypatch: pytest.MonkeyPatch, backend: str, *, is_service: bool) -> None:
    monkeypatch.setattr(restores.backups, "saved_servers", lambda *_: [server("web1")])
    monkeypatch.setattr(restores, "Host", lambda _: pytest.fail("a server was asked"))
    asked: list[bool] = []

    def updating(*, is_service: bool) -> str:
        asked.append(is_service)
        return "created by ann@laptop (pid 7)"

    pulumi: Any = SimpleNamespace(backend=lambda: backend, project="apiary", stack="prod", updating=updating)
    with pytest.raises(OperationError, match=r"prod runs \(created by ann@laptop.*pulumi cancel --stack prod"):
        restores.restore(pulumi, restores.Wish("web1"))
    assert asked == [is_service]


PRESENT = "error: stack 'organization/apiary/prod' already exists"
LOCKED = """\
error: could not create stack: the stack is currently locked by 1 lock(s). Either wait for the other process(es) to end
  s3://bucket/.pulumi/locks/organization/apiary/prod/a.json: created by ann@laptop (pid 7) at 2026-11-30T07:00:00Z"""


def stacks(*found: tuple[str, bool]) -> str:
    return json.dumps([{"name": name, "updateInProgress": updating} for name, updating in found])


@pytest.mark.parametrize(
    ("is_service", "said", "status", "wanted"),
    [
        (False, PRESENT, 255, ""),
        (False, LOCKED, 255, "created by ann@laptop"),
        (False, "error: no credentials", 255, None),
        (True, stacks(("prod", False), ("other", True)), 0, ""),
        (True, stacks(("me/prod", True)), 0, "in progress"),
        (True, stacks(("other", False)), 0, None),
    ],
)
def test_what_the_cli_knows_of_an_update(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str, status: int, wanted: str | None, *, is_service: bool
) -> None:
    program = tmp_path / "pulumi"
    program.write_text(f"#!/bin/sh\ncat <<'EOF' >&{2 if status else 1}\n{said}\nEOF\nexit {status}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    if wanted is None:
        with pytest.raises(OperationError, match="nobody can tell"):
            Pulumi("prod").updating(is_service=is_service)
        return
    found = Pulumi("prod").updating(is_service=is_service)
    assert wanted in found
    assert bool(found) is bool(wanted)


def test_what_an_update_that_died_has_locked_is_no_hindrance(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    locks = tmp_path / ".pulumi" / "locks" / "organization" / "apiary" / "prod"
    locks.mkdir(parents=True)
    lock = {"pid": 1, "username": "me", "hostname": socket.gethostname(), "timestamp": "2036-11-20T02:17:00Z"}
    (locks / "a.json").write_text(json.dumps(lock))
    monkeypatch.setattr(processes, "read", lambda _: None)
    monkeypatch.setattr(restores.backups, "saved_servers", lambda *_: [])
    pulumi: Any = SimpleNamespace(backend=lambda: f"file://{tmp_path}", project="apiary", stack="prod")
    with pytest.raises(OperationError, match="names no server"):
        restores.restore(pulumi, restores.Wish("web1"))
