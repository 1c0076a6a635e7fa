"""The tests' sessions in containers answer as `docker exec` would, one for each command that runs at the same time."""

from __future__ import annotations

import json
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.lab import session
from tests.lab.session import Sessions


@pytest.fixture
def entered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A `docker` whose containers are this machine, as long as there is a file of their name; who has entered them."""
    (tmp_path / "docker").write_text(
        f'#!/bin/sh\n[ -e {tmp_path}/$3 ] || exit 1\necho $$ >> {tmp_path}/pids\nshift 3\nexec "$@"\n'
    )
    (tmp_path / "docker").chmod(0o755)
    (tmp_path / "web1").touch()
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    return tmp_path / "pids"


def test_one_session_serves_many_commands(entered: Path):
    sessions = Sessions("web1")
    for number in range(200):
        done = sessions.run(("sh", "-c", f"cat; echo {number}; echo no >&2; exit {number % 3}"), "told, ")
        assert (done.returncode, done.stdout, done.stderr) == (number % 3, f"told, {number}\n", "no\n")
    assert len(entered.read_text().split()) == 1
    sessions.close()


def test_a_long_answer_comes_whole(entered: Path):
    sessions = Sessions("web1")
    assert len(sessions.run(("seq", "300000")).stdout) == len("".join(f"{number}\n" for number in range(1, 300001)))
    asked = json.dumps(list(range(100000)))
    assert sessions.run(("cat",), asked).stdout == asked
    sessions.close()


def test_what_is_not_there_can_t_be_run(entered: Path):
    sessions = Sessions("web1")
    done = sessions.run(("nowhere",))
    assert done.returncode == 127
    assert "No such file" in done.stderr
    sessions.close()


def test_a_container_that_was_restarted_is_entered_again(entered: Path):
    sessions = Sessions("web1")
    sessions.run(("true",))
    os.kill(int(entered.read_text()), 9)
    assert sessions.run(("echo", "again")).stdout == "again\n"
    sessions.close()


def test_a_command_whose_container_is_stopped_ends_as_killed(entered: Path):
    done = Sessions("web1").run(("sh", "-c", "kill -9 $PPID; sleep 5"))
    assert done.returncode == session.KILLED


def test_a_container_that_does_not_run_is_told(entered: Path):
    done = Sessions("web2").run(("true",))
    assert done.returncode != 0
    assert "web2" in done.stderr


def test_two_commands_at_a_time_do_not_wait_for_each_other(entered: Path):
    sessions = Sessions("web1")
    flag = entered.with_name("flag")
    with ThreadPoolExecutor() as beside:
        waiting = beside.submit(sessions.run, ("sh", "-c", f"until [ -e {flag} ]; do sleep 0.05; done"))
        assert sessions.run(("touch", str(flag))).returncode == 0
        assert waiting.result(timeout=20).returncode == 0
    sessions.close()
