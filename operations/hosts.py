"""A server's Docker over SSH: what of this stack the state doesn't know there, and its removal.

Logs in as the Docker plugin does, with the options that the state has recorded. Containers, networks and
images go; volumes never do.
"""

from __future__ import annotations

import json
import os
import shlex
import socket
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from operations.cli import PROGRAM, OperationError, Pulumi
from operations.state import CLIENT_KEY, Server, State

STACK_LABEL = "apiary.stack"
NODE_LABEL = "apiary.server"  # playbooks/roles/swarm
SITES = (80, 443)
CONNECT_SECONDS = 10
COMMAND_SECONDS = 300
# Both files are the bootstrap's (playbooks/bootstrap.sh, roles/tools).
READY = (
    '[ "$(cat /etc/apiary/instance 2>/dev/null)" = "$1" ] || exit 0; '
    f"flock --wait {COMMAND_SECONDS - 20} /run/apiary-bootstrap.lock echo ready || "
    '{ echo "the bootstrap of the update before still runs there; run this again when it has ended" >&2; exit 1; }'
)


# What `ssh` says of a server that lives and does not let us in: no proof that it is dead.
REFUSALS = ("Permission denied (", "Host key verification failed", "Too many authentication failures")


class Unreachable(OperationError):
    """The server does not answer; `said` is why, in the words of `ssh`."""

    def __init__(self, server: str, said: str) -> None:
        super().__init__(f"server {server} does not answer: {said}")
        self.said = said


class Refused(OperationError):
    """The server answers, and does not let us in or is not the one whose host key is pinned."""


class Ended(OperationError):
    """A command there ended with a status other than 0, which is `there`."""

    def __init__(self, message: str, there: int) -> None:
        super().__init__(message)
        self.there = there


@dataclass(frozen=True)
class Host:
    """One server, reached over SSH."""

    server: Server

    def _login(self, connect: int = CONNECT_SECONDS) -> list[str]:
        address = urlsplit(self.server.host)
        return [
            *self.server.ssh_options, "-o", f"ConnectTimeout={connect}", "-o", "LogLevel=ERROR",
            "-o", "ServerAliveInterval=5", "-o", "ServerAliveCountMax=3",
            "-p", str(address.port or 22), f"{address.username or 'root'}@{address.hostname}",
        ]  # fmt: skip

    def stream(self, *command: str) -> int:
        """Run a command there with its output shown as it comes; its exit status, or 255 when the connection broke."""
        return subprocess.run(
            ["ssh", *self._login(), shlex.join(command)], cwd=PROGRAM, check=False, stdin=subprocess.DEVNULL
        ).returncode

    def run(self, *command: str, timeout: float = COMMAND_SECONDS, stdin: str = "") -> str:
        """What a command prints there. Raises Unreachable, Refused, or Ended when the command fails."""
        # So that where there is not much time, it is told what took it.
        connect = max(1, min(CONNECT_SECONDS, int(timeout) - 1))
        done = _ssh([*self._login(connect), shlex.join(command)], timeout, stdin)
        if done.returncode == 255 and any(refusal in done.stderr for refusal in REFUSALS):
            raise Refused(
                f"server {self.server.name} answers but does not let us in: {done.stderr.strip()}; it is not dead. "
                "If its keys were changed by hand, put them back from Vultr's console; "
                "`pulumi preview` writes the client key of the state into .apiary/"
            )
        if done.returncode == 255:
            raise Unreachable(self.server.name, done.stderr.strip() or "no reason given")
        if done.returncode != 0:
            raise Ended(
                f"server {self.server.name}: `{shlex.join(command)}` ended with status {done.returncode}: "
                f"{done.stderr.strip()}",
                done.returncode,
            )
        return done.stdout

    def sign_of_life(self) -> str | None:
        """What still answers at the server's address, for one that nobody can log in to; None when nothing does.

        A machine that is off accepts nothing and refuses nothing. What hangs, or lets us in no longer, may
        still accept connections, or serve its sites.
        """
        address = urlsplit(self.server.host)
        for port in (address.port or 22, *SITES):
            try:
                with socket.create_connection((str(address.hostname), port), timeout=CONNECT_SECONDS):
                    return f"port {port} accepts connections"
            except ConnectionRefusedError:
                return f"port {port} is refused by a machine that is up"
            except OSError:  # silence
                continue
        return None

    def is_ready(self) -> bool:
        """Whether a bootstrap has come to its end here for this instance: before it nothing of the stack is in Docker.

        Waits for one that runs: the script of an update that was killed goes on, and restarts Docker. Raises
        Unreachable.
        """
        instance = self.server.instance.id if self.server.instance else ""
        return "ready" in self.run("sh", "-c", READY, "-", instance)

    def sweep(self, tag: str, known: Iterable[str], servers: Iterable[str] = ()) -> list[str]:
        """Remove the stack's containers and networks whose ids are not `known`, and on a manager of a swarm what is the
        swarm's, and dead nodes of none of the `servers`; says what it removed.
        """
        known = frozenset(known)
        told = self.run("docker", "info", "--format", "{{.Swarm.ControlAvailable}} {{.Swarm.Error}}").split(None, 1)
        decides, why = told[0] == "true", (told[1:] or [""])[0].partition(". ")[0].strip()
        if decides and why:
            raise OperationError(
                f"server {self.server.name} decides about the swarm, and can't, as most managers are away ({why}): "
                f"bring one back, or say make recover SERVER={self.server.name}"
            )
        done = [*self._sweep_swarm(tag, known), *self._sweep_nodes(servers)] if decides else []
        for kind, listing in (("container", ["ps", "--all"]), ("network", ["network", "ls"])):
            names = "{{.ID}} {{.Names}}" if kind == "container" else "{{.ID}} {{.Name}}"
            # A swarm's network is one on all of its servers, and only a manager removes it.
            only = ["--filter", "scope=local"] if kind == "network" and not decides else []
            lines = self.run(
                "docker", *listing, "--no-trunc", "--filter", f"label={STACK_LABEL}={tag}", *only, "--format", names
            ).splitlines()
            for id_, _, name in (line.partition(" ") for line in lines):
                if id_ in known:
                    continue
                if kind == "container":
                    self.run("docker", "stop", "--time", "10", id_)
                    self.run("docker", "rm", "--force", id_)
                else:
                    self.run("docker", "network", "rm", id_)
                done.append(f"{kind} {name}")
        return done

    def _sweep_swarm(self, tag: str, known: frozenset[str]) -> list[str]:
        """Services first: what they use can't go before."""
        done = []
        for kind in ("service", "secret", "config"):
            listed = self.run(
                "docker", kind, "ls", "--filter", f"label={STACK_LABEL}={tag}", "--format", "{{.ID}} {{.Name}}"
            )
            for short, _, name in (line.partition(" ") for line in listed.splitlines()):
                # Listed are the first letters of ids.
                if not any(id_.startswith(short) for id_ in known):
                    self.run("docker", kind, "rm", short)
                    done.append(f"{kind} {name}")
        return done

    def _sweep_nodes(self, servers: Iterable[str]) -> list[str]:
        """What is down and is no server any more: nobody who decided could be told when that one left."""
        servers = frozenset(servers)
        ids = self.run("docker", "node", "ls", "--quiet").split()
        nodes: list[dict[str, Any]] = json.loads(self.run("docker", "node", "inspect", *ids)) if ids else []
        done = []
        # One whose join was cut off has no label yet; its host is called as its server is.
        names = {
            node["ID"]: (node["Spec"].get("Labels") or {}).get(NODE_LABEL)
            or (node.get("Description") or {}).get("Hostname")
            for node in nodes
        }
        living = {names[node["ID"]] for node in nodes if node["Status"]["State"] != "down"}
        for node in nodes:
            name = names[node["ID"]]
            # Of a server that is there again, the one that it was before is of nobody.
            if name is None or node["Status"]["State"] != "down" or (name in servers and name not in living):
                continue
            if node.get("ManagerStatus"):
                self.run("docker", "node", "demote", node["ID"])
            self.run("docker", "node", "rm", "--force", node["ID"])
            done.append(f"node {name}")
        return done

    def prune_images(self, tag: str, wanted: Iterable[str]) -> list[str]:
        """Remove the images that this stack built and no longer wants; one that is in use stays."""
        wanted = frozenset(wanted)
        lines = self.run(
            "docker", "image", "ls", "--filter", f"label={STACK_LABEL}={tag}",
            "--format", "{{.Repository}}:{{.Tag}}",
        ).splitlines()  # fmt: skip
        done = []
        for image in sorted({line for line in lines if line not in wanted and "<none>" not in line}):
            self.run("docker", "image", "rm", image)
            done.append(f"image {image}")
        return done


def ensure_key(pulumi: Pulumi, state: State) -> None:
    """The stack's client key in its file, as the state has it: another checkout may have changed it since."""
    if any(resource.full_type == CLIENT_KEY for resource in state.resources):
        write_key(pulumi, key_of(State.of(pulumi.export(secrets=True))))


def key_of(opened: State) -> str | None:
    """The client key of a state that was exported with its secrets; None before there is one."""
    # Of two that a change of keys has left, the one that is on its way out opens no server for long.
    keys = (resource for resource in opened.resources if resource.full_type == CLIENT_KEY)
    key = min(keys, key=lambda resource: resource.doomed, default=None)
    return None if key is None else plain(key.outputs["privateKeyOpenssh"])


def write_key(pulumi: Pulumi, text: str | None) -> None:
    """Put the key into its file, where it is not there already."""
    file = pulumi.folder / "id_ed25519"
    if text is not None and (not file.exists() or file.read_text() != text or file.stat().st_mode & 0o077):
        _write(file, text)


def plain(value: object) -> str:
    """A secret output as `export --show-secrets` prints it: JSON text inside the secret's envelope."""
    return str(json.loads(value["plaintext"]) if isinstance(value, dict) else value)


def _write(file: Path, text: str) -> None:
    fresh = file.with_suffix(".new")
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as stream:
        stream.write(text)
    fresh.replace(file)


def _ssh(arguments: list[str], timeout: float, stdin: str = "") -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            ["ssh", *arguments], cwd=PROGRAM, check=False, capture_output=True, text=True,
            input=stdin, timeout=timeout,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(arguments, 255, "", f"no end after {timeout:.0f} s")
    except FileNotFoundError:
        raise OperationError("there is no `ssh` on PATH; install an OpenSSH client") from None
