"""A set of records gets another TTL, at an API that refuses two in one set and at one that does not; none is lost."""

from __future__ import annotations

import itertools
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from provider.protocol.base import Failure
from tests.provider.fake import Answer, Engine, FakeApi, refused
from tests.provider.test_cut_off import Killed

ZONE = "/v2/domains/example.com/records"
JSON = dict[str, Any]
SETS: dict[str, list[JSON]] = {
    "MX": [{"type": "MX", "name": "", "data": f"mx{n}.example.net", "priority": n} for n in (10, 20, 30)],
    "TXT": [{"type": "TXT", "name": "", "data": text} for text in ("v=spf1 -all", "verified=1")],
    "NS": [{"type": "NS", "name": "sub", "data": f"ns{n}.example.net"} for n in (1, 2)],
    "A": [{"type": "A", "name": "*.apps", "data": f"192.0.2.{n}"} for n in (1, 2, 3, 4)],
}


def inputs(engine: Engine, record: JSON, ttl: int) -> JSON:
    return engine.inputs("DnsRecord", domain="example.com", **record, ttl=ttl)


def made(engine: Engine, records: list[JSON], ttl: int = 300) -> list[JSON]:
    """The state of each."""
    return [
        engine.create("DnsRecord", f"r{n}", domain="example.com", **record, ttl=ttl) for n, record in enumerate(records)
    ]


def update(engine: Engine, n: int, state: JSON, record: JSON, ttl: int) -> JSON:
    found = engine("Update", "DnsRecord", f"r{n}", id=state["id"], olds=state, news=inputs(engine, record, ttl))
    return dict(found["properties"])


def zone(api: FakeApi) -> list[tuple[str, str, int, str]]:
    """Name, data, TTL and id of each record, in the order of creation."""
    return [(one["name"], one["data"], one["ttl"], one["id"]) for one in api.objects[ZONE].values()]


def wanted(states: list[JSON], records: list[JSON], ttl: int) -> list[tuple[str, str, int, str]]:
    return [(one["name"], one["data"], ttl, state["id"]) for state, one in zip(states, records, strict=True)]


@pytest.mark.parametrize("one_ttl", [True, False], ids=["refused", "taken"])
@pytest.mark.parametrize("kind", SETS)
def test_a_set_gets_another_ttl_and_keeps_its_ids(engine: Engine, api: FakeApi, kind: str, one_ttl: bool) -> None:
    records = SETS[kind]
    states = made(engine, records)
    other = made(engine, [{**records[0], "name": "beside"}])
    api.one_ttl = one_ttl
    engine.plugin.close()
    later = engine.again()
    for n, (state, record) in enumerate(zip(states, records, strict=True)):
        outputs = update(later, n, state, record, 600)
        assert (outputs["name"], outputs["data"], outputs["ttl"]) == (record["name"], record["data"], 600)
    assert zone(api) == [*wanted(states, records, 600), *wanted(other, [{**records[0], "name": "beside"}], 300)]
    assert not api.requests("DELETE")
    names = [body["name"] for method, _, body in api.asked if method == "PATCH" and body]
    assert all("*" not in name[1:] for name in names), "a star is the first label or none"


def test_a_set_whose_name_is_read_back_in_unicode_is_one_all_the_same(engine: Engine, api: FakeApi) -> None:
    records = [{"type": "A", "name": "xn--bcher-kva", "data": f"192.0.2.{n}"} for n in (1, 2, 3)]
    states = made(engine, records)

    def unicode(method: str, path: str, body: Any) -> Answer | None:
        if method != "GET":
            return None
        status, found, *more = api.answer(method, path, body)
        return status, json.loads(json.dumps(found).replace("xn--bcher-kva", "bücher")), *more  # type: ignore[return-value]

    api.rules.append(unicode)
    for n, (state, record) in enumerate(zip(states, records, strict=True)):
        assert update(engine, n, state, record, 600)["ttl"] == 600
    states += made(engine, [{**records[0], "data": "192.0.2.9"}], 900)
    assert zone(api) == wanted(states, [*records, {**records[0], "data": "192.0.2.9"}], 900)
    assert all((body or {}).get("name", "").isascii() for _, _, body in api.asked), (
        "it is written as the program has it"
    )


def test_where_it_is_taken_nothing_steps_aside(engine: Engine, api: FakeApi) -> None:
    states = made(engine, SETS["MX"])
    api.one_ttl = False
    for n, (state, record) in enumerate(zip(states, SETS["MX"], strict=True)):
        update(engine, n, state, record, 600)
    assert len(api.requests("PATCH")) == len(states)


def test_one_of_the_set_answers_at_every_moment(engine: Engine, api: FakeApi) -> None:
    states, there = made(engine, SETS["MX"]), []
    api.rules.append(lambda *_: there.append(sum(one[0] == "" for one in zone(api))))
    update(engine, 0, states[0], SETS["MX"][0], 600)
    assert min(there) == 1


def test_all_of_a_set_at_once_get_in_nobodys_way(engine: Engine, api: FakeApi) -> None:
    records = [{"type": "A", "name": "www", "data": f"192.0.2.{n}"} for n in range(1, 9)]
    states = made(engine, records)
    with ThreadPoolExecutor(8) as threads:
        work = [threads.submit(update, engine, n, states[n], records[n], 600) for n in range(8)]
    assert {one.result()["ttl"] for one in work} == {600}
    assert zone(api) == wanted(states, records, 600)


@pytest.mark.parametrize("how", ["renamed", "changed", "deleted"])
def test_nobody_else_writes_to_a_set_of_which_some_stand_aside(engine: Engine, api: FakeApi, how: str) -> None:
    """Else one would be brought back that has left, or come back on its own in the midst of it."""
    records = SETS["MX"]
    states = made(engine, records)
    new = {"renamed": {**records[1], "name": "moved"}, "changed": {**records[1], "data": "x.example.net"}}.get(how)

    def write() -> None:
        if new is None:
            engine("Delete", "DnsRecord", "r1", id=states[1]["id"], properties=states[1])
        else:
            update(engine, 1, states[1], new, 600)

    other = threading.Thread(target=write)

    def meanwhile(method: str, path: str, body: Any) -> Answer | None:
        if method == "PATCH" and body["name"].startswith("ttl-") and not other.ident:
            api.lock.release()
            other.start()
            other.join(0.3)
            api.lock.acquire()
            assert other.is_alive(), "it waits"
        return None

    api.rules.append(meanwhile)
    update(engine, 0, states[0], records[0], 600)
    other.join(10)
    expected = [one for one in (records[0], new, records[2]) if one]
    assert [one[:3] for one in zone(api)] == [(one["name"], one["data"], 600) for one in expected]


def test_one_that_somebody_deletes_meanwhile_is_not_missed(engine: Engine, api: FakeApi) -> None:
    states = made(engine, SETS["MX"])

    def gone(method: str, path: str, body: Any) -> Answer | None:
        if method == "PATCH" and path.endswith(states[1]["id"]):
            api.objects[ZONE].pop(states[1]["id"], None)
        return None

    api.rules.append(gone)
    update(engine, 0, states[0], SETS["MX"][0], 600)
    assert [one[1:3] for one in zone(api)] == [("mx10.example.net", 600), ("mx30.example.net", 600)]


def test_after_a_change_that_was_done_but_not_answered_the_others_come_back(engine: Engine, api: FakeApi) -> None:
    states = made(engine, SETS["MX"])
    api.fail("PATCH", f"/{states[0]['id']}$", refused(400), refused(500, "Server is currently locked"), after=True)
    engine.partly("Update", "DnsRecord", id=states[0]["id"], olds=states[0], news=inputs(engine, SETS["MX"][0], 600))
    assert zone(api) == wanted(states, SETS["MX"], 600)


@pytest.mark.parametrize("there", [1, 3])
def test_a_new_record_brings_its_ttl_along(engine: Engine, api: FakeApi, there: int) -> None:
    records = SETS["A"]
    states = made(engine, records[:there])
    new = engine.create("DnsRecord", "new", domain="example.com", **records[there], ttl=600)
    assert zone(api) == wanted([*states, new], records[: there + 1], 600)
    assert any("get" in message and "TTL 600" in message for message, *_ in engine.logged)


@pytest.mark.parametrize("failing", [1, 2, 3, 4, 5, 6])
@pytest.mark.parametrize("answer", [refused(400, "no"), refused(500, "Server is currently locked")])
def test_after_a_request_that_fails_all_are_at_home_or_named_and_the_next_update_ends_it(
    engine: Engine, api: FakeApi, failing: int, answer: Answer
) -> None:
    """Of six: refused, two aside, changed, two back. The first refusal is the API's own."""
    states, sent = made(engine, SETS["MX"]), itertools.count(1)
    api.rules.append(lambda method, *_: answer if method == "PATCH" and next(sent) == failing else None)
    said = ""
    try:
        update(engine, 0, states[0], SETS["MX"][0], 600)
    except Failure as error:
        said = str(error)
    assert said or (failing, answer[0]) == (1, 400), (
        "another refusal than the API's own words is one for the TTL as well"
    )
    assert [data for name, data, *_ in zone(api) if name and data not in said] == [], "what did not come back is named"
    api.rules.clear()
    later = engine.again()
    for n, (state, record) in enumerate(zip(states, SETS["MX"], strict=True)):
        update(later, n, state, record, 600)
    assert zone(api) == wanted(states, SETS["MX"], 600)


@pytest.mark.parametrize("whose", ["of the stack", "of the stack, refreshed", "somebody else's"])
@pytest.mark.parametrize("after", [1, 2, 3, 4, 5])
def test_a_killed_change_is_ended_by_the_next_one(engine: Engine, api: FakeApi, after: int, whose: str) -> None:
    """Also for those that the stack does not have: nothing else would ever bring them back."""
    states, sent = made(engine, SETS["MX"]), itertools.count(1)

    def killed(method: str, path: str, body: Any) -> Answer | None:
        if method == "PATCH" and next(sent) > after:
            raise Killed
        return None

    api.rules.append(killed)
    with pytest.raises(Killed):
        update(engine, 0, states[0], SETS["MX"][0], 600)
    api.rules.clear()
    later = engine.again()
    if whose.endswith("refreshed"):
        states = [
            later("Read", "DnsRecord", f"r{n}", id=state["id"], properties=state, inputs={})["properties"]
            for n, state in enumerate(states)
        ]
    for n, record in reversed(list(enumerate(SETS["MX"][:1] if whose.startswith("somebody") else SETS["MX"]))):
        update(later, n, states[n], record, 600)
    assert zone(api) == wanted(states, SETS["MX"], 600)


def test_a_killed_creation_is_ended_by_the_next_one(engine: Engine, api: FakeApi) -> None:
    states, sent = made(engine, SETS["A"][:3]), itertools.count(1)

    def killed(method: str, path: str, body: Any) -> Answer | None:
        if method == "PATCH" and next(sent) > 3:  # two aside, one changed
            raise Killed
        return None

    api.rules.append(killed)
    with pytest.raises(Killed):
        engine.create("DnsRecord", "new", domain="example.com", **SETS["A"][3], ttl=600)
    api.rules.clear()
    new = engine.again().create("DnsRecord", "new", domain="example.com", **SETS["A"][3], ttl=600)
    assert zone(api) == wanted([*states, new], SETS["A"], 600)


def test_one_that_vultr_keeps_aside_is_named_with_where_it_is(engine: Engine, api: FakeApi) -> None:
    states = made(engine, SETS["TXT"])

    def kept(method: str, path: str, body: Any) -> Answer | None:
        if method == "PATCH" and path.endswith(states[1]["id"]) and not body["name"]:
            return 204, None
        return None

    api.rules.append(kept)
    with pytest.raises(Failure, match=f"verified=1 at ttl-{states[1]['id']}.example.com .*Vultr's portal"):
        update(engine, 0, states[0], SETS["TXT"][0], 600)


def test_another_refusal_moves_nothing(engine: Engine, api: FakeApi) -> None:
    states = made(engine, SETS["MX"])
    api.rules.append(lambda method, *_: refused(400, "Invalid record data") if method == "PATCH" else None)
    with pytest.raises(Failure, match="Invalid record data"):
        update(engine, 0, states[0], {**SETS["MX"][0], "data": "x.example.net"}, 300)
    assert len(api.requests("PATCH")) == 1
