"""Ansible's output for a person: one line a task, the recap last; on failure the failing task's message
last."""

# ruff: noqa: ANN401 - Ansible hands over objects without types

from __future__ import annotations

import time
from typing import Any

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
name: apiary
type: stdout
short_description: one line a task
description: Prints the outcome, role and name of each task, and one recap line.
"""

# Where modules put the reason, the most telling first.
REASONS = ("msg", "stderr", "stdout", "module_stderr", "module_stdout")


def reason(result: dict[str, Any]) -> str:
    """Everything that the failed module says about why, each text once."""
    texts: list[str] = []
    for key in REASONS:
        text = str(result.get(key) or "").strip()
        if text and not any(text in other for other in texts):
            texts.append(text)
    return "\n         ".join("\n".join(reversed(texts)).splitlines()) or str(result)


class CallbackModule(CallbackBase):  # type: ignore[misc]
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "stdout"
    CALLBACK_NAME = "apiary"

    def __init__(self) -> None:
        super().__init__()
        self._started = time.monotonic()
        self._failures: list[str] = []

    def _line(self, word: str, task: Any) -> None:
        seconds = time.monotonic() - self._started
        self._display.display(f"{word:<8} {task.get_name()}" + (f" ({seconds:.0f} s)" if seconds >= 1 else ""))

    def v2_playbook_on_task_start(self, task: Any, is_conditional: bool) -> None:
        self._started = time.monotonic()

    def v2_playbook_on_handler_task_start(self, task: Any) -> None:
        self._started = time.monotonic()

    def v2_runner_on_ok(self, result: Any) -> None:
        self._line("changed" if result._result.get("changed") else "ok", result._task)
        self._handle_warnings(result._result)

    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:
        if ignore_errors:
            self._line("ignored", result._task)
            return
        self._line("FAILED", result._task)
        parts = [part for part in result._result.get("results", []) if part.get("failed")] or [result._result]
        self._failures += [f"FAILED   {result._task.get_name()}: {reason(part)}" for part in parts]

    def v2_runner_on_unreachable(self, result: Any) -> None:
        self._failures.append(f"FAILED   {result._task.get_name()}: {reason(result._result)}")

    def v2_playbook_on_stats(self, stats: Any) -> None:
        totals = stats.summarize("localhost")
        self._display.display(
            "recap    " + " ".join(f"{key}={totals[key]}" for key in ("ok", "changed", "failures", "skipped"))
        )
        for failure in self._failures:
            self._display.display(failure)
