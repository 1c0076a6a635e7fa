"""Between the properties of a docker Service and the engine's JSON: pure translation both ways.

`spec` is what a create and an update send, `seen` what the official plugin reads back. What it can't send (ports,
privileges, generic resources) is in no table, and so refused.
"""

from __future__ import annotations

import random

from lab.plugins.docker_references import tagged
from lab.plugins.docker_tables import duration_ns, duration_text
from provider.protocol.base import Props, Value


def spec(p: Props) -> Props:
    """The service's specification."""
    task = p["taskSpec"]
    return {
        "Name": p["name"],
        "Labels": _labels(p),
        "TaskTemplate": {
            "ContainerSpec": _container(task["containerSpec"]),
            "Resources": _resources(task.get("resources") or {}),
            "RestartPolicy": _restart(task.get("restartPolicy") or {}),
            "Placement": _placement(task.get("placement") or {}),
            "ForceUpdate": task.get("forceUpdate") or 0,
            "Runtime": task.get("runtime") or "container",
            "Networks": [
                {"Target": one.get("id") or one.get("name"), "Aliases": one.get("aliases") or None}
                for one in task.get("networksAdvanceds") or []
            ],
            "LogDriver": _log_driver(task.get("logDriver")),
        },
        "Mode": _mode(p.get("mode") or {}),
        "UpdateConfig": _pace(p.get("updateConfig")),
        "RollbackConfig": _pace(p.get("rollbackConfig")),
        "EndpointSpec": {"Mode": (p.get("endpointSpec") or {}).get("mode") or ""},
    }


def _labels(p: Props) -> dict[str, str]:
    return {one["label"]: one["value"] for one in p.get("labels") or []}


def _container(c: Props) -> Props:
    check, dns = c.get("healthcheck") or {}, c.get("dnsConfig") or {}
    env = [f"{name}={value}" for name, value in (c.get("env") or {}).items()]
    return {
        "Image": tagged(c["image"]),
        "Labels": _labels(c),
        "Command": c.get("commands") or None,
        "Args": c.get("args") or None,
        "Hostname": c.get("hostname") or "",
        # In any order, as the official plugin sends them: whatever is updated, its replicas may be others after it.
        "Env": random.sample(env, len(env)),
        "Dir": c.get("dir") or "",
        "User": c.get("user") or "",
        "Groups": c.get("groups") or None,
        "ReadOnly": bool(c.get("readOnly")),
        "Mounts": [_mount(one) for one in c.get("mounts") or []],
        "StopSignal": c.get("stopSignal") or "",
        "StopGracePeriod": duration_ns(c.get("stopGracePeriod") or "0s"),
        # Always sent, also empty: each part that is empty is the image's.
        "Healthcheck": {
            "Test": check.get("tests") or [],
            "Interval": duration_ns(check.get("interval") or "0s"),
            "Timeout": duration_ns(check.get("timeout") or "0s"),
            "StartPeriod": duration_ns(check.get("startPeriod") or "0s"),
            "Retries": check.get("retries") or 0,
        },
        "Hosts": [f"{one['ip']} {one['host']}" for one in c.get("hosts") or []] or None,
        "DNSConfig": {
            "Nameservers": dns.get("nameservers") or None,
            "Search": dns.get("searches") or None,
            "Options": dns.get("options") or None,
        },
        "Secrets": [_file(one, "secret", "Secret") for one in c.get("secrets") or []],
        "Configs": [_file(one, "config", "Config") for one in c.get("configs") or []],
        "Isolation": c.get("isolation") or "",
        "Sysctls": c.get("sysctl") or None,
        "CapabilityAdd": c.get("capAdds") or None,
        "CapabilityDrop": c.get("capDrops") or None,
        "Init": bool(c.get("init")),  # left out it is false, whatever the engine's own default
    }


def _mount(m: Props) -> Props:
    options: Props = {}
    if (tmpfs := m.get("tmpfsOptions")) is not None:
        options["TmpfsOptions"] = {"SizeBytes": tmpfs.get("sizeBytes") or 0, "Mode": tmpfs.get("mode") or 0}
    if (bind := m.get("bindOptions")) is not None:
        options["BindOptions"] = {"Propagation": bind.get("propagation") or ""}
    return {
        "Type": m["type"],
        "Target": m["target"],
        "Source": m.get("source") or "",
        "ReadOnly": bool(m.get("readOnly")),
        **options,
    }


def _file(one: Props, ours: str, theirs: str) -> Props:
    return {
        f"{theirs}ID": one[f"{ours}Id"],
        f"{theirs}Name": one.get(f"{ours}Name") or "",
        "File": {"Name": one["fileName"], "UID": one["fileUid"], "GID": one["fileGid"], "Mode": one["fileMode"]},
    }


def _resources(r: Props) -> Props:
    def amount(of: Props | None) -> Props | None:
        return of and {"NanoCPUs": of.get("nanoCpus") or 0, "MemoryBytes": of.get("memoryBytes") or 0}

    return {"Limits": amount(r.get("limits")), "Reservations": amount(r.get("reservation"))}


def _restart(r: Props) -> Props:
    if not r:
        return {}
    return {
        "Condition": r.get("condition") or "",
        "Delay": duration_ns(r.get("delay") or "0s"),
        "MaxAttempts": r.get("maxAttempts") or 0,
        "Window": duration_ns(r.get("window") or "0s"),
    }


def _placement(p: Props) -> Props:
    return {
        "Constraints": p.get("constraints") or None,
        "Preferences": [{"Spread": {"SpreadDescriptor": one}} for one in p.get("prefs") or []] or None,
        "Platforms": [{"Architecture": one["architecture"], "OS": one["os"]} for one in p.get("platforms") or []],
        "MaxReplicas": p.get("maxReplicas") or 0,
    }


def _log_driver(driver: Props | None) -> Props | None:
    return driver and {"Name": driver["name"], "Options": driver.get("options") or None}


def _mode(m: Props) -> Props:
    if m.get("global"):
        return {"Global": {}}
    return {"Replicated": {"Replicas": (m.get("replicated") or {}).get("replicas", 1)}}


def _pace(p: Props | None) -> Props | None:
    if p is None:
        return None
    return {
        "Parallelism": p["parallelism"],
        "Delay": duration_ns(p["delay"]),
        "FailureAction": p["failureAction"],
        "Monitor": duration_ns(p["monitor"]),
        "MaxFailureRatio": float(p["maxFailureRatio"]),
        "Order": p["order"],
    }


def seen(info: Props) -> Props:
    """What is read back of a service."""
    wanted = info["Spec"]
    mode = wanted["Mode"]
    replicated = mode.get("Replicated")
    return {
        "name": wanted["Name"],
        "labels": _seen_labels(wanted.get("Labels")),
        "taskSpec": _seen_task(wanted["TaskTemplate"]),
        "mode": {
            "global": "Global" in mode,
            "replicated": None if replicated is None else {"replicas": replicated.get("Replicas", 0)},
        },
        "updateConfig": _seen_pace(wanted.get("UpdateConfig")),
        "rollbackConfig": _seen_pace(wanted.get("RollbackConfig")),
        "endpointSpec": {"mode": _endpoint(info)},
    }


def _endpoint(info: Props) -> str:
    """Its own word is there a moment later than the service."""
    own = ((info.get("Endpoint") or {}).get("Spec") or {}).get("Mode")
    return str(own or (info["Spec"].get("EndpointSpec") or {}).get("Mode") or "")


def _seen_labels(labels: Value) -> list[Props]:
    return [{"label": key, "value": value} for key, value in sorted((labels or {}).items())]


def _seen_task(task: Props) -> Props:
    found: Props = {
        "containerSpec": _seen_container(task["ContainerSpec"]),
        "forceUpdate": task.get("ForceUpdate", 0),
        "runtime": task.get("Runtime") or None,
    }
    if (limits := task.get("Resources")) is not None:
        found["resources"] = {
            "limits": _seen_amount(limits.get("Limits")),
            "reservation": _seen_amount(limits.get("Reservations")),
        }
    if (restart := task.get("RestartPolicy")) is not None:
        found["restartPolicy"] = {
            "condition": restart.get("Condition"),
            "delay": None if restart.get("Delay") is None else short(restart["Delay"]),
            "maxAttempts": restart.get("MaxAttempts"),
            "window": None if restart.get("Window") is None else short(restart["Window"]),
        }
    if (placement := task.get("Placement")) is not None:
        found["placement"] = {
            "constraints": placement.get("Constraints") or [],
            "prefs": [one["Spread"]["SpreadDescriptor"] for one in placement.get("Preferences") or []],
            "platforms": [
                {"architecture": one.get("Architecture", ""), "os": one.get("OS", "")}
                for one in placement.get("Platforms") or []
            ],
            "maxReplicas": placement.get("MaxReplicas", 0),
        }
    if networks := task.get("Networks"):
        found["networksAdvanceds"] = [
            {"id": one["Target"], "aliases": one.get("Aliases") or [], "driverOpts": [], "name": ""} for one in networks
        ]
    if (driver := task.get("LogDriver")) is not None:
        found["logDriver"] = {"name": driver["Name"], "options": driver.get("Options") or None}
    return found


def _seen_container(c: Props) -> Props:
    found: Props = {
        "image": c["Image"],
        "labels": _seen_labels(c.get("Labels")),
        "env": dict(one.split("=", 1) for one in c.get("Env") or []) or None,
        "readOnly": True if c.get("ReadOnly") else None,
        "mounts": [_seen_mount(one) for one in c.get("Mounts") or []],
        "stopGracePeriod": short(c["StopGracePeriod"]) if "StopGracePeriod" in c else None,
        "hosts": [dict(zip(("ip", "host"), one.split(" ", 1), strict=True)) for one in c.get("Hosts") or []],
        "secrets": [_seen_file(one, "secret", "Secret") for one in c.get("Secrets") or []],
        "configs": [_seen_file(one, "config", "Config") for one in c.get("Configs") or []],
        "init": c.get("Init"),
    }
    names = {
        "commands": "Command", "args": "Args", "hostname": "Hostname", "dir": "Dir", "user": "User", "groups": "Groups",
        "stopSignal": "StopSignal", "isolation": "Isolation", "sysctl": "Sysctls", "capAdds": "CapabilityAdd",
        "capDrops": "CapabilityDrop",
    }  # fmt: skip
    found |= {ours: c[theirs] for ours, theirs in names.items() if c.get(theirs)}
    if (check := c.get("Healthcheck")) is not None:
        found["healthcheck"] = {
            "tests": check.get("Test") or None,
            "interval": short(check.get("Interval", 0)),
            "timeout": short(check.get("Timeout", 0)),
            "startPeriod": short(check.get("StartPeriod", 0)),
            "retries": check.get("Retries", 0),
        }
    if (dns := c.get("DNSConfig")) is not None:
        keys = {"nameservers": "Nameservers", "searches": "Search", "options": "Options"}
        found["dnsConfig"] = {ours: dns.get(theirs) or None for ours, theirs in keys.items()}
    return found


def _seen_mount(m: Props) -> Props:
    found: Props = {
        "type": m["Type"], "target": m["Target"], "source": m.get("Source", ""), "readOnly": m.get("ReadOnly", False),
    }  # fmt: skip
    if (tmpfs := m.get("TmpfsOptions")) is not None:
        # The permissions alone: a sticky bit is lost.
        found["tmpfsOptions"] = {"sizeBytes": tmpfs.get("SizeBytes", 0), "mode": tmpfs.get("Mode", 0) & 0o777}
    if (bind := m.get("BindOptions")) is not None:
        found["bindOptions"] = {"propagation": bind.get("Propagation") or None}
    return found


def _seen_file(one: Props, ours: str, theirs: str) -> Props:
    file = one["File"]
    return {
        f"{ours}Id": one[f"{theirs}ID"],
        f"{ours}Name": one.get(f"{theirs}Name") or "",
        "fileName": file["Name"],
        "fileUid": file["UID"],
        "fileGid": file["GID"],
        "fileMode": file["Mode"],
    }


def _seen_amount(of: Props | None) -> Props | None:
    return None if of is None else {"nanoCpus": of.get("NanoCPUs", 0), "memoryBytes": of.get("MemoryBytes", 0)}


def _seen_pace(p: Props | None) -> Props | None:
    if p is None:
        return None
    return {
        "parallelism": p.get("Parallelism", 0),
        "delay": short(p.get("Delay", 0)),
        "failureAction": p.get("FailureAction"),
        "monitor": short(p.get("Monitor", 0)),
        "maxFailureRatio": f"{p.get('MaxFailureRatio', 0):.1f}",
        "order": p.get("Order"),
    }


def short(ns: int) -> str:
    """A duration as services have it: what is zero at its end is left out, so that 60 s is "1m"."""
    text = duration_text(ns)
    text = text.removesuffix("0s") if text.endswith("m0s") else text
    return text.removesuffix("0m") if text.endswith("h0m") else text
