"""What goes wrong, in words for the person who reads them. No message holds a secret."""

from __future__ import annotations


class BackupsError(Exception):
    """Something could not be done; the message says what, why, and what to do where that is known."""


class UnreachableError(BackupsError):
    """The repository does not answer, or not as one does."""


class NoRepositoryError(BackupsError):
    """The repository answers, and there is none in it yet."""


class LostRepositoryError(BackupsError):
    """There is none in it any more, though something was saved there."""


class WrongPasswordError(BackupsError):
    """The repository is there, and the stack's password does not open it."""


class LockedError(BackupsError):
    """Somebody else is at work in the repository."""


class BusyError(BackupsError):
    """Another verb of this server is at work, and has not ended in time."""


# What ends one thing and no other: of the last two nobody has said yet what they mean.
FAILURES = (BackupsError, OSError, ValueError)


def told(error: BaseException) -> BackupsError:
    """The same in words, where it is none of ours."""
    if isinstance(error, BackupsError):
        return error
    if isinstance(error, SystemExit):
        return BackupsError(f"it was ended from outside (status {error.code}), such as by a shutdown; say it again")
    return BackupsError(f"{type(error).__name__}: {error}; this is a fault of apiary-backups itself")
