"""The Vultr provider checks, plans and keeps in the state what the official plugin was recorded to: a state of either
is one of both, without a change.

`vultr_calls.jsonl`: calls that touch nothing. `vultr_exchanges.jsonl`: calls with the requests that the official plugin
made and the answers it got, [method, path, body, status, answer] each. From the same answers has to come the same
state; which requests it takes, and what is gone, is this provider's own (tests/provider).
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from provider import clock, spelling, transport
from provider import plugin as vultr
from provider.protocol.dispatch import Dispatcher
from tests.conformance.recorded import answer_to, case_id, comparable, load, spelled

KEY = "EXAMPLE-API-KEY"
# What the official plugin concluded from errors is held to be wrong; tests/provider says what is right.
CONTRADICTED = ("bad API key", "500 always", "next up: update with equal", "refresh, instance gone", "group gone")


@pytest.fixture
def dispatcher(monkeypatch, tmp_path):
    monkeypatch.setenv("PULUMI_HOME", str(tmp_path))
    monkeypatch.setenv("VULTR_API_KEY", KEY)
    monkeypatch.setattr(clock, "rest", lambda seconds, cancelled: False)
    dispatcher = Dispatcher(vultr.plugin("2.27.1"))
    dispatcher.call("Configure", {"args": {"version": "2.27.1"}})
    return dispatcher


def call(dispatcher, method, kind, **request):
    urn = f"urn:pulumi:dev::lab::vultr:index/{kind}::x"
    return dispatcher.call(method, {"urn": urn, **request})


class RecordedApi:
    """Answers requests as recorded, by method and path; what is asked too often gets the last answer again.

    Lists were not recorded: they are empty. An object before its recorded answers is the first of them.
    """

    def __init__(self, monkeypatch, http):
        self.answers: dict[tuple[str, str], list[Any]] = {}
        self.asked = []
        for method, path, _, status, answer in http:
            self.answers.setdefault((method, path), []).append((status, answer))
        monkeypatch.setattr(transport.Transport, "_attempt", lambda _, *request: self.attempt(*request[:3]))

    def attempt(self, method, path, body):
        self.asked.append([method, path, json.loads(json.dumps(body))])
        left = self.answers.get((method, path))
        if left:
            status, answer = left.pop(0) if len(left) > 1 else left[0]
        elif "per_page" in path:
            lists = ("records", "instances", "domains", "vpcs", "ssh_keys", "reserved_ips", "blocks", "ipv4s")
            status, answer = 200, {name: [] for name in (*lists, "firewall_groups", "firewall_rules")}
            if recorded := self.answers.get((method, path.partition("?")[0])):
                status, answer = recorded[0]  # a list that was recorded without its length
        elif method != "GET":
            status, answer = 204, None
        else:
            status, answer = 404, {"error": "Not found.", "status": 404}
        return status, {}, "" if answer is None else json.dumps(answer)


def official(case: dict[str, Any]) -> bool:
    return not any(words in case["case"] for words in CONTRADICTED)


@pytest.mark.parametrize("case", load("vultr_calls.jsonl"), ids=case_id)
def test_calls_that_touch_nothing_are_answered_as_recorded(dispatcher, case):
    assert answer_to(dispatcher, case) == comparable(spelled(case["response"]))


@pytest.mark.parametrize("case", [*filter(official, load("vultr_exchanges.jsonl"))], ids=case_id)
def test_from_the_recorded_answers_comes_the_recorded_state(dispatcher, monkeypatch, case):
    api = RecordedApi(monkeypatch, case["http"])
    assert answer_to(dispatcher, case) == comparable(spelled(case["response"]))
    made = [body for method, _, body in api.asked if method == "POST" and case["method"] == "Create"]
    recorded = [body for method, _, body, *_ in case["http"] if method == "POST" and case["method"] == "Create"]
    assert [meant(body) for body in made[:1]] == [meant(body) for body in recorded[:1]]


def meant(body: dict[str, Any]) -> dict[str, Any]:
    """Without what says nothing (a priority where there is none), and with addresses in full."""
    body = {k: spelling.full(v) if k == "ip" else v for k, v in body.items()}
    return {k: v for k, v in body.items() if v is not None and (k, v) != ("priority", 0)}


def test_a_missing_api_key_is_refused_by_check(monkeypatch):
    monkeypatch.delenv("VULTR_API_KEY", raising=False)
    answer = Dispatcher(vultr.plugin("2.27.1")).call(
        "CheckConfig", {"urn": "urn:pulumi:dev::lab::pulumi:providers:vultr::p", "news": {}}
    )
    assert answer["failures"][0]["reason"].startswith(
        "Provider is missing a required configuration key, try `pulumi config set vultr:apiKey`"
    )


@pytest.mark.parametrize(
    ("kind", "news"),
    [("sSHKey:SSHKey", {"sshKey": "k"}), ("dnsRecord:DnsRecord", {"domain": "d", "type": "A", "data": "1"})],
)
def test_a_name_left_out_is_made_up_once_and_then_kept(dispatcher, kind, news):
    first = call(dispatcher, "Check", kind, olds={}, news=news)["inputs"]
    again = call(dispatcher, "Check", kind, olds=first, news=news)["inputs"]
    assert first["name"].startswith("x-")
    assert len(first["name"]) == len("x-") + 7
    assert again == first
