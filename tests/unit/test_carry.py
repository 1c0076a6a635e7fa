"""What is decided before a volume goes to another server, and the two hosts' part in it, cut off at any moment.

The hosts are folders, with a Docker that only remembers (fake_docker.py) and an rsync that only copies; `ssh` leads to
them. All else is the real thing, processes and pipes as well.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from operations import carry
from operations.carry import CarryError, Place, Step, Wish, plan

ROOT = Path(__file__).parents[2]
TOOL = ROOT / "playbooks" / "roles" / "tools" / "files" / "apiary-carry"
OLD, NEW = Place("web1", "i-1", "web1", ("-x",)), Place("web2", "i-2", "web2", ())
WISH = Wish(
    "apiary-test", ("applications.shop",), NEW, ("uploads",), (),
    {"applications.shop": "web2", "applications.worker": "web2", "applications.gallery": "web1"},
)  # fmt: skip


def user(name: str, *, writes: bool = True, stack: str = "apiary-test") -> dict[str, Any]:
    resource = f"applications.{name}" if stack else ""
    return {"id": f"id-{name}", "name": f"{name}-1", "resource": resource, "stack": stack, "writes": writes}


def seen(**change: Any) -> dict[str, Any]:
    """What is told of a volume that nobody has, and that holds something."""
    there = {"exists": True, "empty": False, "bytes": 1000, "received": 0, "free": 10**6}
    there |= {"users": [], "out": None, "in": None}
    return {"instance": "i-1", "time": 0.0, "there": {"uploads": {**there, **change}}}


EMPTY: dict[str, Any] = seen(empty=True)


def decided(old: dict[str, Any], new: dict[str, Any] = EMPTY) -> Step:
    (step,) = plan(WISH, OLD, old, new)
    return step


def refused(old: dict[str, Any], new: dict[str, Any] = EMPTY, wish: Wish = WISH) -> str:
    with pytest.raises(CarryError) as error:
        plan(wish, OLD, old, new)
    return str(error.value)


# What is decided


def test_all_that_write_to_it_stand_still_and_who_only_reads_goes_on() -> None:
    step = decided(seen(users=[user("shop"), user("worker"), user("reader", writes=False)]))
    assert (step.what, step.stop) == ("copy", ("id-shop", "id-worker"))


def test_who_shares_it_and_stays_is_named() -> None:
    said = refused(seen(users=[user("shop"), user("gallery")]))
    assert "volume uploads is used by gallery too, which is on web1: write server: web2 there as well" in said
    assert "shop stays on web1 as it was" in said
    assert "container stray-1 too" not in said
    assert "stray-1 too, which is no part of this stack" in refused(seen(users=[user("stray", stack="")]))


def test_who_is_taken_out_in_the_same_edit_is_in_nobody_s_way() -> None:
    assert decided(seen(users=[user("shop"), user("removed")])).stop == ("id-shop", "id-removed")


def test_nothing_is_written_over_data() -> None:
    assert "nothing is written over them" in refused(seen(users=[user("shop")]), seen())
    assert "which other uses" in refused(seen(), seen(empty=True, users=[user("other")]))


@pytest.mark.parametrize("known", [{"out": {"id": "a", "to": "web1"}}, {"in": {"id": "a", "state": "placed"}}])
def test_a_copy_or_what_has_left_may_be_put_aside(known: dict[str, Any]) -> None:
    assert decided(seen(users=[user("shop")]), seen(**known)).what == "copy"
    assert "uses" in refused(seen(users=[user("shop")]), seen(**known, users=[user("other")]))


def test_what_has_left_already_is_only_put_in_its_place() -> None:
    gone = {"id": "a", "to": "web2"}
    whole, placed, copying = ({"id": "a", "state": state} for state in ("whole", "placed", "copying"))
    assert decided(seen(out=gone), seen(**{"in": whole}, empty=True)) == Step("uploads", "place", id="a")
    assert decided(seen(out=gone), seen(**{"in": placed})).what == "nothing"
    # Of another move, or not whole: from the beginning.
    assert decided(seen(out=gone), seen(**{"in": {"id": "b", "state": "whole"}}, empty=True)).what == "copy"
    assert decided(seen(out=gone), seen(**{"in": copying}, empty=True)).what == "copy"


def test_a_move_that_was_taken_back_begins_anew() -> None:
    """Its container is there again, and has written since."""
    old = seen(out={"id": "a", "to": "web2"}, users=[user("shop")])
    for state in ("whole", "placed"):
        assert decided(old, seen(**{"in": {"id": "a", "state": state}})).what == "copy"


def test_a_rebuilt_server_has_nothing_that_could_be_carried() -> None:
    said = refused({**seen(), "instance": "i-9"})
    assert "Write server: web1 again" in said
    assert "For an empty start take shop out of the stack file" in said


def test_what_was_never_there_is_not_carried_and_an_empty_one_takes_nobody_s_place() -> None:
    assert decided(seen(exists=False, empty=True), seen()).what == "nothing"
    assert decided(EMPTY, seen()).what == "nothing"
    assert decided(EMPTY, EMPTY).what == "copy", "its owner and mode"


def test_too_little_room_is_said_before_anything_stands_still() -> None:
    assert "1000 B are to be carried, and web2 has room for 900 B" in refused(seen(), seen(empty=True, free=900))
    # What an attempt that was cut off has brought already is not needed again.
    assert decided(seen(), seen(empty=True, free=900, received=500)).what == "copy"


def test_a_folder_of_the_server_is_not_left_behind_in_silence() -> None:
    wish = Wish(WISH.stack, WISH.names, NEW, (), ("/srv/media",), {})

    def folder(*, empty: bool) -> dict[str, Any]:
        return {"instance": "i-1", "time": 0.0, "there": {"/srv/media": {"exists": True, "empty": empty}}}

    assert "copy it to web2 yourself" in refused(folder(empty=False), folder(empty=True), wish)
    assert plan(wish, OLD, folder(empty=False), folder(empty=False)) == []
    assert plan(wish, OLD, folder(empty=True), folder(empty=True)) == []


def test_what_was_printed_the_last_time_is_believed_where_it_says_something() -> None:
    told = {"server": "web1", "instance": "i-1", "host": "192.0.2.1", "ssh": ["-i", "key"]}
    assert carry.before(json.dumps(told)) == Place("web1", "i-1", "192.0.2.1", ("-i", "key"))
    for text in ("", "true", "{}", "[]", "not JSON"):
        assert carry.before(text) is None


# How it is done

RSYNC = """\
import os, select, shutil, subprocess, sys, tarfile, time
arguments = sys.argv[1:]
if arguments[0] == "--server":
    if os.path.exists(os.environ["HOSTS"] + "/cut"):
        sys.exit(12)
    with tarfile.open(fileobj=sys.stdout.buffer, mode="w|") as tar:
        tar.add(arguments[-1], arcname=".")
else:
    shell, folder = arguments[arguments.index("--rsh") + 1].split(), arguments[-1]
    words = [*shell, "other", "rsync", "--server", "--sender", "-logDtprAHXSe.LsfxCIvu", "--numeric-ids", ".", "/"]
    end, start = os.pipe()
    os.set_blocking(start, False)  # as rsync leaves it
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=start, close_fds=False) as other:
        # It writes more than is read. By its bytes a pipe may be full with fewer than it takes.
        while other.poll() is None and select.select([], [start], [], 0)[1]:
            time.sleep(0.01)
        os.close(start)
        data = open(end, "rb").read()
        other.stdin.close()
    if not data:
        sys.exit(12)
    for name in os.listdir(folder):
        path = os.path.join(folder, name)
        shutil.rmtree(path) if os.path.isdir(path) else os.unlink(path)
    with subprocess.Popen(["tar", "-x", "-C", folder], stdin=subprocess.PIPE) as tar:
        tar.communicate(data)
"""
SSH = """\
import os, sys
host, command = sys.argv[-2].removeprefix("root@"), sys.argv[-1]
hosts = os.environ["HOSTS"]
if os.path.exists(f"{hosts}/{host}/away"):
    sys.exit(255)
os.environ |= {"APIARY_CARRY": f"{hosts}/{host}/carry", "DOCKER_STATE": f"{hosts}/{host}/docker.json", "HOST": host}
command = command.replace("/usr/local/sbin/apiary-carry", os.environ["CARRY_TOOL"])
os.execvp("sh", ["sh", "-c", command.replace("/etc/apiary/instance", f"{hosts}/{host}/instance")])
"""
# Its process goes on when whoever asked for it does not; what ran before it is not done by itself here.
SYSTEMD_RUN = """\
import os, sys
words = [word for word in sys.argv[1:] if not word.startswith("--")]
os.execvp(words[0], words)
"""


@dataclass
class Hosts:
    """Two hosts, and the way to them."""

    root: Path
    environment: dict[str, str] = field(default_factory=dict)

    def docker(self, host: str) -> dict[str, Any]:
        return dict(json.loads((self.root / host / "docker.json").read_text()))

    def volume(self, host: str, name: str = "uploads") -> Path:
        return Path(self.docker(host)["volumes"][name])

    def files(self, host: str) -> dict[str, str]:
        return {path.name: path.read_text() for path in self.volume(host).iterdir()}

    def running(self, host: str) -> list[str]:
        return [one["Name"] for one in self.docker(host)["containers"] if one["State"]["Running"]]

    def add(self, host: str, name: str, *, running: bool = True) -> None:
        state = self.docker(host)
        state["containers"].append(
            {
                "Id": f"id-{name}", "Name": name, "Image": "i", "Created": "1",
                "State": {"Running": running, "StartedAt": "then"},
                "Config": {"Labels": {"apiary.stack": "apiary-test", "apiary.resource": f"applications.{name}"}},
                "Mounts": [{"Type": "volume", "Name": "uploads", "RW": True}],
            }
        )  # fmt: skip
        (self.root / host / "docker.json").write_text(json.dumps(state))

    def start(self, place: Place = NEW, before: Place | None = OLD, **environment: str) -> subprocess.Popen[str]:
        """The command as the engine runs it."""
        wish = {
            "stack": "apiary-test", "names": ["applications.shop"], "volumes": ["uploads"], "folders": [],
            "placed": {"applications.shop": place.server}, "here": vars(place),
        }  # fmt: skip
        told = {carry.BEFORE: json.dumps(vars(before))} if before else {}
        process = subprocess.Popen(
            [sys.executable, "-m", "operations.carry", "carry"], cwd=self.root, text=True,
            env={**self.environment, "PYTHONPATH": str(ROOT), **told, **environment},
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        assert process.stdin is not None
        process.stdin.write(json.dumps(wish))
        process.stdin.close()
        process.stdin = None
        return process

    def run(self, place: Place = NEW, before: Place | None = OLD, **environment: str) -> tuple[int, str, str]:
        """Status, what the engine keeps, what people read."""
        process = self.start(place, before, **environment)
        out, err = process.communicate(timeout=60)
        return process.returncode, out, err


@pytest.fixture
def hosts(tmp_path: Path) -> Hosts:
    """web1 with `shop` and its volume, web2 with an empty volume of that name."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for name, text in (("rsync", RSYNC), ("ssh", SSH), ("systemd-run", SYSTEMD_RUN)):
        (programs / name).write_text(f"#!{sys.executable}\n{text}")
    (programs / "docker").write_text(f'#!/bin/sh\nexec {sys.executable} {ROOT}/tests/unit/fake_docker.py "$@"\n')
    for program in programs.iterdir():
        program.chmod(0o755)
    # As on the hosts, but for the file that names the instance.
    tool = tmp_path / "apiary-carry"
    text = TOOL.read_text().replace(
        '"/etc/apiary/instance"', 'os.environ["HOSTS"] + "/" + os.environ["HOST"] + "/instance"'
    )
    tool.write_text(text.replace("#!/usr/bin/python3", f"#!{sys.executable}"))
    tool.chmod(0o755)
    for host, instance in (("web1", "i-1"), ("web2", "i-2")):
        files = tmp_path / host / "volumes" / "uploads" / "_data"
        files.mkdir(parents=True)
        (tmp_path / host / "instance").write_text(f"{instance}\n")
        state = {"containers": [], "volumes": {"uploads": str(files)}}
        (tmp_path / host / "docker.json").write_text(json.dumps(state))
    found = Hosts(
        tmp_path,
        {
            **os.environ, "PATH": f"{programs}:{os.environ['PATH']}", "HOSTS": str(tmp_path),
            "CARRY_TOOL": str(tool), "APIARY_CARRY_SILENCE": "20",
        },
    )  # fmt: skip
    found.add("web1", "shop")
    (found.volume("web1") / "a").write_text("1")
    return found


def test_a_volume_arrives_whole_and_its_container_is_gone_where_it_was(hosts: Hosts) -> None:
    (hosts.volume("web1") / "a").write_text("1" * 500000)
    status, kept, said = hosts.run()
    assert status == 0, said
    assert Place.of(json.loads(kept)) == NEW
    assert hosts.files("web2") == hosts.files("web1") == {"a": "1" * 500000}
    assert hosts.docker("web1")["containers"] == []
    assert "docker volume rm uploads, there" in said
    # Again, as after an interruption in the last moment: nothing is copied over what is there by now.
    (hosts.volume("web2") / "b").write_text("2")
    assert hosts.run()[0] == 0
    assert set(hosts.files("web2")) == {"a", "b"}


def test_where_nothing_moves_nobody_is_asked(hosts: Hosts) -> None:
    for host in ("web1", "web2"):
        (hosts.root / host / "away").touch()
    assert hosts.run(before=NEW)[0] == 0


def test_there_and_back_keeps_what_was_left_aside(hosts: Hosts) -> None:
    assert hosts.run()[0] == 0
    hosts.add("web2", "shop")
    (hosts.volume("web2") / "a").write_text("2")
    status, _, said = hosts.run(place=OLD, before=NEW)
    assert status == 0, said
    assert hosts.files("web1") == {"a": "2"}
    (aside,) = [path for path in hosts.volume("web1").parent.iterdir() if path.name.startswith("_data.")]
    assert (aside / "a").read_text() == "1"
    assert str(aside) in said


def test_data_that_nobody_knows_are_not_written_over(hosts: Hosts) -> None:
    (hosts.volume("web2") / "mine").write_text("x")
    status, _, said = hosts.run()
    assert status == 1
    assert "nothing is written over them" in said
    assert hosts.running("web1") == ["shop"]


def test_a_server_that_is_dead_gives_nobody_an_empty_start(hosts: Hosts) -> None:
    (hosts.root / "web1" / "away").touch()
    status, kept, said = hosts.run()
    assert (status, kept) == (1, "")
    assert "revive it first" in said


def test_a_copy_that_fails_leaves_the_old_server_serving(hosts: Hosts) -> None:
    (hosts.root / "cut").touch()
    status, _, said = hosts.run()
    assert status == 1
    assert "could not be copied" in said
    assert hosts.running("web1") == ["shop"]
    (hosts.root / "cut").unlink()
    assert hosts.run()[0] == 0


def test_without_a_word_of_the_last_time_its_container_is_looked_for(hosts: Hosts) -> None:
    """An update of the program and a move in one go."""
    others = json.dumps([vars(Place("web1", "", "web1", ()))])
    status, _, said = hosts.run(before=None, **{carry.OTHERS: others})
    assert status == 0, said
    assert hosts.files("web2") == {"a": "1"}


def test_a_new_container_is_looked_for_and_nothing_is_carried(hosts: Hosts) -> None:
    """One of the other servers was never made ready."""
    (hosts.root / "web1" / "instance").unlink()
    others = json.dumps([vars(Place("web1", "", "web1", ()))])
    assert hosts.run(before=None, **{carry.OTHERS: others})[0] == 0
    assert hosts.files("web2") == {}
    assert hosts.running("web1") == ["shop"]


@pytest.mark.parametrize("moment", ["copied in", "standing"])
def test_killed_on_its_way_the_old_server_serves_again_and_the_same_line_finishes_it(hosts: Hosts, moment: str) -> None:
    process = hosts.start()
    standing = hosts.root / "web1" / "carry" / "standing.json"
    deadline = time.monotonic() + 30
    if moment == "standing":
        while not standing.exists() and process.poll() is None:
            assert time.monotonic() < deadline
    else:
        assert process.stderr is not None
        for line in process.stderr:
            if moment in line:
                break
    process.send_signal(signal.SIGKILL)
    process.communicate()
    deadline = time.monotonic() + 30
    while standing.exists() or (hosts.docker("web1")["containers"] and hosts.running("web1") != ["shop"]):
        assert time.monotonic() < deadline, "it stands still for ever"
        time.sleep(0.05)
    if hosts.docker("web1")["containers"]:
        (hosts.volume("web1") / "a").write_text("written after it")
    before = hosts.files("web1")
    status, _, said = hosts.run()
    assert status == 0, said
    assert hosts.files("web2") == before
