"""What a PostgreSQL server is asked.

For good a database is closed by its name: an empty one takes that, into which nobody gets, not the administrator
either, as whom many an application comes; and what makes its database where there is none finds one. To and fro in a
transaction each, so that there is no moment without, and the name aside says how far it has come.
"""

from __future__ import annotations

from operations.copying.engine import NONE, Engine

_PG = (
    NONE
    + """\
ask() { psql -X -q -A -t -F "$(printf '\\t')" -v ON_ERROR_STOP=1 -U "${POSTGRES_USER:-postgres}" "$@"; }
at=postgres
[ "$1" != postgres ] || at=template1
is() { [ -n "$(ask -d $at -c "SELECT 1 FROM pg_database WHERE datname = '$1'")" ]; }
"""
)
_BACK = """\
if is "$2"; then
  ask -d $at -c "ALTER DATABASE \\"$2\\" ALLOW_CONNECTIONS false; ALTER DATABASE \\"$1\\" RENAME TO \\"$3\\";
    ALTER DATABASE \\"$2\\" RENAME TO \\"$1\\""
fi
PGOPTIONS="-c client_min_messages=warning" ask -d $at -c "DROP DATABASE IF EXISTS \\"$3\\""
"""
# What every version writes the same way. Of other types, as extensions bring them, whether there is a value.
_FEW = "'bool', 'int2', 'int4', 'int8', 'oid', 'date', 'time', 'timetz', 'timestamp', 'timestamptz', 'uuid'"
_TEXTS = (
    "'text', 'varchar', 'bpchar', 'char', 'name', 'numeric', 'json', 'jsonb', 'interval', 'inet', 'cidr', 'macaddr', "
    "'bit', 'varbit', 'tsvector'"
)
ENGINE = Engine(
    ready=_PG
    + """[ -n "$(ask -d postgres -c "SELECT 1 FROM pg_database WHERE datname = '$1'")" ] || none
ask -d postgres -c "ALTER DATABASE \\"$1\\" ALLOW_CONNECTIONS true" """,
    source=_PG
    + """if is "$2"; then echo closed; exit; fi
is "$1" || { echo "there is no database $1 there" >&2; exit 1; }
[ -z "$(ask -d $at -c "SELECT 1 FROM pg_database WHERE datname = '$1' AND NOT datallowconn")" ] || echo closed""",
    tables=_PG
    + f"""ask -d "$1" -c "SELECT format('%I.%I', n.nspname, c.relname), format('coalesce(sum((''x'' || '
  'substr(md5(ROW(%s)::text), 1, 15))::bit(60)::bigint), 0)', (SELECT string_agg(CASE
    WHEN b.typname IN ('float4', 'float8') AND is_own THEN format('encode(%ssend(%I), ''hex'')', b.typname, attname)
    WHEN b.typname = 'bytea' AND is_own THEN format('md5(%I)', attname)
    WHEN b.typname IN ({_FEW}) AND is_own THEN format('%I::text', attname)
    WHEN b.typtype = 'e' OR e.typtype = 'e' OR is_own AND coalesce(e.typname, b.typname) IN ({_FEW}, {_TEXTS})
      THEN format('md5(convert_to(%I::text, ''UTF8''))', attname)
    ELSE format('(%I IS NULL)', attname) END, ', ' ORDER BY attnum)
  FROM pg_attribute JOIN pg_type t ON t.oid = atttypid
    JOIN pg_type b ON b.oid = CASE t.typtype WHEN 'd' THEN t.typbasetype ELSE t.oid END
    LEFT JOIN pg_type e ON e.oid = b.typelem AND b.typcategory = 'A'
    CROSS JOIN LATERAL (SELECT b.typnamespace = 'pg_catalog'::regnamespace AS is_own) o
  WHERE attrelid = c.oid AND attnum > 0 AND NOT attisdropped))"""
    + """ FROM pg_class c
  JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition
  AND n.nspname <> 'information_schema' AND n.nspname NOT LIKE 'pg\\_%' AND NOT EXISTS (SELECT FROM pg_depend d
  WHERE d.objid = c.oid AND d.classid = 'pg_class'::regclass AND d.deptype = 'e') ORDER BY 1" """,
    count=_PG
    + """export PGOPTIONS="-c TimeZone=UTC -c DateStyle=ISO -c IntervalStyle=postgres -c search_path=pg_catalog"
ask -d "$1" -c "$2" """,
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
    accounts="",
    close=_PG
    + """if ! is "$2"; then
  PGOPTIONS="-c client_min_messages=warning" ask -d $at -c "DROP DATABASE IF EXISTS \\"$3\\""
  ask -d $at -c "CREATE DATABASE \\"$3\\" TEMPLATE template0 ALLOW_CONNECTIONS false" \\
    -c "ALTER DATABASE \\"$1\\" ALLOW_CONNECTIONS false" \\
    -c "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '$1'" >/dev/null
  ask -d $at -c "ALTER DATABASE \\"$1\\" RENAME TO \\"$2\\"; ALTER DATABASE \\"$3\\" RENAME TO \\"$1\\""
fi
ask -d $at -c "ALTER DATABASE \\"$2\\" ALLOW_CONNECTIONS true" """,
    settle=_PG + _BACK,
    open=_PG + _BACK + 'ask -d $at -c "ALTER DATABASE \\"$1\\" ALLOW_CONNECTIONS true"',
    hides=True,
)
