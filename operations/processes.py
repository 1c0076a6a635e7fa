"""Processes that an update left behind on this machine, and whether the holder of a lock still lives.

Reads /proc and ends single processes by their number. Never ends anything whose Pulumi CLI is alive, nor
anything of another project or backend.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")
PLUGINS = ("pulumi-resource-", "pulumi-language-")
PATIENCE_SECONDS = 10.0


@dataclass(frozen=True)
class Process:
    """One process of this machine."""

    pid: int
    parent: int
    started: float  # seconds since the epoch
    command: tuple[str, ...]
    folder: str
    environment: Mapping[str, str]

    @property
    def is_cli(self) -> bool:
        return bool(self.command) and Path(self.command[0]).name == "pulumi"

    @property
    def is_plugin(self) -> bool:
        """A plugin, a language host, or the interpreter that runs one."""
        return any(Path(word).name.startswith(PLUGINS) for word in self.command[:3])

    def __str__(self) -> str:
        words = " ".join(self.command)
        return f"process {self.pid} (`{words[:90]}{'...' if len(words) > 90 else ''}`)"


def read(pid: int) -> Process | None:
    """The process, or None when there is none that this user can read."""
    folder = PROC / str(pid)
    try:
        fields = (folder / "stat").read_text().rpartition(")")[2].split()
        command = tuple(word for word in (folder / "cmdline").read_text(errors="replace").split("\0") if word)
        variables = (folder / "environ").read_text(errors="replace").split("\0")
        working = os.readlink(folder / "cwd")
    except OSError:
        return None
    if fields[0] in "ZX":
        return None
    started = _booted() + int(fields[19]) / os.sysconf("SC_CLK_TCK")
    environment = dict(pair.split("=", 1) for pair in variables if "=" in pair)
    return Process(pid, int(fields[1]), started, command, working, environment)


def all_processes() -> Iterator[Process]:
    """Every process that this user can read."""
    for entry in PROC.iterdir():
        process = read(int(entry.name)) if entry.name.isdigit() else None
        if process is not None:
            yield process


def survivors(processes: Mapping[int, Process], *, backend: str | None, project: str, folder: Path) -> list[Process]:
    """Plugins and language hosts of this project and backend that no living CLI is above, oldest first.

    `backend` is PULUMI_BACKEND_URL as the caller has it (None: not set), `folder` the program's.
    """
    return sorted(
        (
            process
            for process in processes.values()
            if process.is_plugin
            and process.environment.get("PULUMI_BACKEND_URL") == backend
            and _belongs(process, project, folder)
            and not _has_cli(process, processes)
        ),
        key=lambda process: (process.started, process.pid),
    )


def end(found: list[Process]) -> list[Process]:
    """End exactly these; returns those that are still there afterwards."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        for process in filter(_is_there, found):
            try:
                os.kill(process.pid, number)
            except ProcessLookupError:
                continue
        deadline = time.monotonic() + PATIENCE_SECONDS
        while any(map(_is_there, found)) and time.monotonic() < deadline:
            time.sleep(0.05)
    return [process for process in found if _is_there(process)]


def _is_there(process: Process) -> bool:
    now = read(process.pid)
    return now is not None and abs(now.started - process.started) < 1


def _belongs(process: Process, project: str, folder: Path) -> bool:
    if process.environment.get("PULUMI_PROJECT", project) != project:
        return False
    if "--project" in process.command[:-1]:
        return process.command[process.command.index("--project") + 1] == project
    return process.environment.get("PULUMI_PROJECT") == project or process.folder == str(folder)


def _has_cli(process: Process, processes: Mapping[int, Process]) -> bool:
    seen: set[int] = set()
    above = processes.get(process.parent)
    while above is not None and above.pid not in seen:
        if above.is_cli:
            return True
        seen.add(above.pid)
        above = processes.get(above.parent)
    return False


def _booted() -> float:
    for line in (PROC / "stat").read_text().splitlines():
        if line.startswith("btime "):
            return float(line.split()[1])
    return 0.0
