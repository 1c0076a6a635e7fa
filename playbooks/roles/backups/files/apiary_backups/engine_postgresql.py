"""What a PostgreSQL server is asked: which databases it has, for dumps of them, and to take them back.

All is asked inside its own container, where the server's own programs are: of the same version, and without a
password, which the images here and the official one allow there. A dump is SQL without the database's name, so that it
can go into one of another name; it goes in by one transaction, as a whole or not at all. A dump reads one state of the
database and locks out nobody but changes of tables (`pg_dump`).

Roles: every role with its password's hash and its memberships, but for the administrator, whose password is the
stack's; then the databases themselves with owner, encoding, locale, rights and settings. Leaves alone: tablespaces.
"""

from __future__ import annotations

import json

from apiary_backups import docker, missing
from apiary_backups.errors import BackupsError
from apiary_backups.loading import Load

HEAD = "-- apiary: "
MARK = b"PostgreSQL database dump complete"
ROLES_MARK = b"-- apiary: end"
# Of the image: `postgres`, unless the official one was told otherwise.
USER = '--username="${POSTGRES_USER:-postgres}" --no-password'
PSQL = f"exec psql {USER} --no-psqlrc --quiet --tuples-only --no-align --set=ON_ERROR_STOP=1 "
DUMP = f'exec pg_dump {USER} --quote-all-identifiers --dbname="$1"'
# A name in a connection string: in quotes, with quote and backslash escaped, since it may hold anything.
NAMED = "dbname='{}'"
# Where the server itself is asked. Not `postgres`: that one may be somebody's own, to be put back, or not there at all.
MAINTENANCE = "template1"
# A first start of the official image makes its cluster by a server without a network, and then ends that one. Where the
# real one has none either, half of the time has to be enough.
STAYS = "current_setting('listen_addresses') <> ''"
ASKED = f"psql {USER} --no-psqlrc --tuples-only --no-align --dbname={MAINTENANCE}"
LIST = """\
SELECT coalesce(json_agg(datname ORDER BY datname), '[]') FROM pg_database WHERE datallowconn AND NOT datistemplate"""
RELATIONS = """\
SELECT count(*) FROM (
  SELECT c.oid FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE c.relkind IN ('r', 'p', 'v', 'm', 'S', 'f') AND n.nspname NOT LIKE 'pg\\_%'
    AND n.nspname <> 'information_schema'
    AND NOT EXISTS (SELECT 1 FROM pg_depend d WHERE d.objid = c.oid AND d.deptype = 'e')
  LIMIT 1) found"""
# Who orders words, where that is not the C library; by JSON, since each version (15, 16, 17) has other columns.
PROVIDER = """\
CASE to_jsonb(d)->>'datlocprovider'
    WHEN 'i' THEN ' LOCALE_PROVIDER icu ICU_LOCALE '
      || quote_literal(coalesce(to_jsonb(d)->>'datlocale', to_jsonb(d)->>'daticulocale'))
      || coalesce(' ICU_RULES ' || quote_literal(to_jsonb(d)->>'daticurules'), '')
    WHEN 'b' THEN ' LOCALE_PROVIDER builtin BUILTIN_LOCALE ' || quote_literal(to_jsonb(d)->>'datlocale')
    ELSE '' END"""
# What `pg_dumpall --roles-only` does not say: the databases themselves. Each line is made by the server.
DATABASES = f"""\
SELECT format('SELECT %L WHERE NOT EXISTS (SELECT 1 FROM pg_database WHERE datname = %L)\\gexec',
  format('CREATE DATABASE %I OWNER %I TEMPLATE template0 ENCODING %L LC_COLLATE %L LC_CTYPE %L',
         datname, pg_get_userbyid(datdba), pg_encoding_to_char(encoding), datcollate, datctype) || {PROVIDER}, datname)
  FROM pg_database d WHERE datallowconn AND NOT datistemplate AND datname <> 'postgres' ORDER BY datname;
SELECT format('ALTER DATABASE %I OWNER TO %I;', datname, pg_get_userbyid(datdba))
  FROM pg_database WHERE datallowconn AND NOT datistemplate AND datname <> 'postgres' ORDER BY datname;
SELECT format('REVOKE ALL ON DATABASE %I FROM PUBLIC;', datname)
  FROM pg_database WHERE datallowconn AND NOT datistemplate AND datacl IS NOT NULL ORDER BY datname;
SELECT format('GRANT %s ON DATABASE %I TO %s%s;', acl.privilege_type, datname,
         CASE WHEN acl.grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(acl.grantee)) END,
         CASE WHEN acl.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END)
  FROM pg_database, aclexplode(datacl) acl WHERE datallowconn AND NOT datistemplate ORDER BY 1;
SELECT format('ALTER %s SET %I TO %s;',
         CASE WHEN setrole = 0 THEN format('DATABASE %I', datname)
              ELSE format('ROLE %I IN DATABASE %I', pg_get_userbyid(setrole), datname) END,
         split_part(one, '=', 1),
         CASE WHEN split_part(one, '=', 1) IN ('search_path', 'DateStyle', 'temp_tablespaces',
                                               'session_preload_libraries', 'local_preload_libraries')
              THEN substr(one, strpos(one, '=') + 1) ELSE quote_literal(substr(one, strpos(one, '=') + 1)) END)
  FROM pg_db_role_setting s JOIN pg_database d ON d.oid = s.setdatabase, unnest(s.setconfig) one
  ORDER BY 1;"""
# What a database has beside its contents, given to a new one.
ALIKE = f"""\
SELECT format('CREATE DATABASE %I OWNER %I TEMPLATE template0 ENCODING %L LC_COLLATE %L LC_CTYPE %L', {{new}},
         pg_get_userbyid(datdba), pg_encoding_to_char(encoding), datcollate, datctype) || {PROVIDER}
  FROM pg_database d WHERE datname = {{of}} \\gexec
SELECT format('REVOKE ALL ON DATABASE %I FROM PUBLIC', {{new}})
  FROM pg_database WHERE datname = {{of}} AND datacl IS NOT NULL \\gexec
SELECT format('GRANT %s ON DATABASE %I TO %s%s', acl.privilege_type, {{new}},
         CASE WHEN acl.grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(acl.grantee)) END,
         CASE WHEN acl.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END)
  FROM pg_database, aclexplode(datacl) acl WHERE datname = {{of}} \\gexec
SELECT format('ALTER %s SET %I TO %s',
         CASE WHEN setrole = 0 THEN format('DATABASE %I', {{new}})
              ELSE format('ROLE %I IN DATABASE %I', pg_get_userbyid(setrole), {{new}}) END,
         split_part(one, '=', 1),
         CASE WHEN split_part(one, '=', 1) IN ('search_path', 'DateStyle', 'temp_tablespaces',
                                               'session_preload_libraries', 'local_preload_libraries')
              THEN substr(one, strpos(one, '=') + 1) ELSE quote_literal(substr(one, strpos(one, '=') + 1)) END)
  FROM pg_db_role_setting s JOIN pg_database d ON d.oid = s.setdatabase, unnest(s.setconfig) one
  WHERE d.datname = {{of}} \\gexec
"""
# Databases that a restore (restore.py) or a copy from an old host has put beside another one.
BESIDE = ("apiary_fresh_", "apiary_kept_", "apiary_copy_")
ROLES = f"""\
set -e
pg_dumpall {USER} --roles-only
{PSQL.removeprefix("exec ")} --dbname={MAINTENANCE} <<'SQL'
{DATABASES}
SELECT '{HEAD}' || json_build_object('databases', ({LIST}));
SQL
printf '%s\\n' '{ROLES_MARK.decode()}'"""


def _psql(container: str, sql: str, database: str = MAINTENANCE) -> str:
    return docker.execute(
        container, "sh", "-c", f'{PSQL} --dbname="$1" --command="$2"', "apiary", _named(database), sql
    ).strip()


def _named(database: str) -> str:
    escaped = database.replace("\\", "\\\\").replace("'", "\\'")
    return NAMED.format(escaped)


def _identifier(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def databases(container: str) -> list[str]:
    """The databases of a server, `postgres` only where somebody has put tables into it. Raises BackupsError."""
    found = [str(name) for name in json.loads(_psql(container, LIST))]
    return [
        name for name in found if not name.startswith(BESIDE) and (name != "postgres" or _relations(container, name))
    ]


def is_there(container: str, database: str) -> bool:
    """Whether there is such a database. Raises BackupsError."""
    return _psql(container, f"SELECT count(*) FROM pg_database WHERE datname = {_literal(database)}") != "0"


def is_empty(container: str, database: str) -> bool:
    """Whether there is nothing in it that a dump could overwrite: it has no tables, or is not there at all."""
    return not is_there(container, database) or not _relations(container, database)


def _relations(container: str, database: str) -> bool:
    return _psql(container, RELATIONS, database) != "0"


def dump(container: str, database: str) -> list[str]:
    """The command that writes the dump of one database."""
    return docker.executed(container, "sh", "-c", DUMP, "apiary", _named(database))


def roles(container: str) -> list[str]:
    """The command that writes all roles and databases."""
    return docker.executed(container, "sh", "-c", ROLES)


def listed(roles_dump: bytes) -> list[str]:
    """The databases that a server had when its roles were saved."""
    for line in roles_dump.decode(errors="replace").splitlines():
        if line.startswith(HEAD + "{"):
            return [str(name) for name in json.loads(line.removeprefix(HEAD))["databases"]]
    raise BackupsError("the saved roles do not say which databases there were")


def prepare(container: str, database: str) -> None:
    """Make the database where it is not there: owned by the role of its name where there is one. Raises
    BackupsError.
    """
    if is_there(container, database):
        return
    has_role = _psql(container, f"SELECT count(*) FROM pg_roles WHERE rolname = {_literal(database)}") != "0"
    owner = f" OWNER {_identifier(database)}" if has_role else ""
    _psql(container, f"CREATE DATABASE {_identifier(database)} TEMPLATE template0{owner}")


def drop(container: str, database: str) -> None:
    """Remove a database, whoever is connected. Raises BackupsError."""
    _psql(container, f"DROP DATABASE IF EXISTS {_identifier(database)} WITH (FORCE)")


def rename(container: str, old: str, new: str) -> None:
    """Give a database another name, whoever is connected. Raises BackupsError."""
    # In one go: who uses it from another server comes back within a moment, and waits while the name changes.
    _psql(
        container,
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        f"WHERE datname = {_literal(old)} AND pid <> pg_backend_pid(); "
        f"ALTER DATABASE {_identifier(old)} RENAME TO {_identifier(new)}",
    )


def load(container: str, database: str) -> Load:
    """How a dump gets into a database that is there and empty; as a whole or not at all."""
    command = docker.executed(
        container, "sh", "-c", f'{PSQL} --dbname="$1" --file=-', "apiary", _named(database), stdin=True
    )
    return Load(command, begin=b"BEGIN;\n", end=b"COMMIT;\n", mark=MARK)


def load_roles(container: str, roles_dump: bytes, *, logins: bool = True) -> None:
    """Make the saved roles and databases where they are not there, and give them what they had; with
    `logins` off, what they need to own things, and nobody can log in yet. Raises BackupsError.
    """
    if ROLES_MARK not in roles_dump:
        raise BackupsError("the saved roles break off before their end")
    # Its password is the stack's of today, and without its login nothing could be asked any more.
    administrator = _psql(container, "SELECT quote_ident(current_user)")
    script = roles_script(roles_dump.decode(), administrator, logins=logins)
    docker.execute(container, "sh", "-c", f"{PSQL} --dbname={MAINTENANCE} --file=- >/dev/null", stdin=script.encode())


def roles_script(dump: str, administrator: str = "postgres", *, logins: bool = True) -> str:
    """A dump of roles as a script that may be run twice, and leaves the administrator alone, whose name is spelled in
    SQL.
    """
    lines = []
    for line in dump.splitlines():
        words = line.split(maxsplit=3)
        is_role = words[:2] in (["CREATE", "ROLE"], ["ALTER", "ROLE"]) and "IN DATABASE" not in line
        if is_role and missing.first_name(line.split(maxsplit=2)[2]).strip('"') == administrator.strip('"'):
            continue
        if line.startswith(("\\restrict", "\\unrestrict")):
            continue  # of the dumping program's version, and against what is not in here
        if words[:2] == ["CREATE", "ROLE"]:
            lines.append(f"DO $apiary$ BEGIN {line} EXCEPTION WHEN duplicate_object THEN NULL; END $apiary$;")
        elif is_role and not logins:
            lines.append(line.replace(" LOGIN ", " NOLOGIN ", 1))
        else:
            lines.append(line)
    return "\n".join(lines) + "\n"


def wait(container: str, seconds: float) -> None:
    """Until the server answers, and is the one that stays. Raises BackupsError."""
    docker.execute(
        container,
        "sh",
        "-c",
        f'i=0; until [ "$({ASKED} --command="SELECT {STAYS} OR $i >= $2" 2>/dev/null)" = t ]; do '
        'i=$((i + 1)); [ "$i" -le "$1" ] || { echo "the server does not answer" >&2; exit 1; }; sleep 1; done',
        "apiary",
        str(int(seconds)),
        str(int(seconds / 2)),
        seconds=seconds * 2 + docker.SECONDS,
    )


def create_alike(container: str, like: str, name: str) -> None:
    """Make an empty database with owner, encoding, rights and settings of another one. Raises BackupsError."""
    script = ALIKE.format(of=_literal(like), new=_literal(name))
    docker.execute(container, "sh", "-c", f"{PSQL} --dbname={MAINTENANCE} --file=- >/dev/null", stdin=script.encode())


def only_missing(container: str, roles_dump: bytes, database: str) -> bytes:
    """Of saved roles those that the server has not, and the one database; for `load_roles`. Raises BackupsError."""
    present = json.loads(_psql(container, "SELECT json_agg(quote_ident(rolname)) FROM pg_roles"))
    of = _literal(database)
    spelled = _psql(container, f"SELECT json_build_array(quote_ident({of}), quote_literal({of}))")
    identifier, literal = json.loads(spelled)
    return missing.postgresql(roles_dump.decode(), present, identifier, literal).encode()


def answer(container: str, database: str, sql: str) -> str:
    """What a question is answered with, one row a line. Raises BackupsError."""
    return _psql(container, sql, database)
