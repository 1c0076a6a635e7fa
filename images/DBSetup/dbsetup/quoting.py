"""MySQL's quoting, for the mode in which it is used here: NO_BACKSLASH_ESCAPES, so that `\\` is a character.

Pure.
"""

from __future__ import annotations


def identifier(name: str) -> str:
    """A name between backticks."""
    return "`" + name.replace("`", "``") + "`"


def pattern(name: str) -> str:
    """The name of a database in a GRANT, where `_` and `%` would stand for any characters."""
    return identifier(name.replace("\\", "\\\\").replace("_", "\\_").replace("%", "\\%"))


def text(value: str) -> str:
    """A text between quotes."""
    return "'" + value.replace("'", "''") + "'"
