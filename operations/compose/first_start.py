"""What a database server runs at its first start, from /docker-entrypoint-initdb.d.

Makes: `read`, which says what becomes of it. The job dbsetup makes roles and databases after that start, so what fills
the first database finds none, and what is told of the first role is told of nothing. Leaves alone: the mount itself.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from operations.coming.entries import Path
from operations.coming.errors import path_of
from operations.compose import databases
from operations.compose.databases import Server
from operations.compose.scene import One

FOLDER = "/docker-entrypoint-initdb.d"
_NAME = r"[\"`']?(?P<name>[A-Za-z_$][\w$]*|\$\{\w+\})"
_ROLE = re.compile(rf"\bCREATE\s+(?:USER|ROLE)\s+(?:IF\s+NOT\s+EXISTS\s+)?{_NAME}", re.IGNORECASE)
_DATABASE = re.compile(rf"\bCREATE\s+DATABASE\s+(?:IF\s+NOT\s+EXISTS\s+)?{_NAME}", re.IGNORECASE)
_FILLS = re.compile(
    r"\bCREATE\s+(?:OR\s+REPLACE\s+)?(?:TABLE|VIEW|FUNCTION|PROCEDURE|TYPE|SEQUENCE|TRIGGER)\b|\bINSERT\s+INTO\b",
    re.IGNORECASE,
)
_EXTENSION = re.compile(r"\bCREATE\s+EXTENSION\s+(?:IF\s+NOT\s+EXISTS\s+)?[\"]?([A-Za-z_][\w-]*)", re.IGNORECASE)
_COMMENT = re.compile(r"^[ \t]*(?:--(?![a-z])|#(?!!)).*", re.MULTILINE)  # and no option of a program
# Where a script names a database or a role that is there.
_NAMES = (
    r"(?:\b(?:DATABASE|SCHEMA|USER|ROLE|OWNER|TO|ON|FOR|FROM|USE)\s+|\\c(?:onnect)?\s+"
    r"|\s-[dU]\s*|--(?:dbname|username)[= ])"
    r"[\"'`]?{}(?![\w-])"
)
_CHOOSES = re.compile(r"(?:^|;)\s*USE\s", re.IGNORECASE | re.MULTILINE)
_PASSWORD = re.compile(r"(?:\bBY|\bPASSWORD)\s+'([^'$]{8,})'", re.IGNORECASE)
_VARIABLE = re.compile(r"\$\{?([A-Z_]+)")


def read(one: One, server: Server, texts: Mapping[str, str], at: Path) -> bool:
    """Say what becomes of scripts, by the names of their files; whether they can come over."""
    meant = {file: _COMMENT.sub("", text) for file, text in texts.items()}
    for file, text in sorted(meant.items()):
        if why := _in_vain(server, text):
            one.told.cannot(
                at,
                f"{file} {why}, which the job dbsetup makes later, by the names that services use; leave it out by "
                f"--leave-out '{path_of(*at)}': what it made there comes with the dump (make copy), or by hand once "
                "the database is there (docs/databases.md)",
            )
            return False
    made = sorted({match["name"] for text in meant.values() for match in _ROLE.finditer(text)})
    for text in texts.values():
        for match in _PASSWORD.finditer(text):
            one.scene.secrets.name(f"{one.entry.name}_first_start", match[1])
    also = sorted({match["name"] for text in meant.values() for match in _DATABASE.finditer(text)})
    words = "what runs at the first start finds no database of an application yet"
    if made or also:
        spelt = [f"{kind} {', '.join(names)}" for kind, names in (("role", made), ("database", also)) if names]
        words += f"; it makes {' and '.join(spelt)} itself, and services log in as the roles of their databases, by db"
    one.told.differs((*at, "target"), words)
    if server.engine == databases.POSTGRES:
        for extension in sorted({match[1] for text in meant.values() for match in _EXTENSION.finditer(text)}):
            one.told.do(
                f"have the extension {extension} in each database of {one.entry.name} that needs it, unless it comes "
                "by a dump: a first start makes it in none of them now (docs/databases.md)"
            )
    if not texts or any(text.strip() for text in texts.values()):
        one.told.do(f"see what {one.entry.name} runs from {FOLDER}: it runs before the job dbsetup has made databases")
    return True


def _in_vain(server: Server, text: str) -> str:
    """Why a script does not do here what it did; empty where it does."""
    own = "POSTGRES_DB" if server.engine == databases.POSTGRES else ""
    for name in _VARIABLE.findall(text):
        is_gone = databases.is_first(server, name) and name != server.admin_variable
        # What PostgreSQL's entrypoint sets by itself is another database than it was, and the same administrator.
        if is_gone and (not own or (name == own and server.database != "postgres")):
            return f"asks for {name}, the first database or its role"
    made = {match["name"] for pattern in (_ROLE, _DATABASE) for match in pattern.finditer(text)}
    for name in sorted({server.user, server.database} - databases.ALWAYS_THERE - made - {""}):
        if re.search(_NAMES.format(re.escape(name)), text, re.IGNORECASE):
            return f"names {name}, the first database or its role"
    if _FILLS.search(text) and (own or not _CHOOSES.search(text)):
        return "fills a database"
    return ""
