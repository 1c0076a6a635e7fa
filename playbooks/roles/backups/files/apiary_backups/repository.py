"""The repository before work begins: it answers, is made where there is none, and no dead run's lock is in it."""

from __future__ import annotations

from apiary_backups.config import Config
from apiary_backups.errors import NoRepositoryError
from apiary_backups.report import say
from apiary_backups.restic import Restic


def opened(config: Config) -> Restic:
    """The repository, made when it is not there yet. Raises BackupsError where it does not answer or open."""
    repository = Restic(config)
    try:
        repository.probe()
    except NoRepositoryError:
        repository.init()
        say(f"made the repository at {repository.place}: nothing was in it")
    else:
        repository.unlock()
    return repository
