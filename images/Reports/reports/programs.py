"""What makes the pages: a function that takes a site's entries and fills a folder, by running a program of others."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

from reports.entries import Entry

# (site, entries, an empty folder to make index.html in, and what it leads to) -> how many of them are in no page.
# Raises ReportError.
Maker = Callable[[str, Iterable[Entry], Path], int]


class ReportError(Exception):
    """A page could not be made, the old one is still there; str() says why."""


def feed(
    pipeline: Sequence[Sequence[str]],
    lines: Iterable[bytes],
    environment: Mapping[str, str] | None = None,
    folder: Path | None = None,
) -> str:
    """Run programs of which each reads what the one before it writes, and the first one `lines`.

    Returns what the last one wrote, and what all of them said to stderr. Raises ReportError when one fails.
    """
    # Into a file: a pipe of its own could fill while we write to the other.
    with tempfile.TemporaryFile("w+", errors="replace") as said, ExitStack() as stack:
        running: list[subprocess.Popen[bytes]] = []
        try:
            for number, command in enumerate(pipeline):
                source = running[-1].stdout if running else subprocess.PIPE
                sink = subprocess.PIPE if number < len(pipeline) - 1 else said
                running.append(
                    stack.enter_context(
                        subprocess.Popen(command, stdin=source, stdout=sink, stderr=said, env=environment, cwd=folder)
                    )
                )
            for one in running[:-1]:
                assert one.stdout is not None  # noqa: S101 - it is a pipe
                one.stdout.close()  # ours of it: the program before must hear of the end of the one behind
            _write(running[0], lines)
        except BaseException:
            for one in running:
                one.kill()
            raise
        statuses = [one.wait() for one in running]
        said.seek(0)
        text = said.read().strip()
    for command, status in zip(pipeline, statuses, strict=True):
        if status:
            raise ReportError(f"{Path(command[0]).name} ended with status {status}:\n{text}")
    return text


def _write(first: subprocess.Popen[bytes], lines: Iterable[bytes]) -> None:
    assert first.stdin is not None  # noqa: S101 - it is a pipe
    try:
        with first.stdin as into:
            for line in lines:
                into.write(line)
    except BrokenPipeError:
        pass  # it has ended, and says why
