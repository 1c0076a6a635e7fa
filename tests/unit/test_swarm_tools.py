"""apiary-swarm and apiary-replicas, with Docker's answers as they come."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from tests.unit.scripts import load
from tests.unit.test_playbook_tools import VARIABLES, ufw_rules, variables

TOOLS = Path(__file__).parents[2] / "playbooks" / "roles" / "swarm" / "files"
os.environ["APIARY_LIB"] = str(TOOLS)
load(TOOLS.parents[1] / "tools" / "files" / "apiary_proxy.py")
nodes_module = load(TOOLS / "apiary_nodes.py")
nearest = load(TOOLS / "apiary_nearest.py")
load(TOOLS / "apiary_certificates.py")
leader_module = load(TOOLS / "apiary_leader.py")
keep_module = load(TOOLS / "apiary_keep.py")
load(TOOLS / "apiary_kernel.py")
again = load(TOOLS / "apiary_again.py")
visited_module = load(TOOLS / "apiary_visited.py")
manager_module = load(TOOLS / "apiary_manager.py")
swarm_tool = load(TOOLS / "apiary-swarm")
replicas_tool = load(TOOLS / "apiary-replicas")

MANAGER = {"LocalNodeState": "active", "ControlAvailable": True, "NodeID": "n1", "NodeAddr": "192.168.150.11"}


class Turns(list[Any]):
    """One answer after the other."""


class Docker:
    """Answers `docker ...`; what it has no answer to is an error."""

    def __init__(self, **answers: Any) -> None:
        self.answers = answers
        self.asked: list[tuple[str, ...]] = []

    def __call__(self, *words: str, stdin: str | None = None) -> str:
        self.asked.append(words)
        answer = self.answers.get("_".join(words[:2]).replace("-", "_"), "")
        if isinstance(answer, Turns):
            answer = answer.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer if isinstance(answer, str) else json.dumps(answer)

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        self.asked.append((method, path))
        return self.answers.get(path.split("?", maxsplit=1)[0])

    def told(self, *words: str) -> list[tuple[str, ...]]:
        return [one for one in self.asked if one[: len(words)] == words]


@pytest.fixture
def docker(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Docker:
    made = Docker(info___format=MANAGER)
    monkeypatch.setattr(again, "FOLDER", tmp_path / "releases")
    for module in (nodes_module, manager_module, leader_module, keep_module, swarm_tool, replicas_tool, nearest, again):
        monkeypatch.setattr(module, "docker", made, raising=False)
        monkeypatch.setattr(module, "ask", made.ask, raising=False)
    monkeypatch.setattr(visited_module, "admin_socket", lambda: None)
    monkeypatch.setattr(replicas_tool, "AWAIT_SECONDS", 0)
    monkeypatch.setattr(replicas_tool, "SETTLE_SECONDS", 0)
    for name in ("DEMOTED_LOOK_SECONDS", "ELECTED_LOOK_SECONDS", "ELECTED_SECONDS", "RECOVERED_SECONDS"):
        monkeypatch.setattr(manager_module, name, 0)
    return made


def node(id: str, name: str, role: str = "manager", availability: str = "active") -> dict[str, Any]:
    return {
        "ID": id,
        "Spec": {"Role": role, "Availability": availability, "Labels": {"apiary.server": name}},
        **({"ManagerStatus": {"Reachability": "reachable"}} if role == "manager" else {}),
    }


@pytest.mark.parametrize(
    ("swarm", "state"),
    [
        ({"LocalNodeState": "inactive"}, "none"),
        (MANAGER, "manager n1"),
        ({"LocalNodeState": "active", "ControlAvailable": False, "NodeID": "n2"}, "worker n2"),
        ({"LocalNodeState": "pending", "NodeID": "n3"}, "worker n3"),
    ],
)
def test_what_a_server_is(docker: Docker, capsys: pytest.CaptureFixture[str], swarm: Any, state: str) -> None:
    docker.answers["info___format"] = swarm
    assert swarm_tool.main(["state"]) == 0
    assert capsys.readouterr().out.strip() == state


def test_only_a_manager_invites_and_who_is_none_says_so_by_its_status(docker: Docker) -> None:
    for swarm in ({"LocalNodeState": "inactive"}, {"LocalNodeState": "active", "NodeID": "n2"}):
        docker.answers["info___format"] = swarm
        assert swarm_tool.main(["invite", "web2", "worker"]) == swarm_tool.NO_SWARM
        assert not docker.told("swarm")


def test_a_server_that_comes_back_takes_the_place_of_what_had_its_name(
    docker: Docker, capsys: pytest.CaptureFixture[str]
) -> None:
    docker.answers |= {
        "node_ls": "n1 n2 n3", "swarm_join_token": "SWMTKN-1-secret\n",
        "node_inspect": [node("n1", "web1"), node("n2", "web2"), node("n3", "web3", "worker")],
    }  # fmt: skip
    assert swarm_tool.main(["invite", "web2", "manager"]) == 0
    assert json.loads(capsys.readouterr().out) == {"token": "SWMTKN-1-secret", "address": "192.168.150.11:2377"}
    assert docker.told("node", "demote") == [("node", "demote", "n2")]
    assert docker.told("node", "rm") == [("node", "rm", "--force", "n2")]
    assert docker.asked.index(("node", "demote", "n2")) < docker.asked.index(("node", "rm", "--force", "n2"))


def test_a_node_has_its_servers_name_and_each_its_role_and_gets_replicas_or_not(docker: Docker) -> None:
    demoted = node("n2", "web2", "worker", "pause")
    docker.answers |= {
        "node_ls": "n1 n2 n3",
        "node_inspect": Turns(
            [
                json.dumps([node("n1", "web1"), node("n2", "web2"), node("n3", "web3", "worker")]),
                json.dumps([{**demoted, "ManagerStatus": {"Reachability": "reachable"}}]),
                json.dumps([demoted]),
            ]
        ),
    }
    members = ["web1=manager:active", "web2=worker:pause", "web3=worker:active"]
    assert swarm_tool.main(["known", "web2", "n2", *members]) == 0
    assert docker.told("node", "update") == [
        ("node", "update", "--label-add", "apiary.server=web2", "n2"),
        ("node", "update", "--availability", "pause", "--role", "worker", "n2"),
    ]
    assert docker.answers["node_inspect"] == [], "it waits until the managers count it no more"


def test_who_is_about_to_leave_gets_no_replica_keeps_what_it_has_and_decides_nothing(docker: Docker) -> None:
    """Drained, it would lose all replicas at once; a manager would take the majority along as its server ends."""
    stranger = {"ID": "n4", "Spec": {"Role": "worker", "Availability": "active"}}  # has just joined
    found = [node("n1", "web1"), node("n2", "web2", "worker"), node("n3", "web3")]
    left = [*found[:2], node("n3", "web3", "worker", "pause")]
    docker.answers |= {
        "node_ls": "n1 n2 n3 n4",
        "node_inspect": Turns([json.dumps([*found, stranger]), json.dumps([*left, stranger])]),
    }
    assert swarm_tool.main(["known", "web1", "n1", "web1=manager:active", "web2=worker:active"]) == 0
    assert docker.told("node", "update")[1:] == [
        ("node", "update", "--availability", "pause", "--role", "worker", "n3")
    ]


def nameless(id: str, host: str, role: str = "manager") -> dict[str, Any]:
    """One that has joined and has no label yet, or whose join was cut off between the two."""
    made = {**node(id, host, role, "drain"), "Description": {"Hostname": host}}
    return {**made, "Spec": {**made["Spec"], "Labels": {}}}


def test_a_server_gets_no_replica_before_it_has_its_name(docker: Docker, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the label no constraint keeps anything off it."""
    asked: list[Any] = []
    monkeypatch.setattr(swarm_tool, "ask", lambda *words: asked.append(words))
    swarm_tool.join("192.168.150.13", json.dumps({"token": "SWMTKN", "address": "192.168.150.11:2377"}))
    [(_, _, body)] = asked
    assert body["Availability"] == "drain"
    docker.answers |= {"node_ls": "n1 n3", "node_inspect": [node("n1", "web1"), nameless("n3", "web3")]}
    assert swarm_tool.main(["known", "web1", "n1", "web1=manager:active", "web3=manager:active"]) == 0
    [_, given] = docker.told("node", "update")
    assert given == ("node", "update", "--label-add", "apiary.server=web3", "--availability", "active", "n3")


def test_a_node_whose_join_was_cut_off_and_whose_disk_is_lost_counts_for_nothing_any_more(docker: Docker) -> None:
    """As a dead manager without a name it would count for the majority, and nobody take it out."""
    left = {**nameless("n9", "web9", "worker")}
    docker.answers |= {
        "node_ls": "n1 n9", "swarm_join_token": "SWMTKN-1\n",
        "node_inspect": Turns([
            json.dumps([node("n1", "web1"), nameless("n9", "web9")]), json.dumps([node("n1", "web1"), left]),
        ]),
    }  # fmt: skip
    assert swarm_tool.main(["known", "web1", "n1", "web1=manager:active"]) == 0
    assert docker.told("node", "update")[1][-3:] == ("--role", "worker", "n9")
    docker.answers["node_inspect"] = [node("n1", "web1"), nameless("n3", "web3")]
    assert swarm_tool.main(["invite", "web3", "manager"]) == 0
    assert docker.told("node", "demote") == [("node", "demote", "n3")]
    assert docker.told("node", "rm") == [("node", "rm", "--force", "n3")]


def test_whom_the_managers_do_not_count_nobody_demotes(docker: Docker) -> None:
    """After `recover` the lost managers have their role still, and Docker refuses to take it: they are in no list."""
    lost = {key: value for key, value in node("n3", "web3").items() if key != "ManagerStatus"}
    docker.answers |= {"node_ls": "n1 n3", "node_inspect": [node("n1", "web1"), lost], "swarm_join_token": "SWMTKN-1\n"}
    assert swarm_tool.main(["known", "web1", "n1", "web1=manager:active"]) == 0
    assert docker.told("node", "update")[1:] == [("node", "update", "--availability", "pause", "n3")]
    assert swarm_tool.main(["invite", "web3", "manager"]) == 0
    assert docker.told("node", "rm") == [("node", "rm", "--force", "n3")]
    assert not docker.told("node", "demote")


def test_whoever_leads_may_be_demoted(docker: Docker) -> None:
    """For a moment nobody leads then, and Docker refuses everything; what is left to say is said again."""
    nobody = nodes_module.SwarmError("docker node update: The swarm does not have a leader.")
    one, two, three = node("n1", "web1"), node("n2", "web2", "worker"), node("n3", "web3")
    before, half, after = [one, node("n2", "web2"), three], [one, two, three], [one, two, node("n3", "web3", "worker")]
    docker.answers |= {
        "node_ls": "n1 n2 n3",
        "node_inspect": Turns([json.dumps(before), nobody, json.dumps(half), json.dumps(after)]),
        "node_update": Turns(["", "", nobody, ""]),  # the name, web2, web3, web3 again
    }  # fmt: skip
    members = ["web1=manager:active", "web2=worker:active", "web3=worker:active"]
    assert swarm_tool.main(["known", "web1", "n1", *members]) == 0
    assert [words[-1] for words in docker.told("node", "update", "--role", "worker")] == ["n2", "n3", "n3"]
    assert docker.answers["node_inspect"] == []


def test_a_manager_that_stays_one_is_told(
    docker: Docker, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(manager_module, "DEMOTED_SECONDS", 0)
    docker.answers |= {
        "node_ls": "n1 n2",
        "node_inspect": [node("n1", "web1"), {**node("n2", "web2", "worker"), "ManagerStatus": {"Leader": True}}],
    }
    assert swarm_tool.main(["known", "web1", "n1", "web1=manager:active", "web2=worker:active"]) == 1
    assert "the managers still count n2" in capsys.readouterr().err


def test_without_a_quorum_the_remedy_is_named(docker: Docker, capsys: pytest.CaptureFixture[str]) -> None:
    done = type("Done", (), {"returncode": 1, "stdout": "", "stderr": "The swarm does not have a leader."})
    with pytest.MonkeyPatch.context() as patch:
        patch.undo()
        patch.setattr(nodes_module.subprocess, "run", lambda *_, **__: done)
        fresh = load(TOOLS / "apiary_nodes.py")
        with pytest.raises(fresh.SwarmError, match="make recover SERVER="):
            fresh.docker("node", "ls")


LEADERLESS = {**MANAGER, "Error": "The swarm does not have a leader."}


@pytest.mark.parametrize(
    ("swarm", "status"),
    [
        (MANAGER, 0),
        (LEADERLESS, 1),
        ({"LocalNodeState": "active", "NodeID": "n2"}, 3),
        ({"LocalNodeState": "inactive"}, 3),
    ],
)
def test_who_decides(docker: Docker, capsys: pytest.CaptureFixture[str], swarm: Any, status: int) -> None:
    docker.answers["info___format"] = swarm
    assert swarm_tool.main(["decides"]) == status
    assert ("does not have a leader" in capsys.readouterr().err) == (status == 1)


def test_a_manager_says_whether_a_node_is_of_its_swarm(docker: Docker) -> None:
    docker.answers |= {"node_ls": "n1 n2", "node_inspect": [node("n1", "web1"), node("n2", "web2")]}
    assert [swarm_tool.main(["has", one]) for one in ("n2", "n7")] == [0, swarm_tool.UNKNOWN]
    docker.answers["node_ls"] = nodes_module.SwarmError("The swarm does not have a leader.")
    assert swarm_tool.main(["has", "n7"]) == 1, "who does not know does not say no"


def test_a_manager_goes_on_alone_where_most_are_away_on_the_private_network_alone(docker: Docker) -> None:
    docker.answers["info___format"] = Turns([json.dumps(one) for one in [LEADERLESS] * 4 + [MANAGER] * 2])
    assert swarm_tool.main(["recover"]) == 0
    [begun] = docker.told("swarm", "init")
    assert begun[2:] == (
        "--force-new-cluster", "--advertise-addr", "192.168.150.11", "--data-path-addr", "192.168.150.11",
        "--listen-addr", "192.168.150.11:2377",
    )  # fmt: skip


def test_nobody_goes_on_alone_where_most_managers_are_there(docker: Docker, capsys: pytest.CaptureFixture[str]) -> None:
    """It would throw out the others, which live."""
    assert swarm_tool.main(["recover"]) == 1
    assert "nothing is to be recovered" in capsys.readouterr().err
    docker.answers["info___format"] = {"LocalNodeState": "active", "NodeID": "n2"}
    assert swarm_tool.main(["recover"]) == swarm_tool.NO_SWARM
    assert not docker.told("swarm")


def test_a_server_leaves_also_where_dockers_own_part_is_broken(docker: Docker) -> None:
    docker.answers["info___format"] = {"LocalNodeState": "error", "Error": "removed from raft"}
    assert swarm_tool.main(["leave"]) == 0
    assert docker.told("swarm") == [("swarm", "leave", "--force")]


def container(id: str, status: str, error: str, restart: str = "unless-stopped") -> dict[str, Any]:
    policy = {"RestartPolicy": {"Name": restart}}
    return {"Id": id, "State": {"Status": status, "Error": error}, "HostConfig": policy}


def test_containers_that_docker_failed_to_start_are_started_and_no_other(docker: Docker) -> None:
    docker.answers |= {
        "ps___all": "a b c d",
        "inspect_a": [
            container("a", "exited", "network 4711 not found"),
            container("b", "exited", ""),  # stopped by somebody
            container("c", "running", ""),
            container("d", "created", "Could not attach to network", "no"),
        ],
    }
    assert keep_module.forgotten() == ["a"]


def test_whoever_begins_to_lead_has_the_heartbeat_in_force_once_and_again_after_another_has_led(docker: Docker) -> None:
    """By Docker's own a dead server would be missed after fifteen seconds, not three."""
    looks = leader_module.Leader()
    led = {"ID": "n1", "ManagerStatus": {"Leader": True}}
    docker.answers |= {"/info": {"Swarm": MANAGER}, "/nodes/n1": led}
    looks.look()
    looks.look()
    changes = [words[-1] for words in docker.told("swarm", "update", "--dispatcher-heartbeat")]
    assert changes == ["1001ms", leader_module.HEARTBEAT]
    docker.answers["/nodes/n1"] = {"ID": "n1", "ManagerStatus": {}}
    looks.look()
    docker.answers["/nodes/n1"] = led
    looks.look()
    assert len(docker.told("swarm", "update")) == 4


def test_a_worker_and_a_server_without_a_swarm_change_no_heartbeat(docker: Docker) -> None:
    looks = leader_module.Leader()
    docker.answers["/info"] = {"Swarm": {"LocalNodeState": "active", "ControlAvailable": False, "NodeID": "n2"}}
    looks.look()
    docker.answers["/info"] = {"Swarm": {"LocalNodeState": "inactive", "NodeID": ""}}
    looks.look()
    assert docker.told("swarm", "update") == []


def test_a_leader_that_could_not_change_it_tries_again(docker: Docker) -> None:
    looks = leader_module.Leader()
    docker.answers |= {
        "/info": {"Swarm": MANAGER},
        "/nodes/n1": {"ID": "n1", "ManagerStatus": {"Leader": True}},
        "swarm_update": Turns([nodes_module.SwarmError("update out of sequence"), "", ""]),
    }
    with pytest.raises(nodes_module.SwarmError):
        looks.look()
    looks.look()
    assert [words[-1] for words in docker.told("swarm", "update")] == ["1001ms", "1001ms", leader_module.HEARTBEAT]


def template(image: str) -> dict[str, Any]:
    """Of a release that is called as the tag is."""
    return {"ContainerSpec": {"Image": image}, "Resources": {}, "ForceUpdate": int(image.partition(":")[2])}


SPEC = template("apiary/echo:2")
AWAIT = ["await", "echo", "--release", "2"]


def wanted(state: str = "", replicas: int = 2, image: str = "apiary/echo:2") -> dict[str, Any]:
    update = {"UpdateStatus": {"State": state, "Message": f"update {state}"}} if state else {}
    spec = {"TaskTemplate": template(image), "Mode": {"Replicated": {"Replicas": replicas}}}
    return {"ID": "s1", "Version": {"Index": 7}, "Spec": spec, **update}


def task(state: str = "running", image: str = "apiary/echo:2", desired: str = "running", **more: Any) -> dict[str, Any]:
    spec = template(image)
    status = {"State": state, **more}
    return {"ID": "t1", "CreatedAt": "1", "DesiredState": desired, "Spec": spec, "Status": status, "NodeID": "n1"}


@pytest.mark.parametrize(
    ("service", "tasks", "lacking"),
    [
        (wanted(), [task(), task()], None),
        (wanted("completed"), [task(), task(), task("failed", desired="shutdown")], None),
        (wanted("updating"), [task(), task()], "update updating"),
        (wanted(), [task(), task("starting")], "1 of 2 replicas are healthy"),
        (wanted(), [task(), task(image="apiary/echo:1")], "1 of 2 replicas are healthy"),  # Swarm has not begun yet
        (wanted(), [task(), task(), task(image="apiary/echo:1")], "2 of 2 replicas are healthy"),  # one more must go
        (wanted(), [task(), task("rejected", Err="No such image")], "the last that failed: No such image"),
    ],
)
def test_when_a_release_is_through(service: Any, tasks: Any, lacking: str | None) -> None:
    found = replicas_tool.missing(service, tasks, "2")
    assert found is None if lacking is None else lacking in found


def test_a_release_that_was_taken_back_fails_with_the_failed_replicas_last_lines(
    docker: Docker, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    docker.answers |= {
        "node_ls": "n1",
        "/tasks": [task("failed", desired="shutdown", Err="task: non-zero exit (1)")],
        "node_inspect": [node("n1", "web1")],
    }  # fmt: skip
    said = type("Done", (), {"returncode": 0, "stdout": "cannot open /etc/echo.yml\n"})
    monkeypatch.setattr(replicas_tool.subprocess, "run", lambda *_, **__: said)
    docker.answers["service_inspect"] = Turns(
        [json.dumps([wanted(state, image="apiary/echo:1")]) for state in ("rollback_started", "rollback_completed")]
    )
    assert replicas_tool.main(AWAIT) == 1
    told = capsys.readouterr().err
    assert told.startswith("applications.echo: the release was taken back (update rollback_completed)")
    assert "on web1: task: non-zero exit (1)\n  cannot open /etc/echo.yml" in told


def test_what_a_failed_replica_said_is_heard_before_swarm_clears_it_away(
    docker: Docker, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = [
        (wanted("updating"), [task(image="apiary/echo:1")]),
        (wanted("updating"), [task("failed", desired="shutdown", Err="unhealthy container"), task()]),
        (wanted("rollback_completed", image="apiary/echo:1"), [task(image="apiary/echo:1")]),
    ]
    looks.insert(0, looks[0])  # as it begins
    monkeypatch.setattr(replicas_tool, "service", lambda _: looks[0][0])
    monkeypatch.setattr(replicas_tool, "tasks", lambda _: looks.pop(0)[1])
    monkeypatch.setattr(replicas_tool, "last_lines", lambda failed: [f"said by {failed['Status']['Err']}"])
    assert replicas_tool.main(AWAIT) == 1
    assert "said by unhealthy container" in capsys.readouterr().err


STAT = """\
# pxname,svname,addr,status,check_status,weight
app-echo,echo-1,10.201.64.5:8080,{},{},256
app-echo,echo-2,10.201.64.6:8080,UP,L7OK,256
app-echo,BACKEND,,UP,,
"""


class Judged:
    """A release that Swarm finds healthy; of its new replica the proxy says something, look by look."""

    def __init__(
        self, monkeypatch: pytest.MonkeyPatch, docker: Docker, *looks: str, image: str = "apiary/echo:2"
    ) -> None:
        self.looks, self.said = list(looks), "completed"
        self.task = {**task(image=image), "NetworksAttachments": [{"Addresses": ["10.201.64.5/20"]}]}
        docker.answers["service_rollback"] = ""
        self.docker = docker
        monkeypatch.setattr(visited_module, "REFUSED_SECONDS", 0.2)
        monkeypatch.setattr(replicas_tool, "AWAIT_SECONDS", 0.15)
        monkeypatch.setattr(visited_module, "admin_socket", lambda: "/run/admin.sock")
        monkeypatch.setattr(visited_module.Proxy, "ask", lambda *_: self.stat())
        monkeypatch.setattr(replicas_tool, "service", lambda _: self.service())
        monkeypatch.setattr(replicas_tool, "tasks", lambda _: [self.task])

    def stat(self) -> str:
        look = self.looks.pop(0) if len(self.looks) > 1 else self.looks[0]
        return STAT.format(*look.split())

    def service(self) -> dict[str, Any]:
        rolled_back = self.docker.told("service", "rollback")
        if rolled_back:
            return wanted("rollback_completed", replicas=1, image="apiary/echo:1")
        return wanted(self.said, replicas=1)


def test_a_release_that_the_proxy_refuses_is_taken_back_although_swarm_finds_it_healthy(
    docker: Docker, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else all of it would have taken the place of what served, and every visitor get 503."""
    Judged(monkeypatch, docker, "DOWN L7STS")
    assert replicas_tool.main(AWAIT) == 1
    assert docker.told("service", "rollback") == [("service", "rollback", "--detach", "echo")]
    said = capsys.readouterr().err
    assert "the release was taken back" in said
    assert "the new replica at 10.201.64.5 unhealthy (L7STS)" in said


@pytest.mark.parametrize(
    "looks",
    [
        ("DOWN L7STS", "UP L7OK"),  # it has warmed up
        ("DOWN L4TOUT",),  # the network may be slow
        ("UP L7OK",),
    ],
)
def test_a_release_whose_replicas_the_proxy_takes_in_time_is_through(
    docker: Docker, monkeypatch: pytest.MonkeyPatch, looks: tuple[str, ...]
) -> None:
    Judged(monkeypatch, docker, *looks)
    assert replicas_tool.main(AWAIT) == 0
    assert not docker.told("service", "rollback")


def test_a_proxy_that_is_silent_for_a_moment_fails_no_release(docker: Docker, monkeypatch: pytest.MonkeyPatch) -> None:
    judged, looks = Judged(monkeypatch, docker, "UP L7OK"), [1]

    def ask(*_: str) -> str:
        if looks.pop() if looks else 0:
            raise visited_module.HostError("the proxy's admin socket does not answer")
        return judged.stat()

    monkeypatch.setattr(visited_module.Proxy, "ask", ask)
    assert replicas_tool.main(AWAIT) == 0
    assert looks == []


def test_what_the_proxy_refuses_of_before_is_no_reason(docker: Docker, monkeypatch: pytest.MonkeyPatch) -> None:
    judged = Judged(monkeypatch, docker, "DOWN L7STS", image="apiary/echo:1")
    assert replicas_tool.main([*AWAIT, "--timeout", "0.6"]) == 1
    assert not docker.told("service", "rollback")
    # Nor is a server without a proxy, or one that does not know the application yet.
    judged.task["Spec"] = SPEC
    monkeypatch.setattr(visited_module, "admin_socket", lambda: None)
    assert replicas_tool.main(AWAIT) == 0
    monkeypatch.setattr(visited_module, "admin_socket", lambda: "/run/admin.sock")
    monkeypatch.setattr(visited_module.Proxy, "ask", lambda *_: STAT.replace("app-echo", "app-other"))
    assert replicas_tool.main(AWAIT) == 0
    assert not docker.told("service", "rollback")


def test_what_begins_anew_is_waited_for_until_it_stays_and_nothing_is_taken_back(
    docker: Docker, monkeypatch: pytest.MonkeyPatch
) -> None:
    judged, looks = Judged(monkeypatch, docker, "DOWN L7STS"), ["running", "starting"]

    def tasks(_: str) -> list[dict[str, Any]]:
        state = looks.pop(0) if looks else "running"
        return [{**judged.task, "Status": {"State": state}}]

    monkeypatch.setattr(replicas_tool, "tasks", tasks)
    assert replicas_tool.main(["await", "echo", "--settle", "0.3"]) == 0
    assert looks == []
    assert not docker.told("service", "rollback")


def test_a_release_that_takes_too_long_fails_with_what_is_missing(
    docker: Docker, capsys: pytest.CaptureFixture[str]
) -> None:
    docker.answers |= {"service_inspect": [wanted()], "/tasks": [task("starting")]}
    assert replicas_tool.main([*AWAIT, "--timeout", "0"]) == 1
    assert "not through after 0 s: 0 of 2 replicas are healthy" in capsys.readouterr().err


def test_what_goes_has_no_container_left_here_before_the_service_is_removed(docker: Docker) -> None:
    left = ["c1 c2", "c2", ""]
    docker.answers["ps___all"] = Turns(left)
    assert replicas_tool.main(["stop", "x1"]) == 0
    assert docker.asked[0] == ("service", "scale", "--detach", "x1=0")
    # What has ended would be waited for too.
    assert len(docker.told("container", "prune")) == 3
    assert all("label=com.docker.swarm.service.id=x1" in words for words in docker.asked[1:])


def test_two_services_that_go_at_once_wait_for_each_other(docker: Docker) -> None:
    """Docker refuses a second prune while one is under way."""
    docker.answers |= {
        "ps___all": Turns(["c1", ""]),
        "container_prune": nodes_module.SwarmError("Error response from daemon: a prune operation is already running"),
    }
    assert replicas_tool.main(["stop", "x1"]) == 0
    docker.answers |= {
        "ps___all": "c1",
        "container_prune": nodes_module.SwarmError("Cannot connect to the Docker daemon"),
    }
    assert replicas_tool.main(["stop", "x1"]) == 1


def test_what_does_not_stop_is_named_and_what_is_not_there_is_stopped(
    docker: Docker, capsys: pytest.CaptureFixture[str]
) -> None:
    docker.answers["ps___all"] = "c1"
    assert replicas_tool.main(["stop", "x1", "--timeout", "0"]) == 1
    assert "still here after 0 s: docker rm --force c1" in capsys.readouterr().err
    docker.answers["service_scale"] = nodes_module.SwarmError("x1: Error response from daemon: service x1 not found")
    assert replicas_tool.main(["stop", "x1"]) == 0
    docker.answers["service_scale"] = nodes_module.SwarmError("the swarm does not have a leader")
    assert replicas_tool.main(["stop", "x1"]) == 1


def test_a_service_that_was_stopped_and_not_removed_is_no_release(docker: Docker) -> None:
    with pytest.raises(replicas_tool.SwarmError, match="pulumi refresh"):
        replicas_tool.missing(wanted(replicas=0), [])


@pytest.mark.parametrize("config", [{}, {"Healthcheck": {"Test": ["NONE"]}}])
def test_an_image_that_cant_be_asked_is_refused(
    docker: Docker, capsys: pytest.CaptureFixture[str], config: Any
) -> None:
    docker.answers["image_inspect"] = config
    assert replicas_tool.main(["checked", "echo", "apiary/echo:1"]) == 1
    assert "has no HEALTHCHECK" in capsys.readouterr().err
    docker.answers["image_inspect"] = {"Healthcheck": {"Test": ["CMD", "true"]}}
    assert replicas_tool.main(["checked", "echo", "apiary/echo:1"]) == 0


class Spreading:
    """A swarm that starts a replica where the fewest are, and stops one where the most are, as Docker's does."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, **there: int) -> None:
        self.there = there
        self.number = sum(there.values())
        self.scaled: list[int] = []
        self.constraints = ["node.labels.apiary.server!=db1"]
        self.sick = False
        up = {"Status": {"State": "ready"}}
        active = {"Role": "worker", "Availability": "active"}
        nodes = [{"ID": name, "Spec": {**active, "Labels": {"apiary.server": name}}, **up} for name in there]
        nodes += [
            {"ID": "db1", "Spec": {**active, "Labels": {"apiary.server": "db1"}}, **up},
            {"ID": "n8", "Spec": {**active, "Availability": "drain"}, **up},
            {"ID": "n9", "Spec": active, "Status": {"State": "down"}},
        ]
        monkeypatch.setattr(replicas_tool, "nodes", lambda: nodes)
        monkeypatch.setattr(replicas_tool, "service", lambda _: self.service())
        monkeypatch.setattr(replicas_tool, "tasks", lambda _: self.tasks())
        monkeypatch.setattr(replicas_tool, "docker", self.docker)

    def service(self) -> dict[str, Any]:
        found: dict[str, Any] = wanted()
        found["Spec"]["Mode"]["Replicated"]["Replicas"] = self.number
        found["Spec"]["TaskTemplate"]["Placement"] = {"Constraints": self.constraints}
        return found

    def tasks(self) -> list[dict[str, Any]]:
        found = [{**task(), "NodeID": name} for name, count in self.there.items() for _ in range(count)]
        for one in found:
            one["Spec"] = {**one["Spec"], "Placement": {"Constraints": self.constraints}}
        return found

    def docker(self, *words: str) -> str:
        number = int(words[-1].partition("=")[2])
        self.scaled.append(number)
        if number > self.number and not self.sick:
            self.there[min(self.there, key=lambda name: self.there[name])] += 1
        elif number < self.number and not (self.sick and sum(self.there.values()) == number):
            self.there[max(self.there, key=lambda name: self.there[name])] -= 1
        self.number = number
        return ""


def test_replicas_are_spread_evenly_by_one_more_and_one_less(
    monkeypatch: pytest.MonkeyPatch, docker: Docker, capsys: pytest.CaptureFixture[str]
) -> None:
    swarm = Spreading(monkeypatch, web1=3, web2=3, web3=0)
    assert replicas_tool.main(["spread", "echo", "6"]) == 0
    assert swarm.there == {"web1": 2, "web2": 2, "web3": 2}
    assert swarm.scaled == [7, 6, 7, 6]
    assert capsys.readouterr().out == "echo: 2 moved\n"
    assert replicas_tool.main(["spread", "echo", "6"]) == 0
    assert swarm.scaled == [7, 6, 7, 6]


def test_where_there_is_no_room_for_one_more_they_serve_from_where_they_are(
    monkeypatch: pytest.MonkeyPatch, docker: Docker, capsys: pytest.CaptureFixture[str]
) -> None:
    swarm = Spreading(monkeypatch, web1=2, web2=0)
    swarm.sick = True
    assert replicas_tool.main(["spread", "echo", "2", "--timeout", "0"]) == 0
    assert "stay where they are, for one more does not come up: " in (told := capsys.readouterr().out)
    assert "2 of 3 replicas are healthy" in told
    assert (swarm.scaled, swarm.number) == ([3, 2], 2)


def test_replicas_that_do_not_serve_where_they_are_either_fail(
    monkeypatch: pytest.MonkeyPatch, docker: Docker, capsys: pytest.CaptureFixture[str]
) -> None:
    swarm = Spreading(monkeypatch, web1=2, web2=0)
    scale = swarm.docker

    def lost(*words: str) -> str:
        swarm.sick, swarm.there["web1"] = True, 1
        return scale(*words)

    monkeypatch.setattr(replicas_tool, "docker", lost)
    assert replicas_tool.main(["spread", "echo", "2", "--timeout", "0"]) == 1
    assert "0 of 2 replicas are healthy" in capsys.readouterr().err


def test_a_spreading_that_was_cut_off_is_put_right(monkeypatch: pytest.MonkeyPatch, docker: Docker) -> None:
    swarm = Spreading(monkeypatch, web1=2, web2=1)
    assert replicas_tool.main(["spread", "echo", "2"]) == 0
    assert swarm.scaled == [2]


@pytest.mark.parametrize(
    ("swarm", "running", "told"),
    [
        (MANAGER, "c1\n", "first make drain SERVER="),
        ({**MANAGER, "Managers": 3}, "", "swarm: worker, by an update of its own"),
        ({**MANAGER, "Managers": 1}, "", ""),
        ({**MANAGER, "ControlAvailable": False}, "", ""),
        ({"LocalNodeState": "inactive"}, "c1\n", ""),
    ],
)
def test_a_server_takes_nothing_along_when_its_word_is_taken_out(
    swarm: dict[str, Any], running: str, told: str, docker: Docker, capsys: pytest.CaptureFixture[str]
) -> None:
    docker.answers |= {"info___format": swarm, "ps___quiet": running}
    assert swarm_tool.main(["free"]) == bool(told)
    assert told in capsys.readouterr().err


# encryption

UNSHARE = """#!/bin/sh
case "$4" in *"$LACKS"*) echo "Error: Requested AEAD algorithm not found." >&2; exit 2 ;; esac
"""


@pytest.mark.parametrize(("lacks", "told"), [("rfc4106", "AES-GCM"), ("-m bpf", "xt_bpf"), ("-m policy", "xt_policy")])
def test_a_kernel_that_cant_encrypt_is_refused_with_what_it_lacks(
    lacks: str, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "unshare").write_text(UNSHARE)
    (tmp_path / "unshare").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.setenv("LACKS", lacks)
    assert swarm_tool.main(["encryption"]) == 1
    said = capsys.readouterr().err
    assert told in said
    assert said.count("Requested AEAD algorithm not found;") + said.count("not found. Leave out swarm:") == 1
    monkeypatch.setenv("LACKS", "nothing of it")
    assert swarm_tool.main(["encryption"]) == 0


# variables and firewall

SWARM = {
    **VARIABLES, "apiary_private_ip": "192.168.150.11",
    "apiary_swarm": {"gateway": "10.201.128.0/18", "peers": ["192.168.150.12"]},
}  # fmt: skip


def test_docker_of_a_swarm_has_no_live_restore_and_no_new_privileges() -> None:
    assert variables.daemon(VARIABLES)["live-restore"] is True
    assert "no-new-privileges" not in variables.daemon(VARIABLES)
    daemon = variables.daemon(SWARM)
    assert (daemon["live-restore"], daemon["no-new-privileges"]) == (False, True)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"apiary_swarm": {"gateway": "10.201.128.0", "peers": ["web2"]}}, "apiary_swarm.peers[0]: 'web2'"),
        ({"apiary_swarm": {"gateway": "all"}}, "apiary_swarm.gateway: 'all' is not an IPv4 network"),
        ({"apiary_swarm": {**SWARM["apiary_swarm"], "encrypted": "yes"}}, "apiary_swarm.encrypted: 'yes' is neither"),
        ({"apiary_private_ip": None}, "apiary_private_ip: missing, but the server is of a swarm"),
    ],
)
def test_a_swarm_that_cant_be_is_refused_on_the_host_too(change: dict[str, Any], message: str) -> None:
    variables.check(SWARM)
    with pytest.raises(variables.BadVariables) as refused:
        variables.check({**SWARM, **change})
    assert message in str(refused.value)


def test_the_replicas_bridge_is_closed_to_the_host_as_the_others_are() -> None:
    names = [one.comment for one in ufw_rules.desired(["ens3"], ["10.201.128.0/18"], [], [], ["docker_gwbridge"])]
    assert "host closed on docker_gwbridge" in names
    assert "host closed from 10.201.128.0/18" in names or "host closed to 10.201.128.0/18" in names
    assert "host closed on docker_gwbridge" not in [one.comment for one in ufw_rules.desired(["ens3"], [], [], [])]


# As HAProxy 3.0 tells it, less columns that nobody reads.
STATE = """\
1
# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight srv_iweight
7 app-shop 1 shop-1 10.201.64.5 2 0 1 1
7 app-shop 2 shop-2 10.201.64.6 2 0 256 1
7 app-shop 3 shop-3 10.201.64.7 2 0 0 1
7 app-shop 4 shop-4 - 0 32 256 1
8 app-blog 1 blog-1 10.200.0.3 2 0 1 1
"""


def replica(address: str) -> dict[str, Any]:
    networks = {"swarm": {"IPAddress": address}, "docker_gwbridge": {"IPAddress": ""}}
    return {"Labels": {"com.docker.swarm.task.id": "t"}, "NetworkSettings": {"Networks": networks}}


def proxy(folder: Path) -> dict[str, Any]:
    (folder / "run").mkdir()
    (folder / "run" / "admin.sock").touch()
    mounts = [{"Source": str(folder), "Destination": "/etc/haproxy"}]
    networks = {"NetworkSettings": {"Networks": {"swarm": {"IPAddress": "10.201.64.9"}}}}
    return {"Labels": {"apiary.proxy": "true"}, "Mounts": mounts, **networks}


class Spoken:
    """An admin socket that notes what it is told."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, answer: str = "") -> None:
        self.told: list[str] = []
        self.answer = answer
        monkeypatch.setattr(nearest.Proxy, "ask", lambda _, command: self.ask(command))

    def ask(self, command: str) -> str:
        if command == "show servers state":
            return STATE
        self.told.append(command)
        return self.answer


def test_a_proxy_leads_to_the_replicas_beside_it_and_a_drained_one_stays_drained(
    docker: Docker, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    spoken = Spoken(monkeypatch)
    docker.answers["/containers/json"] = [replica("10.201.64.5"), replica("10.201.64.7"), proxy(tmp_path)]
    nearest.prefer()
    assert spoken.told == [
        "set server app-shop/shop-1 weight 256",
        "set server app-shop/shop-2 weight 1",  # it runs on another server now
        "set server app-shop/shop-4 weight 1",
    ]


def test_without_a_replica_of_its_own_all_are_alike_and_without_a_proxy_nothing_is_asked(
    docker: Docker, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    spoken = Spoken(monkeypatch)
    docker.answers["/containers/json"] = [replica("10.201.64.5")]
    nearest.prefer()
    assert spoken.told == []
    docker.answers["/containers/json"] = [proxy(tmp_path)]
    nearest.prefer()
    assert {command.rpartition(" ")[2] for command in spoken.told} == {"1"}


def test_what_a_proxy_refuses_is_told(docker: Docker, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    Spoken(monkeypatch, "No such server.")
    docker.answers["/containers/json"] = [replica("10.201.64.5"), proxy(tmp_path)]
    with pytest.raises(
        nodes_module.SwarmError, match=r"refused `set server app-shop/shop-1 weight 256`: No such server"
    ):
        nearest.prefer()
