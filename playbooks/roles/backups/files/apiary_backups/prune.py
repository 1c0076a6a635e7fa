"""Forget what is not kept any more, and give its space back."""

from __future__ import annotations

import argparse

from apiary_backups import lock
from apiary_backups.config import Config
from apiary_backups.errors import BackupsError
from apiary_backups.report import say
from apiary_backups.repository import opened


def arguments(parser: argparse.ArgumentParser) -> None:
    """Nothing may be said with it."""


def main(config: Config, _: argparse.Namespace) -> int:
    """Raises BackupsError, also where servers may only add."""
    if config.append_only:
        raise BackupsError(
            "the repository lets servers add and nothing else; run make prune on your own machine, with credentials "
            "that may remove (docs/backups.md)"
        )
    with lock.held("prune"):
        repository = opened(config)
        repository.forget(config.keep.items())
        say(f"{repository.place}: {len(repository.snapshots())} snapshots are kept")
    return 0
