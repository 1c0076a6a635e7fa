"""What a MariaDB or MySQL server is asked: which databases it has, for dumps of them, and to take them back.

All is asked inside its own container, where the server's own programs are. The administrator there is the user
`mysql` of the image here, or `root` with the password of the container's environment, as in the official ones. A dump
is SQL without the database's name; it reads one state of all InnoDB tables and locks nobody out. It does not go in as
one transaction, which this engine has not: who loads it has to know that a load was begun (`fill`, `journal`).

Roles: first every account with its password's hash and every role, but for the server's own, so that what they may,
which comes then, finds whom it names; then the databases themselves with their character set. Leaves alone: grants to
PUBLIC.
"""

from __future__ import annotations

import json
import time
from contextlib import suppress

from apiary_backups import docker, missing
from apiary_backups.errors import BackupsError
from apiary_backups.loading import Load

HEAD = "-- apiary: "
END_SECONDS = 60.0
MARK = b"-- Dump completed"
ROLES_MARK = b"-- apiary: end"
CREATES = b"CREATE DATABASE IF NOT EXISTS "
# A database that a copy from an old host has put beside another one.
BESIDE = "apiary_copy_"
OWN_DATABASES = ("mysql", "information_schema", "performance_schema", "sys")
OWN_ACCOUNTS = ("root", "mysql", "mariadb.sys", "mysql.sys", "mysql.session", "mysql.infoschema", "healthcheck", "")
# The programs' names, and who the administrator is.
CLIENT = """\
set -e
client=$(command -v mariadb || command -v mysql)
dump=$(command -v mariadb-dump || command -v mysqldump)
user=mysql
if ! "$client" --user=mysql --execute='SELECT 1 FROM mysql.user LIMIT 1' >/dev/null 2>&1; then
  user=root
  MYSQL_PWD=${MARIADB_ROOT_PASSWORD:-${MYSQL_ROOT_PASSWORD:-}}
  file=${MARIADB_ROOT_PASSWORD_FILE:-${MYSQL_ROOT_PASSWORD_FILE:-}}
  [ -n "$MYSQL_PWD" ] || [ -z "$file" ] || MYSQL_PWD=$(cat "$file")
  export MYSQL_PWD
fi
# What quotes and backslashes mean is a matter of the server's sql_mode, and so is how it spells them.
plain="--init-command=SET SESSION sql_mode = ''"
said() { "$client" --user="$user" --default-character-set=utf8mb4 --batch --skip-column-names --raw "$@"; }
ask() { said "$plain" "$@"; }
"""
QUERY = CLIENT + 'ask --execute="$1"'
# As in engine_postgresql: the first start of an official image.
STAYS = "@@GLOBAL.skip_networking = 0"
DUMP = (
    CLIENT
    + """\
more=
case $("$dump" --version) in *MariaDB*) ;; *) more=--set-gtid-purged=OFF ;; esac
exec "$dump" --user="$user" --default-character-set=utf8mb4 --single-transaction --quick --routines --triggers \
  --events --hex-blob --no-tablespaces --max-allowed-packet=1G $more -- "$1"
"""
)
ROLES = (
    CLIENT
    + """\
own="'root','mysql','mariadb.sys','mysql.sys','mysql.session','mysql.infoschema','healthcheck',''"
databases="'mysql','information_schema','performance_schema','sys'"
case $("$client" --version) in *MariaDB*) hex= is_role="is_role = 'Y'" ;;
  *) hex='/*!80017 SET print_identified_with_as_hex = ON */;' is_role=false ;; esac
accounts=$(ask --execute="SELECT CONCAT(QUOTE(user), '@', QUOTE(host)) FROM mysql.user
  WHERE user NOT IN ($own) AND host <> '' ORDER BY 1")
roles=$(ask --execute="SELECT CONCAT('\\`', REPLACE(user, '\\`', '\\`\\`'), '\\`') FROM mysql.user
  WHERE $is_role AND user <> 'PUBLIC' ORDER BY 1")
each() { [ -z "$1" ] || printf '%s\n' "$1" | while IFS= read -r one; do "$2" "$one"; done; }
role() { printf 'CREATE ROLE IF NOT EXISTS %s;\n' "$1"; }
account() {
  made=$(ask --execute="$hex SHOW CREATE USER $1")
  printf '%s\n' "$made" | sed 's/^CREATE USER /CREATE USER IF NOT EXISTS /; s/$/;/'
}
granted() { rights=$(ask --execute="SHOW GRANTS FOR $1"); printf '%s\n' "$rights" | sed 's/$/;/'; }
# Of an account and of a role, what it is stands before what it may, which is how it is told whose that is.
role_whole() { role "$1"; granted "$1"; }
account_whole() { account "$1"; granted "$1"; }
each "$roles" role
all=$(each "$accounts" account)
# Whose roles are in force by themselves comes after those, which MySQL has among the accounts.
printf '%s\n' "$all" | grep -v ' DEFAULT ROLE ' || true
printf '%s\n' "$all" | grep ' DEFAULT ROLE ' || true
each "$roles" role_whole
each "$accounts" account_whole
ask --execute="SELECT CONCAT('CREATE DATABASE IF NOT EXISTS \\`', REPLACE(schema_name, '\\`', '\\`\\`'),
  '\\` CHARACTER SET ', default_character_set_name, ' COLLATE ', default_collation_name, ';')
  FROM information_schema.schemata WHERE schema_name NOT IN ($databases) ORDER BY 1"
ask --execute="SET group_concat_max_len = 1000000; SELECT CONCAT('-- apiary: {\\"databases\\": [',
  COALESCE(GROUP_CONCAT(JSON_QUOTE(schema_name) SEPARATOR ', '), ''), ']}')
  FROM information_schema.schemata WHERE schema_name NOT IN ($databases)"
echo '-- apiary: end'
"""
)
# A trigger goes with its table, and with a package its body, which is a routine of its own.
CONTENTS = """\
SELECT CONCAT('DROP ', CASE table_type WHEN 'VIEW' THEN 'VIEW' WHEN 'SEQUENCE' THEN 'SEQUENCE' ELSE 'TABLE' END,
  ' IF EXISTS `', REPLACE(table_name, '`', '``'), '`;') FROM information_schema.tables WHERE table_schema = {of};
SELECT CONCAT('DROP ', routine_type, ' IF EXISTS `', REPLACE(routine_name, '`', '``'), '`;')
  FROM information_schema.routines WHERE routine_schema = {of};
SELECT CONCAT('DROP EVENT IF EXISTS `', REPLACE(event_name, '`', '``'), '`;')
  FROM information_schema.events WHERE event_schema = {of}"""
# Whatever a right may name by itself, as missing.without_gone knows it.
NAMEABLE = """\
SELECT JSON_ARRAY('', table_schema, table_name) FROM information_schema.tables
UNION ALL SELECT JSON_ARRAY(routine_type, routine_schema, LOWER(routine_name)) FROM information_schema.routines"""
# In a dump bytes have twice their length: a server that took a row may refuse its statement. And what somebody may do
# with a routine goes by itself with the routine, which a dump drops and makes anew.
LOAD = (
    CLIENT
    + """\
was=$(ask --execute='SELECT @@GLOBAL.max_allowed_packet')
rights=$(ask --execute='SELECT @@GLOBAL.automatic_sp_privileges')
trap 'ask --execute="SET GLOBAL max_allowed_packet = $was, GLOBAL automatic_sp_privileges = $rights"' EXIT
ask --execute='SET GLOBAL max_allowed_packet = 1073741824, GLOBAL automatic_sp_privileges = 0'
"$client" --user="$user" "$plain" --default-character-set=utf8mb4 --binary-mode --max-allowed-packet=1G -- "$1"
"""
)


def _ask(container: str, sql: str) -> str:
    return docker.execute(container, "sh", "-c", QUERY, "apiary", sql).strip("\n")


def _identifier(name: str) -> str:
    return "`" + name.replace("`", "``") + "`"


def _literal(text: str) -> str:
    # As hexadecimal digits: what a backslash means is a matter of the server's sql_mode.
    # By its bytes: `Shop` and `shop` are two databases, and a server's own order of words may hold them for one.
    return f"CONVERT(0x{text.encode().hex()} USING utf8mb4) COLLATE utf8mb4_bin"


def databases(container: str) -> list[str]:
    """The databases of a server, but for its own. Raises BackupsError."""
    own = ", ".join(map(_literal, OWN_DATABASES))
    found = _ask(
        container, f"SELECT JSON_QUOTE(schema_name) FROM information_schema.schemata WHERE schema_name NOT IN ({own})"
    )
    names = [json.loads(line) for line in found.splitlines() if line]
    return sorted(name for name in names if not name.startswith(BESIDE))


def is_there(container: str, database: str) -> bool:
    """Whether there is such a database. Raises BackupsError."""
    return _count(container, f"information_schema.schemata WHERE schema_name = {_literal(database)}") != 0


def is_empty(container: str, database: str) -> bool:
    """Whether there is nothing in it that a dump could overwrite: it has no tables, or is not there at all."""
    return not _count(container, f"information_schema.tables WHERE table_schema = {_literal(database)}")


def _count(container: str, what: str) -> int:
    return int(_ask(container, f"SELECT COUNT(*) FROM {what}"))


def dump(container: str, database: str) -> list[str]:
    """The command that writes the dump of one database."""
    return docker.executed(container, "sh", "-c", DUMP, "apiary", database)


def roles(container: str) -> list[str]:
    """The command that writes all accounts and databases."""
    return docker.executed(container, "sh", "-c", ROLES)


def listed(roles_dump: bytes) -> list[str]:
    """The databases that a server had when its roles were saved. Raises BackupsError."""
    for line in roles_dump.decode(errors="replace").splitlines():
        if line.startswith(HEAD + "{"):
            return [str(name) for name in json.loads(line.removeprefix(HEAD))["databases"]]
    raise BackupsError("the saved roles do not say which databases there were")


def prepare(container: str, database: str) -> None:
    """Make the database where it is not there. Raises BackupsError."""
    if not is_there(container, database):
        _ask(container, f"CREATE DATABASE {_identifier(database)} CHARACTER SET utf8mb4")


def drop(container: str, database: str) -> None:
    """Remove a database. Raises BackupsError."""
    _ask(container, f"DROP DATABASE IF EXISTS {_identifier(database)}")


def load(container: str, database: str) -> Load:
    """How a dump gets into a database that is there and empty. Broken off, a part of it is there."""
    return Load(docker.executed(container, "sh", "-c", LOAD, "apiary", database, stdin=True), mark=MARK)


def load_roles(container: str, roles_dump: bytes, *, logins: bool = True) -> None:
    """Make the saved accounts and databases where they are not there, and give them what they had; with `logins` off
    the databases alone, with their character sets, and nobody can log in yet. What accounts may can name tables and
    routines, which have to be there. Raises BackupsError.
    """
    if ROLES_MARK not in roles_dump:
        raise BackupsError("the saved roles break off before their end")
    if logins:
        present = {tuple(json.loads(line)) for line in _ask(container, NAMEABLE).splitlines() if line}
        roles_dump = missing.without_gone(roles_dump.decode(), present).encode()
    else:  # nothing is owned by an account here
        roles_dump = b"".join(line for line in roles_dump.splitlines(keepends=True) if line.startswith(CREATES))
    docker.execute(container, "sh", "-c", LOAD, "apiary", "mysql", stdin=roles_dump)


def wait(container: str, seconds: float) -> None:
    """Until the server answers, and is the one that stays. Raises BackupsError."""
    docker.execute(
        container,
        "sh",
        "-c",
        f'i=0; until [ "$(set -- "SELECT {STAYS} OR $i >= $2"; ({QUERY}) 2>/dev/null)" = 1 ]; do i=$((i + 1)); '
        '[ "$i" -le "$1" ] || { echo "the server does not answer" >&2; exit 1; }; sleep 1; done',
        "apiary",
        str(int(seconds)),
        str(int(seconds / 2)),
        seconds=seconds * 2 + docker.SECONDS,
    )


def empty(container: str, database: str) -> None:
    """Remove all that is in a database; itself, its character set and the rights to it stay. Raises BackupsError."""
    of = _literal(database)
    _end_others(container, of)
    found = _ask(container, CONTENTS.format(of=of))
    script = f"SET FOREIGN_KEY_CHECKS = 0;\n{found}\n"
    docker.execute(container, "sh", "-c", LOAD, "apiary", database, stdin=script.encode())


def _end_others(container: str, of: str) -> None:
    """End who works in a database, such as a load whose process is dead, and wait until they have gone. Raises
    BackupsError.
    """
    others = f"SELECT id FROM information_schema.processlist WHERE db = {of} AND id <> CONNECTION_ID()"
    deadline = time.monotonic() + END_SECONDS
    while found := _ask(container, others).split():
        for one in found:
            with suppress(BackupsError):  # it has gone meanwhile
                _ask(container, f"KILL {one}")
        if time.monotonic() > deadline:
            raise BackupsError(f"{len(found)} connections to the database do not end")


def only_missing(container: str, roles_dump: bytes, database: str) -> bytes:
    """Of saved accounts those that the server has not, and the one database; for `load_roles`. Raises BackupsError."""
    found = _ask(container, "SELECT JSON_ARRAY(user, host) FROM mysql.user WHERE user <> ''")
    present = [(user, host) for user, host in (json.loads(line) for line in found.splitlines() if line)]
    return missing.mysql(roles_dump.decode(), present, _identifier(database)).encode()


def answer(container: str, database: str, sql: str) -> str:
    """What a question is answered with, one row a line. Raises BackupsError."""
    return docker.execute(container, "sh", "-c", CLIENT + 'said --execute="$2" -- "$1"', "apiary", database, sql)
