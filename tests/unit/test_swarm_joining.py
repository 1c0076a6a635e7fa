"""The scripts by which a server joins and leaves a swarm, run with an `ssh` that stands for all servers."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from components.swarm import ASK, JOIN, LEAVE, PATIENT

SERVERS = ("web1", "web2", "web3")
MEMBERS = " ".join(f"{server}=manager:active" for server in SERVERS)
WORDS: dict[str, str] = {"first": "web1", "pool": "10.201.0.0/18"}

# Each server's part is a file of JSON: what it says of itself, whether it is up. Every call is a line of the log.
SSH = """\
#!/usr/bin/env python3
import json, pathlib, sys
root = pathlib.Path(__file__).parent
at = next(i for i, word in enumerate(sys.argv) if word.startswith("root@"))
server, words = sys.argv[at].removeprefix("root@"), sys.argv[at + 1:]
file = root / f"{server}.json"
me = json.loads(file.read_text())
with open(root / "log", "a") as log:
    log.write(" ".join([server, *words]) + "\\n")
if not me["up"]:
    print("ssh: no route to host", file=sys.stderr)
    sys.exit(255)
if words == ["cat", "/etc/apiary/instance"]:
    print(me["instance"])
    sys.exit()
verb = words[1]
if verb == "decides":
    sys.exit(me.get("decides", 0 if me["state"].startswith("manager") else 3))
if verb == "has":
    if not me["state"].startswith("manager"):
        sys.exit(3)
    sys.exit(me.get("decides") or (4 if words[2] in me.get("strangers", []) else 0))
if verb == "state":
    print(me["state"])
elif verb == "invite":
    if not me["state"].startswith("manager"):
        sys.exit(3)
    print(json.dumps({"token": "SWMTKN", "address": server}))
elif verb in ("init", "join"):
    if verb == "join":
        assert json.load(sys.stdin)["token"] == "SWMTKN"
    me["state"] = f"{'manager' if verb == 'init' else me['role']} id-of-{server}"
    file.write_text(json.dumps(me))
elif verb in ("known", "dismiss"):
    sys.exit(0 if me["state"].startswith("manager") else 3)
elif verb == "cluster":
    print("number-of-the-swarm")
elif verb == "leave":
    if not me.get("leave"):
        me["state"] = "none"
        file.write_text(json.dumps(me))
    sys.exit(me.get("leave", 0))
"""


class Region:
    """Servers that answer, or do not."""

    def __init__(self, root: Path) -> None:
        self.root = root
        (root / "ssh").write_text(SSH)
        (root / "ssh").chmod(0o755)
        for server in SERVERS:
            self.set(server, up=True, state="none", role="manager", instance=f"instance-of-{server}")

    def set(self, server: str, **more: Any) -> None:
        file = self.root / f"{server}.json"
        file.write_text(json.dumps({**(json.loads(file.read_text()) if file.exists() else {}), **more}))

    def run(self, script: str, server: str, **more: str) -> subprocess.CompletedProcess[str]:
        others = [other for other in SERVERS if other != server]
        asking = "".join(ASK.format(name=one, patience=PATIENT, options="-i key", host=one) for one in SERVERS)
        words = {
            "own": server, "name": server, "role": "manager", "others": " ".join(others), "address": "192.168.150.11",
            "members": MEMBERS, "managers": " ".join(SERVERS),
            "instance": f"instance-of-{server}", "ssh": f"ssh -T root@{server}",
        }  # fmt: skip
        return subprocess.run(
            ["/bin/sh", "-c", script.format(asking=asking, **WORDS, **{**words, **more})],
            env={**os.environ, "PATH": f"{self.root}:{os.environ['PATH']}"},
            capture_output=True,
            text=True,
            check=False,
        )

    def log(self) -> list[str]:
        return (self.root / "log").read_text().splitlines()


@pytest.fixture
def region(tmp_path: Path) -> Region:
    return Region(tmp_path)


def test_the_first_manager_begins_where_nobody_has_a_swarm_and_the_others_join_it(region: Region) -> None:
    begun = region.run(JOIN, "web1")
    assert (begun.returncode, begun.stdout) == (0, "number-of-the-swarm\n"), begun.stderr
    assert "web1 apiary-swarm init 192.168.150.11 10.201.0.0/18" in region.log()
    joined = region.run(JOIN, "web2")
    assert joined.returncode == 0, joined.stderr
    assert f"web1 apiary-swarm known web2 id-of-web2 {MEMBERS}" in region.log()
    assert "SWMTKN" not in "".join([*region.log(), joined.stdout, joined.stderr])


def test_who_is_in_it_already_is_let_be(region: Region) -> None:
    for server in ("web1", "web2"):
        region.set(server, state=f"manager id-of-{server}")
    assert region.run(JOIN, "web2").returncode == 0
    assert not any(" join " in line or " init " in line or " invite " in line for line in region.log())


def test_who_is_of_a_swarm_that_is_no_more_leaves_it_and_joins(region: Region) -> None:
    """The only manager is back on a new disk: it has begun another swarm."""
    region.set("web1", state="manager id-of-web1", strangers=["old-id-of-web2"])
    region.set("web2", state="worker old-id-of-web2", role="worker")
    done = region.run(JOIN, "web2", role="worker", others="web1", managers="web1")
    assert done.returncode == 0, done.stderr
    log = region.log()
    assert log.index("web2 apiary-swarm leave") < log.index("web2 apiary-swarm join 192.168.150.11")
    assert f"web1 apiary-swarm known web2 id-of-web2 {MEMBERS}" in log


@pytest.mark.parametrize(
    ("server", "first"),
    [
        (
            {"state": "manager id-of-web2"},
            {"strangers": ["id-of-web2"]},
        ),  # it decides: it may be the other one that is wrong
        ({"state": "worker id-of-web2"}, {"strangers": []}),
        ({"state": "worker id-of-web2"}, {"decides": 1}),  # who has no majority does not know
        ({"state": "worker id-of-web2"}, {"up": False}),
    ],
)
def test_nobody_leaves_a_swarm_that_may_be_there(region: Region, server: dict[str, Any], first: dict[str, Any]) -> None:
    region.set("web1", state="manager id-of-web1", **first)
    region.set("web2", **server)
    region.run(JOIN, "web2", others="web1", managers="web1")
    assert not any(" leave" in line for line in region.log())


def test_the_first_manager_on_a_new_disk_joins_the_others_and_begins_no_second_swarm(region: Region) -> None:
    region.set("web3", state="manager id-of-web3")
    region.set("web2", up=False)
    done = region.run(JOIN, "web1")
    assert done.returncode == 0, done.stderr
    assert not any(" init " in line for line in region.log())
    assert f"web1 apiary-swarm known web1 id-of-web1 {MEMBERS}" in region.log()


def test_no_swarm_is_begun_while_a_manager_cant_be_asked(region: Region) -> None:
    region.set("web2", up=False)
    done = region.run(JOIN, "web1")
    assert done.returncode == 1
    assert "of web2 it is not known whether they have a swarm" in done.stderr
    assert "make revive" in done.stderr
    assert not any(" init " in line for line in region.log())


def test_another_than_the_first_begins_none(region: Region) -> None:
    done = region.run(JOIN, "web3")
    assert done.returncode == 1
    assert "web1 comes first" in done.stderr


def test_where_no_manager_decides_each_of_them_is_named(region: Region) -> None:
    """One by another's hand is none any more, say."""
    region.set("web2", state="worker id-of-web2")
    done = region.run(JOIN, "web2", others="web1", managers="web1 web2")
    assert done.returncode == 1
    assert [line.split()[0] for line in done.stderr.splitlines()] == ["web1", "web2", "no"]


def test_who_leaves_is_dismissed_first_and_the_one_in_its_place_is_not(region: Region) -> None:
    for server in SERVERS:
        region.set(server, state=f"manager id-of-{server}")
    assert region.run(LEAVE, "web3").returncode == 0
    log = region.log()
    assert log.index("web1 apiary-swarm dismiss web3") < log.index("web3 apiary-swarm leave")
    (region.root / "log").unlink()
    assert region.run(LEAVE, "web3", instance="one-that-is-gone").returncode == 0
    assert region.log() == ["web3 cat /etc/apiary/instance"]


@pytest.mark.parametrize(("status", "ended"), [(1, 1), (127, 0)])
def test_a_server_that_lives_has_left_or_says_why_not(region: Region, status: int, ended: int) -> None:
    for server in SERVERS:
        region.set(server, state=f"manager id-of-{server}")
    region.set("web3", leave=status)
    assert region.run(LEAVE, "web3").returncode == ended


def test_of_a_dead_server_the_others_forget(region: Region) -> None:
    region.set("web1", state="manager id-of-web1")
    region.set("web3", up=False)
    assert region.run(LEAVE, "web3").returncode == 0
    assert "web1 apiary-swarm dismiss web3" in region.log()
