"""`make start`: whose status it ends with, and what it says where there is none."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from operations import jobs
from operations.cli import OperationError

PROVIDER = "urn:pulumi:prod::apiary::apiary:host:Server$pulumi:providers:docker::web1-ewr"
JOB = "urn:pulumi:prod::apiary::apiary:docker:Job$docker:index/container:Container::logs"
STATE = {
    "deployment": {
        "resources": [
            {
                "urn": PROVIDER,
                "type": "pulumi:providers:docker",
                "id": "p",
                "parent": "urn:pulumi:prod::apiary::apiary:host:Server::web1",
                "inputs": {"host": "ssh://root@192.0.2.1:22"},
            },
            {
                "urn": JOB,
                "type": "docker:index/container:Container",
                "id": "c",
                "provider": f"{PROVIDER}::p",
                "outputs": {"name": "logs-1a2b3c4"},
            },
        ]
    }
}


class FakePulumi:
    project, folder = "apiary", Path("/nowhere")

    def __init__(self, settings: dict[str, Any] | None = None) -> None:
        self.settings = settings

    def export(self) -> dict[str, Any]:
        return STATE

    def setting(self, key: str) -> str | None:
        assert key == "apiary:jobs"
        return None if self.settings is None else json.dumps(self.settings)


class FakeHost:
    """A host whose job ends as `statuses` say: those of ssh and of the container."""

    running: tuple[bool, ...] = (False, False)
    statuses = (0, 0)
    streamed: list[tuple[str, ...]]

    def __init__(self, server: Any) -> None:
        self.server, self.states = server, list(self.running)

    def run(self, *command: str) -> str:
        assert command == ("docker", "inspect", "--format", "{{json .State}}", "logs-1a2b3c4")
        return json.dumps({"Running": self.states.pop(0), "ExitCode": self.statuses[1]})

    def stream(self, *command: str) -> int:
        self.streamed.append(command)
        return self.statuses[0]


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> type[FakeHost]:
    monkeypatch.setattr(FakeHost, "running", FakeHost.running)
    monkeypatch.setattr(FakeHost, "statuses", FakeHost.statuses)
    monkeypatch.setattr(FakeHost, "streamed", [], raising=False)
    monkeypatch.setattr(jobs, "Host", FakeHost)
    return FakeHost


def start(settings: dict[str, Any] | None = None) -> int:
    return jobs.start(FakePulumi(settings), "web1:logs")  # type: ignore[arg-type]


@pytest.mark.parametrize("status", [0, 1, 7, 124, 255])
def test_it_ends_with_the_job_s_own_status(
    host: type[FakeHost], status: int, capsys: pytest.CaptureFixture[str]
) -> None:
    host.statuses = (status, status)
    assert start() == status
    assert f"start logs: ended with status {status}" in capsys.readouterr().out


def test_the_time_limit_is_that_of_the_stack_file(host: type[FakeHost], capsys: pytest.CaptureFixture[str]) -> None:
    host.statuses = (124, 137)
    assert start({"logs": {"timeout": 5, "grace_seconds": 3}}) == 124
    assert host.streamed[0][-3:] == ("5", "logs-1a2b3c4", "3")
    assert "stopped, because it ran for more than 5 seconds" in capsys.readouterr().out


def test_without_one_it_is_the_default(host: type[FakeHost]) -> None:
    start({"logs": {}})
    start(None)
    assert [words[-3:] for words in host.streamed] == [("600", "logs-1a2b3c4", "10")] * 2


def test_a_job_that_runs_is_not_started_again(host: type[FakeHost]) -> None:
    host.running = (True,)
    with pytest.raises(
        OperationError, match="logs runs already; its output: `docker logs --follow logs-1a2b3c4` on web1"
    ):
        start()
    assert host.streamed == []


def test_a_connection_that_breaks_off_is_not_taken_for_the_job_s_end(host: type[FakeHost]) -> None:
    host.running, host.statuses = (False, True), (255, 0)
    with pytest.raises(OperationError, match=r"broke off .* logs runs on; its output: `docker logs --follow"):
        start()
