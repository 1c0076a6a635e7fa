"""`make status`: how the hive is, asked of everything at once, and what to type where something is wrong.

    stack.py      what there should be, by the state and the stack file
    asking.py     asks, side by side and bounded; visit.py is said to `python3` where visitors are
    findings.py   what is wrong, by what was told: servers.py, sites.py, containers.py, backups.py, drift.py
    render.py     all of it as text or JSON

All but asking.py and visit.py are pure.

Changes nothing, anywhere: only the stack's SSH key is put into `.apiary/` where this checkout does not have it yet, as
every verb and every preview does.
"""

from __future__ import annotations

import os
import sys
import time

from operations.cli import OperationError, Pulumi
from operations.status import render
from operations.status.asking import SECONDS, Progress, ask
from operations.status.findings import report
from operations.status.report import Level

__all__ = ["SECONDS", "tell"]


def tell(pulumi: Pulumi, *, as_json: bool, seconds: float) -> int:
    """Print how the stack is; 0 when nothing is wrong (there may be something to watch), 1 when something is.

    Raises OperationError with status 2 where nothing can be told.
    """
    began = time.monotonic()
    try:
        wanted, answers = ask(pulumi, seconds, Progress(shown=sys.stderr.isatty()))
    except OperationError as error:
        raise OperationError(str(error), 2) from None
    found, took = report(wanted, answers), time.monotonic() - began
    if as_json:
        sys.stdout.write(render.as_json(found, answers, took))
    else:
        has_colour = sys.stdout.isatty() and "NO_COLOR" not in os.environ
        has_unicode = "utf" in (sys.stdout.encoding or "").lower()
        sys.stdout.write(render.Text(colour=has_colour, unicode=has_unicode).render(found, took))
    return 1 if found.level is Level.WRONG else 0
