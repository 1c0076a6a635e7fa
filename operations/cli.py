"""The Pulumi CLI on one stack, as every verb here uses it.

Runs `pulumi` in the program's folder with the caller's environment: which backend, which credentials and
which lab is decided there, never here. Leaves alone: what the answers mean (state.py).
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import yaml

PROGRAM = Path(__file__).resolve().parent.parent


class OperationError(Exception):
    """A verb that could not be done; the message says which step, why, and what to do.

    `status` is the exit status that the verb ends with.
    """

    def __init__(self, message: str, status: int = 1) -> None:
        super().__init__(message)
        self.status = status


def say(text: str) -> None:
    """One line on what is being done, at once also when the output is a file."""
    print(text, flush=True)


@dataclass(frozen=True)
class Pulumi:
    """One stack, by its name."""

    stack: str

    @property
    def project(self) -> str:
        """The program's name, from Pulumi.yaml."""
        return str(yaml.safe_load((PROGRAM / "Pulumi.yaml").read_text())["name"])

    @property
    def tag(self) -> str:
        """What the stack's objects carry on hosts and in the account, e.g. `apiary-prod`."""
        return f"{self.project}-{self.name}"

    @property
    def name(self) -> str:
        """The stack's own name, without the organisation and project that it may be given with."""
        return self.stack.rpartition("/")[2]

    @property
    def folder(self) -> Path:
        """Where this checkout keeps the stack's SSH key; made readable by this user alone."""
        path = PROGRAM / ".apiary" / self.name
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        return path

    def select(self, *, create: bool = False) -> None:
        """Make sure that the stack exists; raises OperationError when it does not, unless it may be created."""
        try:
            self.run("stack", "select", *(["--create"] if create else []), self.stack, quiet=True)
        except OperationError:
            if create:
                raise
            # Asked only now: the list fails on a torn file of any stack, also of one that nobody means.
            there = sorted(str(entry["name"]) for entry in json.loads(self.ask("stack", "ls", "--json")))
            if self.stack in {name.rsplit("/", 1)[-1] for name in there} | set(there):
                raise
            known = ", ".join(there) or "none"
            raise OperationError(
                f"there is no stack {self.stack!r}; there are: {known}; a new one: pulumi stack init {self.stack}"
            ) from None

    def run(self, *arguments: str, quiet: bool = False, watch: Callable[[str], None] | None = None) -> None:
        """Run `pulumi ARGUMENTS` on the stack, its output shown as it comes, or only on failure with `quiet`.

        With `watch` the lines are shown and handed to it too. An interrupt is passed on once and waited for:
        the engine then finishes what runs and records it. Raises OperationError when the command fails.
        """
        command = [_program(), *arguments, "--non-interactive"]
        if "select" not in arguments:
            command += ["--stack", self.stack]
        if not quiet and sys.stdout.isatty():
            command.append("--color=always")
        read = quiet or watch is not None
        lines: list[str] = []
        with _started(command, read=read) as process:
            for line in process.stdout or ():
                lines.append(line)
                if not quiet:
                    print(line, end="", flush=True)
                if watch is not None:
                    watch(line)
            status = process.wait()
        if status != 0:
            said = ":\n" + "".join(lines).rstrip() if quiet else " (above)"
            raise OperationError(f"`pulumi {' '.join(arguments)}` failed{said}", status if status > 0 else 1)

    def ask(self, *arguments: str) -> str:
        """What `pulumi ARGUMENTS` prints on standard output. Raises OperationError when it fails."""
        done = _asked(*arguments)
        if done.returncode != 0:
            raise OperationError(f"`pulumi {' '.join(arguments)}` failed:\n{(done.stderr or done.stdout).strip()}")
        return done.stdout

    def begin(self, *arguments: str) -> subprocess.Popen[str]:
        """`pulumi ARGUMENTS` in the background, in a session of its own, for whoever may have to give it up."""
        return subprocess.Popen(
            [_program(), *arguments, "--stack", self.stack, "--non-interactive"], cwd=PROGRAM, text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
        )  # fmt: skip

    def preview(self, *options: str) -> dict[str, Any]:
        """What an update with these options would do, as `pulumi preview --json` prints it; asks no host.

        Raises OperationError with the diagnostics, for a person to read, when there can be no such plan.
        """
        done = _asked("preview", "--json", "--stack", self.stack, *options)
        try:
            plan: dict[str, Any] = json.loads(done.stdout)
        except ValueError:  # it did not come as far as a plan
            plan = {}
        if done.returncode != 0:
            said = "\n".join(str(entry["message"]).strip() for entry in plan.get("diagnostics") or [])
            raise OperationError(f"`pulumi preview` failed:\n{said or (done.stderr or done.stdout).strip()}")
        return plan

    def backend(self) -> str:
        """The URL of the backend, e.g. `file:///srv/state` or `https://api.pulumi.com`."""
        return str(json.loads(self.ask("whoami", "--verbose", "--json"))["url"])

    def updating(self, *, is_service: bool) -> str:
        """What the CLI says of an update of this stack, which must be there, that runs or has broken off; nothing where
        there is none. Of Pulumi Cloud (`is_service`) the list says it. A bucket has its lock within, and to make the
        stack once more is refused for the lock, or else for the stack. Raises OperationError where that can't be told.
        """
        if is_service:
            found = json.loads(self.ask("stack", "ls", "--json"))
            # Of another organisation it stands before the name.
            mine = [one for one in found if str(one["name"]).rpartition("/")[2] == self.name]
            if not mine:
                raise OperationError(f"nobody can tell whether an update of stack {self.stack} runs: it is in no list")
            return "Pulumi Cloud has it in progress" if any(one.get("updateInProgress") for one in mine) else ""
        done = _asked("stack", "init", "--no-select", self.stack)
        said = (done.stderr or done.stdout).strip()
        if "currently locked" in said:
            return " ".join(said.splitlines()[-1].split())
        if "already exists" not in said:
            raise OperationError(f"nobody can tell whether an update of stack {self.stack} runs:\n{said}")
        return ""

    def export(self, *, secrets: bool = False) -> dict[str, Any]:
        """The stack's state, secrets encrypted unless wanted; raises OperationError when it can't be read."""
        options = ["--show-secrets"] if secrets else []
        state: dict[str, Any] = json.loads(self.ask("stack", "export", "--stack", self.stack, *options))
        return state

    def restore(self, state: dict[str, Any]) -> None:
        """Write back what `export` gave, changed. Raises OperationError when the engine refuses it."""
        done = _asked("stack", "import", "--stack", self.stack, said=json.dumps(state))
        if done.returncode != 0:
            said = (done.stderr or done.stdout).strip()
            raise OperationError(f"the corrected state was refused, and the old one is as it was:\n{said}")

    def setting(self, key: str) -> str | None:
        """One plain setting of the stack file, decrypted; None when it is not set."""
        values = json.loads(self.ask("config", "--stack", self.stack, "--show-secrets", "--json"))
        entry = values.get(key)
        return None if entry is None else str(entry["value"])


def _asked(*arguments: str, said: str | None = None) -> subprocess.CompletedProcess[str]:
    """`pulumi ARGUMENTS` to its end, with `said` on its standard input."""
    command = [_program(), *arguments, "--non-interactive"]
    return subprocess.run(command, cwd=PROGRAM, check=False, capture_output=True, text=True, input=said)


@contextmanager
def _started(command: list[str], *, read: bool) -> Iterator[subprocess.Popen[str]]:
    """A process in a group of its own: it gets each interrupt from here alone, and so only once."""
    process = subprocess.Popen(
        command,
        cwd=PROGRAM,
        text=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE if read else None,
        stderr=subprocess.STDOUT if read else None,
        process_group=0,
    )

    def pass_on(number: int, _: FrameType | None) -> None:
        if process.poll() is None:
            os.kill(process.pid, number)

    before = {number: signal.signal(number, pass_on) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield process
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _program() -> str:
    found = shutil.which("pulumi")
    if found is None:
        raise OperationError(
            'no `pulumi` on PATH; for the lab\'s: eval "$(.venv/bin/python -m lab env)", else install Pulumi'
        )
    return found
