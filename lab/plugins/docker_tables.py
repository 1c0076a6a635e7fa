"""Properties of the Docker resource types, as the official plugin describes them.

Only tables and validators. `docker.py` gives them their behaviour; `schema.py` says what the flags mean.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from provider.protocol.base import Value
from provider.protocol.schema import Prop, Table

GO_DURATION = re.compile(r"[+-]?(?:(?:\d+(?:\.\d*)?|\.\d+)(?:ns|us|µs|μs|ms|s|m|h))+\Z")
UNIT_NS = {
    "ns": 1,
    "us": 1_000,
    "µs": 1_000,
    "μs": 1_000,
    "ms": 1_000_000,
    "s": 10**9,
    "m": 60 * 10**9,
    "h": 3600 * 10**9,
}


def duration_ns(text: str) -> int:
    """A Go duration ("1m30s") in nanoseconds. Raises ValueError."""
    if text == "0":
        return 0
    if not GO_DURATION.match(text):
        raise ValueError(text)
    total = sum(float(number) * UNIT_NS[unit] for number, unit in re.findall(r"([\d.]+)(ns|us|µs|μs|ms|s|m|h)", text))
    return int(-total if text.startswith("-") else total)


def duration_text(ns: int) -> str:
    """Nanoseconds in Go's canonical spelling: 90 s is "1m30s", nothing is "0s"."""
    if ns == 0:
        return "0s"
    if ns < 10**9:
        for unit in ("ms", "µs", "ns"):
            if ns >= UNIT_NS[unit]:
                return f"{ns / UNIT_NS[unit]:.6f}".rstrip("0").rstrip(".") + unit
    hours, rest = divmod(ns, 3600 * 10**9)
    minutes, rest = divmod(rest, 60 * 10**9)
    seconds = f"{rest / 10**9:.9f}".rstrip("0").rstrip(".") + "s"
    if hours:
        return f"{hours}h{minutes}m{seconds}"
    return f"{minutes}m{seconds}" if minutes else seconds


def matches(pattern: str) -> Callable[[Value], str | None]:
    """A check: text that holds the pattern."""
    compiled = re.compile(pattern)
    return lambda v: None if compiled.search(str(v)) else f"'{v}' doesn't match the pattern '{pattern}'"


def at_least(least: int) -> Callable[[Value], str | None]:
    """A check: a number that is not lower."""
    return lambda v: None if int(v) >= least else f"'{v}' cannot be lower than {least}"


def _absolute(value: Value) -> str | None:
    if re.match(r"^[a-zA-Z]:[\\/]|^/", str(value)):
        return None
    return f"'{value}' must be an absolute path"


def duration(value: Value) -> str | None:
    """A check: a duration in Go's spelling, not negative."""
    try:
        ns = duration_ns(str(value))
    except ValueError:
        return f"'{value}' is not a valid duration"
    return None if ns >= 0 else f"'{value}' duration must not be negative"


def _empty_is_default(old: Value, new: Value) -> bool:
    return new in ("", None) or old == new


def _same_ports(old: Value, new: Value) -> bool:
    """Whether ports moved places only, as the official plugin decides.

    By the first port of that internal number.
    """
    if not isinstance(old, list) or not isinstance(new, list) or len(old) != len(new):
        return False
    for was in old:
        found = False
        for will in new:
            if will.get("internal") != was.get("internal"):
                continue
            if will.get("protocol") != was.get("protocol"):
                if any(all(p.get(k) == was.get(k) for k in ("internal", "protocol")) for p in new):
                    continue
                return False
            found = will.get("external") in (None, was.get("external")) and will.get("ip") == was.get("ip")
            break
        if not found:
            return False
    return True


def _text(**flags: Value) -> Prop:
    return Prop("string", **flags)


def _new(kind: str, **flags: Value) -> Prop:
    return Prop(kind, force_new=True, **flags)


LABELS: Table = {"label": _new("string", required=True), "value": _new("string", required=True)}
RATE: Table = {"path": _text(required=True), "rate": Prop("int", required=True, check=at_least(0))}

CONTAINER: Table = {
    "attach": Prop("bool", default=False),
    "bridge": _text(computed=True, output=True),
    "capabilities": _new("set", max_one=True, of={"adds": _new("set"), "drops": _new("set")}),
    "cgroupParent": _new("string"),
    "cgroupnsMode": _new("string"),
    "command": _new("list", computed=True),
    "containerLogs": _text(computed=True, output=True),
    "containerReadRefreshTimeoutMilliseconds": Prop("int", default=15000),
    "cpuPeriod": Prop("int", check=at_least(0)),
    "cpuQuota": Prop("int", check=at_least(0)),
    "cpuSet": _text(check=matches(r"^\d+([,-]\d+)*$")),
    "cpuShares": Prop("int", check=at_least(0)),
    "cpus": _new("string"),
    "destroyGraceSeconds": Prop("int"),
    "deviceReadBps": Prop("set", of=RATE),
    "deviceReadIops": Prop("set", of=RATE),
    "deviceRequests": _new(
        "set",
        of={
            "capabilities": _new("set"),
            "count": _new("int", default=0),
            "deviceIds": _new("set"),
            "driver": _new("string", default="cdi"),
            "options": _new("map"),
        },
    ),
    "deviceWriteBps": Prop("set", of=RATE),
    "deviceWriteIops": Prop("set", of=RATE),
    "devices": _new(
        "set",
        of={
            "containerPath": _new("string"),
            "hostPath": _new("string", required=True),
            "permissions": _new("string", default="rwm"),
        },
    ),
    "dns": _new("set"),
    "dnsOpts": _new("set"),
    "dnsSearches": _new("set"),
    "domainname": _new("string"),
    "entrypoints": _new("list", computed=True),
    "envs": _new("set", computed=True),
    "exitCode": Prop("int", computed=True, output=True),
    "gpus": _new("string"),
    "groupAdds": _new("set"),
    "healthcheck": Prop(
        "list",
        computed=True,
        max_one=True,
        of={
            "interval": _text(default="0s", check=duration),
            "retries": Prop("int", default=0, check=at_least(0)),
            "startInterval": _text(default="0s", check=duration),
            "startPeriod": _text(default="0s", check=duration),
            "tests": Prop("list"),
            "timeout": _text(default="0s", check=duration),
        },
    ),
    "hostname": _new("string", computed=True),
    "hosts": _new("set", of={"host": _new("string", required=True), "ip": _new("string", required=True)}),
    "image": _new("string", required=True),
    "init": Prop("bool", computed=True),
    "ipcMode": _new("string", computed=True),
    "labels": _new("set", computed=True, of=LABELS),
    "logDriver": _new("string", computed=True),
    "logOpts": _new("map"),
    "logs": Prop("bool", default=False),
    "maxRetryCount": Prop("int"),
    "memory": Prop("int", check=at_least(0)),
    "memoryReservation": Prop("int", default=0, check=at_least(0)),
    "memorySwap": Prop("int", check=at_least(-1)),
    "mounts": _new(
        "set",
        of={
            "bindOptions": Prop(
                "list",
                max_one=True,
                of={"propagation": _text(check=matches(r"^(private|rprivate|shared|rshared|slave|rslave)$"))},
            ),
            "readOnly": Prop("bool"),
            "source": _text(),
            "target": _text(required=True),
            "tmpfsOptions": _new("list", max_one=True, of={"mode": Prop("int"), "sizeBytes": Prop("int")}),
            "type": _text(required=True, check=matches(r"^(bind|volume|tmpfs)$")),
            "volumeOptions": Prop(
                "list",
                max_one=True,
                of={
                    "driverName": _text(),
                    "driverOptions": Prop("map"),
                    "labels": Prop("set", of=LABELS),
                    "noCopy": Prop("bool"),
                    "subpath": _new("string"),
                },
            ),
        },
    ),
    "mustRun": Prop("bool", default=True),
    "name": _new("string", required=True, auto_name=True),
    "networkDatas": Prop(
        "list",
        computed=True,
        output=True,
        of={
            "gateway": _text(),
            "globalIpv6Address": _text(),
            "globalIpv6PrefixLength": Prop("int"),
            "ipAddress": _text(),
            "ipPrefixLength": Prop("int"),
            "ipv6Gateway": _text(),
            "macAddress": _text(),
            "networkName": _text(),
        },
    ),
    "networkMode": _new("string", default="bridge"),
    "networksAdvanced": _new(
        "set",
        of={
            "aliases": _new("set"),
            "driverOpts": _new("set"),
            "gwPriority": _new("int", check=at_least(0)),
            "ipv4Address": _new("string"),
            "ipv6Address": _new("string"),
            "linkLocalIps": _new("set"),
            "macAddress": _new("string"),
            "name": _new("string", required=True),
        },
    ),
    "pidMode": _new("string"),
    "platform": _new("string", computed=True),
    "ports": _new(
        "list",
        diff_suppress=_same_ports,
        of={
            "external": _new("int", computed=True),
            "internal": _new("int", required=True),
            "ip": _new("string", default="0.0.0.0", never_followed=True),  # noqa: S104 (the recorded default)
            "protocol": _new("string", default="tcp"),
        },
    ),
    "privileged": _new("bool"),
    "publishAllPorts": _new("bool"),
    "readOnly": _new("bool", default=False),
    "removeVolumes": Prop("bool", default=True),
    "restart": _text(default="no", check=matches(r"^(no|on-failure|always|unless-stopped)$")),
    "rm": Prop("bool", default=False),
    "runtime": _new("string", computed=True),
    "securityOpts": _new("set", computed=True),
    "shmSize": _new("int", computed=True, check=at_least(0)),
    "start": Prop("bool", default=True),
    "stdinOpen": _new("bool", default=False),
    "stopSignal": _new("string", computed=True),
    "stopTimeout": _new("int", computed=True),
    "storageOpts": _new("map"),
    "sysctls": _new("map"),
    "tmpfs": Prop("map"),
    "tty": _new("bool", default=False),
    "ulimits": _new(
        "set",
        of={
            "hard": _new("int", required=True),
            "name": _new("string", required=True),
            "soft": _new("int", required=True),
        },
    ),
    "uploads": _new(
        "set",
        of={
            "content": _new("string"),
            "contentBase64": _new("string"),
            "executable": _new("bool", default=False),
            "file": _new("string", required=True),
            "permissions": _new("string", check=matches(r"^0[0-7]{3}$")),
            "source": _new("string"),
            "sourceHash": _new("string"),
        },
    ),
    "user": _new("string", diff_suppress=_empty_is_default),
    "usernsMode": _new("string"),
    "volumes": _new(
        "set",
        of={
            "containerPath": _new("string"),
            "fromContainer": _new("string"),
            "hostPath": _new("string", check=_absolute),
            "readOnly": _new("bool"),
            "selinuxRelabel": _new("string", check=matches(r"^(z|Z)$")),
            "volumeName": _new("string"),
        },
    ),
    "wait": Prop("bool", default=False),
    "waitTimeout": Prop("int", default=60),
    "workingDir": _new("string", diff_suppress=_empty_is_default),
}

NETWORK: Table = {
    "attachable": _new("bool"),
    "driver": _new("string", computed=True),
    "ingress": _new("bool"),
    "internal": _new("bool", computed=True),
    "ipamConfigs": _new(
        "set",
        computed=True,
        of={
            "auxAddress": _new("map"),
            "gateway": _new("string"),
            "ipRange": _new("string"),
            "subnet": _new("string"),
        },
    ),
    "ipamDriver": _new("string", default="default"),
    "ipamOptions": _new("map"),
    "ipv6": _new("bool"),
    "labels": _new("set", of=LABELS),
    "name": _new("string", required=True, auto_name=True),
    "options": _new("map", computed=True),
    "scope": _text(computed=True, output=True),
}

VOLUME: Table = {
    "driver": _new("string", computed=True),
    "driverOpts": _new("map"),
    "labels": _new("set", of=LABELS),
    "mountpoint": _text(computed=True, output=True),
    "name": _new("string", computed=True, auto_name=True),
}
