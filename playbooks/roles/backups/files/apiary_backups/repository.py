"""The repository before work begins: it answers, is made where there never was one, and no dead run's lock is in it.

One that is gone, such as by a bucket that was deleted, or a disk that is not mounted, is not begun anew by itself: that
all is lost would be told by nothing but a line of a run in which all is well.
"""

from __future__ import annotations

from apiary_backups import items
from apiary_backups.config import Config
from apiary_backups.errors import BackupsError, LostRepositoryError, NoRepositoryError
from apiary_backups.report import say
from apiary_backups.restic import Restic


def opened(config: Config, *, is_anew: bool = False) -> Restic:
    """The repository, made when it is not there yet; where something was saved there before, only if it is to be begun
    `anew`. Raises BackupsError where it does not answer or open.
    """
    repository = Restic(config)
    try:
        repository.probe()
    except NoRepositoryError:
        if not is_anew:
            never_lost(config, repository)
        repository.init()
        items.begin_anew()
        say(f"made the repository at {repository.place}: nothing was in it")
    else:
        try:
            repository.unlock()
        except BackupsError as error:
            remedy = "; who may only add must be allowed to remove locks/* all the same (docs/backups.md)"
            raise BackupsError(
                f"the lock of a run that is dead could not be removed: {error}{remedy if config.append_only else ''}"
            ) from None
    return repository


def never_lost(config: Config, repository: Restic) -> None:
    """Raises LostRepositoryError where something was saved in a repository that is not there."""
    if saved := items.saved_there():
        raise LostRepositoryError(
            f"there is no repository at {repository.place} any more, and {len(saved)} items were saved there, "
            f"the last at {max(one.saved for one in saved)}: bring it back, such as its bucket, or the disk that it "
            f"is on; where it is lost, begin anew: make backup SERVER={config.server} ANEW=1"
        ) from None
