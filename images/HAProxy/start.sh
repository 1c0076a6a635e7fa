#!/bin/bash
# PID 1 of the proxy: picks a configuration that validates, starts HAProxy on it, passes signals on.
#
# The live file is tried first, then the last one that was loaded, then the packaged one. What is picked becomes
# the live file, because a reload reads that one again. A live file that is not valid is kept as haproxy.cfg.broken.
# A certificate that can't be loaded is replaced by a self-signed one before its configuration is given up.
#
# Where another proxy serves in this container's network, this one comes up beside it: with its listeners, by descriptor,
# so that a connection that waits in their queue is nobody's loss, and with what it knows of the servers. Once it answers,
# reloads go to it, and whoever started it stops the other one. Until then nothing that the two share is touched: a
# configuration that this one can't serve ends it.
set -eu

config=/etc/haproxy
run=$config/run
live=$config/haproxy.cfg
good=$config/haproxy.cfg.good
packaged=/usr/share/apiary/haproxy.cfg

say() { echo "apiary-proxy: $*" >&2; }

if ! mkdir -p "$run" 2>/dev/null || ! [ -w "$config" ] || ! [ -w "$run" ]; then
    say "ERROR: $config is not writable for $(id -un) (uid $(id -u)); mount an empty named volume there," \
        "or give the folder to that user"
    exit 1
fi

id=$(cut -c-8 /proc/sys/kernel/random/uuid)
master=$run/master.$id.sock
network=$(readlink /proc/self/ns/net)
rm -f /dev/shm/proxy.master

# Not by the volume alone: one that serves in another network has other listeners, at whatever addresses.
beside=
if read -r _ there 2>/dev/null < "$run/proxy" && [ "$there" = "$network" ] &&
    haproxy-ask "$run/admin.sock" "show info" >/dev/null; then
    beside=yes
fi

# HAProxySetup holds this lock while it swaps and reloads: either it is through before we read, or it finds our
# master socket and reloads. A proxy that is down waits for nobody long.
exec 9>>"$run/lock"
flock --wait "$([ "$beside" ] && echo 30 || echo 2)" 9 ||
    say "the configuration is locked by someone else; starting without waiting"

if [ "$beside" ]; then
    say "another proxy serves in this network: coming up beside it"
else
    rm -f "$run"/master.sock "$run"/master.*.sock "$run/admin.sock" "$config"/.start.* "$config"/certs/.start.*
    # Addresses and drain flags of another run say nothing about the containers of this one.
    printf '1\n' > "$run/state"
fi

# Access lines leave by this pipe. Whatever reads it may be missing, restart or be another user; the proxy never
# waits for it. It is opened for both ways, so that it stays whole without a reader.
pipe=$run/access
if ! [ -p "$pipe" ]; then
    rm -rf "$pipe"
    # Open to its reader from its first moment on: it may be waiting for it.
    (umask 0 && mkfifo "$pipe")
fi
chmod 0666 "$pipe"
# Each thread has a descriptor of its own: two that met at one would drop a line (hasetup/access.py).
for suffix in "" _{2..64}; do
    exec {way}<>"$pipe"
    export "APIARY_ACCESS_LOG$suffix=fd@$way"
done

valid() { # valid FILE: silent when it is, the checker's lines when not
    if ! said=$(haproxy -c -f "$1" 2>&1); then
        printf '%s\n' "$said" >&2
        return 1
    fi
}

become_live() { # by rename: no reader ever sees half a file
    cp "$1" "$config/.start.$$"
    mv "$config/.start.$$" "$live"
}

self_signed() { # self_signed NAME...: key and certificate on standard output
    {
        printf '[req]\ndistinguished_name = subject\nx509_extensions = server\nprompt = no\n'
        printf '[subject]\nCN = Apiary self-signed\n[server]\nbasicConstraints = critical, CA:FALSE\n'
        printf 'keyUsage = critical, digitalSignature\nextendedKeyUsage = serverAuth\nsubjectAltName = '
        printf 'DNS:%s, ' "$@" | sed 's/, $//'
    } | openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout - -out - -days 3650 \
        -config /dev/stdin 2>/dev/null
}

loads() { # loads FILE: whether HAProxy can serve it
    printf 'defaults\n mode http\n timeout client 1s\nfrontend f\n bind 127.0.0.1:1 ssl crt %s\n http-request deny\n' \
        "$1" > "$config/.start.$$"
    haproxy -c -f "$config/.start.$$" >/dev/null 2>&1
}

mend() { # mend FILE: every certificate that the configuration names can be loaded afterwards
    sed -n 's/.* crt-list \([^ ]*\) .*/\1/p' "$1" | sort -u | xargs -r cat | while read -r pem names; do
        if loads "$pem"; then continue; fi
        why="is missing"
        if [ -e "$pem" ]; then
            why="can't be loaded; kept as $pem.broken"
            mv "$pem" "$pem.broken"
        fi
        say "ERROR: $pem $why. Self-signed until HAProxySetup has run: $names"
        # shellcheck disable=SC2086 # the names are words
        if (umask 077 && self_signed $names > "$config/certs/.start.$$"); then
            mv "$config/certs/.start.$$" "$pem"
        else
            say "ERROR: openssl makes no certificate for $names; is there room in $config?"
        fi
    done
    rm -f "$config/.start.$$"
}

mendable() { # mendable FILE: valid, if need be after its certificates were mended
    valid "$1" && return
    # Only where the certificates are: another fault is told as it is.
    grep -q ' crt-list ' "$1" || return 1
    (flock --wait 2 8 || :; mend "$1") 8>>"$config/certs/lock"
    valid "$1"
}

# What configurations name has to be there.
touch "$config/acme.map" "$config/maintenance.map"

if [ "$beside" ]; then
    if ! valid "$live"; then
        say "ERROR: $live is not valid for this HAProxy (lines above); the other proxy serves on as it was"
        exit 1
    fi
elif [ ! -e "$live" ]; then
    say "no configuration yet: every request gets 503 until HAProxySetup has run"
    become_live "$packaged"
elif mendable "$live"; then
    cmp -s "$live" "$packaged" || { cp "$live" "$config/.start.$$" && mv "$config/.start.$$" "$good"; }
else
    say "ERROR: $live is NOT VALID (lines above); kept as $live.broken"
    mv "$live" "$live.broken"
    if [ -e "$good" ] && mendable "$good"; then
        say "WARNING: serving the last good configuration; run HAProxySetup to bring it up to date"
        become_live "$good"
    else
        say "WARNING: there is no last good configuration either: every request gets 503; run HAProxySetup"
        become_live "$packaged"
    fi
fi

moved() { # the servers' addresses to the first places of their backends, as at a reload (hasetup/apply.py says why)
    awk 'NR == 1 { print; next }
        NR == 2 { for (at = 2; at <= NF; at++) column[$at] = at - 1; print; next }
        NF {
            backend = $column["be_name"]
            number[backend, ++seen[backend]] = $column["srv_id"]
            name[backend, seen[backend]] = $column["srv_name"]
            if ($column["srv_addr"] == "-") next
            $column["srv_id"] = number[backend, ++kept[backend]]
            $column["srv_name"] = name[backend, kept[backend]]
            print
        }'
}

# Without it a visitor would get 503 until the servers are found by their names.
if [ "$beside" ]; then haproxy-ask "$run/admin.sock" "show servers state" | moved > "$run/state"; fi

haproxy -W -S "$master,mode,660" ${beside:+-x "$run/admin.sock"} -f "$live" 9>&- &
haproxy=$!

# shellcheck disable=SC2329 # as below
is_current() { read -r current _ 2>/dev/null < "$run/proxy" && [ "$current" = "$id" ]; }

# Stopping closes the ports at once, so what still runs gets a few seconds, not the hour a reload would give it; unless
# another proxy has the ports by now.
# shellcheck disable=SC2329 # a trap calls it
stop() {
    kill -USR1 "$haproxy" 2>/dev/null || return 0
    if ! is_current; then
        say "another proxy serves: what still runs here is let end"
        return 0
    fi
    say "stopping: running requests have ${STOP_SECONDS:-5} seconds"
    { sleep "${STOP_SECONDS:-5}"; kill -TERM "$haproxy" 2>/dev/null; } 9>&- &
}
trap stop TERM INT USR1
trap 'kill -USR2 "$haproxy" 2>/dev/null || :' HUP USR2

answers=
for _ in $(seq 300); do
    if haproxy-ask "$master" "@1 show info" | grep -q '^Uptime'; then
        answers=yes
        break
    fi
    kill -0 "$haproxy" 2>/dev/null || break
    sleep 0.1
done
[ -z "$beside" ] || printf '1\n' > "$run/state"
if [ "$answers" ] || [ -z "$beside" ]; then
    # By rename: no reload ever finds none.
    ln -sf "${master##*/}" "$run/.master.$id" && mv -fT "$run/.master.$id" "$run/master.sock"
    echo "$id $network" > "$run/.proxy.$id" && mv -f "$run/.proxy.$id" "$run/proxy"
    # Healthy from here on: whoever stops the other one then finds that it knows.
    echo "$master" > /dev/shm/proxy.master
    for left in "$run"/master.*.sock; do # by one that was killed
        haproxy-ask "$left" "show proc" >/dev/null || rm -f "$left"
    done
else
    say "ERROR: HAProxy does not answer at $master; the other proxy serves on"
fi
exec 9>&-

while :; do
    status=0
    wait "$haproxy" || status=$?
    # A signal ends `wait`, not HAProxy.
    kill -0 "$haproxy" 2>/dev/null || break
done
rm -f "$master"
say "HAProxy ended with status $status"
exit "$status"
