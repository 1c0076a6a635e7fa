"""Forget what is not kept any more, and give its space back."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from apiary_backups import items, lock
from apiary_backups.config import Config
from apiary_backups.errors import BackupsError
from apiary_backups.report import say
from apiary_backups.repository import opened

SHOWN = 12


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
        # Whatever its date says, the last one is what a fill or a restore is about.
        told_ahead(repository.forget(config.keep, [one.snapshot for one in items.all_last() if one.snapshot]))
        say(f"{repository.place}: {len(repository.snapshots())} snapshots are kept")
    return 0


def told_ahead(ids: Sequence[str]) -> None:
    """Say of snapshots that are dated later than now that they stay, and count for nothing."""
    if ids:
        say(
            f"{len(ids)} snapshots are dated later than now, by a clock that was wrong, unless this server's is: they "
            f"stay, and do not count among those that are kept: {', '.join(one[:8] for one in ids[:SHOWN])}"
            + (", ..." if len(ids) > SHOWN else "")
        )
