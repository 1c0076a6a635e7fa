"""What the stack file may say of a swarm, and what follows from it."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml

import settings
from lab.paths import CHECKOUT
from settings import swarm
from settings.domains import shared
from settings.image_texts import shortest
from settings.neighbours import neighbours
from settings.order import waits_for
from settings.replicas import REFUSED
from tests.unit.test_settings import good
from tests.unit.test_settings_errors import put, report

SHOP = ("applications", "shop")
CERTIFICATE = {"certificate_shared": "_secrets^wildcard"}


def server(number: int, **more: Any) -> dict[str, Any]:
    return {
        "plan": "vc2-1c-2gb", "region": "ewr", "os": 2136, "private_ip": f"192.168.150.1{number}", "swarm": "manager",
        "dns": {"public": [f"web{number}.example.com"], "web": ["shop.example.net"]}, **more,
    }  # fmt: skip


def three() -> dict[str, Any]:
    """Three servers with a proxy each, an application over all of them, and a database on the first."""
    numbers = (1, 2, 3)
    return {
        "servers": {f"web{n}": server(n) for n in numbers},
        "applications": {
            **{
                f"proxy{n}": {
                    "server": f"web{n}", "build_dir": "HAProxy", "ipv6_web": True, "ports": [80, 443],
                    "volumes": ["haproxycfg:/etc/haproxy"],
                }
                for n in numbers
            },
            "postgres": {
                "server": "web1", "build_dir": "PostgreSQL", "private": [5432],
                "env": {"postgres_password": "_postgres^adminpass"}, "volumes": ["pgdata:/var/lib/postgresql"],
            },
            "shop": {
                "build_dir": "Notes", "replicas": 4, "db": ["postgres"],
                "env": {"domains": ["shop.example.net"], "http_port": 8080, "db_host": "$postgres"},
            },
            "worker": {"server": "web2", "build_dir": "Echo", "env": {"shop": "http://${$shop}:8080"}},
        },
        "jobs": {
            **{
                f"hasetup{n}": {
                    "server": f"web{n}", "build_dir": "HAProxySetup", "volumes": ["haproxycfg:/etc/haproxy"],
                    "env": {"domains": "all", "haproxy_container": f"$proxy{n}", **CERTIFICATE},
                }
                for n in numbers
            },
            "dbsetup": {"server": "web1", "build_dir": "DBSetup", "env": {"dbmap": "_dbmap"}},
        },
        "secrets": {"wildcard": "a certificate and its key"},
    }  # fmt: skip


def loaded(raw: Any) -> settings.Stack:
    return settings.load(raw, name="test")


def test_an_application_with_replicas_is_served_by_every_proxy_its_domain_leads_to():
    stack = loaded(three())
    assert swarm.members(stack) == swarm.managers(stack) == ["web1", "web2", "web3"]
    assert swarm.runs_on(stack, "shop") == ["web1", "web2", "web3"]
    assert [list(settings.domains_map(stack, name)) for name in stack.servers] == [["shop.example.net"]] * 3
    assert "shop" in waits_for(stack, "hasetup3")
    for name in stack.servers:
        assert "shop" not in stack.containers_on(name)
        web = [(one.name, one.type, one.source) for one in settings.dns_records(stack, name) if "shop" in one.name]
        assert ("shop", "A", "ipv4") in web
        assert ("shop", "AAAA", "web_ipv6") in web


def test_the_proxies_are_told_how_many_replicas_there_may_be():
    raw = three()
    assert settings.domains_map(loaded(raw), "web2")["shop.example.net"]["slots"] == 12
    del raw["applications"]["shop"]["replicas"], raw["applications"]["worker"]
    put(raw, (*SHOP, "server"), "web1")
    for number in (2, 3):
        put(raw, ("servers", f"web{number}", "dns", "web"), [])
    assert "slots" not in settings.domains_map(loaded(raw), "web1")["shop.example.net"]


def test_servers_narrow_where_replicas_run_and_not_who_leads_there():
    raw = three()
    put(raw, (*SHOP, "servers"), ["web3", "web1"])
    stack = loaded(raw)
    assert swarm.runs_on(stack, "shop") == ["web1", "web3"]
    assert list(settings.domains_map(stack, "web2")) == ["shop.example.net"]


def test_who_is_on_the_swarms_network():
    stack = loaded(three())
    attached = {name for name in stack.containers() if name != "shop" and swarm.is_attached(stack, name)}
    assert attached == {"proxy1", "proxy2", "proxy3", "worker"}
    assert "shop" not in neighbours(stack)["worker"].reached


def test_without_a_swarm_nothing_is_of_one():
    stack = loaded(good())
    assert swarm.members(stack) == swarm.managers(stack) == []
    assert not any(swarm.is_attached(stack, name) for name in stack.containers())
    assert all(swarm.runs_on(stack, name) == [stack.server_of(one)] for name, one in stack.containers().items())


def test_the_swarms_networks_lie_apart_from_all_others():
    raw = three()
    assert swarm.nets(loaded(raw)) == {
        "pool": "10.201.0.0/18", "overlay": "10.201.64.0/20", "gateway": "10.201.128.0/18",
    }  # fmt: skip
    for number in (1, 2, 3):
        put(raw, ("servers", f"web{number}", "private_ip"), f"10.201.7.{number}")
    assert swarm.nets(loaded(raw))["overlay"].startswith("172.29.")


def with_swarm(**roles: str | None) -> dict[str, Any]:
    raw = three()
    for name, role in roles.items():
        raw["servers"][name].pop("swarm") if role is None else put(raw, ("servers", name, "swarm"), role)
    return raw


@pytest.mark.parametrize(
    ("roles", "path", "message"),
    [
        ({"web2": "worker"}, "servers.web3.swarm", "with two managers the loss of either leaves nobody"),
        (dict.fromkeys(("web1", "web2", "web3"), "worker"), "servers.web1.swarm", "a swarm without a manager"),
        ({"web3": "boss"}, "servers.web3.swarm", '"boss" is not one of'),
    ],
)
def test_one_manager_or_three(roles: dict[str, str], path: str, message: str) -> None:
    assert message in report(with_swarm(**roles))[path]
    loaded(with_swarm(web2="worker", web3="worker"))


def test_a_fourth_manager_is_refused():
    raw = three()
    put(raw, ("servers", "web4"), server(4))
    assert "three managers outlive the loss of one" in report(raw)["servers.web4.swarm"]


def test_a_swarm_lies_on_one_private_network():
    raw = three()
    del raw["servers"]["web2"]["private_ip"]
    assert 'write servers.web2.private_ip as well, e.g. "192.168.150.10"' in report(raw)["servers.web2.swarm"]
    raw = three()
    put(raw, ("servers", "web3", "region"), "ams")
    assert "does not reach from ewr (web1) to ams" in report(raw)["servers.web3.swarm"]


def test_replicas_without_a_swarm_are_refused():
    raw = good()
    put(raw, ("applications", "blog", "replicas"), 2)
    assert "there is no swarm to spread it over" in report(raw)["applications.blog.replicas"]
    raw = three()
    put(raw, ("applications", "worker", "servers"), ["web2"])
    assert report(raw)["applications.worker.servers"].startswith("it runs once, on one server; write server: web2")


SAID: dict[str, Any] = {
    "server": "web1", "volumes": ["data:/data"], "ports": [25565], "private": [25565], "static_ipv6": "2:0:b",
    "ipv6_web": True, "open": ["tcp/25565"], "dns": ["mc.example.com"], "ipv4": False, "stateful": True,
    "database": "postgresql", "reach": ["worker"], "renamed_from": "store", "devices": ["/dev/net/tun"],
    "ulimits": {"nofile": 1024}, "shm_size": "64m", "pids_limit": 100, "drill": False, "backup": False,
}  # fmt: skip


@pytest.mark.parametrize("word", list(REFUSED))
def test_what_replicas_cant_have_is_refused_by_its_path_with_the_remedy(word: str) -> None:
    raw = three()
    put(raw, (*SHOP, word), SAID[word])
    with pytest.raises(settings.SettingsError) as refused:
        loaded(raw)
    assert (f"applications.shop.{word}", REFUSED[word]) in [(one.path, one.message) for one in refused.value.problems]


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("servers",), ["web9"], '"web9" is not a server'),
        (("servers",), ["web1", "web1"], '"web1" stands here already'),
        (("tmpfs",), {"/tmp": "size=16m,noexec"}, "knows size and mode alone"),
        (("tmpfs",), {"/tmp": "mode=1777"}, "of mode the last three digits"),  # the plugin reads no more back
        (("files",), {"/etc/a": {"content": ""}}, "gets no empty file"),
        (("files",), {"/etc/a": {"content": "x" * 500_001}}, "at most 500000 bytes, and this has 500001"),
        (("health", "test"), ["NONE"], "nobody could tell a bad release of its replicas from a good one"),
        (("restart",), "no", "would not be started elsewhere either"),
        (("site", "sticky"), True, "each server's proxy would keep a visitor on a replica of its own choice"),
        (("env", "job"), "+dbsetup", "a job is started on its own server"),
        (("env", "all"), "_dbmap", "is for what serves one server"),
    ],
)
def test_what_replicas_cant_say(path: tuple[str, ...], value: Any, message: str) -> None:
    raw = three()
    put(raw, (*SHOP, *path), value)
    found = [text for where, text in report(raw).items() if where.startswith("applications.shop." + path[0])]
    assert [message in text for text in found] == [True]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"build_dir": "PostgreSQL"}, "is a database server, and its replicas would each have data of their own"),
        ({"build_dir": None, "image": "docker.io/library/mariadb:11"}, "is a database server"),
        ({"build_dir": "HAProxy"}, "is a proxy, and each server has one of its own"),
        ({"build_dir": "Monitor"}, "is a monitor, which watches its own server"),
    ],
)
def test_what_there_is_one_of_for_each_server_has_no_replicas(change: dict[str, Any], message: str) -> None:
    raw = three()
    raw["applications"]["shop"] = {
        key: value for key, value in {**raw["applications"]["shop"], **change}.items() if value is not None
    }
    assert report(raw)["applications.shop.replicas"].startswith(message)


def test_one_replica_keeps_a_visitor_where_he_is():
    raw = three()
    put(raw, (*SHOP, "site", "sticky"), True)
    put(raw, (*SHOP, "replicas"), 1)
    loaded(raw)


def test_every_setting_of_an_application_is_carried_by_a_service_or_refused() -> None:
    """A word that is accepted and ignored is the worst fault: whoever adds one says here what a service makes of it."""
    task = {
        "env", "environment", "command", "entrypoint", "user", "working_dir", "hostname", "group_add", "labels",
        "read_only", "init", "stop_signal", "grace_seconds", "capabilities", "sysctls", "extra_hosts", "nameservers",
        "tmpfs", "memory", "cpus", "files", "health", "restart", "replicas", "servers",
    }  # fmt: skip
    image = {"build_dir", "image", "git", "build_args", "dockerfile", "target", "build_secrets"}
    around = {"db", "after", "site"}  # databases and order are the program's, visitors the proxies'
    of_database_servers = {"rotate", "passwords"}  # refused of everybody else
    known = {*task, *image, *around, *of_database_servers, *REFUSED}
    assert set(settings.Application.model_fields) == known


def test_replicas_reach_what_runs_on_one_server_by_its_private_port():
    raw = three()
    del raw["applications"]["postgres"]["private"]
    assert "write its port there, e.g. private: [5432]" in report(raw)["applications.shop.env.db_host"]


def test_who_is_on_no_server_of_the_swarm_does_not_reach_replicas():
    raw = three()
    put(raw, ("servers", "db1"), server(4, swarm=None, dns={"public": ["db1.example.com"]}))
    put(raw, ("applications", "worker", "server"), "db1")
    assert "write servers.db1.swarm: worker" in report(raw)["applications.worker.env.shop"]


def test_a_domain_of_several_servers_is_of_the_swarm_and_of_replicas():
    raw = three()
    raw["applications"]["shop"].pop("replicas")
    put(raw, (*SHOP, "server"), "web1")
    assert "leads to web1 and web2 and web3, but this" in report(raw)["applications.shop.env.domains[0]"]
    raw = with_swarm(web2="worker", web3=None)
    assert '"shop.example.net" is listed at' in report(raw)["servers.web3.dns.web[0]"]
    raw = three()
    put(raw, ("servers", "web1", "dns", "web"), ["shop.example.net", "shop.example.net"])
    assert '"shop.example.net" is listed at' in report(raw)["servers.web1.dns.web[1]"]


def certbot(number: int) -> dict[str, Any]:
    return {
        "server": f"web{number}", "build_dir": "CertBot",
        "env": {"domains": "all", "haproxy_container": f"$proxy{number}", "email": "hostmaster@example.com"},
        "volumes": ["haproxycfg:/etc/haproxy", "letsencrypt:/etc/letsencrypt"],
    }  # fmt: skip


def test_a_domain_of_several_servers_has_the_job_for_certificates_on_each_or_on_none():
    raw = three()
    for number in (1, 2, 3):
        del raw["jobs"][f"hasetup{number}"]["env"]["certificate_shared"]
    loaded(raw)
    for number in (1, 3):
        put(raw, ("jobs", f"certbot{number}"), certbot(number))
    found = report(raw)["applications.shop.env.domains[0]"]
    assert "web2 is one of several" in found
    assert "no job of web2 gets certificates" in found
    put(raw, ("jobs", "certbot2"), certbot(2))
    # All proxies know the domain before the first of them asks.
    assert {"hasetup1", "hasetup2", "hasetup3"} <= set(waits_for(loaded(raw), "certbot2"))


def test_a_server_that_is_emptied_has_no_record_and_serves_on():
    raw = three()
    put(raw, ("servers", "web2", "drain"), True)
    stack = loaded(raw)
    assert not any(one.name in ("shop", "www.shop") for one in settings.dns_records(stack, "web2"))
    assert any(one.name == "shop" for one in settings.dns_records(stack, "web3"))
    assert list(settings.domains_map(stack, "web2")) == ["shop.example.net"]
    # An authority asks it no more; it asks for itself all the same.
    assert shared(stack, "web1") == {"shop.example.net": ["web3"]}
    assert shared(stack, "web2") == {"shop.example.net": ["web1", "web3"]}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({("servers", "web2", "dns", "web"): ["alone.example.net"]}, '"alone.example.net" leads to no other server'),
        (
            {("servers", "web1", "drain"): True, ("servers", "web3", "drain"): True},
            "no server of the swarm would be left",
        ),
        (
            {(*SHOP, "servers"): ["web2"]},
            "replicas of shop could move nowhere; name another server in applications.shop",
        ),
        ({("servers", "web2", "swarm"): None, ("servers", "web2", "dns", "web"): []}, "it is no server of the swarm"),
    ],
)
def test_what_cant_be_emptied(change: dict[tuple[str, ...], Any], message: str) -> None:
    raw = three()
    for path, value in {("servers", "web2", "drain"): True, **change}.items():
        put(raw, path, value)
    assert report(raw)["servers.web2.drain"].startswith(message)


def test_which_domains_lead_to_which_others():
    raw = three()
    put(raw, ("servers", "web1", "dns", "web"), ["shop.example.net", "alone.example.net"])
    assert shared(loaded(raw), "web1") == {"shop.example.net": ["web2", "web3"]}
    assert shared(loaded(good()), "web1") == {}


def test_what_the_documents_show_is_a_stack_file_without_a_mistake():
    [shown] = re.findall(
        r"^```yaml\n(config:.*?)^```", (CHECKOUT / "docs" / "scale.md").read_text(), re.MULTILINE | re.DOTALL
    )
    config = yaml.safe_load(shown)["config"]
    stack = loaded({key.removeprefix("apiary:"): value for key, value in config.items()})
    assert swarm.runs_on(stack, "shop") == ["web1", "web2", "web3"]


def test_options_of_a_swarm_that_nobody_is_of_are_refused() -> None:
    assert not swarm.is_encrypted(settings.load(three(), name="test"))
    assert swarm.is_encrypted(settings.load({**three(), "swarm": {"encrypted": True}}, name="test"))
    found = three()
    for one in found["servers"].values():
        del one["swarm"]
    message = "no server is of a swarm; write swarm: manager at one, or at three, or leave this out"
    assert report({**found, "swarm": {"encrypted": True}})["swarm"] == message


@pytest.mark.parametrize(
    ("written", "spelt"),
    [
        ("nginx", "nginx:latest"),
        ("docker.io/library/nginx:1", "nginx:1"),
        ("index.docker.io/team/shop@sha256:1", "team/shop@sha256:1"),
        ("docker.io/nginx", "nginx:latest"),
        ("registry.example:5000/shop", "registry.example:5000/shop:latest"),
        ("apiary/shop:1", "apiary/shop:1"),
    ],
)
def test_the_image_of_a_service_is_spelt_as_docker_does(written: str, spelt: str) -> None:
    assert shortest(written) == spelt
