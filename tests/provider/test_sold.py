"""A server is not deleted for another one that can't be had: Vultr is asked while that is planned."""

from __future__ import annotations

from typing import Any

import pytest

from provider.protocol.base import Failure
from tests.provider.fake import Answer, Engine, FakeApi, refused
from tests.provider.test_gone import INSTANCE

MOVED = INSTANCE | {"region": "lax"}
LIST = "/v2/regions/lax/availability"


def sells(api: FakeApi, answer: Answer) -> None:
    api.rules.append(lambda method, path, body: answer if path.startswith("/v2/regions/") else None)


def diff(engine: Engine, news: dict[str, Any]) -> dict[str, Any]:
    state = engine.create("Instance", **INSTANCE)
    engine.api.asked.clear()
    return engine("Diff", "Instance", id=state["id"], olds=state, news=engine.inputs("Instance", **news))


def test_what_is_not_sold_there_ends_the_preview(engine: Engine, api: FakeApi) -> None:
    sells(api, (200, {"available_plans": ["vc2-1c-1gb", "vhp-1c-1gb-amd"]}))
    with pytest.raises(Failure, match=r"no vc2-2c-4gb in lax just now \(there are vc2-1c-1gb\), and this server would"):
        diff(engine, MOVED | {"plan": "vc2-2c-4gb"})
    with pytest.raises(Failure, match=r"no voc-1 in lax just now .nor any of its kind.*write another plan or region"):
        diff(engine, MOVED | {"plan": "voc-1"})


def test_what_is_sold_there_is_planned(engine: Engine, api: FakeApi) -> None:
    sells(api, (200, {"available_plans": ["p"]}))
    assert diff(engine, MOVED)["replaces"] == ["region"]
    assert api.requests() == [f"GET {LIST}"]


def test_a_rebuild_where_it_is_asks_as_well(engine: Engine, api: FakeApi) -> None:
    sells(api, (200, {"available_plans": []}))
    with pytest.raises(Failure, match="no p in ewr just now"):
        diff(engine, INSTANCE | {"osId": 2})


def test_a_region_that_there_is_not_is_said(engine: Engine, api: FakeApi) -> None:
    sells(api, refused(404, "Invalid region ID."))
    with pytest.raises(Failure, match="Vultr has no region 'lax'"):
        diff(engine, MOVED)


@pytest.mark.parametrize(
    "answer",
    [
        (0, None),
        refused(401),
        (429, "", {"retry-after": "3"}),
        refused(429),
        refused(500),
        (404, "<html>"),
        (200, {"available_plans": None}),
    ],
    ids=str,
)
def test_what_can_t_be_asked_fails_nothing_and_is_asked_once(engine: Engine, api: FakeApi, answer: Answer) -> None:
    sells(api, answer)
    assert diff(engine, MOVED)["replaces"] == ["region"]
    assert api.requests() == [f"GET {LIST}"]
    warned = [text for text, severity, _ in engine.logged if severity == "warning"]
    assert len(warned) == (0 if answer[0] == 200 else 1), warned


def test_what_stays_asks_nobody(engine: Engine, api: FakeApi) -> None:
    assert diff(engine, INSTANCE | {"label": "other", "plan": "q"})["replaces"] == []
    assert api.requests() == []


def test_what_has_moved_by_hand_is_read_whatever_is_sold(engine: Engine, api: FakeApi) -> None:
    """A refresh compares what it has read with what was recorded; no program says that it be made anew."""
    sells(api, (200, {"available_plans": []}))
    state, recorded = engine.create("Instance", **INSTANCE), engine.inputs("Instance", **INSTANCE)
    refreshing = engine.again()
    api.objects["/v2/instances"][state["id"]]["os_id"] = 2
    read = refreshing("Read", "Instance", id=state["id"], properties=state, inputs=recorded)
    found = refreshing("Diff", "Instance", id=state["id"], olds=read["properties"], news=recorded)
    assert found["replaces"] == ["osId"]
    assert not any("availability" in path for _, path, _ in api.asked)
