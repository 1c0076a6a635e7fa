"""An application goes to another server with its volume, by one edit, and every visit that was confirmed is there then.

Each answer of the site (stacks/moves.yaml) says that the visit is on the disk, so that what is lost shows as a missing
row, and how long nobody was served as failures between two answers.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from signal import SIGKILL

import pytest

from lab.paths import CHECKOUT, Paths
from tests.lab.conftest import STACKS, _region
from tests.lab.hive import Hive, Load, until

SITE = "counter.example.net"
# Beside what visits add: what a copy may get wrong.
FILES = """\
set -e
cd /var/lib/docker/volumes/rows/_data
head -c 40000000 /dev/urandom >large; ln large same; ln -s large link; mkdir -m 750 folder; chown 1234:2345 folder
truncate -s 200M holes; touch -d '2020-02-02 02:02:02.123456789' large
"""
SUMS = """\
cd $(docker volume inspect --format '{{.Mountpoint}}' rows) && sha256sum large same holes | sort &&
stat -c '%n %a %u %g %h %Y %s' large same folder holes && readlink link && du -m holes
"""
COUNTER = """\
import datetime, http.server, os, signal, socket, threading

lock = threading.Lock()
try:
    number = sum(1 for _ in open("/rows/rows"))
except FileNotFoundError:
    number = 0
rows = open("/rows/rows", "a")


class Visit(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        global number
        if self.path == "/":
            with lock:
                number += 1
                rows.write(f"{number}\\n")
                rows.flush()
                os.fsync(rows.fileno())
        said = str(number).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(said)))
        self.end_headers()
        self.wfile.write(said)

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    address_family = socket.AF_INET6


server = Server(("::", 8080), Visit)
signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
server.serve_forever()
"""


@pytest.fixture(scope="module")
def moves(worker_id: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hive]:
    """The hive, up, with the site on web1."""
    for region in _region(f"test-{worker_id}-moves"):
        yield _counting(region, tmp_path_factory.mktemp("moves"))


def _counting(region: Paths, program: Path) -> Hive:
    found = Hive.copy_of_the_checkout(region, program, STACKS / "moves.yaml")
    folder = found.program / "images" / "Counter"
    folder.mkdir()
    (folder / "counter.py").write_text(COUNTER)
    # The first steps are Echo's, which the servers of a warm region have built.
    head = (CHECKOUT / "images" / "Echo" / "Dockerfile").read_text().partition("COPY ")[0]
    (folder / "Dockerfile").write_text(
        f'{head}COPY counter.py /usr/local/bin/\nENTRYPOINT ["python3", "-u", "/usr/local/bin/counter.py"]\n'
    )
    found.pulumi("stack", "select", "--create")
    found.up()
    return found


def move(hive: Hive, server: str) -> None:
    """The edit: where the site runs, and where its domain leads."""
    servers = hive.settings["apiary:servers"]
    for name in ("web1", "web2"):
        servers[name]["dns"]["web"] = [SITE] if name == server else []
    hive.settings["apiary:applications"]["counter"]["server"] = server


def rows(hive: Hive, server: str) -> int:
    """How many visits the volume has; every one whole and in order."""
    path = hive.on_server("docker volume inspect --format '{{.Mountpoint}}' rows", server=server).strip()
    lines = hive.on_server(f"cat {path}/rows", server=server).split()
    assert lines == [str(number) for number in range(1, len(lines) + 1)], "a row is missing or torn"
    return len(lines)


def running(hive: Hive, server: str) -> bool:
    label = "label=apiary.resource=applications.counter"
    return bool(hive.on_server(f"docker ps -q --filter {label}", server=server).split())


def served(hive: Hive) -> bool:
    return all(hive.get(f"http://{SITE}/healthz", family)[0] == 200 for family in ("-6", "-4"))


def expect_all_there(hive: Hive, load: Load, before: int, server: str, what: str) -> None:
    """Of all visits that were answered not one is lost; prints for how long nobody was served."""
    requests, failed = load.stop()
    confirmed = requests - len(failed)
    now = rows(hive, server)
    assert now >= before + confirmed, f"{before + confirmed - now} of {confirmed} confirmed visits are lost"
    assert confirmed > 20
    times = sorted(float(one.split()[0]) for one in failed)
    gap = times[-1] - times[0] if times else 0.0
    print(f"{what}: {confirmed} visits confirmed, all of them there; nobody was served for {gap:.1f} s")


@pytest.mark.soak
def test_a_move_that_is_killed_leaves_the_old_server_serving_and_the_same_verb_finishes_it(moves: Hive) -> None:
    hive = moves
    until(lambda: served(hive), 120, "the site is served")
    hive.on_server(FILES, server="web1")
    sums, before = hive.on_server(SUMS, server="web1"), rows(hive, "web1")
    load = hive.load(SITE)
    move(hive, "web2")
    # The first copy is made, and all that writes is about to stand still.
    hive.interrupt(["up", "--yes", "--skip-preview"], r"volume rows: copied in", [SIGKILL])
    hive.operations("heal")
    until(lambda: served(hive), 60, "the site is served by web2")
    expect_all_there(hive, load, before, "web2", "a move that was killed on its way, healed")
    assert hive.on_server(SUMS, server="web2") == sums
    assert not running(hive, "web1")
    assert running(hive, "web2")
    hive.expect_no_changes()


@pytest.mark.soak
def test_it_moves_back_and_what_was_left_there_is_put_aside(moves: Hive) -> None:
    hive = moves
    sums, before = hive.on_server(SUMS, server="web2"), rows(hive, "web2")
    load = hive.load(SITE)
    move(hive, "web1")
    done = hive.up()
    until(lambda: served(hive), 60, "the site is served by web1")
    expect_all_there(hive, load, before, "web1", "a move that nobody disturbed")
    assert "what was left here of it is in" in done.output
    assert hive.on_server(SUMS, server="web1") == sums
    # Kept, as the update says, until somebody removes it.
    assert rows(hive, "web2") >= before
    assert json.loads(hive.on_server("docker volume inspect rows", server="web2"))
    hive.expect_no_changes()


@pytest.mark.soak
def test_what_stands_still_runs_again_when_nobody_is_at_the_other_end_any_more(moves: Hive) -> None:
    """As when the operator's machine dies in the very moment: the old server goes on without being asked."""
    hive = moves
    before, container = rows(hive, "web1"), hive.container("counter", "web1")
    told = {"id": "a test", "to": "web2", "volumes": ["rows"], "containers": [container_id(hive, container)]}
    said = hive.server_command(
        "sh", "-c",
        f"(echo '{json.dumps(told)}'; n=0; "
        f"while [ -n \"$(docker ps -q --filter id={container})\" ] && [ $n -lt 300 ]; do "
        f"n=$((n + 1)); sleep 0.1; done; docker ps -q --filter id={container} | wc -l >/run/seen) | "
        "systemd-run --quiet --pipe --wait --collect /usr/local/sbin/apiary-carry hold",
        server="web1",
    )  # fmt: skip
    assert said.stdout.startswith("standing"), said.stderr
    assert "nobody is at the other end any more" in said.stderr
    assert hive.on_server("cat /run/seen", server="web1").strip() == "0", "it did not stand still"
    until(lambda: served(hive), 60, "the site is served again")
    assert rows(hive, "web1") >= before
    hive.expect_no_changes()


@pytest.mark.soak
def test_a_volume_that_somebody_else_uses_there_is_refused_and_nothing_stands_still(moves: Hive) -> None:
    hive = moves
    load = hive.load(SITE)
    hive.on_server("docker run -d --name stranger -v rows:/rows debian:bookworm-slim sleep infinity", server="web1")
    with hive.changed():
        move(hive, "web2")
        done = hive.pulumi("up", "--yes", "--skip-preview", check=False)
    hive.on_server("docker rm -f stranger", server="web1")
    assert done.status != 0
    assert "is used by the container stranger too" in done.output
    requests, failed = load.stop()
    assert requests > 20
    assert not failed
    hive.up()
    assert running(hive, "web1")


def container_id(hive: Hive, container: str) -> str:
    return hive.on_server(f"docker inspect --format '{{{{.Id}}}}' {container}", server="web1").strip()
