"""Checks of who may reach whom: whether those of `reach` are there, and whether all are named that a text tells of."""

import re
from collections.abc import Iterator, Mapping, Set

from settings.checks.common import Placed, placed
from settings.draft import Draft
from settings.errors import Key, did_you_mean, show
from settings.interpolation import pieces
from settings.neighbours import named_by

# Where a host stands in a text: behind `//` or `user@`, or before a port.
_NAME = r"[A-Za-z0-9][A-Za-z0-9-]*"
_HOST = re.compile(
    rf"(?:(?<=//)|(?<=@))(?P<within>{_NAME})(?=(?::\d{{1,5}})?(?:[^\w@:.-]|$))"
    rf"|(?<![\w.@/:$^+-])(?P<port>{_NAME}):\d{{1,5}}(?![\w@:.-])"
)
# Of variables whose whole value is a host.
_HOST_KEY = re.compile(r"(?:^|[_.-])(?:host|hostname|server)$", re.IGNORECASE)


def check(draft: Draft) -> None:
    """Report what `reach` names in vain, and hosts in texts that the container will not reach."""
    servers = {one.name: one.server for one in placed(draft)}
    applications: dict[str | None, set[str]] = {}
    for one in placed(draft):
        if one.section == "applications":
            applications.setdefault(one.server, set()).add(one.name)
    for one in placed(draft):
        _named(draft, one, servers)
        if one.server is not None and draft.whole(one.section, one.name):
            _untold(draft, one, applications.get(one.server, set()))


def _named(draft: Draft, one: Placed, servers: Mapping[str, str | None]) -> None:
    known = draft.names["applications"] | draft.names["jobs"]
    for index, other in enumerate(one.container.reach):
        at = (one.section, one.name, "reach", index)
        there = servers.get(other)
        if other == one.name:
            draft.report("a container reaches itself anyway; take it out", *at)
        elif other not in known:
            draft.report(f"{show(other)} is neither an application nor a job; {did_you_mean(other, known)}", *at)
        elif there is not None and one.server is not None and there != one.server:
            draft.report(
                f"{other} runs on {there}, this container on {one.server}; refer to it in env, {show('$' + other)}, "
                "and publish its port there by private",
                *at,
            )


def _untold(draft: Draft, one: Placed, here: Set[str]) -> None:
    """Report hosts that are written as plain text: the container would be refused there. `here` are the applications
    of its server.
    """
    named = named_by(one.name, one.container) | {one.name}
    for at, key, text in _texts(one):
        for host in sorted(_hosts(key, text) & here - named):
            remedy = f"reach: [{host}] in {draft.written(one.section, one.name)}"
            if at[2] in ("env", "environment", "files"):
                remedy = f"${{${host}}} in its place, or {remedy}"
            draft.report(f"leads to {host}, which is closed to containers that do not name it; write {remedy}", *at)


def _texts(one: Placed) -> Iterator[tuple[tuple[Key, ...], str, str]]:
    """Each text of a container with its place and the name that it is known by there."""
    for written in one.container.written:
        for text in written.value if isinstance(written.value, list) else [written.value]:
            if isinstance(text, str):
                yield (one.section, one.name, *written.path), written.path[1], text
    for setting in ("command", "entrypoint"):
        for index, text in enumerate(getattr(one.container, setting) or []):
            yield (one.section, one.name, setting, index), "", text


def _hosts(key: str, text: str) -> set[str]:
    """The names in a text that can only be hosts; what a reference stands for is none of them."""
    if _HOST_KEY.search(key):
        return {text}
    plain = "".join("x" if piece.is_reference else piece.text for piece in pieces(text))
    return {host for match in _HOST.finditer(plain) if (host := match["within"] or match["port"])}
