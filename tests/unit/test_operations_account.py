"""What the verbs conclude from the account's answers, and from which ones they conclude nothing."""

from __future__ import annotations

import io
import urllib.error
import urllib.request
from email.message import Message

import pytest

from operations.account import Account
from operations.cli import OperationError


def answer(monkeypatch: pytest.MonkeyPatch, status: int, content: str) -> Account:
    def urlopen(call: urllib.request.Request, timeout: float) -> io.BytesIO:
        body = io.BytesIO(content.encode())
        if status != 200:
            raise urllib.error.HTTPError(call.full_url, status, "", Message(), body)
        return body

    monkeypatch.setattr(urllib.request, "urlopen", urlopen)
    return Account("a-key")


def test_what_the_api_answers_with_404_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not answer(monkeypatch, 404, '{"error": "instance not found", "status": 404}').exists("/instances/i")


@pytest.mark.parametrize("content", ["<html>404 Not Found</html>", "", "[]"])
def test_somebody_elses_404_does_not_say_that_a_server_is_gone(monkeypatch: pytest.MonkeyPatch, content: str) -> None:
    with pytest.raises(OperationError, match=r"GET /instances/i was answered 404 .* who answers there"):
        answer(monkeypatch, 404, content).exists("/instances/i")


@pytest.mark.parametrize("content", ["<html>sign in</html>", "[]", "{}", '{"domains": null}'])
def test_an_answer_without_its_list_is_no_empty_account(monkeypatch: pytest.MonkeyPatch, content: str) -> None:
    with pytest.raises(OperationError, match=r"GET /domains.* who answers there"):
        answer(monkeypatch, 200, content).list("/domains", "domains")
