"""What is wanted: the variable DBMAP as data.

    {"postgres": {"kind": "postgresql", "host": "postgres", "adminpass": "...",
                  "databases": {"shop": {"password": "..."}}}}

Pure. Each database belongs to a role of the same name. No message repeats a value: it may be a password.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

KINDS = ("postgresql", "mysql")
LONGEST = {"postgresql": 63, "mysql": 32}  # bytes; MySQL's is of its accounts


class InputError(ValueError):
    """DBMAP can't be used; the message has one line a mistake."""


@dataclass(frozen=True)
class Server:
    """One database server, and what shall be on it."""

    name: str
    kind: str  # one of KINDS
    host: str
    adminpass: str = field(repr=False)
    databases: dict[str, str] = field(repr=False)  # name of database and role -> the role's password


def parse_dbmap(text: str | None) -> list[Server]:
    """Every server of DBMAP, by name. Raises InputError with all that is wrong."""
    if not text:
        raise InputError("DBMAP is empty; hand this job the databases: env: {dbmap: _dbmap}")
    try:
        raw = json.loads(text)
    except ValueError:
        # The parser's own message would show a part of the text.
        raise InputError("DBMAP is not JSON") from None
    if not isinstance(raw, dict):
        raise InputError("DBMAP must be a map from the names of servers to what shall be on them")
    problems: list[str] = []
    servers = [_server(name, entry, problems) for name, entry in sorted(raw.items())]
    if problems:
        raise InputError("\n".join(problems))
    return servers


def _server(name: str, entry: Any, problems: list[str]) -> Server:  # noqa: ANN401 - JSON
    if not isinstance(entry, dict):
        problems.append(f"DBMAP.{name}: must be a map with kind, host, adminpass and databases")
        return Server(name, "", "", "", {})
    texts = {key: entry.get(key) for key in ("kind", "host", "adminpass")}
    for key, value in texts.items():
        if not isinstance(value, str) or not value:
            problems.append(f"DBMAP.{name}.{key}: must be text, and not empty")
    kind = texts["kind"]
    if isinstance(kind, str) and kind and kind not in KINDS:
        problems.append(f"DBMAP.{name}.kind: must be one of {', '.join(KINDS)}")
    databases = entry.get("databases")
    passwords: dict[str, str] = {}
    if not isinstance(databases, dict):
        problems.append(f"DBMAP.{name}.databases: must be a map from names to {{password: ...}}")
        databases = {}
    for database, wanted in sorted(databases.items()):
        password = wanted.get("password") if isinstance(wanted, dict) else None
        if problem := _name_problem(database, str(kind)):
            problems.append(f"DBMAP.{name}.databases: a name {problem}")
        if not isinstance(password, str) or not password or "\0" in password:
            problems.append(f"DBMAP.{name}.databases.{database}.password: must be text, and not empty")
        passwords[database] = str(password)
    return Server(name, str(kind), str(texts["host"]), str(texts["adminpass"]), passwords)


def _name_problem(name: str, kind: str) -> str | None:
    if not name or any(ord(char) < 32 for char in name):
        return "is empty or holds a control character"
    if len(name.encode("utf-8", "replace")) > LONGEST.get(kind, 63):
        return f"is longer than {LONGEST.get(kind, 63)} bytes"
    return None
