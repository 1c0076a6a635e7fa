"""Empties one server of the swarm without a failed request, before it is rebuilt or goes; or fills it again.

Writes `drain` at it into the stack file and updates. Then waits until its replicas have moved, and for one TTL of
the records that led to it: so long somebody may have its address, whom its proxy serves.
Leaves alone: what runs on that server alone, and the server itself.
"""

from __future__ import annotations

import json
import shlex
import time

import yaml

from operations import stack_file
from operations.cli import PROGRAM, OperationError, Pulumi, say
from operations.hosts import Ended, Host, Unreachable, ensure_key
from operations.state import Server, State

RECORD = "vultr:index/dnsRecord:DnsRecord"
MOVED_SECONDS = 300
LOOK_SECONDS = 1.0
# A server that has come back on a new disk was another node before.
TASKS = (
    "nodes=$(docker node ls --quiet --filter node.label=apiary.server=$1); "
    "[ -z \"$nodes\" ] || docker node ps --format '{{.Name}} {{.CurrentState}}' $nodes"
)


def drain(pulumi: Pulumi, name: str, *, off: bool) -> None:
    """Empty the server `name`, or have it be one of the others again.

    Raises OperationError, with the stack file as it was, when that can't be; later when the update fails, or when
    replicas do not move.
    """
    before = State.of(pulumi.export())
    servers = {server.name: server for server in before.servers()}
    if name not in servers:
        raise OperationError(f"the state has no server {name!r}; it has: {', '.join(servers) or 'none yet'}")
    others = [one for one in servers.values() if one.name != name]
    ensure_key(pulumi, before)
    if not off:
        _must_be_whole(others, name)
    _write(pulumi, name, off=off)
    say(f"drain {name}: {'it takes part again' if off else 'no record leads to it, and its replicas move'}")
    pulumi.run("up", "--yes", "--skip-preview", "--suppress-outputs")
    if off:
        say(f"drain {name}: done; records lead to it again")
        return
    # Whoever asked a moment before the records went may come for so long. If they went by an update of before, when is
    # not known here.
    taken, ttl = time.monotonic(), _ttl(before, _domains(pulumi, name))
    _wait_for_moves(others, name)
    say(f"drain {name}: no replica runs there")
    if ttl:
        say(f"drain {name}: its proxy serves on for who still has its address; until nobody has: {ttl} s, one TTL")
        time.sleep(max(0.0, taken + ttl - time.monotonic()))
    say(f"drain {name}: done; it may go, be rebuilt or be rebooted. Back again: make drain SERVER={name} OFF=1")


def _write(pulumi: Pulumi, name: str, *, off: bool) -> None:
    """Change the stack file; put it back as it was when the program refuses what it says then."""
    file = PROGRAM / f"Pulumi.{pulumi.name}.yaml"
    text, section = file.read_text(encoding="utf-8"), f"{pulumi.project}:servers"
    try:
        file.write_text(stack_file.put(text, section, name, "drain", None if off else "true"), encoding="utf-8")
    except stack_file.NotSo:
        # An anchor that others have too, say: they are written out, and it means the same.
        change = (
            ["rm", "--path", f"{section}.{name}.drain"] if off else ["set", "--path", f"{section}.{name}.drain", "true"]
        )
        pulumi.run("config", *change, quiet=True)
    try:
        pulumi.preview()
    except OperationError:
        file.write_text(text, encoding="utf-8")
        say(f"drain {name}: nothing is done, and {file.name} is as it was")
        raise


def _asked(others: list[Server], *command: str) -> str:
    """What a command prints on the first server that decides about the swarm. Raises OperationError when none does."""
    said = []
    for server in others:
        try:
            return Host(server).run(*command)
        except (Ended, Unreachable) as error:
            said.append(str(error))
    raise OperationError("\n  ".join(["no other server decides about a swarm, so nothing would move:", *said]))


def _must_be_whole(others: list[Server], name: str) -> None:
    """Raise OperationError unless every server of the swarm is there: the update tells each of them, and would fail
    with the records of `name` as they are; and with one manager away, nobody might decide any more when it goes.
    """
    lines = _asked(others, "docker", "node", "ls", "--format", "{{json .}}").splitlines()
    nodes: list[dict[str, str]] = [json.loads(line) for line in lines]
    away = [node["Hostname"] for node in nodes if node["Status"] == "Down" or node["ManagerStatus"] == "Unreachable"]
    if not away:
        return
    remedy = f"bring it back: make revive SERVER={shlex.quote(' '.join(away))}; or take it out of the stack file first"
    if name in away:
        raise OperationError(f"{name} does not answer, so nothing runs there that could move; {remedy}")
    raise OperationError(
        f"of the swarm's servers {', '.join(away)} can't be reached, and the update that empties {name} has to tell "
        f"every one of them; {remedy}"
    )


def _wait_for_moves(others: list[Server], name: str) -> None:
    """Until no replica runs on the server. Raises OperationError when one still does after some minutes."""
    deadline = time.monotonic() + MOVED_SECONDS
    while running := _running(_asked(others, "sh", "-ec", TASKS, "-", name)):
        if time.monotonic() >= deadline:
            raise OperationError(
                f"after {MOVED_SECONDS} s there still run on {name}: {', '.join(running)}; "
                "why they find no other place, a manager says: docker service ps --no-trunc NAME"
            )
        time.sleep(LOOK_SECONDS)


def _running(listed: str) -> list[str]:
    words = (line.split() for line in listed.splitlines())
    return [name for name, state, *_ in words if state == "Running"]


def _domains(pulumi: Pulumi, name: str) -> list[str]:
    """The domains that lead to the server while it is not emptied, as the stack file has them."""
    read = yaml.safe_load((PROGRAM / f"Pulumi.{pulumi.name}.yaml").read_text(encoding="utf-8"))
    entry = read["config"][f"{pulumi.project}:servers"][name]
    return [str(domain) for domain in (entry.get("dns") or {}).get("web") or []]


def _ttl(state: State, domains: list[str]) -> int:
    """Seconds for which resolvers may still answer with an address of these domains, of whichever server."""
    found = [one.outputs for one in state.of_type(RECORD) if one.outputs.get("type") in ("A", "AAAA")]
    named = [(".".join(filter(None, (str(one.get("name") or ""), str(one["domain"])))), one) for one in found]
    return max(
        (
            int(one.get("ttl") or 0)
            for host, one in named
            if any(f".{host}".endswith(f".{domain}") for domain in domains)
        ),
        default=0,
    )
