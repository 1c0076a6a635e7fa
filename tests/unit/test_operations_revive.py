"""A server is dropped with its disk only when nothing answers at its address, and never another one with it."""

from __future__ import annotations

import json
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from operations import hosts, recovery, revive, sweep
from operations.cli import OperationError, Pulumi

PREFIX = "urn:pulumi:prod::apiary::apiary:host:Server$"
INSTANCE = "vultr:index/instance:Instance"


@dataclass(frozen=True)
class Stack(Pulumi):
    """A stack of one server, and what is done to it."""

    port: int = 22
    plan: tuple[dict[str, str], ...] = ()
    done: list[str] = field(default_factory=list)
    tags: dict[str, str] = field(default_factory=dict)

    def export(self, *, secrets: bool = False) -> dict[str, Any]:
        """With a provider and an instance; `secrets` makes no difference, there are none."""
        host = {"host": f"ssh://root@127.0.0.1:{self.port}", "sshOpts": "[]"}
        provider = {
            "urn": f"{PREFIX}pulumi:providers:docker::web1-ewr", "type": "pulumi:providers:docker", "inputs": host,
            "parent": f"{PREFIX}apiary:host:Server::web1",
        }  # fmt: skip
        instance = {"urn": f"{PREFIX}{INSTANCE}::web1", "type": INSTANCE, "id": "i"}
        return {"deployment": {"resources": [provider, instance]}}

    def preview(self) -> dict[str, Any]:
        return {"steps": self.plan}

    def setting(self, key: str) -> str | None:
        return None

    def ask(self, *arguments: str) -> str:
        assert arguments[:2] == ("stack", "tag")
        if arguments[2] == "rm":
            del self.tags[arguments[3]]
        return json.dumps(self.tags)

    def run(self, *arguments: str, **_: object) -> None:
        if arguments[0] not in ("stack", "state"):
            self.done.append(arguments[0])


def _must_sell(region: str, plan: str) -> None:
    if (region, plan) != ("ewr", "vc2-1c-2gb"):
        raise OperationError(f"account: Vultr has no {plan} in {region} just now")


@pytest.fixture(autouse=True)
def _nobody_can_log_in(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """`ssh` gets nowhere, and Vultr says that the instance is there."""
    timeout = subprocess.CompletedProcess([], 255, "", "Connection timed out during banner exchange")
    monkeypatch.setattr(hosts, "_ssh", lambda *_: timeout)
    monkeypatch.setattr(hosts, "SITES", ())
    monkeypatch.setattr(Pulumi, "folder", tmp_path)
    monkeypatch.setattr(recovery, "clear", lambda _: [])
    monkeypatch.setattr(
        revive, "Account", SimpleNamespace(of=lambda _: SimpleNamespace(exists=lambda _: True, must_sell=_must_sell))
    )
    monkeypatch.setattr(sweep, "account", lambda *_, **__: sweep.Swept())


@pytest.fixture
def port() -> Iterator[int]:
    """Of a machine that hangs: its kernel accepts connections, and nobody says a word."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening.getsockname()[1]


def silence(*_: object, **__: object) -> None:
    raise TimeoutError


def test_a_server_that_hangs_and_still_accepts_connections_is_not_proved_dead(port: int) -> None:
    stack = Stack("prod", port)
    with pytest.raises(OperationError, match=rf"not proved dead.*port {port} accepts.*portal.*revive .* --force"):
        revive.revive(stack, "web1", yes=True, force=False)
    assert stack.done == []


def test_what_was_closed_is_closed_at_a_server_that_comes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(revive, "ensure_key", lambda *_: None)
    told: list[tuple[object, ...]] = []

    def run(host: hosts.Host, *command: str, **_: object) -> str:
        if command[0] == "true":
            raise hosts.Unreachable(host.server.name, "timed out")
        told.append((host.server.name, *command))
        return ""

    class Coming(Stack):
        def run(self, *arguments: str, **_: object) -> None:
            super().run(*arguments)
            if arguments[0] == "up":
                deadline = time.monotonic() + 10
                while not told and time.monotonic() < deadline:
                    time.sleep(0.01)

    monkeypatch.setattr(hosts.Host, "run", run)
    stack = Coming("prod", tags={"closed:shop": "5 192.0.2.1"})
    revive.revive(stack, "web1", yes=True, force=True)
    assert told == [("web1", "apiary-maintenance", "on", "shop", "192.0.2.1", "--since", "5")], "during the update"


def test_a_server_that_serves_its_sites_is_not_dead(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its port 22 may be closed to whoever types this."""
    monkeypatch.setattr(hosts, "SITES", (port,))
    connect = socket.create_connection

    def firewalled(address: tuple[str, int], timeout: float) -> socket.socket:
        if address[1] == 22:
            raise TimeoutError
        return connect(address, timeout=timeout)

    monkeypatch.setattr(socket, "create_connection", firewalled)
    stack = Stack("prod")
    with pytest.raises(OperationError, match=f"not proved dead.*port {port} accepts"):
        revive.revive(stack, "web1", yes=True, force=False)
    assert stack.done == []


def test_a_server_that_refuses_connections_is_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        closed = taken.getsockname()[1]
    stack = Stack("prod", closed)
    with pytest.raises(OperationError, match=f"not proved dead.*port {closed} is refused"):
        revive.revive(stack, "web1", yes=True, force=False)
    assert stack.done == []


@pytest.mark.parametrize(("plan", "done"), [("vc2-1c-2gb", ["destroy", "up"]), ("vc2-2c-4gb", [])])
def test_a_server_is_dropped_only_where_another_one_can_be_had(
    port: int, monkeypatch: pytest.MonkeyPatch, plan: str, done: list[str]
) -> None:
    servers = json.dumps({"web1": {"region": "ewr", "plan": plan}})
    monkeypatch.setattr(Stack, "setting", lambda _, key: servers if key.endswith(":servers") else None)
    stack = Stack("prod", port)
    if done:
        revive.revive(stack, "web1", yes=True, force=True)
    else:
        with pytest.raises(OperationError, match="Vultr has no vc2-2c-4gb in ewr just now"):
            revive.revive(stack, "web1", yes=True, force=True)
    assert stack.done == done


def test_whoever_says_force_drops_a_server_that_hangs(port: int) -> None:
    stack = Stack("prod", port)
    revive.revive(stack, "web1", yes=True, force=True)
    assert stack.done == ["destroy", "up"]


def test_a_server_of_which_nothing_is_heard_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "create_connection", silence)
    stack = Stack("prod")
    revive.revive(stack, "web1", yes=True, force=False)
    assert stack.done == ["destroy", "up"]


@pytest.mark.parametrize(("name", "stopped"), [("web2", True), ("web1", False)])
def test_no_other_server_goes_with_it(name: str, stopped: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """The stack file may have been changed since: it must not cost a server that lives."""
    monkeypatch.setattr(socket, "create_connection", silence)
    stack = Stack("prod", plan=({"op": "replace", "urn": f"{PREFIX}{INSTANCE}::{name}"},))
    if stopped:
        with pytest.raises(OperationError, match="server web2 with its disk as well, and nothing was changed"):
            revive.revive(stack, "web1", yes=True, force=False)
    else:
        revive.revive(stack, "web1", yes=True, force=False)
    assert stack.done == ([] if stopped else ["destroy", "up"])


def test_nothing_is_dropped_while_the_stack_file_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(_: Stack) -> dict[str, Any]:
        raise OperationError("`pulumi preview` failed:\nservers.web1.plan: missing")

    monkeypatch.setattr(socket, "create_connection", silence)
    monkeypatch.setattr(Stack, "preview", refused)
    stack = Stack("prod")
    with pytest.raises(OperationError, match=r"servers\.web1\.plan: missing"):
        revive.revive(stack, "web1", yes=True, force=False)
    assert stack.done == []


@pytest.mark.parametrize("order", [1, -1])
def test_the_key_that_is_written_is_the_one_that_stays(
    order: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A change of keys that was cut off leaves two of one name in the state."""
    type_ = "tls:index/privateKey:PrivateKey"
    urn = f"urn:pulumi:prod::apiary::apiary:host:Access${type_}::access"
    keys: list[dict[str, Any]] = [
        {"urn": urn, "type": type_, "outputs": {"privateKeyOpenssh": "new"}},
        {"urn": urn, "type": type_, "outputs": {"privateKeyOpenssh": "old"}, "delete": True},
    ]
    exported = {"deployment": {"resources": keys[::order]}}
    monkeypatch.setattr(Stack, "export", lambda *_, **__: exported)
    hosts.ensure_key(Stack("prod"), hosts.State.of(exported))
    assert (tmp_path / "id_ed25519").read_text() == "new"


BACKUPS = "urn:pulumi:prod::apiary::apiary:backups:Backups::"


@pytest.mark.parametrize(
    ("has_backups", "restore", "says"),
    [
        (False, True, "It has no backups: what was on its disk is lost"),
        (True, False, "It begins empty, as servers.web1.restore says"),
        (True, True, "filled from its last backup; what was written since then is lost"),
    ],
)
def test_who_is_asked_is_told_what_becomes_of_the_data(
    has_backups: bool,
    restore: bool,
    says: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    exported = Stack("prod").export()
    exported["deployment"]["resources"] += [
        {"urn": f"{BACKUPS}{server}", "type": "apiary:backups:Backups"}
        for server in ("web2", *(["web1"] if has_backups else []))
    ]
    monkeypatch.setattr(socket, "create_connection", silence)
    monkeypatch.setattr(Stack, "export", lambda *_, **__: exported)
    monkeypatch.setattr(Stack, "setting", lambda *_: json.dumps({"web1": {"restore": restore}}))
    monkeypatch.setattr(Stack, "project", "apiary")
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("builtins.input", lambda _: "no")
    stack = Stack("prod")
    with pytest.raises(OperationError, match="not confirmed"):
        revive.revive(stack, "web1", yes=False, force=False)
    assert says in capsys.readouterr().out
    assert stack.done == []


def test_what_came_back_from_when_is_said_of_this_server_alone() -> None:
    type_ = "command:remote:Command"

    def command(name: str, server: str, said: str) -> dict[str, Any]:
        urn = f"{BACKUPS.removesuffix('::')}${type_}::{name}"
        return {"urn": urn, "type": type_, "parent": f"{BACKUPS}{server}", "outputs": {"stdout": said}}

    state = hosts.State.of(
        {
            "deployment": {
                "resources": [
                    *({"urn": f"{BACKUPS}{server}", "type": "apiary:backups:Backups"} for server in ("web1", "db1")),
                    command("web1-backups", "web1", "backups are due"),
                    command("web1-fill", "web1", "volume:uploads: 3 B as of a day\nvolume:wiki: 9 B as of a day\n"),
                    command("postgres-fill", "db1", "database:postgres:shop: 9 B as of a day"),
                ]
            }
        }
    )
    assert revive.filled(state, "web1") == ["volume:uploads: 3 B as of a day", "volume:wiki: 9 B as of a day"]


def test_the_commit_or_digest_that_ran_stays_in_the_state_when_its_server_is_dropped() -> None:
    """Else the new server would get what its branch or tag is at by now."""
    image = "urn:pulumi:prod::apiary::apiary:docker:Image$command:remote:Command::web1/shop:1-digest"
    instance = f"{PREFIX}{INSTANCE}::web1"
    kept: list[dict[str, Any]] = []

    class Known(Stack):
        def export(self, *, secrets: bool = False) -> dict[str, Any]:
            exported = super().export()
            look_up = {
                "urn": image, "type": "command:remote:Command", "id": "c", "custom": True, "deletedWith": instance,
                "inputs": {"create": "apiary-image digest shop:1 | ..."}, "outputs": {"stdout": "shop@sha256:a"},
                "dependencies": [instance], "propertyDependencies": {"connection": [instance]},
            }  # fmt: skip
            exported["deployment"]["resources"].append(look_up)
            return exported

        def restore(self, state: dict[str, Any]) -> None:
            assert self.done == [], "while it depended on the server, that was dropped"
            kept.extend(state["deployment"]["resources"])

    stack = Known("prod")
    revive.revive(stack, "web1", yes=True, force=True)
    assert stack.done == ["destroy", "up"]
    [look_up] = [one for one in kept if one["urn"] == image]
    assert look_up["outputs"] == {"stdout": "shop@sha256:a"}
    assert not [key for key in ("dependencies", "deletedWith") if look_up.get(key)]
    assert look_up["propertyDependencies"] == {"connection": []}
    assert len(kept) == 3


class Emptied(Stack):
    """One with backups, whose repository is gone: its new server makes another one."""

    def export(self, *, secrets: bool = False) -> dict[str, Any]:
        exported = super().export(secrets=secrets)
        told = json.dumps(json.dumps({"repository": "s3:https://h/b/web1"}))
        exported["deployment"]["resources"].append(
            {
                "urn": "urn:pulumi:prod::apiary::apiary:backups:Backups$command:remote:Command::web1-backups",
                "type": "command:remote:Command",
                "id": "c",
                "inputs": {"stdin": {"plaintext": told}},
                "outputs": {
                    "stdout": "made the repository at s3:https://h/b/web1: nothing was in it" if self.done else ""
                },
            }
        )
        return exported

    def setting(self, key: str) -> str | None:
        return json.dumps({"repository": "s3:https://h/b"}) if key.endswith(":backups") else None


def test_who_comes_back_empty_is_not_well(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(revive, "ensure_key", lambda *_: None)
    stack = Emptied("prod")
    with pytest.raises(OperationError, match=r"web1 began empty: there was no repository.*make restore WHAT=web1"):
        revive.revive(stack, "web1", yes=True, force=True)
    assert "up" in stack.done


def test_who_would_be_filled_from_another_place_is_not_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(revive, "ensure_key", lambda *_: None)
    monkeypatch.setattr(Emptied, "setting", lambda *_: json.dumps({"repository": "s3:https://h/mistyped"}))
    stack = Emptied("prod")
    with pytest.raises(OperationError, match="has saved to s3:https://h/b/web1, and the stack file says"):
        revive.revive(stack, "web1", yes=True, force=True)
    assert stack.done == []
