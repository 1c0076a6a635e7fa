"""The stand-ins of what a swarm has, against an engine that keeps what it is sent as a real one does.

The measure is the official plugin's own behaviour, as it was observed: a second run and a refresh change nothing, an
update is in place, what was rotated is made before the old one goes.
"""

from __future__ import annotations

import base64

import pytest

from lab.plugins import docker_swarm
from lab.plugins.docker_references import tagged
from lab.plugins.docker_service import short
from tests.unit.fake_swarm import Lab, Swarm, shop


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Swarm:
    made = Swarm()
    monkeypatch.setattr(docker_swarm.DockerResource, "engine", lambda *_: made)
    monkeypatch.setattr(docker_swarm, "WAIT_FIRST", 0)
    return made


@pytest.fixture
def lab() -> Lab:
    return Lab()


def test_a_second_run_and_a_refresh_of_a_service_change_nothing(lab: Lab, engine: Swarm) -> None:
    inputs = lab.check("Service", **shop())
    made = lab.ask("Create", "Service", properties=inputs)
    assert lab.diff("Service", made["id"], made["properties"], inputs) == {}
    read = lab.ask("Read", "Service", id=made["id"], properties=made["properties"], inputs=inputs)
    assert lab.diff("Service", made["id"], read["properties"], inputs) == {}
    assert lab.diff("Service", made["id"], read["properties"], read["inputs"]) == {}


def test_another_image_environment_or_number_is_an_update_in_place(lab: Lab, engine: Swarm) -> None:
    inputs = lab.check("Service", **shop())
    made = lab.ask("Create", "Service", properties=inputs)
    wanted = shop(image="apiary/echo:456", env={"HTTP_PORT": "8080", "SIZE": "large"})
    wanted["mode"]["replicated"]["replicas"] = 6
    news = lab.check("Service", olds=inputs, **wanted)
    assert lab.diff("Service", made["id"], made["properties"], news) == {
        "taskSpec.containerSpec.image": "UPDATE",
        "taskSpec.containerSpec.env.SIZE": "ADD",
        "mode.replicated.replicas": "UPDATE",
    }
    changed = lab.ask("Update", "Service", id=made["id"], olds=made["properties"], news=news)["properties"]
    assert lab.diff("Service", made["id"], changed, news) == {}
    spec = engine.held["services"][made["id"]]["Spec"]
    assert spec["Mode"] == {"Replicated": {"Replicas": 6}}
    # The official plugin sends them in any order.
    assert sorted(spec["TaskTemplate"]["ContainerSpec"]["Env"]) == ["HTTP_PORT=8080", "SIZE=large"]


def test_what_is_left_out_stays_and_what_is_empty_goes(lab: Lab, engine: Swarm) -> None:
    inputs = lab.check("Service", **shop(dnsConfig={"nameservers": ["192.0.2.53"]}))
    made = lab.ask("Create", "Service", properties=inputs)
    wanted = shop()
    for word in ("placement", "resources"):
        del wanted["taskSpec"][word]
    assert lab.diff("Service", made["id"], made["properties"], lab.check("Service", olds=inputs, **wanted)) == {}
    wanted = shop(dnsConfig={"nameservers": []})
    wanted["taskSpec"] |= {
        "placement": {"constraints": []}, "resources": {"limits": {"memoryBytes": 0, "nanoCpus": 0}},
    }  # fmt: skip
    news = lab.check("Service", olds=inputs, **wanted)
    assert lab.diff("Service", made["id"], made["properties"], news) == {
        "taskSpec.containerSpec.dnsConfig.nameservers[0]": "DELETE",
        "taskSpec.placement.constraints[0]": "DELETE",
        "taskSpec.resources.limits.memoryBytes": "UPDATE",
        "taskSpec.resources.limits.nanoCpus": "UPDATE",
    }
    changed = lab.ask("Update", "Service", id=made["id"], olds=made["properties"], news=news)["properties"]
    assert lab.diff("Service", made["id"], changed, news) == {}
    read = lab.ask("Read", "Service", id=made["id"], properties=changed, inputs=news)
    assert lab.diff("Service", made["id"], read["properties"], read["inputs"]) == {}


def test_names_in_hosts_and_another_network_replace_a_service_its_name_free_first(lab: Lab, engine: Swarm) -> None:
    inputs = lab.check("Service", **shop())
    made = lab.ask("Create", "Service", properties=inputs)
    elsewhere = shop()
    elsewhere["taskSpec"]["networksAdvanceds"] = [{"id": "another"}]
    for wanted in (elsewhere, shop(hosts=[{"host": "h.example", "ip": "192.0.2.10"}])):
        news = lab.check("Service", olds=inputs, **wanted)
        answer = lab.ask("Diff", "Service", id=made["id"], olds=made["properties"], news=news)
        assert set(answer["replaces"]) == {"taskSpec"}
        assert answer["deleteBeforeReplace"] is True


def test_what_the_program_does_not_use_is_refused(lab: Lab, engine: Swarm) -> None:
    for more in ({"convergeConfig": {}}, {"auth": {"serverAddress": "r.example"}}):
        answer = lab.ask("Check", "Service", olds={}, news={**shop(), **more})
        assert "Invalid or unknown key" in answer["failures"][0]["reason"]


def test_a_sticky_bit_is_not_read_back(lab: Lab, engine: Swarm) -> None:
    mount = {"type": "tmpfs", "target": "/scratch", "tmpfsOptions": {"sizeBytes": 1048576, "mode": 0o1777}}
    inputs = lab.check("Service", **shop(mounts=[mount]))
    made = lab.ask("Create", "Service", properties=inputs)
    # What is a set stays as it was planned, until a refresh.
    assert lab.diff("Service", made["id"], made["properties"], inputs) == {}
    read = lab.ask("Read", "Service", id=made["id"], properties=made["properties"], inputs=inputs)
    assert lab.diff("Service", made["id"], read["properties"], inputs)


def test_a_new_service_is_pinned_to_what_the_registry_has_and_an_update_is_not(lab: Lab, engine: Swarm) -> None:
    engine.registry["apiary/echo:123"] = "sha256:1"
    inputs = lab.check("Service", **shop())
    made = lab.ask("Create", "Service", properties=inputs)
    task = engine.held["services"][made["id"]]["Spec"]["TaskTemplate"]
    assert task["ContainerSpec"]["Image"] == "apiary/echo:123@sha256:1"
    assert task["Placement"]["Platforms"] == [{"Architecture": "amd64", "OS": "linux"}, {"OS": "linux"}]
    read = lab.ask("Read", "Service", id=made["id"], properties=made["properties"], inputs=inputs)["properties"]
    found = lab.diff("Service", made["id"], read, inputs)
    assert found["taskSpec.containerSpec.image"] == "UPDATE"
    assert any(path.startswith("taskSpec.placement.platforms") for path in found)
    lab.ask("Update", "Service", id=made["id"], olds=read, news=inputs)
    task = engine.held["services"][made["id"]]["Spec"]["TaskTemplate"]
    assert task["ContainerSpec"]["Image"] == "apiary/echo:123"


@pytest.mark.parametrize(
    ("written", "sent"),
    [
        ("nginx", "nginx:latest"),
        ("docker.io/library/nginx:1", "nginx:1"),
        ("index.docker.io/team/shop@sha256:1", "team/shop@sha256:1"),
        ("docker.io/nginx", "nginx:latest"),
        ("library/nginx:1", "nginx:1"),
        ("registry.example:5000/shop", "registry.example:5000/shop:latest"),
        ("localhost/a/b:1@sha256:1", "localhost/a/b:1@sha256:1"),
        ("sha256:0123", "sha256:0123"),
    ],
)
def test_the_image_of_a_service_has_its_shortest_name(written: str, sent: str) -> None:
    assert tagged(written) == sent


def test_a_service_goes_when_its_containers_are_gone_within_the_grace_period(lab: Lab, engine: Swarm) -> None:
    inputs = lab.check("Service", **shop())
    made = lab.ask("Create", "Service", properties=inputs)
    engine.running, engine.elsewhere = {"here": 59}, ["there"]
    lab.ask("Delete", "Service", id=made["id"], properties=made["properties"])
    gone = [path for method, path, _ in engine.sent if method == "DELETE"]
    assert gone == [f"/services/{made['id']}", "/containers/there", "/containers/here"]


def test_a_service_whose_containers_take_all_of_it_has_gone_and_its_deletion_fails_twice(
    lab: Lab, engine: Swarm
) -> None:
    inputs = lab.check("Service", **shop())
    made = lab.ask("Create", "Service", properties=inputs)
    engine.running = {"here": 61}
    with pytest.raises(Exception, match="error on wait for container with ID 'here': context deadline exceeded"):
        lab.ask("Delete", "Service", id=made["id"], properties=made["properties"])
    assert not engine.held["services"]
    with pytest.raises(Exception, match="service shop not found"):
        lab.ask("Delete", "Service", id=made["id"], properties=made["properties"])


def test_a_name_that_is_taken_is_the_engines_error(lab: Lab, engine: Swarm) -> None:
    inputs = lab.check("Service", **shop())
    lab.ask("Create", "Service", properties=inputs)
    with pytest.raises(Exception, match="shop already exists"):
        lab.ask("Create", "Service", properties=inputs)


@pytest.mark.parametrize(("kind", "plural"), [("Secret", "secrets"), ("ServiceConfig", "configs")])
def test_another_content_is_another_one_made_before_the_old_one_goes(
    lab: Lab, engine: Swarm, kind: str, plural: str
) -> None:
    old = lab.check(kind, data=base64.b64encode(b"old").decode())
    made = lab.ask("Create", kind, properties=old)
    assert lab.diff(kind, made["id"], made["properties"], old) == {}
    news = lab.check(kind, olds=old, data=base64.b64encode(b"new").decode())
    answer = lab.ask("Diff", kind, id=made["id"], olds=made["properties"], news=news)
    assert answer["replaces"] == ["data"]
    assert not answer.get("deleteBeforeReplace")
    # The engine asks for a new name for what it makes beside the old one.
    fresh = lab.check(kind, data=news["data"])
    assert fresh["name"] != old["name"]
    lab.ask("Create", kind, properties=fresh)
    lab.ask("Delete", kind, id=made["id"], properties=made["properties"])
    assert [base64.b64decode(one["Spec"]["Data"]) for one in engine.held[plural].values()] == [b"new"]


def test_of_a_secret_nothing_is_read_back_and_of_a_config_all(lab: Lab, engine: Swarm) -> None:
    for kind, plural in (("Secret", "secrets"), ("ServiceConfig", "configs")):
        inputs = lab.check(kind, data=base64.b64encode(b"old").decode())
        made = lab.ask("Create", kind, properties=inputs)
        engine.held[plural][made["id"]]["Spec"]["Data"] = base64.b64encode(b"other").decode()
        read = lab.ask("Read", kind, id=made["id"], properties=made["properties"], inputs=inputs)
        found = lab.diff(kind, made["id"], read["properties"], inputs)
        assert found == ({} if kind == "Secret" else {"data": "UPDATE_REPLACE"})
        del engine.held[plural][made["id"]]
        assert not lab.ask("Read", kind, id=made["id"], properties=made["properties"], inputs=inputs).get("id")


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0s"), (5, "5s"), (60, "1m"), (90, "1m30s"), (3600, "1h"), (3601, "1h0m1s")]
)
def test_durations_of_services_lose_the_zeros_at_their_end(seconds: int, text: str) -> None:
    assert short(seconds * 10**9) == text
