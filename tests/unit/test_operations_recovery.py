"""Whose processes and locks a repair may end, and whose never."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from operations.backend import FileBackend, Lock, verdict
from operations.cli import OperationError
from operations.processes import Process, end, read, survivors

BACKEND = "file:///srv/state"
PROGRAM = Path("/srv/apiary")


def process(pid: int, parent: int, *command: str, backend: str = BACKEND, project: str = "apiary") -> Process:
    environment = {"PULUMI_BACKEND_URL": backend, "PULUMI_PROJECT": project}
    return Process(pid, parent, 1000.0, command, str(PROGRAM), environment)


def found(*processes: Process) -> list[int]:
    known = {one.pid: one for one in processes}
    return [one.pid for one in survivors(known, backend=BACKEND, project="apiary", folder=PROGRAM)]


def test_a_plugin_without_its_cli_is_a_survivor() -> None:
    assert found(process(10, 1, "/home/u/plugins/pulumi-resource-docker", "127.0.0.1:1")) == [10]


def test_a_plugin_in_an_interpreter_is_a_survivor_too() -> None:
    assert found(process(10, 1, "/usr/bin/python3", "/home/u/plugins/pulumi-resource-docker")) == [10]


def test_a_plugin_under_a_living_cli_is_none_at_any_depth() -> None:
    assert not found(
        process(5, 1, "pulumi", "up"),
        process(6, 5, "pulumi-language-python"),
        process(7, 6, "python3", "/bin/pulumi-language-python-exec"),
    )


@pytest.mark.parametrize("other", [{"backend": "file:///srv/other"}, {"project": "shop"}])
def test_plugins_of_another_backend_or_project_are_left_alone(other: dict[str, str]) -> None:
    assert not found(process(10, 1, "pulumi-resource-docker", **other))


def test_other_programs_are_left_alone() -> None:
    assert not found(process(10, 1, "vim", "notes-on-pulumi"), process(11, 1, "bash"))


def test_ending_waits_until_the_process_is_gone_and_ends_no_other() -> None:
    sleeper = [sys.executable, "-c", "import time; time.sleep(60)"]
    with subprocess.Popen(sleeper) as victim, subprocess.Popen(sleeper) as bystander:
        try:
            seen = read(victim.pid)
            assert seen is not None
            assert end([seen]) == []
            assert victim.wait(5) != 0
            assert bystander.poll() is None
        finally:
            for one in (victim, bystander):
                one.kill()


def test_a_number_that_was_given_away_since_is_not_ended() -> None:
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) as bystander:
        try:
            seen = read(bystander.pid)
            assert seen is not None
            end([Process(seen.pid, seen.parent, seen.started - 100, seen.command, seen.folder, {})])
            assert bystander.poll() is None
        finally:
            bystander.kill()


def lock(host: str = "here", since: float = 2000.0) -> Lock:
    return Lock(Path("lock.json"), 42, "u", host, since)


def test_the_lock_of_a_living_update_holds() -> None:
    assert verdict(lock(), lambda pid: process(pid, 1, "pulumi", "up"), "here") is None


@pytest.mark.parametrize(
    ("holder", "reason"),
    [
        pytest.param(None, "gone", id="gone"),
        pytest.param(Process(42, 1, 1000.0, ("vim",), "/", {}), "not Pulumi", id="another program"),
        pytest.param(Process(42, 1, 3000.0, ("pulumi",), "/", {}), "younger", id="started after the lock"),
    ],
)
def test_the_lock_of_a_dead_update_is_proved_to_be_one(holder: Process | None, reason: str) -> None:
    assert reason in str(verdict(lock(), lambda _: holder, "here"))


def test_a_lock_from_another_machine_is_refused_with_its_name() -> None:
    with pytest.raises(OperationError, match="u on there"):
        verdict(lock(host="there"), lambda _: None, "here")


def test_the_locks_of_a_stack_are_read_as_the_cli_writes_them(tmp_path: Path) -> None:
    folder = tmp_path / ".pulumi" / "locks" / "organization" / "apiary" / "lab"
    folder.mkdir(parents=True)
    said = {"pid": 7, "username": "u", "hostname": "h", "timestamp": "2026-11-23T23:48:32.985068875Z"}
    (folder / "a.json").write_text(json.dumps(said))
    backend = FileBackend.of(f"file://{tmp_path}?metadata=skip")
    assert backend is not None
    (seen,) = backend.locks("apiary", "lab")
    assert (seen.pid, seen.user, seen.host) == (7, "u", "h")
    assert seen.since == pytest.approx(1795477712.985068)
    assert not backend.locks("apiary", "prod")


def test_only_empty_leftovers_of_this_stack_count_as_torn(tmp_path: Path) -> None:
    folder = tmp_path / ".pulumi" / "stacks" / "apiary"
    folder.mkdir(parents=True)
    for name in ("lab.json.attrs", "lab.json.tmp123", "prod.json.attrs", "lab.json"):
        (folder / name).touch()
    (folder / "lab.json.bak.attrs").write_text("{}")
    backend = FileBackend(tmp_path / ".pulumi")
    assert [file.name for file in backend.torn("apiary", "lab")] == ["lab.json.attrs", "lab.json.tmp123"]


@pytest.mark.parametrize("url", ["https://api.pulumi.com", "s3://bucket/state"])
def test_other_backends_have_no_files_here(url: str) -> None:
    assert FileBackend.of(url) is None


def test_this_process_is_read_with_its_start() -> None:
    own = read(os.getpid())
    assert own is not None
    assert own.parent == os.getppid()
    assert own.started > 0
