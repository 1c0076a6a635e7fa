"""What the scheduler promises on a real host: jobs run by the clock, and nothing else of Docker is within reach."""

from __future__ import annotations

import datetime
import json
import shlex
from typing import Any

import pytest

from tests.lab.hive import Hive, until

# Runs in the scheduler's container: says each request to the socket, and prints what came back.
CLIENT = """
import json, socket, sys
answers = []
for text in json.load(sys.stdin):
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(60)
        client.connect("/run/apiary/docker.sock")
        client.sendall(text.encode("latin-1"))
        received = b""
        try:
            while part := client.recv(65536):
                received += part
        except ConnectionResetError:
            pass
        answers.append(received.decode("latin-1"))
print(json.dumps(answers))
"""
RUN_SECONDS = 130  # every minute, and what a loaded machine needs
BODY = '{"Image":"debian:bookworm-slim","Cmd":["id"]}'
CREATE = (
    f"POST /containers/create HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: {len(BODY)}\r\n\r\n{BODY}"
)


def ended(hive: Hive, job: str = "tick") -> list[dict[str, Any]]:
    """The record's runs of a job."""
    lines = hive.on_server("cat /var/lib/docker/volumes/schedule/_data/runs.jsonl 2>/dev/null || true").splitlines()
    return [run for run in map(json.loads, lines) if run["event"] == "ended" and run["job"] == job]


def begun(run: dict[str, Any]) -> float:
    """When a run was due, as seconds since 1970."""
    return datetime.datetime.fromisoformat(run["due"]).timestamp()


def name_of(hive: Hive, resource: str) -> str:
    return hive.on_server(f"docker ps -a --filter label=apiary.resource={resource} --format '{{{{.Names}}}}'").strip()


def ask(hive: Hive, *requests: str) -> list[str]:
    """What the scheduler's socket answers to these requests, said from inside its container."""
    inside = f"docker exec -i {hive.container('scheduler')} python3 -c {shlex.quote(CLIENT)}"
    answers: list[str] = json.loads(hive.on_server(f"echo {shlex.quote(json.dumps(requests))} | {inside}"))
    return answers


def test_a_job_runs_by_the_clock_and_leaves_its_status_and_its_length(hive: Hive) -> None:
    # A run since the server's last start: where test_firewall has rebooted it, the schedule has outlived that.
    born = float(hive.on_server("echo $(($(date +%s) - $(ps -o etimes= -p 1)))"))
    until(lambda: any(begun(run) > born for run in ended(hive)), RUN_SECONDS, "a run of tick")
    run = ended(hive)[-1]
    assert (run["status"], run["container"]) == (0, name_of(hive, "jobs.tick"))
    assert 0 < run["seconds"] < 60
    assert 0 <= run["late_ms"] < 60_000
    assert run["due"].endswith(":00.000+00:00")
    log = hive.on_server(f"docker logs {hive.container('scheduler')} 2>&1")
    assert f"tick: ended with status 0 after {run['seconds']} s" in log


def test_the_scheduler_can_start_and_await_its_jobs_and_nothing_else(hive: Hive) -> None:
    """By the job's name, and by that of the container which it is told then."""
    job, other, proxy = (name_of(hive, one) for one in ("jobs.tick", "jobs.hasetup", "applications.haproxy"))
    empty = "Host: docker\r\nContent-Length: 0\r\n\r\n"

    started, waited = ask(
        hive, f"POST /v1.41/containers/tick/start HTTP/1.1\r\n{empty}",
        f"POST /containers/{job}/wait HTTP/1.1\r\n{empty}",
    )  # fmt: skip
    assert started.split(" ")[1] in {"204", "304"}, started
    assert f"Apiary-Container: {job}\r\n" in started
    assert '"StatusCode": 0' in waited

    before = hive.on_server("docker ps -aq --no-trunc | sort")
    hostile = [
        CREATE,
        f"POST /containers/{job}/exec HTTP/1.1\r\n{empty}",
        f"POST /containers/{other}/start HTTP/1.1\r\n{empty}",
        f"POST /containers/hasetup/start HTTP/1.1\r\n{empty}",
        f"POST /containers/haproxy/stop HTTP/1.1\r\n{empty}",
        f"POST /containers/{proxy}/wait HTTP/1.1\r\n{empty}",
        f"POST /containers/{proxy}/stop HTTP/1.1\r\n{empty}",
        f"DELETE /containers/{job} HTTP/1.1\r\n{empty}",
        f"GET /containers/{job}/json HTTP/1.1\r\n{empty}",
        f"GET /containers/json HTTP/1.1\r\n{empty}",
        f"POST //containers/{job}/start HTTP/1.1\r\n{empty}",
        f"POST /containers/{job}/%2e%2e/{proxy}/restart HTTP/1.1\r\n{empty}",
        f"POST /containers/{job}/..;/{proxy}/restart HTTP/1.1\r\n{empty}",
        f"POST /containers/{job}/start?x=/../../{proxy}/stop HTTP/1.1\r\n{empty}",
        f"POST http://docker/containers/{job}/start HTTP/1.1\r\n{empty}",
        f"POST /containers/{job}/start HTTP/1.0\r\n{empty}",
        f"POST /containers/{job}/start HTTP/1.1\r\nContent-Length: 0\r\nContent-Length: {len(CREATE)}\r\n\r\n{CREATE}",
        f"POST /containers/{job}/start HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{CREATE}",
        f"POST /containers/{job}/start HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n",
    ]
    for request, answer in zip(hostile, ask(hive, *hostile), strict=True):
        assert answer.startswith(("HTTP/1.1 400 ", "HTTP/1.1 403 ")), f"{request!r}: {answer}"
    assert hive.on_server("docker ps -aq --no-trunc | sort") == before
    assert hive.on_server(f"docker inspect -f '{{{{.State.Running}}}}' {proxy}").strip() == "true"

    mounts = hive.on_server(f"docker inspect -f '{{{{json .Mounts}}}}' {hive.container('scheduler')}")
    assert {mount["Destination"] for mount in json.loads(mounts)} == {"/run/apiary", "/var/lib/jobscheduler"}


@pytest.mark.soak
def test_a_changed_job_that_fails_leaves_the_scheduler_and_its_other_jobs_running(hive: Hive) -> None:
    """The new container is started at its time, fails then as well, and the next good update mends it.

    Minutes of waiting for the clock; what a failing job does to an update: test_jobs.
    """
    scheduler, old = hive.container("scheduler"), name_of(hive, "jobs.tock")
    changed = {"tock", "tock-startable", "tock-run"}
    job = hive.settings["apiary:jobs"]["tock"]
    good = job["command"]
    try:
        job["command"] = ["sh", "-c", "exit 3"]
        failed = hive.up(check=False)
        assert failed.status != 0
        assert "tock: ended with status 3" in failed.output
        assert failed.touched() == changed
        new, before = name_of(hive, "jobs.tock"), len(ended(hive))
        assert new != old
        until(lambda: len(ended(hive)) > before, RUN_SECONDS, "a run of tick")
        until(lambda: new in [run["container"] for run in ended(hive, "tock")], RUN_SECONDS, "a run of the new tock")
        assert (ended(hive)[-1]["status"], ended(hive, "tock")[-1]["status"]) == (0, 3)
    finally:
        job["command"] = good
        mended = hive.up()
    assert mended.touched() == changed
    assert hive.container("scheduler") == scheduler, "it was never replaced"


def test_a_job_is_started_again_by_hand_with_its_output_and_its_status(hive: Hive) -> None:
    done = hive.operations("start", "web1:hasetup")
    assert "hasetup: " in done.stdout, "its own words"
    assert "start hasetup: ended with status 0" in done.stdout
    assert hive.operations("start", "nobody", check=False).returncode == 1


@pytest.mark.soak
def test_the_schedule_outlives_docker_the_access_and_the_host(hive: Hive) -> None:
    """Each is restarted; the next run comes. None of them takes the scheduler's memory.

    Minutes of waiting for the clock; that it comes after a reboot is shown above.
    """
    hive.on_server("systemctl restart apiary-docker-access@scheduler.service")
    hive.on_server("systemctl kill --signal KILL apiary-docker-access@scheduler.service")
    hive.reboot()
    running = "docker ps -q --filter label=apiary.resource=applications.scheduler"
    until(lambda: hive.on_server(running, check=False).strip(), 120, "the scheduler is back")
    before = len(ended(hive))
    assert before, "it remembers"
    until(lambda: len(ended(hive)) > before, RUN_SECONDS, "a run of tick after the reboot")
    assert ended(hive)[-1]["status"] == 0
