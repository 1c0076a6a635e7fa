"""Other services by their host names in texts: commands, files, health commands.

Makes: `places`, where a text names one; `referred`, a text with references in their places, and `words`, a command with
the names of their entries, since no reference stands in a command. Leaves alone: whole values that are host names
(variables_out). Pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from operations.coming.entries import Parts
from settings.references import AppRef

# What stands before a host: of a URL, of an address, of a word or a key for one.
_BEFORE = re.compile(
    r"(?://|@|(?:host|hostname|server|addr|address|endpoint|upstream)s?[\"']?(?:\s*[:=]\s*|\s+)[\"'\[]*)$",
    re.IGNORECASE,
)
_AFTER = re.compile(r":\d{1,5}(?![\w.:-])")
_LONGEST = 40  # characters before a host that are looked at


@dataclass(frozen=True)
class Place:
    """A host name in a text, and the application that is meant."""

    start: int
    end: int
    app: str


def places(text: str, hosts: Mapping[str, str]) -> Iterator[Place]:
    """Return where a text names one of `hosts` (application by host name) in a place where only hosts stand."""
    if not hosts:
        return
    names = "|".join(re.escape(name) for name in sorted(hosts, key=len, reverse=True))
    for match in re.finditer(rf"(?<![\w.-])(?:{names})(?![\w-]|\.\w)", text):
        before = text[max(0, match.start() - _LONGEST) : match.start()]
        if _BEFORE.search(before) or _AFTER.match(text, match.end()):
            yield Place(match.start(), match.end(), hosts[match[0]])


def listed(text: str, hosts: Mapping[str, str]) -> dict[str, str]:
    """The names of `hosts` that are items of lists in a configuration, `members: [read, write]`, and may be hosts there
    or plain words: the application by each.
    """
    names = "|".join(re.escape(name) for name in sorted(hosts, key=len, reverse=True))
    items = rf"(?m)(?:^[ \t]*-[ \t]+|[\[,][ \t]*)([\"']?)({names})\1[ \t]*(?=$|[,\]#])"
    return {match[2]: hosts[match[2]] for match in re.finditer(items, text)} if hosts else {}


def referred(text: str, hosts: Mapping[str, str]) -> Parts:
    """Return the text with a reference wherever a host stands."""
    parts: Parts = []
    at = 0
    for place in places(text, hosts):
        parts += [text[at : place.start], AppRef(place.app)]
        at = place.end
    return [*parts, text[at:]]


def words(command: Sequence[str], hosts: Mapping[str, str]) -> tuple[list[str], dict[str, str]]:
    """Return a command with the names of entries, and which hosts it names: the application by the name it had."""
    made: list[str] = []
    named: dict[str, str] = {}
    before = ""
    for word in command:
        line, begin = f"{before} {word}", len(before) + 1
        spelt, at = "", begin
        for place in places(line, hosts):
            if place.start >= begin:
                named[line[place.start : place.end]] = place.app
                spelt, at = spelt + line[at : place.start] + place.app, place.end
        made.append(spelt + line[at:])
        before = word
    return made, named
