"""The API as one resource sees it: its requests, what it waits for, and what it says to the user meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from provider import clock
from provider.errors import ApiError, BadAnswer, Interrupted
from provider.lists import Lists
from provider.protocol.base import Context, Failure, Plugin, Props
from provider.transport import Transport

FIRST_POLL = 1.0  # seconds before the first look, then longer and longer
GROWTH = 1.5
LONGEST_POLL = 10.0
QUIET = 5.0  # seconds of waiting of which nothing is said
LASTING = 60.0  # seconds after which a wait leaves a line in the log, and then each time it is twice as long
LOCKED = ("locked", "pending destruction")
LOCKED_LIMIT = 30 * 60.0


class VultrClientPlugin(Plugin):
    """A plugin that has a connection to the API once it is configured."""

    transport: Transport
    lists: Lists


class Client:
    """What the hooks of a resource type ask the API with. Its errors say which object they are about."""

    def __init__(self, ctx: Context, noun: str) -> None:
        if not isinstance(ctx.plugin, VultrClientPlugin):
            raise TypeError(f"{ctx.plugin.name} is not the Vultr plugin")
        self.ctx, self.noun = ctx, noun
        self.written = False  # whether a request may have changed something
        self._transport, self._lists = ctx.plugin.transport, ctx.plugin.lists

    def call(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Props:
        """One request: the answer's object, {} without one. Raises ApiError; `gone` is for the caller to judge."""
        if method == "GET":
            return self._transport.call(method, path, body)
        self._lists.forget()
        try:
            answer = self._transport.call(method, path, body)
        except ApiError as error:
            self.written |= error.sent
            raise
        else:
            self.written = True
            return answer
        finally:
            self._lists.forget()

    def glance(self, path: str) -> Props:
        """A read that is not worth waiting for: asked once."""
        return self._transport.call("GET", path, once=True)

    def get(self, path: str, wrapper: str) -> Props:
        """The object at a path. Raises ApiError, BadAnswer for an answer without it."""
        answer = self.call("GET", path)
        return unwrap(answer, wrapper, "GET", path)

    def entries(self, path: str, wrapper: str, *, paged: bool = True, shared: bool = True) -> list[Props]:
        """A list, every page of it; with `shared` one that somebody else has just read will do."""
        return self._lists.read(path, wrapper, paged=paged, shared=shared)

    def wait(self, what: str, look: Callable[[], str], *, limit: float, first: float = FIRST_POLL) -> None:
        """Look until `look()` gives an empty text instead of what it is still like. `first`, `limit`: seconds.

        Raises what `look` raises, Failure when the limit is over, Interrupted when the user does not want to wait.
        """
        start = clock.now()
        pause, lasting, seen = first, LASTING, ""
        while True:
            if pause and clock.rest(pause, self.ctx.cancelled):
                still = f" ({seen})" if seen else ""
                raise Interrupted(
                    f"interrupted while waiting for {what}{still}; the next `pulumi up` goes on from there"
                )
            seen = look()
            if not seen:
                return
            waited = clock.now() - start
            if waited > limit:
                raise Failure(
                    f"waited {duration(limit)} for {what}, and it is still not so: {seen}. See in Vultr's portal what "
                    "holds it; the next `pulumi up` goes on waiting"
                )
            if waited >= lasting:
                self.ctx.log(f"waiting for {what} since {duration(waited)}: {seen}")
                lasting *= 2
            elif waited >= QUIET:
                self.ctx.log(f"waiting for {what} since {duration(waited)}: {seen}", ephemeral=True)
            pause = min(max(pause, FIRST_POLL / GROWTH) * GROWTH, LONGEST_POLL)

    def insist(self, what: str, send: Callable[[], Props], *words: str, limit: float = LOCKED_LIMIT) -> Props:
        """Send at once, and again for as long as the refusal holds one of `words` (locked, if none are given).

        Raises any other ApiError, and as `wait` does.
        """
        answers: list[Props] = []

        def look() -> str:
            try:
                answers.append(send())
            except ApiError as error:
                if not error.says(*(words or LOCKED)):
                    raise
                return error.said
            return ""

        self.wait(what, look, limit=limit, first=0.0)
        return answers[0]


def unwrap(answer: Props, wrapper: str, method: str, path: str) -> Props:
    """The object in an answer; one without it says nothing of the object."""
    found = answer.get(wrapper)
    if not isinstance(found, dict):
        raise BadAnswer(method, path, 200, str(answer), f"without its object {wrapper!r}")
    return found


def duration(seconds: float) -> str:
    """45 s, 12 min."""
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"
