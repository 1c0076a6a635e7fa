"""What a host tells its monitor of its containers: figures of what Docker says, and nothing half-written."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.unit.scripts import load

PROGRAM = Path(__file__).parents[2] / "playbooks" / "roles" / "monitoring" / "files" / "apiary-monitor"
tool = load(PROGRAM)
NEVER = "0001-01-01T00:00:00Z"


def shown(resource: str, name: str, **state: Any) -> dict[str, Any]:
    """A container as Docker shows it."""
    return {
        "Name": f"/{name}",
        "Config": {"Labels": {"apiary.resource": resource}},
        "HostConfig": {"RestartPolicy": {"Name": state.pop("policy", "unless-stopped")}},
        "RestartCount": state.pop("restarts", 0),
        "State": {
            "Running": False,
            "Restarting": False,
            "ExitCode": 0,
            "StartedAt": NEVER,
            "FinishedAt": NEVER,
            **state,
        },
    }


def lines(*containers: dict[str, Any], before: str = "") -> list[str]:
    return [line for line in tool.render(containers, before).splitlines() if not line.startswith("#")]


def up(**state: Any) -> str:
    (line, *_) = [one for one in lines(shown("applications.shop", "shop-1", **state)) if "_up{" in one]
    return line


@pytest.mark.parametrize(
    ("state", "value"),
    [
        ({"Running": True}, 1),
        ({"Running": True, "Health": {"Status": "healthy"}}, 1),
        ({"Running": True, "Health": {"Status": "starting"}}, 1),
        ({"Running": True, "Health": {"Status": "unhealthy"}}, 0),
        ({"Running": True, "Restarting": True}, 0),
        ({"Running": False}, 0),
        ({"Running": False, "policy": "on-failure"}, 1),
        ({"Running": False, "policy": "on-failure", "ExitCode": 1}, 0),
    ],
)
def test_an_application_is_up_when_it_runs_and_is_not_known_to_be_unhealthy(state: dict[str, Any], value: int):
    assert up(**state) == f'apiary_container_up{{application="shop",container="shop-1"}} {value}'


def test_one_that_may_end_is_not_down_when_it_has_ended():
    assert not [line for line in lines(shown("applications.once", "once-1", policy="no")) if "_up{" in line]


def test_restarts_are_counted():
    found = lines(shown("applications.shop", "shop-1", restarts=7))
    assert 'apiary_container_restarts_total{application="shop",container="shop-1"} 7' in found


def test_a_job_that_has_ended_tells_how_and_when_it_began():
    found = lines(
        shown(
            "jobs.tidy",
            "tidy-1",
            ExitCode=3,
            StartedAt="2026-11-28T12:00:00.123456789Z",
            FinishedAt="2026-11-28T12:01:00Z",
        )
    )
    labels = '{task="tidy",container="tidy-1"}'
    assert found == [
        f"apiary_job_known{labels} 1",
        f"apiary_job_exit_status{labels} 3",
        f"apiary_job_started_timestamp_seconds{labels} 1795867200.123456",
    ]


def test_a_job_that_never_ran_has_no_status():
    assert lines(shown("jobs.tidy", "tidy-1")) == ['apiary_job_known{task="tidy",container="tidy-1"} 1']


def test_a_job_that_runs_just_now_keeps_how_it_ended_before():
    ended = shown(
        "jobs.tidy", "tidy-1", ExitCode=3, StartedAt="2026-11-28T12:00:00Z", FinishedAt="2026-11-28T12:01:00Z"
    )
    runs = shown(
        "jobs.tidy", "tidy-1", Running=True, StartedAt="2026-11-28T13:00:00Z", FinishedAt="2026-11-28T12:01:00Z"
    )
    before = tool.render([ended], "")
    assert [line for line in lines(runs, before=before) if "exit_status" in line] == [
        'apiary_job_exit_status{task="tidy",container="tidy-1"} 3'
    ]
    assert not [line for line in lines(runs) if "exit_status" in line]


def test_containers_that_are_not_the_stack_s_are_not_told():
    assert lines({**shown("", "stray"), "Config": {"Labels": {}}}, shown("networks.web1", "x")) == []


MOMENT = "2026-11-28T12:00:00.123456789Z"
LATER = "2026-11-28T12:01:00Z"


def service(name: str, replicas: int, restart: str = "any") -> dict[str, Any]:
    """A service as a manager shows it."""
    labels = {"apiary.resource": f"applications.{name}"}
    mode, template = {"Replicated": {"Replicas": replicas}}, {"RestartPolicy": {"Condition": restart}}
    return {"ID": name, "Spec": {"Name": name, "Labels": labels, "Mode": mode, "TaskTemplate": template}}


def task(name: str, state: str = "running", desired: str = "running", at: str = MOMENT) -> dict[str, Any]:
    return {"ServiceID": name, "DesiredState": desired, "Status": {"State": state, "Timestamp": at}}


def told(*tasks: dict[str, Any], decides: bool = True, before: str = "") -> list[str]:
    """What a manager of a swarm with one application of four replicas has of it."""
    services = [service("shop", 4), {"ID": "other", "Spec": {**service("x", 1)["Spec"], "Labels": LABELS_OF_ANOTHER}}]
    swarm = {"decides": decides, "services": services if decides else [], "tasks": list(tasks)}
    text = tool.render([], before, swarm)
    return [line for line in text.splitlines() if not line.startswith("#")]


LABELS_OF_ANOTHER = {"apiary.resource": "something.else"}
FAILED = 'apiary_replicas_failed_total{application="shop"}'


def test_a_manager_tells_how_many_replicas_there_should_be_and_how_many_are_healthy():
    found = told(
        *[task("shop")] * 2,
        task("shop", "starting"),  # its health check has not said so yet
        task("shop", "running", "shutdown"),  # on a dead server, or about to stop
        task("shop", "shutdown", "shutdown"),
        task("other"),
    )
    assert found[:3] == [
        "apiary_swarm_decides 1",
        'apiary_replicas_wanted{application="shop"} 4',
        'apiary_replicas_running{application="shop"} 2',
    ]
    assert f"{FAILED} 0" in found


def test_replicas_that_failed_are_counted_once_each_also_when_swarm_forgets_them():
    before = tool.render([], "", {"decides": True, "services": [service("shop", 4)], "tasks": []})
    failed = [task("shop", "failed", "shutdown"), task("shop", "rejected", "shutdown")]
    after = told(*failed, before=before)
    assert f"{FAILED} 2" in after
    assert f"{FAILED} 2" in told(*failed, before="\n".join(after)), "they are the same"
    third = told(task("shop", "failed", "shutdown", LATER), before="\n".join(after))
    assert f"{FAILED} 3" in third
    assert f"{FAILED} 3" in told(before="\n".join(third))


@pytest.mark.parametrize(("restart", "running"), [("any", "1"), ("on-failure", "2"), ("none", None)])
def test_replicas_that_may_end_are_not_missed_when_they_have_ended(restart: str, running: str | None):
    ended = [task("shop"), task("shop", "complete", "shutdown")]
    swarm = {"decides": True, "services": [service("shop", 2, restart)], "tasks": ended}
    found = [line for line in tool.render([], "", swarm).splitlines() if line.startswith("apiary_replicas_running{")]
    assert found == ([f'apiary_replicas_running{{application="shop"}} {running}'] if running else [])


def test_what_failed_before_anybody_counted_is_no_news():
    assert f"{FAILED} 0" in told(task("shop", "failed", "shutdown"))


def test_without_a_majority_a_manager_tells_that_alone_and_a_worker_nothing_of_the_swarm():
    assert told(decides=False) == ["apiary_swarm_decides 0"]
    assert [line for line in tool.render([], "", None).splitlines() if not line.startswith("#")] == []


@pytest.mark.parametrize(
    ("swarm", "services", "lines"),
    [
        ({"LocalNodeState": "inactive"}, 500, []),
        ({"ControlAvailable": False}, 500, []),
        ({"ControlAvailable": True}, 200, ["apiary_swarm_decides 1", 'apiary_replicas_wanted{application="shop"} 4']),
        ({"ControlAvailable": True, "Error": "The swarm does not have a leader."}, 200, ["apiary_swarm_decides 0"]),
        ({"ControlAvailable": True}, 503, ["apiary_swarm_decides 0"]),  # it has just gone
    ],
)
def test_a_manager_is_asked_for_its_swarm_and_nobody_else(
    tmp_path: Path, swarm: dict[str, Any], services: int, lines: list[str]
):
    docker = Docker(tmp_path / "docker.sock", swarm=swarm, services=services)
    assert run(tmp_path, "facts").returncode == 0
    found = [line for line in (tmp_path / "containers.prom").read_text().splitlines() if line.startswith("apiary_")]
    of_it = [line for line in found if "swarm" in line or "wanted" in line]
    assert of_it == lines
    assert any("apiary_container_up" in line for line in found)
    docker.server.shutdown()


class Docker:
    """Answers on a socket as Docker does; `gone` is in the list, and not there any more."""

    def __init__(self, path: Path, status: int = 200, swarm: dict[str, Any] | None = None, services: int = 200) -> None:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                asked = self.path.partition("?")[0]
                found: object = {
                    "/containers/a/json": shown("applications.shop", "shop-1", Running=True),
                    "/info": {"Swarm": swarm or {}},
                    "/services": [service("shop", 4)],
                    "/tasks": [task("shop")],
                }.get(asked, [{"Id": "a"}, {"Id": "gone"}])
                body = json.dumps(found).encode()
                self.send_response(404 if "gone" in asked else services if asked == "/services" else status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def address_string(self) -> str:
                return ""

            def log_message(self, format: str, *args: object) -> None:
                pass

        class ByPath(HTTPServer):
            address_family = socket.AF_UNIX

            def server_bind(self) -> None:
                self.socket.bind(self.server_address)  # type: ignore[arg-type]

        self.server = ByPath(str(path), Handler)  # type: ignore[arg-type]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


def run(folder: Path, *words: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    environment = {
        **os.environ,
        "APIARY_DOCKER": str(folder / "docker.sock"),
        "APIARY_METRICS": str(folder / "containers.prom"),
        "APIARY_WATCH": str(folder / "watch.json"),
    }
    return subprocess.run(
        [sys.executable, str(PROGRAM), *words],
        input=stdin,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_figures_are_written_whole_and_a_container_that_goes_meanwhile_does_no_harm(tmp_path: Path):
    docker = Docker(tmp_path / "docker.sock")
    assert run(tmp_path, "facts").returncode == 0
    text = (tmp_path / "containers.prom").read_text()
    assert 'apiary_container_up{application="shop",container="shop-1"} 1\n' in text
    assert (tmp_path / "containers.prom").stat().st_mode & 0o777 == 0o644
    docker.server.shutdown()


@pytest.mark.parametrize("status", [None, 500])
def test_without_docker_the_old_figures_stay_and_it_is_said(tmp_path: Path, status: int | None):
    (tmp_path / "containers.prom").write_text("old\n")
    docker = Docker(tmp_path / "docker.sock", status) if status else None
    done = run(tmp_path, "facts")
    assert done.returncode == 1
    assert "apiary-monitor facts: Docker " in done.stderr
    assert (tmp_path / "containers.prom").read_text() == "old\n"
    if docker:
        docker.server.shutdown()


def test_what_is_to_be_watched_takes_its_place_whole(tmp_path: Path):
    assert run(tmp_path, "tell", stdin='{"a": 1}').returncode == 0
    assert (tmp_path / "watch.json").read_text() == '{"a": 1}'
    refused = run(tmp_path, "tell", stdin="secret word {")
    assert refused.returncode == 1
    assert "secret word" not in refused.stderr
    assert (tmp_path / "watch.json").read_text() == '{"a": 1}'
    assert run(tmp_path, "sing").returncode == 2
