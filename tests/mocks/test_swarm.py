"""The swarm as the program declares it: who joins, what is spread, who is on its network."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from ipaddress import IPv4Network
from typing import Any

import pytest
import yaml

from lab.paths import CHECKOUT
from tests.mocks import program
from tests.mocks.program import Graph, Registered
from tests.mocks.test_private import told
from tests.unit.test_swarm_settings import certbot, three

MANAGER = "pulumi:providers:docker"


@pytest.fixture(autouse=True)
def made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(program.PREFIXES, "web3", "2001:db8:77:5")


@pytest.fixture
def raw() -> dict[str, Any]:
    raw = three()
    raw["applications"]["shop"] |= {
        "memory": "64m", "cpus": 0.5, "grace_seconds": 60, "restart": "on-failure", "tmpfs": {"/scratch": "size=16m"},
        "files": {
            "/etc/shop.yml": {"content": "currency: EUR", "user": "1000"},
            "/run/keys/mail": {"content": "${_secrets^wildcard}", "mode": "0400"},
        },
    }  # fmt: skip
    raw["applications"]["shop"]["env"]["db_password"] = "_postgres^password"
    return raw


def service(graph: Graph) -> Registered:
    [found] = graph.of_type("docker:index/service:Service")
    return found


def release(service: Registered) -> str:
    """Which one its replicas are of."""
    return str(int(service.inputs["taskSpec"]["forceUpdate"]))


def joined(graph: Graph, server: str) -> Registered:
    return graph.one("command:local:Command", f"{server}-joined")


def needs(graph: Graph, one: Registered) -> set[str]:
    """All that goes before it, directly or not, as the engine knows it."""
    found: set[str] = set()
    pending = [one.urn]
    while pending:
        resource = graph.by_urn(pending.pop())
        provider = resource.provider.rpartition("::")[0]
        of_it = {*resource.dependencies, resource.deleted_with, *([provider] if provider in graph_urns(graph) else [])}
        pending += of_it - found - {""}
        found |= of_it - {""}
    return found


def graph_urns(graph: Graph) -> set[str]:
    return {one.urn for one in graph}


def networks(graph: Graph, name: str) -> list[str]:
    found = graph.one("docker:index/container:Container", name).inputs["networksAdvanced"]
    return [one["name"] for one in found]


def test_a_service_has_what_the_application_says(raw: dict[str, Any], program: Any) -> None:
    found = service(program(raw))
    spec = found.inputs["taskSpec"]["containerSpec"]
    assert found.inputs["mode"] == {"replicated": {"replicas": 4}}
    assert found.inputs["endpointSpec"] == {"mode": "dnsrr"}
    assert found.inputs["taskSpec"]["networksAdvanceds"] == [{"id": "swarm-id"}]
    assert found.inputs["taskSpec"]["resources"]["limits"] == {"memoryBytes": 64 * 2**20, "nanoCpus": 500_000_000}
    assert found.inputs["taskSpec"]["restartPolicy"] == {
        "condition": "on-failure", "delay": "2s", "maxAttempts": 0, "window": "0s",
    }  # fmt: skip
    assert found.inputs["updateConfig"]["order"] == "start-first"
    assert found.inputs["updateConfig"]["failureAction"] == "rollback"
    assert spec["stopGracePeriod"] == "1m"  # as it is read back, where a container has 1m0s
    assert spec["capDrops"] == ["ALL"]
    # Else heal would take what Swarm has started for something that an update has left behind.
    assert spec["labels"] == [{"label": "apiary.stack", "value": "apiary-test, by its swarm"}]
    assert spec["mounts"] == [{"type": "tmpfs", "target": "/scratch", "tmpfsOptions": {"sizeBytes": 16 * 2**20}}]
    assert spec["healthcheck"]["interval"] == "5s"
    assert spec["env"]["HTTP_PORT"] == "8080"
    assert spec["env"]["DB_HOST"] == "192.168.150.11"  # what runs on one server, by its private address
    assert found.secret_outputs == {"taskSpec"}


def test_the_question_whether_a_swarm_can_do_without_a_manager_goes_before_its_instance(
    raw: dict[str, Any], program: Any
) -> None:
    graph = program(raw)
    for server in ("web1", "web2", "web3"):
        asked, instance = (
            graph.one("command:local:Command", f"{server}-spared"),
            graph.one("vultr:index/instance:Instance", server),
        )
        assert asked.urn in instance.dependencies
        assert not any("instance:Instance" in urn for urn in needs(graph, asked)), "or it went with one"
        assert asked.inputs["environment"]["MANAGERS"].count("=") == len(raw["servers"])
    for server in ("web2", "web3"):
        raw["servers"][server]["swarm"] = "worker"
    assert not [one for one in program(raw) if one.name.endswith("-spared")], "one has no majority to lose"


def test_that_the_first_manager_stays_one_is_asked_before_any_instance(
    raw: dict[str, Any], stack_file: dict[str, Any], program: Any
) -> None:
    """By way of another one all that the swarm has would be made beside itself, under the same names."""
    graph = program(raw)
    first = graph.one("command:local:Command", "swarm-first")
    assert first.inputs["environment"] == {"FIRST": "web1"}
    for server in raw["servers"]:
        assert first.urn in graph.one("vultr:index/instance:Instance", server).dependencies
    assert needs(graph, first) == set()
    assert not [one for one in program(stack_file) if one.name == "swarm-first"]


def test_a_release_has_a_name_of_its_own_by_which_one_that_was_taken_back_is_tried_again(
    raw: dict[str, Any], program: Any
) -> None:
    def awaited() -> tuple[str, Any]:
        graph = program(raw)
        reached = graph.one("command:local:Command", "shop-reached")
        assert reached.inputs["triggers"] == [release(service(graph))]
        assert graph.resources.index(reached) < graph.resources.index(service(graph))
        through = graph.one("command:remote:Command", "shop-replicas-release")
        assert f" --release {release(service(graph))} " in through.inputs["create"]
        return release(service(graph)), through.inputs["triggers"]

    first, triggers = awaited()
    assert awaited() == (first, triggers), "the same once more is the same release, and not a new one"
    raw["applications"]["shop"]["env"]["release"] = "two"
    second, _ = awaited()
    assert second != first
    raw["applications"]["shop"]["replicas"] = 5
    third, more = awaited()
    assert third == second, "one more is no reason to start the others anew"
    assert more != triggers


def test_a_replica_has_as_long_for_its_visitors_as_any_application(raw: dict[str, Any], program: Any) -> None:
    """Nobody else waits for them: Swarm tells it to stop, and kills it when the time is over."""

    def told(graph: Graph) -> tuple[str, str]:
        stop = graph.one("command:remote:Command", "shop-replicas-stop").inputs["delete"]
        return service(graph).inputs["taskSpec"]["containerSpec"]["stopGracePeriod"], stop.rpartition(" ")[2]

    shop = raw["applications"]["shop"]
    del shop["grace_seconds"]
    assert told(program(raw)) == ("1m", "120")
    shop["grace_seconds"] = 5
    assert told(program(raw)) == ("5s", "65"), "what is written counts"
    del shop["grace_seconds"], shop["env"]["domains"]
    for server in raw["servers"].values():
        server["dns"].pop("web", None)
    for job in raw["jobs"].values():
        job["env"].pop("certificate_shared", None)
    assert told(program(raw)) == ("10s", "70"), "no visitor is led there"


def test_files_are_secrets_where_a_secret_is_in_them_and_configs_else(raw: dict[str, Any], program: Any) -> None:
    graph = program(raw)
    spec = service(graph).inputs["taskSpec"]["containerSpec"]
    [secret], [config] = (
        graph.of_type("docker:index/secret:Secret"),
        graph.of_type("docker:index/serviceConfig:ServiceConfig"),
    )
    assert secret.secret_inputs == {"data"}
    assert base64.b64decode(secret.inputs["data"]).decode() == raw["secrets"]["wildcard"]
    assert base64.b64decode(config.inputs["data"]).decode() == "currency: EUR"
    assert "name" not in secret.inputs  # another content is another secret beside the one that still runs
    [mounted] = spec["secrets"]
    assert (mounted["fileName"], mounted["fileMode"], mounted["fileUid"]) == ("/run/keys/mail", 0o400, "0")
    [read] = spec["configs"]
    assert (read["fileName"], read["fileMode"], read["fileUid"], read["fileGid"]) == (
        "/etc/shop.yml",
        0o444,
        "1000",
        "0",
    )


def test_a_file_of_the_checkout_and_one_that_is_not_for_all_to_read_are_secrets(
    raw: dict[str, Any], program: Any
) -> None:
    """Without replicas the state has a digest of them alone; a config is in it in plain text."""
    raw["applications"]["shop"]["files"] = {
        "/run/tls.key": {"from": "LICENSE", "mode": "0400"},
        "/etc/readable": {"from": "LICENSE"},
        "/etc/pin": {"content": "1234", "mode": "0440"},
        "/etc/shop.yml": {"content": "currency: EUR", "mode": "0644"},
    }
    graph = program(raw)
    spec = service(graph).inputs["taskSpec"]["containerSpec"]
    assert [one["fileName"] for one in spec["secrets"]] == ["/run/tls.key", "/etc/readable", "/etc/pin"]
    assert [one["fileName"] for one in spec["configs"]] == ["/etc/shop.yml"]
    secrets = graph.of_type("docker:index/secret:Secret")
    assert all(one.secret_inputs == {"data"} for one in secrets)
    assert base64.b64decode(secrets[0].inputs["data"]) == (CHECKOUT / "LICENSE").read_bytes()


def test_images_are_on_every_server_before_a_release_begins(raw: dict[str, Any], program: Any) -> None:
    raw["applications"]["shop"]["servers"] = ["web1", "web3"]
    graph = program(raw)
    found = service(graph)
    images = {one.name for one in graph.of_type("apiary:docker:Image") if one.name.endswith("/Notes")}
    assert images == {"web1/Notes", "web3/Notes"}
    assert found.inputs["taskSpec"]["placement"] == {"constraints": ["node.labels.apiary.server!=web2"]}
    names = [one.name for one in graph]
    assert max(names.index("web1/Notes"), names.index("web3/Notes")) < names.index("shop-health")
    assert found.name == "shop"
    assert graph.resources.index(graph.one("command:remote:Command", "shop-health")) < graph.resources.index(found)


def test_other_servers_to_be_spread_over_are_a_release(raw: dict[str, Any], program: Any) -> None:
    def number() -> int:
        return int(service(program(raw)).inputs["taskSpec"]["forceUpdate"])

    over_three = number()
    assert number() == over_three
    raw["servers"]["web3"]["drain"] = True
    over_two = number()
    assert over_two != over_three
    del raw["servers"]["web3"]["drain"]
    raw["applications"]["shop"]["servers"] = ["web1", "web2"]
    assert number() not in (over_three, over_two), "web3 is kept out, and not only emptied"


def test_an_image_of_a_registry_is_spelt_as_it_is_read_back(raw: dict[str, Any], program: Any) -> None:
    del raw["applications"]["shop"]["build_dir"]
    raw["applications"]["shop"] |= {
        "image": f"docker.io/team/shop@sha256:{'0' * 64}",
        "health": {"test": ["CMD", "up"]},
    }
    found = service(program(raw))
    assert found.inputs["taskSpec"]["containerSpec"]["image"] == f"team/shop@sha256:{'0' * 64}"
    # The plugin asks its registry, as it makes the service, and a refresh would find them.
    assert found.ignore_changes == ("taskSpec.placement.platforms",)


def test_what_is_not_compared_with_what_is_read_back_is_this_and_no_more(raw: dict[str, Any], program: Any) -> None:
    """Whoever adds one says why in docs/decisions/0049-what-is-not-compared.md."""
    del raw["applications"]["shop"]["build_dir"]
    raw["applications"]["shop"] |= {"image": "team/shop", "health": {"test": ["CMD", "up"]}}
    raw["backups"] = {"repository": "vultr"}
    found = {(one.type, path) for one in program(raw) for path in one.ignore_changes}
    assert found == {
        ("docker:index/network:Network", "options"),
        ("docker:index/service:Service", "taskSpec.placement.platforms"),
        ("command:local:Command", "environment"),
        ("vultr:index/objectStorage:ObjectStorage", "clusterId"),
        ("vultr:index/objectStorage:ObjectStorage", "tierId"),
    }


def test_every_server_has_the_very_same_image_of_a_branch(raw: dict[str, Any], program: Any) -> None:
    del raw["applications"]["shop"]["build_dir"]
    raw["applications"]["shop"]["git"] = {"url": "https://git.example.org/shop.git", "branch": "main"}
    found = [one.name for one in program(raw).of_type("command:remote:Command") if one.name.endswith("-commit")]
    assert found == ["web1/https://git.example.org/shop.git#main-commit"]


def test_who_is_on_the_swarms_network(raw: dict[str, Any], program: Any) -> None:
    graph = program(raw)
    for name in ("proxy1-door", "proxy2-door", "proxy3-door", "worker"):
        assert networks(graph, name)[1:] == ["swarm-id"]
        labels = graph.one("docker:index/container:Container", name).inputs["labels"]
        assert {"label": "apiary.overlay", "value": "true"} in labels
    assert len(networks(graph, "postgres")) == 1


def test_servers_join_one_after_the_first_and_no_token_is_in_the_state(raw: dict[str, Any], program: Any) -> None:
    graph = program(raw)
    first = joined(graph, "web1")
    service_and_more = [
        *graph.of_type("docker:index/service:Service"),
        graph.one("docker:index/network:Network", "swarm"),
    ]
    for one in (*(joined(graph, server) for server in ("web1", "web2", "web3")), *service_and_more):
        # Else reviving one server would take the others' down with it first.
        assert not needs(graph, one) & {of.urn for of in graph.of_type("vultr:index/instance:Instance")}, one.urn
    assert "ask_web1 init 192.168.150.11 10.201.0.0/18" in first.inputs["create"]
    assert first.inputs["create"] == first.inputs["update"]
    assert "SWMTKN" not in json.dumps([one.inputs for one in graph], default=str)


def test_the_others_join_anew_where_the_first_has_begun_another_swarm(raw: dict[str, Any], program: Any) -> None:
    """The only manager on a new disk: the workers are of a swarm that is no more."""
    graph = program(raw)
    assert "environment" not in joined(graph, "web1").inputs
    number = graph.one("command:local:Command", "swarm-begun").inputs["triggers"]
    for server in ("web2", "web3"):
        assert [joined(graph, server).inputs["environment"]["SWARM"]] == number


def test_a_server_is_told_of_the_others_and_of_nobody_without_a_swarm(
    raw: dict[str, Any], stack_file: dict[str, Any], program: Any
) -> None:
    graph = program(raw)
    assert told(graph, "web2")["apiary_swarm"] == {
        "gateway": "10.201.128.0/18", "peers": ["192.168.150.11", "192.168.150.13"],
    }  # fmt: skip
    assert "apiary_swarm" not in told(program(stack_file), "web1")


def test_an_encrypted_network_is_another_one_and_every_server_proves_first_that_it_can(
    raw: dict[str, Any], program: Any
) -> None:
    def network(graph: Graph) -> Mapping[str, Any]:
        return graph.one("docker:index/network:Network", "swarm").inputs

    plain, encrypted = program(raw), program({**raw, "swarm": {"encrypted": True}})
    assert network(encrypted)["options"] == {**network(plain)["options"], "encrypted": ""}
    # Both are there for as long as replicas move from one to the other.
    nets = [IPv4Network(network(graph)["ipamConfigs"][0]["subnet"]) for graph in (plain, encrypted)]
    assert not nets[0].overlaps(nets[1])
    assert not encrypted.one("docker:index/network:Network", "swarm").delete_before_replace
    # The labels are what makes another one of it: the options are not compared.
    assert {one["label"] for one in network(encrypted)["labels"]} - {one["label"] for one in network(plain)["labels"]}
    assert "encrypted" not in told(plain, "web2")["apiary_swarm"]
    assert all(told(encrypted, server)["apiary_swarm"]["encrypted"] is True for server in ("web1", "web2", "web3"))


def test_every_server_of_a_domain_has_records_of_its_own(raw: dict[str, Any], program: Any) -> None:
    records = program(raw).of_type("vultr:index/dnsRecord:DnsRecord")
    web = {one.name: one.inputs["data"] for one in records if one.name.startswith("example.net/shop/")}
    assert sorted(web) == [
        "example.net/shop/A", "example.net/shop/A/web2", "example.net/shop/A/web3",
        "example.net/shop/AAAA", "example.net/shop/AAAA/web2", "example.net/shop/AAAA/web3",
    ]  # fmt: skip
    assert web["example.net/shop/AAAA/web3"].startswith("2001:db8:77:5:")


def test_a_server_that_is_emptied_loses_its_records_and_no_other_changes(raw: dict[str, Any], program: Any) -> None:
    def web(graph: Graph) -> dict[str, str]:
        records = graph.of_type("vultr:index/dnsRecord:DnsRecord")
        return {one.name: one.inputs["data"] for one in records if one.name.startswith("example.net/shop/")}

    before = web(program(raw))
    raw["servers"]["web1"]["drain"] = True
    graph = program(raw)
    assert web(graph) == {name: data for name, data in before.items() if "/web" in name}
    members = "web1=manager:pause web2=manager:active web3=manager:active"
    assert f'"${{state#* }}" {members} </dev/null' in joined(graph, "web1").inputs["create"]


def test_all_jobs_for_certificates_of_one_name_have_one_account(raw: dict[str, Any], program: Any) -> None:
    for number in (1, 2, 3):
        del raw["jobs"][f"hasetup{number}"]["env"]["certificate_shared"]
        raw["jobs"][f"certbot{number}"] = certbot(number)
    graph = program(raw)
    key = graph.one("tls:index/privateKey:PrivateKey", "certificates")
    assert (key.inputs["algorithm"], key.inputs["rsaBits"]) == ("RSA", 2048)
    for number, others in ((1, [2, 3]), (2, [1, 3])):
        job = graph.one("docker:index/container:Container", f"certbot{number}")
        told = dict(line.split("=", 1) for line in job.inputs["envs"])
        assert told["ACCOUNT_KEY"] == "private key in PEM of certificates"
        assert len(json.loads(told["PEERS"])["shop.example.net"]) == len(others)
        # The first one obtains it; the others know whom to wait for.
        assert set(json.loads(told["OBTAINED_BY"])) == (set() if number == 1 else {"shop.example.net"})
        assert "envs" in job.secret_inputs | job.secret_outputs


def test_the_example_is_declared_whole(program: Any) -> None:
    config = yaml.safe_load((CHECKOUT / "examples" / "three-servers.yaml").read_text())["config"]
    graph = program({key.removeprefix("apiary:"): value for key, value in config.items()})
    assert service(graph).inputs["taskSpec"]["containerSpec"]["env"]["DB_HOST"] == "192.168.150.20"
    names = [one.name for one in graph]
    # Its database is made, and filled from a backup where there is one, before it starts.
    assert max(names.index("dbsetup-run"), names.index("postgres-fill")) < names.index(
        "shop", names.index("shop-health")
    )


def test_what_is_taken_away_is_said_to_be_nothing(raw: dict[str, Any], program: Any) -> None:
    """The plugin keeps what a service had where nothing is said."""
    for word in ("memory", "cpus"):
        del raw["applications"]["shop"][word]
    task = service(program(raw)).inputs["taskSpec"]
    assert task["placement"] == {"constraints": []}
    assert task["resources"] == {"limits": {"memoryBytes": 0, "nanoCpus": 0}}
    assert task["containerSpec"]["dnsConfig"] == {"nameservers": []}


def test_all_replicas_have_stopped_before_the_service_goes(raw: dict[str, Any], program: Any) -> None:
    """The plugin waits for the grace period alone, and fails for good where a replica takes all of it."""
    graph = program(raw)
    stop = graph.one("command:remote:Command", "shop-replicas-stop")
    assert stop.inputs["delete"].endswith(f" || apiary-replicas stop {service(graph).name}-id --timeout 120")
    assert stop.inputs["triggers"] == [f"{service(graph).name}-id"]  # with a service that is replaced, too
    assert service(graph).urn in stop.dependencies


def test_each_server_judges_its_own_proxy_once_the_release_is_through(raw: dict[str, Any], program: Any) -> None:
    graph = program(raw)
    through = graph.one("command:remote:Command", "shop-replicas-release")
    spread = "apiary-replicas spread shop 4 --timeout 180"
    awaited = f"apiary-replicas await shop --timeout 540 --release {release(service(graph))}"
    assert through.inputs["create"] == f"{awaited} && {spread}"
    for server in ("web1", "web2", "web3"):
        verdict = graph.one("command:remote:Command", f"{server}-verdict")
        assert through.urn in verdict.dependencies
        assert json.loads(verdict.inputs["stdin"])["applications"]["shop"]["container"] == ""
