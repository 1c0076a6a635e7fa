"""Gone is what is answered with 404 by its id, and nothing else."""

from __future__ import annotations

from typing import Any

import pytest

from provider.protocol.base import Failure, PartialFailure
from tests.provider.fake import COLLECTIONS, Engine, FakeApi, refused

INSTANCE = {"region": "ewr", "plan": "p", "osId": 1, "label": "l", "tags": ["t"]}
# Each type: its inputs, the path of its collection.
TYPES: dict[str, tuple[dict[str, Any], str]] = {
    "SSHKey": ({"name": "n", "sshKey": "ssh-ed25519 A"}, "/v2/ssh-keys"),
    "Vpc": ({"region": "ewr", "description": "d"}, "/v2/vpcs"),
    "ReservedIp": ({"region": "ewr", "ipType": "v4", "label": "l"}, "/v2/reserved-ips"),
    "DnsDomain": ({"domain": "example.com"}, "/v2/domains"),
    "DnsRecord": (
        {"domain": "example.com", "name": "", "type": "A", "data": "192.0.2.1"},
        "/v2/domains/example.com/records",
    ),
    "FirewallGroup": ({"description": "d"}, "/v2/firewalls"),
    "FirewallRule": (
        {"firewallGroupId": "g", "ipType": "v4", "protocol": "tcp", "subnet": "0.0.0.0", "subnetSize": 0, "port": "22"},
        "/v2/firewalls/g/rules",
    ),
    "BlockStorage": ({"region": "ewr", "sizeGb": 10, "label": "b"}, "/v2/blocks"),
    "Instance": (INSTANCE, "/v2/instances"),
}
UNSURE = {
    "refused key": refused(401, "Invalid API token."),
    "forbidden": refused(403),
    "bad request": refused(400, "invalid instance ID"),
    "too many": refused(429),
    "server error": refused(500, "Invalid ssh key; status:404"),
    "no JSON": (200, "<html>404 Not Found</html>"),
    "somebody else's 404": (404, "<html>404 Not Found</html>"),
    "an empty 404": (404, ""),
    "no object": (200, {"status": 404}),
    "a list": (200, []),
    "cut off": (0, ""),
}


def read(engine: Engine, kind: str, state: dict[str, Any], inputs: dict[str, Any]) -> Any:
    return engine("Read", kind, id=state["id"], properties=state, inputs=inputs)


@pytest.mark.parametrize("kind", TYPES)
def test_what_was_made_is_read_and_what_is_answered_with_404_is_gone(engine: Engine, api: FakeApi, kind: str) -> None:
    inputs, path = TYPES[kind]
    state = engine.create(kind, **inputs)
    checked = engine.inputs(kind, **inputs)
    assert read(engine, kind, state, checked)["id"] == state["id"]
    assert engine("Diff", kind, id=state["id"], olds=state, news=checked)["changes"] == "DIFF_NONE"
    api.objects[path].clear()
    api.now += 60
    assert read(engine, kind, state, checked) == {}


@pytest.mark.parametrize("answer", UNSURE)
@pytest.mark.parametrize("kind", TYPES)
def test_nothing_but_404_says_that_something_is_gone(engine: Engine, api: FakeApi, kind: str, answer: str) -> None:
    inputs, _ = TYPES[kind]
    state = engine.create(kind, **inputs)
    api.rules.append(lambda method, path, body: UNSURE[answer] if method == "GET" else None)
    with pytest.raises(Failure) as failure:
        read(engine, kind, state, engine.inputs(kind, **inputs))
    assert not isinstance(failure.value, PartialFailure), "the state stays as it is"
    assert "GET /v2/" in str(failure.value), "it says which request failed"


@pytest.mark.parametrize("answer", UNSURE)
@pytest.mark.parametrize("kind", ["DnsRecord", "Instance", "SSHKey"])
def test_nothing_but_404_says_so_of_an_object_that_its_list_lacks(
    engine: Engine, api: FakeApi, kind: str, answer: str
) -> None:
    inputs, path = TYPES[kind]
    state = engine.create(kind, **inputs)
    api.objects[path].clear()
    api.rules.append(lambda method, asked, body: UNSURE[answer] if "per_page" not in asked else None)
    with pytest.raises(Failure, match=f"GET {path}/{state['id']} was"):
        read(engine, kind, state, engine.inputs(kind, **inputs))


@pytest.mark.parametrize("kind", TYPES)
def test_an_object_that_a_list_lacks_is_asked_for_by_its_id(engine: Engine, api: FakeApi, kind: str) -> None:
    """A list may be old, or incomplete."""
    inputs, _ = TYPES[kind]
    state = engine.create(kind, **inputs)
    lists = {kind[1]: [] for kind in COLLECTIONS.values()}
    api.rules.append(lambda method, asked, body: (200, lists) if "per_page" in asked else None)
    assert read(engine, kind, state, engine.inputs(kind, **inputs))["id"] == state["id"]


def test_a_listed_object_without_a_field_is_read_by_its_id(engine: Engine, api: FakeApi) -> None:
    """A user_scheme that is left out would replace the server."""
    state = engine.create("Instance", **INSTANCE)
    short = {k: v for k, v in api.objects["/v2/instances"][state["id"]].items() if k != "user_scheme"}
    api.rules.append(lambda m, path, b: (200, {"instances": [short]}) if "per_page" in path else None)
    assert read(engine, "Instance", state, {})["properties"]["userScheme"] == "root"


@pytest.mark.parametrize(
    ("field", "left"), [("user_scheme", ""), *((name, None) for name in ("user_scheme", "hostname", "os_id", "tags"))]
)
def test_an_answer_that_leaves_something_out_replaces_no_server(
    engine: Engine, api: FakeApi, field: str, left: str | None
) -> None:
    inputs = {**INSTANCE, "hostname": "web1"}
    state = engine.create("Instance", **inputs)
    entry = api.objects["/v2/instances"][state["id"]]
    entry.pop(field)
    if left is not None:
        entry[field] = left
    news = engine.inputs("Instance", **inputs)
    read = engine("Read", "Instance", id=state["id"], properties=state, inputs=news)["properties"]
    assert engine("Diff", "Instance", id=state["id"], olds=read, news=news)["changes"] == "DIFF_NONE"


def test_a_refused_key_is_named_with_its_remedy(engine: Engine, api: FakeApi) -> None:
    state = engine.create("DnsDomain", domain="example.com")
    api.rules.append(lambda *_: refused(401, "Invalid API token."))
    with pytest.raises(Failure, match=r"Invalid API token\..*pulumi config set --secret vultr:apiKey"):
        read(engine, "DnsDomain", state, {})


@pytest.mark.parametrize("kind", TYPES)
def test_to_delete_what_is_gone_is_to_succeed(engine: Engine, api: FakeApi, kind: str) -> None:
    inputs, path = TYPES[kind]
    state = engine.create(kind, **inputs)
    api.objects[path].clear()
    assert engine("Delete", kind, id=state["id"], properties=state) == {}


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("status", [400, 401, 403, 500])
def test_a_deletion_that_is_refused_fails(engine: Engine, api: FakeApi, kind: str, status: int) -> None:
    inputs, path = TYPES[kind]
    state = engine.create(kind, **inputs)
    api.rules.append(lambda method, *_: refused(status, "Not Found") if method == "DELETE" else None)
    with pytest.raises(Failure, match=f"answered {status}: Not Found"):
        engine("Delete", kind, id=state["id"], properties=state)
    assert api.objects[path]


NAMES = {
    "ReverseIpv4": ("/v2/instances/i/ipv4", {"ip": "192.0.2.9", "netmask": "", "gateway": ""}),
    "ReverseIpv6": ("/v2/instances/i/ipv6/reverse", {"ip": "2001:0db8:0000:0000:0000:0000:0000:0053"}),
}


@pytest.mark.parametrize("kind", NAMES)
def test_a_reverse_name_is_gone_when_its_list_lacks_it_or_its_instance_is_gone(
    engine: Engine, api: FakeApi, kind: str
) -> None:
    path, entry = NAMES[kind]
    api.reverse[path] = [{**entry, "reverse": "a.example"}]
    ip = "192.0.2.9" if kind == "ReverseIpv4" else "2001:db8::53"
    state = {"id": ip, "instanceId": "i", "ip": ip, "reverse": "a.example"}
    assert read(engine, kind, state, {})["properties"]["ip"] == ip
    api.now += 60
    api.reverse[path] = []
    assert read(engine, kind, state, {}) == {}
    api.now += 60
    del api.reverse[path]
    assert read(engine, kind, state, {}) == {}
    assert engine("Delete", kind, id=ip, properties=state) == {}, "its instance took it along"
    api.rules.append(lambda *_: refused(401))
    with pytest.raises(Failure, match="answered 401"):
        read(engine, kind, state, {})


def test_an_instance_that_is_being_destroyed_is_waited_for(engine: Engine, api: FakeApi) -> None:
    state = engine.create("Instance", **INSTANCE)
    api.objects["/v2/instances"].clear()
    pending = refused(500, "Server is pending destruction")
    api.fail("GET", r"^/v2/instances/id-\d+$", *[pending] * 12)
    assert read(engine, "Instance", state, {}) == {}


def test_a_refresh_during_an_outage_costs_no_record(engine: Engine, api: FakeApi) -> None:
    """The official plugin drops them all, and the next update makes each a second time."""
    inputs, _ = TYPES["DnsRecord"]
    states = [engine.create("DnsRecord", name, **{**inputs, "name": name}) for name in ("a", "b")]
    api.rules.append(lambda method, *_: (0, "") if method == "GET" else None)
    for state in states:
        with pytest.raises(Failure, match="was not answered"):
            read(engine, "DnsRecord", state, {})


def test_a_404_of_what_an_object_is_attached_to_does_not_say_that_the_object_is_gone(
    engine: Engine, api: FakeApi
) -> None:
    """Else it leaves the state, and goes on to cost."""
    state = engine.create("BlockStorage", region="ewr", sizeGb=10, label="b", attachedToInstance="i")
    api.fail("POST", "/detach", refused(404, "instance not found"))
    with pytest.raises(Failure, match="instance not found"):
        engine("Delete", "BlockStorage", id=state["id"], properties=state)
    assert api.objects["/v2/blocks"]
    engine("Delete", "BlockStorage", id=state["id"], properties=state)
    assert not api.objects["/v2/blocks"]


def test_a_file_system_whose_server_goes_meanwhile_is_deleted_all_the_same(engine: Engine, api: FakeApi) -> None:
    attached = [{"target_id": "i", "state": "ATTACHED", "mount_tag": "1"}]

    def rule(method: str, path: str, body: object) -> Any:
        if method == "GET" and path.endswith("/attachments"):
            return 200, {"attachments": list(attached)}
        if method == "DELETE" and path.endswith("/attachments/i"):
            attached.clear()
            return refused(404, "instance not found")
        return (204, None) if method == "DELETE" else None

    api.rules.append(rule)
    state = {"id": "v", "region": "ewr", "label": "l", "sizeGb": 10, "attachedInstances": ["i"]}
    engine("Delete", "VirtualFileSystemStorage", id="v", properties=state)
    assert api.requests("DELETE") == ["DELETE /v2/vfs/v/attachments/i", "DELETE /v2/vfs/v"]
