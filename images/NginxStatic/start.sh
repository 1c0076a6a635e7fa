#!/bin/sh
# PID 1 becomes nginx: fills in the port, the networks whose X-Forwarded-For is believed, and the password.
set -eu

port=${HTTP_PORT:-8080}
case $port in
    ''|*[!0-9]*) echo "apiary-static: HTTP_PORT is '$port', which is not a port number" >&2; exit 2 ;;
esac
if ! mkdir -p /tmp/apiary 2>/dev/null; then
    echo "apiary-static: /tmp is not writable; a read-only root needs a tmpfs at /tmp" >&2
    exit 1
fi
{
    ip -4 route show scope link | awk '{ print $1 }'
    ip -6 route show | awk '$1 ~ /\// && $1 !~ /^fe80/ && !/ via / { print $1 }'
} | sort -u | sed 's/.*/set_real_ip_from &;/' > /tmp/apiary/trusted.conf

: > /tmp/apiary/login.conf
if [ "${PASSWORD+given}" ]; then
    login=${LOGIN:-admin}
    case $login in
        *[!A-Za-z0-9._@-]*) echo "apiary-static: LOGIN may hold letters, digits and . _ @ - alone" >&2; exit 2 ;;
    esac
    if [ -z "$PASSWORD" ]; then
        echo "apiary-static: PASSWORD is empty; write one, or take it out and let everybody in" >&2
        exit 2
    fi
    # In memory, never on the disk. A new salt at each start.
    (umask 077 && printf '%s' "$PASSWORD" | perl -e '
        my @of = ("a" .. "z", "A" .. "Z", 0 .. 9, ".", "/");
        open my $random, "<:raw", "/dev/urandom" or die "/dev/urandom: $!\n";
        read $random, my $bytes, 16;
        print "$ARGV[0]:", crypt(join("", <STDIN>), join("", "\$6\$", map { $of[$_ % 64] } unpack "C*", $bytes)), "\n";
    ' "$login" > /dev/shm/login)
    cat > /tmp/apiary/login.conf <<'CONF'
# Health checks are told that nginx answers, and nothing else.
if ($visitor = 0) {
    return 204;
}
auth_basic "$host";
auth_basic_user_file /dev/shm/login;
CONF
    unset PASSWORD
fi
sed "s/@HTTP_PORT@/$port/g" /usr/share/apiary/nginx.conf > /tmp/apiary/nginx.conf
exec nginx -e /dev/stderr -c /tmp/apiary/nginx.conf -g 'daemon off;'
