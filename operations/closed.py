"""What `make maintenance` has closed, kept beside the state: a server that is made anew has nothing of its own disk.

A tag of the stack for each application, in the same backend, so for everybody who works on the stack. No update reads
it, and no preview shows it. Leaves alone: who is where now (maintenance.py).
"""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from operations.cli import OperationError, Pulumi
from operations.hosts import Host
from operations.state import Server

TOOL = "apiary-maintenance"
TAG = "closed:"
LOOK_SECONDS, ASK_SECONDS = 0.5, 30


@dataclass(frozen=True)
class Closed:
    """One application."""

    application: str
    since: int  # seconds since the epoch
    let_in: tuple[str, ...] = ()  # who may come all the same

    def close(self, server: Server) -> None:
        """At a server's proxy, also before that leads to it. Raises OperationError."""
        words = ("on", self.application, *self.let_in, "--since", str(self.since))
        Host(server).run(TOOL, *words, timeout=ASK_SECONDS)


def remembered(pulumi: Pulumi) -> dict[str, Closed]:
    """By application; none where the backend keeps no tags. Raises OperationError where it does not tell."""
    try:
        tags: dict[str, str] = json.loads(pulumi.ask("stack", "tag", "ls", "--json", "--stack", pulumi.stack) or "{}")
    except OperationError as error:
        if "not support" not in str(error):
            raise
        tags = {}
    found = {}
    for tag, value in sorted(tags.items()):
        name, (since, *let_in) = tag.removeprefix(TAG), value.split() or ("",)
        if tag.startswith(TAG) and since.isdecimal():
            found[name] = Closed(name, int(since), tuple(let_in))
    return found


def remember(pulumi: Pulumi, closed: Closed) -> None:
    """Keep it until `forget`. Raises OperationError where the backend takes no such tag."""
    said = " ".join([str(closed.since), *closed.let_in])
    pulumi.ask("stack", "tag", "set", f"{TAG}{closed.application}", said, "--stack", pulumi.stack)


def forget(pulumi: Pulumi, application: str) -> None:
    """Keep it no more. Raises OperationError."""
    if application in remembered(pulumi):
        pulumi.ask("stack", "tag", "rm", f"{TAG}{application}", "--stack", pulumi.stack)


@contextlib.contextmanager
def before_visitors(wanted: Sequence[Closed], servers: Sequence[Server]) -> Iterator[None]:
    """Meanwhile these servers come back: each is told as soon as it has a proxy, which leads nowhere yet.

    What a proxy is not to lead to it forgets by itself. Whether all of it is closed in the end is the caller's to ask.
    """
    ended = threading.Event()

    def tell(server: Server) -> None:
        left = list(wanted)
        while left and not ended.is_set():
            try:
                left[0].close(server)
                left.pop(0)
            except OperationError:  # it does not answer yet, or has no proxy
                ended.wait(LOOK_SECONDS)

    threads = [threading.Thread(target=tell, args=(server,)) for server in servers if wanted]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        ended.set()
        for thread in threads:
            thread.join()
