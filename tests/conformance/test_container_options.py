"""Every option of a container on a real engine: seen from inside, and unchanged at a second run and after a refresh."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from typing import Any

import pytest

from lab.plugins.docker_engine import Engine, frames
from lab.plugins.docker_provider import DEFAULT_HOST
from settings.options import Options, arguments, rows
from tests.conformance.test_docker_plugin_live import Lab

LOOK = """\
hostname; ulimit -n; cat /proc/sys/net/core/somaxconn; pwd; id -G; df -m /dev/shm | awk 'END {print $2}'
awk '/ldap/ {print $1}' /etc/hosts; awk '/nameserver/ {print $2}' /etc/resolv.conf | sort
test -c /dev/nothing && cat /proc/1/comm
"""
WRITTEN: dict[str, Any] = {
    "entrypoint": ["/bin/sh", "-c"],
    "command": [f"{LOOK}exec sleep inf"],
    "user": "1000:1000",
    "memory": "0.125g",
    "cpus": 1,
    "capabilities": ["NET_BIND_SERVICE"],
    "read_only": True,
    "tmpfs": {"/run": "size=16m"},
    "grace_seconds": 0,
    "working_dir": "/srv/",
    "hostname": "shop-1",
    "shm_size": "128M",
    "ulimits": {"nofile": 512, "core": {"soft": 0, "hard": 0}},
    "sysctls": {"net.core.somaxconn": 1024},
    "devices": ["/dev/null:/dev/nothing:r"],
    "group_add": [44],
    "extra_hosts": {"ldap.example.com": "192.0.2.10"},
    "nameservers": ["9.9.9.9", "2620:fe::fe"],
    "stop_signal": "SIGQUIT",
    "init": False,
}
SEEN = ["shop-1", "512", "1024", "/srv", "1000 44", "128", "192.0.2.10", "2620:fe::fe", "9.9.9.9", "sh"]


@pytest.fixture
def lab() -> Iterator[Lab]:
    made = Lab()
    yield made
    for kind, id, state in made.made:
        made.delete(kind, id, {**state, "destroyGraceSeconds": 0})


def spelt(value: Any) -> Any:
    """As Pulumi's SDK hands it to the plugin; keys of settings have no `_`."""
    match value:
        case dict():
            return {_camel(key): spelt(inner) for key, inner in value.items()}
        case list():
            return [spelt(inner) for inner in value]
        case _:
            return value


def _camel(word: str) -> str:
    first, *rest = word.split("_")
    return first + "".join(part.title() for part in rest)


def test_the_table_is_tried_as_a_whole() -> None:
    assert {row.word for row in rows() if row.docker.arguments} == set(WRITTEN)


def test_every_option_is_seen_from_inside_and_settles(lab: Lab) -> None:
    engine = Engine(os.environ.get("DOCKER_HOST", DEFAULT_HOST), [])
    given = {_camel(key): spelt(value) for key, value in arguments(Options.model_validate(WRITTEN)).items()}
    id, state, inputs = lab.container(**given)
    assert lab.diff("Container", id, state, inputs) == {}
    read = lab.read("Container", id, state, inputs)
    assert lab.diff("Container", id, read["properties"], inputs) == {}
    end = time.monotonic() + 60
    while (told := logged(engine, id)) != SEEN and time.monotonic() < end:
        time.sleep(0.1)
    assert told == SEEN


def logged(engine: Engine, id: str) -> list[str]:
    """What it has said."""
    stream = engine.call("GET", f"/containers/{id}/logs", {"stdout": 1, "stderr": 1}, raw=True)
    return b"".join(frames(stream)).decode().split("\n")[:-1]
