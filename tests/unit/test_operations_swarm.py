"""What heal removes of a swarm: what an interrupted update has made, and nothing that is the swarm's own."""

from __future__ import annotations

import json
from typing import Any

import pytest

from operations import hosts
from operations.cli import OperationError
from operations.state import Server

TAG = "apiary-prod"


class Shell:
    """Answers a server's commands: `docker KIND ls` by the kind, what is of this server alone by `KIND local`."""

    def __init__(
        self, *, decides: bool, error: str = "", nodes: list[dict[str, Any]] | None = None, **listed: str
    ) -> None:
        self.decides, self.error, self.nodes, self.listed = decides, error, nodes or [], listed
        self.removed: list[tuple[str, str]] = []

    def __call__(self, *command: str) -> str:
        kind = command[1]
        if kind == "info":
            return f"{str(self.decides).lower()} {self.error}\n"
        if command[:3] == ("docker", "node", "ls"):
            return "\n".join(node["ID"] for node in self.nodes)
        if command[:3] == ("docker", "node", "inspect"):
            return json.dumps(self.nodes)
        if "rm" in command or "demote" in command:
            self.removed.append((kind, command[-1]))
            return ""
        assert f"label=apiary.stack={TAG}" in command
        return self.listed.get(f"{kind}_local" if "scope=local" in command else kind, "")


def sweep(monkeypatch: pytest.MonkeyPatch, shell: Shell, known: set[str]) -> list[str]:
    monkeypatch.setattr(hosts.Host, "run", lambda _, *command, **__: shell(*command))
    return hosts.Host(Server("web1", "urn", "ssh://root@192.0.2.1:22", (), None)).sweep(TAG, known, {"web1", "web2"})


def test_a_manager_removes_what_the_state_does_not_know_services_first(monkeypatch: pytest.MonkeyPatch) -> None:
    listed = {"service": "abc shop\nxyz lost\n", "secret": "s1 shop-0\ns2 lost-0\n", "network": "n1 swarm\nn2 old\n"}
    shell = Shell(decides=True, **listed)
    removed = sweep(monkeypatch, shell, {"abcdef123456", "s1long", "n1"})
    assert removed == ["service lost", "secret lost-0", "network old"]
    assert shell.removed == [("service", "xyz"), ("secret", "s2"), ("network", "n2")]


def test_who_is_no_manager_leaves_the_swarms_network_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    shell = Shell(decides=False, service="xyz lost", network="n2 swarm", network_local="n3 own")
    assert sweep(monkeypatch, shell, set()) == ["network own"]
    assert shell.removed == [("network", "n3")]


def node(name: str, state: str, **more: Any) -> dict[str, Any]:
    return {"ID": f"n-{name}", "Spec": {"Labels": {"apiary.server": name}}, "Status": {"State": state}, **more}


def test_of_nodes_those_go_that_are_dead_and_no_server_any_more(monkeypatch: pytest.MonkeyPatch) -> None:
    nodes = [
        node("web1", "ready"), node("web2", "down"), node("web4", "ready"), {**node("", "down"), "Spec": {}},
        node("web3", "down", ManagerStatus={"Reachability": "unreachable"}),
    ]  # fmt: skip
    shell = Shell(decides=True, nodes=nodes)
    assert sweep(monkeypatch, shell, set()) == ["node web3"]
    assert shell.removed == [("node", "n-web3"), ("node", "n-web3")], "of the managers first"
    assert sweep(monkeypatch, Shell(decides=False, nodes=nodes), set()) == []


def test_a_dead_node_without_a_name_goes_where_its_host_is_no_server_or_is_there_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its join was cut off before it had its label, and then its disk was lost: it counts as a manager for good."""

    def nameless(number: int, host: str) -> dict[str, Any]:
        return {**node(f"{number}", "down"), "Spec": {}, "Description": {"Hostname": host}}

    nodes = [node("web1", "ready"), nameless(7, "web1"), nameless(8, "web2"), nameless(9, "web9")]
    shell = Shell(decides=True, nodes=nodes)
    assert sweep(monkeypatch, shell, set()) == ["node web1", "node web9"], "web2 may come back"
    assert shell.removed == [("node", "n-7"), ("node", "n-9")]


def test_where_nobody_decides_the_verb_is_named_that_ends_that(monkeypatch: pytest.MonkeyPatch) -> None:
    shell = Shell(decides=True, error="The swarm does not have a leader. It's possible that", service="xyz lost\n")
    with pytest.raises(OperationError, match=r"\(The swarm does not have a leader\).*make recover SERVER=web1"):
        sweep(monkeypatch, shell, set())
    assert shell.removed == []
