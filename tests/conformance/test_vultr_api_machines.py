"""Machines follow what the API promised: also after a crash, a failed build, and in the right order."""

import asyncio
import threading
from ipaddress import IPv4Network, IPv6Address, IPv6Network

import httpx
import pytest

from lab import metadata
from lab.api import instances, later, plain
from lab.api.addresses import Addresses
from lab.api.backend import MemoryServers
from lab.api.control import control
from lab.api.errors import ApiError
from lab.api.faults import Faults
from lab.api.machines import Machines
from lab.api.region import Call, Region
from lab.api.requestlog import RequestLog
from lab.api.store import Store

BODY = {"region": "ewr", "plan": "vc2-1c-1gb", "os_id": 2625, "enable_ipv6": True, "label": "web1",
        "user_data": "I2Nsb3VkCg==", "hostname": "web1.example.com"}  # fmt: skip


def region(tmp_path, servers):
    store = Store(tmp_path / "region.json")
    addresses = Addresses(store, IPv4Network("10.88.0.0/16"), IPv6Network("2001:db8:77::/48"))
    return Region(store, addresses, Machines(store, servers))


def call(**fields):
    return Call(fields.get("params", {}), fields.get("query", {}), fields.get("body", {}))


def create(here, **more):
    _, answer = instances.create(here, call(body={**BODY, **more}))
    return answer["instance"]


def read(here, id_):
    return instances.read(here, call(params={"id": id_}))[1]["instance"]


def test_the_smallest_plan_has_traffic_too(tmp_path):
    async def life():
        created = create(region(tmp_path, MemoryServers()), plan="vc2-1c-0.5gb")
        assert (created["ram"], created["allowed_bandwidth"]) == (512, 500)

    asyncio.run(life())


def test_the_machine_is_made_as_the_api_reports_it(tmp_path):
    servers = MemoryServers()

    async def life():
        here = region(tmp_path, servers)
        created = create(here)
        assert (created["status"], created["power_status"], created["server_status"]) == (
            "pending",
            "running",
            "none",
        )
        assert (created["main_ip"], created["v6_network"]) == ("0.0.0.0", "")
        await here.machines.settle()
        shown, spec = read(here, created["id"]), servers.specs[created["id"]]
        assert (shown["status"], shown["power_status"], shown["server_status"]) == ("active", "running", "ok")
        assert (spec.ipv4, spec.prefix, spec.ipv6) == (
            shown["main_ip"],
            shown["v6_network"] + "/64",
            str(IPv6Address(shown["v6_main_ip"])),
        )
        assert (spec.hostname, spec.label, spec.os_id) == ("web1.example.com", "web1", 2625)
        # The rest it asks for when it boots.
        told = metadata.document(here.store.data, here.store.get("instances", created["id"]))
        assert told["user-data"] == "#cloud\n"
        assert created["default_password"] in told["vendor-data"]
        assert told["interfaces"][0]["mac"] == spec.mac
        assert told["interfaces"][0]["ipv4"]["address"] == spec.ipv4
        await here.machines.close()

    asyncio.run(life())


def test_a_build_that_was_cut_off_begins_again_on_a_clean_disk(tmp_path):
    servers = MemoryServers()

    async def before():
        here = region(tmp_path, servers)
        created = create(here)
        here.store.save()  # and the process dies: nothing is settled
        await here.machines.close()
        return created["id"]

    id_ = asyncio.run(before())
    servers.calls.clear()

    async def after():
        here = region(tmp_path, servers)
        here.machines.resume()
        await here.machines.settle()
        assert read(here, id_)["status"] == "active"
        await here.machines.close()

    asyncio.run(after())
    assert servers.calls == [("delete", id_), ("create", id_)]


def test_a_deletion_that_was_cut_off_is_finished(tmp_path):
    servers = MemoryServers()
    store = Store(tmp_path / "region.json")
    store.table("deleting")["old"] = "10.88.16.1"
    store.save()

    async def after():
        here = region(tmp_path, servers)
        here.machines.resume()
        await here.machines.settle()
        assert here.store.table("deleting") == {}
        await here.machines.close()

    asyncio.run(after())
    assert servers.calls == [("delete", "old")]


@pytest.mark.parametrize("dead", [False, True])
def test_machines_that_should_run_are_started_again_but_killed_ones_stay_dead(tmp_path, dead):
    servers = MemoryServers()

    async def life():
        here = region(tmp_path, servers)
        id_ = create(here)["id"]
        await here.machines.settle()
        if dead:
            await here.machines.kill(id_)
        here.store.save()
        servers.stop(id_)  # as a restart of this machine does
        again = region(tmp_path, servers)
        again.machines.resume()
        await again.machines.settle()
        assert servers.running(id_) is not dead
        await asyncio.gather(here.machines.close(), again.machines.close())

    asyncio.run(life())


class SlowToDelete(MemoryServers):
    """Holds each deletion for a moment, or until another machine is made."""

    def __init__(self):
        super().__init__()
        self.made = threading.Event()

    def create(self, spec):
        super().create(spec)
        self.made.set()

    def delete(self, server_id, /):
        self.made.wait(0.3)
        super().delete(server_id)


def test_a_machine_is_not_made_while_another_still_holds_its_address(tmp_path):
    servers = SlowToDelete()

    async def life():
        here = region(tmp_path, servers)
        old = create(here)
        await here.machines.settle()
        servers.made.clear()
        main_ip = read(here, old["id"])["main_ip"]
        instances.discard(here, here.store.table("instances")[old["id"]])
        new = create(here)
        here.store.table("instances")[new["id"]]["main_ip"] = main_ip  # as a reserved address would be
        await here.machines.settle()
        order = [step for step in servers.calls if step in {("delete", old["id"]), ("create", new["id"])}]
        assert order == [("delete", old["id"]), ("create", new["id"])]
        await here.machines.close()

    asyncio.run(life())


def test_an_address_in_use_is_passed_over_when_the_pool_comes_round(tmp_path):
    store = Store(tmp_path / "region.json")
    addresses = Addresses(store, IPv4Network("10.88.0.0/16"), IPv6Network("2001:db8:77::/48"))
    assert addresses.ipv4() == "10.88.16.1"
    store.table("deleting")["going"] = "10.88.16.1"
    store.table("reserved_ips")["kept"] = {"ip_type": "v4", "subnet": "10.88.16.2"}
    store.table("counters")["ipv4"] = 4093
    assert [addresses.ipv4() for _ in range(2)] == ["10.88.31.254", "10.88.16.3"]


class Stuck(MemoryServers):
    """Does nothing any more once it runs."""

    def reboot(self, server_id, /):
        raise RuntimeError("no space left on device")

    delete = reboot


@pytest.mark.parametrize("action", ["reboot", "delete"])
def test_who_asks_by_the_lab_s_own_handle_is_told_when_a_machine_does_not_follow(tmp_path, action):
    async def life():
        here = region(tmp_path, Stuck())
        id_ = create(here)["id"]
        await here.machines.settle()
        handle = httpx.ASGITransport(control(here, Faults(here.store), RequestLog(tmp_path / "requests.jsonl")))
        async with httpx.AsyncClient(transport=handle, base_url="http://127.0.0.1") as client:
            answer = await client.post(f"/instances/{id_}/{action}")
        assert answer.status_code == 500
        assert answer.json()["error"].startswith(f"{action} of web1: no space left on device; more in ")
        await here.machines.close()

    asyncio.run(life())


def test_a_failed_build_says_why_once_and_is_tried_again_by_the_next_update(tmp_path):
    servers = MemoryServers()
    servers.refuse = "no space left on device"

    async def life():
        here = region(tmp_path, servers)
        id_ = create(here)["id"]
        await here.machines.settle()
        with pytest.raises(ApiError, match="Installation of the server failed: RuntimeError: no space left") as told:
            read(here, id_)
        assert told.value.status == 409
        assert read(here, id_)["status"] == "suspended"
        instances.update(here, call(params={"id": id_}, body={"label": "web1", "tags": None}))
        await here.machines.settle()
        assert read(here, id_)["status"] == "active"
        await here.machines.close()

    asyncio.run(life())


def test_reinstalling_keeps_the_addresses_and_loses_the_disk(tmp_path):
    servers = MemoryServers()

    async def life():
        here = region(tmp_path, servers)
        id_ = create(here)["id"]
        await here.machines.settle()
        before = read(here, id_)
        servers.calls.clear()
        instances.reinstall(here, call(params={"id": id_}))
        await here.machines.settle()
        assert servers.calls == [("delete", id_), ("create", id_)]
        after = read(here, id_)
        assert {name: after[name] for name in before} == before
        await here.machines.close()

    asyncio.run(life())


def test_the_request_log_never_takes_more_than_twice_its_limit(tmp_path):
    path = tmp_path / "log" / "requests.jsonl"
    requests = RequestLog(path, limit=2000)
    for number in range(200):
        requests.add("GET", f"/v2/x/{number}", route="/v2/x", status=200, seconds=0.001, fault=None)
    assert sum(file.stat().st_size for file in path.parent.iterdir()) <= 2 * (2000 + 200)
    assert requests.counts == {"GET /v2/x 200": 200}


def test_a_machine_is_made_on_its_vpc_and_wired_when_that_changes(tmp_path):
    servers = MemoryServers()

    async def life():
        here = region(tmp_path, servers)

        def vpc(subnet):
            body = {"region": "ewr", "v4_subnet": subnet, "v4_subnet_mask": 24}
            return plain.create_vpc(here, call(body=body))[1]["vpc"]["id"]

        first, second = vpc("192.168.150.0"), vpc("192.168.151.0")
        id_ = create(here, attach_vpc=[first])["id"]
        await here.machines.settle()
        spec = servers.specs[id_]
        assert spec.private is not None
        assert (spec.private.vpc, spec.private.address) == (first, "192.168.150.3/24")
        assert read(here, id_)["internal_ip"] == "192.168.150.3"
        for body, wired in (
            ({"attach_vpc": [second], "detach_vpc": [first]}, (second, "192.168.151.3/24")),
            ({"detach_vpc": [second]}, None),
        ):
            instances.update(here, call(params={"id": id_}, body=body))
            await here.machines.settle()
            link = servers.wires[id_]
            assert (link and (link.vpc, link.address)) == wired
        assert read(here, id_)["internal_ip"] == ""

    asyncio.run(life())


def block(here, **more):
    _, answer = plain.create_block(here, call(body={"region": "ewr", "size_gb": 10, "label": "data", **more}))
    return answer["block"]


async def let_go(here, id_):
    """Wait until the volume is attached to nothing."""
    while plain.read_block(here, call(params={"id": id_}))[1]["block"]["attached_to_instance"]:
        later.settle(here.store)
        await asyncio.sleep(0.02)


async def attach(here, volume, instance):
    while later.waiting(here.store, "block_creation", volume["id"]):
        later.settle(here.store)
        await asyncio.sleep(0.02)
    plain.attach_block(here, call(params={"id": volume["id"]}, body={"instance_id": instance, "live": True}))


def test_a_volume_is_a_disk_of_the_machine_that_has_it_and_of_the_next_one_when_that_is_gone(tmp_path):
    servers = MemoryServers()

    async def life():
        here = region(tmp_path, servers)
        first, volume = create(here), block(here)
        await here.machines.settle()
        assert ("plug", first["id"]) not in servers.calls, "it never had any"
        await attach(here, volume, first["id"])
        await here.machines.settle()
        assert servers.disks[first["id"]] == {volume["mount_id"]: 10}
        plain.update_block(here, call(params={"id": volume["id"]}, body={"size_gb": 20}))
        await here.machines.settle()
        assert servers.disks[first["id"]] == {volume["mount_id"]: 20}
        servers.disks.clear()
        instances.power(here, here.store.get("instances", first["id"]), "reboot")
        await here.machines.settle()
        assert servers.disks[first["id"]] == {volume["mount_id"]: 20}, "at each start"
        instances.delete(here, call(params={"id": first["id"]}))
        assert plain.read_block(here, call(params={"id": volume["id"]}))[1]["block"]["attached_to_instance"]
        await let_go(here, volume["id"])
        second = create(here)
        await here.machines.settle()
        await attach(here, volume, second["id"])
        await here.machines.settle()
        assert servers.disks[second["id"]] == {volume["mount_id"]: 20}
        plain.detach_block(here, call(params={"id": volume["id"]}, body={"live": True}))
        await here.machines.settle()
        assert servers.disks[second["id"]] == {}
        assert servers.erased == []
        await let_go(here, volume["id"])
        plain.delete_block(here, call(params={"id": volume["id"]}))
        await here.machines.settle()
        assert servers.erased == [volume["mount_id"]]

    asyncio.run(life())


def test_a_volume_that_is_let_go_of_is_nobody_else_s_until_it_is_free(tmp_path):
    async def life():
        here = region(tmp_path, MemoryServers())
        first, second, volume = create(here), create(here), block(here)
        await here.machines.settle()
        await attach(here, volume, first["id"])
        plain.detach_block(here, call(params={"id": volume["id"]}, body={"live": True}))
        with pytest.raises(ApiError, match="is already attached"):
            await attach(here, volume, second["id"])
        with pytest.raises(ApiError, match="not currently attached"):
            plain.detach_block(here, call(params={"id": volume["id"]}))
        await let_go(here, volume["id"])
        await attach(here, volume, second["id"])
        await here.machines.settle()

    asyncio.run(life())


@pytest.mark.parametrize(
    "wanted",
    [
        {"size_gb": 9},
        {"size_gb": 10_001},
        {"size_gb": 39, "block_type": "storage_opt"},
        {"size_gb": 40_001, "block_type": "storage_opt"},
        {"size_gb": 40, "block_type": "fast"},
        {"size_gb": 40, "region": "atl"},  # which has storage_opt alone
    ],
)
def test_a_volume_that_is_not_sold_is_refused(tmp_path, wanted):
    async def life():
        here = region(tmp_path, MemoryServers())
        with pytest.raises(ApiError, match="Invalid"):
            block(here, **wanted)
        block(here, region="atl", block_type="storage_opt", size_gb=40)

    asyncio.run(life())
