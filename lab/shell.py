"""Runs programs with a bound on time, tells what long steps do, and makes failures readable."""

from __future__ import annotations

import contextlib
import fcntl
import io
import json
import os
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

POLL = 0.1  # seconds between two looks at a condition
HEARTBEAT = 10.0  # seconds of silence after which a long step says that it is alive


class LabError(Exception):
    """What went wrong, for the person who reads it: the step, why, and what to do."""

    def __init__(self, step: str, why: str, remedy: str = "") -> None:
        self.step, self.why, self.remedy = step, why, remedy
        super().__init__(f"{step}: {why}" + (f"\n  what to do: {remedy}" if remedy else ""))


def say(text: str) -> None:
    """One line of progress on standard error, so that standard output stays usable by scripts."""
    print(f"lab: {text}", file=sys.stderr, flush=True)


def run(
    command: Sequence[str],
    step: str,
    timeout: float = 60,
    stdin: bytes | None = None,
    remedy: str = "",
) -> str:
    """Standard output of a short command. Raises LabError on a failure or after `timeout` seconds."""
    try:
        done = subprocess.run(list(command), input=stdin, capture_output=True, timeout=timeout, check=False)
    except FileNotFoundError:
        raise LabError(step, f"the program {command[0]} is not on PATH", remedy or "install it") from None
    except subprocess.TimeoutExpired:
        raise LabError(step, f"`{_short(command)}` did not end within {timeout:.0f} s", remedy) from None
    if done.returncode != 0:
        why = done.stderr.decode(errors="replace").strip() or done.stdout.decode(errors="replace").strip()
        raise LabError(step, f"`{_short(command)}` failed ({done.returncode}): {why[-1500:]}", remedy)
    return done.stdout.decode(errors="replace")


def succeeds(command: Sequence[str], timeout: float = 30) -> bool:
    """Whether a command exists and exits 0 in time."""
    try:
        return subprocess.run(list(command), capture_output=True, timeout=timeout, check=False).returncode == 0
    except (FileNotFoundError, subprocess.TimeoutExpired):
        return False


def docker(*args: str, step: str = "Docker", timeout: float = 60, stdin: bytes | None = None) -> str:
    """`docker ARGS`; its standard output."""
    return run(["docker", *args], step, timeout, stdin)


def docker_json(*args: str, step: str = "Docker", timeout: float = 60) -> Any:  # noqa: ANN401 - JSON
    """`docker ARGS` whose output is one JSON document."""
    return json.loads(docker(*args, step=step, timeout=timeout) or "null")


def run_long(
    command: Sequence[str],
    step: str,
    *,
    log: Path,
    timeout: float,
    env: dict[str, str] | None = None,
    remedy: str = "",
) -> None:
    """A long command: output to `log`, a sign of life every HEARTBEAT seconds, the log's end in the error."""
    log.parent.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    spoken = started
    say(f"{step} ...")
    with log.open("wb") as out:
        try:
            process = subprocess.Popen(
                list(command),
                stdout=out,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                env={**os.environ, **(env or {})},
            )
        except FileNotFoundError:
            raise LabError(step, f"the program {command[0]} is not on PATH", remedy or "install it") from None
        try:
            while process.poll() is None:
                time.sleep(POLL)
                now = time.monotonic()
                if now - started > timeout:
                    raise LabError(step, f"not done within {timeout:.0f} s; log: {log}", remedy)
                if now - spoken > HEARTBEAT:
                    spoken = now
                    say(f"{step} ... {now - started:.0f} s: {_last_line(log)}")
        finally:
            if process.poll() is None:
                process.kill()
                process.wait(10)
    if process.returncode != 0:
        tail = "\n    ".join(log.read_text(errors="replace").splitlines()[-15:])
        raise LabError(step, f"`{_short(command)}` failed ({process.returncode}); {log} ends:\n    {tail}", remedy)
    say(f"{step}: done in {time.monotonic() - started:.0f} s")


def wait_for(condition: Callable[[], bool], seconds: float, interval: float = POLL) -> bool:
    """Whether the condition came true in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(interval)
    return True


@contextlib.contextmanager
def exclusive(lock: Path, seconds: float, step: str) -> Iterator[None]:
    """One process or thread at a time; freed by the kernel when its holder dies.

    Raises LabError after `seconds`.
    """
    with lock.open("w") as file:

        def taken() -> bool:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
            return True

        if not wait_for(taken, seconds):
            raise LabError(step, f"another run holds {lock} for more than {seconds:.0f} s", "wait for it, or end it")
        yield


def packed(files: Mapping[str, str | bytes]) -> bytes:
    """A tar of files by their path, readable by root only."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, text in files.items():
            content = text.encode() if isinstance(text, str) else text
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), 0o600
            archive.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def _short(command: Sequence[str]) -> str:
    text = " ".join(command)
    return text if len(text) < 200 else text[:200] + " ..."


def _last_line(log: Path) -> str:
    lines = log.read_text(errors="replace").splitlines()
    return lines[-1][:100] if lines else "no output yet"
