#!/bin/sh
# Healthy: accepts connections over the network, as applications make them.
exec pg_isready --quiet --host 127.0.0.1 --port 5432 --timeout 2
