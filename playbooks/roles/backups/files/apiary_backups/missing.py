"""What of saved roles is put back by a restore: those that are not there any more, and the database that is asked for.

Pure text. A role that is there keeps its password, because that is the stack's of today, and not of the day of the
backup. Shapes: what engine_postgresql.roles and engine_mysql.roles write.
"""

from __future__ import annotations

import re
from collections.abc import Collection

CREATES = ("CREATE USER IF NOT EXISTS ", "CREATE ROLE IF NOT EXISTS ")
ON_ONE = re.compile(
    r"GRANT (?P<rights>.+) ON (?P<kind>(?:PROCEDURE|FUNCTION|PACKAGE BODY|PACKAGE) )?"
    r"`(?P<database>(?:[^`]|``)+)`\.`(?P<name>(?:[^`]|``)+)` TO "
)
MAKES = re.compile(r"ALL PRIVILEGES$|(.*, )?CREATE(,|$)")
GRANTS = ("GRANT ", "REVOKE ", "SET DEFAULT ROLE ")


def postgresql(dump: str, present: Collection[str], identifier: str, literal: str) -> str:
    """The lines of a dump for roles that are not `present`, and for the database. All names are spelled in SQL."""
    kept = []
    for line in dump.splitlines():
        words = line.split()
        if words[:2] in (["CREATE", "ROLE"], ["ALTER", "ROLE"]):
            wanted = first_name(line[len(" ".join(words[:2])) :]) not in present
        elif " ON DATABASE " in line:
            wanted = f" ON DATABASE {identifier} " in line
        elif words[:2] == ["ALTER", "DATABASE"]:
            wanted = line.startswith(f"ALTER DATABASE {identifier} ")
        elif line.endswith("\\gexec"):
            wanted = line.endswith(f"WHERE datname = {literal})\\gexec")
        elif words[:1] == ["GRANT"]:
            wanted = first_name(line.rpartition(" TO ")[2]) not in present
        else:
            wanted = True
        if wanted:
            kept.append(line)
    return "\n".join(kept) + "\n"


def first_name(text: str) -> str:
    """The SQL name that a text begins with, in its quotes where it has some."""
    text = text.strip()
    if not text.startswith('"'):
        return text.split()[0].rstrip(";") if text else ""
    end = 1
    while end < len(text):
        if text[end] == '"':
            if text[end + 1 : end + 2] != '"':
                break
            end += 1
        end += 1
    return text[: end + 1]


def mysql(dump: str, present: Collection[tuple[str, str]], identifier: str) -> str:
    """The same of MariaDB and MySQL: `present` are users and their hosts, of a role an empty one; `identifier` is the
    database in its quotes. The lines of an account are its creation, then what it may.
    """
    kept = []
    is_wanted = True
    for line in dump.splitlines():
        if line.startswith(CREATES):
            is_wanted = _account(line.removeprefix(CREATES[0]).removeprefix(CREATES[1])) not in present
        elif line.startswith("CREATE DATABASE "):
            is_wanted = f" {identifier} CHARACTER SET " in line
        elif not line.startswith(GRANTS):
            is_wanted = True
        if is_wanted:
            kept.append(line)
    return "\n".join(kept) + "\n"


def without_gone(dump: str, present: Collection[tuple[str, str, str]]) -> str:
    """Saved accounts of MariaDB and MySQL but for rights to what is not among these (kind, database, name): the server
    keeps them when a table is dropped, or a database with its routines, and refuses them for what is not there; but for
    a table that they may make. The kind is empty for a table; a routine's name is in small letters.
    """
    kept = []
    for line in dump.splitlines():
        found = ON_ONE.match(line)
        if found is None or _one(found) in present or (not found["kind"] and MAKES.match(found["rights"])):
            kept.append(line)
    return "\n".join(kept) + "\n"


def _one(found: re.Match[str]) -> tuple[str, str, str]:
    kind = (found["kind"] or "").strip()
    database, name = (one.replace("``", "`") for one in found.group("database", "name"))
    return kind, database, name.lower() if kind else name


def _account(text: str) -> tuple[str, str]:
    """User and host that a text begins with, quoted by ` (MariaDB) or by ' or ` (MySQL)."""
    user, rest = _quoted(text)
    host, _ = _quoted(rest.removeprefix("@"))
    return user, host


def _quoted(text: str) -> tuple[str, str]:
    quote, end, read = text[:1], 1, ""
    while end < len(text):
        if text[end] == quote:
            if text[end + 1 : end + 2] != quote:
                break
            end += 1
        read += text[end]
        end += 1
    return read, text[end + 1 :]
