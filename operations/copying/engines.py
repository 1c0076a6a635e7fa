"""The kinds of database servers, and what they are asked alike."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from operations.copying import mysql, postgresql
from operations.copying.engine import Engine

WHICH = """\
if command -v pg_dump >/dev/null; then echo postgresql
elif command -v mariadb-dump >/dev/null || command -v mysqldump >/dev/null; then echo mysql; fi
"""
ENGINES: dict[str, Engine] = {"postgresql": postgresql.ENGINE, "mysql": mysql.ENGINE}


def beside(database: str) -> str:
    """The name of the one beside a database; the engines allow 63 bytes."""
    return f"apiary_copy_{_short(database)}"


def aside(database: str) -> tuple[str, str]:
    """The name of the old host's database while it is copied for good, and that of the empty one in its place."""
    return f"apiary_left_{_short(database)}", f"apiary_none_{_short(database)}"


def _short(database: str) -> str:
    return hashlib.sha256(database.encode()).hexdigest()[:12]


def counting(tables: Mapping[str, str]) -> str:
    """The statement that counts the rows of tables, quoted as `tables` has them, beside an expression for each."""
    counts = [
        f"SELECT '{table.replace(chr(39), chr(39) * 2)}', count(*), {expression} FROM {table}"
        for table, expression in tables.items()
    ]
    return " UNION ALL ".join(counts)
