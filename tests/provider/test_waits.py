"""It waits for what the API says, not for a time; it says what for, how long, and stops when told."""

from __future__ import annotations

from typing import Any

import pytest

from provider.protocol.base import Failure
from tests.provider.fake import Answer, Engine, FakeApi, refused

INSTANCE = {"region": "ewr", "plan": "p", "osId": 1, "label": "l", "tags": ["t"], "enableIpv6": True}
NEW = {
    "status": "pending",
    "server_status": "none",
    "main_ip": "0.0.0.0",
    "v6_network": "",
    "v6_main_ip": "",
    "v6_network_size": 0,
}
INSTALLING = {"status": "active", "server_status": "installingbooting"}
READY = {"status": "active", "server_status": "ok", "main_ip": "192.0.2.9", "v6_network": "2001:db8:1:2::"}


def goes_through(api: FakeApi, path: str, *fields: dict[str, Any], polls: int = 1) -> None:
    """The object at a path is another one at each look: each of `fields` for some polls, the last for ever."""
    left = [entry for entry in fields for _ in range(polls)]

    def rule(method: str, asked: str, body: object) -> Answer | None:
        collection, _, id = asked.rpartition("/")
        if method == "GET" and collection == path and id in api.objects.get(path, {}) and left:
            api.objects[path][id].update(left[0] if len(left) == 1 else left.pop(0))
        return None

    api.rules.append(rule)


def test_an_instance_is_ready_when_it_is_active_and_ok(engine: Engine, api: FakeApi) -> None:
    goes_through(api, "/v2/instances", NEW, INSTALLING, READY, polls=3)
    state = engine.create("Instance", **INSTANCE)
    assert (state["status"], state["serverStatus"], state["mainIp"]) == ("active", "ok", "192.0.2.9")


def test_one_that_is_ready_at_once_costs_a_second(engine: Engine, api: FakeApi) -> None:
    before = api.now
    engine.create("Instance", **INSTANCE)
    assert api.now - before <= 1.5


def test_polls_begin_after_a_second_and_get_rarer(engine: Engine, api: FakeApi) -> None:
    goes_through(api, "/v2/instances", NEW, READY, polls=20)
    engine.create("Instance", **INSTANCE)
    rests = api.rests[:12]
    assert rests[0] == 1.0
    assert rests == sorted(rests)
    assert max(api.rests) == 10.0


def test_vpc2_is_not_asked_for(engine: Engine, api: FakeApi) -> None:
    vpc = api.put("/v2/vpcs", region="ewr")["id"]
    state = engine.create("Instance", **INSTANCE, vpcIds=[vpc])
    engine("Read", "Instance", id=state["id"], properties=state, inputs={})
    engine("Read", "Instance", id=state["id"])
    assert not [path for path in api.requests() if "vpc2" in path]


def test_a_long_wait_is_shown(engine: Engine, api: FakeApi) -> None:
    goes_through(api, "/v2/instances", NEW, READY, polls=40)
    engine.create("Instance", **INSTANCE)
    shown = [(message, ephemeral) for message, severity, ephemeral in engine.logged if severity == "info"]
    assert any("to be ready" in message and "status pending" in message for message, _ in shown)
    assert {ephemeral for _, ephemeral in shown} == {True, False}, "some of it is kept where nobody watches"


def test_a_wait_that_is_over_says_its_limit_and_keeps_the_instance(engine: Engine, api: FakeApi) -> None:
    goes_through(api, "/v2/instances", NEW)
    failure = engine.partly("Create", "Instance", properties=engine.inputs("Instance", **INSTANCE))
    assert "waited 45 min for instance" in str(failure)
    assert "status pending" in str(failure)
    assert failure.id in api.objects["/v2/instances"]


@pytest.mark.parametrize(
    ("kind", "path", "inputs", "busy"),
    [
        ("Instance", "/v2/instances", INSTANCE, NEW),
        ("BlockStorage", "/v2/blocks", {"region": "ewr", "sizeGb": 10, "label": "b"}, {"status": "pending"}),
    ],
)
def test_an_interrupted_creation_is_recorded_and_finished_by_the_next_update(  # noqa: PLR0917
    engine: Engine, api: FakeApi, kind: str, path: str, inputs: dict[str, Any], busy: dict[str, Any]
) -> None:
    goes_through(api, path, busy)
    engine.plugin.cancelled.set()
    news = engine.inputs(kind, **inputs)
    before = api.now
    left = engine.partly("Create", kind, properties=news)
    assert "interrupted while waiting for" in str(left)
    assert api.now - before < 5
    assert list(api.objects[path]) == [left.id]

    api.rules.clear()
    goes_through(api, path, busy, READY if kind == "Instance" else {"status": "active"}, polls=3)
    later = engine.again()
    outputs = later("Update", kind, id=left.id, olds=left.state, news=news)["properties"]
    assert outputs["status"] == "active"
    assert len(api.requests("POST")) == 1, "it is not made a second time"


def test_an_instance_that_is_not_finished_stays_so_after_a_refresh(engine: Engine, api: FakeApi) -> None:
    """Else the next update would say `unchanged` of a server that nobody can log in to."""
    goes_through(api, "/v2/instances", NEW)
    engine.plugin.cancelled.set()
    news = engine.inputs("Instance", **INSTANCE)
    left = engine.partly("Create", "Instance", properties=news)
    found = engine.again().partly("Read", "Instance", id=left.id, properties=left.state, inputs=news)
    assert found.id == left.id
    assert found.inputs is not None
    assert found.inputs["plan"] == "p"
    planned = engine("Update", "Instance", id=left.id, olds=found.state, news=news, preview=True)["properties"]
    unknown = engine("Create", "Instance", properties=news, preview=True)["properties"]["mainIp"]
    for name in ("mainIp", "v6Network", "v6MainIp"):
        assert planned[name] == unknown, "what it will have is not known yet"


def test_a_changed_plan_is_waited_for(engine: Engine, api: FakeApi) -> None:
    state = engine.create("Instance", **INSTANCE)

    def resize(method: str, path: str, body: object) -> Answer | None:
        if method != "PATCH":
            return None
        api.rules.clear()
        goes_through(api, "/v2/instances", {"status": "resizing", "server_status": "locked", "disk": 0}, READY, polls=3)
        return api.answer(method, path, {"plan": "q"})

    api.rules.append(resize)
    news = engine.inputs("Instance", **INSTANCE | {"plan": "q"})
    outputs = engine("Update", "Instance", id=state["id"], olds=state, news=news)["properties"]
    assert (outputs["plan"], outputs["status"], outputs["serverStatus"]) == ("q", "active", "ok")


def test_a_suspended_instance_is_started_again_by_an_update(engine: Engine, api: FakeApi) -> None:
    state = engine.create("Instance", **INSTANCE)
    entry = api.objects["/v2/instances"][state["id"]]
    entry["status"] = "suspended"

    def start(method: str, path: str, body: object) -> Answer | None:
        if path.endswith("/start"):
            entry["status"] = "active"
            return 204, None
        return None

    api.rules.append(start)
    news = engine.inputs("Instance", **INSTANCE | {"label": "other"})
    outputs = engine("Update", "Instance", id=state["id"], olds=state, news=news)["properties"]
    assert outputs["status"] == "active"
    entry["status"] = "suspended"
    api.rules[:] = [lambda method, path, body: (204, None) if path.endswith("/start") else None]
    with pytest.raises(Failure, match="is suspended: see in Vultr's portal"):
        engine("Update", "Instance", id=state["id"], olds=state, news=news)
    assert len([path for path in api.requests("POST") if path.endswith("/start")]) == 2


def test_a_reserved_address_is_waited_for_until_its_last_instance_lets_go_of_it(engine: Engine, api: FakeApi) -> None:
    """It is held for seconds after the deletion."""
    held = refused(400, "Server add failed: Floating IPv4 address is already attached to another server")
    address = engine.create("ReservedIp", region="ewr", ipType="v4", label="l")
    api.objects["/v2/reserved-ips"][address["id"]]["instance_id"] = "dead"
    api.fail("POST", "^/v2/instances$", *[held] * 14)
    assert engine.create("Instance", **INSTANCE, reservedIpId=address["id"])["status"] == "active"
    assert len(api.objects["/v2/instances"]) == 1


def test_an_address_that_a_living_instance_has_is_not_waited_for_long(engine: Engine, api: FakeApi) -> None:
    held = refused(400, "Floating IPv4 address is already attached to another server")
    other = api.put("/v2/instances")["id"]
    address = api.put("/v2/reserved-ips", instance_id=other)["id"]
    api.fail("POST", "^/v2/instances$", *[held] * 500)
    before = api.now
    with pytest.raises(Failure, match=f"Instance {other} has the reserved IP {address}"):
        engine.create("Instance", **INSTANCE, reservedIpId=address)
    assert api.now - before < 90


def test_a_locked_instance_is_deleted_when_it_is_unlocked(engine: Engine, api: FakeApi) -> None:
    state = engine.create("Instance", **INSTANCE)
    locked = refused(500, "Unable to destroy server: Unable to remove VM: Server is currently locked")
    api.fail("DELETE", "/v2/instances/", *[locked] * 9)
    engine("Delete", "Instance", id=state["id"], properties=state)
    assert not api.objects["/v2/instances"]


def test_a_vpc_is_deleted_when_its_servers_have_left_it(engine: Engine, api: FakeApi) -> None:
    state = engine.create("Vpc", region="ewr", description="d")
    used = refused(400, "The following servers are attached to this VPC network: 1")
    before = api.now
    api.fail("DELETE", "/v2/vpcs/", *[used] * 120)
    engine("Delete", "Vpc", id=state["id"], properties=state)
    assert api.now - before > 15 * 60
    assert not api.objects["/v2/vpcs"]


def test_an_interrupt_ends_the_wait_for_a_deletion(engine: Engine, api: FakeApi) -> None:
    state = engine.create("Vpc", region="ewr", description="d")
    api.rules.append(lambda m, *_: refused(400, "attached to this VPC network") if m == "DELETE" else None)
    engine.plugin.cancelled.set()
    with pytest.raises(Failure, match="interrupted while waiting for VPC"):
        engine("Delete", "Vpc", id=state["id"], properties=state)


def attached(api: FakeApi, state: dict[str, Any]) -> str:
    return str(api.objects["/v2/reserved-ips"][state["id"]]["instance_id"])


@pytest.mark.parametrize("holder", ["", "i-1", "i-2"])
def test_a_reserved_address_is_attached_from_wherever_it_is(engine: Engine, api: FakeApi, holder: str) -> None:
    state = engine.create("ReservedIp", region="ewr", ipType="v6", label="l", instanceId="i-1")
    api.objects["/v2/reserved-ips"][state["id"]]["instance_id"] = holder
    news = engine.inputs("ReservedIp", region="ewr", ipType="v6", label="l", instanceId="i-2")
    engine("Update", "ReservedIp", id=state["id"], olds=state, news=news)
    assert attached(api, state) == "i-2"


def test_a_network_that_is_let_go_of_at_a_restart_only_gets_one(engine: Engine, api: FakeApi) -> None:
    """One: a server that restarts for ever serves nobody."""
    state = engine.create("ReservedIp", region="ewr", ipType="v6", label="l", instanceId="i-1")
    stuck = refused(400, "Unable to detach subnet, please restart your server from the control panel")
    api.fail("POST", "/detach$", *[stuck] * 12)
    api.fail("POST", "/reboot$", (204, None))
    news = engine.inputs("ReservedIp", region="ewr", ipType="v6", label="l", instanceId="i-2")
    engine("Update", "ReservedIp", id=state["id"], olds=state, news=news)
    assert attached(api, state) == "i-2"
    assert [path for path in api.requests("POST") if path.endswith("/reboot")] == ["POST /v2/instances/i-1/reboot"]


def test_to_detach_what_is_not_attached_is_to_succeed(engine: Engine, api: FakeApi) -> None:
    state = engine.create("ReservedIp", region="ewr", ipType="v4", label="l", instanceId="i-1")
    api.fail("POST", "/detach$", refused(400, "Reserved IP is not attached"))
    news = engine.inputs("ReservedIp", region="ewr", ipType="v4", label="l", instanceId="i-2")
    engine("Update", "ReservedIp", id=state["id"], olds=state, news=news)
    assert attached(api, state) == "i-2"


def test_an_address_that_its_instance_asked_for_is_left_where_it_is(engine: Engine, api: FakeApi) -> None:
    """After a rebuild the state may still name the instance of before."""
    state = engine.create("ReservedIp", region="ewr", ipType="v4", label="l") | {"instanceId": "dead"}
    api.objects["/v2/reserved-ips"][state["id"]]["instance_id"] = "new"
    news = engine.inputs("ReservedIp", region="ewr", ipType="v4", label="other")
    engine("Update", "ReservedIp", id=state["id"], olds=state, news=news)
    assert attached(api, state) == "new"


def test_an_address_that_was_not_attached_is_attached_by_the_next_update(engine: Engine, api: FakeApi) -> None:
    """The official plugin reports success, also when it could not even be read."""
    api.fail("POST", "/attach$", refused(400, "no"))
    api.fail("GET", "^/v2/reserved-ips/id", (200, {"reserved_ip": {}}), refused(400))
    news = engine.inputs("ReservedIp", region="ewr", ipType="v6", label="l", instanceId="i-1")
    left = engine.partly("Create", "ReservedIp", properties=news)
    engine("Update", "ReservedIp", id=left.id, olds=left.state, news=news)
    assert attached(api, {"id": left.id}) == "i-1"


VOLUME = {"region": "ewr", "sizeGb": 10, "label": "b"}


def test_a_volume_is_attached_when_nothing_locks_it_and_detached_from_elsewhere_first(
    engine: Engine, api: FakeApi
) -> None:
    state = engine.create("BlockStorage", **VOLUME, attachedToInstance="i-1")
    api.fail("POST", "/attach$", *[refused(400, "Server is currently locked")] * 3)
    news = engine.inputs("BlockStorage", **VOLUME, attachedToInstance="i-2")
    outputs = engine("Update", "BlockStorage", id=state["id"], olds=state, news=news)["properties"]
    assert outputs["attachedToInstance"] == "i-2"
    assert "POST /v2/blocks/id-1/detach" in api.requests("POST")
    assert not api.requests("PATCH"), "one that changes nothing is refused"


def test_a_volume_that_was_not_attached_is_attached_by_the_next_update(engine: Engine, api: FakeApi) -> None:
    """The official plugin reports success for one that is not."""
    api.fail("POST", "/attach$", refused(400, "no"))
    news = engine.inputs("BlockStorage", **VOLUME, attachedToInstance="i-1")
    left = engine.partly("Create", "BlockStorage", properties=news)
    outputs = engine("Update", "BlockStorage", id=left.id, olds=left.state, news=news)["properties"]
    assert outputs["attachedToInstance"] == "i-1"


def test_a_volume_that_its_last_instance_lets_go_of_late_is_detached_once_and_attached_after(
    engine: Engine, api: FakeApi
) -> None:
    """That of a dead instance, too. While it lets go, another detachment is refused, whoever asked for the first."""
    state = engine.create("BlockStorage", **VOLUME, attachedToInstance="i-1")
    held = (200, {"block": dict(api.objects["/v2/blocks"][str(state["id"])])})
    api.fail("GET", "^/v2/blocks/id", held, held, held, held)
    api.fail("POST", "/detach$", refused(400, "Block storage volume is not currently attached to a server"))
    api.fail("POST", "/attach$", refused(400, "Block storage volume is already attached to a server"))
    news = engine.inputs("BlockStorage", **VOLUME, attachedToInstance="i-2")
    outputs = engine("Update", "BlockStorage", id=state["id"], olds=state, news=news)["properties"]
    assert outputs["attachedToInstance"] == "i-2"
    assert [one for one in api.requests("POST") if one.endswith("tach")][1:] == [
        "POST /v2/blocks/id-1/detach",  # refused
        "POST /v2/blocks/id-1/detach",
        "POST /v2/blocks/id-1/attach",  # refused
        "POST /v2/blocks/id-1/attach",
    ]


@pytest.mark.parametrize(("wanted", "is_refused"), [(9, True), (10, False), (20, False)])
def test_a_volume_that_would_be_smaller_is_refused_when_it_is_planned(
    engine: Engine, wanted: int, is_refused: bool
) -> None:
    news = {**VOLUME, "sizeGb": wanted}
    failures = engine("Check", "BlockStorage", olds=VOLUME, news=news).get("failures") or []
    assert [failure["property"] for failure in failures] == (["sizeGb"] if is_refused else [])
    assert all("write 10 or more" in failure["reason"] for failure in failures)
