"""What restic complains of, in words of what it means, with no secret in them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from apiary_backups.config import Config
from apiary_backups.errors import (
    BackupsError,
    LockedError,
    NoRepositoryError,
    UnreachableError,
    WrongPasswordError,
)

# Its exit statuses.
INCOMPLETE, NO_REPOSITORY, LOCKED, WRONG_PASSWORD = 3, 10, 11, 12


@dataclass(frozen=True)
class Complaints:
    """Of one repository."""

    config: Config

    def failure(self, verb: str, status: int, errors: bytes) -> BackupsError:
        """The error that a status is, of what was written to standard error."""
        said = self.last(errors)
        match status:
            case _ if status == NO_REPOSITORY:
                return NoRepositoryError(f"there is no repository at {self.place} yet")
            case _ if status == LOCKED:
                return LockedError(
                    f"{self.place} is locked by another run: {said}; if that one is dead, its lock goes by itself "
                    "half an hour after it"
                )
            case _ if status == WRONG_PASSWORD:
                return WrongPasswordError(
                    f"the stack's password does not open {self.place}: it was made by another stack, or with a "
                    "password that is lost or was changed; write that one as its `password`, name another repository, "
                    "or bring the state back that knows it"
                )
            case _ if verb == "cat":
                return UnreachableError(f"{self.place} does not answer as a repository: {said or f'status {status}'}")
            case _:
                return BackupsError(f"restic {verb}: {said or f'status {status}'}")

    @property
    def place(self) -> str:
        """The repository's address, without a password in it."""
        scheme, at, rest = self.config.repository.rpartition("@")
        return f"{scheme.partition('://')[0]}://{rest}" if at and "://" in scheme else self.config.repository

    def last(self, errors: bytes) -> str:
        """The last thing that restic complained of, in one line, with no secret in it."""
        return (self.lines(errors) or [""])[-1]

    def lines(self, errors: bytes) -> list[str]:
        """All that it complained of, a line each."""
        lines = [line.strip() for line in errors.decode(errors="replace").splitlines() if line.strip()]
        return [self._shown(text) for line in lines if (text := _complaint(line))]

    def _shown(self, text: str) -> str:
        said = " ".join(text.split())
        for secret in self.config.environment.values():
            if len(secret) >= 6:
                said = said.replace(secret, "...")
        return said[:500]

    def late(self, verb: str, seconds: float, errors: bytes) -> BackupsError:
        """The error of a call that had no end."""
        said = self.last(errors)
        return UnreachableError(
            f"{self.place} has not answered within {seconds:.0f} s ({verb})" + (f": {said}" if said else "")
        )


def _complaint(line: str) -> str:
    told = parsed(line)
    if not told:
        return line
    if told.get("message_type") in ("status", "summary", "verbose_status"):
        return ""
    error = told.get("error")
    found = told.get("message") or (error.get("message") if isinstance(error, dict) else error) or ""
    where = told.get("item")
    return f"{where}: {found}" if where and where not in str(found) else str(found)


def parsed(line: str) -> dict[str, Any]:
    """A line of its JSON; nothing where it is none."""
    try:
        told = json.loads(line)
    except ValueError:
        return {}
    return told if isinstance(told, dict) else {}
