#!/bin/bash
# Healthy: /healthz answers 200, which it does as long as all of its programs answer.
exec 3<>"/dev/tcp/127.0.0.1/${HTTP_PORT:-8080}" || exit 1
printf 'GET /healthz HTTP/1.0\r\nHost: localhost\r\nUser-Agent: apiary-health\r\n\r\n' >&3
read -r -t 7 _ status _ <&3
[ "$status" = 200 ]
