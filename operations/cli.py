"""The Pulumi CLI on one stack, as every verb here uses it.

Runs `pulumi` in the program's folder with the caller's environment: which backend, which credentials and which
lab is decided there, never here.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PROGRAM = Path(__file__).resolve().parent.parent


class OperationError(Exception):
    """A verb that could not be done; the message says which step, why, and what to do."""


@dataclass(frozen=True)
class Pulumi:
    """One stack, by its name."""

    stack: str

    def select(self) -> None:
        """Make sure that the stack exists."""
        self.run("stack", "select", "--create", self.stack, quiet=True)

    def run(self, *arguments: str, quiet: bool = False) -> None:
        """Run `pulumi ARGUMENTS` on the stack, its output shown as it comes, or only on failure with `quiet`.

        Raises OperationError when it fails.
        """
        command = [_program(), *arguments, "--non-interactive"]
        if "select" not in arguments:
            command += ["--stack", self.stack]
        if not quiet and sys.stdout.isatty():
            command.append("--color=always")
        done = subprocess.run(command, cwd=PROGRAM, check=False, capture_output=quiet, text=True)
        if done.returncode != 0:
            said = f":\n{done.stdout}{done.stderr}".rstrip() if quiet else " (above)"
            raise OperationError(f"`pulumi {' '.join(arguments)}` failed{said}")

    def export(self) -> dict[str, Any]:
        """The stack's state, secrets encrypted; raises OperationError when it can't be read."""
        done = subprocess.run(
            [_program(), "stack", "export", "--non-interactive", "--stack", self.stack],
            cwd=PROGRAM, check=False, capture_output=True, text=True,
        )
        if done.returncode != 0:
            raise OperationError(f"the state of stack {self.stack} can't be read:\n{done.stderr.strip()}")
        state: dict[str, Any] = json.loads(done.stdout)
        return state


def _program() -> str:
    found = shutil.which("pulumi")
    if found is None:
        raise OperationError(
            "no `pulumi` on PATH; for the lab's: eval \"$(.venv/bin/python -m lab env)\", else install Pulumi"
        )
    return found
