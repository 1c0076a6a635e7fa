# shellcheck shell=sh
# The image of the region's own containers: DNS server, registry, ACME directory, probers. Runs inside a minimal Debian, as root.
set -eu
export DEBIAN_FRONTEND=noninteractive
apt-get update -q
apt-get install -qy --no-install-recommends python3 python3-dnslib docker-registry curl ca-certificates git \
    bind9-dnsutils iproute2 iputils-ping netcat-openbsd nmap procps tcpdump iptables \
    pebble python3-h2 testssl.sh
apt-get clean
rm -rf /var/lib/apt/lists/* /usr/share/doc/* /usr/share/man/* /usr/share/locale/*
