"""What every importer's verb does with its result: tell of each key, write the stack file whole or not at all."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from operations.cli import OperationError
from operations.coming import stack_text
from operations.coming.conversion import Conversion
from operations.coming.told import Outcome


def report(done: Conversion) -> bool:
    """Tell of every key, on standard error: what is written may go to standard output. Whether all can be said."""
    for verdict in done.told.verdicts:
        if verdict.outcome is not Outcome.CANNOT:
            print(verdict, file=sys.stderr)
    for verdict in done.told.refused:
        print(verdict, file=sys.stderr)
    if done.told.refused:
        print(f"{len(done.told.refused)} of it can't be said; nothing is written", file=sys.stderr)
    return not done.told.refused


def print_secret(done: Conversion, name: str) -> int:
    """Print the value of one secret and nothing else. Raises OperationError."""
    if name not in done.secrets:
        known = ", ".join(sorted(done.secrets)) or "none"
        raise OperationError(f"{name} is no secret of these files; known: {known}")
    print(done.secrets[name], end="")
    return 0


def verify(text: str, done: Conversion, project: str) -> None:
    """Read back what is about to be written: what is there says the same, and what is new is what was checked."""
    written = stack_text.sections(text, project)
    wanted = {key: value for key, value in done.sections.items() if key != "secrets" and value}
    found = {key: value for key, value in written.items() if key != "secrets" and value}
    for section, value in wanted.items():
        if found.get(section) != value:
            raise OperationError(f"{section} would not be written as it was checked; nothing is written")


def write(into: Path | None, text: str) -> None:
    """Replace the file as a whole, so that it is never there in half; without one, print the text."""
    if into is None:
        print(text, end="")
        return
    fresh = into.with_name(f".{into.name}.new")
    fresh.write_text(text, encoding="utf-8")
    if into.exists():
        fresh.chmod(into.stat().st_mode)
    fresh.replace(into)


def setting(secrets: Sequence[str], words: str, stack: str, project: str) -> str:
    """The step that sets the secrets whose values stand in the files: `words` is the command that prints one."""
    return (
        "set the secrets, whose values are in the files that you come with (and replace any that others know):\n"
        f"    for name in {' '.join(sorted(secrets))}; do {words} --secret $name | "
        f"pulumi config set --secret --stack {stack} --path {project}:secrets.$name; done"
    )


def todo(steps: Sequence[str]) -> None:
    """Tell what is left for people to do."""
    for number, step in enumerate(steps, 1):
        print(f"{'then' if number == 1 else '    '} {number}. {step}", file=sys.stderr)
