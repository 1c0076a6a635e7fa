"""A creation whose answer was lost is found again, never doubled, and nobody else's object is taken for it."""

from __future__ import annotations

from typing import Any

import pytest

from provider.protocol.base import Failure
from tests.provider.fake import Answer, Engine, FakeApi, refused
from tests.provider.test_gone import TYPES

LOST: dict[str, Answer] = {"502": refused(502), "no answer": (0, ""), "cut": (201, '{"instance": {"id"')}


class Killed(BaseException):
    """The process is no more."""


def killed_at(api: FakeApi, method: str, collection: str, *, after: bool) -> None:
    """The process dies while it waits for an answer to this request."""

    def rule(asked: str, path: str, body: Any) -> Answer | None:
        if asked != method or path != collection:
            return None
        if after:
            api.answer(asked, path, body)
        api.rules.remove(rule)
        raise Killed

    api.rules.append(rule)


@pytest.mark.parametrize("lost", LOST)
@pytest.mark.parametrize("kind", TYPES)
def test_a_lost_answer_makes_no_second_object(engine: Engine, api: FakeApi, kind: str, lost: str) -> None:
    inputs, path = TYPES[kind]
    api.fail("POST", f"^{path}$", LOST[lost], after=True)
    state = engine.create(kind, **inputs)
    assert list(api.objects[path]) == [state["id"]]


@pytest.mark.parametrize("kind", TYPES)
def test_what_was_not_made_is_no_success_and_is_made_by_the_next_update(
    engine: Engine, api: FakeApi, kind: str
) -> None:
    inputs, path = TYPES[kind]
    api.fail("POST", f"^{path}$", refused(502))
    with pytest.raises(Failure, match="answered 502"):
        engine.create(kind, **inputs)
    assert len(api.requests("POST")) == 1, "it is not sent a second time blindly"
    state = engine.again().create(kind, **inputs)
    assert list(api.objects[path]) == [state["id"]]


@pytest.mark.parametrize("kind", TYPES)
def test_one_that_was_there_before_is_not_taken_for_the_lost_one(engine: Engine, api: FakeApi, kind: str) -> None:
    """It may be the one that is being replaced, and would be deleted afterwards, or another stack's."""
    inputs, path = TYPES[kind]
    old = engine.create(kind, **inputs)
    engine.plugin.close()  # in good order
    later = engine.again()
    api.fail("POST", f"^{path}$", refused(502))
    with pytest.raises(Failure, match="answered 502"):
        later.create(kind, **inputs)
    assert list(api.objects[path]) == [old["id"]]


@pytest.mark.parametrize("after", [True, False], ids=["made", "not made"])
@pytest.mark.parametrize("kind", TYPES)
def test_a_killed_creation_is_taken_up_by_the_next_process(
    engine: Engine, api: FakeApi, kind: str, after: bool
) -> None:
    inputs, path = TYPES[kind]
    killed_at(api, "POST", path, after=after)
    with pytest.raises(Killed):
        engine.create(kind, **inputs)
    state = engine.again().create(kind, **inputs)
    assert list(api.objects[path]) == [state["id"]]


def test_one_that_was_killed_while_it_was_waited_for_is_taken_up(engine: Engine, api: FakeApi) -> None:
    inputs, path = TYPES["Instance"]
    killed_at(api, "GET", f"{path}/id-1", after=False)
    with pytest.raises(Killed):
        engine.create("Instance", **inputs)
    (made,) = api.objects[path]
    assert engine.again().create("Instance", **inputs)["id"] == made
    assert list(api.objects[path]) == [made]


@pytest.mark.parametrize("kind", TYPES)
def test_what_the_engine_was_told_of_is_neither_taken_nor_doubled_after_a_kill(
    engine: Engine, api: FakeApi, kind: str
) -> None:
    """`up --replace` asks for a new one without a word of the old one, and then deletes the old one."""
    inputs, path = TYPES[kind]
    made = engine.create(kind, **inputs)  # and the engine is killed
    with pytest.raises(Failure, match=f"{made['id']} was made for this resource .*--refresh.*make heal"):
        engine.again().create(kind, **inputs)
    assert list(api.objects[path]) == [made["id"]]
    later = engine.again()
    later("Read", kind, id=made["id"], properties=made, inputs=engine.inputs(kind, **inputs))
    api.one_ttl = False
    assert later.create(kind, **inputs)["id"] != made["id"] or kind == "DnsDomain"


def test_a_plugin_that_outlives_its_engine_tells_nobody(
    engine: Engine, api: FakeApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    inputs, path = TYPES["Instance"]
    monkeypatch.setattr("os.getppid", lambda: 1)
    made = engine.create("Instance", **inputs)
    assert engine.again().create("Instance", **inputs)["id"] == made["id"]
    assert list(api.objects[path]) == [made["id"]]


def cut_off_while_waiting(engine: Engine, api: FakeApi) -> str:
    """A server whose creation the process did not survive: its id."""
    inputs, path = TYPES["Instance"]
    killed_at(api, "GET", f"{path}/id-1", after=False)
    with pytest.raises(Killed):
        engine.create("Instance", **inputs)
    return next(iter(api.objects[path]))


def test_another_key_of_the_account_finds_what_was_cut_off(engine: Engine, api: FakeApi) -> None:
    inputs, path = TYPES["Instance"]
    made = cut_off_while_waiting(engine, api)
    later = engine.again("ANOTHER-KEY")
    assert later.create("Instance", **inputs)["id"] == made
    later.plugin.close()
    assert engine.again().create("Instance", **inputs)["id"] != made, "the note of the old key has gone with it"
    assert len(api.objects[path]) == 2


def test_a_note_of_another_account_is_left_alone(engine: Engine, api: FakeApi) -> None:
    """A stack of the same name, with another account: what it has begun is not here."""
    inputs, path = TYPES["Instance"]
    made = cut_off_while_waiting(engine, api)
    elsewhere = FakeApi()
    elsewhere.numbers = iter(range(500, 600))  # type: ignore[assignment]
    other = engine.again("ANOTHER-KEY", elsewhere)
    assert other.create("Instance", **inputs)["id"] == "id-500"
    assert engine.again().create("Instance", **inputs)["id"] == made
    assert list(api.objects[path]) == [made]


def test_what_another_key_may_have_made_is_named_and_not_taken(engine: Engine, api: FakeApi) -> None:
    inputs, path = TYPES["Instance"]
    killed_at(api, "POST", path, after=True)
    with pytest.raises(Killed):
        engine.create("Instance", **inputs)
    (made,) = api.objects[path]
    with pytest.raises(Failure, match=rf"another API key.*{made}.*note /.*\.json"):
        engine.again("ANOTHER-KEY").create("Instance", **inputs)
    assert list(api.objects[path]) == [made]


def test_what_the_engine_has_recorded_is_never_taken_for_a_new_one(engine: Engine, api: FakeApi) -> None:
    """`--replace` with create before delete asks for a second one, and deletes the first."""
    inputs, path = TYPES["Instance"]
    made = engine.create("Instance", **inputs)
    engine.plugin.close()  # in good order
    other = engine.again().create("Instance", **inputs)
    assert other["id"] != made["id"]
    assert len(api.objects[path]) == 2


@pytest.mark.parametrize("call", ["Diff", "Read", "Update"])
def test_what_the_engine_shows_to_know_is_never_taken_for_a_new_one(engine: Engine, api: FakeApi, call: str) -> None:
    inputs, path = TYPES["SSHKey"]
    made = engine.create("SSHKey", **inputs)  # and the plugin dies alone
    later, checked = engine.again(), engine.inputs("SSHKey", **inputs)
    if call == "Read":
        later(call, "SSHKey", id=made["id"], properties=made, inputs=checked)
    else:
        later(call, "SSHKey", id=made["id"], olds=made, news=checked)
    assert later.again().create("SSHKey", **inputs)["id"] != made["id"]
    assert len(api.objects[path]) == 2


def test_another_resource_does_not_take_it(engine: Engine, api: FakeApi) -> None:
    inputs, path = TYPES["Instance"]
    killed_at(api, "POST", path, after=True)
    with pytest.raises(Killed):
        engine.create("Instance", "web1", **inputs)
    engine.again().create("Instance", "web2", **inputs)
    assert len(api.objects[path]) == 2


def test_when_something_else_is_wanted_now_the_lost_one_is_named(engine: Engine, api: FakeApi) -> None:
    inputs, path = TYPES["Instance"]
    killed_at(api, "POST", path, after=True)
    with pytest.raises(Killed):
        engine.create("Instance", **inputs)
    (lost,) = api.objects[path]
    with pytest.raises(Failure, match=f"cut off .* has made {lost}.*make heal"):
        engine.again().create("Instance", **{**inputs, "plan": "another"})
    assert list(api.objects[path]) == [lost]


def test_of_two_that_can_not_be_told_apart_none_is_taken(engine: Engine, api: FakeApi) -> None:
    inputs, path = TYPES["Instance"]
    killed_at(api, "POST", path, after=True)
    with pytest.raises(Killed):
        engine.create("Instance", **inputs)
    api.put(path, label="l", region="ewr", tags=["t"])
    with pytest.raises(Failure, match="nothing tells which"):
        engine.again().create("Instance", **inputs)


def test_a_refused_creation_leaves_no_note(engine: Engine, api: FakeApi) -> None:
    inputs, path = TYPES["Instance"]
    api.fail("POST", f"^{path}$", refused(400, "Invalid plan chosen."))
    with pytest.raises(Failure, match=r"answered 400: Invalid plan chosen\."):
        engine.create("Instance", **inputs)
    api.put(path, label="l", region="ewr", tags=["t"])  # somebody else's, meanwhile
    engine.again().create("Instance", **inputs)
    assert len(api.objects[path]) == 2


def test_a_name_of_an_address_may_be_given_twice(engine: Engine, api: FakeApi) -> None:
    api.reverse["/v2/instances/i/ipv6/reverse"] = [
        {"ip": "2001:0db8:0000:0000:0000:0000:0000:0053", "reverse": "a.example"}
    ]
    api.fail("POST", "/ipv6/reverse$", refused(502))
    state = engine.create("ReverseIpv6", instanceId="i", ip="2001:db8::53", reverse="a.example")
    assert state["id"] == state["ip"] == "2001:db8::53"
