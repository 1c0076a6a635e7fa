"""What a move to another server promises of the graph: data go before the container, and who shares them goes too."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.mocks.program import Graph, Registered

CARRIED = "command:local:Command"
CONTAINER, RECORD = "docker:index/container:Container", "vultr:index/dnsRecord:DnsRecord"


def wish(graph: Graph, name: str) -> dict[str, Any]:
    """What the command of a container is told."""
    told: dict[str, Any] = json.loads(graph.one(CARRIED, f"{name}-carried").inputs["stdin"])
    return told


def carrying(graph: Graph) -> list[Registered]:
    return [one for one in graph.of_type(CARRIED) if one.name.endswith("-carried")]


@pytest.fixture
def two(stack_file: dict[str, Any], program: Any) -> Graph:
    """A site with files on a second server, and one beside it that writes them."""
    stack_file["servers"]["web2"] = {
        "plan": "vc2-1c-2gb", "region": "ams", "os": 2136, "dns": {"web": ["files.example.net"]},
    }  # fmt: skip
    for section in ("applications", "jobs"):
        for container in stack_file[section].values():
            container["server"] = "web1"
    stack_file["applications"] |= {
        "front": {
            "server": "web2", "build_dir": "HAProxy", "ipv6_web": True, "ports": [80], "volumes": ["cfg:/etc/haproxy"],
        },
        "files": {
            "server": "web2", "build_dir": "Echo", "volumes": ["uploads:/srv/files:ro", "/srv/more/:/srv/more"],
            "env": {"domains": ["files.example.net"], "http_port": 8080},
        },
        "writer": {"server": "web2", "renamed_from": "author", "image": "debian:12", "volumes": ["uploads:/srv"]},
    }  # fmt: skip
    stack_file["jobs"]["setup"] = {
        "server": "web2", "build_dir": "HAProxySetup", "env": {"domains": "all", "haproxy_container": "$front"},
        "volumes": ["cfg:/etc/haproxy"],
    }  # fmt: skip
    found: Graph = program(stack_file)
    return found


def test_every_container_that_has_data_on_its_server_waits_for_them(two: Graph) -> None:
    having = {"haproxy", "postgres", "hasetup", "front", "files", "writer", "setup"}
    assert {one.name for one in carrying(two)} == {f"{name}-carried" for name in having}
    for name in having:
        command = two.one(CARRIED, f"{name}-carried")
        assert command.urn in two.one(CONTAINER, name).dependencies
        # The same on every machine, and told where the volumes were.
        assert command.inputs["interpreter"] == [".venv/bin/python", "-m", "operations.carry"]
        assert command.inputs["addPreviousOutputInEnv"] is True
        assert command.inputs["create"] == command.inputs["update"]
        assert "triggers" not in command.inputs, "a new one would not know where the volumes were"
        assert "delete" not in command.inputs


def test_who_shares_a_volume_is_told_wherever_it_is_and_under_its_old_name_too(two: Graph) -> None:
    told = wish(two, "files")
    assert (told["stack"], told["names"]) == ("apiary-test", ["applications.files"])
    assert (told["volumes"], told["folders"]) == (["uploads"], ["/srv/more"])
    assert told["placed"] == dict.fromkeys(("applications.files", "applications.writer", "applications.author"), "web2")
    assert wish(two, "writer")["names"] == ["applications.writer", "applications.author"]


def test_it_reaches_its_server_by_the_pinned_key_and_knows_the_instance(two: Graph) -> None:
    here = wish(two, "files")["here"]
    assert (here["server"], here["instance"]) == ("web2", "web2-id")
    assert "KnownHostsCommand=/bin/echo %H ssh-ed25519 web2-host-key" in here["ssh"]
    command = two.one(CARRIED, "files-carried")
    (other,) = json.loads(command.inputs["environment"]["APIARY_OTHERS"])
    assert other["server"] == "web1"
    # Another server is no reason to run it again.
    assert command.ignore_changes == ("environment",)


def test_what_drops_a_dead_server_neither_forgets_where_the_data_were_nor_takes_records_along(two: Graph) -> None:
    commands = carrying(two)
    for command in commands:
        assert not command.dependencies
        assert not any(command.property_dependencies.values())
        assert not command.deleted_with
    urns = {command.urn for command in commands}
    for record in two.of_type(RECORD):
        assert not urns & record.dependencies


def test_visitors_are_led_to_the_new_server_only_when_the_data_are_there(two: Graph) -> None:
    """And nobody stands still while an image is built. What the engine isn't told is in the order of registration."""
    order = {one.urn: place for place, one in enumerate(two)}

    def place(one: Registered) -> int:
        return order[one.urn]

    carried = two.one(CARRIED, "files-carried")
    # The other server's proxy serves it until then, should it come from there.
    for setup in ("setup", "hasetup"):
        assert place(carried) < place(two.one(CONTAINER, setup))
    records = [one for one in two.of_type(RECORD) if one.inputs["name"] in ("files", "www.files")]
    assert len(records) == 4
    assert place(carried) < min(map(place, records))
    assert place(two.one("docker:index/volume:Volume", "web2/uploads")) < place(carried)
    assert place(two.one(CARRIED, "web2")) < place(carried), "the host is not ready"
    for image in (two.one(CARRIED, "web2/Echo"), two.one("command:remote:Command", "web2/debian:12")):
        assert place(image) < place(carried), "it stands still while an image is built"


def test_a_container_without_data_has_nothing_to_wait_for(graph: Graph) -> None:
    assert {one.name for one in carrying(graph)} == {"haproxy-carried", "postgres-carried", "hasetup-carried"}
