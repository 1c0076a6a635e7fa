"""Reserved IPv6 networks, from the provider through the emulated API: attached, moved on, and let go of."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from lab.api.testing import Emulator
from provider import objects
from provider import plugin as vultr
from provider.protocol.dispatch import Dispatcher

TYPE = "vultr:index/reservedIp:ReservedIp"
URN = f"urn:pulumi:dev::lab::{TYPE}::web1/ipv6"
PLAN = {"region": "ewr", "plan": "vc2-1c-1gb", "os_id": 2136, "enable_ipv6": True}
RESTART = "Unable to attach subnet, please restart your server from the control panel"


@pytest.fixture(scope="module")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    with Emulator(tmp_path_factory.mktemp("api")) as running:
        yield running


@pytest.fixture
def provider(emulator: Emulator, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Dispatcher:
    monkeypatch.setenv("PULUMI_HOME", str(tmp_path))
    monkeypatch.setenv("HTTPS_PROXY", emulator.proxy)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("SSL_CERT_FILE", emulator.info["ca"])
    monkeypatch.setattr(objects, "GOING", 2.0)
    return new_provider()


def new_provider() -> Dispatcher:
    """One process of it, as each command of the engine has."""
    dispatcher = Dispatcher(vultr.plugin("2.27.1"))
    dispatcher.call("Configure", {"args": {"apiKey": "a-key"}})
    return dispatcher


@pytest.fixture
def server(emulator: Emulator) -> str:
    return new_server(emulator)


def new_server(emulator: Emulator) -> str:
    id: str = emulator.api.post("/v2/instances", json=PLAN).json()["instance"]["id"]
    emulator.active(id)
    return id


def reserve(provider: Dispatcher, server: str) -> tuple[str, dict[str, Any]]:
    """A network of this server's: its id and its state."""
    inputs = {"region": "ewr", "ipType": "v6", "label": "apiary-lab-web1", "instanceId": server}
    answer = provider.call("Create", {"urn": URN, "properties": inputs})
    return answer["id"], answer["properties"]


def holder(emulator: Emulator, id: str) -> str | None:
    """The instance that the API says has it; None when there is no such network."""
    answer = emulator.api.get(f"/v2/reserved-ips/{id}")
    return answer.json()["reserved_ip"]["instance_id"] if answer.status_code == 200 else None


def until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.05)


def restarts(emulator: Emulator) -> int:
    requests = emulator.control.get("/state").json()["requests"]
    return int(requests.get("POST /v2/instances/{id}/reboot 204", 0))


def test_it_moves_on_from_an_instance_that_is_gone_and_stays_the_same_network(
    emulator: Emulator, provider: Dispatcher, server: str
) -> None:
    id, before = reserve(provider, server)
    assert holder(emulator, id) == server
    emulator.api.delete(f"/v2/instances/{server}")
    second, asked = new_server(emulator), restarts(emulator)
    for _ in range(2):  # the second time from a state that is out of date: nothing is to be done
        answer = provider.call(
            "Update", {"urn": URN, "id": id, "olds": before, "news": {**before, "instanceId": second}}
        )
        assert answer["properties"]["subnet"] == before["subnet"]
        assert holder(emulator, id) == second
        emulator.api.post(f"/v2/instances/{second}/reboot")
    assert restarts(emulator) == asked + 2, "nobody else has restarted it"


def test_a_refresh_finds_nothing_and_after_its_server_is_gone_that_it_is_attached_to_none(
    emulator: Emulator, provider: Dispatcher, server: str
) -> None:
    id, state = reserve(provider, server)
    inputs = {"region": "ewr", "ipType": "v6", "label": "apiary-lab-web1", "instanceId": server}
    read = provider.call("Read", {"urn": URN, "id": id, "properties": state, "inputs": inputs})
    asked = {"urn": URN, "id": id, "olds": read["properties"], "oldInputs": read["inputs"], "news": inputs}
    assert provider.call("Diff", asked)["changes"] == "DIFF_NONE"
    emulator.api.delete(f"/v2/instances/{server}")
    until(lambda: holder(emulator, id) == "", "it is let go of")
    provider = new_provider()
    read = provider.call("Read", {"urn": URN, "id": id, "properties": state, "inputs": inputs})
    assert (read["properties"]["instanceId"], read["properties"]["subnet"]) == ("", state["subnet"])
    asked |= {"olds": read["properties"], "oldInputs": read["inputs"]}
    difference = provider.call("Diff", asked)
    assert (difference["changes"], difference["replaces"]) == ("DIFF_SOME", [])


def test_a_server_that_has_to_be_restarted_for_it_is(emulator: Emulator, provider: Dispatcher, server: str) -> None:
    """Bee2 met such an answer (lib/vultr.rb, `Unable to attach IP. Rebooting VM`)."""
    asked = restarts(emulator)
    refused = {"method": "POST", "path": "/attach$", "status": 400, "body": {"error": RESTART, "status": 400}}
    emulator.control.post("/faults", json=refused).raise_for_status()
    id, _ = reserve(provider, server)
    assert holder(emulator, id) == server
    assert restarts(emulator) == asked + 1


def test_one_that_is_let_go_of_restarts_the_server_that_stays(
    emulator: Emulator, provider: Dispatcher, server: str
) -> None:
    id, state = reserve(provider, server)
    asked = restarts(emulator)
    provider.call("Delete", {"urn": URN, "id": id, "properties": state})
    assert holder(emulator, id) is None
    assert emulator.active(server)["id"] == server
    assert restarts(emulator) == asked + 1


def test_one_that_goes_with_its_server_restarts_nothing(emulator: Emulator, provider: Dispatcher, server: str) -> None:
    id, state = reserve(provider, server)
    asked = restarts(emulator)
    emulator.api.delete(f"/v2/instances/{server}")
    provider.call("Delete", {"urn": URN, "id": id, "properties": state})
    assert holder(emulator, id) is None
    assert restarts(emulator) == asked


@pytest.mark.parametrize(("kind", "word"), [("v4", "address"), ("v6", "network")])
def test_a_move_to_another_region_says_that_it_can_t_be_kept(kind: str, word: str) -> None:
    plugin = vultr.plugin("2.27.1")
    said: list[tuple[str, str]] = []
    plugin.sink = lambda message, severity, _urn, _ephemeral: said.append((severity, message))
    olds = {"id": "r", "region": "ewr", "ipType": kind, "label": "", "instanceId": "", "subnet": "2001:db8:77:1::"}
    call = {"urn": URN, "id": "r", "olds": olds, "oldInputs": {"region": "ewr", "ipType": kind}}
    provider = Dispatcher(plugin)
    provider.call("Configure", {"args": {"apiKey": "a-key"}})
    answer = provider.call("Diff", {**call, "news": {"region": "ams", "ipType": kind, "label": ""}})
    assert answer["replaces"] == ["region"]
    assert len(said) == 1
    assert said[0][0] == "warning"
    assert f"2001:db8:77:1:: stays in region ewr: another {word}, of ams, takes its place" in said[0][1]
    provider.call("Diff", {**call, "news": {"region": "EWR", "ipType": kind, "label": ""}})
    assert len(said) == 1, "the same region in another spelling is no move"
