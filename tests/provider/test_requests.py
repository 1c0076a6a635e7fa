"""How many requests it takes, how fast they come, and what is repeated."""

from __future__ import annotations

import contextlib
import http.client
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any, ClassVar

import pytest

from provider import clock, transport
from provider.protocol.base import Failure
from provider.transport import Pace
from tests.provider.fake import Answer, Engine, FakeApi, refused
from tests.provider.test_gone import INSTANCE, TYPES

RECORD = {"domain": "example.com", "type": "A", "data": "192.0.2.1"}
ZONE = "/v2/domains/example.com/records"


def zone(api: FakeApi, size: int) -> list[dict[str, Any]]:
    return [api.put(ZONE, name=f"r{n}", type="A", data="192.0.2.1") for n in range(size)]


def state_of(record: dict[str, Any]) -> dict[str, Any]:
    return {"domain": "example.com", **{k: v for k, v in record.items() if k != "date_created"}}


@pytest.mark.parametrize(("size", "requests"), [(1, 1), (200, 1), (1200, 3)])
def test_a_refresh_of_a_zone_costs_a_list_of_it(engine: Engine, api: FakeApi, size: int, requests: int) -> None:
    records = zone(api, size)
    with ThreadPoolExecutor(16) as threads:
        found = list(
            threads.map(
                lambda one: engine("Read", "DnsRecord", one["name"], id=one["id"], properties=state_of(one), inputs={}),
                records,
            )
        )
    assert [one["id"] for one in found] == [one["id"] for one in records]
    assert len(api.asked) == requests


def test_a_refresh_of_a_server_and_all_that_belongs_to_it_costs_a_list_a_kind(engine: Engine, api: FakeApi) -> None:
    states = {kind: engine.create(kind, **inputs) for kind, (inputs, _) in TYPES.items()}
    api.asked.clear()
    for _ in range(3):
        for kind, state in states.items():
            engine("Read", kind, id=state["id"], properties=state, inputs={})
    backups = [path for path in api.requests() if path.endswith("/backup-schedule")]
    assert len(api.asked) - len(backups) == len(TYPES)


def test_what_is_written_is_read_anew(engine: Engine, api: FakeApi) -> None:
    (one,) = zone(api, 1)
    state = state_of(one)
    inputs = engine.inputs("DnsRecord", **RECORD, name="r0", ttl=300)
    engine("Read", "DnsRecord", id=one["id"], properties=state, inputs=inputs)
    news = {**inputs, "data": "192.0.2.2"}
    assert engine("Update", "DnsRecord", id=one["id"], olds=state, news=news)["properties"]["data"] == "192.0.2.2"
    read = engine("Read", "DnsRecord", id=one["id"], properties=state, inputs=inputs)
    assert read["properties"]["data"] == "192.0.2.2"


@pytest.mark.parametrize("answer", [None, refused(500, "Server is currently locked"), (0, "")])
@pytest.mark.parametrize("deleted", [False, True], ids=["changed", "deleted"])
def test_a_list_is_not_used_after_a_write_whatever_its_answer(
    engine: Engine, api: FakeApi, deleted: bool, answer: Answer | None
) -> None:
    """What was deleted would be there still, for as long as a list is shared."""
    one, _other = zone(api, 2)
    state = state_of(one)
    news = engine.inputs("DnsRecord", **RECORD | {"data": "192.0.2.2"}, name="r0", ttl=300)
    engine("Read", "DnsRecord", id=one["id"], properties=state, inputs={})
    if answer is not None:
        api.fail("DELETE" if deleted else "PATCH", one["id"], *[answer] * 4, after=True)
    with contextlib.suppress(Failure):
        if deleted:
            engine("Delete", "DnsRecord", id=one["id"], properties=state)
        else:
            engine("Update", "DnsRecord", id=one["id"], olds=state, news=news)
    read = engine("Read", "DnsRecord", id=one["id"], properties=state, inputs={})
    assert read.get("properties", {}).get("data") == (None if deleted else "192.0.2.2")


@pytest.mark.parametrize("done", [False, True])
def test_a_list_that_was_read_while_a_write_was_answered_is_not_used_afterwards(
    engine: Engine, api: FakeApi, done: bool
) -> None:
    (one,) = zone(api, 1)
    state, seen = state_of(one), []

    def read() -> None:
        seen.append(engine("Read", "DnsRecord", id=one["id"], properties=state, inputs={})["properties"]["data"])

    def meanwhile(method: str, path: str, body: Any) -> Answer | None:
        if method != "PATCH":
            return None
        answer = api.answer(method, path, body) if done else None
        read()
        return answer

    read()
    api.rules.append(meanwhile)
    engine("Update", "DnsRecord", id=one["id"], olds=state, news={**state, "data": "192.0.2.2"})
    read()
    assert seen == ["192.0.2.1", "192.0.2.2" if done else "192.0.2.1", "192.0.2.2"]


def test_a_list_that_was_being_read_during_a_write_is_not_used_afterwards(engine: Engine, api: FakeApi) -> None:
    (one,) = zone(api, 1)
    state = state_of(one)

    def write_meanwhile(method: str, path: str, body: Any) -> Answer | None:
        if "per_page" not in path:
            return None
        api.rules.clear()
        old = api.answer(method, path, body)
        answer = (old[0], {**old[1], "records": [dict(entry) for entry in old[1]["records"]]})
        engine("Update", "DnsRecord", id=one["id"], olds=state, news={**state, "data": "192.0.2.2"})
        return answer

    api.rules.append(write_meanwhile)
    engine("Read", "DnsRecord", id=one["id"], properties=state, inputs={})
    later = engine("Read", "DnsRecord", id=one["id"], properties=state, inputs={})
    assert later["properties"]["data"] == "192.0.2.2"


def test_many_creations_cost_two_requests_each_and_one_list(engine: Engine, api: FakeApi) -> None:
    for n in range(20):
        engine.create("DnsRecord", f"r{n}", **RECORD, name=f"r{n}")
    assert len(api.asked) == 2 * 20 + 1


def test_it_stays_below_thirty_requests_a_second_over_all_threads(engine: Engine, api: FakeApi) -> None:
    for n in range(120):
        engine.create("DnsRecord", f"r{n}", **RECORD, name=f"r{n}")
    busiest = max(sum(1 for other in api.at if at <= other < at + 1) for at in api.at)
    assert 15 < busiest < 30


def test_the_pace_holds_for_threads() -> None:
    pace, waits = Pace(rate=20, burst=8), []
    lock = threading.Lock()

    def ask(_: int) -> None:
        wait = pace.reserve(5000.0)
        with lock:
            waits.append(wait)

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(ask, range(100)))
    waits.sort()
    assert all(sum(1 for other in waits if at <= other < at + 1) < 30 for at in waits)


def test_what_vultr_asks_to_wait_is_waited_by_everybody(engine: Engine, api: FakeApi) -> None:
    state = engine.create("SSHKey", **TYPES["SSHKey"][0])
    busy = (429, {"error": "rate limit exceeded", "status": 429}, {"retry-after": "7"})
    api.fail("DELETE", "ssh-keys", busy, busy)
    before = api.now
    engine("Delete", "SSHKey", id=state["id"], properties=state)
    assert 14 <= api.now - before < 20


def test_nobody_sends_anything_until_the_time_that_vultr_asked_one_of_them_to_wait(
    engine: Engine, api: FakeApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = engine.create("SSHKey", **TYPES["SSHKey"][0])
    records = zone(api, 4)
    api.fail("DELETE", "ssh-keys", (429, {"error": "rate limit exceeded", "status": 429}, {"retry-after": "7"}))

    def read(one: dict[str, Any]) -> None:
        engine("Read", "DnsRecord", one["name"], id=one["id"], properties=state_of(one), inputs={})

    others = [threading.Thread(target=read, args=(one,)) for one in records]

    def meanwhile(seconds: float, cancelled: threading.Event) -> bool:
        if threading.current_thread() not in others:
            for one in others:
                one.start()
            for one in others:
                one.join(10)
        return api.rest(seconds, cancelled)

    monkeypatch.setattr(clock, "rest", meanwhile)
    engine("Delete", "SSHKey", id=state["id"], properties=state)
    refusal = next(n for n, (method, path, _) in enumerate(api.asked) if method == "DELETE")
    later = [(api.asked[n][1], at - api.at[refusal]) for n, at in enumerate(api.at) if n > refusal]
    assert any("records" in path for path, _ in later), "the others have asked at all"
    assert all(seconds >= 7 for _, seconds in later)


def test_a_creation_that_was_refused_for_its_pace_is_repeated(engine: Engine, api: FakeApi) -> None:
    """It has done nothing."""
    api.fail("POST", "ssh-keys", *[refused(429, "rate limit exceeded")] * 3)
    engine.create("SSHKey", **TYPES["SSHKey"][0])
    assert len(api.objects["/v2/ssh-keys"]) == 1


@pytest.mark.parametrize("broken", [refused(500), refused(502), refused(503), (0, "")])
def test_what_does_no_harm_twice_is_repeated(engine: Engine, api: FakeApi, broken: Answer) -> None:
    state = engine.create("SSHKey", **TYPES["SSHKey"][0])
    api.fail("DELETE", "ssh-keys", *[broken] * 3)
    engine("Delete", "SSHKey", id=state["id"], properties=state)
    assert not api.objects["/v2/ssh-keys"]


@pytest.mark.parametrize("status", [400, 401, 403, 404, 422, 501])
def test_a_refusal_is_not_repeated(engine: Engine, api: FakeApi, status: int) -> None:
    state = engine.create("SSHKey", **TYPES["SSHKey"][0])
    api.asked.clear()
    api.fail("PATCH", "ssh-keys/", refused(status))
    with pytest.raises(Failure, match=f"answered {status}"):
        engine("Update", "SSHKey", id=state["id"], olds=state, news=engine.inputs("SSHKey", name="o", sshKey="k"))
    assert len(api.requests("PATCH")) == 1


def test_an_interrupt_ends_the_repeating(engine: Engine, api: FakeApi) -> None:
    state = engine.create("SSHKey", **TYPES["SSHKey"][0])
    engine.plugin.cancelled.set()
    api.rules.append(lambda *_: refused(503))
    with pytest.raises(Failure, match="interrupted before DELETE /v2/ssh-keys"):
        engine("Delete", "SSHKey", id=state["id"], properties=state)


def test_reading_an_instance_takes_its_list_and_its_backups(engine: Engine, api: FakeApi) -> None:
    state = engine.create("Instance", **INSTANCE)
    api.asked.clear()
    engine("Read", "Instance", id=state["id"], properties=state, inputs={})
    assert api.requests() == ["GET /v2/instances", f"GET /v2/instances/{state['id']}/backup-schedule"]


@pytest.mark.parametrize(
    ("https_proxy", "no_proxy", "used"),
    [
        ("http://127.0.0.1:1", "", True),
        ("http://127.0.0.1:1", "127.0.0.1,.vultr.com", False),
        ("", "", False),
    ],
)
def test_the_proxy_of_the_environment_is_used(
    monkeypatch: pytest.MonkeyPatch, https_proxy: str, no_proxy: str, used: bool
) -> None:
    for name in ("HTTPS_PROXY", "https_proxy", "NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HTTPS_PROXY", https_proxy)
    monkeypatch.setenv("NO_PROXY", no_proxy)
    assert (transport.proxy_for("api.vultr.com") is not None) == used


def test_a_list_whose_next_page_is_the_same_one_ends_with_an_error(engine: Engine, api: FakeApi) -> None:
    (one,) = zone(api, 1)
    page = {"records": [], "meta": {"links": {"next": "again", "prev": ""}}}
    api.rules.append(lambda method, path, body: (200, page) if "per_page" in path else None)
    with pytest.raises(Failure, match="that it has given"):
        engine("Read", "DnsRecord", id=one["id"], properties=state_of(one), inputs={})


def test_a_list_whose_pages_go_round_ends_with_an_error(engine: Engine, api: FakeApi) -> None:
    turns = iter(range(40))

    def round_and_round(method: str, path: str, body: Any) -> Answer | None:
        after = "ab"[next(turns) % 2]
        return 200, {"records": [], "meta": {"links": {"next": after}}} if "per_page" in path else None

    api.rules.append(round_and_round)
    with pytest.raises(Failure, match="names a page as the next one that it has given"):
        engine.plugin.lists.read(ZONE, "records")  # type: ignore[attr-defined]


class Kept:
    """A connection without a network; its other side answers at once and keeps it open."""

    made: ClassVar[list[Kept]] = []
    status, will_close = 204, False

    def __init__(self, *_: Any, timeout: float, **__: Any) -> None:
        self.made.append(self)
        self.timeout = timeout

    def connect(self) -> None:
        self.sock, self.far = socket.socketpair()
        self.sock.settimeout(self.timeout)

    def request(self, *_: Any) -> None:
        """Nothing is sent."""

    def getresponse(self) -> Kept:
        return self

    def read(self) -> bytes:
        return b""

    def getheaders(self) -> list[tuple[str, str]]:
        return []


@pytest.mark.parametrize(("method", "idle", "made"), [("POST", 0.5, 1), ("POST", 5.0, 2), ("GET", 5.0, 1)])
def test_a_connection_that_may_be_closing_carries_nothing_that_can_not_be_repeated(
    monkeypatch: pytest.MonkeyPatch, method: str, idle: float, made: int
) -> None:
    now = [100.0]
    monkeypatch.setattr(clock, "now", lambda: now[0])
    monkeypatch.setattr(http.client, "HTTPSConnection", Kept)
    monkeypatch.setattr(transport, "proxy_for", lambda _: None)
    Kept.made.clear()
    one = transport.Transport("a-key")
    one._attempt("GET", "/v2/ssh-keys", None)
    now[0] += idle
    one._attempt(method, "/v2/ssh-keys", None)
    assert len(Kept.made) == made


def test_what_is_not_worth_waiting_for_has_a_patience_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http.client, "HTTPSConnection", Kept)
    monkeypatch.setattr(transport, "proxy_for", lambda _: None)
    Kept.made.clear()
    one = transport.Transport("a-key")
    for once in (True, False, True):
        one.call("GET", "/v2/regions/ewr/availability", once=once)
        (connection,) = Kept.made
        assert connection.sock.gettimeout() == (transport.GLANCE_SECONDS if once else transport.ANSWER_SECONDS)
