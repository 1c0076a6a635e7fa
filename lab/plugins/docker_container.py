"""Between the properties of a docker Container and the engine's JSON: pure translation both ways.

`creation` builds the request that creates a container, `endpoint` the one that connects it to a network,
`seen` turns the engine's description into the properties which the official plugin reads back (it reads
only those).
"""

from __future__ import annotations

from fractions import Fraction

from lab.plugins.docker_tables import duration_ns, duration_text
from provider.protocol.base import Failure, Props, Value

MB = 1024 * 1024
RATES = {
    "deviceReadBps": "BlkioDeviceReadBps",
    "deviceReadIops": "BlkioDeviceReadIOps",
    "deviceWriteBps": "BlkioDeviceWriteBps",
    "deviceWriteIops": "BlkioDeviceWriteIOps",
}


def creation(p: Props) -> Props:
    """The body of POST /containers/create. Raises Failure for what the official plugin refuses by itself."""
    if p.get("command") and any(not part for part in p["command"]):
        raise Failure("values for command may not be empty")
    exposed, bindings = _ports(p.get("ports") or [])
    volumes, binds, volumes_from = _volumes(p.get("volumes") or [])
    body: Props = {
        "Image": p["image"],
        "Hostname": p.get("hostname") or "",
        "Domainname": p.get("domainname") or "",
        "Tty": bool(p.get("tty")),
        "OpenStdin": bool(p.get("stdinOpen")),
        "User": p.get("user") or "",
        "WorkingDir": p.get("workingDir") or "",
        "Env": p.get("envs") or None,
        "Cmd": p.get("command") or None,
        "Entrypoint": p.get("entrypoints") or None,
        "Labels": {label["label"]: label["value"] for label in p.get("labels") or []},
        "ExposedPorts": exposed or None,
        "Volumes": volumes or None,
        "HostConfig": _host_config(p, bindings, binds, volumes_from),
        "NetworkingConfig": {},
    }
    if p.get("stopSignal"):
        body["StopSignal"] = p["stopSignal"]
    if p.get("stopTimeout"):
        body["StopTimeout"] = p["stopTimeout"]
    if p.get("healthcheck"):
        check = p["healthcheck"]
        body["Healthcheck"] = {
            "Test": check.get("tests") or [],
            "Interval": duration_ns(check.get("interval") or "0s"),
            "Timeout": duration_ns(check.get("timeout") or "0s"),
            "StartPeriod": duration_ns(check.get("startPeriod") or "0s"),
            "StartInterval": duration_ns(check.get("startInterval") or "0s"),
            "Retries": check.get("retries") or 0,
        }
    return body


def _host_config(p: Props, bindings: Props, binds: list[str], volumes_from: list[str]) -> Props:
    capabilities = p.get("capabilities") or {}
    options = p.get("securityOpts") or []
    host: Props = {
        "Privileged": bool(p.get("privileged")),
        "PublishAllPorts": bool(p.get("publishAllPorts")),
        "RestartPolicy": {"Name": p.get("restart") or "", "MaximumRetryCount": p.get("maxRetryCount") or 0},
        "Runtime": p.get("runtime") or "",
        "Mounts": [_mount(mount) for mount in p.get("mounts") or []],
        "AutoRemove": bool(p.get("rm")),
        "ReadonlyRootfs": bool(p.get("readOnly")),
        "LogConfig": {"Type": p.get("logDriver") or "", "Config": p.get("logOpts") or None},
        "Tmpfs": p.get("tmpfs") or None,
        "PortBindings": bindings or None,
        "ExtraHosts": [f"{h['host']}:{h['ip']}" for h in p.get("hosts") or []] or None,
        "Binds": binds or None,
        "VolumesFrom": volumes_from or None,
        "Ulimits": [{"Name": u["name"], "Soft": u["soft"], "Hard": u["hard"]} for u in p.get("ulimits") or []] or None,
        "CapAdd": _capabilities(capabilities.get("adds")),
        "CapDrop": _capabilities(capabilities.get("drops")),
        "Dns": p.get("dns") or None,
        "DnsOptions": p.get("dnsOpts") or None,
        "DnsSearch": p.get("dnsSearches") or None,
        "SecurityOpt": [o for o in options if o != "systempaths=unconfined"] or None,
        "Memory": (p.get("memory") or 0) * MB,
        "MemoryReservation": (p.get("memoryReservation") or 0) * MB,
        "MemorySwap": _swap(p.get("memorySwap") or 0),
        "ShmSize": (p.get("shmSize") or 0) * MB,
        "CpuShares": p.get("cpuShares") or 0,
        "CpusetCpus": p.get("cpuSet") or "",
        "NetworkMode": p.get("networkMode") or "",
        "UsernsMode": p.get("usernsMode") or "",
        "PidMode": p.get("pidMode") or "",
        "IpcMode": p.get("ipcMode") or "",
        "CgroupnsMode": p.get("cgroupnsMode") or "",
        "CgroupParent": p.get("cgroupParent") or "",
        "Sysctls": p.get("sysctls") or None,
        "GroupAdd": p.get("groupAdds") or None,
        "StorageOpt": p.get("storageOpts") or None,
        "Init": bool(p.get("init")),
        "Devices": [
            {
                "PathOnHost": d["hostPath"],
                "PathInContainer": d.get("containerPath") or d["hostPath"],
                "CgroupPermissions": d.get("permissions") or "rwm",
            }
            for d in p.get("devices") or []
        ]
        or None,
    }
    if "systempaths=unconfined" in options:
        host["MaskedPaths"], host["ReadonlyPaths"] = [], []
    if p.get("cpus"):
        host["NanoCpus"] = _nano_cpus(p["cpus"])
    else:
        host["CpuPeriod"], host["CpuQuota"] = p.get("cpuPeriod") or 0, p.get("cpuQuota") or 0
    host.update(rates(p))
    return host


def _capabilities(names: list[str] | None) -> list[str] | None:
    """In the spelling that the official client sends.

    Upper case, with CAP_; ALL makes the others needless.
    """
    upper = {name.upper() for name in names or []}
    if "ALL" in upper:
        return ["ALL"]
    return sorted(name if name.startswith("CAP_") else f"CAP_{name}" for name in upper) or None


def rates(p: Props) -> Props:
    """Limits of block devices in the engine's words, for creating and updating."""
    return {
        theirs: [{"Path": r["path"], "Rate": r["rate"]} for r in p[ours]]
        for ours, theirs in RATES.items()
        if p.get(ours)
    }


def _swap(megabytes: int) -> int:
    return megabytes * MB if megabytes > 0 else megabytes


def _nano_cpus(text: str) -> int:
    try:
        return int(Fraction(text) * 10**9)
    except (ValueError, ZeroDivisionError) as error:
        raise Failure(f"Error setting cpus: failed to parse {text} as a rational number") from error


def _ports(ports: list[Props]) -> tuple[Props, Props]:
    exposed: Props = {}
    bindings: Props = {}
    for port in ports:
        key = f"{port['internal']}/{port.get('protocol') or 'tcp'}"
        exposed[key] = {}
        binding = {"HostIp": port.get("ip") or "", "HostPort": str(port.get("external") or 0)}
        bindings.setdefault(key, []).append(binding)
    return exposed, bindings


def _volumes(volumes: list[Props]) -> tuple[Props, list[str], list[str]]:
    mount_points: Props = {}
    binds: list[str] = []
    others: list[str] = []
    for volume in volumes:
        other, path = volume.get("fromContainer") or "", volume.get("containerPath") or ""
        source = volume.get("hostPath") or volume.get("volumeName") or ""
        if not other and not path:
            raise Failure("Unable to parse volumes: volume entry without container path or source container")
        if other and path:
            raise Failure("Unable to parse volumes: both a container and a path specified in a volume entry")
        if other:
            others.append(other)
            continue
        mount_points[path] = {}
        if source:
            mode = "ro" if volume.get("readOnly") else "rw"
            label = volume.get("selinuxRelabel") or ""
            binds.append(f"{source}:{path}:{mode}" + (f",{label}" if label else ""))
    return mount_points, binds, others


def _mount(mount: Props) -> Props:
    out: Props = {
        "Type": mount["type"],
        "Target": mount["target"],
        "Source": mount.get("source") or "",
        "ReadOnly": bool(mount.get("readOnly")),
    }
    if mount["type"] == "bind" and mount.get("bindOptions"):
        out["BindOptions"] = {"Propagation": mount["bindOptions"].get("propagation") or ""}
    if mount["type"] == "tmpfs" and mount.get("tmpfsOptions"):
        given = mount["tmpfsOptions"]
        out["TmpfsOptions"] = {"SizeBytes": given.get("sizeBytes") or 0, "Mode": given.get("mode") or 0}
    if mount["type"] == "volume" and mount.get("volumeOptions"):
        given = mount["volumeOptions"]
        out["VolumeOptions"] = {
            "NoCopy": bool(given.get("noCopy")),
            "Labels": {label["label"]: label["value"] for label in given.get("labels") or []},
            "DriverConfig": {
                "Name": given.get("driverName") or "",
                "Options": given.get("driverOptions") or {},
            },
        }
    return out


def endpoint(network: Props) -> Props:
    """The endpoint settings of one entry of `networksAdvanced`."""
    out: Props = {
        "Aliases": network.get("aliases") or [],
        "IPAMConfig": {
            "IPv4Address": network.get("ipv4Address") or "",
            "IPv6Address": network.get("ipv6Address") or "",
            "LinkLocalIPs": network.get("linkLocalIps") or [],
        },
        "MacAddress": network.get("macAddress") or "",
        "DriverOpts": dict(o.split("=", 1) for o in network.get("driverOpts") or [] if "=" in o),
    }
    if network.get("gwPriority"):
        out["GwPriority"] = network["gwPriority"]
    return out


def update(p: Props) -> Props:
    """The body of POST /containers/ID/update."""
    body: Props = {
        "RestartPolicy": {"Name": p.get("restart") or "", "MaximumRetryCount": p.get("maxRetryCount") or 0},
        "CpuShares": p.get("cpuShares") or 0,
        "Memory": (p.get("memory") or 0) * MB,
        "MemoryReservation": (p.get("memoryReservation") or 0) * MB,
        "CpusetCpus": p.get("cpuSet") or "",
        **rates(p),
    }
    if p.get("memorySwap"):
        body["MemorySwap"] = _swap(p["memorySwap"])
    return body


def seen(info: Props, state: Props) -> Props:
    """Properties read back from `GET /containers/ID/json`.

    What the official plugin does not read is left out.
    """
    config, host, settings = info["Config"], info["HostConfig"], info.get("NetworkSettings") or {}
    running = info["State"]["Running"]
    out: Props = {
        "name": info["Name"].lstrip("/"),
        "rm": host["AutoRemove"],
        "readOnly": host["ReadonlyRootfs"],
        "image": info["Image"] if str(state.get("image") or "").startswith("sha256:") else config["Image"],
        "hostname": config.get("Hostname") or "",
        "domainname": config.get("Domainname") or "",
        "command": config.get("Cmd") or [],
        "entrypoints": config.get("Entrypoint") or [],
        "user": config.get("User") or "",
        "dns": host.get("Dns") or [],
        "dnsOpts": host.get("DnsOptions") or [],
        "dnsSearches": host.get("DnsSearch") or [],
        "securityOpts": host.get("SecurityOpt") or [],
        "publishAllPorts": bool(host.get("PublishAllPorts")),
        "restart": host["RestartPolicy"]["Name"],
        "maxRetryCount": host["RestartPolicy"]["MaximumRetryCount"],
        "init": bool(host.get("Init")),
        "workingDir": config.get("WorkingDir") or "",
        "runtime": host.get("Runtime") or "",
        "platform": info.get("Platform") or "",
        "mounts": [_mount_seen(mount) for mount in host.get("Mounts") or []],
        "tmpfs": host.get("Tmpfs") or {},
        "hosts": [dict(zip(("host", "ip"), h.split(":"), strict=False)) for h in host.get("ExtraHosts") or []],
        "privileged": bool(host.get("Privileged")),
        "memory": host["Memory"] // MB,
        "memoryReservation": host["MemoryReservation"] // MB,
        "memorySwap": host["MemorySwap"] // MB if host["MemorySwap"] > 0 else host["MemorySwap"],
        "shmSize": (host.get("ShmSize") or 0) // MB,
        "cpuShares": host.get("CpuShares") or 0,
        "cpuSet": host.get("CpusetCpus") or "",
        "logDriver": host["LogConfig"]["Type"],
        "logOpts": (host["LogConfig"].get("Config") or {}) if state.get("logOpts") else {},
        "storageOpts": host.get("StorageOpt") or {},
        "networkMode": host["NetworkMode"],
        "usernsMode": host.get("UsernsMode") or "",
        "sysctls": host.get("Sysctls") or {},
        "ipcMode": host.get("IpcMode") or "",
        "groupAdds": host.get("GroupAdd") or [],
        "tty": bool(config.get("Tty")),
        "stdinOpen": bool(config.get("OpenStdin")),
        "stopSignal": config.get("StopSignal") or "",
        "stopTimeout": config.get("StopTimeout") or 0,
        "bridge": settings.get("Bridge") or "",
        "networkDatas": _networks_seen(settings.get("Networks") or {}),
    }
    for ours, theirs in RATES.items():
        out[ours] = [{"path": r["Path"], "rate": r["Rate"]} for r in host.get(theirs) or []]
    if (running or state.get("mustRun")) and state.get("ports"):
        out["ports"] = _ports_seen(settings.get("Ports") or {})
    if not running:
        out["exitCode"] = info["State"]["ExitCode"]
        if state.get("mustRun"):
            out["mustRun"] = False
    if host.get("CapAdd") or host.get("CapDrop"):
        out["capabilities"] = {"adds": host.get("CapAdd") or [], "drops": host.get("CapDrop") or []}
    if state.get("ulimits"):
        out["ulimits"] = [{"name": u["Name"], "soft": u["Soft"], "hard": u["Hard"]} for u in host.get("Ulimits") or []]
    if host.get("NanoCpus"):
        out["cpus"] = _cpus_seen(host["NanoCpus"])
    if state.get("pidMode"):
        out["pidMode"] = host.get("PidMode") or ""
    if config.get("Healthcheck"):
        out["healthcheck"] = _health_seen(config["Healthcheck"])
    return out


def _health_seen(check: Props) -> Props:
    return {
        "tests": check.get("Test") or [],
        "interval": duration_text(check.get("Interval") or 0),
        "timeout": duration_text(check.get("Timeout") or 0),
        "startPeriod": duration_text(check.get("StartPeriod") or 0),
        "startInterval": duration_text(check.get("StartInterval") or 0),
        "retries": check.get("Retries") or 0,
    }


def _cpus_seen(nano: int) -> str:
    """As the official plugin spells it: "1.0", "0.5", "1.25"."""
    text = f"{nano // 10**9}.{nano % 10**9:09d}".rstrip("0")
    return f"{text}0" if text.endswith(".") else text


def _mount_seen(mount: Props) -> Props:
    out: Props = {
        "type": mount["Type"],
        "target": mount["Target"],
        "source": mount.get("Source") or "",
        "readOnly": bool(mount.get("ReadOnly")),
        "bindOptions": None,
        "tmpfsOptions": None,
        "volumeOptions": None,
    }
    if mount.get("BindOptions"):
        out["bindOptions"] = {"propagation": mount["BindOptions"].get("Propagation") or ""}
    if mount.get("TmpfsOptions"):
        given = mount["TmpfsOptions"]
        out["tmpfsOptions"] = {"sizeBytes": given.get("SizeBytes") or 0, "mode": given.get("Mode") or 0}
    if mount.get("VolumeOptions"):
        given = mount["VolumeOptions"]
        driver = given.get("DriverConfig") or {}
        out["volumeOptions"] = {
            "noCopy": bool(given.get("NoCopy")),
            "labels": [{"label": k, "value": v} for k, v in sorted((given.get("Labels") or {}).items())],
            "driverName": driver.get("Name") or "",
            "driverOptions": driver.get("Options") or {},
            "subpath": given.get("Subpath") or "",
        }
    return out


def _networks_seen(networks: dict[str, Value]) -> list[Props]:
    return [
        {
            "networkName": name,
            "ipAddress": data.get("IPAddress") or "",
            "ipPrefixLength": data.get("IPPrefixLen") or 0,
            "gateway": data.get("Gateway") or "",
            "globalIpv6Address": data.get("GlobalIPv6Address") or "",
            "globalIpv6PrefixLength": data.get("GlobalIPv6PrefixLen") or 0,
            "ipv6Gateway": data.get("IPv6Gateway") or "",
            "macAddress": data.get("MacAddress") or "",
        }
        for name, data in sorted(networks.items())
    ]


def _ports_seen(ports: Props) -> list[Props]:
    """In the order of internal ports, and in the engine's order within one."""
    out: list[Props] = []
    for key in sorted(ports, key=lambda k: int(k.split("/")[0])):
        internal, protocol = key.split("/")
        out += [
            {
                "internal": int(internal),
                "external": int(b["HostPort"]),
                "ip": b["HostIp"],
                "protocol": protocol,
            }
            for b in ports[key] or []
        ]
    return out
