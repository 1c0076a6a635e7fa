"""The short and long forms of a compose file, each as its long form.

Makes: one pure function a form. The long forms are plain data again, so that files can be merged by them. Each raises
Wrong with what to write. Leaves alone: what becomes of them (keys).
"""

from __future__ import annotations

import re
from collections.abc import Callable

from operations.coming.errors import Wrong, items, kind_of, mapping, show, text, texts

Form = Callable[[object], object]

_PORT = re.compile(
    r"(?:(?P<ip>\[[0-9a-fA-F:.]+\]|[0-9]+(?:\.[0-9]+){3}|):)?(?:(?P<published>\d{1,5}(?:-\d{1,5})?)?:)?"
    r"(?P<target>\d{1,5}(?:-\d{1,5})?)(?:/(?P<protocol>\w+))?",
    re.ASCII,
)


def pairs(value: object) -> dict[str, object]:
    """`[A=b, C]` or `{A: b, C: }`: a map, None for what has no value."""
    if value is None or isinstance(value, dict):
        return dict(value or {})
    made: dict[str, object] = {}
    for item in texts(value, "NAME=value"):
        name, sign, rest = item.partition("=")
        made[name] = rest if sign else None
    return made


def hosts(value: object) -> dict[str, object]:
    """`[name:address]`, `[name=address]` or `{name: address}`: a map to lists of addresses."""
    if isinstance(value, dict):
        return {name: texts(inner, "192.0.2.1") for name, inner in value.items()}
    made: dict[str, object] = {}
    for index, item in enumerate(texts(value, "host:192.0.2.1")):
        match = re.fullmatch(r"([^:=\s]+)[:=]\s*(\S+)", item.strip())
        if not match:
            raise Wrong(f'{show(item)} is no host and its address; write "host:192.0.2.1"', index)
        there = made.setdefault(match[1], [])
        if isinstance(there, list):
            there.append(match[2].strip("[]"))
    return made


def build(value: object) -> dict[str, object]:
    """`./folder` or `{context: ./folder, ...}`."""
    if isinstance(value, dict):
        made = dict(value)
        if "args" in made:
            made["args"] = pairs(made["args"])
        return made
    return {"context": text(value, "./folder")}


def depends_on(value: object) -> dict[str, object]:
    """`[db]` or `{db: {condition: service_healthy}}`."""
    if isinstance(value, dict):
        return {name: mapping(inner, "{condition: service_started}") for name, inner in value.items()}
    return {name: {"condition": "service_started"} for name in texts(value, "db")}


def networks(value: object) -> dict[str, object]:
    """`[front]` or `{front: {aliases: [x]}}`."""
    if isinstance(value, dict):
        return {name: mapping(inner, "{aliases: [web]}") for name, inner in value.items()}
    return {name: {} for name in texts(value, "front")}


def env_files(value: object) -> list[object]:
    """`.env`, `[a.env]` or `[{path: a.env, required: false, format: raw}]`."""
    made: list[object] = []
    for index, item in enumerate([value] if isinstance(value, (str, dict)) else items(value, "[.env]")):
        if isinstance(item, dict):
            if not isinstance(item.get("path"), str):
                raise Wrong("names no file; write {path: .env}", index)
            made.append(dict(item))
        elif isinstance(item, str):
            made.append({"path": item})
        else:
            raise Wrong(f"must be a file's path, not {kind_of(item)}; write e.g. .env", index)
    return made


def ports(value: object) -> list[object]:
    """`[80, "8080:80/udp", "127.0.0.1::80", ":443:443", {target: 80, published: 8080}]`: each a map."""
    made: list[object] = []
    for index, item in enumerate(items(value, '["8080:80"]')):
        if isinstance(item, dict):
            target = item.get("target")
            if isinstance(target, bool) or not re.fullmatch(r"\d{1,5}", str(target)):
                raise Wrong("has no usable target, the port inside; write e.g. {target: 80, published: 8080}", index)
            made.append({**item, "target": str(target), "protocol": item.get("protocol") or "tcp"})
            continue
        match = _PORT.fullmatch(text(item, '"8080:80"')) if isinstance(item, (str, int)) else None
        if not match:
            raise Wrong(f'{show(item)} is not a port; write e.g. "8080:80", "127.0.0.1:8080:80" or "53:53/udp"', index)
        made.append({
            "target": match["target"],
            **({"published": match["published"]} if match["published"] else {}),
            **({"host_ip": match["ip"].strip("[]")} if match["ip"] else {}),
            "protocol": match["protocol"] or "tcp",
        })  # fmt: skip
    return made


def volumes(value: object) -> list[object]:
    """`[data:/data:ro, ./x:/x, /anonymous, {type: bind, source: ./x, target: /x}]`: each a map."""
    made: list[object] = []
    for index, item in enumerate(items(value, '["data:/data"]')):
        if isinstance(item, dict):
            if not isinstance(item.get("target"), str) or not isinstance(item.get("source", ""), (str, type(None))):
                raise Wrong("has no usable target; write {type: volume, source: data, target: /data}", index)
            made.append({"type": "volume", **item})
        elif isinstance(item, str) and item:
            made.append(_volume(item))
        else:
            raise Wrong(f'{show(item)} is not a volume; write e.g. "data:/data"', index)
    return made


def _volume(item: str) -> dict[str, object]:
    parts = item.split(":")
    if len(parts) == 1:
        return {"type": "volume", "target": item}
    options = parts[2].split(",") if len(parts) > 2 else []
    kind = "bind" if parts[0].startswith(("/", ".", "~")) else "volume"
    made: dict[str, object] = {"type": kind, "source": parts[0], "target": parts[1]}
    if "ro" in options:
        made["read_only"] = True
    if "nocopy" in options:
        made["volume"] = {"nocopy": True}
    if spread := [option for option in options if option.lstrip("r") in ("shared", "slave")]:
        made["bind"] = {"propagation": spread[-1]}
    return made


def grants(value: object) -> list[object]:
    """Secrets or configs of a service: `[name]` or `[{source: name, target: /path, mode: 0440}]`."""
    made: list[object] = []
    for index, item in enumerate(items(value, "[app_conf]")):
        if isinstance(item, str):
            made.append({"source": item})
        elif isinstance(item, dict) and isinstance(item.get("source"), str):
            made.append(dict(item))
        else:
            raise Wrong("names none; write its name, or {source: name, target: /path}", index)
    return made


def devices(value: object) -> list[object]:
    """Devices, left as they are written."""
    return list(items(value, '["/dev/fuse:/dev/fuse"]'))


def extends(value: object) -> dict[str, object]:
    """`base` or `{service: base, file: other.yaml}`."""
    made = {"service": value} if isinstance(value, str) else mapping(value, "{service: base}")
    if not isinstance(made.get("service"), str) or not isinstance(made.get("file", ""), str):
        raise Wrong("names no service; write {service: base}, or {file: other.yaml, service: base}")
    return dict(made)


def many(value: object) -> list[object]:
    """One text or several."""
    return list(texts(value, "text"))


def healthcheck(value: object) -> dict[str, object]:
    """A health check."""
    return dict(mapping(value, "{test: [CMD, pg_isready]}"))


FORMS: dict[str, Form] = {
    "annotations": pairs,
    "build": build,
    "cap_add": many,
    "cap_drop": many,
    "configs": grants,
    "depends_on": depends_on,
    "devices": devices,
    "dns": many,
    "dns_opt": many,
    "dns_search": many,
    "env_file": env_files,
    "environment": pairs,
    "expose": many,
    "extends": extends,
    "external_links": many,
    "extra_hosts": hosts,
    "group_add": many,
    "healthcheck": healthcheck,
    "label_file": many,
    "labels": pairs,
    "links": many,
    "networks": networks,
    "ports": ports,
    "profiles": many,
    "secrets": grants,
    "security_opt": many,
    "sysctls": pairs,
    "tmpfs": many,
    "volumes": volumes,
    "volumes_from": many,
}


# Durations and sizes, as Compose spells them.

_DURATION = re.compile(r"(?:\d+(?:\.\d+)?(?:us|ms|s|m|h|d|w))+", re.ASCII)
_DURATION_PART = re.compile(r"(\d+(?:\.\d+)?)(us|ms|s|m|h|d|w)", re.ASCII)
_SECONDS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
_UNITS = {"": 1.0, "k": 2.0**10, "m": 2.0**20, "g": 2.0**30, "t": 2.0**40, "p": 2.0**50}
_SIZE = re.compile(r"(\d{1,15}(?:\.\d{1,6})?)\s*([kmgtp]?)i?b?", re.ASCII | re.IGNORECASE)


def seconds(value: object) -> float:
    """Read a duration, `1m30s`, in seconds; a bare 0 too. Raises Wrong."""
    if value in (0, "0"):
        return 0.0
    if not isinstance(value, str) or not _DURATION.fullmatch(value) or len(value) > 60:
        raise Wrong(f"{show(value)} is not a duration; write e.g. 30s, 500ms or 1m30s")
    return sum(float(number) * _SECONDS[unit] for number, unit in _DURATION_PART.findall(value))


def duration(value: object) -> str:
    """Spell a duration in units that the stack file has. Raises Wrong."""
    milliseconds = round(seconds(value) * 1000)
    return f"{milliseconds // 1000}s" if milliseconds % 1000 == 0 else f"{milliseconds}ms"


def size(value: object) -> int:
    """Read an amount, `512M`, `1.5g`, `2gb`, in bytes. Raises Wrong."""
    match = _SIZE.fullmatch(text(value, "512m").strip()) if isinstance(value, (str, int, float)) else None
    if match is None or isinstance(value, bool):
        raise Wrong(f"{show(value)} is not an amount of memory; write e.g. 512m or 1g")
    return round(float(match[1]) * _UNITS[match[2].lower()])


def mebibytes(value: object) -> tuple[str, bool]:
    """Spell an amount as the stack file does, `512m` or `2g`, and say whether it had to be rounded up. Raises Wrong."""
    amount = size(value)
    mib = -(-amount // 1024**2)
    spelt = f"{mib // 1024}g" if mib and mib % 1024 == 0 else f"{mib}m"
    return spelt, mib * 1024**2 != amount
