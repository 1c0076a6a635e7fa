# shellcheck shell=sh
# Turns a minimal Debian tree into the disk image of a fresh cloud server. Runs inside the tree, as root.
# Leaves alone what a cloud image leaves to its first boot: host keys, machine id, host name, users.
set -eu

# What the official container image of Debian changes and a server's disk does not have: services that may not
# start when installed, a cache and documentation that are thrown away.
rm -f /usr/sbin/policy-rc.d /etc/apt/apt.conf.d/docker-* /etc/dpkg/dpkg.cfg.d/docker

printf '#!/bin/sh\nexit 101\n' > /usr/sbin/policy-rc.d
chmod 755 /usr/sbin/policy-rc.d
export DEBIAN_FRONTEND=noninteractive
apt-get update -q
apt-get install -qy --no-install-recommends systemd-sysv dbus openssh-server python3 ca-certificates iproute2 \
    iputils-ping netbase cloud-init procps kmod
rm /usr/sbin/policy-rc.d

rm -f /etc/ssh/ssh_host_*
: > /etc/machine-id
rm -f /var/lib/dbus/machine-id

# No hardware here: nobody to log in on a console, no devices to settle, no disks to check.
for unit in getty.target console-getty.service systemd-udevd.service systemd-udevd-control.socket \
    systemd-udevd-kernel.socket systemd-udev-trigger.service systemd-udev-settle.service \
    systemd-modules-load.service systemd-logind.service systemd-firstboot.service \
    sys-kernel-config.mount sys-kernel-debug.mount sys-kernel-tracing.mount dev-hugepages.mount \
    systemd-networkd.service systemd-networkd-wait-online.service systemd-resolved.service \
    e2scrub_all.timer; do
    ln -sf /dev/null "/etc/systemd/system/$unit"
done

# One boot is one server: the journal needs no disk, and a stuck service must not hold up a reboot.
mkdir -p /etc/systemd/journald.conf.d /etc/systemd/system.conf.d
printf '[Journal]\nStorage=volatile\nRuntimeMaxUse=32M\n' > /etc/systemd/journald.conf.d/lab.conf
printf '[Manager]\nDefaultTimeoutStopSec=20s\nDefaultTimeoutStartSec=60s\n' > /etc/systemd/system.conf.d/lab.conf

# As on the provider's images: root may log in with the password of the instance until a playbook forbids it.
sed -i 's/^#*PermitRootLogin .*/PermitRootLogin yes/' /etc/ssh/sshd_config

# Sysctls outside the network belong to the machine below: a server must not set them.
for file in 50-pid-max.conf 50-default.conf 50-coredump.conf 99-protect-links.conf; do
    ln -sf /dev/null "/etc/sysctl.d/$file"
done

# What the metadata service said holds from the first boot on, as on a virtual machine of the provider: cloud-init compares
# its serial number with the instance, which a container has not.
mkdir -p /etc/cloud/cloud.cfg.d
cat > /etc/cloud/cloud.cfg.d/90-lab.cfg <<'CFG'
datasource_list: [Vultr]
manual_cache_clean: true
network: {config: disabled}
locale: false
manage_etc_hosts: false
growpart: {mode: "off"}
resize_rootfs: false
apt: {preserve_sources_list: true}
CFG
# Without a datasource search: ds-identify would look for disks and disable cloud-init.
printf 'policy: enabled\n' > /etc/cloud/ds-identify.cfg

cat > /sbin/lab-private <<'PRIVATE'
#!/bin/sh
# The link to a VPC as the provider's hypervisor makes it: a name and a MAC address of its own. A server that was made
# with it finds its assigned address there at each boot; one that got it later has to configure it.
set -u
mac='' address=''
[ ! -e /var/lib/lab/private ] || read -r mac address < /var/lib/lab/private
ip link set "$1" down
ip -4 addr flush dev "$1"
[ "$1" = enp6s0 ] || ip link set "$1" name enp6s0
[ -z "$mac" ] || ip link set enp6s0 address "$mac"
echo 0 > /proc/sys/net/ipv6/conf/enp6s0/disable_ipv6
if [ -n "$address" ]; then
    ip addr add "$address" brd + dev enp6s0
    ip link set enp6s0 up
fi
PRIVATE
chmod 755 /sbin/lab-private

cat > /sbin/lab-disks <<'DISKS'
#!/bin/sh
# Virtual disks as the provider's hypervisor plugs them in, with the names that udev would give them: at each boot, because
# /dev is empty then, and whenever one comes, goes or grows. What stays is never away, not for a moment.
set -u
mkdir -p /dev/disk/by-id /var/lib/lab
touch /var/lib/lab/disks
for link in /dev/disk/by-id/virtio-*; do
    [ ! -L "$link" ] || grep -q "^${link#/dev/disk/by-id/virtio-} " /var/lib/lab/disks || rm -f "$(readlink -f "$link")" "$link"
done
while read -r name letter major minor; do
    node=/dev/vd$letter link=/dev/disk/by-id/virtio-$name
    if [ "$(stat -c '%t %T' "$node" 2>/dev/null)" != "$(printf '%x %x' "$major" "$minor")" ]; then
        rm -f "$node.new"
        mknod "$node.new" b "$major" "$minor"
        mv -f "$node.new" "$node"
    fi
    [ "$(readlink "$link")" = "../../vd$letter" ] || ln -sfn "../../vd$letter" "$link"
done < /var/lib/lab/disks
DISKS
chmod 755 /sbin/lab-disks

cat > /sbin/lab-init <<'INIT'
#!/bin/sh
# PID 1 until systemd takes over: what a hypervisor and its DHCP do for a real server.
set -u
LAB_HOSTNAME=${LAB_HOSTNAME:-localhost}
# The engine names the links in any order: the public one has the instance's address.
link=eth0 private=
for path in /sys/class/net/eth* /sys/class/net/ens3 /sys/class/net/enp6s0; do
    [ -e "$path" ] || continue
    case "$(ip -o -4 addr show dev "${path##*/}")" in
        *" ${LAB_IPV4:-no address}/"*) link=${path##*/} ;;
        *) private=${path##*/} ;;
    esac
done
[ "$private" != "$link" ] || private=
if [ -n "$private" ]; then
    lab-private "$private"
fi
ip link set "$link" down
[ "$link" = ens3 ] || ip link set "$link" name ens3
for scope in all default ens3; do
    echo 0 > "/proc/sys/net/ipv6/conf/$scope/disable_ipv6"
done
ip link set ens3 up
if [ -n "${LAB_MAC:-}" ]; then
    # On a link that is up, which says so: who asked in the moment before has found the engine's address, and would speak
    # to that for some time.
    echo 1 > /proc/sys/net/ipv4/conf/ens3/arp_notify
    ip link set ens3 address "$LAB_MAC"
fi
if [ -n "${LAB_GATEWAY:-}" ]; then
    ip route replace default via "$LAB_GATEWAY" dev ens3
    # By this route cloud-init tells the provider's metadata service from somebody else's.
    ip route replace 169.254.169.254 dev ens3
else
    : > /etc/cloud/cloud-init.disabled  # no instance, nobody to ask
fi
if [ -n "${LAB_IPV6:-}" ]; then
    ip -6 addr replace "$LAB_IPV6" dev ens3 nodad
    for net in ${LAB_ON_LINK:-}; do ip -6 route replace "$net" dev ens3; done
    [ -z "${LAB_GATEWAY6:-}" ] || ip -6 route replace default via "$LAB_GATEWAY6" dev ens3
fi
lab-disks
# Docker's bind mounts over these files would make them unreplaceable; the server owns its own.
for file in resolv.conf hosts hostname; do umount "/etc/$file" 2>/dev/null; done
[ -z "${LAB_NAMESERVER:-}" ] || echo "nameserver $LAB_NAMESERVER" > /etc/resolv.conf
if [ ! -e /var/lib/lab-named ]; then
    echo "$LAB_HOSTNAME" > /etc/hostname
    printf '127.0.0.1 localhost\n127.0.1.1 %s\n::1 localhost ip6-localhost ip6-loopback\n' \
        "$LAB_HOSTNAME" > /etc/hosts
    : > /var/lib/lab-named
fi
hostname "$(cat /etc/hostname)"
# In a cgroup namespace of its own the server may write what the engine mounted read-only.
mount -o remount,rw /sys 2>/dev/null
for tree in /sys/fs/cgroup /sys/fs/cgroup/*; do
    [ -d "$tree" ] && mount -o remount,bind,rw "$tree" 2>/dev/null
done
# Everything below is one file tree to systemd: shared, so that inner mounts propagate as on a real host.
mount --make-rshared / 2>/dev/null
# The clock and the modules are the machine's below, whatever flags this container runs with.
# `vultr` is the kernel parameter by which cloud-init knows the provider's machines that have no SMBIOS, its bare metal; a
# container's kernel parameters are the arguments of PID 1.
exec env -i container=docker PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    setpriv --bounding-set=-sys_time,-sys_module /sbin/init vultr
INIT
chmod 755 /sbin/lab-init

apt-get clean
rm -rf /var/lib/apt/lists/* /var/cache/debconf/*-old /var/log/*.log /usr/share/doc/* /usr/share/man/* /usr/share/locale/*
