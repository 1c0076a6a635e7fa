"""References inside text: `postgres://shop:${_postgres^password}@${$postgres}/shop`.

Makes: `pieces`, which takes a text apart, and `kept`, which says how a value has to be written where it stands. Leaves
alone: what the references mean (`references`).

`${` begins a reference wherever it stands, and `$${` is the plain text `${`.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

_HOLE = "\0"  # stands for a value that is not known yet; no text holds it (`container_texts.argument`)
_PART = re.compile(r"\$\$\{|\$\{([^{}]*)\}|\$\{")
# What a URL in a longer text, in a file for instance, does not go beyond.
_ENDS = r"\s\"'<>"
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")


@dataclass(frozen=True)
class Piece:
    """A stretch of plain text, or what stands between `${` and `}`: nothing where that is not closed."""

    text: str
    is_reference: bool = False


def pieces(text: str) -> tuple[Piece, ...]:
    """Take a text apart; stretches of plain text are as they are meant, without empty ones."""
    found: list[Piece] = []
    plain, end = "", 0
    for match in _PART.finditer(text):
        plain += text[end : match.start()]
        end = match.end()
        if match[0] == "$${":
            plain += "${"
        else:
            found += [Piece(plain), Piece(match[1] or "", is_reference=True)]
            plain = ""
    return tuple(piece for piece in (*found, Piece(plain + text[end:])) if piece.text or piece.is_reference)


def plain(text: str) -> str:
    """Spell plain text so that `pieces` leaves it in one."""
    return text.replace("${", "$${")


def kept(of: Sequence[Piece], index: int) -> str | None:
    """Return which reserved characters a value keeps where a reference stands, all others percent-encoded.

    None: the value stays as it is, outside of a URL (`scheme://`) or as a part of its host. In a path slashes are kept.
    """
    texts = [_HOLE if one.is_reference else one.text for one in of]
    before, after = "".join(texts[:index]), "".join(texts[index + 1 :])
    token = re.split(f"[{_ENDS}]", before)[-1]
    schemes = list(_SCHEME.finditer(token))
    if not schemes:
        return None
    behind = token[schemes[-1].end() :]
    if "?" in behind or "#" in behind:
        return ""
    if "/" in behind:
        return "/"
    return "" if "@" in re.split(f"[{_ENDS}/?#]", after)[0] else None
