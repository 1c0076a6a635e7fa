"""Files that a container is given: written in the stack file, or kept beside it.

Makes: `File`, and its language. Leaves alone: what its references mean (`references`), whether what it names in the
checkout is there (`checks.files`), and how it gets to the server (components/files.py).
"""

import re
from dataclasses import dataclass

from settings.errors import did_you_mean, kind_of, show

_LARGEST = 1_000_000  # bytes of content
_MODE = re.compile(r"0?([0-7]{3})", re.ASCII)
_USER = re.compile(r"\d{1,10}(?::\d{1,10})?", re.ASCII)
_PART = re.compile(r"[!-~](?:[ -~]*[!-~])?")
_WORDS = ("content", "from", "mode", "user")


@dataclass(frozen=True)
class File:
    """A file, or a folder of the checkout. Of `content` and `source` one is given."""

    content: str | None
    source: str | None  # path from the top of the checkout
    mode: str | None  # `0400`
    user: str | None  # `1000`, or `1000:1000` with a group


def setting(value: object) -> object:
    """Check a file, kept as written; no message repeats its content, it may be a secret."""
    read(value)
    return value


def read(value: object) -> File:
    """Read `{content: "...", mode: "0400", user: "1000:1000"}` or `{from: config/app}`. Raises ValueError."""
    if not isinstance(value, dict):
        raise ValueError(f'must be a map, not {kind_of(value)}; write {{content: "..."}} or {{from: config/app.yml}}')  # noqa: TRY004
    for word in value:
        if word not in _WORDS:
            raise ValueError(f"{show(word)} is not known of a file; {did_you_mean(str(word), _WORDS)}")
    content, source = value.get("content"), value.get("from")
    if (content is None) == (source is None):
        raise ValueError('needs one of content and from; write {content: "..."} or {from: config/app.yml}')
    return File(_content(content), _source(source), _mode(value.get("mode")), _user(value.get("user")))


def _content(value: object) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str):
        raise ValueError(f"its content must be text, not {kind_of(value)}; write it in quotes, or as a block: |")  # noqa: TRY004
    if "\0" in value or any("\ud800" <= char <= "\udfff" for char in value):
        raise ValueError(
            "its content holds a character that is none of text; keep such a file beside the stack file: from"
        )
    if (size := len(value.encode())) > _LARGEST:
        raise ValueError(f"its content has {size} bytes; keep a file of that size beside the stack file: from")
    return value


def _source(value: object) -> str | None:
    if value is None:
        return None
    parts = value.split("/") if isinstance(value, str) else []
    if not parts or any(not _PART.fullmatch(part) or part in (".", "..", ".git", ".apiary") for part in parts):
        raise ValueError(f"from {show(value)} is not a path of the checkout; write it from its top on: config/app.yml")
    return "/".join(parts)


def _mode(value: object) -> str | None:
    if value is None:
        return None
    match = _MODE.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise ValueError('its mode must be three or four octal digits in quotes, with a 0 in front; write mode: "0400"')
    return f"0{match[1]}"


def _user(value: object) -> str | None:
    if value is None:
        return None
    text = show(value) if isinstance(value, int) and not isinstance(value, bool) else value
    if not isinstance(text, str) or not _USER.fullmatch(text):
        raise ValueError(f'its user {show(value)} is no number, and names are the image\'s; write user: "1000:1000"')
    return text
