"""`make status` never hangs, leaves nothing running, and says of what is silent that it is, whatever it asks."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from operations import __main__, cli
from operations.processes import read
from tests.unit.test_status import STATE, URN

SECONDS = 2.0
SPARE = 5.0  # of a loaded machine
KEY = f"{URN}apiary:host:Access$tls:index/privateKey:PrivateKey::access"
EXPORT = {
    "deployment": {
        "resources": [
            *STATE["deployment"]["resources"],
            {"urn": KEY, "type": "tls:index/privateKey:PrivateKey", "id": "k",
             "outputs": {"privateKeyOpenssh": {"plaintext": '"a key"'}}},
        ]
    }
}  # fmt: skip
CONTAINERS = [
    {"id": one["id"], "name": one["urn"].rpartition("::")[2], "resource": "", "status": "exited", "exit_code": 0,
     "out_of_memory": False, "health": None, "restarts": 0, "error": "", "started": 1, "finished": 1}
    for one in STATE["deployment"]["resources"] if one["type"].endswith("Container")
]  # fmt: skip
HUNG = 'setsid sleep 300 & echo $! > "$(dirname "$0")/left"; wait'


class Place:
    """A program's folder, and the commands that it finds on PATH, each a shell script."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "Pulumi.yaml").write_text("name: apiary\n")
        self.facts = {
            "time": time.time() + 1, "uptime": 9e5, "cpus": 64, "load": [0, 0, 0],
            "memory": {"total": 9, "available": 8}, "file_systems": [], "reboot": None, "failed_units": [],
            "containers": [{**one, "status": "running"} if one["name"] == "shop" else one for one in CONTAINERS],
            "schedule": {}, "backups": None, "problems": {},
        }  # fmt: skip
        self.command("ssh", f"cat <<'END'\n{json.dumps(self.facts)}\nEND")
        self.visitor("print(0)")
        self.pulumi('echo \'{"steps": [], "changeSummary": {"same": 9}}\'')

    def command(self, name: str, script: str) -> None:
        (self.folder / name).write_text(f"#!/bin/sh\n{script}\n")
        (self.folder / name).chmod(0o755)

    def pulumi(self, refresh: str, export: str | None = None) -> None:
        state = export or f"cat <<'END'\n{json.dumps(EXPORT)}\nEND"
        self.command("pulumi", f"case $1 in refresh)\n{refresh}\n;; stack)\n{state}\n;; *) exit 9;; esac")

    def visitor(self, main: str) -> None:
        """What runs where visitors are, in place of what is said to it; the last line of that is `main(TOLD)`."""
        visits = "\n".join(
            json.dumps({"domain": "shop.example.com", "family": family, "asked": "ns1", "addresses": [address],
                        "status": 200, "ms": 5, "certificate": {"begins": 0, "ends": 9e9}, "distrust": None,
                        "error": None, "nowhere": False, "no_route": False})
            for family, address in (("IPv6", "2001:db8::a"), ("IPv4", "192.0.2.1"))
        )  # fmt: skip
        self.command(
            "elsewhere", f"cat > {self.folder}/said\n" + (f"cat <<'END'\n{visits}\nEND" if main == "print(0)" else main)
        )

    def left(self) -> bool:
        """Whether what hung is still there when it has had time to die."""
        pid, deadline = int((self.folder / "left").read_text()), time.monotonic() + SPARE
        while read(pid) and time.monotonic() < deadline:
            time.sleep(0.02)
        return read(pid) is not None


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    monkeypatch.setattr(cli, "PROGRAM", tmp_path)
    for module in ("operations.status.asking", "operations.hosts"):
        monkeypatch.setattr(f"{module}.PROGRAM", tmp_path)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setenv("APIARY_VISITOR", f"{tmp_path}/elsewhere")
    return Place(tmp_path)


@pytest.fixture
def status(capsys: pytest.CaptureFixture[str]) -> Callable[[], tuple[int, str]]:
    def run() -> tuple[int, str]:
        began = time.monotonic()
        ended = __main__.main(["status", "--stack", "prod", "--seconds", str(SECONDS)])
        assert time.monotonic() - began < SECONDS + SPARE
        said = capsys.readouterr()
        return ended, said.out + said.err

    return run


def test_all_is_asked_at_once_and_where_all_is_well_the_status_is_0(
    place: Place, status: Callable[[], tuple[int, str]]
) -> None:
    ended, said = status()
    assert "prod: all is well" in said
    assert ended == 0
    key = place.folder / ".apiary" / "prod" / "id_ed25519"
    assert (key.read_text(), key.stat().st_mode & 0o777) == ("a key", 0o600)
    assert "shop.example.com" in (place.folder / "said").read_text().splitlines()[-1]


def test_an_engine_that_hangs_is_given_up_with_all_that_it_has_started(
    place: Place, status: Callable[[], tuple[int, str]]
) -> None:
    place.pulumi(HUNG)
    ended, said = status()
    assert "what has drifted is not known: no end of `pulumi refresh --preview-only` in time" in said
    assert (ended, place.left()) == (1, False)


def test_an_engine_that_fails_is_told_with_its_own_words(place: Place, status: Callable[[], tuple[int, str]]) -> None:
    said = json.dumps({"diagnostics": [{"severity": "error", "message": "401: the key\nis wrong"}]})
    place.pulumi(f"cat <<'END'\n{said}\nEND\nexit 255")
    ended, said = status()
    assert "what has drifted is not known: 401: the key is wrong" in said
    assert ended == 1


def test_a_server_that_hangs_is_given_up(place: Place, status: Callable[[], tuple[int, str]]) -> None:
    place.command("ssh", "exec sleep 300")
    ended, said = status()
    assert "server web1: lets nobody in from here (no end after" in said
    assert ended == 1


@pytest.mark.parametrize(
    ("script", "says"),
    [
        ("echo ssh: connect to host: No route to host >&2; exit 255", "(ssh: connect to host: No route to host)"),
        ("echo 'root@192.0.2.1: Permission denied (publickey).' >&2; exit 255", "answers, and does not let us in"),
        ("echo sh: apiary-status: not found >&2; exit 127", "its tools are older than this checkout"),
        (
            "echo boom >&2; exit 1",
            "does not tell how it is: server web1: `apiary-status apiary-prod` ended with status 1",
        ),
        ("echo '{'", "does not tell how it is"),
    ],
)
def test_a_server_that_tells_nothing_is_told_with_the_reason(
    place: Place, status: Callable[[], tuple[int, str]], script: str, says: str
) -> None:
    place.command("ssh", script)
    ended, said = status()
    assert f"server web1: {says}" in said or says in said
    assert ended == 1


@pytest.mark.parametrize(
    ("script", "says"),
    [
        (HUNG, "nothing came back from `"),
        ("echo python3: not found >&2; exit 127", "python3: not found"),
        ("echo no json", "Expecting value"),
    ],
)
def test_visits_that_do_not_come_about_are_told_with_the_reason(
    place: Place, status: Callable[[], tuple[int, str]], script: str, says: str
) -> None:
    place.visitor(script)
    ended, said = status()
    assert "site shop.example.com: no answer (" in said
    assert says in said
    assert ended == 1
    assert script is not HUNG or not place.left()


def test_a_visitor_that_is_not_there_is_told(
    place: Place, status: Callable[[], tuple[int, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("APIARY_VISITOR", "nobody-here")
    assert "can't be started" in status()[1]
    assert os.path.isdir(place.folder)


def test_without_a_state_nothing_can_be_told_and_the_status_is_2(
    place: Place, status: Callable[[], tuple[int, str]]
) -> None:
    place.pulumi("", 'case $2 in ls) echo \'[{"name": "lab"}]\';; *) echo no stack >&2; exit 1;; esac')
    ended, said = status()
    assert "there is no stack 'prod'; there are: lab" in said
    assert ended == 2


def test_a_stack_of_an_organisation_is_known_by_its_own_name() -> None:
    pulumi = cli.Pulumi("us/apiary/prod")
    assert (pulumi.name, pulumi.tag) == ("prod", "apiary-prod")
