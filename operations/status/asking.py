"""Asks servers, sites and the engine, side by side; whatever hangs is given up at one moment for all, and told as such.

Everything of a server comes by one `ssh`, every visit by one process where visitors are, and the drift by one
`pulumi refresh --preview-only`, which takes no lock and writes no state.
"""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import IO, Any, cast

import yaml

from operations import processes
from operations.cli import PROGRAM, OperationError, Pulumi
from operations.hosts import Ended, Host, Refused, Unreachable, key_of, write_key
from operations.state import State
from operations.status.drift import changes_of
from operations.status.report import Answers, Told
from operations.status.stack import Wanted, wanted

VISIT = Path(__file__).with_name("visit.py")
# A command line in front of `python3 -`: where visitors are, when that is not this machine.
VISITOR = "APIARY_VISITOR"
SECONDS = 8.0  # from the beginning, until what has not been told is given up
SPARE_SECONDS = 0.3  # in which what is given up ends
TICK_SECONDS = 0.5
MISSING = 127  # a shell's status for a command that is not there


class Progress:
    """One line on a terminal of what is still missing, and for how long; nothing elsewhere."""

    def __init__(self, *, shown: bool) -> None:
        self._shown, self._lock = shown, threading.Lock()
        self._open: dict[str, str] = {}
        self._began = time.monotonic()
        if shown:
            threading.Thread(target=self._tick, daemon=True).start()

    def open(self, what: str, how: str = "") -> None:
        with self._lock:
            self._open[what] = how
            self._show()

    def close(self, what: str) -> None:
        with self._lock:
            self._open.pop(what, None)
            self._show()

    def _tick(self) -> None:
        while True:
            time.sleep(TICK_SECONDS)
            with self._lock:
                if self._open:
                    self._show()

    def _show(self) -> None:
        if self._shown:
            waiting = ", ".join(f"{what} {how}".strip() for what, how in self._open.items())
            line = f"{time.monotonic() - self._began:3.0f} s  asking {waiting}"[:100] if waiting else ""
            sys.stderr.write(f"\r\x1b[K{line}")
            sys.stderr.flush()


def ask(pulumi: Pulumi, seconds: float, progress: Progress) -> tuple[Wanted, Answers]:
    """What there should be, and all that is told of it within `seconds`.

    Raises OperationError where the state can't be read: there is nothing to ask then.
    """
    deadline = time.monotonic() + seconds
    with ThreadPoolExecutor(64) as pool:
        progress.open("the state")
        try:
            exported = pulumi.export(secrets=True)
        except OperationError:
            pulumi.select()  # says which stacks there are, if it is that
            raise
        finally:
            progress.close("the state")
        state = State.of(exported)
        write_key(pulumi, key_of(state))
        progress.open("drift")
        drifted = pool.submit(_within, progress, "drift", partial(_drift, pulumi, deadline))
        everything = wanted(pulumi.stack, pulumi.tag, state, _config(pulumi.name))
        for server in everything.servers:
            progress.open(server.name)
        servers = {
            server.name: pool.submit(
                _within, progress, server.name, partial(_server, Host(server), everything.tag, deadline)
            )
            for server in everything.servers
        }
        visited = pool.submit(_visits, everything, deadline, progress)
        told = {name: future.result() for name, future in servers.items()}
        visits, why = visited.result()
        return everything, Answers(told, visits, why, drifted.result(), time.time())


def _within(progress: Progress, what: str, work: Callable[[], Told]) -> Told:
    try:
        return work()
    finally:
        progress.close(what)


def _config(stack: str) -> Mapping[str, Any]:
    """`config` of the stack's file, secrets encrypted; nothing where the stack file is somewhere else."""
    file = PROGRAM / f"Pulumi.{stack}.yaml"
    return (yaml.safe_load(file.read_text()) or {}).get("config") or {} if file.is_file() else {}


def _server(host: Host, tag: str, deadline: float) -> Told:
    asked = time.time()
    try:
        said = host.run("apiary-status", tag, timeout=max(deadline - time.monotonic(), 1.0))
        facts = json.loads(said)
    except Refused as error:
        return Told(None, str(error), "refused")
    except Unreachable as error:
        return Told(None, error.said, "silent")
    except Ended as error:
        return Told(None, str(error), "old" if error.there == MISSING else "failed")
    except (OperationError, ValueError) as error:
        return Told(None, str(error), "failed")
    return Told(facts, asked=asked, answered=time.time())


def _visits(
    everything: Wanted, deadline: float, progress: Progress
) -> tuple[dict[tuple[str, str], dict[str, Any]], str]:
    """By domain and family what was told, and why not all was."""
    found: dict[tuple[str, str], dict[str, Any]] = {}
    if not everything.sites:
        return found, ""
    left = deadline - time.monotonic()
    sites = [
        {"domain": site.domain, "host": site.asked, "zone": site.zone, "path": site.path, "tls": site.tls}
        for site in everything.sites
    ]
    told = json.dumps({"sites": sites, "seconds": left - SPARE_SECONDS})
    program = f"{VISIT.read_text()}\nmain(json.loads({told!r}))\n"
    elsewhere = shlex.split(os.environ.get(VISITOR, ""))
    command = [*elsewhere, "python3", "-"] if elsewhere else [sys.executable, "-"]
    try:
        process = subprocess.Popen(
            command, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            start_new_session=True,
        )  # fmt: skip
    except OSError as error:
        return found, f"`{shlex.join(command)}` can't be started: {error}"
    bell = threading.Timer(left, lambda: _end(process))
    bell.start()
    into, out, err = (cast(IO[str], pipe) for pipe in (process.stdin, process.stdout, process.stderr))
    try:
        into.write(program)
        into.close()
        for line in out:
            visit = json.loads(line)
            found[visit["domain"], visit["family"]] = visit
            progress.open("sites", f"{len(found)} of {2 * len(sites)}")
        said = err.read().strip()
    except (OSError, ValueError) as error:
        said = str(error)
    finally:
        bell.cancel()
        _end(process)
        progress.close("sites")
    where = f" from `{shlex.join(elsewhere)}`" if elsewhere else ""
    return found, (said.splitlines() or [f"nothing came back{where} in {left:.0f} s"])[-1]


def _drift(pulumi: Pulumi, deadline: float) -> Told:
    """What a refresh finds; the program is not run for it, so a stack file that is refused is no obstacle."""
    try:
        process = pulumi.begin("refresh", "--preview-only", "--json")
    except OperationError as error:
        return Told(None, str(error), "failed")
    try:
        out, err = process.communicate(timeout=max(deadline - time.monotonic() - SPARE_SECONDS, 1.0))
    except subprocess.TimeoutExpired:
        _end(process)
        return Told(None, "no end of `pulumi refresh --preview-only` in time", "silent")
    try:
        plan, is_plan = json.loads(out), True
    except ValueError:  # it did not come as far as a plan
        plan, is_plan = {}, False
    if process.returncode != 0 or not is_plan:
        said = [str(one["message"]).strip() for one in plan.get("diagnostics") or [] if one["severity"] == "error"]
        return Told(None, " ".join("; ".join(said or [err or out]).split())[:400], "failed")
    return Told(changes_of(plan))


def _end(process: subprocess.Popen[str]) -> None:
    """Kill it with all that it has started: an engine's plugins are in groups of their own, and outlive it."""
    if process.poll() is None:
        for one in [*_below(process.pid), process.pid]:
            try:
                os.kill(one, signal.SIGKILL)
            except ProcessLookupError:
                continue
    process.wait()


def _below(pid: int) -> list[int]:
    if not processes.PROC.is_dir():
        return []
    parents: dict[int, list[int]] = {}
    for process in processes.all_processes():
        parents.setdefault(process.parent, []).append(process.pid)
    found, new = [], [pid]
    while new:
        new = [child for parent in new for child in parents.get(parent, ())]
        found += new
    return found
