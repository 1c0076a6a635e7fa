"""The page that brings a hive back on an empty machine: its lines are followed, and hold all that they need."""

from __future__ import annotations

import re
import shlex
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from operations import kit, retire

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
