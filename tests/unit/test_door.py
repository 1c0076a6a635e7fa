"""What a host does for the door of its proxy, with as much of Docker as is asked."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.unit.scripts import load

tool = load(Path(__file__).parents[2] / "playbooks" / "roles" / "door" / "files" / "apiary-door")

DOOR, OTHER = "d" * 64, "e" * 64


class Docker:
    """Containers by id; what is done to them is `done`."""

    def __init__(self, *made: dict[str, Any], images: dict[str, list[str]] | None = None) -> None:
        self.there = {one["Id"]: one for one in made}
        self.images = images or {}
        self.done: list[str] = []
        self.failing: list[str] = []

    def __call__(self, *arguments: str, seconds: float = 0) -> str:
        match arguments:
            case ["ps", *words]:
                filters = [word for word in words if "=" in word]
                return "\n".join(id_ for id_, one in self.there.items() if all(_has(one, f) for f in filters))
            case ["inspect", "--type", "container", id_]:
                return json.dumps([self.there[id_]])
            case ["image", "ls", "--quiet", *words]:
                return "\n".join(self.images.get(words[-1], []))
            case _:
                line = " ".join(arguments)
                self.done.append(line)
                if self.failing:
                    raise tool.DoorError(self.failing.pop())
                return ""


def _has(one: dict[str, Any], wanted: str) -> bool:
    kind, _, what = wanted.partition("=")
    if kind == "status":
        return one["State"]["Running"] is (what == "running")
    key, has_value, value = what.partition("=")
    labels = one["Config"]["Labels"]
    return key in labels and (not has_value or labels[key] == value)


def container(
    id_: str, resource: str, joins: str = "", *, pid: int = 0, error: str = "", **labels: str
) -> dict[str, Any]:
    """As `docker inspect` has it; without a `pid` it does not run."""
    return {
        "Id": id_,
        "Name": f"/{id_[:4]}",
        "Config": {"Labels": {"apiary.resource": f"applications.{resource}", **labels}},
        "HostConfig": {"NetworkMode": f"container:{joins}" if joins else "default"},
        "State": {"Running": pid > 0, "Pid": pid, "Error": error},
    }


def door(id_: str = DOOR, pid: int = 1) -> dict[str, Any]:
    return container(id_, "haproxy-door", pid=pid, **{"apiary.door": "haproxy"})


@pytest.fixture
def proc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Which network a process is in."""
    monkeypatch.setattr(tool, "PROC", str(tmp_path))

    def told(**networks: str) -> None:
        for pid, network in networks.items():
            folder = tmp_path / pid.removeprefix("p") / "ns"
            folder.mkdir(parents=True)
            (folder / "net").symlink_to(network)

    return told


def use(docker: Docker, monkeypatch: pytest.MonkeyPatch) -> Docker:
    monkeypatch.setattr(tool, "docker", docker)
    return docker


def test_the_door_s_image_is_the_proxy_s_first_one_and_stays_so(monkeypatch):
    titled = f"label={tool.TITLE}"
    docker = use(Docker(images={titled: ["sha256:new", "sha256:old"]}), monkeypatch)
    assert tool.main(["prepare", "haproxy"]) == 0
    assert docker.done == ["image tag sha256:new apiary/door:1"]
    docker.images["apiary/door:1"], docker.done = ["sha256:new"], []
    assert tool.main(["prepare", "haproxy"]) == 0
    assert docker.done == []


def test_without_an_image_it_says_what_to_do(monkeypatch, capsys):
    use(Docker(), monkeypatch)
    assert tool.main(["prepare", "haproxy"]) == 1
    assert "say pulumi up again" in capsys.readouterr().err


def test_who_has_the_addresses_itself_makes_way_and_nobody_else(monkeypatch, capsys):
    made = [container("a" * 64, "haproxy", pid=1), container("b" * 64, "haproxy", DOOR, pid=2)]
    made += [container("c" * 64, "haproxy"), container("f" * 64, "site", pid=3), door()]
    docker = use(Docker(*made, images={tool.IMAGE: ["sha256:1"]}), monkeypatch)
    assert tool.main(["prepare", "haproxy"]) == 0
    assert docker.done == [f"stop {'a' * 64}"]
    assert "its addresses and ports are the door's from now on" in capsys.readouterr().out


def test_those_beside_a_new_one_in_its_network_are_stopped_in_their_time(monkeypatch):
    new = container("a" * 64, "haproxy", DOOR, pid=1)
    made = [container("b" * 64, "haproxy", DOOR, pid=2), container("c" * 64, "haproxy", OTHER, pid=3)]
    made += [container("1" * 64, "haproxy", DOOR), container("f" * 64, "site", pid=4), door()]
    docker = use(Docker(new, *made), monkeypatch)
    assert tool.main(["handover", new["Id"], "--limit", "60"]) == 0
    assert docker.done == [f"stop --time 60 {'b' * 64}"]


def test_a_container_with_a_network_of_its_own_hands_nothing_over(monkeypatch):
    made = [container("a" * 64, "haproxy", pid=1), container("b" * 64, "haproxy", pid=2)]
    docker = use(Docker(*made), monkeypatch)
    assert tool.main(["handover", "a" * 64]) == 0
    assert docker.done == []


def test_who_could_not_join_its_door_is_started_and_who_was_stopped_is_not(monkeypatch, proc):
    proc(p1="net:[1]")
    failed = container("a" * 64, "haproxy", DOOR, error="cannot join network of a non running container")
    docker = use(Docker(door(), failed, container("b" * 64, "haproxy", DOOR)), monkeypatch)
    tool.look()
    assert docker.done == [f"start {'a' * 64}"]


def test_who_is_in_the_network_of_before_is_restarted(monkeypatch, proc):
    proc(p1="net:[2]", p2="net:[1]", p3="net:[2]")
    old, there = container("a" * 64, "haproxy", DOOR, pid=2), container("b" * 64, "haproxy", DOOR, pid=3)
    docker = use(Docker(door(), old, there), monkeypatch)
    tool.look()
    assert docker.done == [f"restart --time 5 {'a' * 64}"]


@pytest.mark.parametrize("made", [[door(pid=0)], [], [door(OTHER)]])
def test_without_its_door_nobody_is_touched(monkeypatch, proc, made):
    proc(p1="net:[1]", p2="net:[2]")
    docker = use(Docker(*made, container("a" * 64, "haproxy", DOOR, pid=2, error="x")), monkeypatch)
    tool.look()
    assert docker.done == []


def test_what_fails_is_tried_again_when_a_door_starts(monkeypatch, proc):
    proc(p1="net:[1]")
    failed = container("a" * 64, "haproxy", DOOR, error="cannot join network of a non running container")
    docker = use(Docker(door(), failed), monkeypatch)
    docker.failing = ["docker start: no"]
    monkeypatch.setattr(tool, "heard", lambda: iter([None]))
    monkeypatch.setattr(tool, "PAUSE_SECONDS", 0)
    tool.keep()
    assert docker.done == [f"start {'a' * 64}"] * 2
