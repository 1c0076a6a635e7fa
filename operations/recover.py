"""Has one manager of the swarm go on alone, where most of them are lost, and puts together again who is there.

What runs goes on. Without most of its managers nothing is moved, released or restarted, and nobody joins. One that
comes back by itself ends that, with nothing lost: so nobody is recovered while another manager answers.
Leaves alone: servers that do not answer, which `revive` brings back.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import time
from collections.abc import Mapping

from operations import recovery, swarm
from operations.cli import PROGRAM, OperationError, Pulumi, say
from operations.hosts import STACK_LABEL, Ended, Host, ensure_key
from operations.state import Server, State

BACK_SECONDS = 60  # in which who is of the swarm is known to be there, after another one has begun to decide
LOOK_SECONDS = 1.0
ANEW_SECONDS, HEALTHY_SECONDS = 10, 120  # within the first all replicas have begun anew


def arguments(parser: argparse.ArgumentParser) -> None:
    """What the verb is told."""
    parser.add_argument("server")
    parser.add_argument("--force", action="store_true", help="although another manager answers")


def recover(pulumi: Pulumi, name: str, *, force: bool) -> None:
    """Have the server `name` decide, and who answers and is not of its swarm join it.

    Raises OperationError, with nothing changed, where it is no manager or another one decides, or could (`force`:
    although another manager answers), and while an update or another repair of the stack runs.
    """
    with recovery.alone(pulumi):
        recovery.clear(pulumi)
        pulumi.select()
        recovery.repair(pulumi)
        _recover(pulumi, name, force=force)


def _recover(pulumi: Pulumi, name: str, *, force: bool) -> None:
    state = State.of(pulumi.export())
    members = {server.name: server for server in swarm.members(state)}
    if name not in members:
        raise OperationError(f"the state has no server {name!r} of a swarm; it has: {', '.join(members) or 'none'}")
    ensure_key(pulumi, state)
    told = swarm.tell(members.values())
    one = members[name]
    _may_decide(pulumi, told, one, force=force)
    if one in told.leaderless:
        say(f"recover {name}: goes on alone; replicas start anew")
        Host(one).run("apiary-swarm", "recover")
        _wait_for_replicas(pulumi, one)
    others = [server for server in members.values() if server.name in told.nodes and server is not one]
    for server in _strangers(one, others, told.nodes):
        say(f"recover {name}: {server.name} is of a swarm that is no more, and joins")
        Host(server).run("apiary-swarm", "leave")
        # As an update runs it, from here; to repeat it is safe.
        script = str(swarm.joined(state)[server.name].inputs["create"])
        done = subprocess.run(["/bin/sh", "-c", script], cwd=PROGRAM, check=False, stdin=subprocess.DEVNULL)
        if done.returncode != 0:
            raise OperationError(f"{server.name} does not join (above); mend that, and run this again")
    if told.silent:
        say(
            f"recover {name}: it decides; {', '.join(server.name for server in told.silent)} did not answer: "
            f'make revive SERVER="{" ".join(server.name for server in told.silent)}" STACK={pulumi.name}'
        )
    else:
        say(f"recover {name}: done; it decides, and every server is there. Replicas are spread by the next release")


def _wait_for_replicas(pulumi: Pulumi, one: Server) -> None:
    """Until what has begun anew is healthy: what comes next is an update, which would meet it half-way."""
    ours = f"label={STACK_LABEL}={pulumi.tag}"
    for name in Host(one).run("docker", "service", "ls", "--filter", ours, "--format", "{{.Name}}").split():
        words = ("--settle", str(ANEW_SECONDS), "--timeout", str(HEALTHY_SECONDS))
        try:
            say(f"  {Host(one).run('apiary-replicas', 'await', name, *words).strip()}")
        except Ended as error:  # of another reason, which the next update meets: the swarm itself is back
            say(f"  {error}")


def _may_decide(pulumi: Pulumi, told: swarm.Told, one: Server, *, force: bool) -> None:
    if one in told.deciding:
        return
    if told.deciding:
        other = told.deciding[0].name
        raise OperationError(
            f"{other} decides about the swarm, so nothing is lost. If {one.name} has come back after another one has "
            f"recovered: make recover SERVER={other} STACK={pulumi.name} takes it back"
        )
    if one in told.silent:
        raise OperationError(f"server {one.name} does not answer; name a manager that does")
    if one not in told.leaderless:
        raise OperationError(f"{one.name} is no manager of the swarm; name one that is, or make revive of those")
    others = [server.name for server in told.leaderless if server is not one]
    if others and not force:
        raise OperationError(
            f"{', '.join(others)} answers as well, and is a manager: one more, and they decide together, with nothing "
            f"lost. On each: systemctl restart docker; ping the others' private addresses. Where that can't be: "
            f"python -m operations recover --stack {pulumi.stack} {one.name} --force"
        )


def _strangers(one: Server, others: list[Server], nodes: Mapping[str, str]) -> list[Server]:
    """Of the other servers that answer, those that are not of its swarm, or do not get there."""
    deadline = time.monotonic() + BACK_SECONDS
    while True:
        there = _ready(one)
        missing = [server for server in others if nodes[server.name] not in there]
        if not missing or time.monotonic() >= deadline:
            return missing
        time.sleep(LOOK_SECONDS)


def _ready(one: Server) -> set[str]:
    """The nodes that are there; of managers those that decide with it. Who has come back with what it knew is none."""
    ids = Host(one).run("docker", "node", "ls", "--quiet").split()
    nodes = json.loads(Host(one).run("docker", "node", "inspect", *ids))
    return {
        node["ID"]
        for node in nodes
        if node["Status"]["State"] == "ready" and (node["Spec"]["Role"] != "manager" or node.get("ManagerStatus"))
    }
