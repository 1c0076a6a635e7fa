"""The small languages of a container's options: amounts, limits, capabilities, devices, signals, names and addresses.

Makes: one pure function a language, checked out and in the spelling that Docker reads back. Leaves alone: which options
there are, and what Docker calls them (`options`). Each function raises ValueError whose message says what is wrong and
what to write.
"""

import re
from decimal import Decimal, InvalidOperation
from ipaddress import IPv4Address, ip_address
from typing import NamedTuple

from settings.container_texts import argument
from settings.errors import did_you_mean, kind_of, show
from settings.host_places import SOME_DEVICES, may_have, tidy

_AMOUNT = re.compile(r"(\d{1,12}(?:\.\d{1,6})?)([bkmg])b?", re.ASCII | re.IGNORECASE)
_UNITS = {"b": 1, "k": 2**10, "m": 2**20, "g": 2**30}
_MIB = 2**20
_MOST_MIB = 2**20
_HOST_LABEL = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?")
_LONGEST_HOSTNAME = 64  # bytes, HOST_NAME_MAX of Linux
_GROUP = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,31}|\d{1,10}", re.ASCII)
_DEVICE = re.compile(r"/dev/[^:\x00-\x20]+")
# What has a value of its own in every namespace, after namespaces(7), mq_overview(7) and sysvipc(7).
_OF_IPC = frozenset((
    "kernel.msgmax", "kernel.msgmnb", "kernel.msgmni", "kernel.sem", "kernel.shm_rmid_forced", "kernel.shmall",
    "kernel.shmmax", "kernel.shmmni",
))  # fmt: skip
_SYSCTL = re.compile(r"[a-z][a-z0-9_-]*(?:[./][A-Za-z0-9_-]+)+")
_OWN_PREFIXES = ("net.", "fs.mqueue.")
_NET_CORE = ("net.core.somaxconn",)  # all else below net.core is the host's (Linux 6.1)
# fmt: off
LIMITS = frozenset((
    "core", "cpu", "data", "fsize", "locks", "memlock", "msgqueue", "nice", "nofile", "nproc", "rss", "rtprio",
    "rttime", "sigpending", "stack",
))
SIGNALS = frozenset((
    "SIGABRT", "SIGALRM", "SIGCONT", "SIGHUP", "SIGINT", "SIGKILL", "SIGPWR", "SIGQUIT", "SIGTERM", "SIGUSR1",
    "SIGUSR2", "SIGWINCH", "SIGRTMIN+3",
))
CAPABILITIES = frozenset((
    "AUDIT_CONTROL", "AUDIT_READ", "AUDIT_WRITE", "BLOCK_SUSPEND", "BPF", "CHECKPOINT_RESTORE", "CHOWN",
    "DAC_OVERRIDE", "DAC_READ_SEARCH", "FOWNER", "FSETID", "IPC_LOCK", "IPC_OWNER", "KILL", "LEASE",
    "LINUX_IMMUTABLE", "MAC_ADMIN", "MAC_OVERRIDE", "MKNOD", "NET_ADMIN", "NET_BIND_SERVICE",
    "NET_BROADCAST", "NET_RAW", "PERFMON", "SETFCAP", "SETGID", "SETPCAP", "SETUID", "SYSLOG", "SYS_ADMIN",
    "SYS_BOOT", "SYS_CHROOT", "SYS_MODULE", "SYS_NICE", "SYS_PACCT", "SYS_PTRACE", "SYS_RAWIO",
    "SYS_RESOURCE", "SYS_TIME", "SYS_TTY_CONFIG", "WAKE_ALARM",
))
# fmt: on
_LARGEST_NOFILE = 1_048_576  # the kernel's fs.nr_open as Debian has it


class Device(NamedTuple):
    """A device of the server, where the container finds it, and what it may do there."""

    host: str
    container: str
    permissions: str


class Limit(NamedTuple):
    """A resource limit; -1 is none."""

    soft: int
    hard: int


def parse_amount(text: str, *, least: int = 6) -> int:
    """Read an amount of memory (`256m`, `512M`, `1.5g`) in MiB, at least `least`: for a container Docker wants 6."""
    match = _AMOUNT.fullmatch(text)
    if not match:
        raise ValueError(f'{show(text)} is not an amount of memory; write e.g. "256m" or "1.5g"')
    size = Decimal(match[1]) * _UNITS[match[2].lower()]
    if size % _MIB:
        raise ValueError(f'{show(text)} is no whole number of MiB; write e.g. "{max(least, int(size // _MIB))}m"')
    mib = int(size // _MIB)
    if not least <= mib <= _MOST_MIB:
        raise ValueError(f'{show(text)} is out of range; write "{least}m" to "1024g"')
    return mib


def parse_shm(text: str) -> int:
    """Read the size of /dev/shm in MiB."""
    return parse_amount(text, least=1)


def memory(text: str) -> str:
    """Check a memory limit, kept as written."""
    parse_amount(text)
    return text


def shm_size(text: str) -> str:
    """Check a size of /dev/shm, kept as written."""
    parse_shm(text)
    return text


def cpus(value: object) -> str:
    """Spell a share of processors so that Docker reads back the same text: `1` -> `"1.0"`, `"0.50"` -> `"0.5"`."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise ValueError(  # noqa: TRY004 - pydantic takes ValueErrors only
            f'must be a number of processors such as "0.5", not {kind_of(value)}'
        )
    problem = f'{show(value)} is not a number of processors; write e.g. "0.5" or "1.0", from 0.01 to 1000'
    try:
        number = Decimal(show(value) if not isinstance(value, str) else value)
    except InvalidOperation as error:
        raise ValueError(problem) from error
    if not (number.is_finite() and Decimal("0.01") <= number <= 1000) or number != round(number, 3):
        raise ValueError(problem)
    whole, _, fraction = f"{number:.3f}".partition(".")
    return f"{whole}.{fraction.rstrip('0') or '0'}"


def capability(text: str) -> str:
    """Check a Linux capability, without the `CAP_` that Docker puts before it."""
    if text in CAPABILITIES:
        return text
    bare = text.upper().removeprefix("CAP_")
    if bare == "ALL":
        raise ValueError('"ALL" is not accepted; name the few capabilities that are needed, e.g. NET_BIND_SERVICE')
    raise ValueError(f"{show(text)} is not a capability; {did_you_mean(bare, CAPABILITIES)}")


def word(text: str) -> str:
    """Check one word of a command line, which Docker does not take when it is empty."""
    if not text:
        raise ValueError("is empty, and Docker takes no empty word here; take it out")
    return argument(text)


def words(items: list[str]) -> list[str]:
    """Check that a command line has a word."""
    if not items:
        raise ValueError("is empty; name the program, or leave it out for the image's own")
    return items


def hostname(text: str) -> str:
    """Check the name that a container has for itself."""
    if len(text) > _LONGEST_HOSTNAME or not all(_HOST_LABEL.fullmatch(label) for label in text.split(".")):
        raise ValueError(
            f"{show(text)} is not a host name; write letters, digits and hyphens, as in rabbit-1, at most "
            f"{_LONGEST_HOSTNAME} characters"
        )
    return text


def limit_name(text: str) -> str:
    """Check the name of a resource limit, as getrlimit(2) has it without RLIMIT_."""
    if text not in LIMITS:
        raise ValueError(f"{show(text)} is not a limit; {did_you_mean(text, LIMITS)}")
    return text


def limit(value: object) -> object:
    """Check a resource limit, kept as written: a number, or `{soft: 1024, hard: 2048}`."""
    parse_limit(value)
    return value


def parse_limit(value: object) -> Limit:
    """Read a resource limit."""
    pair = value if isinstance(value, dict) else {"soft": value, "hard": value}
    soft, hard = pair.get("soft"), pair.get("hard")
    if set(pair) != {"soft", "hard"} or type(soft) is not int or type(hard) is not int or min(soft, hard) < -1:
        raise ValueError(
            "is not a limit; write a number (-1: none), or both, {soft: 1024, hard: 2048}, as numbers without quotes"
        )
    read = Limit(soft, hard)
    if read.hard != -1 and (read.soft == -1 or read.soft > read.hard):
        raise ValueError(f"its soft limit {read.soft} is above its hard one {read.hard}; write at most {read.hard}")
    return read


def limits(items: dict[str, object]) -> dict[str, object]:
    """Check what one limit alone can't be."""
    if "nofile" in items and not 0 <= parse_limit(items["nofile"]).hard <= _LARGEST_NOFILE:
        raise ValueError(f"nofile is a number of open files; write 0 to {_LARGEST_NOFILE}, Linux takes no more")
    return items


def sysctl(text: str) -> str:
    """Check a setting of the kernel: one that a container has for itself."""
    dotted = text.replace("/", ".")
    if not _SYSCTL.fullmatch(text) or dotted != text:
        raise ValueError(f"{show(text)} is not a setting of the kernel; write e.g. net.core.somaxconn, with dots")
    own = text in _OF_IPC or text.startswith(_OWN_PREFIXES)
    if not own or (text.startswith("net.core.") and text not in _NET_CORE):
        raise ValueError(
            f"{show(text)} is the whole server's, not a container's; leave it out, or write it into "
            "playbooks/roles/sysctl"
        )
    return text


def plain_value(value: object) -> str:
    """Spell a value that is text for Docker: numbers and truths as YAML has read them."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return show(value)
    if not isinstance(value, str):
        raise ValueError(f"must be text or a whole number, not {kind_of(value)}; write it in quotes")  # noqa: TRY004
    return argument(value)


def device(text: str) -> str:
    """Check a device, kept as written."""
    parse_device(text)
    return text


def parse_device(text: str) -> Device:
    """Read a device of the server: `/dev/net/tun`, `/dev/fuse:/dev/fuse`, `/dev/x:/dev/y:r`."""
    host, _, rest = text.partition(":")
    container, _, permissions = rest.partition(":")
    paths, permissions = (host, container or host), permissions or "rwm"
    usable = all(_DEVICE.fullmatch(path) and ".." not in path for path in paths)
    if not usable or not re.fullmatch(r"(?!.*(.).*\1)[rwm]+", permissions) or text.endswith(":"):
        raise ValueError(
            f'{show(text)} is not a device; write "/dev/net/tun", or "/dev/net/tun:/dev/net/tun:rwm" '
            "(server:container:rights)"
        )
    read = Device(tidy(paths[0]), tidy(paths[1]), permissions)
    if not may_have(read.host):
        raise ValueError(
            f"{show(text)} is refused: whoever has {read.host} may have the whole server; a container is given "
            f"{SOME_DEVICES}, no disk, memory or console; mount a folder by volumes instead"
        )
    return read


def group(value: object) -> str:
    """Spell a further group of a container's user: its number, or its name in the image."""
    if isinstance(value, bool) or not isinstance(value, (int, str)) or not _GROUP.fullmatch(show_plain(value)):
        raise ValueError(f"{show(value)} is not a group; write its number, or its name in the image, e.g. 44 or video")
    return show_plain(value)


def show_plain(value: int | str) -> str:
    """Spell a number or a text without quotes."""
    return value if isinstance(value, str) else show(value)


def host_name(text: str) -> str:
    """Check a name that a container is to look up in its own list."""
    if len(text) > 253 or not all(_HOST_LABEL.fullmatch(label) for label in text.split(".")):
        raise ValueError(f"{show(text)} is not the name of a host; write e.g. ldap.internal.example.com")
    return text


def host_address(text: str) -> str:
    """Check the address of such a name: IPv4, since the Docker plugin cuts others at their first colon."""
    if text == "host-gateway":
        raise ValueError(
            "is refused: no container reaches its own server; what has to be reached runs as an application, found by "
            "its name"
        )
    try:
        address = ip_address(text)
    except ValueError as error:
        raise ValueError(f'{show(text)} is not an address; write IPv4, e.g. "192.0.2.10"') from error
    if not isinstance(address, IPv4Address):
        raise ValueError(  # noqa: TRY004 - pydantic takes ValueErrors only
            f"{show(text)} is IPv6, which the Docker plugin can't keep here; give the name a record under zones"
        )
    return text


def nameserver(text: str) -> str:
    """Spell the address of a resolver."""
    try:
        address = ip_address(text)
    except ValueError as error:
        raise ValueError(f'{show(text)} is not an address; write that of a resolver, e.g. "9.9.9.9"') from error
    if address.is_loopback or address.is_unspecified:
        raise ValueError(f"{show(text)} is the container itself; write the address of a resolver elsewhere")
    return str(address)


def label(text: str) -> str:
    """Check the name of a label: those of this program are its own."""
    if not text or argument(text) != text.strip() or "=" in text:
        raise ValueError('is not the name of a label; write e.g. "com.example.team"')
    if text.startswith(("traefik.", "caddy")):
        raise ValueError("nobody goes by it here: a site is made by env: {domains: [...], http_port: ...}; take it out")
    if text.startswith("apiary."):
        raise ValueError(f"{show(text)} is this program's own; write a name of your own, e.g. com.example.team")
    return text


def signal(value: object) -> str:
    """Check a signal by its name."""
    text = value if isinstance(value, str) else show(value)
    if text not in SIGNALS:
        named = f"SIG{text.upper().removeprefix('SIG')}"
        raise ValueError(f"{show(value)} is not a signal that stops a program; {did_you_mean(named, SIGNALS)}")
    return text
