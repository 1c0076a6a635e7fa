"""An application's access to Docker: two sentences about its own jobs, and nothing that anybody could say beyond."""

from __future__ import annotations

import contextlib
import http.server
import io
import json
import socket
import socketserver
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parents[2] / "images" / "JobScheduler"))

from jobscheduler.docker import Begun, Docker, GoneError, RefusedError, UnreachableError

from tests.unit.scripts import load

FILES = Path(__file__).parents[2] / "playbooks" / "roles" / "docker_access" / "files"


access_tool = load(FILES / "apiary-docker-access")
grant_tool = load(FILES / "apiary-access")

OURS, THEIRS = "logs-1a2b3c4", "haproxy-5d6e7f8"
JOB: dict[str, object] = {"container": OURS, "seconds": 600, "grace": 7}


class TestDocker(socketserver.ThreadingUnixStreamServer):
    """As much of Docker as is asked: containers that run until they are stopped or end."""

    __test__ = False
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, path: Path) -> None:
        self.asked: list[str] = []
        self.ended: dict[str, threading.Event] = {}
        self.statuses: dict[str, int] = {}
        self.started_at = "2999-01-01T00:00:00.123456789Z"  # never too long ago
        super().__init__(str(path), Handler)
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def runs(self, container: str) -> bool:
        return container in self.ended and not self.ended[container].is_set()

    def end(self, container: str, status: int) -> None:
        self.statuses[container] = status
        self.ended[container].set()


class Handler(http.server.BaseHTTPRequestHandler):
    server: TestDocker  # type: ignore[assignment]

    def address_string(self) -> str:
        return "unix"

    def log_message(self, format: str, *args: object) -> None:
        pass

    def do_POST(self) -> None:
        self.server.asked.append(f"{self.command} {self.path}")
        _, _, container, what = self.path.split("/")
        if container == "gone":
            self._answer(404, {"message": "No such container: gone"})
        elif container == "going":
            self._answer(409, {"message": "container going is marked for removal and cannot be started"})
        elif what == "start":
            running = self.server.runs(container)
            if not running:
                self.server.ended[container] = threading.Event()
            self._answer(304 if running else 204, {})
        elif what == "wait":
            assert self.server.ended[container].wait(20)
            self._answer(200, {"StatusCode": self.server.statuses[container]})
        elif what.startswith("stop"):
            self.server.end(container, 137)
            self._answer(204, {})

    def do_GET(self) -> None:
        self.server.asked.append(f"{self.command} {self.path}")
        container = self.path.split("/")[2]
        state = {"Running": self.server.runs(container), "StartedAt": self.server.started_at}
        self._answer(200, {"State": state, "Config": {"Env": ["PASSWORD=hunter2"]}})

    def _answer(self, status: int, content: dict[str, object]) -> None:
        body = json.dumps(content).encode() if status not in {204, 304} else b""
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        with contextlib.suppress(BrokenPipeError):  # a wait that its test has left
            self.wfile.write(body)


class World:
    """The service of the application `scheduler`, between a client and Docker."""

    def __init__(self, folder: Path) -> None:
        self.socket, self.grant_file = folder / "docker.sock", folder / "scheduler.json"
        self.jobs = folder / "jobs"
        self.jobs.mkdir()
        self.docker = TestDocker(folder / "real.sock")
        self.grant("logs")
        self.job("logs", **JOB)
        # Another's, which the server knows as well.
        self.job("haproxy", **{**JOB, "container": THEIRS})
        self.listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.listening.bind(str(self.socket))
        self.listening.listen(64)
        self.service = access_tool.Service("scheduler")
        threading.Thread(target=self.service.serve, args=(self.listening,), daemon=True).start()
        until(lambda: self.docker.asked, "it looks at what runs already")
        until(lambda: not watched(), "and finds nothing")
        self.docker.asked.clear()

    def grant(self, *jobs: str) -> None:
        self.grant_file.write_text(grant_tool.granted(json.dumps({"jobs": jobs})))

    def job(self, name: str, **known: object) -> None:
        (self.jobs / f"{name}.json").write_text(grant_tool.known(json.dumps(known)))

    def send(self, *parts: bytes) -> tuple[int, str]:
        """(status, body) of the answer; the status is 0 when there was none."""
        head, body = self.answer(*parts)
        return int(head.split(" ")[1]) if head else 0, body

    def answer(self, *parts: bytes) -> tuple[str, str]:
        """(head, body) of the answer; both empty when there was none."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
            client.settimeout(20)
            client.connect(str(self.socket))
            # Who is refused before all has been said finds nobody who takes the rest.
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                for part in parts:
                    client.sendall(part)
                client.shutdown(socket.SHUT_WR)
            received = b""
            with contextlib.suppress(ConnectionResetError):
                while part := client.recv(65536):
                    received += part
        assert received.count(b"HTTP/1.1 ") <= 1, "one request, one answer"
        head, _, body = received.partition(b"\r\n\r\n")
        return head.decode(), body.decode()


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    monkeypatch.setattr(access_tool, "GRANTS", str(tmp_path))
    monkeypatch.setattr(access_tool, "JOBS", str(tmp_path / "jobs"))
    monkeypatch.setattr(access_tool, "DOCKER", str(tmp_path / "real.sock"))
    monkeypatch.setattr(access_tool, "HEAD_SECONDS", 2.0)
    monkeypatch.setattr(access_tool, "WATCH_SECONDS", 0.05)
    made = World(tmp_path)
    yield made
    for container in made.docker.ended:
        made.docker.end(container, 0)
    until(lambda: not watched(), "nothing runs any more")
    made.docker.shutdown()
    made.docker.server_close()


def request(line: str, *headers: str, body: str = "") -> bytes:
    return "\r\n".join([line, *(headers or ("Host: docker", "Content-Length: 0")), "", body]).encode("latin-1")


def until(condition: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.01)


def watched() -> bool:
    """Whether a run is being watched."""
    return any(thread.name.startswith("watch ") for thread in threading.enumerate())


def sent(client: socket.socket, raw: bytes) -> bool:
    """Whether anybody takes it."""
    try:
        client.sendall(raw)
    except OSError:
        return False
    return True


# --- what works


@pytest.mark.parametrize("version", ["", "/v1.41", "/v1.24"])
@pytest.mark.parametrize("name", ["logs", OURS])
def test_a_job_of_its_own_is_started_and_waited_for(world, name, version):
    """By its own name, and by that of its container."""
    assert world.send(request(f"POST {version}/containers/{name}/start HTTP/1.1")) == (204, "")
    assert world.send(request(f"POST {version}/containers/{name}/start HTTP/1.1")) == (304, "")
    world.docker.end(OURS, 3)
    status, body = world.send(request(f"POST {version}/containers/{name}/wait HTTP/1.1"))
    assert (status, json.loads(body)) == (200, {"StatusCode": 3})
    assert {line.split("/")[2] for line in world.docker.asked} == {OURS}


def test_every_answer_about_a_job_tells_its_container_and_no_other_answer_does(world):
    heads = [world.answer(request(f"POST /containers/logs/{what} HTTP/1.1"))[0] for what in ("start", "start")]
    world.docker.end(OURS, 0)
    heads.append(world.answer(request("POST /containers/logs/wait HTTP/1.1"))[0])
    assert [head.split(" ")[1] for head in heads] == ["204", "304", "200"]
    assert all(f"\r\nApiary-Container: {OURS}\r\n" in head for head in heads), heads
    for name in ("haproxy", THEIRS, "nothing"):
        assert "Apiary-Container" not in world.answer(request(f"POST /containers/{name}/start HTTP/1.1"))[0]


def test_the_scheduler_s_own_client_understands_it(world):
    docker = Docker(world.socket)
    assert docker.start("logs") == Begun(OURS, fresh=True)
    assert docker.start("logs") == Begun(OURS, fresh=False)
    world.docker.end(OURS, 7)
    assert docker.wait(OURS) == (7, "")
    for name in ("haproxy", THEIRS):
        with pytest.raises(RefusedError, match=f"{name} is neither a job that scheduler refers to nor the container"):
            docker.start(name)


@pytest.mark.parametrize("container", ["gone", "going"])
def test_a_job_that_is_being_replaced_is_told_from_one_that_is_not_its_own(world, container):
    """The file names the old container until the new one is there."""
    world.job("logs", **{**JOB, "container": container})
    with pytest.raises(GoneError, match=container):
        Docker(world.socket).start("logs")
    (world.jobs / "logs.json").unlink()
    with pytest.raises(GoneError, match="logs has no container that this server knows of"):
        Docker(world.socket).start("logs")


def test_a_docker_that_is_away_is_told_from_one_that_refuses(world):
    world.docker.shutdown()
    world.docker.server_close()
    with pytest.raises(UnreachableError, match="Docker does not answer"):
        Docker(world.socket).start(OURS)


def test_a_socket_that_nobody_made_is_unreachable(tmp_path):
    with pytest.raises(UnreachableError, match=r"nothing\.sock"):
        Docker(tmp_path / "nothing.sock").start(OURS)


def test_a_changed_job_is_started_by_its_name_and_the_container_of_before_is_refused(world):
    """So that whoever waited for a run of the old one is not told of the end of another."""
    world.job("logs", **{**JOB, "container": "logs-new"})
    for what in ("start", "wait"):
        assert world.send(request(f"POST /containers/{OURS}/{what} HTTP/1.1"))[0] == 403
    assert Docker(world.socket).start("logs") == Begun("logs-new", fresh=True)
    assert world.send(request("POST /containers/logs-new/start HTTP/1.1"))[0] == 304


def test_a_wait_that_is_under_way_hears_of_the_end_of_the_container_that_is_replaced(world):
    """Docker's own answer, though the job has another container by then."""
    docker, ends = Docker(world.socket), []
    docker.start("logs")
    waiting = threading.Thread(target=lambda: ends.append(docker.wait(OURS)))
    waiting.start()
    until(lambda: f"POST /containers/{OURS}/wait" in world.docker.asked, "it waits")
    world.job("logs", **{**JOB, "container": "logs-new"})
    world.docker.end(OURS, 143)
    waiting.join(20)
    assert ends == [(143, "")]


def test_a_job_that_is_called_as_another_s_container_is_itself(world):
    """Both are its own here; the name of a job is what was written."""
    world.grant("logs", OURS)
    world.job(OURS, **{**JOB, "container": "third"})
    assert Docker(world.socket).start(OURS).container == "third"


@pytest.mark.parametrize("name", ["logs", OURS])
@pytest.mark.parametrize("text", [None, "", "{", "[]", '{"jobs": [{}]}', '{"jobs": 1}', '{"jobs": "logs"}'])
def test_without_a_list_that_can_be_read_nothing_is_allowed(world, text, name):
    world.grant_file.unlink() if text is None else world.grant_file.write_text(text)
    assert world.send(request(f"POST /containers/{name}/start HTTP/1.1"))[0] == 403
    assert world.docker.asked == []


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"container": "x"}', "1"])
def test_a_job_whose_file_is_spoiled_is_not_started_and_others_are(world, text):
    (world.jobs / "spoiled.json").write_text(text)
    world.grant("spoiled", "logs")
    assert world.send(request("POST /containers/spoiled/start HTTP/1.1"))[0] == 404
    assert world.docker.asked == []
    assert world.send(request(f"POST /containers/{OURS}/start HTTP/1.1"))[0] == 204


# --- what does not

START = f"POST /containers/{OURS}/start HTTP/1.1"
OTHERS = [
    "POST /containers/create HTTP/1.1",
    "POST /v1.41/containers/create?name=x HTTP/1.1",
    f"POST /containers/{OURS}/exec HTTP/1.1",
    "POST /exec/0123456789ab/start HTTP/1.1",
    f"POST /containers/{THEIRS}/start HTTP/1.1",
    f"POST /containers/{THEIRS}/wait HTTP/1.1",
    "POST /containers/haproxy/start HTTP/1.1",
    "POST /containers/haproxy/wait HTTP/1.1",
    "POST /containers/logs/stop HTTP/1.1",
    "POST /containers/logs/exec HTTP/1.1",
    "GET /containers/logs/json HTTP/1.1",
    "DELETE /containers/logs HTTP/1.1",
    "POST /containers/LOGS/start HTTP/1.1",
    "POST /containers/log/start HTTP/1.1",
    "POST /containers/logs.json/start HTTP/1.1",
    "POST /containers/..jobs/start HTTP/1.1",
    "POST /containers/logs/../haproxy/start HTTP/1.1",
    "POST /containers/logs%2f../start HTTP/1.1",
    "POST /containers/logs/start?x=haproxy HTTP/1.1",
    "POST /containers/scheduler/start HTTP/1.1",
    *(
        f"POST /containers/{OURS}/{what} HTTP/1.1"
        for what in ("stop", "kill", "restart", "update", "rename", "attach", "archive", "resize", "pause", "")
    ),
    *(f"{verb} /containers/{OURS}/start HTTP/1.1" for verb in ("GET", "HEAD", "PUT", "DELETE", "PATCH", "OPTIONS")),
    *(f"{verb} /containers/{OURS}/start HTTP/1.1" for verb in ("CONNECT", "TRACE", "post", "Post", "POSTX", "")),
    *(
        f"GET {path} HTTP/1.1"
        for path in ("/", "/info", "/version", "/_ping", "/events", "/containers/json", "/images/json", "/volumes")
    ),
    f"GET /containers/{OURS}/json HTTP/1.1",
    f"GET /containers/{OURS}/logs?stdout=1 HTTP/1.1",
    f"DELETE /containers/{OURS} HTTP/1.1",
    # other spellings of a path
    f"POST //containers/{OURS}/start HTTP/1.1",
    f"POST /containers//{OURS}/start HTTP/1.1",
    f"POST /containers/{OURS}//start HTTP/1.1",
    f"POST /containers/{OURS}/start/ HTTP/1.1",
    f"POST /containers/{OURS}/../{THEIRS}/start HTTP/1.1",
    f"POST /containers/../containers/{OURS}/start HTTP/1.1",
    f"POST /v1.41/../containers/{OURS}/start HTTP/1.1",
    f"POST /./containers/{OURS}/start HTTP/1.1",
    "POST /containers/../start HTTP/1.1",
    f"POST /containers/{OURS}/..;/{THEIRS}/start HTTP/1.1",
    f"POST /containers/{OURS};x=1/start HTTP/1.1",
    f"POST /containers/%2e%2e/containers/{OURS}/start HTTP/1.1",
    f"POST /containers/{OURS}%2fstart HTTP/1.1",
    f"POST /containers/{OURS}/%73tart HTTP/1.1",
    f"POST /containers/{OURS.replace('l', '%6c')}/start HTTP/1.1",
    f"POST /containers/{OURS}%00/start HTTP/1.1",
    f"POST /containers/{OURS}\0/start HTTP/1.1",
    f"POST /containers/{OURS}\t/start HTTP/1.1",
    f"POST \\containers\\{OURS}\\start HTTP/1.1",
    f"POST /containers/{OURS}/start?signal=KILL HTTP/1.1",
    f"POST /containers/{OURS}/start?detachKeys=a HTTP/1.1",
    f"POST /containers/{OURS}/start? HTTP/1.1",
    f"POST /containers/{OURS}/wait?condition=removed HTTP/1.1",
    f"POST /containers/{OURS}/start#x HTTP/1.1",
    f"POST /Containers/{OURS}/start HTTP/1.1",
    f"POST /containers/{OURS.upper()}/start HTTP/1.1",
    f"POST /containers/{OURS[:6]}/start HTTP/1.1",
    "POST /containers/json/start HTTP/1.1",
    # versions of the API, absolute forms
    f"POST /v1/containers/{OURS}/start HTTP/1.1",
    f"POST /v2.0/containers/{OURS}/start HTTP/1.1",
    f"POST /v1.41.1/containers/{OURS}/start HTTP/1.1",
    f"POST /v1.41/v1.41/containers/{OURS}/start HTTP/1.1",
    f"POST /v1.9999/containers/{OURS}/start HTTP/1.1",
    f"POST http://docker/containers/{OURS}/start HTTP/1.1",
    f"POST docker/containers/{OURS}/start HTTP/1.1",
    "POST * HTTP/1.1",
    # versions of HTTP, blanks
    f"POST /containers/{OURS}/start HTTP/1.0",
    f"POST /containers/{OURS}/start HTTP/2.0",
    f"POST /containers/{OURS}/start HTTP/0.9",
    f"POST /containers/{OURS}/start",
    f"POST /containers/{OURS}/start HTTP/1.1 HTTP/1.1",
    f"POST  /containers/{OURS}/start HTTP/1.1",
    f" POST /containers/{OURS}/start HTTP/1.1",
    f"POST /containers/{OURS}/start  HTTP/1.1",
    f"POST /containers/{OURS}/start HTTP/1.1 ",
    f"\r\nPOST /containers/{OURS}/start HTTP/1.1",
    "PRI * HTTP/2.0",
    "",
]


@pytest.mark.parametrize("line", OTHERS)
def test_any_other_request_is_refused_and_never_reaches_docker(world, line):
    status, body = world.send(request(line))
    assert status in {400, 403}, body
    assert world.docker.asked == []


CREATE = "POST /containers/create HTTP/1.1\r\nHost: docker\r\nContent-Length: 2\r\n\r\n{}"
HEADERS = [
    # a second request inside the first
    (["Content-Length: 0", f"Content-Length: {len(CREATE)}"], CREATE),
    ([f"Content-Length: {len(CREATE)}", "Content-Length: 0"], CREATE),
    (["Content-Length: 0", "Content-Length: 0"], ""),
    (["Content-Length: 0, 5"], ""),
    (["Content-Length: +0"], ""),
    (["Content-Length: 00"], ""),
    (["Content-Length: -1"], ""),
    (["Content-Length: 0x0"], ""),
    (["Content-Length:"], ""),
    (["Content-Length: 2"], "{}"),
    (["Transfer-Encoding: chunked"], f"0\r\n\r\n{CREATE}"),
    (["Transfer-Encoding: chunked", "Content-Length: 0"], f"0\r\n\r\n{CREATE}"),
    (["transfer-encoding: identity"], ""),
    (["Transfer-Encoding : chunked"], ""),
    (["Content-Length: 0"], CREATE),
    (["Content-Length: 0"], "x"),
    # headers that are none
    (["Content-Length: 0", " Transfer-Encoding: chunked"], ""),
    (["Content-Length: 0\nTransfer-Encoding: chunked"], ""),
    (["Content-Length: 0\rTransfer-Encoding: chunked"], ""),
    (["Content-Length\0: 0"], ""),
    (["X: \0"], ""),
    (["X: \xff"], ""),
    (["no colon"], ""),
    ([": x"], ""),
    # another protocol
    (["Upgrade: tcp", "Connection: Upgrade"], ""),
    (["Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQAAP__", "Connection: Upgrade, HTTP2-Settings"], ""),
    (["Expect: 100-continue", "Content-Length: 2"], "{}"),
    (["Host: a", "Host: b"], ""),
    (["X: " + "y" * 9000], ""),
    ([f"X-{number}: y" for number in range(2000)], ""),
]


@pytest.mark.parametrize(("headers", "body"), HEADERS)
def test_no_header_and_no_body_carries_a_second_request(world, headers, body):
    status, text = world.send(request(START, *headers, body=body))
    assert status == 400, text
    assert world.docker.asked == []


@pytest.mark.parametrize(
    "raw",
    [
        START.replace("\r\n", "\n").encode() + b"\nHost: docker\n\n",
        START.encode() + b"\r\nHost: docker\r\n",
        START.encode(),
        b"",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"\0" * 100,
        b"A" * 20000,
    ],
)
def test_half_a_request_is_none(world, raw):
    status, _ = world.send(raw)
    assert status == 400
    assert world.docker.asked == []


def test_what_comes_after_the_answer_is_not_read(world):
    """A second request on the same connection, sent when the first has been answered."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.settimeout(10)
        client.connect(str(world.socket))
        client.sendall(request(START))
        assert client.recv(65536).startswith(b"HTTP/1.1 204")
        again = request(f"POST /containers/{THEIRS}/start HTTP/1.1")
        until(lambda: not sent(client, again), "nobody listens on this connection any more")
    until(lambda: len(world.docker.asked) >= 2, "the run is watched")
    assert not any(THEIRS in line for line in world.docker.asked)


def test_one_who_says_nothing_holds_up_nobody(world):
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as silent:
        silent.connect(str(world.socket))
        assert world.send(request(START))[0] == 204
        silent.settimeout(10)
        assert silent.recv(65536).startswith(b"HTTP/1.1 400"), "and is told so in the end"


def test_a_request_in_pieces_is_a_request(world):
    raw = request(START)
    assert world.send(raw[:10], raw[10:40], raw[40:])[0] == 204


def test_more_requests_than_it_has_room_for_are_turned_away_and_no_more(world):
    world.send(request(START))
    waiting = [
        threading.Thread(target=world.send, args=(request(f"POST /containers/{OURS}/wait HTTP/1.1"),))
        for _ in range(access_tool.CONNECTIONS)
    ]
    for thread in waiting:
        thread.start()
    until(lambda: len([line for line in world.docker.asked if line.endswith("wait")]) == len(waiting), "all wait")
    assert world.send(request(START))[0] == 503
    with pytest.raises(UnreachableError):
        Docker(world.socket).start(OURS)
    world.docker.end(OURS, 0)
    for thread in waiting:
        thread.join(20)
    until(lambda: world.send(request(START))[0] == 204, "there is room again")


def test_a_secret_of_the_job_is_in_no_answer(world):
    """Docker's own description of the container holds its environment."""
    for line in (START, f"POST /containers/{OURS}/wait HTTP/1.1"):
        if line.endswith("wait HTTP/1.1"):
            world.docker.end(OURS, 0)
        assert "hunter2" not in world.send(request(line))[1]


@given(st.binary(max_size=200))
def test_no_first_line_but_the_two_is_taken(line):
    try:
        container, what = access_tool.parse(line)
    except access_tool.RefusedError:
        return
    assert line.split(b"\r\n")[0].endswith(f"/containers/{container}/{what} HTTP/1.1".encode())


# --- time limits


def test_a_run_that_exceeds_its_time_limit_is_stopped_and_the_reason_told(world):
    world.docker.started_at = "2026-03-01T00:00:00.123456789Z"
    docker = Docker(world.socket)
    docker.start(OURS)
    assert docker.wait(OURS) == (137, "stopped, because it ran for more than 600 seconds")
    assert f"POST /containers/{OURS}/stop?t=7" in world.docker.asked
    world.docker.started_at = "2999-01-01T00:00:00Z"
    docker.start(OURS)
    world.docker.end(OURS, 0)
    assert docker.wait(OURS) == (0, ""), "the next run is another"


def test_a_run_within_its_time_limit_is_left_alone(world):
    Docker(world.socket).start(OURS)
    until(lambda: len([line for line in world.docker.asked if line.endswith("json")]) > 3, "it is watched")
    assert not any("stop" in line for line in world.docker.asked)
    world.docker.end(OURS, 0)


def test_a_run_that_somebody_started_anew_is_not_the_one_that_was_too_long(world):
    Docker(world.socket).start(OURS)
    until(lambda: len([line for line in world.docker.asked if line.endswith("json")]) > 1, "it is watched")
    world.docker.started_at = "2026-03-02T00:00:00Z"
    until(
        lambda: not any(thread.name == "watch logs" for thread in threading.enumerate()), "nobody watches it any more"
    )
    assert not any("stop" in line for line in world.docker.asked)


def test_a_restarted_service_watches_what_runs_already(world):
    world.docker.started_at = "2026-03-01T00:00:00Z"
    world.docker.ended[OURS] = threading.Event()
    access_tool.Limits("scheduler").resume()
    until(lambda: f"POST /containers/{OURS}/stop?t=7" in world.docker.asked, "it is stopped")


# --- granting


def test_what_is_written_holds_nothing_but_what_is_asked_for():
    assert json.loads(grant_tool.granted(json.dumps({"jobs": ["logs"], "y": 1}))) == {"jobs": ["logs"]}
    assert json.loads(grant_tool.known(json.dumps({**JOB, "more": "x"}))) == JOB


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "{}", '{"jobs": 1}', '{"jobs": "logs"}', '{"jobs": [1]}', '{"jobs": ["../x"]}', '{"jobs": [""]}'],
)
def test_a_grant_that_is_none_is_refused(text):
    with pytest.raises(grant_tool.BadGrantError):
        grant_tool.granted(text)


@pytest.mark.parametrize(
    "changed",
    [{"container": None}, {"container": 1}, {"container": ""}, {"container": "../x"}, {"container": "a/b"},
     {"container": "x\r\nX: y"}, {"seconds": "1"}, {"seconds": True}, {"grace": 1.5}, {"grace": None}],
)  # fmt: skip
def test_a_job_s_container_that_is_none_is_refused(changed):
    with pytest.raises(grant_tool.BadGrantError, match=next(iter(changed))):
        grant_tool.known(json.dumps({**JOB, **changed}))


def test_a_job_is_made_known_changed_and_forgotten_and_each_may_be_said_again(tmp_path, monkeypatch):
    monkeypatch.setattr(grant_tool, "JOBS", str(tmp_path))
    for container in (OURS, OURS, "logs-new"):
        monkeypatch.setattr("sys.stdin", io.StringIO(json.dumps({**JOB, "container": container})))
        assert grant_tool.main(["job", "logs"]) == 0
        assert json.loads((tmp_path / "logs.json").read_text()) == {**JOB, "container": container}
    for _ in range(2):
        assert grant_tool.main(["forget", "logs"]) == 0
        assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "words",
    [[], ["grant"], ["grant", "../x"], ["grant", "a@b"], ["grant", "-x"], ["drop", "x"], ["job", "../x"], ["forget"]],
)
def test_a_name_that_is_no_application_s_is_refused(words, capsys):
    assert grant_tool.main(words) == 2
    assert "apiary-access grant APPLICATION" in capsys.readouterr().err


def test_the_units_take_every_privilege_away():
    unit = (FILES / "apiary-docker-access@.service").read_text()
    for line in ("CapabilityBoundingSet=\n", "NoNewPrivileges=true", "ProtectSystem=strict", "PrivateNetwork=true"):
        assert line in unit
    assert "User=apiary-access" in unit
