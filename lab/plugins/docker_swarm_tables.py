"""Properties of the Docker resource types of a swarm, as the official plugin describes them.

Only tables and validators, beside `docker_tables.py`.
"""

from __future__ import annotations

from lab.plugins.docker_tables import LABELS, at_least, duration, matches
from provider.protocol.schema import Prop, Table

_CHANGED_LABELS: Table = {"label": Prop("string", required=True), "value": Prop("string", required=True)}


def _block(of: Table, **flags: bool) -> Prop:
    return Prop("list", max_one=True, of=of, **flags)  # type: ignore[arg-type]


def _count(**flags: object) -> Prop:
    return Prop("int", check=at_least(0), **flags)  # type: ignore[arg-type]


def _file(id: str) -> Table:
    """A secret or a config as a container finds it."""
    return {
        f"{id}Id": Prop("string", required=True),
        f"{id}Name": Prop("string"),
        "fileName": Prop("string", required=True),
        "fileUid": Prop("string", default="0"),
        "fileGid": Prop("string", default="0"),
        "fileMode": _count(default=0o444),
    }


def _pace(actions: str) -> Table:
    """How an update, or its rollback, goes."""
    return {
        "parallelism": _count(default=1),
        "delay": Prop("string", default="0s", check=duration),
        "failureAction": Prop("string", default="pause", check=matches(f"^({actions})$")),
        "monitor": Prop("string", default="5s", check=duration),
        "maxFailureRatio": Prop("string", default="0.0"),
        "order": Prop("string", default="stop-first", check=matches("^(stop-first|start-first)$")),
    }


_MOUNT: Table = {
    "target": Prop("string", required=True),
    "source": Prop("string"),
    "type": Prop("string", required=True, check=matches("^(bind|volume|tmpfs)$")),
    "readOnly": Prop("bool"),
    "bindOptions": _block({"propagation": Prop("string", default="rprivate")}),
    "volumeOptions": _block(
        {
            "noCopy": Prop("bool"),
            "labels": Prop("set", of=LABELS),
            "driverName": Prop("string"),
            "driverOptions": Prop("map"),
        }
    ),
    "tmpfsOptions": _block({"sizeBytes": Prop("int"), "mode": Prop("int")}),
}

_CONTAINER_SPEC: Table = {
    "image": Prop("string", required=True),
    "labels": Prop("set", of=LABELS),
    "commands": Prop("list"),
    "args": Prop("list"),
    "hostname": Prop("string"),
    "env": Prop("map"),
    "dir": Prop("string"),
    "user": Prop("string"),
    "groups": Prop("list"),
    "readOnly": Prop("bool"),
    "mounts": Prop("set", of=_MOUNT),
    "stopSignal": Prop("string"),
    "stopGracePeriod": Prop("string", computed=True, check=duration),
    "healthcheck": _block(
        {
            "tests": Prop("list"),
            "interval": Prop("string", default="0s", check=duration),
            "timeout": Prop("string", default="0s", check=duration),
            "startPeriod": Prop("string", default="0s", check=duration),
            "retries": _count(default=0),
        },
        computed=True,
    ),
    "hosts": Prop(
        "set",
        force_new=True,
        of={
            "ip": Prop("string", required=True, force_new=True),
            "host": Prop("string", required=True, force_new=True),
        },
    ),
    "dnsConfig": _block(
        {"nameservers": Prop("list", required=True), "searches": Prop("list"), "options": Prop("list")}, computed=True
    ),
    "secrets": Prop("set", of=_file("secret")),
    "configs": Prop("set", of=_file("config")),
    "isolation": Prop("string", default="default", check=matches("^(default|process|hyperv)$")),
    "sysctl": Prop("map", force_new=True),
    "capAdds": Prop("list"),
    "capDrops": Prop("list"),
    "init": Prop("bool", computed=True),
}

_LIMITS: Table = {"nanoCpus": Prop("int"), "memoryBytes": Prop("int")}

_TASK_SPEC: Table = {
    "containerSpec": _block(_CONTAINER_SPEC, required=True),
    "resources": _block({"limits": _block(_LIMITS), "reservation": _block(_LIMITS)}, computed=True),
    "restartPolicy": _block(
        {
            "condition": Prop("string", check=matches("^(none|on-failure|any)$")),
            "delay": Prop("string", check=duration),
            "maxAttempts": _count(),
            "window": Prop("string", check=duration),
        },
        computed=True,
    ),
    "placement": _block(
        {
            "constraints": Prop("set"),
            "prefs": Prop("set"),
            "maxReplicas": _count(),
            "platforms": Prop(
                "set", of={"architecture": Prop("string", required=True), "os": Prop("string", required=True)}
            ),
        },
        computed=True,
    ),
    "forceUpdate": _count(computed=True),
    "runtime": Prop("string", computed=True, check=matches("^(container|plugin)$")),
    "networksAdvanceds": Prop(
        "set",
        force_new=True,  # each part of an element is
        of={
            "name": Prop("string", force_new=True),
            "id": Prop("string", force_new=True),
            "aliases": Prop("set", force_new=True),
            "driverOpts": Prop("set", force_new=True),
        },
    ),
    "logDriver": _block({"name": Prop("string", required=True), "options": Prop("map")}),
}

SERVICE: Table = {
    "name": Prop("string", required=True, auto_name=True, force_new=True),
    "labels": Prop("set", computed=True, of=_CHANGED_LABELS),
    "taskSpec": _block(_TASK_SPEC, required=True),
    "mode": _block(
        {"replicated": _block({"replicas": _count(default=1)}, computed=True), "global": Prop("bool", default=False)},
        computed=True,
    ),
    "updateConfig": _block(_pace("pause|continue|rollback")),
    "rollbackConfig": _block(_pace("pause|continue")),
    "endpointSpec": _block(
        {"mode": Prop("string", computed=True, check=matches("^(vip|dnsrr)$"))},
        computed=True,
    ),
}

_NAME = Prop("string", required=True, auto_name=True, force_new=True)
SECRET: Table = {
    "name": _NAME,
    "data": Prop("string", required=True, force_new=True, secret=True),
    "labels": Prop("set", force_new=True, of=LABELS),
}
CONFIG: Table = {
    "name": _NAME,
    "data": Prop("string", force_new=True),
    "dataRaw": Prop("string", force_new=True),
    "labels": Prop("set", force_new=True, of=LABELS),
}
