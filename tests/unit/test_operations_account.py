"""What the verbs conclude from the account's answers, and from which ones they conclude nothing."""

from __future__ import annotations

import json
import threading
from typing import Any

import pytest

from operations.account import Account
from operations.cli import OperationError, Pulumi
from provider import clock, transport

Answer = tuple[int, dict[str, str], str]
THERE: Answer = (200, {}, '{"instance": {"id": "i"}}')
GONE: Answer = (404, {}, '{"error": "instance not found", "status": 404}')


class Stack(Pulumi):
    """A stack whose file has no key."""

    def setting(self, key: str) -> str | None:
        return None


@pytest.fixture
def rests(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time that was waited; it takes none."""
    waited: list[float] = []

    def rest(seconds: float, cancelled: threading.Event) -> bool:
        waited.append(seconds)
        return False

    monkeypatch.setattr(clock, "rest", rest)
    monkeypatch.setattr(clock, "now", lambda: sum(waited))
    return waited


def answer(monkeypatch: pytest.MonkeyPatch, *answers: Answer) -> Account:
    """An account that gives these answers, the last one for ever."""
    left = list(answers)
    monkeypatch.setattr(
        transport.Transport, "_attempt", lambda *_: left.pop(0) if len(left) > 1 else left[0]
    )  # fmt: skip
    return Account("a-key")


def test_what_the_api_answers_with_404_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not answer(monkeypatch, GONE).exists("/instances/i")


def test_what_is_not_sold_is_said_with_what_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """`make revive` deletes nothing then."""
    account = answer(monkeypatch, (200, {}, '{"available_plans": ["vc2-1c-1gb", "vc2-2c-4gb"]}'))
    account.must_sell("ewr", "vc2-2c-4gb")
    with pytest.raises(OperationError, match=r"no vc2-4c-8gb in ewr just now \(there are vc2-2c-4gb, vc2-.*touched"):
        account.must_sell("ewr", "vc2-4c-8gb")
    with pytest.raises(OperationError, match="Vultr has no region 'mars'"):
        answer(monkeypatch, (404, {}, '{"error": "Invalid region ID."}')).must_sell("mars", "vc2-4c-8gb")


@pytest.mark.parametrize("content", ["<html>404 Not Found</html>", "", "[]"])
def test_somebody_elses_404_does_not_say_that_a_server_is_gone(monkeypatch: pytest.MonkeyPatch, content: str) -> None:
    with pytest.raises(OperationError, match=r"GET /v2/instances/i was answered 404.* who answers there"):
        answer(monkeypatch, (404, {}, content)).exists("/instances/i")


@pytest.mark.parametrize("content", ["<html>sign in</html>", "[]", "{}", '{"domains": null}'])
def test_an_answer_without_its_list_is_no_empty_account(monkeypatch: pytest.MonkeyPatch, content: str) -> None:
    with pytest.raises(OperationError, match=r"GET /v2/domains.* who answers there"):
        answer(monkeypatch, (200, {}, content)).list("/domains", "domains")


def test_a_verb_waits_while_vultr_has_no_room(monkeypatch: pytest.MonkeyPatch, rests: list[float]) -> None:
    """A sweep asks for many lists, at the same moment as others use the account."""
    assert answer(monkeypatch, (429, {"retry-after": "7"}, "{}"), THERE).exists("/instances/i")
    assert max(rests) == 7


@pytest.mark.parametrize("method", ["exists", "delete"])
def test_a_fault_of_a_moment_ends_no_verb(monkeypatch: pytest.MonkeyPatch, rests: list[float], method: str) -> None:
    getattr(answer(monkeypatch, (502, {}, "<html>"), GONE), method)("/instances/i")
    assert rests


def test_a_list_that_goes_round_ends_with_an_error(monkeypatch: pytest.MonkeyPatch, rests: list[float]) -> None:
    pages: list[Any] = [{"domains": [], "meta": {"links": {"next": "ab"[n % 2]}}} for n in range(20)]
    account = answer(monkeypatch, *[(200, {}, json.dumps(page)) for page in pages])
    with pytest.raises(OperationError, match="names a page as the next one that it has given"):
        account.list("/domains", "domains")


def test_what_is_locked_is_deleted_later(monkeypatch: pytest.MonkeyPatch, rests: list[float]) -> None:
    locked: Answer = (500, {}, '{"error": "Server is currently locked"}')
    answer(monkeypatch, locked, THERE, locked, THERE, (204, {}, ""), GONE).delete("/instances/i")


def test_a_refused_key_is_no_reason_to_wait(monkeypatch: pytest.MonkeyPatch, rests: list[float]) -> None:
    with pytest.raises(OperationError, match=r"the API key is refused.*VULTR_API_KEY"):
        answer(monkeypatch, (401, {}, '{"error": "Invalid API token."}')).delete("/instances/i")
    assert not rests


def test_the_key_may_come_from_where_the_plugin_takes_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VULTR_API_KEY", "from-there")
    assert Account.of(Stack("prod")).key == "from-there"
    monkeypatch.delenv("VULTR_API_KEY")
    with pytest.raises(OperationError, match="VULTR_API_KEY"):
        Account.of(Stack("prod"))
