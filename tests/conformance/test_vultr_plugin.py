"""The Vultr stand-in checks, plans, asks and words as the official plugin was recorded to do.

`vultr_calls.jsonl`: calls that touch nothing. `vultr_exchanges.jsonl`: calls with the requests they made and
the answers they got, [method, path, body, status, answer] each.
"""

import json

import pytest

from provider import client as vultr_client
from provider import plugin as vultr
from provider.protocol.base import Failure, PartialFailure, encode
from provider.protocol.dispatch import Dispatcher
from tests.conformance.recorded import answer_to, case_id, comparable, load, request_of, spelled

KEY = "EXAMPLE-API-KEY"


class ScriptedApi:
    """Answers the plugin's requests from a list and keeps what was asked; sleeping takes no time here."""

    def __init__(self, monkeypatch, answers=()):
        self.answers, self.asked, self.now = list(answers), [], 0.0
        monkeypatch.setattr(vultr_client.Client, "_attempt", self._attempt)
        monkeypatch.setattr(vultr_client.time, "sleep", self._sleep)
        monkeypatch.setattr(vultr_client.time, "monotonic", lambda: self.now)

    def _attempt(self, method, path, body):
        self.asked.append([method, path, json.loads(json.dumps(body)), round(self.now, 2)])
        status, answer, *headers = self.answers.pop(0)
        if status == 0:
            raise ConnectionResetError("EOF")
        text = (
            answer if isinstance(answer, str) else "" if answer is None else json.dumps(answer, separators=(",", ":"))
        )
        return status, dict(*headers), text

    def _sleep(self, seconds):
        self.now += seconds

    def requests(self):
        return [entry[:3] for entry in self.asked]

    def times(self):
        return [entry[3] for entry in self.asked]


@pytest.fixture
def dispatcher(monkeypatch):
    monkeypatch.setenv("VULTR_API_KEY", KEY)
    dispatcher = Dispatcher(vultr.plugin("2.27.1"))
    dispatcher.call("Configure", {"args": {"version": "2.27.1"}})
    return dispatcher


def call(dispatcher, method, kind, **request):
    urn = f"urn:pulumi:dev::lab::vultr:index/{kind}::x"
    return dispatcher.call(method, {"urn": urn, **{k: encode(v) for k, v in request.items()}})


@pytest.mark.parametrize("case", load("vultr_calls.jsonl"), ids=case_id)
def test_calls_that_touch_nothing_are_answered_as_recorded(dispatcher, case):
    assert answer_to(dispatcher, case) == comparable(spelled(case["response"]))


@pytest.mark.parametrize("case", load("vultr_exchanges.jsonl"), ids=case_id)
def test_requests_and_answers_are_the_recorded_ones(dispatcher, monkeypatch, case):
    answers = [exchange[3:] for exchange in case["http"]]
    repeated = case["case"].startswith("Update SSHKey key, next up")
    if repeated:  # its read-back was not recorded
        kept = {
            "id": "id-38",
            "date_created": "2026-11-23T17:08:51+00:00",
            "name": "lab-key",
            "ssh_key": "ssh-ed25519 KEY admin",
        }
        answers.append([200, {"ssh_key": kept}])
    api = ScriptedApi(monkeypatch, answers)
    if "error" in case:
        with pytest.raises(Failure) as failure:
            dispatcher.call(case["method"], request_of(case))
        assert str(failure.value).replace("urn:pulumi:dev::lab::", "") == case["error"]
    else:
        assert answer_to(dispatcher, case) == comparable(spelled(case["response"]))
    wanted = [exchange[:3] for exchange in case["http"]]
    assert api.requests()[: len(wanted)] == wanted
    assert len(api.requests()) == len(answers)


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


INSTANCE = {
    "region": "ewr",
    "plan": "p",
    "osId": 1,
    "reservedIpId": "r",
    "userScheme": "root",
    "backups": "disabled",
}
READS = [[200, {"backup_schedule": {"enabled": False}}], [200, {"vpcs": []}], [200, {"vpcs": []}]]


def instance(**fields):
    return {
        "instance": {
            "id": "i",
            "status": "active",
            "power_status": "running",
            "user_scheme": "root",
            **fields,
        }
    }


def test_an_instance_is_polled_after_10_13_19_29_seconds_and_then_for_power(dispatcher, monkeypatch):
    pending, stopped = instance(status="pending"), instance(power_status="stopped")
    api = ScriptedApi(
        monkeypatch,
        [
            [202, instance()],
            *[[200, pending]] * 5,
            [200, instance()],
            [200, stopped],
            *[[200, instance()]] * 2,
            *READS,
        ],
    )
    call(dispatcher, "Create", "instance:Instance", properties=INSTANCE)
    assert api.times() == [0, 10, 13, 19, 29, 39, 49, 59, 62, 62, 62, 62, 62]


def test_a_create_is_repeated_while_the_reserved_address_is_attached(dispatcher, monkeypatch):
    refusal = {"error": "Floating IPv4 address is already attached to another server", "status": 400}
    api = ScriptedApi(monkeypatch, [[400, refusal]] * 7 + [[202, instance()]] + [[200, instance()]] * 3 + READS)
    call(dispatcher, "Create", "instance:Instance", properties=INSTANCE)
    assert api.times()[:8] == [0, 0.5, 1.5, 3.5, 7.5, 15.5, 25.5, 35.5]


def test_the_repeating_ends_after_59_minutes(dispatcher, monkeypatch):
    refusal = {"error": "Floating IPv4 address is already attached to another server", "status": 400}
    api = ScriptedApi(monkeypatch, [[400, refusal]] * 500)
    with pytest.raises(Failure, match="cannot create instance with reserved IP"):
        call(dispatcher, "Create", "instance:Instance", properties=INSTANCE)
    assert 58 * 60 < api.now < 59 * 60


def test_what_fails_after_the_post_stays_in_the_state(dispatcher, monkeypatch):
    ScriptedApi(monkeypatch, [[202, instance()], [400, {"error": "odd", "status": 400}]])
    with pytest.raises(
        PartialFailure, match="error while waiting for Server i to be completed: error retrieving Server i"
    ) as kept:
        call(dispatcher, "Create", "instance:Instance", properties=INSTANCE)
    assert kept.value.id == "i"
    assert encode(kept.value.state)["plan"] == "p"


def test_a_volume_whose_polling_fails_is_worded_as_recorded(dispatcher, monkeypatch):
    api = ScriptedApi(monkeypatch, [[202, {"block": {"id": "id-63"}}], [400, {"error": "odd", "status": 400}]])
    with pytest.raises(PartialFailure) as failure:
        call(
            dispatcher,
            "Create",
            "blockStorage:BlockStorage",
            properties={"region": "ewr", "sizeGb": 10, "blockType": "high_perf"},
        )
    refusal = '{"error":"odd","status":400}'
    wanted = f"error while waiting for block id-63 to be completed: error retrieving block id-63 : {refusal}\n\n"
    assert str(failure.value).endswith(wanted)
    assert api.times() == [0, 10]


def test_a_record_that_can_not_be_read_back_is_lost(dispatcher, monkeypatch):
    ScriptedApi(monkeypatch, [[201, {"record": {"id": "r"}}], [500, {"error": "x"}], *[[500, {"error": "x"}]] * 3])
    with pytest.raises(Failure, match=r"^expected non-nil error with nil state during Create of urn:pulumi") as failure:
        call(
            dispatcher,
            "Create",
            "dnsRecord:DnsRecord",
            properties={"domain": "d", "type": "A", "data": "1", "name": ""},
        )
    assert not isinstance(failure.value, PartialFailure)


def test_after_a_refused_update_the_new_values_are_in_the_state(dispatcher, monkeypatch):
    ScriptedApi(monkeypatch, [[400, {"error": "no", "status": 400}]])
    with pytest.raises(PartialFailure, match="updating urn") as failure:
        call(
            dispatcher,
            "Update",
            "sSHKey:SSHKey",
            id="k",
            olds={"name": "a", "sshKey": "s"},
            news={"name": "b", "sshKey": "s"},
        )
    assert failure.value.state["name"] == "b"


@pytest.mark.parametrize(
    ("answers", "times"),
    [
        ([[500, "x"]] * 2 + [[204, None]], [0, 0.33, 0.83]),
        ([[429, "x", {"retry-after": "3"}]] * 2 + [[204, None]], [0, 3, 6]),
        ([[0, ""], [204, None]], [0, 0.33]),
    ],
)
def test_server_errors_are_repeated_with_the_recorded_pauses(dispatcher, monkeypatch, answers, times):
    api = ScriptedApi(monkeypatch, answers)
    call(dispatcher, "Delete", "sSHKey:SSHKey", id="k", properties={"name": "a"})
    assert api.times() == times


@pytest.mark.parametrize("status", [400, 404, 501])
def test_refusals_are_not_repeated(dispatcher, monkeypatch, status):
    api = ScriptedApi(monkeypatch, [[status, {"error": "x", "status": status}]])
    with pytest.raises(Failure, match="error destroying SSH key"):
        call(dispatcher, "Delete", "sSHKey:SSHKey", id="k", properties={"name": "a"})
    assert len(api.asked) == 1


def test_an_answer_that_is_not_json_is_worded_as_recorded(dispatcher, monkeypatch):
    ScriptedApi(monkeypatch, [[200, '{"vpc":{"id": tru']])
    with pytest.raises(Failure, match=r"error getting VPC: invalid character ' ' in literal true \(expecting 'e'\)"):
        call(dispatcher, "Read", "vpc:Vpc", id="v", properties={"region": "ewr"})


def test_reverse_addresses_are_searched_on_all_pages(dispatcher, monkeypatch):
    first = {"ipv4s": [{"ip": "192.0.2.1"}], "meta": {"links": {"next": "bmV4dA=="}}}
    api = ScriptedApi(monkeypatch, [[200, first], [200, {"ipv4s": [{"ip": "192.0.2.9", "reverse": "a.example"}]}]])
    call(
        dispatcher,
        "Read",
        "reverseIpv4:ReverseIpv4",
        id="192.0.2.9",
        properties={"instanceId": "i", "ip": "192.0.2.9", "reverse": "a"},
    )
    assert api.requests()[1][1] == "/v2/instances/i/ipv4?cursor=bmV4dA=="


@pytest.mark.parametrize(
    ("kind", "id", "path", "wrapper", "found"),
    [
        (
            "dnsRecord:DnsRecord",
            "example.org,r1",
            "/v2/domains/example.org/records/r1",
            "record",
            {"type": "A", "name": "", "data": "1"},
        ),
        (
            "firewallRule:FirewallRule",
            "g,7",
            "/v2/firewalls/g/rules/7",
            "firewall_rule",
            {"ip_type": "v4", "subnet_size": 0},
        ),
        ("sSHKey:SSHKey", "k", "/v2/ssh-keys/k", "ssh_key", {"name": "n", "ssh_key": "s"}),
    ],
)
def test_import_ids_lead_to_the_object(dispatcher, monkeypatch, kind, id, path, wrapper, found):  # noqa: PLR0917
    api = ScriptedApi(monkeypatch, [[200, {wrapper: found}]])
    answer = call(dispatcher, "Read", kind, id=id)
    assert api.requests() == [["GET", path, None]]
    assert answer["id"] == id.rpartition(",")[2]
    assert answer["inputs"]


@pytest.mark.parametrize(
    ("https_proxy", "no_proxy", "used"),
    [
        ("http://127.0.0.1:1", "", True),
        ("http://127.0.0.1:1", "127.0.0.1,.vultr.com", False),
        ("", "", False),
    ],
)
def test_the_proxy_of_the_environment_is_used(monkeypatch, https_proxy, no_proxy, used):
    for name in ("HTTPS_PROXY", "https_proxy", "NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HTTPS_PROXY", https_proxy)
    monkeypatch.setenv("NO_PROXY", no_proxy)
    assert (vultr_client.proxy_for("api.vultr.com") is not None) == used
