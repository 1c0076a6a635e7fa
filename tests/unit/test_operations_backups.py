"""`make backup`, `make backups`, `make prune`: which servers, what is shown, and whose credentials prune."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any

import pytest

from components.backups import RETOLD
from operations import backups
from operations.cli import OperationError
from operations.hosts import Ended

STACK = "urn:pulumi:prod::apiary::"


def server(name: str, *, is_saved: bool = True) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = [
        {
            "urn": f"{STACK}apiary:host:Server$pulumi:providers:docker::{name}-ewr",
            "type": "pulumi:providers:docker",
            "id": "p",
            "parent": f"{STACK}apiary:host:Server::{name}",
            "inputs": {"host": f"ssh://root@{name}:22"},
        }
    ]
    if is_saved:
        found.append({"urn": f"{STACK}apiary:backups:Backups::{name}", "type": "apiary:backups:Backups"})
    return found


PASSWORD = {
    "urn": f"{STACK}apiary:backups:Repository$random:index/randomPassword:RandomPassword::backups-password",
    "type": "random:index/randomPassword:RandomPassword",
    "id": "none",
    "outputs": {"result": {"plaintext": json.dumps("correct horse")}},
}
LISTED = {
    "server": "web1",
    "repository": "s3:https://s3.example.com/hive/web1",
    "items": [
        {
            "item": "volume:uploads",
            "snapshots": [
                {"id": "a", "time": "2026-11-27T02:17:09+00:00", "bytes": 10, "server": "web1"},
                {"id": "b", "time": "2026-11-28T02:17:09+00:00", "bytes": 12_900_000, "server": "web1"},
            ],
            "last": {"status": "failed", "reason": "the disk is full"},
            "proved": {"time": "2026-11-22T05:00:00+00:00"},
        },
        {"item": "roles:postgres", "snapshots": [], "last": None, "proved": None},
    ],
    "left_out": {"reports": "backup: false of jobs.reports"},
}


class FakePulumi:
    project = "apiary"

    def __init__(self, folder: Path, resources: list[dict[str, Any]], **settings: Any) -> None:
        self.folder, self.resources, self.settings = folder, resources, settings

    def export(self, *, secrets: bool = False) -> dict[str, Any]:
        return {"deployment": {"resources": self.resources}}

    def setting(self, key: str) -> str | None:
        found = self.settings.get(key.removeprefix("apiary:"))
        return None if found is None else json.dumps(found)


class FakeHost:
    statuses: dict[str, int]
    streamed: list[tuple[str, ...]]
    lost: dict[str, str]  # servers that don't know what to save, and what they say when they are told

    def __init__(self, there: Any) -> None:
        self.server = there

    def stream(self, *command: str) -> int:
        FakeHost.streamed.append((self.server.name, *command))
        return FakeHost.statuses.get(self.server.name, 0)

    def run(self, *command: str, timeout: float = 0, stdin: str = "") -> str:
        if command[0] == "test":
            if self.server.name in FakeHost.lost:
                raise Ended("ended with status 1", 1)
            return ""
        if stdin:
            FakeHost.streamed.append((self.server.name, *command, stdin))
            return FakeHost.lost[self.server.name]
        if self.server.name in FakeHost.statuses:
            raise OperationError(f"server {self.server.name} does not answer")
        return json.dumps(LISTED)


@pytest.fixture(autouse=True)
def hosts(monkeypatch: pytest.MonkeyPatch) -> None:
    FakeHost.statuses, FakeHost.streamed, FakeHost.lost = {}, [], {}
    monkeypatch.setattr(backups, "Host", FakeHost)
    monkeypatch.setattr(backups, "ensure_key", lambda *_: None)


def pulumi(folder: Path, **settings: Any) -> Any:
    return FakePulumi(
        folder, [*server("web1"), *server("web2"), *server("keeper", is_saved=False), PASSWORD], **settings
    )


def test_every_server_that_has_backups_is_saved_whatever_becomes_of_another(tmp_path: Path) -> None:
    FakeHost.statuses = {"web1": 1}
    assert backups.backup(pulumi(tmp_path), None) == 1
    assert [call[0] for call in FakeHost.streamed] == ["web1", "web2"]
    assert FakeHost.streamed[0][1] == "systemd-run", "what is killed on the way must not leave anything stopped"
    FakeHost.statuses = {}
    assert backups.backup(pulumi(tmp_path), "web2") == 0
    with pytest.raises(OperationError, match="keeper is no server with backups; there are: web1, web2"):
        backups.backup(pulumi(tmp_path), "keeper")
    with pytest.raises(OperationError, match="write apiary:backups"):
        backups.backup(FakePulumi(tmp_path, server("web1", is_saved=False)), None)  # type: ignore[arg-type]


def test_a_server_that_has_lost_what_it_was_told_is_told_it_again_before_it_saves(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    FakeHost.lost = {"web1": "volume:uploads: 9 B as of today", "web2": ""}
    found = pulumi(tmp_path)
    inputs = {"stdin": {"plaintext": json.dumps('{"server": "web1"}')}, "update": RETOLD}
    found.resources.append(
        {
            "urn": f"{STACK}apiary:backups:Backups$command:remote:Command::web1-backups",
            "type": "command:remote:Command",
            "id": "c",
            "inputs": inputs,
        }
    )
    assert backups.backup(found, None) == 1
    assert FakeHost.streamed == [("web1", "sh", "-c", RETOLD, '{"server": "web1"}'), ("web1", *backups.NOW)]
    said = capsys.readouterr().out
    assert "  /etc/apiary/backups.json is not there; web1 is told anew" in said
    assert "  volume:uploads: 9 B as of today" in said
    assert "  web2 was never told what to save; run pulumi up" in said
    assert "not all is well on web2" in said


def test_the_list_says_of_what_when_how_large_and_proved_when(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    FakeHost.statuses = {"web2": 1}
    assert backups.show(pulumi(tmp_path), None) == 1
    said = " ".join(capsys.readouterr().out.split())
    assert "volume:uploads 2026-11-28 02:17 UTC 12 MiB 2 2026-11-22 05:00 UTC failed: the disk is full" in said
    assert "roles:postgres never 0 never" in said
    assert "left out: reports: backup: false of jobs.reports" in said
    assert "web2: server web2 does not answer" in said


def test_every_snapshot_is_listed_with_what_at_takes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert backups.show(pulumi(tmp_path), "web1", is_whole=True) == 0
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    first = next(number for number, line in enumerate(lines) if line.startswith("volume:uploads"))
    assert lines[first + 1 : first + 3] == ["a 2026-11-27 02:17 UTC 10 B", "b 2026-11-28 02:17 UTC 12 MiB"]
    assert lines[first + 3].startswith("roles:postgres")


def test_where_servers_may_remove_they_prune_by_themselves(tmp_path: Path) -> None:
    assert backups.prune(pulumi(tmp_path, backups={"repository": "s3:https://h/b"}), None) == 0
    assert FakeHost.streamed[0] == ("web1", "/usr/local/sbin/apiary-backups", "prune")


def test_where_they_may_not_the_operator_prunes_with_credentials_of_his_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = {"repository": "rest:https://h/lab", "append_only": True, "keep": {"daily": 3}, "ca": "PEM"}
    made = pulumi(tmp_path, backups=told)
    with pytest.raises(OperationError, match="PRUNE_ACCESS_KEY="):
        backups.prune(made, None)
    log = tmp_path / "log"
    program = tmp_path / "restic"
    secrets = "$RESTIC_REST_USERNAME $RESTIC_REST_PASSWORD $RESTIC_PASSWORD"
    there = [
        {"id": f"s{age}", "time": f"2020-01-{30 - age}T02:17:00Z", "tags": ["volume:a"], "hostname": "web1"}
        for age in range(5)
    ]
    program.write_text(
        f'#!/bin/sh\necho "$RESTIC_REPOSITORY {secrets} $*" >> {log}\n'
        f"case \"$*\" in *snapshots*) echo '{json.dumps(there)}' ;; esac\n"
    )
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.setenv("PRUNE_ACCESS_KEY", "operator")
    monkeypatch.setenv("PRUNE_SECRET_KEY", "of the operator")
    monkeypatch.setenv("PRUNE_REPOSITORY", "rest:https://h:8443/lab")
    assert backups.prune(made, "web1") == 0
    lines = log.read_text().splitlines()
    assert len(lines) == 2
    for line in lines:
        assert line.startswith("rest:https://h:8443/lab/web1 operator of the operator correct horse --cacert")
    assert lines[1].endswith("forget --prune --retry-lock 5m s3 s4")
    assert FakeHost.streamed == [], "a server was handed what it must not have"


# --- what comes back on an empty disk


def told_of(name: str, stdout: str = "", **told: Any) -> dict[str, Any]:
    return {
        "urn": f"{STACK}apiary:backups:Backups$command:remote:Command::{name}-backups",
        "type": "command:remote:Command",
        "id": "c",
        "inputs": {"stdin": {"plaintext": json.dumps(json.dumps(told))}},
        "outputs": {"stdout": stdout},
    }


@pytest.mark.parametrize(
    ("told", "repository", "is_same"),
    [
        ({"place": "s3:https://h/b/web1", "repository": "s3:https://h/b/web1"}, "s3:https://h/b", True),
        ({"place": "s3:https://h/b/web1", "repository": "s3:https://h/b/web1"}, "s3:https://h/b/", True),
        ({"place": "s3:https://h/b/web1", "repository": "s3:https://h/b/web1"}, "s3:https://h/bb", False),
        ({"place": "s3:https://h/b/web1", "repository": "s3:https://h/b/web1"}, None, False),
        ({"repository": "s3:https://h/b/web1"}, "s3:https://h/bb", False),
        ({"place": "server:store1/web1", "repository": "sftp:a@192.0.2.1:/x"}, {"server": "store1"}, True),
        ({"place": "server:store1/web1", "repository": "sftp:a@192.0.2.1:/x"}, {"server": "web2"}, False),
        ({"place": "vultr/web1", "repository": "s3:https://h/apiary-7/web1"}, "vultr", True),
        ({"repository": "s3:https://h/apiary-7/web1"}, "vultr", True),
    ],
)
def test_a_server_comes_back_from_where_it_has_saved_to(
    tmp_path: Path, told: dict[str, Any], repository: Any, *, is_same: bool
) -> None:
    found = pulumi(tmp_path, **({"backups": {"repository": repository}} if repository else {}))
    found.resources.append(told_of("web1", **told))
    if is_same:
        assert backups.must_be_filled(found, ["web1", "web2"]) == ["web1"]
        return
    with pytest.raises(OperationError, match=r"web1 has saved to .* would come back empty.*servers\.web1\.restore"):
        backups.must_be_filled(found, ["web1"])
    found.settings["servers"] = {"web1": {"restore": False}}
    assert backups.must_be_filled(found, ["web1"]) == []
