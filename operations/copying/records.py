"""What a server remembers of copies: which databases came from where, and which containers of an old host were stopped.

A file each below /var/lib/apiary/copies, written whole. Nothing is kept on the old host.
"""

from __future__ import annotations

import json
import re
from typing import Any

from operations.carry import Place

FOLDER = "/var/lib/apiary/copies"
_WRITE = 'mkdir -p -m 700 "${0%/*}" && cat >"$0.part" && mv "$0.part" "$0"'


def read(new: Place, name: str) -> dict[str, Any]:
    """A record; an empty one where there is none. Raises CarryError."""
    text = new.ask("sh", "-c", 'cat "$0" 2>/dev/null || true', _path(name))
    found: dict[str, Any] = json.loads(text) if text.strip() else {}
    return found


def write(new: Place, name: str, record: dict[str, Any]) -> None:
    """Keep a record. Raises CarryError."""
    new.ask("sh", "-c", _WRITE, _path(name), said=json.dumps(record))


def forget(new: Place, name: str) -> None:
    """Remove a record. Raises CarryError."""
    new.ask("rm", "-f", _path(name))


def names(new: Place) -> list[str]:
    """The names of all records. Raises CarryError."""
    listed = new.ask("sh", "-c", 'ls "$0" 2>/dev/null || true', FOLDER).split()
    return [one.removesuffix(".json") for one in listed if one.endswith(".json")]


def of_host(host: str) -> str:
    """The name of the record of an old host's stopped containers."""
    return f"stopped {host}"


def _path(name: str) -> str:
    return f"{FOLDER}/{re.sub(r'[^A-Za-z0-9_.-]', '_', name)}.json"
