"""What is typed to put something back, and the page that brings a hive back: which server is meant, which lines."""

from __future__ import annotations

import json
import os
import re
import shlex
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from operations import kit, processes, restores, retire
from operations.cli import OperationError, Pulumi
from tests.unit import backups_server  # noqa: F401 - puts the package on the path

from apiary_backups import chosen  # isort: skip

FACTS = kit.Facts(
    stack="prod",
    project="apiary",
    origin="git@example.org:me/hive.git",
    branch="main",
    backend="file:///srv/state?metadata=skip",
    password="it's long",
    repository="s3:https://s3.example.com/hive",
    secrets=(("access_key", "ACCESS"), ("key", "-----BEGIN\nKEY\n-----END\n")),
    passphrase="correct horse",
    servers=("web1", "web2"),
    key="-----BEGIN OPENSSH\nROOT\n-----END OPENSSH\n",
    host_keys=("192.0.2.1 ssh-ed25519 AAAA1", "192.0.2.2 ssh-ed25519 AAAA2"),
)


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


def block(facts: kit.Facts) -> str:
    [found] = re.findall(r"^```sh\n(.*?)^```$", kit.page(facts), re.MULTILINE | re.DOTALL)
    return str(found)


def test_the_lines_are_one_script_of_which_every_secret_comes_out_as_it_is() -> None:
    script = block(FACTS)
    subprocess.run(["bash", "-n"], input=script, text=True, check=True)
    words = shlex.split(script, comments=True)
    assert "it's long" in words
    assert "PULUMI_CONFIG_PASSPHRASE=correct horse" in words
    assert "git@example.org:me/hive.git" in words
    assert words[words.index("-p") + 1] == "/srv/state"


# What an empty machine has: none of it does anything before the lines have made it possible.
MACHINE = {
    "git": "mkdir hive",
    "make": """
if [ "$1" = .venv/.ready ]; then
  mkdir -p .venv/bin && mv "$HOME/plugin" .venv/bin/
else
  pulumi "$@"
fi
""",
    "plugin": "exit 0",
    "pulumi": """
[ "$1" = login ] || { test -e "$HOME/login" && plugin && test "$PULUMI_CONFIG_PASSPHRASE" = 'correct horse'; } || exit 9
case "$1 $2" in
  "login "*) touch "$HOME/login" ;;
  "stack select") test -e "$HOME/stack" ;;
  "stack init") touch "$HOME/stack" ;;
esac
""",
}


def followed(folder: Path, script: str) -> tuple[int, list[str]]:
    """The lines on such a machine: how they end, and what `make` and `pulumi` were told that ended well."""
    (folder / "bin").mkdir()
    for name, does in MACHINE.items():
        program = folder / ("plugin" if name == "plugin" else f"bin/{name}")
        program.write_text(f'#!/bin/sh -e\n{does}\necho "{name} $*" >> "$HOME/told"\n')
        program.chmod(0o755)
    script = script.replace("/srv/state", str(folder / "state"))
    environment = {"HOME": str(folder), "PATH": f"{folder / 'bin'}:/usr/bin:/bin"}
    done = subprocess.run(["bash", "-ec", script], cwd=folder, env=environment, check=False, capture_output=True)
    told = folder / "told"
    return done.returncode, told.read_text().splitlines() if told.exists() else []


def test_the_lines_do_all_that_an_empty_machine_needs(tmp_path: Path) -> None:
    status, told = followed(tmp_path, block(FACTS))
    assert status == 0
    verbs = [line for line in told if line.startswith("make") and "ready" not in line]
    assert verbs == [f"make {verb} STACK=prod{more}" for verb, more in
                     (("adopt", " YES=1"), ("retire", " YES=1"), ("backups", ""))]  # fmt: skip
    assert [line.split()[1:3] for line in told if line.startswith("pulumi stack")] == [["stack", "init"]]


@pytest.mark.parametrize("left", ["make .venv/.ready", "pulumi login", " PULUMI_CONFIG_PASSPHRASE='correct horse'"])
def test_without_one_of_them_the_lines_would_not_end_well(tmp_path: Path, left: str) -> None:
    """The negative control: the machine has none of it before."""
    script = block(FACTS)
    assert left in script
    assert followed(tmp_path, script.replace(left, "true" if left.startswith(("make", "pulumi")) else ""))[0] != 0


def test_only_where_the_state_is_lost_the_password_is_given() -> None:
    inside = block(FACTS).partition("then")[2].partition("\nfi\n")[0]
    assert "pulumi stack init prod" in inside
    assert "--secret 'apiary:secrets.backups_password'" in inside
    assert "'apiary:backups.password' '_secrets^backups_password'" in inside


def test_nothing_is_made_before_what_exists_is_adopted_and_what_lives_is_saved_and_let_go() -> None:
    """They end at the first that fails, also where they are said again: an update would make an empty hive."""
    assert block(FACTS).rstrip().splitlines()[-4:] == [
        "make adopt STACK=prod YES=1 &&",
        "make retire STACK=prod YES=1 &&",
        "pulumi up --stack prod --yes &&",
        "make backups STACK=prod",
    ]


def test_the_keys_of_the_servers_come_out_as_they_are_for_their_owner_alone(tmp_path: Path) -> None:
    script = block(FACTS)
    part = script[script.index("mkdir -p -m 700") : script.index("make adopt")]
    subprocess.run(["bash", "-c", f"set -eu\n{part}"], cwd=tmp_path, check=True)
    key = tmp_path / ".apiary" / "prod" / retire.KEY
    assert key.read_text() == FACTS.key
    assert key.stat().st_mode & 0o077 == 0
    assert (key.parent / retire.KNOWN_HOSTS).read_text().splitlines() == list(FACTS.host_keys)
    assert "ROOT" not in repr(FACTS)


def test_it_takes_no_name_from_another_secret_of_the_stack_file() -> None:
    """A rest-server's password is often called like that."""
    assert kit.free_name(["backups_password", "backups_password_2"]) == "backups_password_3"
    inside = block(replace(FACTS, secret=kit.free_name(["backups_password"])))
    assert "'apiary:secrets.backups_password'" not in inside
    assert "'apiary:backups.password' '_secrets^backups_password_2'" in inside


def test_a_password_that_the_stack_file_names_is_not_given_twice() -> None:
    assert "config set" not in block(replace(FACTS, has_password_setting=True))


def test_the_page_has_all_that_opens_the_repository_and_says_what_is_wrong_with_it() -> None:
    page = kit.page(replace(FACTS, doubts=("there are commits here that are not pushed",)))
    for text in ("ACCESS", "-----BEGIN\nKEY\n-----END", "it's long", "correct horse", "s3:https://s3.example.com/hive"):
        assert text in page
    assert "**Not yet:** there are commits here that are not pushed" in page
    assert "it's long" not in repr(FACTS)
    assert "correct horse" not in repr(FACTS)


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
