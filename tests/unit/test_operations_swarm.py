"""What heal removes of a swarm: what an interrupted update has made, and nothing that is the swarm's own."""

from __future__ import annotations

import pytest

from operations import hosts
from operations.state import Server

TAG = "apiary-prod"


class Shell:
    """Answers a server's commands: `docker KIND ls` by the kind, what is of this server alone by `KIND local`."""

    def __init__(self, *, decides: bool, **listed: str) -> None:
        self.decides, self.listed = decides, listed
        self.removed: list[tuple[str, str]] = []

    def __call__(self, *command: str) -> str:
        kind = command[1]
        if kind == "info":
            return f"{self.decides}\n".lower()
        if "rm" in command:
            self.removed.append((kind, command[-1]))
            return ""
        assert f"label=apiary.stack={TAG}" in command
        return self.listed.get(f"{kind}_local" if "scope=local" in command else kind, "")


def sweep(monkeypatch: pytest.MonkeyPatch, shell: Shell, known: set[str]) -> list[str]:
    monkeypatch.setattr(hosts.Host, "run", lambda _, *command, **__: shell(*command))
    return hosts.Host(Server("web1", "urn", "ssh://root@192.0.2.1:22", (), None)).sweep(TAG, known)


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
