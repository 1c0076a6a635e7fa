"""PostgreSQL: each database is owned by the role of its name, and nobody else may connect to it.

Makes roles, databases, ownership, passwords; revokes the right to connect from PUBLIC, on these databases and on
those which every server has. Leaves alone: other databases and roles, schemas, tables, and other rights.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeAlias

import psycopg
from psycopg import sql

from dbsetup.dbmap import Server
from dbsetup.passwords import is_scram_of
from dbsetup.report import NotYet, SetupError, left_alone, refused, wait_for

ADMIN = "postgres"
COMMON = ("postgres", "template1")  # of every server; PUBLIC may connect to them by default
CONNECT_SECONDS = 5

Connection: TypeAlias = psycopg.Connection[tuple[object, ...]]


def set_up(server: Server, wait_seconds: float) -> Iterator[str]:
    """Make all that `server` shall have; yields a line for each thing done. Raises SetupError."""
    with _errors_told():
        connection = wait_for(lambda: _connect(server.host, ADMIN, server.adminpass, "postgres"), wait_seconds)
        with connection:
            yield f"PostgreSQL {connection.info.parameter_status('server_version')}"
            # Two runs at once take turns.
            connection.execute("SELECT pg_advisory_lock(hashtext('dbsetup'))")
            for name in COMMON:
                _only_its_owner_connects(connection, name)
            for name, password in server.databases.items():
                done = [*_role(connection, name, password), *_database(connection, name)]
                _prove(server.host, name, password)
                yield f'database "{name}": {", ".join(done) or "as it should be"}'
            yield from _others(connection, server)


def _connect(host: str, user: str, password: str, database: str) -> Connection:
    try:
        return psycopg.connect(
            host=host, user=user, password=password, dbname=database, autocommit=True,
            connect_timeout=CONNECT_SECONDS, application_name="dbsetup", client_encoding="utf8",
        )  # fmt: skip
    except psycopg.OperationalError as error:
        said = " ".join(str(error).split())
        if "password authentication failed" in said or "no password supplied" in said:
            raise (refused(user) if user == ADMIN else SetupError(said)) from None
        raise NotYet(said) from None


def _role(connection: Connection, name: str, password: str) -> Iterator[str]:
    found = connection.execute("SELECT rolpassword, rolcanlogin FROM pg_authid WHERE rolname = %s", [name]).fetchone()
    if found is not None and found[1] and is_scram_of(password, None if found[0] is None else str(found[0])):
        return
    verifier = connection.pgconn.encrypt_password(password.encode(), name.encode(), b"scram-sha-256").decode()
    verb = "CREATE" if found is None else "ALTER"
    _run(connection, f"{verb} ROLE {{}} LOGIN PASSWORD {{}}", sql.Identifier(name), sql.Literal(verifier))
    yield "role made" if found is None else "password changed"


def _database(connection: Connection, name: str) -> Iterator[str]:
    found = connection.execute("SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = %s", [name]).fetchone()
    if found is None:
        _run(connection, "CREATE DATABASE {} OWNER {}", sql.Identifier(name), sql.Identifier(name))
        yield "database made"
    elif found[0] != name:
        _run(connection, "ALTER DATABASE {} OWNER TO {}", sql.Identifier(name), sql.Identifier(name))
        yield f'owner changed from "{found[0]}"'
    if _only_its_owner_connects(connection, name) and found is not None:
        yield "closed for other roles"


def _only_its_owner_connects(connection: Connection, name: str) -> bool:
    """Take the right to connect from PUBLIC; whether it had it."""
    open_to_all = connection.execute(
        "SELECT 1 FROM pg_database, aclexplode(coalesce(datacl, acldefault('d', datdba))) AS acl "
        "WHERE datname = %s AND acl.grantee = 0",
        [name],
    ).fetchone()
    if open_to_all is not None:
        # TEMPORARY goes too: the owner has both.
        _run(connection, "REVOKE ALL ON DATABASE {} FROM PUBLIC", sql.Identifier(name))
    return open_to_all is not None


def _prove(host: str, name: str, password: str) -> None:
    """Log in as the application will. Raises SetupError when that fails."""
    try:
        with _connect(host, name, password, name) as connection:
            connection.execute("SELECT 1")
    except (NotYet, SetupError) as error:
        raise SetupError(f'role "{name}" was set up and can\'t log in: {error}') from None


def _others(connection: Connection, server: Server) -> list[str]:
    databases = connection.execute("SELECT datname FROM pg_database WHERE NOT datistemplate AND datname <> 'postgres'")
    roles = connection.execute(
        "SELECT rolname FROM pg_roles WHERE rolcanlogin AND rolname <> %s AND rolname NOT LIKE 'pg\\_%%'", [ADMIN]
    )
    return left_alone(
        {str(row[0]) for row in databases.fetchall()} - server.databases.keys(),
        {str(row[0]) for row in roles.fetchall()} - server.databases.keys(),
    )


def _run(connection: Connection, statement: str, *parts: sql.Composable) -> None:
    connection.execute(sql.SQL(statement).format(*parts))


@contextmanager
def _errors_told() -> Iterator[None]:
    """Tell a server's error by its first line alone: the others may repeat the statement."""
    try:
        yield
    except psycopg.Error as error:
        said = error.diag.message_primary or " ".join(str(error).split("\n")[0].split())
        raise SetupError(f"{said or type(error).__name__} ({error.sqlstate or 'no answer'})") from None
