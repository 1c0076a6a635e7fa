"""A swarm whose managers are lost: who may go on alone, who joins it again, and what a server of it is revived with."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from operations import hosts, recover, recovery, revive, sweep
from operations.cli import OperationError, Pulumi
from operations.state import Server

SERVERS = ("web1", "web2", "web3")
HOST = "urn:pulumi:prod::apiary::apiary:host:Server"
SWARM = "urn:pulumi:prod::apiary::apiary:docker:Swarm"
BEGUN = f"{SWARM}$command:local:Command::swarm-begun"
SERVICE = "urn:pulumi:prod::apiary::apiary:docker:Replicated$docker:index/service:Service::shop"
INSTANCE = "vultr:index/instance:Instance"


@dataclass(frozen=True)
class Stack(Pulumi):
    """Three servers of a swarm, and what is done to them."""

    done: list[str] = field(default_factory=list)
    restored: list[dict[str, Any]] = field(default_factory=list)

    def export(self, *, secrets: bool = False) -> dict[str, Any]:
        found: list[dict[str, Any]] = []
        for number, name in enumerate(SERVERS, 1):
            provider, command = "pulumi:providers:docker", "command:local:Command"
            found += [
                {
                    "urn": f"{HOST}${provider}::{name}", "type": provider, "parent": f"{HOST}::{name}",
                    "inputs": {"host": f"ssh://root@192.0.2.{number}:22", "sshOpts": "[]"},
                },
                {"urn": f"{HOST}${INSTANCE}::{name}", "type": INSTANCE, "id": name},
                {
                    "urn": f"{SWARM}${command}::{name}-joined", "type": command, "id": f"{name}-joined",
                    "inputs": {"create": f"join {name}"},
                },
            ]  # fmt: skip
        found += [
            {"urn": BEGUN, "type": "command:local:Command", "id": "begun"},
            {"urn": SERVICE, "type": "docker:index/service:Service", "id": "s", "deletedWith": BEGUN},
        ]
        proxy = "docker:index/container:Container"
        found.append({"urn": f"x::y::{proxy}::proxy2", "type": proxy, "id": "p", "dependencies": [SERVICE]})
        return {"deployment": {"resources": found}}

    def restore(self, state: dict[str, Any]) -> None:
        self.restored.append(state)

    def preview(self) -> dict[str, Any]:
        return {}

    def setting(self, key: str) -> str | None:
        return None

    def ask(self, *arguments: str) -> str:
        assert arguments[:4] == ("stack", "tag", "ls", "--json")
        return "{}"

    def run(self, *arguments: str, **_: object) -> None:
        if arguments[0] not in ("stack", "state"):
            self.done.append(" ".join(word.rpartition("::")[2] for word in arguments if not word.startswith("-")))


@dataclass
class Region:
    """Each server's part in the swarm: it decides, is leaderless, a worker; or it is silent."""

    parts: dict[str, str]
    down: set[str] = field(default_factory=set)  # of those that answer, as the one that decides lists them
    uncounted: set[str] = field(default_factory=set)  # managers that decide nothing with it
    asked: list[tuple[str, ...]] = field(default_factory=list)

    def run(self, server: Server, *command: str, **_: object) -> str:
        part = self.parts[server.name]
        if part == "silent":
            raise hosts.Unreachable(server.name, "Connection timed out")
        if command[:2] == ("docker", "info"):
            error = "The swarm does not have a leader." if part == "leaderless" else ""
            said = {"NodeID": f"n-{server.name}", "ControlAvailable": part != "worker", "Error": error}
            return json.dumps(said)
        if command[:3] == ("docker", "service", "ls"):
            assert (part, command[4]) == ("decides", "label=apiary.stack=apiary-prod")
            return "shop\n"
        if command[:3] == ("docker", "node", "ls"):
            assert part == "decides"
            return " ".join(f"n-{name}" for name, there in self.parts.items() if there != "silent")
        if command[:3] == ("docker", "node", "inspect"):
            return json.dumps([self.node(id_.removeprefix("n-")) for id_ in command[3:]])
        self.asked.append((server.name, *command))
        if command == ("apiary-swarm", "recover"):
            self.parts[server.name] = "decides"
        if command == ("apiary-swarm", "leave"):
            self.parts[server.name] = "worker"
        return ""

    def node(self, name: str) -> dict[str, Any]:
        is_manager = self.parts[name] != "worker"
        counted = {"ManagerStatus": {"Reachability": "reachable"}} if is_manager and name not in self.uncounted else {}
        return {
            "ID": f"n-{name}", "Spec": {"Role": "manager" if is_manager else "worker"}, **counted,
            "Status": {"State": "down" if name in self.down else "ready"},
        }  # fmt: skip


@pytest.fixture(autouse=True)
def _bounds(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(Pulumi, "folder", tmp_path)
    monkeypatch.setattr(recover, "BACK_SECONDS", 0)
    monkeypatch.setattr(recovery, "clear", lambda _: [])
    monkeypatch.setattr(revive, "Account", SimpleNamespace(of=lambda _: SimpleNamespace(exists=lambda _: True)))
    monkeypatch.setattr(revive, "_must_be_dead", lambda *_, **__: None)
    monkeypatch.setattr(sweep, "account", lambda *_, **__: sweep.Swept())


def region(monkeypatch: pytest.MonkeyPatch, *parts: str, **more: Any) -> Region:
    made = Region(dict(zip(SERVERS, parts, strict=True)), **more)
    monkeypatch.setattr(hosts.Host, "run", lambda self, *command, **options: made.run(self.server, *command, **options))

    def script(words: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        made.asked.append(("here", words[-1]))
        return subprocess.CompletedProcess(words, 0)

    monkeypatch.setattr(recover.subprocess, "run", script)
    return made


def test_where_most_managers_are_lost_one_goes_on_alone_and_the_others_are_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    there = region(monkeypatch, "leaderless", "silent", "silent")
    recover.recover(Stack("prod"), "web1", force=False)
    awaited = ("web1", "apiary-replicas", "await", "shop", "--settle", "10", "--timeout", "120")
    assert there.asked == [("web1", "apiary-swarm", "recover"), awaited]
    assert 'make revive SERVER="web2 web3" STACK=prod' in capsys.readouterr().out


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        (("leaderless", "leaderless", "silent"), "web2 answers as well"),
        (("leaderless", "decides", "silent"), "web2 decides about the swarm, so nothing is lost"),
        (("worker", "silent", "silent"), "web1 is no manager"),
        (("silent", "leaderless", "silent"), "web1 does not answer"),
    ],
)
def test_nobody_goes_on_alone_where_nothing_is_lost(
    parts: tuple[str, ...], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = region(monkeypatch, *parts)
    with pytest.raises(OperationError, match=said):
        recover.recover(Stack("prod"), "web1", force=False)
    assert there.asked == []


@pytest.mark.parametrize("how", ["down", "uncounted"])
def test_who_comes_back_after_another_one_has_recovered_leaves_what_is_no_more_and_joins(
    how: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    there = region(monkeypatch, "decides", "leaderless", "worker", **{how: {"web2"}})
    recover.recover(Stack("prod"), "web1", force=False)
    assert there.asked == [("web2", "apiary-swarm", "leave"), ("here", "join web2")]
    assert "every server is there" in capsys.readouterr().out


def test_whoever_says_force_recovers_although_another_manager_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    there = region(monkeypatch, "leaderless", "leaderless", "silent", down={"web2"})
    recover.recover(Stack("prod"), "web1", force=True)
    assert there.asked[0] == ("web1", "apiary-swarm", "recover")
    assert there.asked[2:] == [("web2", "apiary-swarm", "leave"), ("here", "join web2")]


def test_who_is_of_no_swarm_has_nothing_to_recover(monkeypatch: pytest.MonkeyPatch) -> None:
    region(monkeypatch, "decides", "worker", "worker")
    with pytest.raises(OperationError, match=r"no server 'db1' of a swarm; it has: web1, web2, web3"):
        recover.recover(Stack("prod"), "db1", force=False)


def test_nobody_goes_on_alone_while_an_update_or_another_repair_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    there, stack = region(monkeypatch, "leaderless", "silent", "silent"), Stack("prod")
    with recovery.alone(stack), pytest.raises(OperationError, match="repairs stack prod already"):
        recover.recover(stack, "web1", force=True)

    def runs(_: Pulumi) -> list[str]:
        raise OperationError("lock: an update of stack prod is running")

    monkeypatch.setattr(recovery, "clear", runs)
    with pytest.raises(OperationError, match="an update of stack prod is running"):
        recover.recover(stack, "web1", force=True)
    assert there.asked == []


# revive


def test_servers_that_are_dead_together_come_back_together(monkeypatch: pytest.MonkeyPatch) -> None:
    region(monkeypatch, "decides", "silent", "silent")
    stack = Stack("prod")
    revive.revive(stack, "web2", "web3", yes=True, force=False)
    assert stack.done == ["destroy web2 web3", "up"]
    assert stack.restored == [], "the swarm goes on"


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        (("leaderless", "silent", "silent"), "nobody could join.*make recover SERVER=web1 STACK=prod"),
        (("decides", "silent", "silent"), 'web3 of the swarm does not answer either.*SERVER="web2 web3" STACK=prod'),
    ],
)
def test_nothing_is_dropped_that_could_not_join_again(
    parts: tuple[str, ...], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    region(monkeypatch, *parts)
    stack = Stack("prod")
    dead = ("web2", "web3") if "recover" in said else ("web2",)
    with pytest.raises(OperationError, match=said):
        revive.revive(stack, *dead, yes=True, force=False)
    assert stack.done == []


def test_the_only_manager_comes_back_with_another_swarm(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the one before had is made anew, and nothing of it is asked for: it is nowhere."""
    region(monkeypatch, "silent", "worker", "worker")
    stack = Stack("prod")
    revive.revive(stack, "web1", yes=True, force=False)
    assert stack.done == ["destroy web1", "up"]
    [state] = stack.restored
    kept = {one["urn"]: one for one in state["deployment"]["resources"]}
    assert not kept.keys() & {BEGUN, SERVICE}
    [proxy] = [one for urn, one in kept.items() if urn.endswith("::proxy2")]
    assert proxy["dependencies"] == [], "a state that names what it does not have can't be read"
