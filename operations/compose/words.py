"""A command in one line, split as Compose splits it. Pure."""

from __future__ import annotations

from operations.coming.errors import Wrong

_OPERATORS = ";&|<>()`"
_LIST = 'write a list: [sh, -c, "..."]'


def split(line: str) -> list[str]:
    """Return the words of a command. Raises Wrong for what a shell would have to do, where Compose ends or fails.

    Compose is no shell: a backslash hides what follows in double quotes too, and what stands behind `&&` is dropped.
    https://github.com/mattn/go-shellwords, shellwords.go
    """
    made: list[str] = []
    word: str | None = None
    quote, is_hidden = "", False
    for sign in line:
        if is_hidden:
            if sign in "nt":
                raise Wrong(f'holds "\\{sign}", which versions of Compose read differently; {_LIST}')
            word, is_hidden = (word or "") + sign, False
        elif sign == "\\" and quote != "'":
            is_hidden = True
        elif sign == quote:
            quote = ""
        elif quote:
            word = (word or "") + sign
        elif sign in ("'", '"'):
            quote, word = sign, word or ""
        elif sign in " \t\r\n":
            made += [] if word is None else [word]
            word = None
        elif sign in _OPERATORS:
            raise Wrong(f'holds "{sign}", and no shell is there to see it; {_LIST}, or put it in quotes')
        else:
            word = (word or "") + sign
    if quote or is_hidden:
        raise Wrong("has a quote that is not closed, or ends with a backslash; close it, or write a list")
    return made + ([] if word is None else [word])
