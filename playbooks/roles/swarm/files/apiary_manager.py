"""What a manager of the swarm decides about its servers: who joins as whom, what each is, who goes."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from typing import Any

from apiary_nodes import NAME_LABEL, NoSwarm, SwarmError, as_manager, docker, info, name_of, nodes

DEMOTED_SECONDS = 60.0
DEMOTED_LOOK_SECONDS = 0.5
# Whoever leads is elected anew within so long, where most managers are there.
ELECTED_SECONDS = 15.0
RECOVERED_SECONDS = 60.0
ELECTED_LOOK_SECONDS = 1.0


def called(name: str) -> list[dict[str, Any]]:
    """The nodes of a server: one, and those that it was on disks which are gone."""
    return [node for node in nodes() if name_of(node) == name]


def remove(node: Mapping[str, Any]) -> None:
    """Take a node out: of the managers first, where they count it, which after `recover` they do not."""
    if node.get("ManagerStatus"):
        docker("node", "demote", node["ID"])
    docker("node", "rm", "--force", node["ID"])


def invite(name: str, role: str) -> str:
    """What a server joins by."""
    as_manager()
    for node in called(name):
        remove(node)
    token = docker("swarm", "join-token", "--quiet", role).strip()
    return json.dumps({"token": token, "address": f"{info()['NodeAddr']}:2377"})


def known(name: str, node: str, members: Sequence[str]) -> None:
    """Have a node called by its server's name, and each have its role, and get new replicas or not.

    What a node has when it gets no new ones it keeps, until a release has put others in their place: `drain` would stop
    all of them before others have begun. Who goes decides about nothing any more before its server ends, which would
    count as one of the managers otherwise, and take the majority along. Raises SwarmError.
    """
    as_manager()
    docker("node", "update", "--label-add", f"{NAME_LABEL}={name}", node)
    wanted = {member: said.split(":") for member, _, said in (one.partition("=") for one in members)}
    deadline = time.monotonic() + DEMOTED_SECONDS
    while True:
        try:
            if not (counted := give(wanted)):
                return
            why = f"the managers still count {', '.join(counted)}, which is to be none; why: journalctl -u docker"
        except SwarmError as error:  # nobody leads for a moment, or another server has the same said just now
            why = str(error)
        if time.monotonic() >= deadline:
            raise SwarmError(f"after {DEMOTED_SECONDS:.0f} s {why}")
        time.sleep(DEMOTED_LOOK_SECONDS)


def give(wanted: Mapping[str, Sequence[str]]) -> list[str]:
    """Tell each node its role and availability, by its server's name, where it has another one.

    The nodes that are to be no managers and still count as some. Raises SwarmError.
    """
    counted = []
    for other in nodes():
        called_so, spec = name_of(other), other["Spec"]
        if called_so is None:  # it has not said anything yet
            continue
        role, availability = wanted.get(called_so, ["worker", "pause"])
        # Not without its label, by which replicas are kept off it.
        words = [] if NAME_LABEL in (spec.get("Labels") or {}) else ["--label-add", f"{NAME_LABEL}={called_so}"]
        words += ["--availability", availability] if spec["Availability"] != availability else []
        # Whom the managers do not count, since one of them has recovered alone, nobody can demote.
        if spec["Role"] != role and (role == "manager" or other.get("ManagerStatus")):
            words += ["--role", role]
        if words:
            docker("node", "update", *words, other["ID"])
        if role == "worker" and other.get("ManagerStatus"):
            counted.append(other["ID"])
    return counted


def dismiss(name: str) -> None:
    """Take a server's nodes out before it leaves."""
    as_manager()
    for node in called(name):
        remove(node)


def decides() -> None:
    """Raises NoSwarm where this server is no manager, and SwarmError where most managers are away."""
    as_manager()
    if why := info().get("Error"):
        raise SwarmError(str(why))


def has(node: str) -> bool:
    """Whether a node is of this manager's swarm."""
    as_manager()
    return any(one["ID"] == node for one in nodes())


def recover() -> None:
    """Go on alone. What runs goes on; servers that come back are to join anew.

    Raises SwarmError where most managers are there: it would leave the others behind.
    """
    as_manager()
    if is_decided(ELECTED_SECONDS):
        raise SwarmError("most managers are there, and this one decides with them: nothing is to be recovered")
    address = str(info()["NodeAddr"])
    docker(
        "swarm", "init", "--force-new-cluster", "--advertise-addr", address, "--data-path-addr", address,
        "--listen-addr", f"{address}:2377",
    )  # fmt: skip
    if not is_decided(RECOVERED_SECONDS):
        raise SwarmError(f"after {RECOVERED_SECONDS:.0f} s it does not decide yet; why: journalctl -u docker")


def is_decided(seconds: float) -> bool:
    """Whether this manager decides within so long."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            decides()
        except (SwarmError, NoSwarm):  # no manager either, for a moment in which Docker begins again
            if time.monotonic() >= deadline:
                return False
            time.sleep(ELECTED_LOOK_SECONDS)
        else:
            return True
