"""What the program asks of Pulumi's runtime and of Python's: to end quietly, and to spend its time on the hive alone.

Makes no resource. Each line was measured; why it may be is in docs/decisions/0111-runtime.md.
"""

from __future__ import annotations

import asyncio
import atexit
import gc
import os
import signal

import pulumi

# With it set, what the SDK tells of each resource reaches `pulumi up --debug`.
DEBUG = "APIARY_DEBUG"


def prepare() -> None:
    """Before anything else of the program."""
    # How the engine ends a program that still waits when an update has failed. A traceback of that would stand beside
    # the reason of the failure, and look like it.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    # What the program makes lives as long as it does, for seconds. To look for garbage there, also at the end, took a
    # sixth of a preview.
    gc.disable()
    atexit.register(gc.freeze)
    # Five messages a resource, each a call to the engine which the program waits for; shown by `--debug` alone.
    if DEBUG not in os.environ:
        pulumi.log.debug = _nothing


def _nothing(*_: object, **__: object) -> None:
    pass


async def all_begun() -> None:
    """For `pulumi.run`, at the end of the program: each resource that it has declared has begun to be registered.

    The SDK then waits for one after the other. Of what has not begun it knows nothing, and asks every output of the
    program anew whenever one of them is there: of 200 applications that took a fifth of a preview, and grew with their
    square.
    """
    await asyncio.sleep(0)
