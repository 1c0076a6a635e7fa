#!/bin/sh
# Healthy: answers a query. It listens on the network from the same moment on.
[ "$(mariadb --user=mysql --connect-timeout=2 --batch --skip-column-names --execute='SELECT 1')" = 1 ]
