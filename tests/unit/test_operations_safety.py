"""What must hold when somebody types the wrong verb at two in the morning."""

from __future__ import annotations

import fcntl
import io
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from operations import adopt, guard, heal, hosts, lost, revive, sweep
from operations.adoption import Import, Planned
from operations.cli import OperationError, Pulumi
from operations.state import CONTAINER, Server, State

REPLACED = {"op": "replace", "urn": "a::vultr:index/instance:Instance::web1"}


class Stack(Pulumi):
    """A stack that is never asked anything."""


def answering(monkeypatch: pytest.MonkeyPatch, status: int, words: str) -> hosts.Host:
    monkeypatch.setattr(hosts, "_ssh", lambda *_: subprocess.CompletedProcess([], status, "", words))
    server = Server("web1", "urn", "ssh://root@192.0.2.1:22", (), None)
    return hosts.Host(server)


@pytest.mark.parametrize(
    "words",
    [
        "root@192.0.2.1: Permission denied (publickey).",
        "Host key verification failed.",
        "Received disconnect from 192.0.2.1: Too many authentication failures",
    ],
)
def test_a_server_that_does_not_let_us_in_is_not_taken_for_dead(monkeypatch: pytest.MonkeyPatch, words: str) -> None:
    with pytest.raises(hosts.Refused, match="it is not dead"):
        answering(monkeypatch, 255, words).run("true")


def test_a_server_that_does_not_answer_is(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(hosts.Unreachable, match="timed out"):
        answering(monkeypatch, 255, "ssh: connect to host 192.0.2.1 port 22: Connection timed out").run("true")


@pytest.fixture
def ready(tmp_path: Path) -> list[str]:
    """What asks the host whether it is ready for the instance `i`, on files of this test."""
    script = hosts.READY.replace("/etc/apiary", str(tmp_path)).replace("/run", str(tmp_path))
    return ["sh", "-c", script, "-", "i"]


@pytest.mark.parametrize(
    ("known", "said"), [(None, ""), ("another\n", ""), ("i\n", "ready\n")], ids=["bare", "rebuilt", "made"]
)
def test_docker_is_asked_only_where_a_bootstrap_has_ended(
    ready: list[str], tmp_path: Path, known: str | None, said: str
) -> None:
    """An update may have been killed when Docker was installed and did not run yet."""
    if known is not None:
        (tmp_path / "instance").write_text(known)
    done = subprocess.run(ready, capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == (said, "")


def test_a_bootstrap_that_outlives_its_update_is_waited_for(ready: list[str], tmp_path: Path) -> None:
    """It may restart Docker at any moment."""
    (tmp_path / "instance").write_text("i\n")
    with (tmp_path / "apiary-bootstrap.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        asking = subprocess.Popen(ready, stdout=subprocess.PIPE, text=True)
        with pytest.raises(subprocess.TimeoutExpired):
            asking.wait(0.5)
        impatient = [re.sub("--wait [0-9]+", "--wait 0", word) for word in ready]
        refused = subprocess.run(impatient, capture_output=True, text=True, check=False)
        assert (refused.returncode, refused.stdout) == (1, "")
        assert "run this again when it has ended" in refused.stderr
    assert asking.communicate(timeout=10)[0] == "ready\n"


@pytest.mark.parametrize(("mark", "dead"), [({}, ["web1"]), ({"pendingReplacement": True}, [])], ids=["there", "gone"])
def test_a_server_that_a_killed_rebuild_has_emptied_is_not_taken_for_dead(
    monkeypatch: pytest.MonkeyPatch, mark: dict[str, bool], dead: list[str]
) -> None:
    """It does not exist, or boots for the first time, and heal has to go on and make it."""
    answering(monkeypatch, 255, "ssh: connect to host 192.0.2.1 port 22: No route to host")
    urn = "urn:pulumi:prod::apiary::apiary:host:Server$pulumi:providers:docker::web1-ewr"
    resources = [
        {
            "urn": urn,
            "type": "pulumi:providers:docker",
            "id": "p",
            "inputs": {"host": "ssh://root@192.0.2.1:22"},
            "parent": "urn:pulumi:prod::apiary::apiary:host:Server::web1",
        },
        {"urn": "urn:pulumi:prod::apiary::i::web1", "type": "vultr:index/instance:Instance", "id": "i"},
        {"urn": "urn:pulumi:prod::apiary::c::blog", "type": CONTAINER, "id": "c", "provider": f"{urn}::p", **mark},
    ]
    state = State.of({"deployment": {"resources": resources}})
    swept = sweep.Swept()
    sweep.servers(Stack("prod"), state, swept)
    assert [server.name for server, _ in swept.dead] == dead
    assert state.is_clean() is not bool(mark)


def test_no_server_is_dropped_without_a_terminal_to_ask_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("web1\n"))
    with pytest.raises(OperationError, match="--yes"):
        revive._confirm(Stack("prod"), State.of({"deployment": {}}), "web1", exists=True)


@pytest.mark.parametrize(
    ("operation", "lost"),
    [("same", []), ("update", []), ("create", []), ("replace", ["web1"]), ("delete", ["web1"]),
     ("create-replacement", ["web1"]), ("delete-replaced", ["web1"])],
)  # fmt: skip
def test_heal_sees_a_plan_that_costs_a_server(operation: str, lost: list[str]) -> None:
    prefix = "urn:pulumi:prod::apiary::apiary:host:Server$"
    plan: dict[str, Any] = {
        "steps": [
            {"op": operation, "urn": f"{prefix}vultr:index/instance:Instance::web1"},
            {"op": "delete", "urn": f"{prefix}vultr:index/firewallRule:FirewallRule::web1-tcp80-v4"},
        ]
    }
    assert guard.lost_servers(plan, {}) == lost


@pytest.mark.parametrize("mark", ["delete", "pendingReplacement"])
def test_heal_finishes_a_replacement_that_was_under_way(mark: str) -> None:
    urn = "urn:pulumi:prod::apiary::apiary:host:Server$vultr:index/instance:Instance::web1"
    # The engine marks the old state of any replacement so in a plan; only the stack's state tells them apart.
    plan = {"steps": [{"op": "create-replacement", "urn": urn, "oldState": {"pendingReplacement": True}}]}
    assert guard.lost_servers(plan, {"deployment": {"resources": [{"urn": urn}]}}) == ["web1"]
    assert guard.lost_servers(plan, {"deployment": {"resources": [{"urn": urn, mark: True}]}}) == []


def test_a_mistyped_stack_is_not_made(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(_: Pulumi, *arguments: str, **__: object) -> None:
        assert "--create" not in arguments
        raise OperationError("error: no stack named 'prdo' found")

    monkeypatch.setattr(Pulumi, "ask", lambda *_: '[{"name": "prod"}, {"name": "lab"}]')
    monkeypatch.setattr(Pulumi, "run", refused)
    with pytest.raises(OperationError, match="no stack 'prdo'; there are: lab, prod"):
        Pulumi("prdo").select()


@pytest.mark.parametrize(("said", "agreed"), [("", False), ("YES=0", False), ("YES=1", True)])
def test_only_yes_1_agrees_beforehand(said: str, agreed: bool) -> None:
    printed = subprocess.run(
        ["make", "-n", "revive", "SERVER=web1", "STACK=prod", *said.split()],
        check=True, capture_output=True, text=True, cwd=Path(__file__).parents[2],
    ).stdout  # fmt: skip
    assert ("--yes" in printed) is agreed


def test_a_verb_of_the_lab_never_goes_on_without_the_lab_s_environment() -> None:
    printed = subprocess.run(
        ["make", "-n", "heal"], check=True, capture_output=True, text=True, cwd=Path(__file__).parents[2]
    ).stdout
    assert 'env=$(.venv/bin/python -m lab env) && eval "$env" &&' in printed


def test_heal_stops_before_it_costs_a_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Pulumi, "preview", lambda _: {"steps": [REPLACED]})
    monkeypatch.setattr(Pulumi, "export", lambda *_: {})
    with pytest.raises(OperationError, match="server web1 with its disk"):
        heal._spare_servers(Stack("prod"))
    heal._spare_servers(Stack("prod"), yes=True)


def test_heal_is_stopped_by_what_a_preview_refuses_also_where_a_server_may_go(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(_: Pulumi) -> None:
        raise OperationError("most managers of the swarm at once")

    monkeypatch.setattr(Pulumi, "preview", refused)
    with pytest.raises(OperationError, match="most managers"):
        heal._spare_servers(Stack("prod"), yes=True)


def test_of_a_server_that_is_half_way_to_another_region_the_old_address_is_not_asked() -> None:
    """Its host is gone by then, and heal would take the server for dead."""
    urn = "urn:pulumi:prod::apiary::apiary:host:Server"

    def provider(region: str, host: str) -> dict[str, Any]:
        return {
            "urn": f"{urn}$pulumi:providers:docker::web1-{region}", "type": "pulumi:providers:docker", "id": "p",
            "inputs": {"host": f"ssh://root@{host}:22"}, "parent": f"{urn}::web1",
        }  # fmt: skip

    def address(ip: str, **more: Any) -> dict[str, Any]:
        type_ = "vultr:index/reservedIp:ReservedIp"
        return {"urn": f"{urn}${type_}::web1", "type": type_, "id": ip, "outputs": {"subnet": ip}, **more}

    moving = [provider("ewr", "192.0.2.1"), provider("lax", "192.0.2.19")]
    for resources in (moving, moving[::-1]):
        state = [address("192.0.2.19"), address("192.0.2.1", delete=True), *resources]
        servers = State.of({"deployment": {"resources": state}}).servers()
        assert [(server.name, server.host) for server in servers] == [("web1", "ssh://root@192.0.2.19:22")]


def test_an_import_that_fails_leaves_no_file_behind(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The folder holds the stack's keys; what is in the file is out of date at once."""
    seen: list[str] = []

    def failing(_: Pulumi, *arguments: str) -> None:
        seen.append(Path(arguments[2]).read_text())
        raise OperationError("`pulumi import` failed (above)")

    monkeypatch.setattr(Pulumi, "folder", tmp_path)
    monkeypatch.setattr(Pulumi, "run", failing)
    found = adopt.Found([Import(Planned("a::b::zone", "t", {}, "p"), "example.com")])
    with pytest.raises(OperationError, match="pulumi import"):
        adopt._import(Stack("prod"), {"resources": []}, found, adopt.Wish(yes=True))
    assert seen
    assert not list(tmp_path.iterdir())


def test_what_can_not_be_proved_to_be_lost_is_named_with_the_verb_that_keeps_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked = [lost.Lost("/domains/example.com", "zone example.com", "ask", "it is signed (DNSSEC)")]
    monkeypatch.setattr(sweep, "account", lambda *_, **__: sweep.Swept(asked=asked))
    monkeypatch.setattr(sweep, "servers", lambda *_: None)
    state = State.of({"deployment": {"resources": [{"urn": "a::b", "type": "pulumi:pulumi:Stack"}]}})
    with pytest.raises(OperationError, match=r"zone example\.com: it is signed.*(?s:.*)`make adopt` takes it into"):
        heal._sweep(Stack("prod"), state, heal.Wish())
