#!/bin/bash
# Healthy: / answers below 400.
exec 3<>"/dev/tcp/127.0.0.1/${HTTP_PORT:-8080}" || exit 1
printf 'GET / HTTP/1.0\r\nHost: localhost\r\nUser-Agent: apiary-health\r\n\r\n' >&3
read -r -t 2 _ status _ <&3
[ "$status" -ge 200 ] && [ "$status" -lt 400 ]
