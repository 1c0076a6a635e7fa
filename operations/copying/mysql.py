"""What a MySQL or MariaDB server is asked.

For good a database is closed by locking the accounts that may do anything in it, all but the administrator's own, which
comes by the socket of that container alone: no grant is changed, and a lock is taken off as it was put on.
"""

from __future__ import annotations

from operations.copying.engine import NONE, Engine

_MY = (
    NONE
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
ENGINE = Engine(
    ready=_MY
    + """there=$(ask --execute="SELECT 1 FROM information_schema.schemata WHERE schema_name = $named")
[ -n "$there" ] || none""",
    source=_MY
    + """there=$(ask --execute="SELECT 1 FROM information_schema.schemata WHERE schema_name = $named")
[ -n "$there" ] || { echo "there is no database $1 there" >&2; exit 1; }""",
    # By what the server says of each value in a dump. Of shapes, whether there is one.
    tables=_MY
    + """ask --execute="SET SESSION group_concat_max_len = 1048576; SELECT
  CONCAT('\\`', REPLACE(t.table_name, '\\`', '\\`\\`'), '\\`'), CONCAT(
  'COALESCE(SUM(CAST(CONV(LEFT(MD5(CONCAT_WS(0, ', GROUP_CONCAT(CONCAT(CASE
    WHEN data_type IN ('geometry', 'point', 'linestring', 'polygon', 'multipoint', 'multilinestring', 'multipolygon',
      'geometrycollection', 'geomcollection') THEN 'ISNULL(' WHEN data_type = 'bit' THEN 'IFNULL(0+' ELSE 'IFNULL(MD5('
    END, '\\`', REPLACE(column_name, '\\`', '\\`\\`'), '\\`', CASE
    WHEN data_type IN ('geometry', 'point', 'linestring', 'polygon', 'multipoint', 'multilinestring', 'multipolygon',
      'geometrycollection', 'geomcollection') THEN ')' WHEN data_type = 'bit' THEN ', -1)' ELSE '), 0)' END)
    ORDER BY ordinal_position), ')), 15), 16, 10) AS UNSIGNED)), 0)')
  FROM information_schema.tables t JOIN information_schema.columns c
    ON c.table_schema = t.table_schema AND c.table_name = t.table_name
  WHERE t.table_schema = $named AND table_type = 'BASE TABLE' AND extra NOT LIKE '%VIRTUAL%'
  GROUP BY t.table_name ORDER BY 1" """,
    count=_MY + """ask --database="$1" --execute="SET time_zone = '+00:00'; $2" """,
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
    accounts=_MY
    + """own=$(ask --execute="SELECT CURRENT_USER()")
case $own in *@localhost) ;; *)
  echo "the administrator there is $own, as whom others come too; make 'root'@'localhost', with all rights" >&2; exit 1
esac
version=$(ask --execute="SELECT VERSION()")
case $version in *MariaDB*) least=10.4.2 ;; *) least=5.7.6 ;; esac
printf '%s\\n%s\\n' $least "$version" | sort -V -C || {
  echo "$version has no way to close a database to whoever comes; name an image of $least or above there, or bring" \\
    "it by its files, as a volume" >&2; exit 1; }
roles=
for one in "role_edges to_user to_host" "roles_mapping User Host"; do
  set -- "$1" $one
  if [ -n "$(ask --execute="SELECT 1 FROM information_schema.tables
      WHERE table_schema = 'mysql' AND table_name = '$2'")" ]; then
    roles="$roles UNION SELECT CONCAT('\\'', $3, '\\'@\\'', $4, '\\'') FROM mysql.$2"
  fi
done
ask --execute="SELECT grantee FROM information_schema.user_privileges WHERE privilege_type <> 'USAGE'
  UNION SELECT grantee FROM information_schema.schema_privileges WHERE '$1' LIKE table_schema
  UNION SELECT grantee FROM information_schema.table_privileges WHERE table_schema = $named
  UNION SELECT grantee FROM information_schema.column_privileges WHERE table_schema = $named
  UNION SELECT CONCAT('\\'', User, '\\'@\\'', Host, '\\'') FROM mysql.procs_priv WHERE Db = $named $roles" |
while IFS= read -r one; do
  # A role of MariaDB's is nobody who comes.
  case $one in "'${own%@*}'@'localhost'" | *"@''") continue ;; esac
  ask --execute="SHOW CREATE USER $one" </dev/null | grep -q 'ACCOUNT LOCK' || printf '%s\\n' "$one"
done""",
    close=_MY
    + """shift 3
users=\\'\\'
for one; do
  ask --execute="ALTER USER $one ACCOUNT LOCK"
  users="$users, ${one%@*}"
done
left="FROM information_schema.processlist WHERE id <> CONNECTION_ID() AND command <> 'Daemon'
  AND (db = $named OR user IN ($users) AND host <> 'localhost')"
for second in $(seq 30); do
  # One that has gone by itself is no fault.
  for id in $(ask --execute="SELECT id $left"); do ask --execute="KILL $id" 2>/dev/null || true; done
  sleep 1
  [ -n "$(ask --execute="SELECT id $left")" ] || exit 0
done
echo "$(ask --execute="SELECT CONCAT(user, ' from ', host) $left") is connected still" >&2
exit 1""",
    settle="",
    open=_MY
    + """shift 3
for one; do ask --execute="ALTER USER $one ACCOUNT UNLOCK"; done""",
    hides=False,
)
