#!/bin/bash
# Healthy: the worker of this very container answers, by way of its master. At a port another proxy may answer, which
# comes or goes in the same network.
read -r master < /dev/shm/proxy.master && haproxy-ask "$master" "@1 show info" | grep -q '^Uptime'
