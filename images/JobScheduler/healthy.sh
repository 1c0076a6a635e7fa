#!/bin/bash
# Healthy: the loop has come round within a minute. Both times are seconds since the machine's start.
read -r beat _ </dev/shm/jobscheduler || exit 1
read -r now _ </proc/uptime
[ $((${now%.*} - ${beat%.*})) -lt 60 ]
