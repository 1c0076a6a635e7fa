"""One small hive, declared once and looked at by every test here."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from tests.mocks.program import Graph, run

STACK: dict[str, Any] = {
    "servers": {
        "web1": {
            "plan": "vc2-1c-2gb",
            "region": "ewr",
            "os": 2136,
            "dns": {"public": ["web1.example.com"], "web": ["example.com", "shop.example.net"]},
        }
    },
    "zones": {"example.com": {"ttl": 600, "records": [{"type": "MX", "data": "mail.example.com", "priority": 10}]}},
    "applications": {
        "haproxy": {
            "build_dir": "HAProxy",
            "ipv6_web": True,
            "ports": [80],
            "capabilities": ["NET_BIND_SERVICE"],
            "volumes": ["haproxycfg:/etc/haproxy"],
        },
        "site": {"build_dir": "NginxStatic", "env": {"domains": ["example.com"], "http_port": 8080}},
        "shop": {
            "build_dir": "Echo",
            "memory": "64m",
            "cpus": 0.5,
            "env": {
                "domains": ["shop.example.net"],
                "http_port": 8080,
                "db_host": "$postgres",
                "db_password": "_postgres^password",
                "mail_password": "_secrets^mail",
            },
        },
        "scheduler": {"build_dir": "Echo", "env": {"run_hasetup": "+hasetup"}},
        "postgres": {
            "image": "postgres:15",
            "user": "999:999",
            "stateful": True,
            "volumes": ["pgdata:/var/lib/postgresql/data"],
            "grace_seconds": 60,
            "health": {"test": ["CMD", "pg_isready"]},
            "env": {"postgres_password": "_postgres^adminpass"},
        },
    },
    "jobs": {
        "hasetup": {
            "build_dir": "HAProxySetup",
            "env": {"domains": "all", "haproxy_container": "$haproxy"},
            "volumes": ["haproxycfg:/etc/haproxy"],
        },
        "dbsetup": {"build_dir": "HAProxySetup", "env": {"dbmap": "_dbmap"}, "after": ["postgres"], "timeout": 120},
    },
    "secrets": {"mail": "correct horse"},
}


@pytest.fixture
def stack_file() -> dict[str, Any]:
    """A copy to change."""
    return copy.deepcopy(STACK)


@pytest.fixture(scope="session")
def graph(tmp_path_factory: pytest.TempPathFactory) -> Graph:
    """What the program registers for `STACK`."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("program"))
        return run(STACK, secret_keys=("secrets",))


@pytest.fixture
def program(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """`run`, with the key file written where it hurts nobody."""
    monkeypatch.chdir(tmp_path)
    return run
