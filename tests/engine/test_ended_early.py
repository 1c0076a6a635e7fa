"""A program that the engine ends early, as it does when an update has failed, does not talk over the reason."""

from __future__ import annotations

from typing import Any

from tests.engine.workplace import Workplace

ENDED = """
import os
import signal

os.kill(os.getpid(), signal.SIGINT)
"""


def test_a_program_that_is_ended_by_the_engine_prints_no_traceback(
    workplace: Workplace, edited: dict[str, Any]
) -> None:
    project = workplace.project("ended", "ended", edited).made()
    with (project.folder / "__main__.py").open("a") as program:
        program.write(ENDED)
    preview = project.run("preview")
    assert preview.status != 0, "it was ended"
    assert "exited with non-zero exit code" in preview.output
    assert "Traceback" not in preview.output, preview.output
