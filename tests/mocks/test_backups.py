"""Backups in the graph: nothing without them; with them each thing that is filled or saved is so at its moment."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.mocks.program import Graph, Registered

COMMAND = "command:remote:Command"
S3 = {
    "repository": "s3:https://ewr1.example.com/hive/",
    "access_key": "_secrets^access",
    "secret_key": "_secrets^secret",
    "when": "30 4 * * 1",
}


@pytest.fixture
def saved(program: Any, stack_file: dict[str, Any]) -> Graph:
    stack_file["backups"] = S3
    stack_file["secrets"] |= {"access": "the access key", "secret": "the secret key"}
    stack_file["applications"]["files"] = {"build_dir": "Echo", "volumes": ["uploads:/srv"], "backup": {"stop": True}}
    stack_file["applications"]["reader"] = {"build_dir": "Echo", "volumes": ["uploads:/srv:ro"]}
    stack_file["jobs"]["reports"] = {"build_dir": "Echo", "volumes": ["reports:/srv"], "backup": False}
    made: Graph = program(stack_file, secret_keys=("secrets",))
    return made


def container(graph: Graph, name: str) -> Registered:
    return graph.one("docker:index/container:Container", name)


def comes_before(graph: Graph, first: Registered, then: Registered) -> bool:
    """Whether one is made before the other, by any way."""
    pending, seen = [then.urn], set()
    while pending:
        urn = pending.pop()
        if urn == first.urn:
            return True
        if urn not in seen:
            seen.add(urn)
            found = [one for one in graph if one.urn == urn]
            pending += [other for one in found for other in one.dependencies]
            pending += [
                one.urn for one in graph if one.parent == urn
            ]  # whoever depends on a component waits for all of it
    return False


def test_without_backups_nothing_of_them_is_in_the_graph(graph: Graph) -> None:
    assert not [one.urn for one in graph if "backup" in one.urn.lower() or one.name.endswith("-fill")]
    assert "apiary_backups" not in graph.one("command:local:Command", "web1").sent()["vars.json"].decode()


def test_a_host_with_backups_is_prepared_for_them(saved: Graph) -> None:
    told = json.loads(saved.one("command:local:Command", "web1").sent()["vars.json"])
    assert told["apiary_backups"] is True


def test_a_server_is_told_what_to_save_and_where_to_in_secret(saved: Graph) -> None:
    command = saved.one(COMMAND, "web1-backups")
    told = json.loads(command.inputs["stdin"])
    assert "stdin" in command.secret_inputs
    assert told["repository"] == "s3:https://ewr1.example.com/hive/web1"
    assert told["environment"] == {
        "RESTIC_PASSWORD": "generated backups-password",
        "AWS_ACCESS_KEY_ID": "the access key",
        "AWS_SECRET_ACCESS_KEY": "the secret key",
    }
    assert told["stack"] == "apiary-test"
    assert told["calendar"] == ["Mon *-*-* 04:30:00"]
    assert told["keep"] == {"daily": 7, "weekly": 5, "monthly": 12}
    assert sorted(told["volumes"]) == ["haproxycfg", "uploads"]
    assert told["volumes"]["uploads"]["stop"] == ["files"]
    assert told["databases"] == {"postgres": {"engine": "postgresql", "volumes": ["pgdata"]}}
    assert told["applications"]["shop"]["databases"] == [["postgres", "shop"]]
    assert sorted(told["left_out"]) == ["pgdata", "reports"]
    assert "jobs.reports" in told["left_out"]["reports"]
    for key in ("create", "update", "delete"):
        assert "generated" not in str(command.inputs[key])
        assert "the secret key" not in str(command.inputs[key])


def test_the_password_outlives_a_mistake(saved: Graph) -> None:
    password = saved.one("random:index/randomPassword:RandomPassword", "backups-password")
    assert password.protect
    assert password.inputs["special"] is False


def test_a_password_of_ones_own_is_used_and_none_is_made(program: Any, stack_file: dict[str, Any]) -> None:
    stack_file["backups"] = {**S3, "password": "_secrets^mail"}
    stack_file["secrets"] |= {"access": "a", "secret": "b"}
    graph = program(stack_file, secret_keys=("secrets",))
    told = json.loads(graph.one(COMMAND, "web1-backups").inputs["stdin"])
    assert told["environment"]["RESTIC_PASSWORD"] == "correct horse"
    assert "backups-password" not in [one.name for one in graph]


def test_a_volume_is_filled_before_any_container_has_it(saved: Graph) -> None:
    fill = saved.one(COMMAND, "web1-fill")
    assert fill.inputs["create"] == "apiary-backups fill --volumes"
    assert comes_before(saved, saved.one(COMMAND, "web1-backups"), fill)
    assert comes_before(saved, saved.one("docker:index/volume:Volume", "web1/uploads"), fill)
    # A job's container too, which only waits: Docker puts an image's files into an empty volume when it is made.
    for name in ("files", "reader", "haproxy", "hasetup"):
        assert fill.urn in container(saved, name).dependencies, name
    for name in ("postgres", "reports"):
        assert fill.urn not in container(saved, name).dependencies, name


def test_a_volume_that_comes_later_is_filled_when_it_comes(saved: Graph) -> None:
    told = saved.one(COMMAND, "web1-backups")
    assert told.inputs["update"] == "apiary-backups told && apiary-backups fill --volumes --new"
    assert list(json.loads(told.inputs["stdin"])["volumes"]) == ["haproxycfg", "uploads"], "one more is told at once"
    assert comes_before(saved, saved.one("docker:index/volume:Volume", "web1/uploads"), told)


def test_a_database_server_starts_after_it_was_seen_whether_its_files_are_there(saved: Graph) -> None:
    assert saved.one(COMMAND, "web1-backups").urn in container(saved, "postgres").dependencies


def test_databases_are_filled_between_their_server_and_whoever_uses_them(saved: Graph) -> None:
    fill = saved.one(COMMAND, "postgres-fill")
    assert fill.inputs["create"] == "apiary-backups fill --databases postgres"
    [released] = [one for one in saved.of_type(COMMAND) if one.name.startswith("postgres-") and "release" in one.name]
    assert comes_before(saved, released, fill)
    assert comes_before(saved, fill, container(saved, "shop"))
    assert fill.urn in saved.one(COMMAND, "dbsetup-run").dependencies


def test_the_last_backup_goes_the_way_back(saved: Graph) -> None:
    done, databases, volumes = (saved.one(COMMAND, name) for name in ("web1-backed-up", "postgres-fill", "web1-fill"))
    assert "apiary-backups run --final\n" in done.inputs["delete"]
    assert "apiary-backups run --final --only databases:postgres\n" in databases.inputs["delete"]
    assert "apiary-backups run --final --only volumes\n" in volumes.inputs["delete"]
    for one in (done, databases, volumes):
        # Nothing happens on the host that has taken its place.
        assert one.inputs["delete"].index("web1-id") < one.inputs["delete"].index("apiary-backups")
    for one in (done, databases):
        assert one.inputs["update"] == "true"
    # Of a rebuild that was cut off half-way and is taken back, this alone is made anew.
    assert done.inputs["create"] == "apiary-backups resume"
    for other in saved:
        is_on_host = other.type.startswith(("docker:index/container", "command:remote", "vultr:index/reverse"))
        if is_on_host and other.name != done.name:
            assert comes_before(saved, other, done), f"{other.urn} would be gone before the backup is known to work"


def test_nothing_waits_for_the_last_of_all(saved: Graph) -> None:
    done = saved.one(COMMAND, "web1-backed-up")
    assert not [one.urn for one in saved if done.urn in one.dependencies]


def test_another_server_of_the_stack_keeps_them_and_is_there_first(program: Any, stack_file: dict[str, Any]) -> None:
    stack_file["servers"]["web2"] = {"plan": "vc2-1c-2gb", "region": "ewr", "os": 2136}
    for one in (*stack_file["applications"].values(), *stack_file["jobs"].values()):
        one["server"] = "web1"
    stack_file["backups"] = {"repository": {"server": "web2"}}
    graph = program(stack_file, secret_keys=("secrets",))
    told = json.loads(graph.one(COMMAND, "web1-backups").inputs["stdin"])
    keeper = graph.one("command:local:Command", "web2")
    assert told["repository"] == "sftp:backup-web1@192.0.2.4:/repository"
    assert told["ssh"] == {"key": "private key web1-backups\n", "host_key": "ssh-ed25519 web2-host-key"}
    assert comes_before(graph, keeper, graph.one(COMMAND, "web1-backups"))
    sent = json.loads(keeper.sent()["vars.json"])
    assert sent["apiary_backup_store"]["web1"]["key"] == "ssh-ed25519 web1-backups"
    assert "apiary_backups" not in sent
    assert not [one for one in graph.of_type(COMMAND) if one.name == "web2-backups"]
    kept = graph.one(COMMAND, "web2-keeps-backups")
    assert "would be lost" in kept.inputs["delete"]
    for other in ("web1-backups", "web1-backed-up"):
        assert comes_before(graph, graph.one(COMMAND, other), kept)


def test_object_storage_is_made_and_outlives_a_mistake(program: Any, stack_file: dict[str, Any]) -> None:
    stack_file["backups"] = {"repository": "vultr"}
    graph = program(stack_file, secret_keys=("secrets",))
    [account] = graph.of_type("vultr:index/objectStorage:ObjectStorage")
    assert account.protect
    told = json.loads(graph.one(COMMAND, "web1-backups").inputs["stdin"])
    assert told["repository"] == f"s3:https://ewr1.vultrobjects.com/apiary-{account.name}-id/web1"
    assert told["environment"]["AWS_SECRET_ACCESS_KEY"].startswith("secret of ")
