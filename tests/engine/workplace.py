"""Where the engine tests run `pulumi`: a copy of the program, with a backend and a PULUMI_HOME of its own.

Makes files below one folder, and in the lab's tree the CLI and the plugins where they are missing. Needs no
region. Whatever the CLI or a plugin would ask of the network goes to a proxy that nobody answers, and whatever
they would ask of a host to an `ssh` that only fails; both write down that they were asked.
"""

from __future__ import annotations

import compileall
import copy
import json
import os
import resource
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from lab.paths import CHECKOUT, Paths
from lab.plugins.install import MARK
from lab.tools import ensure_plugins, ensure_pulumi, keep_no_logs
from tests.engine.plans import Step, short

# Opens the encrypted values of tests/engine/stacks/, which are secrets of nobody.
PASSPHRASE = "engine tests"
PROGRAM = ("__main__.py", "Pulumi.yaml", "settings", "components", "provider", "playbooks", "images")
SECONDS = 90  # no preview takes a tenth of it


@dataclass(frozen=True)
class Run:
    """What one call of the CLI printed."""

    status: int
    stdout: str
    stderr: str
    seconds: float
    worked: float  # seconds of a processor, of all that it started

    @property
    def output(self) -> str:
        return self.stdout + self.stderr

    def json(self) -> Any:
        """The standard output as data; AssertionError with all that was printed when the call failed."""
        assert self.status == 0, self.output
        return json.loads(self.stdout)


class Silence:
    """A proxy on 127.0.0.1 that hangs up on everybody and counts them."""

    def __init__(self) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self.asked: list[str] = []
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return  # closed
            with connection:
                connection.settimeout(2)
                try:
                    self.asked.append(connection.recv(200).decode(errors="replace").split("\r\n")[0])
                except OSError as error:
                    self.asked.append(f"something unreadable: {error}")

    def close(self) -> None:
        self._socket.close()


class Workplace:
    """One folder with a backend; `project` makes copies of the program that share it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        paths = Paths.find()
        self.pulumi = ensure_pulumi(paths)
        ensure_plugins(paths, self.pulumi)
        self._program = folder / "program"
        _copy_program(CHECKOUT, self._program)
        compileall.compile_dir(self._program, quiet=1)  # each copy of it is run once or twice
        self.silence = Silence()
        self.state = folder / "state"
        self.state.mkdir(parents=True)
        home = folder / "home"
        keep_no_logs(home)
        (home / "plugins").symlink_to(paths.pulumi / "plugins")
        if (paths.pulumi / MARK).exists():
            shutil.copy(paths.pulumi / MARK, home / MARK)
        self._ssh_log = folder / "ssh.log"
        shims = folder / "shims"
        shims.mkdir()
        (shims / "ssh").write_text(f'#!/bin/sh\necho "$@" >> {self._ssh_log}\nexit 255\n')
        (shims / "ssh").chmod(0o755)
        inherited = {
            key: value
            for key, value in os.environ.items()
            if not key.startswith(("PULUMI_", "VULTR_", "DOCKER_")) and "proxy" not in key.lower()
        }
        search = [str(shims), str(Path(sys.executable).parent), str(self.pulumi.parent), os.environ["PATH"]]
        self.environment = {
            **inherited,
            "PATH": ":".join(search),
            "PULUMI_HOME": str(home),
            "PULUMI_BACKEND_URL": f"file://{self.state}?metadata=skip",
            "PULUMI_CONFIG_PASSPHRASE": PASSPHRASE,
            "PULUMI_SKIP_UPDATE_CHECK": "true",
            "GOGC": "400",
            "NO_COLOR": "1",
            **dict.fromkeys(("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy"), self.silence.url),
            **dict.fromkeys(("NO_PROXY", "no_proxy"), "127.0.0.1,localhost"),
        }

    def asked(self) -> list[str]:
        """Whom anything that ran here wanted to reach so far."""
        hosts = self._ssh_log.read_text().splitlines() if self._ssh_log.exists() else []
        return self.silence.asked + [f"ssh {host}" for host in hosts]

    def forget(self) -> None:
        """Start anew with nobody asked."""
        self.silence.asked.clear()
        self._ssh_log.unlink(missing_ok=True)

    def project(self, name: str, stack: str, stack_file: Mapping[str, Any]) -> Project:
        """A copy of the program in a folder `name` of its own, with one stack."""
        folder = self.folder / "projects" / name
        _copy_program(self._program, folder)
        (folder / ".venv").symlink_to(sys.prefix)
        project = Project(self, folder, stack)
        project.write(stack_file)
        return project

    def close(self) -> None:
        self.silence.close()


@dataclass(frozen=True)
class Project:
    """A copy of the program that may be changed."""

    workplace: Workplace
    folder: Path
    stack: str

    def write(self, stack_file: Mapping[str, Any]) -> None:
        """Make `stack_file` the stack's file."""
        path = self.folder / f"Pulumi.{self.stack}.yaml"
        path.write_text(yaml.safe_dump(dict(stack_file), sort_keys=False))

    def run(self, *arguments: str, environment: Mapping[str, str] | None = None, stdin: str | None = None) -> Run:
        """`pulumi ARGUMENTS --stack STACK`."""
        before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
        done = subprocess.run(
            [str(self.workplace.pulumi), *arguments, "--stack", self.stack, "--non-interactive"],
            cwd=self.folder,
            env={**self.workplace.environment, **(environment or {})},
            input=stdin,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        worked = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        return Run(done.returncode, done.stdout, done.stderr, time.monotonic() - started, worked)

    def made(self) -> Project:
        """The same project, once its stack exists at the backend."""
        run = self.run("stack", "select", "--create")
        assert run.status == 0, run.output
        return self

    @contextmanager
    def state(self, exported: Mapping[str, Any]) -> Iterator[None]:
        """The stack with another state for as long as the context lasts; other tests find the one that it had."""
        before = self.run("stack", "export").stdout
        self._import(json.dumps(exported))
        try:
            yield
        finally:
            self._import(before)

    def _import(self, text: str) -> None:
        done = self.run("stack", "import", stdin=text)
        assert done.status == 0, done.output

    def plan(self, *arguments: str) -> Any:
        """What `pulumi preview --json` prints."""
        return self.run("preview", "--json", *arguments).json()

    def steps(self) -> list[Step]:
        """The steps of a preview in the engine's order, those of a replacement apart, as `plan` does not show them."""
        run = self.run("preview", "--json", environment={"PULUMI_ENABLE_STREAMING_JSON_PREVIEW": "true"})
        assert run.status == 0, run.output
        events = [json.loads(line) for line in run.stdout.splitlines()]
        steps = [event["resourcePreEvent"]["metadata"] for event in events if "resourcePreEvent" in event]
        assert steps, run.output
        return [(step["op"], short(step["urn"])) for step in steps]


def _copy_program(source: Path, target: Path) -> None:
    target.mkdir(parents=True)
    ignored = shutil.ignore_patterns("__pycache__") if source == CHECKOUT else None
    for part in PROGRAM:
        if (source / part).is_dir():
            shutil.copytree(source / part, target / part, ignore=ignored)
        else:
            shutil.copy(source / part, target / part)


def read_stack_file(path: Path) -> dict[str, Any]:
    """A stack file; what another passphrase has encrypted, or nobody has written yet, becomes a placeholder."""
    stack_file = yaml.safe_load(path.read_text())
    if path.parent.name != "stacks":
        stack_file.pop("encryptionsalt", None)
        stack_file["config"] = {"vultr:apiKey": "placeholder", **_readable(stack_file["config"])}
    return dict(stack_file)


def _readable(value: Any) -> Any:
    match value:
        case {"secure": str()} if len(value) == 1:
            return "placeholder"
        case dict():
            return {key: _readable(inner) for key, inner in value.items()}
        case list():
            return [_readable(inner) for inner in value]
        case _:
            return copy.copy(value)
