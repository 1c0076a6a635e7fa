"""A whole hive in a region of its own, to be changed, broken and looked at as its owner and its visitors would.

The program is a copy of the checkout, so that a test can change a site or an image. Everything goes through
what users have: `pulumi`, `python -m operations`, `python -m lab`, HTTP from the prober. Only the looking on
the host goes past them, by `docker exec` into the server.
"""

from __future__ import annotations

import base64
import copy
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from lab import control, services
from lab.paths import CHECKOUT, Paths
from lab.servers import Servers
from tests.lab.session import Sessions

UP_SECONDS = 900
LABEL = "apiary-lab-"  # of a server at Vultr, before its name
SITES = {"example.com": "site", "echo.example.net": "echo"}
PROBER = {"-6": "2001:db8:77:ffff::100", "-4": ""}  # the IPv4 one is of the region's plan


@dataclass(frozen=True)
class Done:
    """One run of `pulumi up` or `destroy`."""

    status: int
    output: str
    steps: tuple[tuple[str, str], ...]  # (operation, `type::name`) of every resource that was touched

    def resources(self) -> set[str]:
        """`type::name` of everything that was not left the same, components aside."""
        return {urn for operation, urn in self.steps if operation not in ("same", "refresh", "read")}

    def touched(self) -> set[str]:
        """`name` of the same: resources of one name are one."""
        return {urn.split("::")[-1] for urn in self.resources()}


@dataclass
class Load:
    """A stream of requests from the prober; `stop` ends it and tells how it went."""

    process: subprocess.Popen[str]
    flag: str
    prober: str

    def stop(self) -> tuple[int, list[str]]:
        """(requests, failures)."""
        subprocess.run(["docker", "exec", self.prober, "touch", self.flag], check=True)
        return self.end()

    def end(self) -> tuple[int, list[str]]:
        """The same, when its time has come."""
        out, err = self.process.communicate(timeout=60)
        assert self.process.returncode == 0, err
        result = json.loads(out)
        return int(result["requests"]), list(result["failed"])


# Runs in the prober. Every request is a connection of its own, over each family in turn.
STREAM = """
import http.client, json, os, socket, ssl, sys, time
scheme, host, path, flag, deadline = *sys.argv[1:5], time.monotonic() + float(sys.argv[5])
trust, port = ssl.create_default_context(), {"http": 80, "https": 443}[scheme]
requests, failed = 0, []
while not os.path.exists(flag) and time.monotonic() < deadline:
    for family in (socket.AF_INET6, socket.AF_INET):
        requests += 1
        started = time.time()
        try:
            address = socket.getaddrinfo(host, port, family, socket.SOCK_STREAM)[0][4][0]
            connection = http.client.HTTPConnection(address, port, timeout=10)
            connection.connect()
            if scheme == "https":
                connection.sock = trust.wrap_socket(connection.sock, server_hostname=host)
            connection.request("GET", path, headers={"Host": host})
            answer = connection.getresponse()
            answer.read()
            if answer.status != 200:
                failed.append(f"{started:.2f} {family.name}: status {answer.status}")
            connection.close()
        except OSError as error:
            failed.append(f"{started:.2f} {family.name}: {error!r}")
    time.sleep(0.03)
print(json.dumps({"requests": requests, "failed": failed}))
"""

# Runs in the prober: connects to every port of every address at once, and prints those that accept.
SCAN = """
import asyncio, json, sys
targets = json.load(sys.stdin)
async def main():
    slots = asyncio.Semaphore(4000)
    opened = []
    async def knock(address, port):
        async with slots:
            try:
                reader, writer = await asyncio.wait_for(asyncio.open_connection(address, port), 2)
            except (OSError, asyncio.TimeoutError):
                return
            writer.close()
            opened.append([address, port])
    await asyncio.gather(*(knock(a, p) for a in targets["addresses"] for p in targets["ports"]))
    print(json.dumps(sorted(opened)))
asyncio.run(main())
"""
PORTS = [
    *range(1, 1025),
    2375,
    2376,
    3306,
    5000,
    5432,
    5433,
    6379,
    8000,
    8080,
    8404,
    8443,
    9000,
    9090,
    27017,
    32768,
]


@dataclass
class Hive:
    """The stack `lab` of a copy of the program, in the region of `paths`."""

    paths: Paths
    program: Path
    settings: dict[str, Any] = field(default_factory=dict)  # the stack file's `config`
    warned: list[str] = field(default_factory=list)  # parts of the warnings that it is meant to have
    _outputs: dict[str, Any] = field(default_factory=dict)  # as long as nothing runs that could change them
    _sessions: dict[str, Sessions] = field(default_factory=dict)  # by what they are in: a server, the prober

    @classmethod
    def copy_of_the_checkout(cls, paths: Paths, program: Path, stack_file: Path | None = None) -> Hive:
        """The program as it stands, with `stack_file` in place of Pulumi.lab.yaml where one is given."""
        files = subprocess.run(
            ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
            cwd=CHECKOUT,
            check=True,
            capture_output=True,
            text=True,
        ).stdout.split()
        for file in files:
            if (CHECKOUT / file).is_file():
                target = program / file
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(CHECKOUT / file, target)
        (program / ".venv").symlink_to(CHECKOUT / ".venv")
        if stack_file is not None:
            shutil.copy2(stack_file, program / "Pulumi.lab.yaml")
        return cls(paths, program, yaml.safe_load((program / "Pulumi.lab.yaml").read_text())["config"])

    # --- the stack file

    @contextmanager
    def changed(self) -> Iterator[dict[str, Any]]:
        """Settings to change for a while; afterwards they are as before (the stack is not: say `up`)."""
        before = copy.deepcopy(self.settings)
        try:
            yield self.settings
        finally:
            self.settings = before

    def write(self) -> None:
        path = self.program / "Pulumi.lab.yaml"
        stack_file = yaml.safe_load(path.read_text())
        stack_file["config"] = self.settings
        path.write_text(yaml.safe_dump(stack_file, sort_keys=False))

    # --- what its owner does

    @property
    def environment(self) -> dict[str, str]:
        return {**os.environ, **control.environment(self.paths), "PULUMI_DEBUG_COMMANDS": "true"}

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """`pulumi ARGUMENTS` in the background, in a process group of its own."""
        self._outputs.clear()
        self.write()
        return subprocess.Popen(
            ["pulumi", *arguments, "--stack", "lab", "--non-interactive"],
            cwd=self.program,
            env=self.environment,
            text=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def pulumi(self, *arguments: str, check: bool = True) -> Done:
        """`pulumi ARGUMENTS`, to its end; with `check` it has to succeed, and to warn of nothing."""
        log = self.program / ".events.jsonl"
        log.unlink(missing_ok=True)
        events = ["--event-log", str(log)] if arguments[0] in ("up", "destroy", "refresh", "preview") else []
        process = self.start(*arguments, *events)
        try:
            output, _ = process.communicate(timeout=UP_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            raise AssertionError(f"`pulumi {' '.join(arguments)}` did not end: {process.communicate()[0]}") from None
        assert not check or process.returncode == 0, f"`pulumi {' '.join(arguments)}` failed:\n{output[-6000:]}"
        warnings = [one for one in _warnings(log) if not any(part in one for part in self.warned)]
        assert not (check and warnings), f"`pulumi {' '.join(arguments)}` warns: {warnings}"
        return Done(process.returncode, output, _steps(log))

    def interrupt(self, arguments: list[str], moment: str, how: Sequence[signal.Signals]) -> str:
        """Run `pulumi ARGUMENTS` and send it the signals `how` when a line of its output matches `moment`.

        Only the CLI gets them, as from a terminal's `kill`: what it started is left to itself.
        """
        process = self.start(*arguments)
        assert process.stdout is not None
        output: list[str] = []
        deadline = time.monotonic() + UP_SECONDS
        for line in process.stdout:
            output.append(line)
            assert time.monotonic() < deadline, "".join(output[-50:])
            if re.search(moment, line):
                for one in how:
                    process.send_signal(one)
                break
        else:
            raise AssertionError(f"{arguments} never came to {moment!r}:\n{''.join(output[-60:])}")
        rest, _ = process.communicate(timeout=UP_SECONDS)
        return "".join(output) + rest

    def up(self, check: bool = True) -> Done:
        return self.pulumi("up", "--yes", "--skip-preview", check=check)

    def operations(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """`python -m operations VERB ...`, e.g. heal."""
        self._outputs.clear()
        self.write()
        done = subprocess.run(
            [sys.executable, "-m", "operations", *arguments, "--stack", "lab"],
            cwd=self.program,
            env=self.environment,
            check=False,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=UP_SECONDS,
        )
        assert not check or done.returncode == 0, f"{arguments} failed:\n{done.stdout[-6000:]}\n{done.stderr[-3000:]}"
        return done

    def lab(self, *arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "lab", "--dir", str(self.paths.root), *arguments],
            cwd=CHECKOUT,
            check=False,
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert done.returncode == 0, f"lab {arguments}: {done.stdout}{done.stderr}"
        return done.stdout

    def expect_no_changes(self) -> None:
        """A second update must find nothing to do."""
        done = self.pulumi("up", "--yes", "--skip-preview", "--expect-no-changes", check=False)
        assert done.status == 0, f"a second update changes {sorted(done.touched())}:\n{done.output[-4000:]}"

    def expect_bootstrapped(self, server: str = "web1") -> None:
        """The playbooks, run again on the host from the archive of the update, must find nothing to do."""
        [sent] = (self.program / ".apiary" / "lab" / "cargo" / "playbooks" / server).iterdir()
        output = self.on_server(
            "set -e; folder=$(mktemp -d); trap 'rm -rf $folder' EXIT; base64 -d | tar -x -C $folder; cd $folder; "
            "bash bootstrap.sh web.yml",
            server=server,
            stdin=base64.b64encode(sent.read_bytes().partition(b"\n")[2]).decode(),
        )
        assert output.splitlines()[-1].startswith("recap"), output
        assert "changed=0 failures=0" in output.splitlines()[-1], output

    def expect_destroyed(self) -> None:
        """`pulumi destroy` must leave neither a machine nor anything in the account."""
        self.pulumi("destroy", "--yes", "--skip-preview")
        region = json.loads(self.paths.region.read_text())
        for table in ("instances", "reserved_ips", "firewall_groups", "ssh_keys", "domains", "vpcs"):
            assert not region[table], f"{table}: {region[table]}"
        # The API answers before the machine has gone, as Vultr's does.
        until(lambda: self.machines() == [], 30, "the machines have gone")

    def machines(self) -> list[str]:
        """The containers of the region that are none of its own services, but named by an instance's id."""
        everything = ["docker", "ps", "-a", "--filter", f"label={self.paths.label}", "--format", "{{.Names}}"]
        names = subprocess.run(everything, check=True, capture_output=True, text=True).stdout.split()
        return [name for name in names if re.search(r"-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$", name)]

    def expect_nothing_left(self) -> None:
        """Nothing on the server or at Vultr that carries the stack's name and is not in its state."""
        state = json.dumps(json.loads(self.output_of("stack", "export")))
        mine = "--no-trunc --filter label=apiary.stack=apiary-lab"
        for server in self.servers():
            for container in self.on_server(f"docker ps -aq {mine}", server=server).split():
                assert container in state, f"container {container} of {server} is not in the state"
            for network in self.on_server(f"docker network ls -q {mine}", server=server).split():
                assert network in state, f"network {network} of {server} is not in the state"
        region = json.loads(self.paths.region.read_text())
        for table in ("instances", "reserved_ips", "firewall_groups", "ssh_keys", "vpcs"):
            for key in region[table]:
                assert key in state, f"{table} {key} is not in the state"
        for zone, entry in region["domains"].items():
            for record in entry["records"]:
                assert record["id"] in state or record["type"] == "NS", f"{record} of {zone} is not in the state"

    def output_of(self, *arguments: str) -> str:
        return subprocess.run(
            ["pulumi", *arguments, "--stack", "lab"],
            cwd=self.program,
            env=self.environment,
            check=True,
            capture_output=True,
            text=True,
        ).stdout

    def outputs(self) -> dict[str, Any]:
        if not self._outputs:
            self._outputs.update(json.loads(self.output_of("stack", "output", "--json")))
        return self._outputs

    def passwords(self) -> dict[str, str]:
        """The generated passwords, as their owner reads them."""
        return dict(json.loads(self.output_of("stack", "output", "passwords", "--show-secrets", "--json")))

    @property
    def server(self) -> dict[str, Any]:
        """The stack's exports of web1: ipv4, ipv6, prefix, web_ipv6, host_key."""
        found: dict[str, Any] = self.outputs()["servers"]["web1"]
        return found

    # --- what is on the server

    def servers(self) -> list[str]:
        """The names of the servers that run, as the stack file has them."""
        running = [one for one in Servers(self.paths.root).all() if one["state"] == "running"]
        return sorted(one["name"].removeprefix(LABEL) for one in running)

    def server_command(self, *command: str, server: str = "web1", stdin: str = "") -> subprocess.CompletedProcess[str]:
        """A command on a server, whatever its end."""
        sessions = self._sessions.get(server)
        if sessions is None or not sessions.live:  # perhaps it is another machine by now
            sessions = self._sessions[server] = Sessions(self.machine(server))
        return sessions.run(command, stdin)

    def machine(self, server: str) -> str:
        """The container that a server is."""
        everywhere = [one for one in Servers(self.paths.root).all() if one["state"] == "running"]
        servers = [one for one in everywhere if one["name"] == f"{LABEL}{server}"]
        assert len(servers) == 1, f"servers that run: {everywhere}"
        return self.paths.name(servers[0]["id"])

    def on_server(self, command: str, check: bool = True, server: str = "web1", stdin: str = "") -> str:
        """What a command prints that runs on a server, as root."""
        done = self.server_command("bash", "-c", command, server=server, stdin=stdin)
        assert not check or done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
        return done.stdout

    def container(self, name: str, server: str = "web1") -> str:
        """Id of the running container of an application."""
        label = f"apiary.resource=applications.{name}"
        found = self.on_server(f"docker ps -q --filter label={label}", server=server).split()
        assert len(found) == 1, f"{len(found)} containers of {name} run"
        return found[0]

    def job(self, name: str, server: str = "web1") -> str:
        """Id of the container of a job, which has ended."""
        return self.on_server(
            f"docker ps -aq --no-trunc --filter label=apiary.resource=jobs.{name}", server=server
        ).strip()

    def beside(self, name: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """A job of web1 once more, beside the one of the stack, with other settings."""
        found = json.loads(self.on_server(f"docker inspect {self.job(name)}"))[0]
        labels = found["Config"]["Labels"]
        variables = dict(line.split("=", 1) for line in found["Config"]["Env"]) | environment
        options = [word for key, value in variables.items() for word in ("-e", f"{key}={value}")]
        return self.server_command(
            *("docker", "run", "--rm", "--cap-drop", "ALL", "--volumes-from", found["Id"]),
            *("--network", next(iter(found["NetworkSettings"]["Networks"]))),
            # It reaches whom that one reaches, and is not taken for it.
            *("--label", "apiary.resource=jobs.beside", "--label", f"apiary.reach={labels['apiary.reach']}"),
            *(*options, found["Config"]["Image"]),
        )

    def container_addresses(self) -> list[str]:
        """Every address of every container of the server, both families."""
        ids = self.on_server("docker ps -q").split()
        containers = json.loads(self.on_server(f"docker inspect {' '.join(ids)}"))
        networks = [container["NetworkSettings"]["Networks"] for container in containers]
        return sorted(
            address
            for container in networks
            for network in container.values()
            for address in (network["IPAddress"], network["GlobalIPv6Address"])
            if address
        )

    def reboot(self, server: str = "web1") -> None:
        self.lab("reboot", f"{LABEL}{server}")

    # --- what its visitors see

    def prober(self, *command: str, routed: bool = False, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        """A command of a visitor's, next to the servers or, `routed`, from behind a router; whatever its end."""
        if routed:
            services.route_to(self.paths, Servers(self.paths.root).all())
        prober = self.paths.name("prober-routed" if routed else "prober")
        return self._sessions.setdefault(prober, Sessions(prober)).run(command, stdin or "")

    def get(self, url: str, family: str, *options: str) -> tuple[int, str]:
        """(status, body) of a request from the prober; status 0 when there was no answer."""
        done = self.prober("curl", "-sS", family, "--max-time", "10", "-w", "\n%{http_code}", *options, url)
        body, _, status = done.stdout.rpartition("\n")
        return int(status or 0), body if done.returncode == 0 else done.stderr

    def own_address(self, family: str) -> str:
        found = self.prober("ip", "-json", family, "address", "show", "dev", "eth0", "scope", "global")
        return str(json.loads(found.stdout)[0]["addr_info"][0]["local"])

    def load(self, host: str = "echo.example.net", path: str = "/", seconds: int = 600) -> Load:
        """A stream of requests until it is stopped, or for `seconds`."""
        flag = f"/tmp/stop-{time.monotonic_ns()}"
        asked = [self.scheme, host, path, flag, str(seconds)]
        process = subprocess.Popen(
            ["docker", "exec", self.paths.name("prober"), "python3", "-c", STREAM, *asked],
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            stdin=subprocess.DEVNULL,
        )
        return Load(process, flag, self.paths.name("prober"))

    def in_prober(self, *command: str) -> subprocess.Popen[str]:
        """A command in the prober that goes on while the test does something else."""
        return subprocess.Popen(
            ["docker", "exec", self.paths.name("prober"), *command],
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            stdin=subprocess.DEVNULL,
        )

    def scan(self, addresses: list[str], routed: bool = False, ports: Sequence[int] = PORTS) -> list[tuple[str, int]]:
        """Every (address, port) that accepts a TCP connection."""
        targets = json.dumps({"addresses": addresses, "ports": list(ports)})
        found = self.prober("python3", "-c", SCAN, routed=routed, stdin=targets)
        assert found.returncode == 0, found.stderr
        return [(address, port) for address, port in json.loads(found.stdout)]

    @property
    def scheme(self) -> str:
        """How its sites are served: over https when the proxy publishes that port."""
        return "https" if 443 in self.settings["apiary:applications"]["haproxy"]["ports"] else "http"

    def expect_served(self) -> None:
        """Every site answers over both families with the visitor's own address."""
        for family in ("-6", "-4"):
            status, body = self.get(f"{self.scheme}://echo.example.net/", family, "-H", "Accept: application/json")
            assert status == 200, f"echo over {family}: {status} {body}"
            assert json.loads(body)["x_forwarded_for"] == [self.own_address(family)]
            assert json.loads(body)["x_forwarded_proto"] == self.scheme
            status, body = self.get(f"{self.scheme}://example.com/", family)
            assert status == 200, f"site over {family}: {status} {body}"


def until(condition: Any, seconds: float, what: str) -> None:
    """Wait for `condition()`; fail with `what` when it does not come true."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"after {seconds:.0f} s still not: {what}"
        time.sleep(0.3)


def _warnings(log: Path) -> list[str]:
    events = [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
    said = [event["diagnosticEvent"] for event in events if "diagnosticEvent" in event]
    return [one["message"] for one in said if one["severity"] == "warning"]


def _steps(log: Path) -> tuple[tuple[str, str], ...]:
    if not log.exists():
        return ()
    found: list[tuple[str, str]] = []
    for line in log.read_text().splitlines():
        event: Mapping[str, Any] = json.loads(line)
        step = event.get("resourcePreEvent") or event.get("resourceOutputsEvent")
        if step:
            metadata = step["metadata"]
            if not metadata["type"].startswith(("apiary:", "pulumi:pulumi:")):
                found.append((metadata["op"], "::".join(metadata["urn"].split("::")[2:])))
    return tuple(dict.fromkeys(found))
