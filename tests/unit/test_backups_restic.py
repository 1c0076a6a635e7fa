"""The only caller of restic: what it means when it fails, and that nothing half-done is taken for whole."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.unit.backups_server import PACKAGE, Server

from apiary_backups import calls, restic  # isort: skip - the module above puts it on the path
from apiary_backups.loading import Load  # isort: skip
from apiary_backups.errors import (  # isort: skip
    BackupsError,
    LockedError,
    NoRepositoryError,
    UnreachableError,
    WrongPasswordError,
)
from apiary_backups.items import Item  # isort: skip

UPLOADS, SHOP = Item.volume("uploads"), Item.of_database("postgres", "shop")


@pytest.fixture(params=["server", "real"])
def made(request: pytest.FixtureRequest) -> Server:
    """A server with a repository."""
    found: Server = request.getfixturevalue(request.param)
    found.restic.init()
    return found


def test_a_repository_that_is_not_there_is_told_apart_from_one_that_does_not_open(server: Server) -> None:
    with pytest.raises(NoRepositoryError):
        server.restic.probe()
    server.restic.init()
    server.restic.probe()
    server.told["environment"] = {"RESTIC_PASSWORD": "another"}
    with pytest.raises(WrongPasswordError):
        server.restic.probe()


def test_the_true_restic_tells_the_same_three(real: Server) -> None:
    test_a_repository_that_is_not_there_is_told_apart_from_one_that_does_not_open(real)


def test_a_repository_that_does_not_answer_is_given_up_with_its_reason(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(restic, "PROBE_SECONDS", 1)
    monkeypatch.setenv("RESTIC_FAULT", "down")
    with pytest.raises(UnreachableError, match=r"within 1 s.*connection refused"):
        server.restic.probe()


def test_a_bucket_that_is_not_there_is_no_repository_yet_and_is_not_waited_for(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RESTIC_FAULT", "no bucket")
    begun = time.monotonic()
    with pytest.raises(NoRepositoryError):
        server.restic.probe()
    assert time.monotonic() - begun < restic.PROBE_SECONDS / 2
    server.restic.init()


def test_a_lock_is_no_failure_of_the_repository(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    server.restic.init()
    monkeypatch.setenv("RESTIC_FAULT", "locked")
    with pytest.raises(LockedError, match="PID 7 on web1"):
        server.restic.save_folder(UPLOADS, server.volume("uploads", a="1"))


def test_what_is_tried_in_vain_is_given_up_and_the_next_thing_sooner(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.restic.init()
    monkeypatch.setattr(calls, "PATIENCE_SECONDS", 2.0)
    monkeypatch.setattr(calls, "PATIENCE_AGAIN_SECONDS", 0.1)
    monkeypatch.setattr(calls, "LOOK_SECONDS", 0.05)
    monkeypatch.setenv("RESTIC_FAULT", "down")
    repository, seconds = server.restic, []
    for _ in range(2):
        begun = time.monotonic()
        with pytest.raises(UnreachableError, match=r"takes or gives nothing, tried for .*connection refused"):
            repository.snapshots()
        seconds.append(time.monotonic() - begun)
    assert seconds[0] > 2 > seconds[1]


def test_a_dump_that_is_tried_in_vain_is_given_up(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    server.restic.init()
    monkeypatch.setattr(calls, "PATIENCE_SECONDS", 0.5)
    monkeypatch.setenv("RESTIC_FAULT", "down")
    begun = time.monotonic()
    with pytest.raises(BackupsError, match=r"restic dump: .*connection refused"):
        server.restic.read("a" * 64)
    assert time.monotonic() - begun < 30


def test_what_was_of_use_when_tried_again_is_waited_for(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    server.restic.init()
    monkeypatch.setattr(calls, "PATIENCE_SECONDS", 1.0)
    monkeypatch.setattr(calls, "LOOK_SECONDS", 0.05)
    monkeypatch.setenv("RESTIC_FAULT", "unsteady")
    assert server.restic.snapshots() == []


def locked(server: Server, *words: str) -> subprocess.Popen[bytes]:
    """A restic that holds a lock, until its standard input ends."""
    process = subprocess.Popen(
        [*words, *server.restic.calls.command("backup", "--stdin", "--stdin-filename", "x")[len(calls.with_us()) :]],
        env=server.restic.calls.environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
    )
    folder = server.place / "repository" / "locks"
    deadline = time.monotonic() + 60
    while not _locks(folder):
        assert time.monotonic() < deadline, "it takes no lock"
        time.sleep(0.05)
    return process


def _locks(folder: Path) -> list[Path]:
    """Those that are whole: one is written under another name first."""
    return [file for file in folder.iterdir() if "-tmp-" not in file.name]


def test_a_lock_of_a_dead_run_goes_and_one_of_a_living_stays(real: Server) -> None:
    real.restic.init()
    folder = real.place / "repository" / "locks"
    living = locked(real)
    real.restic.unlock()
    assert len(list(folder.iterdir())) == 1
    living.kill()
    living.wait()
    real.restic.unlock()
    assert list(folder.iterdir()) == []


def test_a_lock_of_a_dead_run_goes_also_while_nobody_has_waited_for_it(real: Server) -> None:
    """As when its caller was killed too: restic itself takes it for alive, and the next run would wait for it."""
    real.restic.init()
    dead = locked(real)
    dead.kill()
    os.waitid(os.P_PID, dead.pid, os.WEXITED | os.WNOWAIT)
    real.restic.unlock()
    assert dead.returncode is None, "it was waited for"
    assert list((real.place / "repository" / "locks").iterdir()) == []
    dead.wait()


def test_a_lock_of_a_dead_server_is_none_though_another_process_has_its_number_now(real: Server) -> None:
    if subprocess.run(["unshare", "--pid", "--fork", "true"], check=False).returncode != 0:
        pytest.skip("no process may be number 1 of another machine here")
    real.restic.init()
    dead = locked(real, "unshare", "--pid", "--fork", "--kill-child", "--")
    dead.kill()
    dead.wait()
    real.restic.unlock()
    assert list((real.place / "repository" / "locks").iterdir()) == []


def test_restic_ends_with_who_has_called_it(real: Server) -> None:
    real.restic.init()
    script = (
        "import os, subprocess, sys; sys.path.insert(0, sys.argv[1])\n"
        "from apiary_backups import calls\n"
        "subprocess.Popen([*calls.with_us(), 'sleep', '300'])\n"
        "print(flush=True); sys.stdin.read()\n"
    )
    caller = subprocess.Popen(
        [sys.executable, "-c", script, str(PACKAGE)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert caller.stdout is not None
    caller.stdout.readline()
    caller.kill()
    # Its output is closed when the last one who has it is gone.
    assert caller.communicate(timeout=60)[0] == b""


def test_restic_takes_its_lock_away_though_nobody_listens_to_it_any_more(real: Server) -> None:
    real.restic.init()
    script = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from pathlib import Path\n"
        "from apiary_backups import calls, config, restic\n"
        "calls.RUN, calls.CACHE = Path(sys.argv[3]), Path(sys.argv[4])\n"
        "restic.Restic(config.parse(sys.argv[2])).calls.done(\n"
        "    ['backup', '--stdin-filename', 'x', '--stdin-from-command', '--', 'sleep', '60'], 60)\n"
    )
    told = json.dumps(real.told), str(calls.RUN), str(calls.CACHE)
    caller = subprocess.Popen([sys.executable, "-c", script, str(PACKAGE), *told], stdout=subprocess.PIPE)
    folder = real.place / "repository" / "locks"
    _until(lambda: _locks(folder) != [], "it takes no lock")
    caller.kill()
    caller.communicate(timeout=60)
    _until(lambda: list(folder.iterdir()) == [], "its lock stays")


def _until(is_so: Callable[[], bool], problem: str) -> None:
    deadline = time.monotonic() + 30
    while not is_so():
        assert time.monotonic() < deadline, problem
        time.sleep(0.05)


def test_its_progress_is_nothing_that_grows_in_memory(real: Server) -> None:
    real.restic.init()
    done = real.restic.calls.done(
        ["backup", "--stdin-filename", "x", "--stdin-from-command", "--", "sh", "-c", "sleep 2; echo x"], 60
    )
    assert done.status == 0
    assert done.output.count(b'"status"') <= 1


def test_a_volume_comes_back_with_its_files_owner_and_mode(made: Server, tmp_path: Path) -> None:
    folder = made.volume("uploads", a="one", b="two")
    (folder / "empty").mkdir()
    folder.chmod(0o750)
    saved = made.restic.save_folder(UPLOADS, folder)
    (tmp_path / "new").mkdir()
    back = made.restic.restore(saved.snapshot, tmp_path / "new")
    assert {path.name for path in back.iterdir()} == {"a", "b", "empty"}
    assert (back / "a").read_text() == "one"
    assert back.stat().st_mode & 0o777 == 0o750
    assert saved.bytes == 6


def test_a_snapshot_is_known_by_its_item(made: Server) -> None:
    folder = made.volume("uploads", a="one")
    made.restic.save_folder(UPLOADS, folder)
    newest = made.restic.save_folder(UPLOADS, folder)
    dump = made.restic.save_output(SHOP, ["echo", "rows"])
    found = made.restic.newest()
    assert {item: one.id for item, one in found.items()} == {UPLOADS: newest.snapshot, SHOP: dump.snapshot}
    assert found[UPLOADS].host == "web1"
    assert found[UPLOADS].bytes == 3
    assert len(made.restic.snapshots(UPLOADS)) == 2


def test_a_command_that_fails_leaves_no_snapshot(made: Server) -> None:
    with pytest.raises(BackupsError, match="status 3"):
        made.restic.save_output(SHOP, ["sh", "-c", "echo half; exit 3"])
    assert made.restic.snapshots() == []


def test_what_could_not_be_read_is_told_and_the_rest_is_kept(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    server.restic.init()
    folder = server.volume("uploads", a="one")
    monkeypatch.setenv("RESTIC_FAULT", "unreadable")
    saved = server.restic.save_folder(UPLOADS, folder)
    assert "/a/b" in saved.unread
    assert "input/output error" in saved.unread


def test_a_dump_goes_in_as_a_whole(made: Server, tmp_path: Path) -> None:
    saved = made.restic.save_output(SHOP, ["printf", "rows\n-- done\n"])
    into = tmp_path / "into"
    load = Load(["sh", "-c", f"cat > {into}"], begin=b"BEGIN;\n", end=b"COMMIT;\n", mark=b"-- done")
    made.restic.load(saved.snapshot, load)
    assert into.read_text() == "BEGIN;\nrows\n-- done\nCOMMIT;\n"
    assert made.restic.read(saved.snapshot) == b"rows\n-- done\n"


def test_a_dump_without_its_end_is_never_committed(made: Server, tmp_path: Path) -> None:
    saved = made.restic.save_output(SHOP, ["printf", "rows\n"])
    into = tmp_path / "into"
    with pytest.raises(BackupsError, match="breaks off"):
        made.restic.load(saved.snapshot, Load(["sh", "-c", f"cat > {into}"], b"BEGIN;\n", b"COMMIT;\n", b"-- done"))
    assert "COMMIT" not in into.read_text()


def test_a_dump_that_the_repository_breaks_off_is_never_committed(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.restic.init()
    saved = server.restic.save_output(SHOP, ["printf", "rows\n-- done\n"])
    monkeypatch.setenv("RESTIC_FAULT", "cut")
    into = tmp_path / "into"
    with pytest.raises(BackupsError, match="pack file is damaged"):
        server.restic.load(saved.snapshot, Load(["sh", "-c", f"cat > {into}"], end=b"COMMIT;\n"))
    assert "COMMIT" not in into.read_text()


def test_what_refuses_a_dump_says_why(made: Server) -> None:
    saved = made.restic.save_output(SHOP, ["sh", "-c", "yes row | head -c 3000000"])
    with pytest.raises(BackupsError, match='ERROR: relation "a" exists'):
        made.restic.load(saved.snapshot, Load(["sh", "-c", "echo 'ERROR: relation \"a\" exists' >&2; exit 3"]))


def test_no_secret_is_an_argument_or_in_a_message(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    server.told |= {"ca": "-----BEGIN", "ssh": {"key": "PRIVATE KEY", "host_key": "ssh-ed25519 AAAA"}}
    server.told["environment"]["AWS_SECRET_ACCESS_KEY"] = "very secret"
    server.restic.init()
    calls = " ".join(server.called("restic"))
    assert "correct horse" not in calls
    assert "PRIVATE" not in calls
    assert "very secret" not in calls
    assert "StrictHostKeyChecking=yes" in calls
    key = server.place / "run" / "id"
    assert key.stat().st_mode & 0o777 == 0o600
    said = json.dumps({"message_type": "exit_error", "code": 1, "message": "denied for very secret"})
    assert server.restic.calls.complaints.last(said.encode()) == "denied for ..."
    server.told["repository"] = "rest:https://user:very-secret@host/path"
    assert "very-secret" not in server.restic.place
