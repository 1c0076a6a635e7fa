"""An API, or who is in front of it, that answers what nobody expects: nothing is lost, doubled, waited for for ever."""

from __future__ import annotations

import base64
import email.utils
import http.client
import re
from typing import Any

import pytest

from provider import transport
from provider.protocol.base import Failure
from tests.provider.fake import Answer, Engine, FakeApi, refused
from tests.provider.test_gone import INSTANCE, TYPES

ZONE = "/v2/domains/example.com/records"
KEY = TYPES["SSHKey"][0]
JSON = dict[str, Any]


def busy(headers: dict[str, str]) -> Answer:
    return 429, {"error": "rate limit exceeded", "status": 429}, headers


def at(seconds: float) -> str:
    """A moment as HTTP writes it."""
    return email.utils.formatdate(1_800_000_000 + seconds, usegmt=True)


@pytest.mark.parametrize(
    ("headers", "least", "most"),
    [
        ({"retry-after": at(40), "date": at(0)}, 40, 45),
        ({"retry-after": "2.5"}, 2.5, 4),
        ({"retry-after": "0"}, 1, 4),
        ({"retry-after": at(-40), "date": at(0)}, 1, 4),
        ({"retry-after": "-5"}, 1, 4),
        ({"retry-after": "soon"}, 1, 4),
        ({"retry-after": "nan"}, 1, 4),
        ({"retry-after": "²"}, 1, 4),
        ({"retry-after": "Mon, 30 Nov 2026 07:00:00", "date": "x"}, 1, 4),
        ({"retry-after": f"Mon, {10**20} Nov 2026 07:00:00 GMT"}, 1, 4),
        ({}, 1, 4),
    ],
    ids=str,
)
def test_what_vultr_asks_to_wait_is_waited_however_it_says_so(
    engine: Engine, api: FakeApi, headers: dict[str, str], least: float, most: float
) -> None:
    api.fail("POST", "ssh-keys", busy(headers))
    before = api.now
    engine.create("SSHKey", **KEY)
    assert least <= api.now - before <= most


def test_who_has_no_room_and_says_at_once_is_asked_with_pauses(engine: Engine, api: FakeApi) -> None:
    api.rules.append(lambda *_: busy({"retry-after": "0"}))
    with pytest.raises(Failure, match="the account's limit of requests"):
        engine("Read", "SSHKey", id="k", properties={"id": "k", **KEY}, inputs={})
    assert len(api.asked) < 60


@pytest.mark.parametrize("status", [408, 500, 502, 503, 504, 520, 522, 524, 525])
def test_a_fault_of_whoever_is_in_front_is_outlived(engine: Engine, api: FakeApi, status: int) -> None:
    """The network in front of the API has numbers of its own."""
    page = (status, "<html>Origin is unreachable</html>")
    state = engine.create("SSHKey", **KEY)
    api.fail("GET", "ssh-keys", page, page, page)
    assert engine("Read", "SSHKey", id=state["id"], properties=state, inputs={})["id"] == state["id"]


@pytest.mark.parametrize("status", [408, 500, 504, 520, 524])
@pytest.mark.parametrize("kind", TYPES)
def test_a_creation_that_came_through_a_fault_is_found_and_one_that_did_not_is_not_repeated(
    engine: Engine, api: FakeApi, kind: str, status: int
) -> None:
    inputs, path = TYPES[kind]
    api.fail("POST", f"^{path}$", (status, "<html>A timeout occurred</html>"), after=True)
    state = engine.create(kind, **inputs)
    assert list(api.objects[path]) == [state["id"]]
    assert len([one for one in api.requests("POST") if one.endswith(path)]) == 1


META: dict[str, Any] = {
    "no links": {"links": None},
    "no next": {"links": {}},
    "null": {"links": {"next": None}},
    "nothing": None,
    "an empty list": [],
}


@pytest.mark.parametrize("meta", META)
def test_a_list_without_a_next_page_is_the_last_one(engine: Engine, api: FakeApi, meta: str) -> None:
    one = api.put(ZONE, name="a", type="A", data="192.0.2.1")
    api.rules.append(lambda m, path, b: (200, {"records": [one], "meta": META[meta]}) if "per_page" in path else None)
    assert engine.plugin.lists.read(ZONE, "records") == [one]  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ({"records": [], "meta": {"links": {"next": ["b"]}}}, "does not tell whether there is more"),
        ({"records": [], "meta": {"links": "b"}}, "does not tell whether there is more"),
        ({"records": [], "meta": "b"}, "does not tell whether there is more"),
        ({"records": [None]}, "without its list 'records'"),
        ({"records": {"id": "a"}}, "without its list 'records'"),
        ({"records": None}, "without its list 'records'"),
        ({}, "without its list 'records'"),
    ],
    ids=str,
)
def test_a_list_that_can_not_be_read_says_so(engine: Engine, api: FakeApi, answer: JSON, said: str) -> None:
    api.rules.append(lambda *_: (200, answer))
    with pytest.raises(Failure, match=said):
        engine.plugin.lists.read(ZONE, "records")  # type: ignore[attr-defined]


def test_a_list_that_has_always_one_more_page_ends(engine: Engine, api: FakeApi) -> None:
    turns = iter(range(1000))
    api.rules.append(lambda *_: (200, {"records": [], "meta": {"links": {"next": f"page-{next(turns)}"}}}))
    with pytest.raises(Failure, match="has a page after 200"):
        engine.plugin.lists.read(ZONE, "records")  # type: ignore[attr-defined]


def test_one_that_two_pages_name_is_one(engine: Engine, api: FakeApi) -> None:
    """What is made meanwhile moves the last one of a page to the next."""
    api.fail("POST", "/v2/ssh-keys$", refused(502), after=True)

    def twice(method: str, path: str, body: Any) -> Answer | None:
        keys = list(api.objects.get("/v2/ssh-keys", {}).values())
        return (200, {"ssh_keys": keys * 2}) if method == "GET" and "per_page" in path else None

    api.rules.append(twice)
    state = engine.create("SSHKey", **KEY)
    assert list(api.objects["/v2/ssh-keys"]) == [state["id"]]


@pytest.mark.parametrize("kind", TYPES)
def test_null_is_what_is_not_there(engine: Engine, api: FakeApi, kind: str) -> None:
    """No change follows from it where the program says nothing, and nothing that would be replaced for it is."""
    inputs, path = TYPES[kind]
    state = engine.create(kind, **inputs)
    entry, news = api.objects[path][str(state["id"])], engine.inputs(kind, **inputs)
    for name in [one for one in entry if one not in ("id", "domain")]:
        before, entry[name] = entry[name], None
        api.now += 60
        read = engine("Read", kind, id=state["id"], properties=state, inputs=news)["properties"]
        found = engine("Diff", kind, id=state["id"], olds=read, news=news)
        assert not found["replaces"], name
        if not before:
            assert found["changes"] == "DIFF_NONE", name
        entry[name] = before


@pytest.mark.parametrize(
    ("kind", "more", "name", "said"),
    [
        ("FirewallRule", {"port": "22"}, "port", 22),
        ("FirewallRule", {}, "subnet_size", "0"),
        ("Vpc", {"v4SubnetMask": 24}, "v4_subnet_mask", "24"),
        ("BlockStorage", {}, "size_gb", 10.0),
    ],
)
def test_quotes_around_a_number_are_no_change(  # noqa: PLR0917
    engine: Engine, api: FakeApi, kind: str, more: JSON, name: str, said: Any
) -> None:
    inputs, path = TYPES[kind]
    state = engine.create(kind, **inputs | more)
    api.objects[path][str(state["id"])][name] = said
    api.now += 60
    news = engine.inputs(kind, **inputs | more)
    read = engine("Read", kind, id=state["id"], properties=state, inputs=news)["properties"]
    assert engine("Diff", kind, id=state["id"], olds=read, news=news)["changes"] == "DIFF_NONE"


def test_a_number_that_is_none_is_said_and_loses_no_server(engine: Engine, api: FakeApi) -> None:
    def wrong(method: str, path: str, body: Any) -> None:
        for entry in api.objects.get("/v2/instances", {}).values():
            entry["ram"] = "much"

    api.rules.append(wrong)
    left = engine.partly("Create", "Instance", properties=engine.inputs("Instance", **INSTANCE))
    assert "Vultr says that ram of this instance is 'much', which is no number" in str(left)
    assert list(api.objects["/v2/instances"]) == [left.id]


@pytest.mark.parametrize(
    ("kind", "more", "path", "answer", "what"),
    [
        (
            "Instance",
            {},
            "/backup-schedule$",
            {"backup_schedule": {"enabled": True, "type": "daily", "hour": "h"}},
            "hour",
        ),
        ("VirtualFileSystemStorage", {}, "/vfs/v$", {"id": "v", "storage_size": {"gb": "h"}}, "storage_size"),
        (
            "ObjectStorage",
            {"tierId": None},
            "per_page",
            {"object_storages": [{"id": "v", "tier": {"OBJSTORETIERID": "h"}}]},
            "tier",
        ),
    ],
)
def test_no_number_within_an_answer_ends_in_a_traceback(  # noqa: PLR0917
    engine: Engine, api: FakeApi, kind: str, more: JSON, path: str, answer: JSON, what: str
) -> None:
    whole: JSON = {
        "instance": {"id": "v"},
        "object_storage": {"id": "v"},
        "instances": [],
        "vfs": [],
        "attachments": [],
    }
    api.rules.append(lambda m, asked, b: (200, answer if re.search(path, asked) else whole))
    with pytest.raises(Failure, match=f"Vultr says that {what} of this .* is 'h', which is no number"):
        engine("Read", kind, id="v", properties={"id": "v", "region": "ewr", **more}, inputs={})


def test_what_a_volume_costs_is_no_whole_number(engine: Engine, api: FakeApi) -> None:
    def dear(method: str, path: str, body: Any) -> None:
        for entry in api.objects.get("/v2/blocks", {}).values():
            entry["cost"] = 2.5

    api.rules.append(dear)
    assert engine.create("BlockStorage", **TYPES["BlockStorage"][0])["cost"] == 2.5


def test_a_file_system_is_let_go_of_late(engine: Engine, api: FakeApi) -> None:
    """The list says that nobody has it, and its deletion is refused all the same (tpv's own words)."""
    text = "Can not delete this subscription until it is detatched from all machines"
    answers: list[Answer] = [refused(400, text), refused(400, text), (204, None)]

    def rule(method: str, path: str, body: object) -> Answer | None:
        if path.endswith("/attachments"):
            return 200, {"attachments": []}
        return answers.pop(0) if method == "DELETE" else None

    api.rules.append(rule)
    state = {"id": "v", "region": "ewr", "label": "l", "sizeGb": 1}
    engine("Delete", "VirtualFileSystemStorage", id="v", properties=state)
    assert not answers


def test_the_tier_of_an_imported_account_is_found_by_the_name_that_the_list_has_for_it(
    engine: Engine, api: FakeApi
) -> None:
    """`pulumi import` would show a tier 0, and the next update another account, with nothing in it."""
    account = {"id": "o", "cluster_id": 2, "label": "l", "region": "ewr", "status": "active"}

    def rule(method: str, path: str, body: object) -> Answer:
        listed = {**account, "tier": {"OBJSTORETIERID": 5, "sales_name": "accelerated"}}
        return 200, {"object_storages": [listed]} if "per_page" in path else {"object_storage": account}

    api.rules.append(rule)
    assert engine("Read", "ObjectStorage", id="o")["inputs"]["tierId"] == 5


@pytest.mark.parametrize("name", ["bücher.example", "a b.example", "x\ny"])
def test_a_name_that_is_no_path_is_asked_for_all_the_same(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """An import's id may hold anything; what is not there is answered by Vultr, not by this machine."""
    asked: list[str] = []

    class Connection:
        sock = None
        status, will_close = 404, True

        def __init__(self, *_: Any, **__: Any) -> None: ...

        def connect(self) -> None: ...

        def close(self) -> None: ...

        def request(self, method: str, path: str, *_: Any) -> None:
            path.encode("ascii")
            assert not set(path) & set(" \n")
            asked.append(path)

        def getresponse(self) -> Connection:
            return self

        def read(self) -> bytes:
            return b'{"error": "Invalid domain."}'

        def getheaders(self) -> list[tuple[str, str]]:
            return []

    monkeypatch.setattr(http.client, "HTTPSConnection", Connection)
    with pytest.raises(Failure, match="answered 404: Invalid domain"):
        transport.Transport("a-key").call("GET", f"/v2/domains/{name}?per_page=500&cursor=a%3D")
    [path] = asked
    assert path.endswith("?per_page=500&cursor=a%3D")


def test_a_proxys_password_may_hold_any_letter(monkeypatch: pytest.MonkeyPatch) -> None:
    """In an address `@` and `:` are written as `%40` and `%3A`."""
    monkeypatch.setenv("HTTPS_PROXY", "http://me%40corp:p%3Ass@proxy.example:3128")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    connection = transport.Transport("a-key")._new(1.0)
    assert (connection.host, connection.port) == ("proxy.example", 3128)
    said = connection._tunnel_headers["Proxy-Authorization"]  # type: ignore[attr-defined]
    assert base64.b64decode(said.removeprefix("Basic ")) == b"me@corp:p:ss"
