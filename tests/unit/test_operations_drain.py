"""A server is emptied where the others can do without it, and is called empty when nobody comes or runs there."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from operations import drain, hosts
from operations.cli import OperationError, Pulumi
from operations.state import Server

PREFIX = "urn:pulumi:prod::apiary::apiary:host:Server"
TTL = 120
FILE = """\
config:
  apiary:servers:
    web1: &first {swarm: manager, dns: {web: [shop.example.net]}}
    web2: {swarm: manager, dns: {web: [shop.example.net]}}
    web3: *first
"""


@dataclass(frozen=True)
class Stack(Pulumi):
    """Three servers, a record of each; what is done to them, and whether the program refuses the stack file."""

    done: list[str] = field(default_factory=list)
    refuses: str = ""

    def export(self, *, secrets: bool = False) -> dict[str, Any]:
        resources = []
        for number, name in enumerate(("web1", "web2", "web3"), 1):
            resources.append({
                "urn": f"{PREFIX}$pulumi:providers:docker::{name}", "type": "pulumi:providers:docker",
                "inputs": {"host": f"ssh://root@192.0.2.{number}:22", "sshOpts": "[]"}, "parent": f"{PREFIX}::{name}",
            })  # fmt: skip
            if name != "web2" or "up" not in self.done:
                resources.append({
                    "urn": f"{PREFIX}$vultr:index/dnsRecord:DnsRecord::{name}",
                    "type": "vultr:index/dnsRecord:DnsRecord", "id": name,
                    "outputs": {"ttl": TTL, "type": "A", "name": "shop", "domain": "example.net"},
                })  # fmt: skip
        return {"deployment": {"resources": resources}}

    def preview(self) -> dict[str, Any]:
        if self.refuses:
            raise OperationError(self.refuses)
        return {}

    def run(self, *arguments: str, **_: object) -> None:
        self.done.append(" ".join(arguments[:2]) if arguments[0] == "config" else arguments[0])
        if arguments[0] == "config":
            file = drain.PROGRAM / "Pulumi.prod.yaml"
            file.write_text(file.read_text() + "# " + " ".join(arguments) + "\n")


@dataclass
class Swarm:
    """Answers on each server's behalf: who is there, and how often replicas still run on the emptied one."""

    nodes: list[dict[str, str]]
    looks: int = 2
    silent: tuple[str, ...] = ()

    def run(self, server: Server, *command: str) -> str:
        if server.name in self.silent:
            raise hosts.Unreachable(server.name, "Connection timed out")
        if command[0] == "docker":
            return "\n".join(json.dumps(node) for node in self.nodes)
        self.looks -= 1
        return f"shop.2 {'Running' if self.looks > 0 else 'Shutdown'} 3 seconds ago\n"


def node(name: str, manager: str = "Reachable", status: str = "Ready") -> dict[str, str]:
    return {"Hostname": name, "ManagerStatus": manager, "Status": status}


WHOLE = [node("web1", "Leader"), node("web2"), node("web3")]


class Clock:
    """Time that passes only where it is waited for."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Clock:
    made = Clock()
    monkeypatch.setattr(drain, "time", made)
    monkeypatch.setattr(drain, "PROGRAM", tmp_path)
    (tmp_path / "Pulumi.prod.yaml").write_text(FILE)
    return made


def answered_by(monkeypatch: pytest.MonkeyPatch, swarm: Swarm) -> None:
    monkeypatch.setattr(hosts.Host, "run", lambda self, *command, **_: swarm.run(self.server, *command))


def test_it_is_empty_when_its_replicas_have_moved_and_a_ttl_has_passed(
    clock: Clock, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    answered_by(monkeypatch, Swarm(WHOLE, looks=3, silent=("web1",)))
    stack = Stack("prod")
    drain.drain(stack, "web2", off=False)
    assert stack.done == ["up"]
    assert "web2: {drain: true, swarm: manager, " in (drain.PROGRAM / "Pulumi.prod.yaml").read_text()
    assert clock.now == TTL
    told = capsys.readouterr().out
    assert told.index("no replica runs there") < told.index("120 s, one TTL") < told.index("done; it may go")


def test_with_another_manager_away_it_is_not_begun(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    stack, file = Stack("prod"), drain.PROGRAM / "Pulumi.prod.yaml"
    answered_by(monkeypatch, Swarm([WHOLE[0], WHOLE[1], node("web3", "Unreachable", "Down")]))
    with pytest.raises(OperationError, match=r"servers web3 can't be reached.*make revive SERVER=web3;"):
        drain.drain(stack, "web2", off=False)
    assert (stack.done, clock.now, file.read_text()) == ([], 0, FILE)


@pytest.mark.parametrize(
    ("away", "told"),
    [
        # Whatever it is to the swarm, the update that empties another one has to reach it.
        (node("web4", "", "Down"), "web4 can't be reached, and the update that empties web2 has to tell"),
        (node("web2", "Unreachable", "Down"), "web2 does not answer, so nothing runs there that could move"),
    ],
)
def test_with_a_server_away_it_is_refused_for_what_is_in_the_way(
    away: dict[str, str], told: str, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    stack, file = Stack("prod"), drain.PROGRAM / "Pulumi.prod.yaml"
    others = [one for one in WHOLE if one["Hostname"] != away["Hostname"]]
    answered_by(monkeypatch, Swarm([*others, away], silent=("web2",)))
    with pytest.raises(OperationError) as refused:
        drain.drain(stack, "web2", off=False)
    assert told in str(refused.value)
    assert f"make revive SERVER={away['Hostname']}; or take it out of the stack file" in str(refused.value)
    assert "majority" not in str(refused.value)
    assert (stack.done, clock.now, file.read_text()) == ([], 0, FILE)


def test_where_nobody_else_decides_nothing_is_begun(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    stack = Stack("prod")
    answered_by(monkeypatch, Swarm(WHOLE, silent=("web1", "web3")))
    with pytest.raises(OperationError, match=r"nothing would move:\n.*web1 does not answer"):
        drain.drain(stack, "web2", off=False)
    assert (stack.done, clock.now) == ([], 0)


def test_what_the_program_refuses_leaves_the_stack_file_as_it_was(
    clock: Clock, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    answered_by(monkeypatch, Swarm(WHOLE))
    stack = Stack("prod", refuses="servers.web2.drain: replicas of shop could move nowhere")
    with pytest.raises(OperationError, match="could move nowhere"):
        drain.drain(stack, "web2", off=False)
    assert "up" not in stack.done
    assert (drain.PROGRAM / "Pulumi.prod.yaml").read_text() == FILE
    assert "Pulumi.prod.yaml is as it was" in capsys.readouterr().out
    assert clock.now == 0


def test_replicas_that_do_not_move_are_named(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    answered_by(monkeypatch, Swarm(WHOLE, looks=10_000))
    with pytest.raises(OperationError, match=r"still run on web2: shop\.2; why"):
        drain.drain(Stack("prod"), "web2", off=False)
    assert clock.now >= drain.MOVED_SECONDS


def test_off_takes_the_word_out_and_waits_for_nobody(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    answered_by(monkeypatch, Swarm(WHOLE))
    stack = Stack("prod")
    file = drain.PROGRAM / "Pulumi.prod.yaml"
    file.write_text(FILE.replace("web2: {", "web2: {drain: true, "))
    drain.drain(stack, "web2", off=True)
    assert (stack.done, file.read_text()) == (["up"], FILE)
    assert clock.now == 0


def test_a_server_that_is_not_there_is_named_with_those_that_are(clock: Clock) -> None:
    with pytest.raises(OperationError, match="no server 'web4'; it has: web1, web2, web3"):
        drain.drain(Stack("prod"), "web4", off=False)
    assert clock.now == 0


def test_a_word_that_others_would_have_too_is_written_by_pulumi(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    answered_by(monkeypatch, Swarm(WHOLE))
    stack = Stack("prod")
    drain.drain(stack, "web1", off=False)
    assert stack.done == ["config set", "up"]
    told = (drain.PROGRAM / "Pulumi.prod.yaml").read_text()
    assert told.endswith("config set --path apiary:servers.web1.drain true\n")
    assert clock.now == TTL


def test_run_again_after_it_was_cut_off_it_waits_again(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    """The records have gone by then, and nobody knows when."""
    answered_by(monkeypatch, Swarm(WHOLE))
    stack = Stack("prod")
    drain.drain(stack, "web2", off=False)
    before = clock.now
    drain.drain(stack, "web2", off=False)
    assert clock.now - before == TTL
