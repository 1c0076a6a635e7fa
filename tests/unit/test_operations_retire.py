"""What a lost state has left: the object storage is found again; servers are saved, and only then deleted."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from operations import adopt, kit, retire
from operations.adoption import Planned
from operations.cli import OperationError
from operations.hosts import Ended, Unreachable
from operations.state import INSTANCE, OBJECT_STORAGE

LABEL = "apiary-prod"
VULTR = {"repository": "vultr"}
S3 = {"repository": "s3:https://s3.example.com/hive"}


class Stack:
    """A stack whose state is empty, with these backups."""

    stack = name = "prod"
    project, tag = "apiary", LABEL

    def __init__(self, backups: Mapping[str, Any], folder: Path = Path("/nowhere"), servers: Any = ("web1",)) -> None:
        self.backups, self.folder, self.servers = backups, folder, servers

    def select(self) -> None:
        pass

    def setting(self, key: str) -> str:
        return json.dumps(self.backups) if key == "apiary:backups" else "{}"

    def preview(self) -> dict[str, Any]:
        states = [
            {"urn": f"a::b::c::{name}", "type": INSTANCE, "inputs": {"label": f"{LABEL}-{name}"}}
            for name in self.servers
        ]
        return {"steps": [{"op": "create", "newState": state} for state in states]}


class Account:
    """That has these, by list, and tells what was deleted."""

    def __init__(self, said: list[str], **lists: list[dict[str, str]]) -> None:
        self.said, self.lists = said, lists

    def list(self, _: str, key: str) -> list[dict[str, str]]:
        return self.lists.get(key, [])

    def delete(self, path: str) -> None:
        self.said.append(f"delete {path}")


# --- adopt


def storages(*labels: str) -> list[dict[str, str]]:
    return [{"id": f"o{number}", "label": label} for number, label in enumerate(labels)]


def stored(backups: Mapping[str, Any], *labels: str) -> list[str]:
    found = adopt.Found()
    plans = [Planned("a::store", OBJECT_STORAGE, {"label": LABEL}, "p")]
    adopt._storage(Stack(backups), plans, Account([], object_storages=storages(*labels)), found)  # type: ignore[arg-type]
    return [one.id for one in found.imports]


def test_the_object_storage_with_the_backups_is_taken_over() -> None:
    assert stored({**VULTR, "password": "_secrets^p"}, "another", LABEL) == ["o1"]


@pytest.mark.parametrize("labels", [("another",), (), (LABEL, LABEL)])
def test_where_it_is_not_found_no_empty_one_takes_its_place(labels: tuple[str, ...]) -> None:
    with pytest.raises(OperationError, match=rf"object storage with the label {LABEL}, and the account has .*portal"):
        stored({**VULTR, "password": "_secrets^p"}, *labels)


def test_a_first_one_is_rented_and_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert stored(VULTR, "another") == []
    assert "would be rented, with nothing in it. The account has: o0 (another)" in capsys.readouterr().out


# --- the page


def test_the_page_opens_the_object_storage_without_the_state(monkeypatch: pytest.MonkeyPatch) -> None:
    def secret(text: str) -> dict[str, str]:
        return {"plaintext": json.dumps(text)}

    key = {"type": "t", "urn": "urn:pulumi:prod::apiary::apiary:host:Access$tls:index/privateKey:PrivateKey::access"}
    account = {"s3Hostname": "ewr1.vultrobjects.com", "label": LABEL}
    exported = [
        {**key, "id": "k", "outputs": {"privateKeyOpenssh": secret("BEGIN\nROOT\nEND\n")}},
        {
            "type": OBJECT_STORAGE, "urn": f"a::b::c::{LABEL}", "id": "o1",
            "outputs": {**account, "s3AccessKey": secret("ACCESS"), "s3SecretKey": secret("SECRET")},
        },
    ]  # fmt: skip
    settings = {"apiary:backups": {**VULTR, "password": "_secrets^p"}, "apiary:secrets": {"p": "long"}}
    stack: Any = SimpleNamespace(
        stack="prod", project="apiary", backend=lambda: "file:///srv/state",
        setting=lambda key: json.dumps(settings.get(key, {})),
        export=lambda *, secrets: {"deployment": {"resources": exported}},
    )  # fmt: skip
    monkeypatch.setattr(kit, "_git", lambda *words: {"remote": "git@example.org:me/hive.git"}.get(words[0], "0"))
    monkeypatch.setattr(kit.Path, "read_text", lambda _: "encryptionsalt: v1")
    page = kit.kit(stack)
    for text in (f"s3:https://ewr1.vultrobjects.com/apiary-o1, the object storage {LABEL}", "ACCESS", "SECRET", "ROOT"):
        assert text in page
    assert "who loses the account loses both" in page
    assert "nothing of it is up yet" not in page
    del exported[0]
    assert "**Not yet:** nothing of it is up yet, so that the keys of its servers are missing" in kit.kit(stack)


# --- servers


class Host:
    """A server that writes down what is asked of it."""

    def __init__(self, said: list[str], name: str, fails: str = "") -> None:
        self.server, self.said, self.fails = SimpleNamespace(name=name), said, fails
        self.lives, self.answers = True, True

    def run(self, *command: str, **_: Any) -> str:
        if not self.answers:
            raise Unreachable(self.server.name, "timed out")
        if command[:2] == ("docker", "ps"):
            return "a applications.postgres\nb applications.shop\nc jobs.tick\n"
        if command[0] == "cat":
            return json.dumps({"databases": {"postgres": {}}})
        self.said.append(f"{self.server.name}: {' '.join(command)}")
        if self.fails and self.fails in command:
            raise Ended("no", 1)
        return ""

    def stream(self, *command: str) -> int:
        self.said.append(f"{self.server.name}: {' '.join(command[1:])}")
        return int(self.said.count(self.said[-1]) == 2 and self.fails == "second")

    def sign_of_life(self) -> str | None:
        return "port 443 accepts connections" if self.lives else None


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    """What is done to `hosts`, in order."""
    told: list[str] = []
    there = [
        {"id": "i1", "label": f"{LABEL}-web1", "main_ip": "192.0.2.1"},
        {"id": "i9", "label": "somebody-s", "main_ip": "192.0.2.9"},
    ]
    monkeypatch.setattr(retire.Account, "of", lambda _: Account(told, instances=there))
    return told


def let_go(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, host: Host, backups: Mapping[str, Any] = S3, **wish: bool
) -> None:
    monkeypatch.setattr(retire, "host", lambda *_: host)
    retire.retire(Stack(backups, tmp_path), retire.Wish(yes=True, **wish))  # type: ignore[arg-type]


RUNS = ["web1: run --final", "web1: docker stop --time 10 b c", "web1: run --final"]


def test_a_living_server_is_saved_with_nobody_writing_and_then_deleted(
    said: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Databases run on for their dump."""
    let_go(monkeypatch, tmp_path, Host(said, "web1"))
    assert said == ["web1: true", *RUNS, "delete /instances/i1"]


def test_where_the_last_backup_fails_all_runs_again_and_nothing_is_deleted(
    said: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with pytest.raises(OperationError, match=r"last backup of web1 has failed .*nothing was deleted.*LOSE=1"):
        let_go(monkeypatch, tmp_path, Host(said, "web1", fails="second"))
    assert said == ["web1: true", *RUNS, "web1: docker start b c"]


def test_the_loss_that_is_agreed_to_is_of_what_fails_alone(
    said: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Another server's last backup is taken all the same."""
    let_go(monkeypatch, tmp_path, Host(said, "web1", fails="second"), lose=True)
    assert said == ["web1: true", *RUNS, "delete /instances/i1"]


def test_one_that_is_dead_is_deleted_and_one_that_only_lets_nobody_in_is_not(
    said: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    host = Host(said, "web1")
    host.answers = False
    with pytest.raises(OperationError, match=r"though port 443 accepts connections; nothing was deleted.*`ssh_from`"):
        let_go(monkeypatch, tmp_path, host)
    assert said == []
    host.lives = False
    let_go(monkeypatch, tmp_path, host)
    assert said == ["delete /instances/i1"]


@pytest.mark.parametrize(
    ("backups", "why"),
    [({}, "has no backups: what web1"), ({"repository": {"server": "web1"}}, "backups are on the disk of server web1")],
)
def test_what_can_be_saved_nowhere_goes_only_when_that_is_agreed_to(
    said: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, backups: Mapping[str, Any], why: str
) -> None:
    with pytest.raises(OperationError, match=rf"{why}.*nothing was changed.*make retire LOSE=1 STACK=prod"):
        let_go(monkeypatch, tmp_path, Host(said, "web1"), backups)
    assert said == []
    let_go(monkeypatch, tmp_path, Host(said, "web1"), backups, lose=True)
    assert said == ["delete /instances/i1"]


def test_a_state_that_knows_its_servers_has_none_to_let_go(
    said: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    retire.retire(Stack({"repository": {"server": "web1"}}, tmp_path, servers=()), retire.Wish(yes=True))  # type: ignore[arg-type]
    assert said == []
