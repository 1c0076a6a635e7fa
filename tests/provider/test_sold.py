"""A server is not deleted for another one that can't be had: Vultr is asked while that is planned."""

from __future__ import annotations

from typing import Any

import pytest

from provider.protocol.base import UNKNOWN, Failure
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
    sells(api, (200, {"available_plans": ["vhp-1c-1gb-amd", "vbm-4c-32gb", "vc2-1c-0.5gb-v6", "vc2-1c-1gb", "p"]}))
    with pytest.raises(Failure) as failure:
        diff(engine, MOVED | {"plan": "vc2-2c-4gb", "osId": 2})
    assert str(failure.value) == (
        "Vultr has no vc2-2c-4gb in lax just now (there are vc2-1c-1gb, p, vhp-1c-1gb-amd). This server would be "
        "deleted before another one is made, for another osId, region; nothing has been touched. To have another one, "
        "write one of these, or another region, or wait until it is there; to keep this one, take back what changes "
        "osId, region"
    )


def test_of_many_those_like_it_are_named(engine: Engine, api: FakeApi) -> None:
    sizes = (0.5, 1, 2, 4, 8, 16, 32, 64, 96, 128)
    sells(api, (200, {"available_plans": [f"{kind}-1c-{size}gb" for kind in ("vhf", "vc2") for size in sizes]}))
    near = ", ".join(f"vc2-1c-{size}gb" for size in (32, 16, 64, 96, 128, 8, 4, 2))
    with pytest.raises(Failure, match=rf"\(there are {near}\)"):
        diff(engine, MOVED | {"plan": "vc2-8c-32gb"})
    sells(api, (200, {"available_plans": []}))
    api.rules.reverse()
    with pytest.raises(Failure, match=r"just now \(nor any other\)"):
        diff(engine, MOVED | {"plan": "vc2-8c-32gb"})


@pytest.mark.parametrize("text", ["Plan is not available in the selected region", "Invalid plan chosen."])
def test_a_creation_that_is_refused_for_it_says_what_there_is(engine: Engine, api: FakeApi, text: str) -> None:
    """The old one is gone by then where nobody was asked: `--replace`, or it was sold out since."""
    sells(api, (200, {"available_plans": ["vc2-1c-1gb"]}))
    api.fail("POST", "/v2/instances$", refused(400, text))
    said = rf"{text}\. Vultr has no p in ewr just now \(there are vc2-1c-1gb\): write one of"
    with pytest.raises(Failure, match=said):
        engine.create("Instance", **INSTANCE)


@pytest.mark.parametrize("answer", [(200, {"available_plans": ["p"]}), (0, None), refused(500)], ids=str)
def test_a_creation_that_is_refused_for_something_else_says_that(engine: Engine, api: FakeApi, answer: Answer) -> None:
    sells(api, answer)
    api.fail("POST", "/v2/instances$", refused(400, "Invalid hostname"))
    with pytest.raises(Failure, match=r"answered 400: Invalid hostname$"):
        engine.create("Instance", **INSTANCE)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ((200, {"upgrades": {"plans": ["q", "r"]}}), "can get q, r just now"),
        ((200, {"upgrades": {"plans": []}}), "can get none just now"),
        (refused(500), "can get one with more"),
        ((200, {"upgrades": None}), "can get one with more"),
    ],
    ids=str,
)
def test_a_plan_that_a_server_can_t_get_is_said_with_those_it_can(
    engine: Engine, api: FakeApi, answer: Answer, said: str
) -> None:
    state = engine.create("Instance", **INSTANCE)
    api.fail("GET", "/upgrades", answer)
    api.fail("PATCH", "/v2/instances/", refused(400, "Unable to change plan: the disk of the new plan is smaller"))
    news = engine.inputs("Instance", **{**INSTANCE, "plan": "small"})
    with pytest.raises(Failure, match=rf"new plan is smaller\. This server {said}.*--replace 'urn:pulumi"):
        engine("Update", "Instance", id=state["id"], olds=state, news=news)
    assert api.objects["/v2/instances"][state["id"]]["plan"] == "p"


ISO = {"isoId": "i"}
WRONG: list[tuple[dict[str, Any], str]] = [
    (ISO, "an instance is made of one of osId, appId, imageId, isoId, snapshotId; osId and isoId are given"),
    ({"osId": None}, "; none is given"),
    ({"backups": "enabled"}, "backups are switched on: say when in backupsSchedule"),
    ({"vpc2Ids": ["v"]}, "vpc2Ids: Vultr has no VPC 2.0 any more"),
]


@pytest.mark.parametrize(("more", "said"), WRONG, ids=str)
def test_nothing_is_deleted_for_what_can_t_be_made(
    engine: Engine, api: FakeApi, more: dict[str, Any], said: str
) -> None:
    """An imported server, of whose system the program says nothing, would be gone before anybody noticed."""
    sells(api, (200, {"available_plans": ["p"]}))
    state = engine.create("Instance", **INSTANCE)
    news = {k: v for k, v in {**INSTANCE, "hostname": "other", **more}.items() if v is not None}
    inputs = engine("Check", "Instance", olds=engine.inputs("Instance", **INSTANCE), news=news)["inputs"]
    with pytest.raises(Failure, match=r"for another hostname; nothing has been touched\. Put") as failure:
        engine("Diff", "Instance", id=state["id"], olds=state, news=inputs)
    assert said in str(failure.value)
    assert api.objects["/v2/instances"]


@pytest.mark.parametrize(("more", "said"), WRONG, ids=str)
def test_what_can_t_be_made_ends_in_its_preview(engine: Engine, more: dict[str, Any], said: str) -> None:
    """An ISO may be attached to what is there, and what is left out of that stays."""
    news = {k: v for k, v in {**INSTANCE, **more}.items() if v is not None}
    [failure] = engine("Check", "Instance", olds={}, news=news)["failures"]
    assert said in failure["reason"]
    assert not engine("Check", "Instance", olds=engine.inputs("Instance", **INSTANCE), news=news).get("failures")


def test_what_is_known_later_is_judged_later(engine: Engine, api: FakeApi) -> None:
    sells(api, (200, {"available_plans": ["p"]}))
    for name in ("isoId", "osId", "backups"):
        assert not engine("Check", "Instance", olds={}, news=INSTANCE | {name: UNKNOWN}).get("failures")
    assert diff(engine, INSTANCE | {"hostname": "other", "isoId": UNKNOWN})["replaces"] == ["hostname"]


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
