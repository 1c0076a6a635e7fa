"""The state holds what is there, not what was wanted, and so the next update does what this one could not."""

from __future__ import annotations

from typing import Any

import pytest

from provider.protocol.base import Failure, PartialFailure
from tests.provider.fake import Engine, FakeApi, refused
from tests.provider.test_gone import INSTANCE, TYPES

CHANGES: dict[str, dict[str, Any]] = {
    "SSHKey": {"name": "other"},
    "Vpc": {"description": "other"},
    "ReservedIp": {"label": "other"},
    "DnsDomain": {"dnsSec": "enabled"},
    "DnsRecord": {"data": "192.0.2.2"},
    "FirewallGroup": {"description": "other"},
    "BlockStorage": {"label": "other"},
    "Instance": {"label": "other", "tags": ["u"]},
}


@pytest.mark.parametrize("kind", CHANGES)
def test_a_refused_update_leaves_the_state_as_it_was(engine: Engine, api: FakeApi, kind: str) -> None:
    """The official plugin has the new values in the state, and the next update says `unchanged`."""
    inputs, path = TYPES[kind]
    state = engine.create(kind, **inputs)
    news = engine.inputs(kind, **inputs | CHANGES[kind])
    api.rules.append(lambda method, *_: refused(400, "no") if method in ("PATCH", "PUT") else None)
    with pytest.raises(Failure, match="answered 400: no") as failure:
        engine("Update", kind, id=state["id"], olds=state, news=news)
    assert not isinstance(failure.value, PartialFailure)
    api.rules.clear()
    assert engine("Diff", kind, id=state["id"], olds=state, news=news)["changes"] == "DIFF_SOME"
    outputs = engine("Update", kind, id=state["id"], olds=state, news=news)["properties"]
    for name, value in CHANGES[kind].items():
        assert outputs[name] == value
    assert engine("Diff", kind, id=state["id"], olds=outputs, news=news)["changes"] == "DIFF_NONE"
    assert len(api.objects[path]) == 1


def test_an_update_that_came_half_way_keeps_what_it_came_to(engine: Engine, api: FakeApi) -> None:
    volume = {"region": "ewr", "sizeGb": 10, "label": "b"}
    state = engine.create("BlockStorage", **volume)
    news = engine.inputs("BlockStorage", region="ewr", sizeGb=20, label="b", attachedToInstance="i-1")
    api.fail("POST", "/attach$", refused(400, "no"))
    left = engine.partly("Update", "BlockStorage", id=state["id"], olds=state, news=news)
    assert (left.state["sizeGb"], left.state["attachedToInstance"]) == (20, "")
    assert engine("Diff", "BlockStorage", id=left.id, olds=left.state, news=news)["diffs"] == ["attachedToInstance"]


def test_only_what_has_changed_is_sent(engine: Engine, api: FakeApi) -> None:
    state = engine.create("Instance", **INSTANCE)
    api.asked.clear()
    news = engine.inputs("Instance", **INSTANCE | {"tags": ["b", "a"]})
    engine("Update", "Instance", id=state["id"], olds=state, news=news)
    assert [body for method, _, body in api.asked if method == "PATCH"] == [{"tags": ["a", "b"]}]


def test_an_update_of_what_is_gone_says_so(engine: Engine, api: FakeApi) -> None:
    state = engine.create("SSHKey", **TYPES["SSHKey"][0])
    api.objects["/v2/ssh-keys"].clear()
    with pytest.raises(Failure, match=r"answered 404.*pulumi refresh"):
        engine("Update", "SSHKey", id=state["id"], olds=state, news=engine.inputs("SSHKey", name="o", sshKey="k"))


def test_a_vpc_that_is_attached_to_shows_in_the_preview(engine: Engine, api: FakeApi) -> None:
    unknown = engine("Create", "Instance", properties=engine.inputs("Instance", **INSTANCE), preview=True)
    state = engine.create("Instance", **INSTANCE)
    news = {**engine.inputs("Instance", **INSTANCE), "vpcIds": [unknown["properties"]["mainIp"]]}
    olds = {**state, "vpcIds": []}
    assert engine("Diff", "Instance", id=state["id"], olds=olds, news=news)["changes"] == "DIFF_SOME"
