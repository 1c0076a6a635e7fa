"""The command `apiary-backups VERB`.

Each verb is a module with `arguments(parser)` and `main(config, options)`, which returns the exit status: 0 when all is
well, 1 when something is not, with a reason for each on standard error.
"""

from __future__ import annotations

import argparse
import signal
import sys
from types import FrameType, ModuleType

from apiary_backups import config, drill, fill, listing, prune, restore, run, tell
from apiary_backups.errors import BackupsError

VERBS: dict[str, ModuleType] = {
    "run": run,
    "list": listing,
    "fill": fill,
    "prune": prune,
    "restore": restore,
    "drill": drill,
}
# These have no configuration yet, or need none.
OWN: dict[str, ModuleType] = {"told": tell.Told, "forgotten": tell.Forgotten, "resume": tell.Resume}  # type: ignore[dict-item]


def main(arguments: list[str]) -> int:
    """Do what is asked; the exit status."""
    parser = argparse.ArgumentParser(prog="apiary-backups", description="Backups of this server.")
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    for name, module in {**VERBS, **OWN}.items():
        module.arguments(verbs.add_parser(name, help=(module.__doc__ or "").partition("\n")[0]))
    options = parser.parse_args(arguments)
    for which in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(which, _ended)
    try:
        if options.verb in OWN:
            return int(OWN[options.verb].main(options))
        return int(VERBS[options.verb].main(config.read(), options))
    except (BackupsError, OSError) as error:
        print(f"apiary-backups {options.verb}: {error}", file=sys.stderr)
        return 1


def _ended(number: int, _: FrameType | None) -> None:
    # As an exception, so that what was stopped is started again on the way out.
    raise SystemExit(128 + number)
