#!/bin/bash
# Becomes the server: makes the data folder on the first start, refuses what would harm data, and sets the
# administrator's password at every start, before anybody can connect.
#
# /var/lib/mysql/data is whole or absent: it is made under another name and renamed. Of the password the server
# gets the hash alone, in a file that only it can read: no log and no process list has either.
set -euo pipefail

root=/var/lib/mysql
data=$root/data
new=$root/data.new
run=/run/mysqld

say() { echo "apiary-mariadb: $*" >&2; }
refuse() { say "ERROR: $1"; shift; for line; do say "$line"; done; exit 1; }
mounted() { awk -v path="$1" '$5 == path { found = 1 } END { exit !found }' /proc/self/mountinfo; }

export password=${MARIADB_ROOT_PASSWORD:-${MYSQL_ROOT_PASSWORD:-}}
[ -n "$password" ] || refuse "MARIADB_ROOT_PASSWORD is empty" \
    "hand it the administrator's password: env: {mariadb_root_password: _NAME^adminpass}, NAME being this application"
hash=$(perl -MDigest::SHA=sha1,sha1_hex -e 'print "*", uc sha1_hex(sha1($ENV{password}))')
unset MARIADB_ROOT_PASSWORD MYSQL_ROOT_PASSWORD password

# --- the volume

mounted "$root" || refuse "nothing is mounted at $root: the data would go with the container" \
    'mount a named volume there: volumes: ["mariadbdata:/var/lib/mysql"]'
[ -w "$root" ] || refuse "$root is not writable for $(id -un) (uid $(id -u))" \
    "mount an empty named volume there, or give the folder to that user"
exec 9>>"$root/.apiary-lock"
flock --wait 10 9 || refuse "another container works on the data in $root; stop that one first"

# --- the data folder

# A volume of the official image has the data in its root.
[ ! -e "$root/ibdata1" ] || data=$root
[ ! -e "$data/mysql.ibd" ] || refuse "the data in $data are MySQL's, which MariaDB can't read; nothing was touched" \
    "dump all with the image that wrote them, and restore into an empty volume: docs/databases.md"
series() { sed -E 's/^[^0-9]*([0-9]+\.[0-9]+).*/\1/'; }
is=$(mariadbd --version | sed -E 's/.*Ver ([0-9.]+).*/\1/' | series)
has=
for mark in "$data/apiary-version" "$data/mariadb_upgrade_info" "$data/mysql_upgrade_info"; do
    [ -n "$has" ] || has=$(series 2>/dev/null <"$mark" || true)
done
if [ -n "$has" ] && [ "$has" != "$is" ]; then
    refuse "the data in $data are MariaDB $has, this image is MariaDB $is; nothing was touched" \
        "go back to the image that has $has (build_args: {BASE: ...}), dump all, and restore into an empty volume:" \
        "docs/databases.md, How do I go to another major version?"
fi
if [ -z "$has" ]; then
    [ ! -e "$data" ] || refuse "$data is there, and nothing in it says which version wrote it; nothing was touched" \
        "write it: echo 10.11 > $data/apiary-version, or mount another volume"
    if [ -e "$new" ]; then
        say "an earlier first start did not come to its end; making the database anew"
        rm -rf "$new"
    fi
    say "first start: making the database in $data"
    said=$(mariadb-install-db --no-defaults --datadir="$new" --auth-root-authentication-method=socket \
        --auth-root-socket-user=mysql --skip-test-db --skip-name-resolve --skip-log-bin 2>&1) \
        || refuse "the database could not be made:" "$said"
    echo "$is" > "$new/apiary-version"
    mv --no-target-directory "$new" "$data"
    sync --file-system "$root"
fi

# --- the administrator's password

# Run by the server before it listens. `root` comes from anywhere with the password; `mysql`, the server's own user,
# from inside the container without: docker exec ... mariadb --user=mysql
umask 077
cat > "$run/start.sql" <<SQL
CREATE USER IF NOT EXISTS 'mysql'@'localhost' IDENTIFIED VIA unix_socket;
ALTER USER 'mysql'@'localhost' IDENTIFIED VIA unix_socket;
GRANT ALL PRIVILEGES ON *.* TO 'mysql'@'localhost' WITH GRANT OPTION;
CREATE USER IF NOT EXISTS 'root'@'%' IDENTIFIED VIA mysql_native_password USING '$hash';
ALTER USER 'root'@'%' IDENTIFIED VIA mysql_native_password USING '$hash';
GRANT ALL PRIVILEGES ON *.* TO 'root'@'%' WITH GRANT OPTION;
SQL

say "MariaDB $is on $data"
exec mariadbd --datadir="$data" --init-file="$run/start.sql" "$@"
