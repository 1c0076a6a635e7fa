#!/bin/sh
# Healthy: the collector has been through its loop lately, and has nothing to complain of.
beat=/dev/shm/accesslog.beat
if [ -z "$(find "$beat" -newermt '-20 seconds' 2>/dev/null)" ]; then
    echo "the collector has not been through its loop for 20 seconds"
    exit 1
fi
if [ -s "$beat" ]; then
    cat "$beat"
    exit 1
fi
