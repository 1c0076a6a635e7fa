#!/bin/sh
# PID 1 becomes nginx: fills in the port and the networks whose X-Forwarded-For is believed.
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
sed "s/@HTTP_PORT@/$port/g" /usr/share/apiary/nginx.conf > /tmp/apiary/nginx.conf
exec nginx -e /dev/stderr -c /tmp/apiary/nginx.conf -g 'daemon off;'
