"""One value that can't be read is one problem: what stands in for it while the rest is checked is nobody's mistake."""

import copy

import pytest

import settings
from settings.errors import path_of

RICH = {
    "servers": {
        "web1": {
            "plan": "vc2-1c-2gb",
            "region": "ams",
            "os": 2625,
            "private_ip": "10.5.0.10",
            "ipv6": {"docker": {"suffix_bridge": "5:0:0/96", "suffix_net": "6:0:0/96", "static_web": "6:0:a"}},
            "ipv4_net": "172.31.0.0/24",
            "ssh_from": ["203.0.113.0/24"],
            "dns": {
                "public": ["web1.example.com", "alias.example.com"],
                "private": ["web1.internal.example.com"],
                "web": ["example.com", "shop.example.net", "sub.example.org"],
            },
            "playbook": "web.yml",
            "ndp": "subnet",
            "registry_mirrors": ["https://mirror.example.com"],
            "timezone": "Europe/Berlin",
        },
        "db1": {
            "plan": "vc2-1c-2gb",
            "region": "ams",
            "os": 2136,
            "private_ip": "10.5.0.11",
            "dns": {"web": ["far.example.com"], "private": ["db1.internal.example.com"]},
        },
        "nat1": {"plan": "vc2-1c-1gb", "region": "fra", "os": 2136, "ipv6": "nat", "private_ip": "10.6.0.10"},
    },
    "applications": {
        "haproxy": {
            "server": "web1",
            "build_dir": "HAProxy",
            "ipv6_web": True,
            "ports": [80, 443],
            "volumes": ["haproxycfg:/etc/haproxy"],
        },
        "far-proxy": {"server": "db1", "build_dir": "HAProxy", "ipv6_web": True, "ports": [80, 443]},
        "far": {
            "server": "db1",
            "build_dir": "NginxStatic",
            "env": {"domains": ["far.example.com"], "http_port": 8080},
        },
        "blog": {
            "server": "web1",
            "git": {"url": "https://git.example.org/x.git", "branch": "main", "dir": "x", "secret": "_secrets^token"},
            "build_args": {"A": "b"},
            "env": {"domains": ["example.com", "sub.example.org"], "http_port": "8080", "db_host": "$postgres"},
            "health": {"path": "/up", "test": ["CMD", "true"], "interval": "10s", "retries": 2},
            "memory": "256m",
            "cpus": "0.5",
            "capabilities": ["CHOWN"],
            "tmpfs": {"/run": "size=16m"},
            "user": "1000:1000",
            "command": ["serve"],
        },
        "shop": {
            "server": "web1",
            "image": "registry.example.com/shop:1",
            "renamed_from": "store",
            "env": {
                "domains": ["shop.example.net"],
                "http_port": 80,
                "password": "_postgres:shop^password",
                "mysql": "_mysql:other^password",
                "token": "_secrets^token",
            },
            "db": ["postgres:shop", "mysql:other"],
        },
        "postgres": {
            "server": "db1",
            "build_dir": "PostgreSQL",
            "env": {"postgres_password": "_postgres^adminpass"},
            "private": [5432],
            "rotate": {"shop": "1", "adminpass": "2"},
            "volumes": ["pg:/var/lib/postgresql/data"],
        },
        "mysql": {
            "server": "web1",
            "image": "registry.example.com/own-db:11",
            "database": "mysql",
            "env": {"mysql_root_password": "_mysql^adminpass"},
        },
        "mail": {
            "server": "web1",
            "image": "registry.example.com/mail:1",
            "static_ipv6": "6:0:b",
            "open": ["tcp/26", "udp/6000-6010"],
            "ports": ["25:25"],
            "dns": ["mail.example.com"],
        },
        "six": {"server": "web1", "image": "x", "static_ipv6": "6:0:c", "ipv4": False, "open": ["tcp/99"]},
        "natted": {"server": "nat1", "image": "x", "ports": [8443], "dns": ["nat.example.com"]},
        "scheduler": {
            "server": "web1",
            "build_dir": "JobScheduler",
            "env": {"run_certs": "+certs", "when_certs": "30 4 * * *", "timezone": "UTC", "catch_up": False},
        },
    },
    "jobs": {
        "hasetup": {
            "server": "web1",
            "build_dir": "HAProxySetup",
            "env": {"domains": "all", "haproxy_container": "$haproxy"},
            "volumes": ["haproxycfg:/etc/haproxy"],
        },
        "far-setup": {"server": "db1", "build_dir": "HAProxySetup", "env": {"domains": "all"}},
        "certs": {"server": "web1", "image": "certs", "after": ["hasetup"], "timeout": 60},
        "dbsetup": {"server": "db1", "build_dir": "DBSetup", "env": {"dbmap": "_dbmap"}},
        "dbsetup-here": {"server": "web1", "build_dir": "DBSetup", "env": {"dbmap": "_dbmap"}},
    },
    "zones": {
        "example.com": {
            "ttl": 600,
            "records": [
                {"type": "MX", "data": "mail.example.com", "priority": 10},
                {"type": "TXT", "name": "x", "data": "a", "ttl": 60},
                {"type": "TXT", "name": "x", "data": "b", "ttl": 60},
                {"type": "CNAME", "name": "y", "data": "z.example.org"},
                {"type": "NS", "name": "part", "data": "ns.example.net"},
                {"type": "A", "name": "other", "data": "203.0.113.7"},
            ],
            "protect": True,
        },
        "internal.example.com": {},
    },
    "secrets": {"token": "x"},
}


def places(value, path=()):
    if path:
        yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield from places(inner, (*path, key))


def report(raw):
    try:
        settings.load(raw, name="test", playbooks={"web.yml"})
    except settings.SettingsError as error:
        return {problem.path: problem.message for problem in error.problems}
    return {}


def at(raw, path):
    for key in path:
        raw = raw[key]
    return raw


def put(raw, path, value):
    at(raw, path[:-1])[path[-1]] = value


def within(found, path):
    """Whether a reported path is that of the place or lies in it."""
    place = path_of(*path)
    return found == place or (found.startswith(place) and found[len(place)] in ".[")


def echoes(raw, paths):
    """What is reported elsewhere; nothing where the places are fit to be read, and only the rest does not fit."""
    found = report(raw)
    elsewhere = {where: text for where, text in found.items() if not any(within(where, path) for path in paths)}
    return elsewhere if len(elsewhere) < len(found) else {}


def test_the_stack_is_good():
    assert report(copy.deepcopy(RICH)) == {}


JUNK = [object(), 1.5, ["?", 7, object()], {"?": object()}, None]


@pytest.mark.parametrize("path", [*places(RICH)], ids=lambda path: ".".join(map(str, path)))
def test_what_can_t_be_read_has_no_echo(path):
    for junk in JUNK:
        if isinstance(junk, dict) and isinstance(at(RICH, path), dict):
            continue  # that can be read: a map without what others refer to
        raw = copy.deepcopy(RICH)
        put(raw, path, junk)
        assert not echoes(raw, [path]), junk


SPOTS = sorted({(path[0], *path[2:]) for path in places(RICH) if len(path) > 2}, key=str)


@pytest.mark.parametrize("spot", SPOTS, ids=lambda spot: ".".join(map(str, spot)))
def test_the_same_setting_unreadable_everywhere_has_no_echo(spot):
    """What stands in for two of them would be the same: two servers without a region would be in one."""
    paths = [path for path in places(RICH) if len(path) > 2 and (path[0], *path[2:]) == spot]
    for junk in JUNK:
        raw = copy.deepcopy(RICH)
        for path in paths:
            if not (isinstance(junk, dict) and isinstance(at(RICH, path), dict)):
                put(raw, path, junk)
        assert not echoes(raw, paths), junk


@pytest.mark.parametrize(
    ("section", "setting"),
    [("servers", "plan"), ("servers", "region"), ("servers", "os"), ("applications", "server"), ("jobs", "server")],
)
def test_what_is_missing_everywhere_has_no_echo(section, setting):
    raw = copy.deepcopy(RICH)
    for entry in raw[section].values():
        del entry[setting]
    assert set(report(raw)) == {f"{section}.{name}.{setting}" for name in raw[section]}
