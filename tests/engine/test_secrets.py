"""No secret in plain text: not in what a preview prints, not in the state that an `up` leaves."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from tests.engine.conftest import SECRETS
from tests.engine.settled import settle
from tests.engine.workplace import Project, Workplace

MARK = "4dabf18193072939515e22adb298388d"
MARKER = "7b2d40 of a file that is somebody's key"


def _plain_texts(value: Any) -> Iterator[str]:
    """Every value of an export with --show-secrets that is encrypted at rest."""
    match value:
        case {"plaintext": str(text)} if MARK in value:
            yield from _strings(json.loads(text))
        case dict():
            for inner in value.values():
                yield from _plain_texts(inner)
        case list():
            for inner in value:
                yield from _plain_texts(inner)


def _strings(value: Any) -> Iterator[str]:
    match value:
        case str():
            yield value
        case dict():
            for inner in value.values():
                yield from _strings(inner)
        case list():
            for inner in value:
                yield from _strings(inner)


def _telling(text: str) -> set[str]:
    """What would give a secret away wherever it stood: a key's own lines, else the whole."""
    if "PRIVATE KEY" in text:
        return {line.strip() for line in re.split(r"\\n|\n", text) if re.fullmatch(r"[\w+/=]{40,}", line.strip())}
    return {text}


@pytest.fixture(scope="module")
def secrets(begun_hive: Project) -> set[str]:
    """What must never be seen: the stack file's secrets, generated passwords, lines of private keys."""
    state = begun_hive.run("stack", "export", "--show-secrets").json()
    keys, passwords = [], []
    for resource in state["deployment"]["resources"]:
        if resource["type"] == "tls:index/privateKey:PrivateKey":
            keys += [_telling(text) for text in _plain_texts(resource["outputs"])]
        if resource["type"] == "random:index/randomPassword:RandomPassword":
            passwords += [text for text in _plain_texts(resource["outputs"]) if len(text) >= 32]
    assert len(keys) >= 3, "the access key and a host key for each server"
    assert all(keys)
    assert len(passwords) >= 2, "postgres/shop/password and postgres/adminpass"
    return {*SECRETS.values(), *passwords, *(line for key in keys for line in key)}


@pytest.mark.parametrize("form", ["--diff", pytest.param("--json", marks=pytest.mark.soak)])  # the same values
def test_a_preview_prints_no_secret(begun_hive: Project, secrets: set[str], form: str) -> None:
    preview = begun_hive.run("preview", form)
    assert preview.status == 0, preview.output
    assert "shop" in preview.output
    assert not [secret for secret in secrets if secret in preview.output]


def test_a_preview_of_a_changed_release_prints_no_secret(elsewhere: Any, edited: dict[str, Any]) -> None:
    edited["config"]["apiary:applications"]["shop"]["env"]["motto"] = "changed"
    project = elsewhere(edited)
    state = project.run("stack", "export", "--show-secrets").json()
    known = {
        part
        for text in _plain_texts(state["deployment"]["resources"])
        for part in _telling(text)
        # The host key's public half, an address and the like are within what is encrypted, but no secret.
        if "PRIVATE KEY" in text or "generated " in text or SECRETS["mail"] in text
    }
    assert len(known) > 5
    preview = project.run("preview", "--diff")
    assert preview.status == 0, preview.output
    assert "envs" in preview.output
    assert not [secret for secret in {*known, *SECRETS.values()} if secret in preview.output]


def test_a_preview_with_a_secret_that_is_made_later_is_one(elsewhere: Any, edited: dict[str, Any]) -> None:
    """In a file and in a variable beside a path of the server: what is decided by them is not known yet."""
    edited["config"]["apiary:applications"]["shop"] |= {
        "files": {"/etc/shop.key": {"content": "${_postgres:another^password}"}},
        "devices": ["/dev/null:/dev/nothing"],
    }
    edited["config"]["apiary:applications"]["shop"]["env"]["later"] = "_postgres:another^password"
    preview = elsewhere(edited).run("preview")
    assert preview.status == 0, preview.output
    assert {"shop-files", "shop-host-paths"} <= set(re.findall(r"(?m)^ \+ +command:\S+ (\S+) create", preview.output))


def test_the_state_holds_no_secret_in_plain_text(begun_hive: Project, secrets: set[str]) -> None:
    files = [path for path in begun_hive.workplace.state.rglob("*") if path.is_file() and "begun" in path.name]
    assert files
    for path in files:
        text = path.read_text()
        assert not [secret for secret in secrets if secret in text], path


def test_only_the_key_file_holds_the_key_and_only_its_owner_reads_it(begun_hive: Project, secrets: set[str]) -> None:
    holders = [
        path.relative_to(begun_hive.folder).as_posix()
        for path in begun_hive.folder.rglob("*")
        if path.is_file()
        and ".venv" not in path.parts
        and any(secret.encode() in path.read_bytes() for secret in secrets)
    ]
    assert holders == [".apiary/begun/id_ed25519"]
    assert (begun_hive.folder / holders[0]).stat().st_mode & 0o777 == 0o600


@pytest.mark.soak
def test_the_state_holds_nothing_of_a_build_context_or_a_playbook(workplace: Workplace, hive_file: Any) -> None:
    """A hive of its own; of one that is up: tests/lab/test_contexts.py."""
    project = workplace.project("marked", "marked", hive_file)
    for file in ("images/Echo/private.key", "playbooks/roles/private.key"):
        (project.folder / file).write_text(f"{MARKER}\n")
    project.made()
    settle(project, SECRETS)
    state = project.run("stack", "export", "--show-secrets").stdout
    assert "apiary-image build" in state
    # In base64 a text looks in three ways, by where it begins.
    encoded = {base64.b64encode(b"x" * pad + MARKER.encode()).decode()[pad + 1 : -4] for pad in (0, 1, 2)}
    assert not [text for text in (MARKER, *encoded) if text in state]
