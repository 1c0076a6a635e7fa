"""What a database server is asked in its own container, where its programs are: by shell, with the name as `$1`, and
that of the one beside it as `$2` where there is one.

The administrator there is who the container's environment says, or in the images here the system's own user. Nothing
is asked of the old host but to read.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

WHICH = """\
if command -v pg_dump >/dev/null; then echo postgresql
elif command -v mariadb-dump >/dev/null || command -v mysqldump >/dev/null; then echo mysql; fi
"""


@dataclass(frozen=True)
class Engine:
    """The scripts of one kind of server."""

    ready: str  # sees that the database is there and lets in, whatever an earlier copy has left
    tables: str  # prints a line a table, quoted as the server wants it
    count: str  # prints what a statement gives, which is `$2`, a line a row: table, tab, number of rows
    dump: str
    prepare: str  # an empty database for it, beside the one that it becomes
    load: str  # from standard input, into that one
    place: str  # puts that one in the place of the other
    others: str  # prints the addresses of who is connected to the database, a line each


def beside(database: str) -> str:
    """The name of the one beside a database; the engines allow 63 bytes."""
    return f"apiary_copy_{hashlib.sha256(database.encode()).hexdigest()[:12]}"


_NONE = """\
set -e
name=$1
none() { echo "there is no database $name; write it in db: of an application, then pulumi up" >&2; exit 1; }
"""
_PG = (
    _NONE
    + """\
ask() { psql -X -q -A -t -F "$(printf '\\t')" -v ON_ERROR_STOP=1 -U "${POSTGRES_USER:-postgres}" "$@"; }
"""
)
_MY = (
    _NONE
    + """\
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
ask() { "$client" --user="$user" --default-character-set=utf8mb4 --batch --skip-column-names --raw "$@"; }
# By its bytes: `Shop` and `shop` are two databases, and a server's own order of words may hold them for one.
named="'$1' COLLATE utf8mb4_bin"
out() {
  more=
  case $("$dump" --version) in *MariaDB*) ;; *) more=--set-gtid-purged=OFF ;; esac
  "$dump" --user="$user" --default-character-set=utf8mb4 --single-transaction --quick --routines --triggers --events \\
    --hex-blob --no-tablespaces --max-allowed-packet=1G $more -- "$1"
}
# Of a dump's statements the client is to run none: what MariaDB's writes there, MySQL's takes for an error. And bytes
# have twice their length there: a server that took a row may refuse its statement.
into() {
  was=$(ask --execute='SELECT @@GLOBAL.max_allowed_packet')
  trap 'ask --execute="SET GLOBAL max_allowed_packet = $was"' EXIT
  ask --execute='SET GLOBAL max_allowed_packet = 1073741824'
  ask --binary-mode --max-allowed-packet=1G --database="$1"
}
"""
)
ENGINES: Mapping[str, Engine] = {
    "postgresql": Engine(
        ready=_PG
        + """[ -n "$(ask -d postgres -c "SELECT 1 FROM pg_database WHERE datname = '$1'")" ] || none
ask -d postgres -c "ALTER DATABASE \\"$1\\" ALLOW_CONNECTIONS true" """,
        tables=_PG
        + """ask -d "$1" -c "SELECT format('%I.%I', n.nspname, c.relname) FROM pg_class c
  JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition
  AND n.nspname <> 'information_schema' AND n.nspname NOT LIKE 'pg\\_%' AND NOT EXISTS (SELECT FROM pg_depend d
  WHERE d.objid = c.oid AND d.classid = 'pg_class'::regclass AND d.deptype = 'e') ORDER BY 1" """,
        count=_PG + 'ask -d "$1" -c "$2"',
        # Comments of extensions are the superuser's, and would keep the owner from taking the rest.
        dump=_PG
        + """ask -d "$1" -c "SELECT extname FROM pg_extension WHERE extname <> 'plpgsql' ORDER BY 1" | tr '\\n' ' '
echo
exec pg_dump -U "${POSTGRES_USER:-postgres}" --format=custom --no-owner --no-acl --no-comments -- "$1" """,
        prepare=_PG
        + """owner=$(ask -d postgres -c "SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = '$1'")
# What an earlier one left that was cut off.
for one in "$2" "$2_old"; do
  ask -d postgres -c "DROP DATABASE IF EXISTS \\"$one\\" WITH (FORCE)" 2>/dev/null
done
ask -d postgres -c "CREATE DATABASE \\"$2\\" OWNER \\"$owner\\" TEMPLATE template0 ENCODING 'UTF8'"
ask -d postgres -v of="$1" -v new="$2" <<'SQL'
SELECT format('REVOKE ALL ON DATABASE %I FROM PUBLIC', :'new')
  FROM pg_database WHERE datname = :'of' AND datacl IS NOT NULL \\gexec
SELECT format('GRANT %s ON DATABASE %I TO %s', acl.privilege_type, :'new',
    CASE WHEN acl.grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(acl.grantee)) END)
  FROM pg_database, aclexplode(datacl) acl WHERE datname = :'of' \\gexec
SELECT format('ALTER DATABASE %I SET %I TO %s', :'new', split_part(one, '=', 1),
    CASE WHEN split_part(one, '=', 1) IN ('search_path', 'DateStyle', 'temp_tablespaces', 'session_preload_libraries',
                                          'local_preload_libraries')
         THEN substr(one, strpos(one, '=') + 1) ELSE quote_literal(substr(one, strpos(one, '=') + 1)) END)
  FROM pg_db_role_setting s JOIN pg_database d ON d.oid = s.setdatabase, unnest(s.setconfig) one
  WHERE setrole = 0 AND d.datname = :'of' \\gexec
SQL
""",
        load=_PG
        + """owner=$(ask -d postgres -c "SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = '$2'")
IFS= read -r extensions
for one in $extensions; do ask -d "$2" -c "CREATE EXTENSION IF NOT EXISTS \\"$one\\" CASCADE" >&2; done
exec pg_restore -U "${POSTGRES_USER:-postgres}" --no-owner --no-acl --no-comments --role "$owner" --exit-on-error \\
  --single-transaction -d "$2" """,
        place=_PG
        + """# Whatever comes of it: those who use it are not kept out.
trap 'ask -d postgres -c "ALTER DATABASE \\"$1\\" ALLOW_CONNECTIONS true"' EXIT
for one in "$1" "$2"; do
  ask -d postgres -c "ALTER DATABASE \\"$one\\" ALLOW_CONNECTIONS false"
  ask -d postgres -c "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '$one'" >/dev/null
done
ask -d postgres -c "ALTER DATABASE \\"$1\\" RENAME TO \\"$2_old\\";
  ALTER DATABASE \\"$2\\" RENAME TO \\"$1\\"" \\
  -c "ALTER DATABASE \\"$1\\" ALLOW_CONNECTIONS true" -c "DROP DATABASE \\"$2_old\\"" """,
        others=_PG
        + """ask -d postgres -c "SELECT DISTINCT host(client_addr) FROM pg_stat_activity
  WHERE datname = '$1' AND pid <> pg_backend_pid() AND client_addr IS NOT NULL" """,
    ),
    "mysql": Engine(
        ready=_MY
        + """there=$(ask --execute="SELECT 1 FROM information_schema.schemata WHERE schema_name = $named")
[ -n "$there" ] || none""",
        tables=_MY
        + """ask --execute="SELECT CONCAT('\\`', REPLACE(table_name, '\\`', '\\`\\`'), '\\`')
  FROM information_schema.tables WHERE table_schema = $named AND table_type = 'BASE TABLE' ORDER BY 1" """,
        count=_MY + 'ask --database="$1" --execute="$2"',
        dump=_MY + 'echo; out "$1"',
        prepare=_MY
        + """made=$(ask --execute="SELECT CONCAT('CHARACTER SET ', default_character_set_name, ' COLLATE ',
  default_collation_name) FROM information_schema.schemata WHERE schema_name = $named")
ask --execute="DROP DATABASE IF EXISTS \\`$2\\`; CREATE DATABASE \\`$2\\` $made" """,
        load=_MY + 'IFS= read -r none; into "$2"',
        # Databases have no other names there: what lies beside it is written once more. The client has to fail where
        # that breaks off.
        place=_MY
        + """made=$(ask --execute="SELECT CONCAT('CHARACTER SET ', default_character_set_name, ' COLLATE ',
  default_collation_name) FROM information_schema.schemata WHERE schema_name = $named")
ask --execute="DROP DATABASE \\`$1\\`; CREATE DATABASE \\`$1\\` $made"
{ out "$2" || echo ";the dump broke off;"; } | into "$1"
ask --execute="DROP DATABASE \\`$2\\`" """,
        others=_MY
        + """ask --execute="SELECT DISTINCT SUBSTRING_INDEX(host, ':', 1) FROM information_schema.processlist
  WHERE db = $named AND id <> CONNECTION_ID()" """,
    ),
}


def counting(tables: Sequence[str]) -> str:
    """The statement that counts the rows of tables, quoted as `tables` has them."""
    counts = [f"SELECT '{table.replace(chr(39), chr(39) * 2)}', count(*) FROM {table}" for table in tables]
    return " UNION ALL ".join(counts)
