"""Lists by cursor: `per_page` (1 to 500, default 100), `cursor`, and `meta` with the total and both links."""

import base64
import binascii
from collections.abc import Mapping, Sequence
from typing import Any

from lab.api.errors import refused

JSON = dict[str, Any]


def _cursor(direction: str, position: int) -> str:
    return base64.urlsafe_b64encode(f"{direction}__{position}".encode()).decode()


def _position(cursor: str) -> int:
    try:
        direction, _, position = base64.urlsafe_b64decode(cursor).decode().partition("__")
        if direction in ("next", "prev"):
            return max(0, int(position))
    except (ValueError, binascii.Error) as error:
        raise refused("Invalid cursor") from error
    raise refused("Invalid cursor")


def page(query: Mapping[str, str], items: Sequence[Any], wrapper: str) -> JSON:
    """One page of `items` under `wrapper`, chosen by the query. ApiError 400 for a bad cursor or per_page."""
    size_text = query.get("per_page") or "100"
    if not size_text.isdecimal() or not 1 <= int(size_text) <= 500:
        raise refused("Invalid per_page: must be a number from 1 to 500")
    size = int(size_text)
    start = _position(query["cursor"]) if query.get("cursor") else 0
    links = {
        "next": _cursor("next", start + size) if start + size < len(items) else "",
        "prev": _cursor("prev", max(0, start - size)) if start > 0 else "",
    }
    return {wrapper: list(items[start : start + size]), "meta": {"total": len(items), "links": links}}
