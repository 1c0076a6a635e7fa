#!/bin/bash
# Becomes the server: makes the cluster on the first start, refuses what would harm data, and sets the
# administrator's password at every start, before anybody can connect.
#
# /var/lib/postgresql/data is whole or absent: it is made under another name and renamed. The password goes to
# the server's standard input: no log, no process list and no file has it.
set -euo pipefail

root=/var/lib/postgresql
data=$root/data
new=$root/data.new

say() { echo "apiary-postgresql: $*" >&2; }
refuse() { say "ERROR: $1"; shift; for line; do say "$line"; done; exit 1; }
mounted() { awk -v path="$1" '$5 == path { found = 1 } END { exit !found }' /proc/self/mountinfo; }

password=${POSTGRES_PASSWORD:-}
[ -n "$password" ] || refuse "POSTGRES_PASSWORD is empty" \
    "hand it the administrator's password: env: {postgres_password: _NAME^adminpass}, NAME being this application"
case $password in
    *[![:print:]]*) refuse "POSTGRES_PASSWORD holds a line break or another control character; write another one" ;;
esac

# --- the volume

mounted "$root" || mounted "$data" || refuse "nothing is mounted at $root: the data would go with the container" \
    'mount a named volume there: volumes: ["pgdata:/var/lib/postgresql"]'
if mounted "$data" && [ ! -e "$data/PG_VERSION" ]; then
    refuse "the volume at $data has no database in it, and a new one is made only where it can be renamed" \
        'mount the volume one folder higher: volumes: ["pgdata:/var/lib/postgresql"]'
fi
where=$root
mounted "$root" || where=$data
[ -w "$where" ] || refuse "$where is not writable for $(id -un) (uid $(id -u))" \
    "mount an empty named volume there, or give the folder to that user"

# PostgreSQL looks for another server by its process number, which says nothing in a container.
exec 9>>"$where/.apiary-lock"
flock --wait 10 9 || refuse "another container works on the data in $where; stop that one first"

# --- the cluster

has=$(sed -n 1p "$data/PG_VERSION" 2>/dev/null || true)
is=$(postgres --version | sed -E 's/^[^0-9]*([0-9]+).*/\1/')
if [ -n "$has" ] && [ "$has" != "$is" ]; then
    refuse "the data in $data are PostgreSQL $has, this image is PostgreSQL $is; nothing was touched" \
        "go back to the image that has $has (build_args: {BASE: ...}), dump all, and restore into an empty volume:" \
        "docs/databases.md, How do I go to another major version?"
fi
if [ -z "$has" ]; then
    [ ! -e "$data" ] || refuse "$data is there and is no database (it has no PG_VERSION); nothing was touched" \
        "move it away, or mount another volume"
    if [ -e "$new" ]; then
        say "an earlier first start did not come to its end; making the database anew"
        rm -rf "$new"
    fi
    say "first start: making the database in $data"
    initdb --pgdata "$new" --username postgres --pwfile <(printf '%s\n' "$password") --auth-local peer \
        --auth-host scram-sha-256 --encoding UTF8 --locale C.UTF-8 --data-checksums >/dev/null
    mv --no-target-directory "$new" "$data"
    sync --file-system "$root"
fi
# With the lock held nobody else can be at work: what a killed server left says nothing.
rm -f "$data/postmaster.pid"

# --- the administrator's password

settings=(-c hba_file=/usr/share/apiary/pg_hba.conf -c unix_socket_directories=/run/postgresql -c logging_collector=off)
# A failing statement would be logged with the password in it.
quiet=(-c log_statement=none -c log_min_error_statement=panic -c log_min_duration_statement=-1 -c password_encryption=scram-sha-256)
said=$(printf "ALTER ROLE postgres LOGIN SUPERUSER PASSWORD '%s'\n" "${password//\'/\'\'}" \
    | postgres --single -D "$data" "${settings[@]}" -c standard_conforming_strings=on "${quiet[@]}" postgres 2>&1 >/dev/null) \
    || refuse "the server does not start on the data in $data:" "$said"
case $said in
    *ERROR:*) refuse "the administrator's password could not be set:" "$said" ;;
esac

unset POSTGRES_PASSWORD password
say "PostgreSQL $is on $data"
exec postgres -D "$data" "${settings[@]}" -c listen_addresses='*' -c port=5432 -c password_encryption=scram-sha-256 "$@"
