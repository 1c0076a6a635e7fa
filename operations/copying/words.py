"""How a database of an old host is named on the command line. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from operations.cli import OperationError

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_$-]{0,62}")
_CONTAINER = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")


@dataclass(frozen=True)
class Wanted:
    """A database of an old host's container, and the one that gets it: of an application of the stack."""

    container: str
    database: str
    application: str
    target: str

    def __str__(self) -> str:
        return f"{self.container}:{self.database}={self.application}:{self.target}"


def split(said: Sequence[str]) -> tuple[list[str], list[Wanted]]:
    """Part the words of volumes and folders from those of databases, `CONTAINER:DATABASE=APPLICATION[:DATABASE]`.

    Raises OperationError with all that can't be read.
    """
    others = [word for word in said if ":" not in word]
    found, problems = [], []
    for word in said:
        if ":" in word:
            try:
                found.append(_wanted(word))
            except ValueError as error:
                problems.append(f"{word}: {error}")
    for one in found:
        if sum((other.application, other.target) == (one.application, one.target) for other in found) > 1:
            problems.append(f"{one}: {one.target} would get several; give each a database of its own")
    if problems:
        raise OperationError("nothing is copied:\n" + "\n".join(f"  {one}" for one in dict.fromkeys(problems)))
    return others, found


def _wanted(word: str) -> Wanted:
    source, equals, to = word.partition("=")
    container, _, database = source.partition(":")
    application, _, target = to.partition(":")
    target = target or database
    if not equals or not application:
        raise ValueError(f"name the application that serves it here; write {source}=postgres")
    if not _CONTAINER.fullmatch(container):
        raise ValueError("begins with no name of a container; write CONTAINER:DATABASE=APPLICATION")
    for name in (database, target):
        if not _NAME.fullmatch(name):
            raise ValueError(f"{name!r} is no name of a database; write CONTAINER:DATABASE=APPLICATION:DATABASE")
    return Wanted(container, database, application, target)
