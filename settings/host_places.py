"""What of the server a container may be given: which of its paths by volumes, which of its devices.

Pure. Paths are judged tidied, without doubled slashes and dots; where a link on the server leads is judged there, by
the same table (components/host_paths.py).
"""

import re

# Whoever has one of these, or a folder around one, has the server: its engine, kernel, disks, keys, root's files.
NEVER = (
    "/boot", "/dev", "/etc/apiary", "/etc/docker", "/etc/gshadow", "/etc/shadow", "/etc/ssh", "/etc/sudoers", "/proc",
    "/root", "/run", "/sys", "/var/lib/apiary", "/var/lib/containerd", "/var/lib/docker", "/var/run",
)  # fmt: skip
# What root runs or reads from here: to be read only.
READ = ("/bin", "/etc", "/lib", "/lib32", "/lib64", "/libx32", "/sbin", "/usr", "/var/lib/dpkg", "/var/spool/cron")
METRICS = "/var/lib/apiary/metrics"  # for a Prometheus of one's own, to be read
# Devices that are nobody's disk, memory, console or clock.
_DEVICES = re.compile(
    r"/dev/(?:net/tun|fuse|kvm|ppp|vhost-(?:net|vsock)|null|zero|full|u?random|dri(?:/(?:card|renderD)\d+)?|kfd|snd(?:/\w+)?"
    r"|nvidia(?:\d+|ctl|-modeset|-uvm|-uvm-tools|-caps/\w+)?|video\d+|media\d+|dvb(?:/[\w/]+)?|tty(?:USB|ACM)\d+"
    r"|serial/by-(?:id|path)/[\w.:+-]+)",
    re.ASCII,
)
SOME_DEVICES = "/dev/net/tun, fuse, kvm, ppp, dri, nvidia*, kfd, snd, video*, dvb, ttyUSB*, ttyACM*"


def tidy(path: str) -> str:
    """An absolute path without doubled slashes, dots, and a slash at its end. Raises ValueError for `..`."""
    parts = path.split("/")
    if ".." in parts:
        raise ValueError('paths are absolute and without ".."')
    return "/" + "/".join(part for part in parts if part not in ("", "."))


def is_server(path: str, *, read_only: bool) -> bool:
    """Whether who is given a tidy path has the server by it: what is in it, or what it is in."""
    inside = f"{path.rstrip('/')}/"
    if read_only and inside.startswith(f"{METRICS}/"):
        return False
    if any(f"{place}/".startswith(inside) or inside.startswith(f"{place}/") for place in NEVER):
        return True
    return not read_only and any(f"{place}/".startswith(inside) or inside.startswith(f"{place}/") for place in READ)


def may_have(device: str) -> bool:
    """Whether a container may have a device of the server, by its tidy path."""
    return _DEVICES.fullmatch(device) is not None
