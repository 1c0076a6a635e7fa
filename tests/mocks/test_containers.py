"""What applications, jobs, images and volumes promise."""

from __future__ import annotations

import inspect
import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pulumi_docker as docker
import pytest

from settings.options import NEVER_APPLIED, Options, rows
from tests.mocks.program import COMMIT, ROOT, Graph, Registered

CONTAINER = "docker:index/container:Container"
COMMAND = "command:remote:Command"
SENT = "command:local:Command"  # with a folder that `ssh` carries


def env(container: Registered) -> dict[str, str]:
    return dict(pair.split("=", 1) for pair in container.inputs.get("envs", []))


def test_a_stateless_application_is_released_beside_the_old_one(graph: Graph) -> None:
    assert graph.one(CONTAINER, "site").delete_before_replace is False


@pytest.mark.parametrize("name", ["haproxy-door", "postgres"])
def test_what_can_t_run_twice_is_stopped_first(graph: Graph, name: str) -> None:
    assert graph.one(CONTAINER, name).delete_before_replace is True


def test_no_container_has_a_fixed_name(graph: Graph) -> None:
    for container in graph.of_type(CONTAINER):
        assert "name" not in container.inputs, "it would collide with what a killed update left behind"


def test_containers_have_only_the_privileges_they_name(graph: Graph) -> None:
    for container in graph.of_type(CONTAINER):
        assert container.inputs["capabilities"]["drops"] == ["ALL"]
        assert "no-new-privileges:true" in container.inputs["securityOpts"]
        assert "privileged" not in container.inputs
        assert not any("docker.sock" in str(volume) for volume in container.inputs.get("volumes", []))
    assert graph.one(CONTAINER, "haproxy").inputs["capabilities"]["adds"] == ["CAP_NET_BIND_SERVICE"]


def test_what_the_plugin_never_applies_replaces_the_container(graph: Graph) -> None:
    for container in graph.of_type(CONTAINER):
        assert set(NEVER_APPLIED) <= set(container.replace_on_changes)


OPTIONS: dict[str, Any] = {
    "entrypoint": ["/tini", "--"],
    "working_dir": "/srv/app/",
    "hostname": "shop-1",
    "shm_size": "128M",
    "memory": "1.5g",
    "ulimits": {"nofile": 4096, "memlock": {"soft": 65536, "hard": -1}},
    "sysctls": {"net.core.somaxconn": 1024},
    "devices": ["/dev/net/tun", "/dev/fuse:/dev/fuse0:r"],
    "group_add": [44, "video"],
    "extra_hosts": {"ldap.example.com": "192.0.2.10"},
    "nameservers": ["9.9.9.9", "2620:00fe::fe"],
    "labels": {"com.example.team": "shop", "com.example.on": True},
    "stop_signal": "SIGQUIT",
    "init": False,
}


def test_every_option_reaches_docker_as_it_reads_it_back(program: Any, stack_file: dict[str, Any]) -> None:
    stack_file["applications"]["shop"] |= OPTIONS
    shop = program(stack_file, secret_keys=("secrets",)).one(CONTAINER, "shop").inputs
    assert shop["entrypoints"] == ["/tini", "--"]
    assert shop["workingDir"] == "/srv/app"
    assert (shop["hostname"], shop["shmSize"], shop["memory"], shop["memorySwap"]) == ("shop-1", 128, 1536, 1536)
    assert shop["ulimits"] == [
        {"name": "memlock", "soft": 65536, "hard": -1},
        {"name": "nofile", "soft": 4096, "hard": 4096},
    ]
    assert shop["sysctls"] == {"net.core.somaxconn": "1024"}
    assert shop["devices"] == [
        {"hostPath": "/dev/net/tun", "containerPath": "/dev/net/tun", "permissions": "rwm"},
        {"hostPath": "/dev/fuse", "containerPath": "/dev/fuse0", "permissions": "r"},
    ]
    assert shop["groupAdds"] == ["44", "video"]
    assert shop["hosts"] == [{"host": "ldap.example.com", "ip": "192.0.2.10"}]
    assert shop["dns"] == ["9.9.9.9", "2620:fe::fe"]
    assert (shop["stopSignal"], shop["init"]) == ("SIGQUIT", False)
    labels = {label["label"]: label["value"] for label in shop["labels"]}
    assert (labels["com.example.team"], labels["com.example.on"]) == ("shop", "true")
    assert labels["apiary.resource"] == "applications.shop"
    # Else an image could say of itself that it is the proxy, and reach all that has visitors.
    assert labels["apiary.proxy"] == "false"
    assert labels["apiary.visited"] in ("true", "false")


def test_every_option_of_the_table_is_an_argument_of_docker_s_or_has_another_way(graph: Graph) -> None:
    known = set(docker.Container.__init__.__annotations__) | set(
        inspect.signature(docker.Container._internal_init).parameters
    )
    for row in rows():
        assert set(row.docker.arguments) <= known, row.word
        assert row.docker.arguments or row.word in ("labels", "pids_limit"), row.word


@pytest.mark.parametrize("word", [row.word for row in rows() if row.docker.is_missed])
def test_an_option_that_the_plugin_would_not_miss_is_told_by_a_label(
    program: Any, stack_file: dict[str, Any], word: str
) -> None:
    def told() -> str:
        labels = program(stack_file, secret_keys=("secrets",)).one(CONTAINER, "shop").inputs["labels"]
        return next(label["value"] for label in labels if label["label"] == "apiary.options")

    stack_file["applications"]["shop"][word] = Options.model_fields[word].examples[-1] if word != "pids_limit" else 20
    there = told()
    del stack_file["applications"]["shop"][word]
    assert told() != there


def test_the_limit_of_processes_is_set_before_a_container_is_proven_or_run(
    program: Any, stack_file: dict[str, Any]
) -> None:
    for section, name, then in (("applications", "shop", "shop-rolling-release"), ("jobs", "hasetup", "hasetup-run")):
        stack_file[section][name]["pids_limit"] = 100
        graph = program(stack_file, secret_keys=("secrets",))
        limited = graph.one(COMMAND, f"{name}-pids-limit")
        assert limited.inputs["create"] == f"docker update --pids-limit 100 {name}-id >/dev/null"
        assert limited.inputs["triggers"] == [f"{name}-id"]
        assert limited.urn in graph.one(COMMAND, then).dependencies


def test_a_device_is_looked_for_before_the_old_container_goes(program: Any, stack_file: dict[str, Any]) -> None:
    stack_file["applications"]["shop"]["devices"] = ["/dev/net/tun"]
    graph = program(stack_file, secret_keys=("secrets",))
    looked = graph.one(COMMAND, "shop-host-paths")
    assert "applications.shop.devices: /dev/net/tun is not on the server" in looked.inputs["create"]
    assert looked.urn in graph.one(CONTAINER, "shop").dependencies


def test_a_range_of_ports_is_published_port_by_port(program: Any, stack_file: dict[str, Any]) -> None:
    stack_file["applications"]["shop"]["ports"] = ["6000-6002:7000-7002/udp"]
    graph = program(stack_file, secret_keys=("secrets",))
    ports = [
        (one["external"], one["internal"], one["protocol"]) for one in graph.one(CONTAINER, "shop").inputs["ports"]
    ]
    assert ports == [(6000, 7000, "udp"), (6001, 7001, "udp"), (6002, 7002, "udp")]
    rules = [rule.inputs["port"] for rule in graph.of_type("vultr:index/firewallRule:FirewallRule")]
    assert rules.count("6000:6002") == 1, "one rule of the fifty"


def test_containers_join_the_network_by_its_id(graph: Graph) -> None:
    network = graph.one("docker:index/network:Network", "web1")
    for container in graph.of_type(CONTAINER):
        if container.name == "haproxy":
            continue  # it joins its door
        joined = container.inputs["networksAdvanced"][0]
        assert joined["name"] == "web1-id"
        assert joined["aliases"] == [container.name.removesuffix("-door")]
        assert network.urn in container.property_dependencies["networksAdvanced"]


def test_only_the_proxy_has_the_static_web_address(graph: Graph) -> None:
    held = [c for c in graph.of_type(CONTAINER) if c.inputs.get("networksAdvanced", [{}])[0].get("ipv6Address")]
    assert [(c.name, c.inputs["networksAdvanced"][0]["ipv6Address"]) for c in held] == [
        ("haproxy-door", "2001:db8:77:1:0:2:0:a")
    ]


def test_the_proxy_serves_in_the_network_of_a_door_that_its_releases_leave_alone(
    stack_file: dict[str, Any], program: Any
) -> None:
    options = {"hostname": "front", "extra_hosts": {"a.example.com": "192.0.2.1"}, "nameservers": ["9.9.9.9"]}
    sysctls = {"net.core.somaxconn": 4096, "kernel.shmmni": 4096}
    stack_file["applications"]["haproxy"] |= {**options, "sysctls": sysctls, "build_args": {"REFRESHED": "1"}}
    graph = program(stack_file, secret_keys=("secrets",))
    door, proxy = graph.one(CONTAINER, "haproxy-door"), graph.one(CONTAINER, "haproxy")
    assert (door.delete_before_replace, proxy.delete_before_replace) == (True, False)
    assert proxy.inputs["networkMode"] == "container:haproxy-door-id"
    # Docker refuses to whom joins what is the network's.
    of_network = {"networksAdvanced", "ports", "hostname", "hosts", "dns"}
    assert not of_network & proxy.inputs.keys()
    assert of_network <= door.inputs.keys()
    assert proxy.inputs["sysctls"] == {"kernel.shmmni": "4096"}
    assert door.inputs["sysctls"] == {"net.core.somaxconn": "4096"}
    assert [port["external"] for port in door.inputs["ports"]] == [80]
    # Nothing of it is another one with another image.
    assert proxy.inputs["image"] not in json.dumps(door.inputs)
    prepared = graph.one(COMMAND, "haproxy-door-prepared")
    assert (prepared.inputs["create"], prepared.inputs["update"]) == ("apiary-door prepare haproxy", "true")
    assert prepared.inputs["triggers"] == ["web1-id", "haproxy"]
    assert prepared.urn in door.dependencies
    # It is the proxy to the filter between containers, and to nobody else.
    labels = {one["label"]: one["value"] for one in door.inputs["labels"]}
    assert (labels["apiary.door"], labels["apiary.proxy"], labels["apiary.reach"]) == ("haproxy", "false", "-")
    assert labels["apiary.resource"] == "applications.haproxy-door"
    released = graph.one(COMMAND, "haproxy-rolling-release").inputs["create"]
    assert released == "apiary-await haproxy-id --timeout 60 && apiary-door handover haproxy-id --limit 60"


def test_a_proxy_of_which_two_must_never_run_is_stopped_first_behind_the_same_door(
    stack_file: dict[str, Any], program: Any
) -> None:
    stack_file["applications"]["haproxy"]["stateful"] = True
    graph = program(stack_file, secret_keys=("secrets",))
    proxy = graph.one(CONTAINER, "haproxy")
    assert (proxy.delete_before_replace, proxy.inputs["networkMode"]) == (True, "container:haproxy-door-id")
    assert graph.one(COMMAND, "haproxy-stop-first-release")


def test_another_image_that_takes_the_web_address_has_no_door(stack_file: dict[str, Any], program: Any) -> None:
    stack_file["applications"]["haproxy"]["build_dir"] = "Echo"
    graph = program(stack_file, secret_keys=("secrets",))
    proxy = graph.one(CONTAINER, "haproxy")
    assert proxy.delete_before_replace is True
    assert [port["external"] for port in proxy.inputs["ports"]] == [80]
    assert not graph.of_type("apiary:docker:Door")


def test_static_addresses_lie_outside_what_docker_hands_out(graph: Graph) -> None:
    for config in graph.one("docker:index/network:Network", "web1").inputs["ipamConfigs"]:
        assert config["ipRange"] != config["subnet"]
        assert config["gateway"]


def cargo(graph: Graph) -> str:
    """What the bootstrap of web1 carries there, its variables among it."""
    return graph.one(SENT, "web1").sent()["vars.json"].decode()


def test_a_container_stops_in_its_own_time(graph: Graph) -> None:
    """`destroyGraceSeconds` is the update's, `stopTimeout` that of `docker restart` and `docker stop`."""
    for name, seconds in (("postgres", 60), ("site", 10), ("hasetup", 10)):
        inputs = graph.one(CONTAINER, name).inputs
        assert (inputs["destroyGraceSeconds"], inputs["stopTimeout"]) == (seconds, seconds)


@pytest.mark.parametrize(("grace", "stop"), [(80, "null"), (81, "91"), (300, "310")])
def test_a_shutdown_waits_for_the_container_that_needs_most(
    program: Any, stack_file: Any, grace: int, stop: str
) -> None:
    stack_file["applications"]["postgres"]["grace_seconds"] = grace
    assert f'"apiary_stop_seconds": {stop}' in cargo(program(stack_file, secret_keys=("secrets",)))


def test_another_question_makes_no_other_container(program: Any, stack_file: Any, graph: Graph) -> None:
    stack_file["applications"]["site"]["health"] = {"path": "/up", "status": "204", "timeout": 5}
    changed = program(stack_file, secret_keys=("secrets",))
    assert changed.one(CONTAINER, "site").inputs["labels"] == graph.one(CONTAINER, "site").inputs["labels"]
    awaited = changed.one(COMMAND, "site-rolling-release")
    assert awaited.inputs["triggers"][1:] == ["--http", "8080", "/up", "204", "example.com"]
    stack_file["applications"]["site"]["health"] |= {"test": ["CMD", "true"]}
    other = program(stack_file, secret_keys=("secrets",)).one(CONTAINER, "site")
    assert other.inputs["labels"] != graph.one(CONTAINER, "site").inputs["labels"]


def test_the_verdict_is_the_last_of_an_update_and_knows_what_visitors_come_for(graph: Graph) -> None:
    verdict = graph.one(COMMAND, "web1-verdict")
    told = json.loads(verdict.inputs["stdin"])
    assert told["proxy"] == ["haproxy-id", "hasetup-id"]
    assert told["applications"]["site"] == {
        "container": "site-id",
        "sites": {
            "example.com": {
                "app": "site", "port": 8080, "path": "/", "status": "200-399", "www": True, "tls": False
            }
        },
    }  # fmt: skip
    assert set(told["applications"]) == {"site", "shop"}
    # Judged again when any of it is another one, and after all of it is through.
    assert verdict.inputs["triggers"] == ["web1-id", verdict.inputs["stdin"]]
    for before in ("hasetup-run", "site-rolling-release", "shop-rolling-release", "haproxy-rolling-release"):
        assert graph.one(COMMAND, before).urn in verdict.dependencies


def test_a_hive_whose_proxy_is_told_by_nobody_is_not_judged(program: Any, stack_file: Any) -> None:
    """A proxy of another kind has its own ways; and the job for certificates tells it nothing."""
    stack_file["applications"]["haproxy"]["build_dir"] = "Echo"
    stack_file["jobs"]["hasetup"]["build_dir"] = "CertBot"
    graph = program(stack_file, secret_keys=("secrets",))
    assert not [command for command in graph.of_type(COMMAND) if command.name == "web1-verdict"]


def test_limits_are_spelled_as_the_plugin_reads_them_back(graph: Graph) -> None:
    shop = graph.one(CONTAINER, "shop").inputs
    assert (shop["memory"], shop["memorySwap"], shop["cpus"]) == (64, 64, "0.5")


def test_references_become_what_they_stand_for(graph: Graph) -> None:
    shop = env(graph.one(CONTAINER, "shop"))
    assert shop["DB_HOST"] == "postgres"
    assert shop["DB_PASSWORD"] == "generated postgres/shop/password"
    assert shop["MAIL_PASSWORD"] == "correct horse"
    assert env(graph.one(CONTAINER, "scheduler"))["RUN_HASETUP"] == "hasetup"
    assert shop["DOMAINS"] == "shop.example.net"
    assert json.loads(env(graph.one(CONTAINER, "hasetup"))["DOMAINS"])["example.com"]["app"] == "site"
    assert json.loads(env(graph.one(CONTAINER, "dbsetup"))["DBMAP"]) == {
        "postgres": {
            "kind": "postgresql",
            "host": "postgres",
            "adminpass": "generated postgres/adminpass",
            "databases": {"shop": {"password": "generated postgres/shop/password"}},
        }
    }


def test_names_reach_a_container_as_they_are_written_and_references_within_text(
    program: Any, stack_file: dict[str, Any]
) -> None:
    stack_file["secrets"]["odd"] = "p@ss/w:rd"
    stack_file["applications"]["shop"]["environment"] = {
        "url": "https://example.org",
        "discovery.type": "single-node",
        "tinybird__adminToken": "_secrets^mail",
        "Mixed": True,
        "database__url": "postgres://shop:${_postgres^password}@${$postgres}:5432/shop",
        "cache": "redis://:${_secrets^odd}@cache/0",
        "plain": "$${x} $HOME ${_secrets^odd}",
    }
    shop = program(stack_file, secret_keys=("secrets",)).one(CONTAINER, "shop")
    assert "envs" in shop.secret_inputs
    assert {
        "url": "https://example.org",
        "discovery.type": "single-node",
        "tinybird__adminToken": "correct horse",
        "Mixed": "true",
        "database__url": "postgres://shop:generated%20postgres%2Fshop%2Fpassword@postgres:5432/shop",
        "cache": "redis://:p%40ss%2Fw%3Ard@cache/0",
        "plain": "${x} $HOME p@ss/w:rd",
        "DB_HOST": "postgres",
    }.items() <= env(shop).items()


def test_a_database_whose_password_stands_in_a_url_alone_is_made_and_waited_for(
    program: Any, stack_file: dict[str, Any]
) -> None:
    stack_file["applications"]["site"]["environment"] = {
        "url": "mysql://x:${_postgres:pages^password}@${$postgres}/pages"
    }
    graph = program(stack_file, secret_keys=("secrets",))
    made = json.loads(env(graph.one(CONTAINER, "dbsetup"))["DBMAP"])["postgres"]["databases"]
    assert made["pages"] == {"password": "generated postgres/pages/password"}
    assert graph.one(COMMAND, "dbsetup-run").urn in graph.one(CONTAINER, "site").dependencies


def test_the_official_images_of_databases_are_told_to_the_job_as_what_they_are(program: Any, stack_file: Any) -> None:
    official = {"postgres": "15", "mariadb": "11", "mysql": "8"}
    for name, version in official.items():
        variable = "postgres_password" if name == "postgres" else f"{name}_root_password"
        stack_file["applications"][name] = {
            "image": f"{name}:{version}",
            "user": "999:999",
            "env": {variable: f"_{name}^adminpass"},
        }
    graph = program(stack_file, secret_keys=("secrets",))
    made = json.loads(env(graph.one(CONTAINER, "dbsetup"))["DBMAP"])
    assert {name: server["kind"] for name, server in made.items()} == {
        "postgres": "postgresql",
        "mariadb": "mysql",
        "mysql": "mysql",
    }
    assert all(server["adminpass"] == f"generated {name}/adminpass" for name, server in made.items())
    assert env(graph.one(CONTAINER, "mysql"))["MYSQL_ROOT_PASSWORD"] == "generated mysql/adminpass"


def test_passwords_of_sites_reach_the_job_that_tells_the_proxy_and_nobody_else(
    program: Any, stack_file: dict[str, Any], graph: Graph
) -> None:
    assert not [one.name for one in graph.of_type(CONTAINER) if "PASSWORDS" in env(one)]
    stack_file.setdefault("secrets", {})["word"] = "correct horse"
    stack_file["applications"]["site"]["site"] = {"password": {"anna": "_secrets^word"}}
    changed = program(stack_file)
    [told] = [one for one in changed.of_type(CONTAINER) if "PASSWORDS" in env(one)]
    assert told.name == "hasetup"
    assert json.loads(env(told)["PASSWORDS"]) == {"site": {"anna": "correct horse"}}
    assert "envs" in told.secret_inputs
    plain = [value for one in changed.resources for key, value in one.inputs.items() if key not in one.secret_inputs]
    assert "correct horse" not in json.dumps(plain, default=str)


def test_an_environment_with_a_secret_is_secret(graph: Graph) -> None:
    assert "envs" in graph.one(CONTAINER, "shop").secret_inputs
    assert "envs" not in graph.one(CONTAINER, "site").secret_inputs


def test_a_release_is_proven_alive_before_anything_goes_on(graph: Graph) -> None:
    awaited = graph.one(COMMAND, "site-rolling-release")
    assert awaited.inputs["create"] == "apiary-await site-id --timeout 60 --http 8080 / 200-399 example.com"
    assert awaited.inputs["triggers"] == ["site-id", "--http", "8080", "/", "200-399", "example.com"]
    drain = graph.one(COMMAND, "site-drain")
    assert awaited.urn in drain.dependencies
    assert drain.inputs["delete"] == "apiary-drain site-id site --limit 60"


def test_what_no_visitor_reaches_through_the_proxy_is_not_drained(graph: Graph) -> None:
    assert {command.name for command in graph.of_type(COMMAND) if command.name.endswith("-drain")} == {
        "site-drain",
        "shop-drain",
    }


def test_a_job_is_made_stopped_and_started_by_the_update(graph: Graph) -> None:
    job = graph.one(CONTAINER, "hasetup").inputs
    assert (job["start"], job["mustRun"], job["restart"]) == (False, False, "no")
    run = graph.one(COMMAND, "hasetup-run")
    assert run.inputs["triggers"][0] == "hasetup-id"
    assert graph.one(COMMAND, "dbsetup-run").inputs["triggers"] == ["dbsetup-id"]
    assert "docker start --attach hasetup-1234567" in run.inputs["create"]
    assert {"stdout", "stderr"} <= run.secret_outputs


def test_the_proxy_is_set_up_after_all_it_routes_to_is_up(graph: Graph) -> None:
    run = graph.one(COMMAND, "hasetup-run")
    for release in ("haproxy-rolling-release", "site-rolling-release", "shop-rolling-release"):
        assert graph.one(COMMAND, release).urn in run.dependencies
    assert graph.one(COMMAND, "postgres-stop-first-release").urn not in run.dependencies


def test_a_job_runs_after_what_it_names(graph: Graph) -> None:
    run = graph.one(COMMAND, "dbsetup-run")
    assert graph.one(COMMAND, "postgres-stop-first-release").urn in run.dependencies
    assert "timeout 120" in run.inputs["create"]


def test_an_application_starts_after_its_database_was_made(graph: Graph) -> None:
    made = graph.one(COMMAND, "dbsetup-run").urn
    assert made in graph.one(CONTAINER, "shop").dependencies
    assert made not in graph.one(CONTAINER, "site").dependencies


def test_a_listed_database_is_made_though_nobody_refers_to_its_password(
    stack_file: dict[str, Any], program: Any
) -> None:
    stack_file["applications"]["site"]["db"] = ["postgres:my_site"]
    graph = program(stack_file)
    made = json.loads(env(graph.one(CONTAINER, "dbsetup"))["DBMAP"])["postgres"]["databases"]
    assert made["my_site"] == {"password": "generated postgres/my_site/password"}
    assert graph.one(COMMAND, "dbsetup-run").urn in graph.one(CONTAINER, "site").dependencies


def test_a_password_is_kept_for_as_long_as_rotate_says_the_same(stack_file: dict[str, Any], program: Any) -> None:
    stack_file["applications"]["postgres"]["rotate"] = {"shop": "2026-11"}
    graph = program(stack_file)
    password = "random:index/randomPassword:RandomPassword"
    assert graph.one(password, "postgres/shop/password").inputs["keepers"] == {"version": "2026-11"}
    assert "keepers" not in graph.one(password, "postgres/adminpass").inputs


def test_a_password_that_exists_is_kept_and_without_its_line_one_is_planned(
    stack_file: dict[str, Any], program: Any
) -> None:
    password = "random:index/randomPassword:RandomPassword"
    stack_file["secrets"] |= {"old_shop": "tr0ub4dor", "old_admin": "root of all"}
    stack_file["applications"]["postgres"]["passwords"] = {
        "shop": "_secrets^old_shop",
        "adminpass": "_secrets^old_admin",
    }
    graph = program(stack_file, secret_keys=("secrets",))
    assert not [one.name for one in graph.of_type(password) if one.name.startswith("postgres/")]
    shop, dbsetup = (graph.one(CONTAINER, name) for name in ("shop", "dbsetup"))
    assert env(shop)["DB_PASSWORD"] == "tr0ub4dor"
    assert json.loads(env(dbsetup)["DBMAP"])["postgres"]["adminpass"] == "root of all"
    assert "envs" in shop.secret_inputs & dbsetup.secret_inputs
    del stack_file["applications"]["postgres"]["passwords"]["shop"]
    graph = program(stack_file, secret_keys=("secrets",))
    assert [one.name for one in graph.of_type(password) if one.name.startswith("postgres/")] == [
        "postgres/shop/password"
    ]


def test_an_application_is_released_after_the_job_it_names_has_run(stack_file: dict[str, Any], program: Any) -> None:
    stack_file["jobs"]["migrate"] = {"build_dir": "Echo", "command": ["migrate"]}
    stack_file["applications"]["shop"]["after"] = ["migrate", "site"]
    graph = program(stack_file, secret_keys=("secrets",))
    before = graph.one(CONTAINER, "shop").dependencies
    assert {graph.one(COMMAND, name).urn for name in ("migrate-run", "site-rolling-release")} <= set(before)


def test_a_job_that_is_run_by_hand_is_made_and_not_run(stack_file: dict[str, Any], program: Any) -> None:
    stack_file["jobs"]["dump"] = {"build_dir": "Echo", "run": "manual"}
    graph = program(stack_file, secret_keys=("secrets",))
    assert graph.one(CONTAINER, "dump").inputs["start"] is False
    assert not [command for command in graph.of_type(COMMAND) if command.name == "dump-run"]


FILES = {
    "/etc/app/config.yml": {
        "content": "key: ${_secrets^mail}\nhost: ${$postgres} $${x}\n",
        "mode": "0400",
        "user": 1000,
    },
    "/run/secrets/password": {"content": "${_postgres^password}"},
    "/etc/rules": {"from": "images/Echo"},
    "/etc/motd": {"from": "README.md"},
}


def test_files_are_on_the_server_before_the_container_starts(stack_file: dict[str, Any], program: Any) -> None:
    stack_file["applications"]["shop"] |= {"files": FILES, "user": "33:33"}
    graph = program(stack_file, secret_keys=("secrets",))
    sent, shop = graph.one(SENT, "shop-files"), graph.one(CONTAINER, "shop")
    arrived = sent.sent()
    assert arrived["0"] == b"key: correct horse\nhost: postgres ${x}\n"
    assert arrived["1"] == b"generated postgres/shop/password"
    assert arrived["2/Dockerfile"] == (ROOT / "images" / "Echo" / "Dockerfile").read_bytes()
    assert sent.urn in shop.dependencies
    mounts = [(one["containerPath"], one["hostPath"].rsplit("/", 1), one["readOnly"]) for one in shop.inputs["volumes"]]
    [folder] = {where for _, (where, _), _ in mounts}
    assert [(path, number, kept) for path, (_, number), kept in mounts] == [
        (path, str(index), True) for index, path in enumerate(FILES)
    ]
    assert f" {folder}; fi" in sent.inputs["create"]
    # The numbers of the container's own user where nothing else is said; as they were checked out where that is a name.
    assert [line.split()[3:] for line in sent.inputs["create"].splitlines() if line.startswith("chown")] == [
        ["1000", "./0"], ["33:33", "./1"], ["33:33", "./2"], ["33:33", "./3"],
    ]  # fmt: skip
    assert {"create", "triggers", "interpreter"} <= sent.secret_inputs, "the digest of a secret is one"
    assert "volumes" in shop.secret_inputs
    assert shop.delete_before_replace is False, "they are read-only, so a release rolls"


@pytest.mark.parametrize(
    "change", [{"content": "other"}, {"content": "x", "mode": "0422"}, {"content": "x", "user": "7"}]
)
def test_another_file_is_another_container(stack_file: dict[str, Any], program: Any, change: dict[str, Any]) -> None:
    def mounted(file: dict[str, Any]) -> str:
        stack_file["applications"]["shop"]["files"] = {"/x": file}
        return str(program(stack_file, secret_keys=("secrets",)).one(CONTAINER, "shop").inputs["volumes"])

    assert mounted({"content": "x"}) == mounted({"content": "x"}) != mounted(change)


def test_a_database_server_that_is_handed_its_password_in_a_file_is_one_whose_databases_are_made(
    stack_file: dict[str, Any], program: Any
) -> None:
    stack_file["applications"]["postgres"]["env"] = {"postgres_password_file": "/run/secrets/admin"}
    stack_file["applications"]["postgres"]["files"] = {"/run/secrets/admin": {"content": "${_postgres^adminpass}"}}
    graph = program(stack_file, secret_keys=("secrets",))
    assert json.loads(env(graph.one(CONTAINER, "dbsetup"))["DBMAP"])["postgres"]["adminpass"]


def test_volumes_are_never_deleted(graph: Graph) -> None:
    volumes = graph.of_type("docker:index/volume:Volume")
    assert {volume.inputs["name"] for volume in volumes} == {"haproxycfg", "pgdata"}
    for volume in volumes:
        assert volume.retain_on_delete


def test_containers_of_one_recipe_share_its_image(graph: Graph) -> None:
    built = [command.name for command in graph.of_type(SENT) if "apiary-image build" in command.inputs["create"]]
    assert sorted(built) == ["web1/Echo", "web1/HAProxy", "web1/HAProxySetup", "web1/NginxStatic"]
    assert graph.one(CONTAINER, "hasetup").inputs["image"] == graph.one(CONTAINER, "dbsetup").inputs["image"]


def test_an_image_of_another_instance_is_never_removed(graph: Graph) -> None:
    for command in [*graph.of_type(COMMAND), *graph.of_type(SENT)]:
        if "docker image rm" in command.inputs.get("delete", ""):
            assert "grep -qxF web1-id /etc/apiary/instance || exit 0" in command.inputs["delete"]


@pytest.mark.parametrize(
    ("container_of", "tags", "removed"),
    [
        pytest.param(None, 1, True, id="unused"),
        pytest.param("tag", 1, False, id="used again by whoever took a failed release back"),
        pytest.param("image", 1, False, id="used by its id, by hand"),
        pytest.param("image", 2, True, id="the same image under its new tag is used"),
        pytest.param("tag", 2, False, id="used again, and the failed release was the same image"),
    ],
)
def test_an_image_is_removed_when_no_container_needs_it_under_this_tag(
    graph: Graph, tmp_path: Path, container_of: str | None, tags: int, removed: bool
) -> None:
    [image] = [one for one in graph.of_type(SENT) if one.name == "web1/Echo"]
    [tag] = set(re.findall(r"apiary/echo:[0-9a-f]+", image.inputs["delete"]))
    (tmp_path / "instance").write_text("web1-id\n")
    docker = tmp_path / "docker"
    docker.write_text(f"""#!/bin/sh
case "$*" in
    "ps --all --no-trunc --format "*) echo debian:bookworm-slim; {f"echo {tag}" if container_of == "tag" else ":"} ;;
    "ps --all --quiet "*) {"echo 5d2c1b" if container_of else ":"} ;;
    "image inspect --format "*) echo {tags} ;;
    "image rm {tag}") touch {tmp_path}/removed ;;
esac
""")
    docker.chmod(0o755)
    subprocess.run(
        ["bash", "-c", image.inputs["delete"].replace("/etc/apiary", str(tmp_path))],
        env={"PATH": f"{tmp_path}:{os.environ['PATH']}"}, stdin=subprocess.DEVNULL, check=True,
    )  # fmt: skip
    assert (tmp_path / "removed").exists() == removed


def test_an_encrypted_value_outside_secrets_is_refused(stack_file: dict[str, Any], program: Any) -> None:
    with pytest.raises(Exception, match="applications: holds an encrypted value") as refused:
        program(stack_file, secret_keys=("applications",))
    assert "--path apiary:secrets.NAME" in str(refused.value)


def test_a_bad_stack_file_is_refused_before_anything_is_registered(stack_file: dict[str, Any], program: Any) -> None:
    stack_file["applications"]["shop"]["env"]["db_host"] = "$postgress"
    with pytest.raises(Exception, match='did you mean "\\$postgres"'):
        program(stack_file)


def test_two_containers_never_write_to_one_volume_at_once(stack_file: dict[str, Any], program: Any) -> None:
    stack_file["applications"]["site"]["volumes"] = ["content:/srv/site"]
    stack_file["applications"]["shop"]["volumes"] = ["content:/srv/site:ro"]
    graph = program(stack_file)
    assert graph.one(CONTAINER, "site").delete_before_replace is True
    assert graph.one(CONTAINER, "shop").delete_before_replace is False


def test_a_setting_that_is_taken_away_replaces_the_container(stack_file: dict[str, Any], program: Any) -> None:
    """The plugin sees no difference where there is no value any more, so a label has to change."""

    def options() -> str:
        labels = program(stack_file).one(CONTAINER, "shop").inputs["labels"]
        return next(label["value"] for label in labels if label["label"] == "apiary.options")

    seen = {options()}
    del stack_file["applications"]["shop"]["memory"]
    seen.add(options())
    stack_file["applications"]["shop"]["user"] = "1000"
    seen.add(options())
    stack_file["applications"]["shop"]["health"] = {"test": ["CMD", "true"]}
    seen.add(options())
    assert len(seen) == 4


def test_a_job_runs_again_for_its_container_s_sake_alone(graph: Graph) -> None:
    for name in ("hasetup-run", "site-rolling-release", "site-drain"):
        assert graph.one(COMMAND, name).inputs["update"] == "true"


@pytest.mark.parametrize(
    ("section", "old", "new"), [("applications", "haproxy", "front"), ("jobs", "dbsetup", "roles")]
)
def test_a_renamed_component_is_the_same_under_its_old_name(
    program: Any, stack_file: dict[str, Any], section: str, old: str, new: str
) -> None:
    stack_file["jobs"]["hasetup"]["env"]["haproxy_container"] = "$postgres"
    stack_file[section][new] = {**stack_file[section].pop(old), "renamed_from": old}
    graph = program(stack_file, secret_keys=("secrets",))
    component = graph.one(f"apiary:docker:{'Application' if section == 'applications' else 'Job'}", new)
    assert component.aliases == (old,)
    # The engine derives the old names of the parts from it, where they begin with its name.
    parts = [part.name for part in graph if part.parent == component.urn]
    assert len(parts) == 2
    assert all(part.startswith(new) for part in parts)
    # What brings its volumes from another server is known by its old name, too.
    others = {other.aliases for other in graph if other.aliases and other != component}
    assert others <= {(f"{old}-carried",), (f"{old}-door",)}


def test_a_renamed_application_keeps_the_passwords_that_it_was_set_up_with(
    program: Any, stack_file: dict[str, Any]
) -> None:
    applications = stack_file["applications"]
    applications["db"] = {**applications.pop("postgres"), "renamed_from": "postgres"}
    applications["db"]["env"] = {"postgres_password": "_db^adminpass"}
    applications["shop"]["env"] |= {"db_host": "$db", "db_password": "_db^password"}
    stack_file["jobs"]["dbsetup"]["after"] = ["db"]
    graph = program(stack_file, secret_keys=("secrets",))
    assert {secret.name: secret.aliases for secret in graph.of_type("random:index/randomPassword:RandomPassword")} == {
        "db/adminpass": ("postgres/adminpass",),
        "db/shop/password": ("postgres/shop/password",),
    }


GIT = {"url": "https://git.example.org/team/Feed.git", "branch": "main", "dir": "job", "secret": "_secrets^mail"}
FEED = "web1/https://git.example.org/team/Feed.git#main:job"


def test_a_branch_is_looked_up_once_and_its_commit_is_built(stack_file: dict[str, Any], program: Any) -> None:
    stack_file["jobs"]["feed"] = {"git": GIT, "build_args": {"A": "b c"}}
    graph = program(stack_file)
    [looked_up] = [one for one in graph.of_type(COMMAND) if one.name.endswith("-commit")]
    assert looked_up.inputs["create"].startswith(f"apiary-git commit {GIT['url']} refs/heads/main | ")
    assert "triggers" not in looked_up.inputs, "a rebuilt server gets the commit that was there before"
    built = graph.one(COMMAND, looked_up.name.removesuffix("-commit"))
    tag = graph.one(CONTAINER, "feed").inputs["image"]
    assert re.fullmatch("apiary/feed:[0-9a-f]{12}", tag)
    assert f"apiary-git build --ref refs/heads/main --dir job {GIT['url']} {COMMIT} {tag} -- " in built.inputs["create"]
    assert "--build-arg 'A=b c'" in built.inputs["create"]
    assert f"--label org.opencontainers.image.revision={COMMIT}" in built.inputs["create"]
    assert built.inputs["triggers"] == ["web1-id", tag]
    assert f"docker image rm {tag}" in built.inputs["delete"]


def test_a_repository_s_token_is_told_in_secret_and_on_standard_input_alone(
    stack_file: dict[str, Any], program: Any
) -> None:
    stack_file["jobs"]["feed"] = {"git": GIT}
    graph = program(stack_file)
    for command in (graph.one(COMMAND, FEED), graph.one(COMMAND, f"{FEED}-commit")):
        assert "stdin" in command.secret_inputs
        assert json.loads(command.inputs["stdin"]) == {"token": "correct horse"}
        others = {key: value for key, value in command.inputs.items() if key != "stdin"}
        assert "correct horse" not in str(others)


@pytest.mark.parametrize(
    ("written", "name", "looked_up"),
    [
        ({}, "", "HEAD"),
        ({"dir": "a/b"}, "#:a/b", "HEAD"),
        ({"tag": "v1"}, "#v1", "refs/tags/v1"),
        ({"commit": COMMIT, "dir": "a"}, f"#{COMMIT}:a", None),
    ],
)
def test_what_is_built_of_a_repository_is_named_as_docker_does(
    stack_file: dict[str, Any], program: Any, written: dict[str, str], name: str, looked_up: str | None
) -> None:
    stack_file["jobs"]["feed"] = {"git": {"url": GIT["url"], **written}}
    graph = program(stack_file)
    built = graph.one(COMMAND, f"web1/{GIT['url']}{name}")
    assert f" {COMMIT} " in built.inputs["create"]
    found = [one.inputs["create"].partition(" | ")[0] for one in graph.of_type(COMMAND) if one.name.endswith("-commit")]
    assert found == ([f"apiary-git commit {GIT['url']} {looked_up}"] if looked_up else [])


def test_git_is_installed_where_it_is_needed_alone(stack_file: dict[str, Any], program: Any) -> None:
    assert '"apiary_git": false' in cargo(program(stack_file))
    stack_file["jobs"]["feed"] = {"git": {"url": GIT["url"]}}
    assert '"apiary_git": true' in cargo(program(stack_file))


def test_what_is_mounted_of_the_server_is_looked_at_before_the_container(
    stack_file: dict[str, Any], program: Any, tmp_path: Path
) -> None:
    there, missing, made = tmp_path / "there.conf", tmp_path / "missing.conf", tmp_path / "a folder"
    there.write_text("there\n")
    stack_file["applications"]["site"]["volumes"] = [
        f"{there}:/etc/there.conf:ro",
        f"{missing}:/etc/missing.conf:ro",
        f"{made}/:/srv/made",
        f"{there}/:/srv/there",
    ]
    graph = program(stack_file)
    look, site = graph.one(COMMAND, "site-host-paths"), graph.one(CONTAINER, "site")
    assert look.urn in site.dependencies
    instance, _, *paths = look.inputs["triggers"]
    assert (instance, paths) == ("web1-id", [str(there), str(missing), f"{made}/", f"{there}/"])
    assert [mount["hostPath"] for mount in site.inputs["volumes"]] == [str(there), str(missing), str(made), str(there)]
    looked = subprocess.run(["bash", "-c", look.inputs["create"]], capture_output=True, text=True, check=False)
    assert looked.returncode == 1
    assert [line for line in looked.stderr.splitlines() if not line.startswith("mkdir")] == [
        f"applications.site.volumes: {missing} is not on the server; put it there and run again (scp FILE "
        f"root@192.0.2.4:{missing}), or, where it is to be a folder that is made, write {missing}/:/etc/missing.conf",
        f"applications.site.volumes: {there} is not a folder on the server; write {there}:/srv/there, without the "
        "slash, if it is a file",
    ]
    assert made.is_dir()
    assert not missing.exists()
    assert not [one for one in graph.of_type(COMMAND) if one.name == "shop-host-paths"]


def test_a_link_to_what_is_the_server_itself_is_refused_where_it_is(
    stack_file: dict[str, Any], program: Any, tmp_path: Path
) -> None:
    for name, target in {
        "run": "/run/apiary",
        "all": "/",
        "etc": "/etc/passwd",
        "other": "/srv",
        "figures": "/var/lib/apiary/metrics",
    }.items():
        (tmp_path / name).symlink_to(target)
    stack_file["applications"]["site"]["volumes"] = [
        f"{tmp_path}/run:/run:ro", f"{tmp_path}/all:/all", f"{tmp_path}/etc:/a", f"{tmp_path}/etc:/b:ro",
        f"{tmp_path}/other:/o", f"{tmp_path}/figures:/f:ro",
    ]  # fmt: skip
    look = program(stack_file).one(COMMAND, "site-host-paths")
    looked = subprocess.run(["bash", "-c", look.inputs["create"]], capture_output=True, text=True, check=False)
    told = [line for line in looked.stderr.splitlines() if "whole server" in line]
    assert told == [
        f"applications.site.volumes: {tmp_path}/{name} leads to what is the whole server; mount a folder of its own"
        for name in ("run", "all", "etc")
    ]


@pytest.mark.parametrize(
    ("said", "mode"),
    [({"user": "4711:4712"}, ""), ({"user": "4711:4712"}, ":ro"), ({"user": "app"}, ""), ({}, "")],
)
def test_a_folder_that_is_made_on_the_server_is_the_container_s_own_where_it_writes(
    program: Any, stack_file: dict[str, Any], tmp_path: Path, said: dict[str, str], mode: str
) -> None:
    made, there = tmp_path / "made", tmp_path / "there"
    there.mkdir()
    stack_file["applications"]["site"]["volumes"] = [f"{made}/:/srv/made{mode}", f"{there}/:/srv/there{mode}"]
    stack_file["applications"]["site"] |= said
    create = program(stack_file).one(COMMAND, "site-host-paths").inputs["create"]
    told = tmp_path / "told"
    stand_in = f"chown() {{ echo chown $* >>{told}; }}\n"
    subprocess.run(["bash", "-c", stand_in + create], check=True)
    assert made.is_dir()
    is_own = said.get("user") == "4711:4712" and not mode
    assert told.exists() is is_own
    assert not is_own or told.read_text() == f"chown 4711:4712 {made}\n", "of what was there nothing is changed"


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("applications", "shop", "env", "shown"), "another"),
        (("applications", "shop", "memory"), "128m"),
        (("applications", "shop", "command"), ["serve"]),
        (("applications", "shop", "read_only"), True),
        (("applications", "shop", "health"), {"test": ["CMD", "true"]}),
        (("secrets", "mail"), "another horse"),
    ],
)
def test_paths_of_the_server_are_looked_at_again_whenever_the_container_is_another_one(
    program, stack_file, path, value
):
    stack_file["applications"]["shop"]["volumes"] = ["/etc/shop.conf:/etc/shop.conf:ro"]
    before, again = (_look(program(stack_file, secret_keys=("secrets",))) for _ in range(2))
    assert again.inputs["triggers"] == before.inputs["triggers"], "a second update changes nothing"
    assert "triggers" in before.secret_inputs, "the digest of a secret is a secret"
    at = stack_file
    for key in path[:-1]:
        at = at[key]
    at[path[-1]] = value
    assert _look(program(stack_file, secret_keys=("secrets",))).inputs["triggers"] != before.inputs["triggers"]


def _look(graph):
    return graph.one(COMMAND, "shop-host-paths")
