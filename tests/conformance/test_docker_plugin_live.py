"""The docker stand-in against a real engine: what is made, read back, changed, refused and left behind.

Every object carries the prefix `conf-` and is removed. The expectations are those recorded of the official
plugin.
"""

from __future__ import annotations

import os
import shutil
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lab.plugins.docker import plugin
from lab.plugins.docker_engine import Engine, EngineError, ssh_command
from lab.plugins.docker_provider import DEFAULT_HOST
from provider.protocol.base import Failure, PartialFailure
from provider.protocol.dispatch import Dispatcher
from tests.conformance.debian import debian

SLEEP = ["sh", "-c", "trap 'exit 0' TERM; while :; do sleep 0.1; done"]
TYPES = {"Container": "container", "Network": "network", "Volume": "volume"}


class Lab:
    """Drives one plugin as the engine does.

    Check, then Create, Read, Diff, Update, Delete; deletes what it created.
    """

    def __init__(self, **config: str) -> None:
        self.dispatcher = Dispatcher(plugin("5.2.0"))
        self.dispatcher.call("Configure", {"args": {"host": os.environ.get("DOCKER_HOST", DEFAULT_HOST), **config}})
        self.prefix = "conf-" + uuid.uuid4().hex[:6]
        self.made: list[tuple[str, str, dict[str, Any]]] = []

    def urn(self, kind: str) -> str:
        return f"urn:pulumi:dev::demo::docker:index/{TYPES[kind]}:{kind}::x"

    def check(self, kind: str, **news: Any) -> dict[str, Any]:
        return self.dispatcher.call("Check", {"urn": self.urn(kind), "olds": {}, "news": news})["inputs"]

    def create(self, kind: str, **news: Any) -> tuple[str, dict[str, Any], dict[str, Any]]:
        inputs = self.check(kind, **{"name": f"{self.prefix}-{len(self.made)}", **news})
        try:
            answer = self.dispatcher.call("Create", {"urn": self.urn(kind), "properties": inputs})
        except PartialFailure as error:
            self.made.append((kind, error.id, error.state))
            raise
        self.made.append((kind, answer["id"], answer["properties"]))
        return answer["id"], answer["properties"], inputs

    def container(self, **news: Any) -> tuple[str, dict[str, Any], dict[str, Any]]:
        return self.create("Container", **{"image": debian(), "command": SLEEP, **news})

    def diff(self, kind: str, id: str, olds: dict[str, Any], news: dict[str, Any]) -> dict[str, str]:
        answer = self.dispatcher.call("Diff", {"urn": self.urn(kind), "id": id, "olds": olds, "news": news})
        return {path: entry["kind"] for path, entry in answer["detailedDiff"].items()}

    def read(self, kind: str, id: str, state: dict[str, Any], inputs: dict[str, Any]) -> dict[str, Any]:
        return self.dispatcher.call("Read", {"urn": self.urn(kind), "id": id, "properties": state, "inputs": inputs})

    def update(self, id: str, olds: dict[str, Any], news: dict[str, Any]) -> dict[str, Any]:
        request = {"urn": self.urn("Container"), "id": id, "olds": olds, "news": news}
        return self.dispatcher.call("Update", request)["properties"]

    def delete(self, kind: str, id: str, state: dict[str, Any]) -> None:
        self.dispatcher.call("Delete", {"urn": self.urn(kind), "id": id, "properties": state})
        self.made = [entry for entry in self.made if entry[1] != id]


@pytest.fixture
def lab() -> Iterator[Lab]:
    made = Lab()
    yield made
    for kind, id, state in sorted(made.made, key=lambda entry: entry[0]):  # containers before networks and volumes
        made.delete(kind, id, {**state, "destroyGraceSeconds": 0})


@pytest.fixture
def engine() -> Engine:
    return Engine(os.environ.get("DOCKER_HOST", DEFAULT_HOST), [])


FULL: dict[str, Any] = {
    "envs": ["B=2", "A=1"],
    "labels": [{"label": "b", "value": "1"}, {"label": "a", "value": "2"}],
    "healthcheck": {"tests": ["CMD", "true"], "interval": "1s"},
    "wait": True,
    "mounts": [{"type": "tmpfs", "target": "/scratch", "tmpfsOptions": {"sizeBytes": 1048576, "mode": 1023}}],
    "volumes": [{"hostPath": "/etc/hostname", "containerPath": "/hn", "readOnly": True}],
    "restart": "unless-stopped",
    "capabilities": {"adds": ["CAP_NET_BIND_SERVICE"], "drops": ["ALL"]},
    "securityOpts": ["no-new-privileges:true"],
    "memory": 64,
    "memorySwap": 64,
    "cpus": "0.5",
    "logOpts": {"max-size": "1m"},
    "readOnly": True,
    "tmpfs": {"/run": "rw,size=1m"},
    "user": "0:0",
    "hostname": "confhost",
    "dns": ["192.0.2.53"],
    "hosts": [{"host": "h.example", "ip": "192.0.2.9"}],
    "sysctls": {"net.ipv4.ip_forward": "1"},
    "init": True,
    "destroyGraceSeconds": 5,
}


def test_a_second_run_and_a_refresh_of_a_rich_container_change_nothing(lab: Lab) -> None:
    id, state, inputs = lab.container(**FULL)
    assert lab.diff("Container", id, state, inputs) == {}
    refreshed = lab.read("Container", id, state, inputs)
    assert refreshed["inputs"] == {**inputs, "envs": ["A=1", "B=2"]}
    assert lab.diff("Container", id, refreshed["properties"], inputs) == {}


@pytest.mark.parametrize(
    ("given", "at_once", "after_refresh"),
    [
        ({"cpus": "1"}, {"cpus": "UPDATE_REPLACE"}, {"cpus": "UPDATE_REPLACE"}),
        ({"capabilities": {"adds": ["NET_ADMIN"]}}, {}, {"capabilities.adds[0]": "UPDATE_REPLACE"}),
        ({"memory": 64}, {"memorySwap": "DELETE"}, {"memorySwap": "DELETE"}),
        (
            {"healthcheck": {"tests": ["CMD", "true"], "interval": "90s"}},
            {"healthcheck.interval": "UPDATE"},
            {"healthcheck.interval": "UPDATE"},
        ),
        ({"hosts": [{"host": "h", "ip": "2001:db8::9"}]}, {}, {"hosts[0].ip": "UPDATE_REPLACE"}),
    ],
)
def test_spellings_that_never_settle(
    lab: Lab, given: dict[str, Any], at_once: dict[str, str], after_refresh: dict[str, str]
) -> None:
    id, state, inputs = lab.container(**given)
    assert lab.diff("Container", id, state, inputs) == at_once
    refreshed = lab.read("Container", id, state, inputs)["properties"]
    assert lab.diff("Container", id, refreshed, inputs) == after_refresh


def test_limits_are_applied_in_place_and_init_is_only_recorded(lab: Lab, engine: Engine) -> None:
    id, state, inputs = lab.container(memory=64, memorySwap=64)
    new = lab.update(id, state, {**inputs, "memory": 96, "memorySwap": 96, "restart": "always", "init": True})
    host = engine.call("GET", f"/containers/{id}/json")["HostConfig"]
    assert (host["Memory"], host["RestartPolicy"]["Name"], host["Init"]) == (96 << 20, "always", False)
    assert (new["memory"], new["init"]) == (96, True)
    assert lab.read("Container", id, new, inputs)["properties"]["init"] is False


def test_a_failed_update_leaves_the_new_values_in_the_state(lab: Lab) -> None:
    id, state, inputs = lab.container(memory=64, memorySwap=64)
    with pytest.raises(PartialFailure, match="Memory limit should be smaller than already set memoryswap") as error:
        lab.update(id, state, {**inputs, "memory": 512, "memorySwap": 0})
    assert str(error.value).startswith(f"updating {lab.urn('Container')}: 1 error occurred:\n\t* Unable to update a")
    assert error.value.state["memory"] == 512


def test_a_stopped_container_is_started_again_only_after_a_refresh_saw_it(lab: Lab, engine: Engine) -> None:
    id, state, inputs = lab.container()
    engine.call("POST", f"/containers/{id}/kill")
    engine.call("POST", f"/containers/{id}/wait")
    assert lab.diff("Container", id, state, inputs) == {}
    refreshed = lab.read("Container", id, state, inputs)
    assert refreshed["inputs"]["mustRun"] is False
    assert lab.diff("Container", id, refreshed["properties"], inputs) == {"mustRun": "UPDATE"}
    lab.update(id, refreshed["properties"], inputs)
    assert engine.call("GET", f"/containers/{id}/json")["State"]["Running"]


def test_a_removed_container_reads_as_gone_and_deleting_it_succeeds(lab: Lab, engine: Engine) -> None:
    id, state, inputs = lab.container()
    engine.call("DELETE", f"/containers/{id}", {"force": 1})
    assert lab.read("Container", id, state, inputs) == {}
    lab.delete("Container", id, state)


def test_a_job_tells_its_exit_code_and_logs_without_failing(lab: Lab) -> None:
    script = ["sh", "-c", "echo out; exit 3"]
    _, state, _ = lab.container(command=script, attach=True, logs=True, mustRun=False)
    assert (state["exitCode"], state["containerLogs"]) == (3, "out\n")


@pytest.mark.parametrize(("seconds", "at_least", "at_most"), [(None, 0.0, 1.5), (5, 1.0, 4.5)])
def test_only_the_destroy_grace_lets_a_container_finish(
    lab: Lab, seconds: int | None, at_least: float, at_most: float
) -> None:
    slow = ["sh", "-c", "trap 'sleep 1; exit 0' TERM; echo up; while :; do sleep 0.1; done"]
    grace = {} if seconds is None else {"destroyGraceSeconds": seconds}
    health = {"tests": ["CMD", "true"], "interval": "1s"}
    id, state, _ = lab.container(command=slow, healthcheck=health, wait=True, **grace)
    started = time.monotonic()
    lab.delete("Container", id, state)
    assert at_least <= time.monotonic() - started <= at_most


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"command": [""]}, "values for command may not be empty"),
    ({"name": "conf bad!"}, "Unable to create container: Error response from daemon: Invalid container name"),
    (
        {"memory": 1},
        "Unable to create container: Error response from daemon: Minimum memory limit allowed is 6MB",
    ),
    ({"cpus": "abc"}, "Error setting cpus: failed to parse abc as a rational number"),
    ({"ports": [{"internal": 70000}]}, 'Error response from daemon: invalid port specification: "70000"'),
]
LEFT_BEHIND: list[tuple[dict[str, Any], str]] = [
    (
        {"wait": True},
        "you have supplied a 'wait' argument, but the container does not have a healthcheck defined.",
    ),
    (
        {"wait": True, "waitTimeout": 2, "healthcheck": {"tests": ["CMD", "false"], "interval": "1s"}},
        "container failed to be in healthy state",
    ),
    (
        {"networksAdvanced": [{"name": "conf-missing"}]},
        "Error response from daemon: network conf-missing not found",
    ),
    ({"user": "nosuch"}, "Unable to start container: Error response from daemon: unable to find user nosuch"),
]


@pytest.mark.parametrize(("given", "text"), REFUSED)
def test_what_is_refused_leaves_nothing(lab: Lab, given: dict[str, Any], text: str) -> None:
    with pytest.raises(Failure) as error:
        lab.container(**given)
    assert not isinstance(error.value, PartialFailure)
    assert str(error.value).startswith("1 error occurred:\n\t* ")
    assert text in str(error.value)


@pytest.mark.parametrize(("given", "text"), LEFT_BEHIND)
def test_what_fails_after_the_creation_stays_in_the_state(lab: Lab, given: dict[str, Any], text: str) -> None:
    with pytest.raises(PartialFailure) as error:
        lab.container(**given)
    assert str(error.value).startswith(f"creating {lab.urn('Container')}: 1 error occurred:\n\t* ")
    assert text in str(error.value)
    assert len(error.value.id) == 64


def free_subnet(engine: Engine) -> int:
    """A third octet of 10.213.N.0/24 that no network of this engine uses."""
    used = {config.get("Subnet") for n in engine.call("GET", "/networks") for config in (n["IPAM"].get("Config") or [])}
    return next(n for n in range(1, 255) if f"10.213.{n}.0/24" not in used)


def test_a_container_has_its_addresses_on_a_dual_stack_network(lab: Lab, engine: Engine) -> None:
    n = free_subnet(engine)
    configs = [
        {"subnet": f"10.213.{n}.0/24", "gateway": f"10.213.{n}.1"},
        {"subnet": f"fd00:c0:{n:x}::/64", "gateway": f"fd00:c0:{n:x}::1"},
    ]
    started = time.monotonic()
    id, state, inputs = lab.create("Network", ipv6=True, ipamConfigs=configs)
    assert time.monotonic() - started >= 2
    assert lab.diff("Network", id, state, inputs) == {}
    endpoint = {
        "name": id,
        "aliases": ["al"],
        "ipv4Address": f"10.213.{n}.9",
        "ipv6Address": f"fd00:c0:{n:x}::9",
    }
    _, container, _ = lab.container(networksAdvanced=[endpoint])
    (data,) = container["networkDatas"]
    assert (data["ipAddress"], data["globalIpv6Address"]) == (f"10.213.{n}.9", f"fd00:c0:{n:x}::9")
    with pytest.raises(Failure, match=f"network with name {state['name']} already exists"):
        lab.create("Network", name=state["name"])


def test_a_volume_of_that_name_is_adopted(lab: Lab, engine: Engine) -> None:
    name = f"{lab.prefix}-adopted"
    engine.call("POST", "/volumes/create", body={"Name": name, "Labels": {"old": "1"}})
    id, state, inputs = lab.create("Volume", name=name)
    assert (id, state["labels"]) == (name, [])
    assert lab.diff("Volume", id, state, inputs) == {}
    seen = lab.read("Volume", id, state, inputs)["properties"]
    assert seen["labels"] == [{"label": "old", "value": "1"}]
    assert lab.diff("Volume", id, seen, inputs) == {"labels": "DELETE_REPLACE"}
    lab.delete("Volume", id, state)
    with pytest.raises(EngineError):
        engine.call("GET", f"/volumes/{name}")


def test_an_import_reads_inputs(lab: Lab) -> None:
    id, _, _ = lab.container(restart="always")
    imported = lab.read("Container", id, {}, {})
    assert (imported["inputs"]["restart"], imported["inputs"]["image"]) == ("always", debian())


def test_an_unreachable_socket_fails_in_configure() -> None:
    with pytest.raises(Failure, match=r"unexpected error from Configure: failed to connect to any docker daemon"):
        Lab(host="unix:///run/conf-missing.sock")


def test_ssh_runs_the_command_of_the_official_client() -> None:
    command = ssh_command("ssh://deploy@192.0.2.10:2222", ["-i", "/k", "-o", "BatchMode=yes"])
    assert " ".join(command) == (
        "ssh -l deploy -p 2222 -i /k -o BatchMode=yes -o ConnectTimeout=30 -T -- 192.0.2.10 docker system dial-stdio"
    )


def fake_ssh(folder: Path, script: str) -> None:
    path = folder / "ssh"
    path.write_text("#!/bin/sh\n" + script)
    path.chmod(0o755)


def test_over_ssh_the_same_engine_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_ssh(tmp_path, f"echo run >> {tmp_path}/runs\nexec {shutil.which('docker')} system dial-stdio\n")
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    lab = Lab(host="ssh://deploy@192.0.2.10:22", sshOpts="[]")
    assert not (tmp_path / "runs").exists()  # Configure makes no connection
    id, state, inputs = lab.container()
    assert lab.read("Container", id, state, inputs)["id"] == id
    lab.delete("Container", id, state)
    assert len((tmp_path / "runs").read_text().split()) == 1  # one connection, used again and again


def test_a_refused_ssh_connection_shows_the_command_and_its_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_ssh(tmp_path, "echo 'Host key verification failed.' >&2\nexit 255\n")
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    lab = Lab(host="ssh://deploy@192.0.2.10:22", sshOpts='["-o","BatchMode=yes"]')
    with pytest.raises(Failure) as error:
        lab.container()
    assert str(error.value) == (
        "1 error occurred:\n\t* failed to create Docker client: Error pinging Docker server, please make "
        "sure that "
        "ssh://deploy@192.0.2.10:22 is reachable and has a  '_ping' endpoint. Error: error during connect: "
        'Head "http://docker.example.com/_ping": command [ssh -l deploy -p 22 -o BatchMode=yes '
        "-o ConnectTimeout=30 "
        "-T -- 192.0.2.10 docker system dial-stdio] has exited with exit status 255, "
        "make sure the URL is valid, and "
        "Docker 18.09 or later is installed on the remote host: stderr=Host key verification failed.\n\n\n"
    )
