"""What block storage promises of the graph: it outlives its server, and nothing uses a volume before it is there."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.mocks.program import Graph

BLOCK, VOLUME = "vultr:index/blockStorage:BlockStorage", "docker:index/volume:Volume"
COMMAND = "command:remote:Command"


@pytest.fixture
def stored(stack_file: dict[str, Any], program: Any) -> Graph:
    stack_file["servers"]["web1"]["data"] = {"gb": 40}
    found: Graph = program(stack_file)
    return found


def test_it_is_attached_to_the_instance_and_goes_with_it_never(stored: Graph) -> None:
    block, instance = stored.one(BLOCK, "web1"), stored.one("vultr:index/instance:Instance", "web1")
    assert block.inputs["attachedToInstance"] == "web1-id"
    assert (block.inputs["sizeGb"], block.inputs["blockType"], block.inputs["live"]) == (40, "high_perf", True)
    assert block.protect
    assert block.retain_on_delete
    # Otherwise revive, which drops the instance with its dependents, would be refused.
    assert instance.urn not in block.dependencies
    assert not block.property_dependencies.get("attachedToInstance")
    assert not block.deleted_with


def test_the_host_is_told_the_device_and_volumes_come_after_it_is_mounted(stored: Graph) -> None:
    told = json.loads(stored.one("command:local:Command", "web1").sent()["vars.json"])
    assert told["apiary_data"] == {"device": "virtio-ewr-web1"}
    prepared = stored.one(COMMAND, "web1-data")
    assert json.loads(prepared.inputs["stdin"]) == {"volumes": ["haproxycfg", "pgdata"], "gb": 40}
    for volume in stored.of_type(VOLUME):
        assert volume.inputs["driverOpts"] == {
            "type": "none", "o": "bind", "device": f"/srv/data/volumes/{volume.inputs['name']}",
        }  # fmt: skip
        assert prepared.urn in volume.dependencies
        assert volume.retain_on_delete
        # All containers that have it are made anew when its place is another one.
        assert volume.delete_before_replace is True


def test_the_old_host_unmounts_it_and_a_dead_one_is_not_asked(stored: Graph) -> None:
    prepared = stored.one(COMMAND, "web1-data")
    assert "apiary-data release" in prepared.inputs["delete"]
    assert prepared.inputs["triggers"] == ["web1-id"]
    assert prepared.deleted_with == stored.one("vultr:index/instance:Instance", "web1").urn


def test_without_it_volumes_are_on_the_disk_as_ever(graph: Graph) -> None:
    assert not graph.of_type(BLOCK)
    assert not [one for one in graph.of_type(COMMAND) if one.name == "web1-data"]
    for volume in graph.of_type(VOLUME):
        assert "driverOpts" not in volume.inputs
        assert volume.delete_before_replace is None
    assert b"apiary_data" not in graph.one("command:local:Command", "web1").sent()["vars.json"]
