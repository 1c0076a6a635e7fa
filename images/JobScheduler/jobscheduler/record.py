"""What was, kept in the volume: every run as a line of JSON, and how far each job's schedule has been dealt with.

    runs.jsonl      one line a run, or a run that did not come about; runs.jsonl.1 is the older half
    state.json      read at the start, so that what was missed meanwhile is noticed

Both are bounded. A volume that can't be written stops no job: it is said, and the work goes on.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

FOLDER = Path("/var/lib/jobscheduler")
FILE_BYTES = 1024 * 1024  # each of two


class Record:
    """The files in `folder`; methods may be called from any thread."""

    def __init__(self, folder: Path, say: Callable[[str], None], file_bytes: int = FILE_BYTES) -> None:
        self._runs, self._state_file = folder / "runs.jsonl", folder / "state.json"
        self._say, self._file_bytes = say, file_bytes
        self._lock = threading.Lock()
        self._jobs: dict[str, dict[str, Any]] = self._read()

    def job(self, name: str, when: str) -> dict[str, Any] | None:
        """What is kept of a job: `considered`, and perhaps `running`. None when it is new, or has other times now."""
        kept = self._jobs.get(name)
        return kept if kept is not None and kept.get("when") == when else None

    def keep(self, name: str, when: str, **known: object) -> None:
        """Change what is kept of a job. Times are datetimes."""
        with self._lock:
            kept = self._jobs.get(name, {})
            if kept.get("when") != when:
                kept = {key: value for key, value in kept.items() if key == "running"}
            self._jobs[name] = {**kept, "when": when, **{key: _plain(value) for key, value in known.items()}}
            self._write_state()

    def forget_all_but(self, names: set[str]) -> None:
        """Jobs that the scheduler has no more."""
        with self._lock:
            if gone := self._jobs.keys() - names:
                for name in gone:
                    del self._jobs[name]
                self._write_state()

    def running(self, name: str) -> dict[str, Any] | None:
        """The run that was under way when the scheduler stopped."""
        return self._jobs.get(name, {}).get("running")

    def add(self, **line: object) -> None:
        """One line for the history."""
        text = json.dumps({key: _plain(value) for key, value in line.items()}) + "\n"
        with self._lock:
            try:
                if self._runs.exists() and self._runs.stat().st_size + len(text) > self._file_bytes:
                    self._runs.replace(self._runs.with_name("runs.jsonl.1"))
                with self._runs.open("a") as file:
                    file.write(text)
            except OSError as error:
                self._say(f"the record can't be kept: {error}")

    def _read(self) -> dict[str, dict[str, Any]]:
        try:
            jobs = json.loads(self._state_file.read_text())["jobs"]
            for kept in jobs.values():
                datetime.fromisoformat(kept["considered"]).astimezone()
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            self._say(f"{self._state_file} can't be used ({error!r}): what was missed until now is not known")
            return {}
        return dict(jobs)

    def _write_state(self) -> None:
        # Not forced to the disk: after a power cut it may be old or gone, which is said and does no harm.
        beside = self._state_file.with_suffix(".new")
        try:
            with beside.open("w") as file:
                json.dump({"jobs": self._jobs}, file, indent=1)
            beside.replace(self._state_file)
        except OSError as error:
            self._say(f"the state can't be kept: {error}")


def _plain(value: object) -> object:
    return value.isoformat(timespec="milliseconds") if isinstance(value, datetime) else value
