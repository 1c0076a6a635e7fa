"""apache-libcloud: servers, volumes and keys by its compute driver, zones and records by its DNS driver."""

import time

import pytest
from libcloud.compute.providers import get_driver as compute
from libcloud.compute.types import NodeState, StorageVolumeState
from libcloud.dns.providers import get_driver as dns
from libcloud.dns.types import RecordType

pytestmark = pytest.mark.usefixtures("lab_env", "nothing_left", "unlimited")
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGenericGenericGenericGenericGenericGeneric1 admin@example.com"


def eventually(ask, seconds=30):
    """The first true answer."""
    deadline = time.monotonic() + seconds
    while not (answer := ask()):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    return answer


def test_a_server_lives_with_its_key_and_volume():
    driver = compute("vultr")("a-key", api_version="2")
    place = next(place for place in driver.list_locations() if place.id == "ewr")
    sizes = {size.id: size for size in driver.list_sizes()}
    image = next(image for image in driver.list_images() if image.id == "2136")
    assert sizes["vc2-1c-1gb"].price == 5
    assert "vc2-1c-1gb" in driver.ex_list_available_sizes_for_location(place)
    key = driver.import_key_pair_from_string("stranger", KEY)
    assert [pair.name for pair in driver.list_key_pairs()] == ["stranger"]

    created = driver.create_node(
        "stranger", sizes["vc2-1c-1gb"], place, image=image, ex_ssh_key_ids=[key.extra["id"]], ex_enable_ipv6=True,
        ex_tag="one",
    )  # fmt: skip
    node = eventually(lambda: running(driver, created.id))
    assert (node.extra["tag"], node.extra["server_status"]) == ("one", "ok")
    assert node.public_ips[0].startswith("10.88.")
    assert [listed.id for listed in driver.list_nodes()] == [node.id]

    volume = driver.create_volume(10, "stranger", place)
    eventually(lambda: driver.ex_get_volume(volume.id).state == StorageVolumeState.AVAILABLE)
    assert driver.ex_resize_volume(volume, 20)
    assert driver.attach_volume(node, volume, ex_live=True)
    assert driver.ex_get_volume(volume.id).extra["attached_to_instance"] == node.id
    assert driver.detach_volume(volume, ex_live=True)
    assert driver.destroy_volume(volume)

    assert driver.stop_node(node)
    eventually(lambda: driver.ex_get_node(node.id).state == NodeState.STOPPED)
    assert driver.start_node(node)
    assert driver.reboot_node(node)
    assert driver.ex_resize_node(node, sizes["vc2-1c-2gb"])
    assert eventually(lambda: running(driver, node.id)).extra["ram"] == 2048
    assert driver.destroy_node(node)
    assert driver.delete_key_pair(key)


def running(driver, id_):
    node = driver.ex_get_node(id_)
    return node if (node.state, node.extra["server_status"]) == (NodeState.RUNNING, "ok") else None


def test_a_zone_lives_with_its_records():
    driver = dns("vultr")("a-key", api_version="2")
    zone = driver.create_zone("stranger.example.org", extra={"ip": "192.0.2.1"})
    assert [listed.domain for listed in driver.list_zones()] == ["stranger.example.org"]
    assert {record.extra["priority"] for record in zone.list_records() if record.type != RecordType.MX} == {-1}
    for kind, data, other in (
        (RecordType.A, "192.0.2.2", "192.0.2.3"),
        (RecordType.TXT, '"v=spf1 -all"', '"v=spf1 mx -all"'),
        (RecordType.CAA, '0 issue "ca.example.net"', '0 issue "ca.example.com"'),
    ):
        record = zone.create_record(f"x-{kind.lower()}", kind, data, extra={"ttl": 300})
        assert driver.get_record(zone.id, record.id).data == data
        assert driver.update_record(record, data=other)
        assert driver.get_record(zone.id, record.id).data == other
        assert driver.delete_record(record)
    assert driver.delete_zone(zone)
