"""What runs in a container: its entrypoint and its command."""

from __future__ import annotations

from operations.coming import hosts
from operations.coming.errors import Wrong, texts
from operations.compose import hidden
from operations.compose.scene import One
from operations.compose.words import split


def entrypoint(one: One, value: object) -> None:
    """What runs instead of the image's entrypoint; without any, it is the first word of the command."""
    if value is None:
        one.told.needless(one.at("entrypoint"), "the image's own stays")
    elif words := _words(value):
        _put(one, "entrypoint", words)
    elif command := _words(one.data.get("command")):
        one.entry.put("entrypoint", command[:1], one.at("entrypoint"))
        one.told.becomes(one.at("entrypoint"), "the first word of command, which runs without the image's")
    else:
        raise Wrong("is empty, which takes the image's own away; write what shall run")


def command(one: One, value: object) -> None:
    """What is handed to it instead of the image's command, which goes with the image's entrypoint anyway."""
    if value is None:
        one.told.needless(one.at("command"), "the image's own stays")
        return
    words, replaced = _words(value), one.data.get("entrypoint")
    if not words and not _words(replaced):
        raise Wrong("is empty, which takes the image's own away; write what shall run")
    if replaced is not None and not _words(replaced):
        words = words[1:]  # the first one is the entrypoint
    if words:
        _put(one, "command", words)
    else:
        one.told.needless(one.at("command"), "what replaces the image's entrypoint runs without the image's command")


def _words(value: object) -> list[str]:
    return split(value) if isinstance(value, str) else texts(value, "[serve, --quiet]")


def _put(one: One, word: str, words: list[str]) -> None:
    hidden.learn(one, words)
    made, named = hosts.words(words, one.client.others)
    one.client.linked |= set(named.values())
    one.entry.put(word, made, one.at(word))
    renamed = [f"{host} is called {app} now" for host, app in named.items() if host != app]
    if renamed:
        one.told.differs(one.at(word), "; ".join(renamed))
    else:
        one.told.as_is(*one.at(word))
