#!/bin/bash
# Makes a bare Debian (bookworm or trixie) a firewalled Docker host, and makes it one again when run again.
#
# Runs on the host as root from the unpacked folder, with vars.json beside it: waits for cloud-init, installs every
# package in one apt transaction (daemon.json first: a Docker restart later would hit running image builds), then runs
# the playbook on the host itself. The last line is the recap (`changed=0` when nothing had to be done); on failure it
# is the failing step's own message, and the exit status is not zero.
# Leaves alone: containers, images, networks and volumes.
#
# usage: bootstrap.sh [web.yml]
#        bootstrap.sh --packages    the packages alone, git among them: what the lab's warm servers begin with
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
export HOME=${HOME:-/root} PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive
PLAYBOOK=${1:-web.yml}
WAIT_SECONDS=600
LOG=$(mktemp)
trap 'rm -f "$LOG"' EXIT

say() { printf '%-8s %s\n' "$1" "$2"; }

fail() { # MESSAGE: last on the screen, after the log of the step that failed
  [ ! -s "$LOG" ] || tail -n 40 "$LOG" >&2
  printf 'FAILED   %s\n' "$1" >&2
  exit 1
}

[ "$(id -u)" = 0 ] || fail "bootstrap.sh must run as root; connect as root or use sudo"
if [ "$PLAYBOOK" != --packages ]; then
  [ -f vars.json ] || fail "vars.json is missing beside bootstrap.sh; the caller puts it there"
  [ -f "$PLAYBOOK" ] || fail "there is no playbook $PLAYBOOK; playbooks here: $(echo ./*.yml)"
fi

# The script of an update that was killed may still be at work here.
exec 9>/run/apiary-bootstrap.lock
flock --wait "$WAIT_SECONDS" 9 || fail "another bootstrap has been running for $WAIT_SECONDS s; see \`ps\` on the host"

# Status 2 means "finished, with recoverable errors"; anything else that is not 0 is a first boot that went wrong.
if [ "$PLAYBOOK" != --packages ] && command -v cloud-init >/dev/null; then
  status=0
  timeout "$WAIT_SECONDS" cloud-init status --wait >"$LOG" 2>&1 || status=$?
  case $status in
    0 | 2) ;;
    124) fail "cloud-init did not finish within $WAIT_SECONDS s; see /var/log/cloud-init-output.log on the host" ;;
    *) fail "cloud-init failed (status $status); see /var/log/cloud-init-output.log on the host" ;;
  esac
fi

installed() { [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]; }

# The oldest restic that fails when the program fails whose output it saves (--stdin-from-command, 0.17). bookworm has 0.14,
# and trixie's package depends on nothing that bookworm lacks.
restic_oldest=0.17
restic_files=(/etc/apt/preferences.d/apiary-restic /etc/apt/apt.conf.d/61apiary-restic /etc/apt/sources.list.d/apiary-restic.list)

restic_source() { # on bookworm: restic, and nothing else, comes from trixie, and so do its upgrades by themselves
  local site
  if ! grep -qx 'VERSION_CODENAME=bookworm' /etc/os-release; then
    rm -f "${restic_files[@]}"
    return
  fi
  # The mirror that the host's own packages come from: of all that offer something for bookworm, the one that has the
  # updates of it as well. Asked in this way apt knows it before it has ever fetched a list.
  site=$(apt-get --print-uris update | awk -F "'" '
    { base = $2 }
    sub("/dists/bookworm/InRelease$", "", base) { has[base] = 1 }
    sub("/dists/bookworm-updates/InRelease$", "", base) { if (!updates) updates = base }
    END { if (updates in has) print updates }')
  [ -n "$site" ] || fail "apt knows no mirror of Debian 12 with its updates, and restic comes from there; see /etc/apt on the host"
  # The pins stand before the source does: at no moment may anything else of it be installed.
  cat >"${restic_files[0]}" <<'PINS'
# Written by Apiary (bootstrap.sh); edits are overwritten.
Package: *
Pin: release o=Debian,n=trixie
Pin-Priority: -1

Package: restic
Pin: release o=Debian,n=trixie
Pin-Priority: 990
PINS
  cat >"${restic_files[1]}" <<'ORIGIN'
// Written by Apiary (bootstrap.sh); edits are overwritten. By the pins these are upgrades of restic alone.
Unattended-Upgrade::Origins-Pattern { "origin=Debian,codename=trixie,label=Debian"; };
ORIGIN
  printf '# Written by Apiary (bootstrap.sh); edits are overwritten.\ndeb [lang=none signed-by=%s] %s trixie main\n' \
    /usr/share/keyrings/debian-archive-keyring.gpg "$site" >"${restic_files[2]}"
}

packages=(ansible-core ca-certificates conntrack docker.io iproute2 iptables ndppd nftables openssh-server python3 tzdata ufw unattended-upgrades)
# What speaks to Docker's BuildKit is part of docker.io on bookworm, and a package of its own since.
grep -qx 'VERSION_CODENAME=bookworm' /etc/os-release || packages+=(docker-buildx)
# systemd-timesyncd drives out any other time daemon: only where there is none.
if ! command -v chronyd ntpd ntpsec >/dev/null; then packages+=(systemd-timesyncd); fi
# Where images are built from git, and nowhere else.
if [ "$PLAYBOOK" = --packages ] || grep -q '"apiary_git": true' vars.json; then packages+=(git); fi
# Where a monitor runs. Its own unit would listen on the network from the moment it is installed.
if [ "$PLAYBOOK" != --packages ] && grep -q '"apiary_monitor": true' vars.json; then
  packages+=(prometheus-node-exporter)
  ln -sfn /dev/null /etc/systemd/system/prometheus-node-exporter.service
fi
# Where something is backed up, and nowhere else.
if [ "$PLAYBOOK" = --packages ] || grep -q '"apiary_backups": true' vars.json; then
  packages+=(restic)
  restic_source
else
  rm -f "${restic_files[@]}"
fi
# Where volumes live on block storage.
if [ "$PLAYBOOK" != --packages ] && grep -q '"apiary_data": {' vars.json; then packages+=(e2fsprogs rsync); fi

missing=()
for package in "${packages[@]}"; do installed "$package" || missing+=("$package"); done
# One that somebody installed before may be too old.
if [[ " ${packages[*]} " = *" restic "* ]] && installed restic &&
  dpkg --compare-versions "$(dpkg-query -W -f '${Version}' restic)" lt "$restic_oldest"; then missing+=(restic); fi
command -v docker >/dev/null || missing+=(docker-cli)

if [ ${#missing[@]} -gt 0 ]; then
  started=$SECONDS
  apt=(apt-get -q -o DPkg::Lock::Timeout=300 -o Acquire::Retries=3)
  # The package lists have a lock of their own that the option above does not wait for (a timer of Debian's may hold it).
  deadline=$((SECONDS + 300))
  until "${apt[@]}" update >"$LOG" 2>&1; do
    grep -q 'Could not get lock' "$LOG" && [ $SECONDS -lt $deadline ] || fail "apt-get update failed (above); check the host's network and /etc/apt"
    sleep 2
  done
  # docker-cli is a package of its own from trixie on, and part of docker.io before: there apt may know trixie's, and has
  # no candidate.
  if [[ $(apt-cache policy docker-cli) != *"Candidate: "[^\(]* ]]; then
    for i in "${!missing[@]}"; do [ "${missing[$i]}" != docker-cli ] || unset "missing[$i]"; done
  fi
  command -v python3 >/dev/null || "${apt[@]}" install -y --no-install-recommends python3-minimal >"$LOG" 2>&1 ||
    fail "python3 could not be installed (above)"
  # An engine that is here already gets its configuration from the playbook, which restarts it if need be.
  [ "$PLAYBOOK" = --packages ] || installed docker.io || python3 variables.py daemon vars.json /etc/docker/daemon.json >"$LOG" 2>&1 ||
    fail "vars.json cannot be used (above)"
  "${apt[@]}" -o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold \
    install -y --no-install-recommends "${missing[@]}" >"$LOG" 2>&1 </dev/null ||
    fail "packages could not be installed (above): ${missing[*]}"
  say changed "packages : ${#missing[@]} installed ($((SECONDS - started)) s)"
else
  say ok "packages : all installed"
fi

[ "$PLAYBOOK" != --packages ] || exit 0
python3 variables.py check vars.json >"$LOG" 2>&1 || fail "vars.json cannot be used (above)"
: >"$LOG"

ANSIBLE_CONFIG="$PWD/ansible.cfg" ANSIBLE_NOCOLOR=1 PYTHONUNBUFFERED=1 \
  exec ansible-playbook -c local -i localhost, "$PLAYBOOK" -e @vars.json </dev/null
