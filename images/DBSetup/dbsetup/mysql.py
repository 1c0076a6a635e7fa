"""MariaDB and MySQL: each database has an account of its name, which may do everything in it, from any host.

Makes databases (utf8mb4), accounts, passwords, grants. MariaDB gets a hash made here; MySQL, whose hashes can't be
made elsewhere in one dialect, gets the password and keeps it out of its own logs. TLS where the server has it, with
whatever certificate: it made that itself. Leaves alone: other databases and accounts, and other rights.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pymysql

from dbsetup.dbmap import Server
from dbsetup.passwords import native
from dbsetup.quoting import identifier, pattern, text
from dbsetup.report import NotYet, SetupError, left_alone, refused, wait_for

ADMIN = "root"
ANYWHERE = "%"
CONNECT_SECONDS = 5
DENIED = (1044, 1045, 1698)
NO_TLS = 1043  # "Bad handshake"
EXPIRED = 1862  # a password that was right until the server's default_password_lifetime was over
OWN_DATABASES = ("mysql", "information_schema", "performance_schema", "sys")
OWN_ACCOUNTS = (ADMIN, "mysql", "mariadb.sys", "mysql.sys", "mysql.session", "mysql.infoschema", "healthcheck", "")


def set_up(server: Server, wait_seconds: float) -> Iterator[str]:
    """Make all that `server` shall have; yields a line for each thing done. Raises SetupError."""
    with _errors_told():
        connection = wait_for(lambda: _connect(server.host, ADMIN, server.adminpass, None), wait_seconds)
        with connection:
            [[version]] = _rows(connection, "SELECT VERSION()")
            is_mariadb = "mariadb" in str(version).lower()
            yield f"{'MariaDB' if is_mariadb else 'MySQL'} {version}"
            # Two runs at once take turns.
            _rows(connection, "SELECT GET_LOCK('dbsetup', 30)")
            granted = identifier if _wildcards_are_off(connection) else pattern
            for name, password in server.databases.items():
                done = [
                    *_database(connection, name),
                    *_account(connection, server.host, name, password, is_mariadb=is_mariadb),
                ]
                # Repeating it changes nothing.
                _run(connection, f"GRANT ALL PRIVILEGES ON {granted(name)}.* TO {_account_name(name)}")
                _prove(server.host, name, password)
                yield f'database "{name}": {", ".join(done) or "as it should be"}'
            yield from _others(connection, server)


def _connect(host: str, user: str, password: str, database: str | None) -> Any:  # noqa: ANN401 - untyped driver
    try:
        try:
            return _open(host, user, password, database, _any_certificate())
        except pymysql.MySQLError as error:
            # A MySQL without TLS does not go on without it by itself; MariaDB does.
            if _told(error)[0] != NO_TLS:
                raise
            return _open(host, user, password, database, None)
    except pymysql.MySQLError as error:
        number, said = _told(error)
        if number in DENIED:
            raise (refused(user) if user == ADMIN else SetupError(said)) from None
        if number == EXPIRED and user != ADMIN:
            raise SetupError(said) from None
        raise NotYet(said) from None


def _open(host: str, user: str, password: str, database: str | None, tls: ssl.SSLContext | None) -> Any:  # noqa: ANN401
    # The password as bytes: of a text the driver would send Latin-1, where statements and hashes here have UTF-8.
    return pymysql.connect(
        host=host, user=user, password=password.encode(), database=database, autocommit=True, charset="utf8mb4",
        connect_timeout=CONNECT_SECONDS, read_timeout=60, write_timeout=60, ssl=tls,
        sql_mode="STRICT_ALL_TABLES,NO_BACKSLASH_ESCAPES",
    )  # fmt: skip


def _any_certificate() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _wildcards_are_off(connection: Any) -> bool:  # noqa: ANN401
    """Whether this is a MySQL that takes `_` and `%` in a GRANT as they are, and what stands before them too."""
    return [_text(row[1]) for row in _rows(connection, "SHOW GLOBAL VARIABLES LIKE 'partial_revokes'")] == ["ON"]


def _database(connection: Any, name: str) -> Iterator[str]:  # noqa: ANN401
    if not _rows(connection, "SELECT 1 FROM information_schema.schemata WHERE schema_name = %s", name):
        _run(connection, f"CREATE DATABASE {identifier(name)} CHARACTER SET utf8mb4")
        yield "database made"


def _account(connection: Any, host: str, name: str, password: str, *, is_mariadb: bool) -> Iterator[str]:  # noqa: ANN401
    found = _rows(
        connection, "SELECT authentication_string FROM mysql.user WHERE user = %s AND host = %s", name, ANYWHERE
    )
    hashed = native(password)
    if found and (_text(found[0][0]) == hashed if is_mariadb else _logs_in(host, name, password)):
        return
    how = f"VIA mysql_native_password USING {text(hashed)}" if is_mariadb else f"BY {text(password)}"
    verb = "ALTER" if found else "CREATE"
    _run(connection, f"{verb} USER {_account_name(name)} IDENTIFIED {how}")
    yield "password changed" if found else "account made"


def _logs_in(host: str, name: str, password: str) -> bool:
    """Whether an account has this password, and may use it. Raises SetupError when nobody answers."""
    try:
        _connect(host, name, password, None).close()
    except NotYet as error:
        raise SetupError(f'account "{name}" could not be tried: {error}; run this job again') from None
    except SetupError:
        return False
    return True


def _prove(host: str, name: str, password: str) -> None:
    """Log in as the application will. Raises SetupError when that fails."""
    try:
        with _connect(host, name, password, name) as connection:
            _rows(connection, "SELECT 1")
    except (NotYet, SetupError) as error:
        raise SetupError(f'account "{name}" was set up and can\'t log in: {error}') from None


def _others(connection: Any, server: Server) -> list[str]:  # noqa: ANN401
    databases = {_text(row[0]) for row in _rows(connection, "SELECT schema_name FROM information_schema.schemata")}
    accounts = {_text(row[0]) for row in _rows(connection, "SELECT DISTINCT user FROM mysql.user WHERE host <> ''")}
    return left_alone(
        {name for name in databases if name.lower() not in OWN_DATABASES} - server.databases.keys(),
        accounts - {*OWN_ACCOUNTS, *server.databases},
    )


def _account_name(name: str) -> str:
    return f"{text(name)}@{text(ANYWHERE)}"


def _rows(connection: Any, statement: str, *values: str) -> list[Any]:  # noqa: ANN401
    with connection.cursor() as cursor:
        cursor.execute(statement.replace("%s", "{}").format(*map(text, values)))
        return list(cursor.fetchall())


def _run(connection: Any, statement: str) -> None:  # noqa: ANN401
    with connection.cursor() as cursor:
        cursor.execute(statement)


def _text(value: object) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _told(error: pymysql.MySQLError) -> tuple[int, str]:
    number, *said = error.args or (0,)
    return (number if isinstance(number, int) else 0), " ".join(str(part) for part in said) or type(error).__name__


@contextmanager
def _errors_told() -> Iterator[None]:
    try:
        yield
    except pymysql.MySQLError as error:
        number, said = _told(error)
        # 1064 repeats the statement from where it was not understood.
        raise SetupError(f"{'a statement was not understood' if number == 1064 else said} ({number})") from None
