"""Whatever a program writes is planned, changed or refused in words; nothing is answered with a traceback."""

from __future__ import annotations

import contextlib
import itertools
import typing
from typing import Any

import ediri_vultr
import pytest

from provider.protocol.base import UNKNOWN, Failure, Secret, decode
from provider.protocol.bridge import Prop
from provider.protocol.schema import known
from provider.types import PROPERTIES
from tests.provider.fake import Engine, FakeApi
from tests.provider.test_gone import INSTANCE, TYPES
from tests.provider.test_sold import sells

JSON = dict[str, Any]
RULE = {"frontendProtocol": "http", "frontendPort": 80, "backendProtocol": "http", "backendPort": 8080}
BALANCER = {
    "region": "ewr", "label": "b", "forwardingRules": [RULE], "healthCheck": {"protocol": "http", "port": 80},
    "firewallRules": [{"port": 80, "ipType": "v4", "source": "192.0.2.0/24"}],
    "ssl": {"privateKey": "k", "certificate": "c"}, "attachedInstances": ["i", "j"],
}  # fmt: skip
ALL: dict[str, JSON] = {kind: inputs for kind, (inputs, _) in TYPES.items()} | {
    "Instance": INSTANCE | {"backups": "enabled", "backupsSchedule": {"type": "daily"}, "vpcIds": ["v", "w"],
                            "sshKeyIds": ["k"], "appVariables": {"a": "b"}, "enableIpv6": True},
    "ReverseIpv4": {"instanceId": "i", "ip": "192.0.2.9", "reverse": "a.example"},
    "ReverseIpv6": {"instanceId": "i", "ip": "2001:db8::9", "reverse": "a.example"},
    "ObjectStorage": {"clusterId": 2, "tierId": 1, "label": "o"},
    "VirtualFileSystemStorage": {
        "region": "ewr", "label": "v", "sizeGb": 10, "tags": ["t"], "attachedInstances": ["i"],
    },
    "LoadBalancer": BALANCER,
}  # fmt: skip
ODD = [None, UNKNOWN, "", "x", "ü—" * 200, 0, -1, 1.5, True, False, [], {}, [UNKNOWN], ["a", UNKNOWN], {"a": UNKNOWN},
       [{}], [None], [[]], {"type": UNKNOWN}, [RULE, {**RULE, "frontendPort": UNKNOWN}]]  # fmt: skip


def token(kind: str) -> str:
    return f"vultr:index/{kind[0].lower()}{kind[1:]}:{kind}"


def state_of(engine: Engine, kind: str) -> JSON:
    """What is recorded of one that was made; what only the API tells is something of its kind."""
    planned = decode(engine("Create", kind, properties=engine.inputs(kind, **ALL[kind]), preview=True)["properties"])
    some = {"string": "s", "int": 7, "float": 7, "bool": True, "list": [], "set": [], "map": {}}
    table = PROPERTIES[token(kind)]
    state = {n: some[p.kind] if planned.get(n) is UNKNOWN else planned.get(n) for n, p in table.items()}
    schedule = {"backupsSchedule": {"type": "daily", "hour": 3, "dow": 1, "dom": 0}} if kind == "Instance" else {}
    return {**known(state), **schedule, "id": "id-1"}


@pytest.mark.parametrize("kind", ALL)
def test_what_a_program_may_write_ends_in_no_traceback(engine: Engine, api: FakeApi, kind: str) -> None:
    sells(api, (200, {"available_plans": ["p"]}))
    state, good = state_of(engine, kind), ALL[kind]
    given = [name for name, prop in PROPERTIES[token(kind)].items() if not prop.output]
    for name, odd in itertools.product(given, ODD):
        news = {**good, name: odd}
        with contextlib.suppress(Failure):
            checked = engine("Check", kind, olds=engine.inputs(kind, **good), news=news)
            if checked.get("failures"):
                continue  # the engine goes no further
            inputs = dict(checked["inputs"])
            engine("Create", kind, properties=inputs, preview=True)
            engine("Diff", kind, id="id-1", olds=state, news=inputs, oldInputs=engine.inputs(kind, **good))
            engine("Update", kind, id="id-1", olds=state, news=inputs, preview=True)
    assert not api.requests("POST"), "a preview makes nothing"


@pytest.mark.parametrize("kind", ALL)
def test_all_of_it_may_be_known_only_later(engine: Engine, api: FakeApi, kind: str) -> None:
    news = dict.fromkeys(ALL[kind], UNKNOWN)
    checked = engine("Check", kind, olds={}, news=news)
    assert not checked.get("failures")
    state = state_of(engine, kind)
    for call in ("Create", "Update", "Diff"):
        inputs = checked["inputs"]
        more = {"properties": inputs} if call == "Create" else {"id": "i", "olds": state, "news": inputs}
        answer = engine(call, kind, preview=True, **more)
        assert answer.get("changes", "DIFF_SOME") == "DIFF_SOME"
    assert not api.requests("POST")


@pytest.mark.parametrize("kind", ALL)
def test_the_order_of_a_set_is_no_change(engine: Engine, kind: str) -> None:
    """Of tags, networks, rules; and no second run of the same program is one."""
    good, state, table = ALL[kind], state_of(engine, kind), PROPERTIES[token(kind)]
    turned = {
        name: value[::-1] if table[name].kind == "set" and isinstance(value, list) else value
        for name, value in good.items()
    }
    for news in (good, turned):
        answer = engine("Diff", kind, id="id-1", olds=state, news=engine.inputs(kind, **news))
        assert answer["changes"] == "DIFF_NONE", answer


def test_a_network_more_is_a_change_and_a_network_less_too(engine: Engine) -> None:
    state = state_of(engine, "Instance")
    for vpcs in (["w", "v"], ["v"], [], ["v", "w", "x"]):
        news = engine.inputs("Instance", **ALL["Instance"] | {"vpcIds": vpcs})
        seen = engine("Diff", "Instance", id="id-1", olds=state, news=news)["changes"]
        assert seen == ("DIFF_NONE" if sorted(vpcs) == ["v", "w"] else "DIFF_SOME"), vpcs


@pytest.mark.parametrize(
    ("kind", "name", "given", "taken"),
    [
        ("BlockStorage", "sizeGb", "10", 10),
        ("BlockStorage", "live", "true", True),
        ("FirewallRule", "port", 22, "22"),
        ("DnsRecord", "data", True, "true"),
        ("Instance", "appVariables", {"a": 1}, {"a": "1"}),
        ("Instance", "sshKeyIds", [7], ["7"]),
        ("LoadBalancer", "healthCheck", {"protocol": "http", "port": "80"}, {"protocol": "http", "port": 80}),
    ],
)
def test_what_only_looks_different_is_taken_for_its_kind(
    engine: Engine, kind: str, name: str, given: Any, taken: Any
) -> None:
    """As the official plugin takes it; else each run would find the text `10` in place of the number."""
    inputs = engine.inputs(kind, **ALL[kind] | {name: given})
    found = inputs[name]
    assert (found if not isinstance(found, dict) else {k: found[k] for k in taken}) == taken


@pytest.mark.parametrize(
    ("kind", "news", "text"),
    [
        ("BlockStorage", {"sizeGb": "ten"}, "expected a whole number, got 'ten'. Examine values at 'x.sizeGb'."),
        ("BlockStorage", {"sizeGb": 1.5}, "expected a whole number, got 1.5."),
        ("BlockStorage", {"live": "yes"}, "expected true or false, got 'yes'."),
        ("Instance", {"tags": "web"}, "expected a list, got 'web'. Examine values at 'x.tags'."),
        ("Instance", {"vpcIds": [None]}, "expected text, got nothing. Examine values at 'x.vpcIds[0]'."),
        ("Instance", {"backupsSchedule": "daily"}, "expected a block of settings, got 'daily'."),
        ("Instance", {"backupsSchedule": {"type": "hourly"}}, "expected backups_schedule.0.type to be one of"),
        ("Instance", {"appVariables": ["a"]}, "expected a map, got ['a']."),
        ("LoadBalancer", {"forwardingRules": [{**RULE, "frontendPort": "x"}]}, "'x.forwardingRules[0].frontendPort'."),
        ("LoadBalancer", {"forwardingRules": ["80"]}, "expected a block of settings, got '80'."),
        ("DnsRecord", {"ttl": 0}, "expected ttl to be at least 1, got 0; leave it out for 3600."),
    ],
)
def test_what_is_of_another_kind_is_refused_by_its_name(engine: Engine, kind: str, news: JSON, text: str) -> None:
    """Letters of a text are no tags."""
    [failure] = engine("Check", kind, olds={}, news=ALL[kind] | news)["failures"]
    assert text in failure["reason"]


@pytest.mark.parametrize(
    ("kind", "news"),
    [
        ("LoadBalancer", {"ssl": "hush-hush"}),
        ("LoadBalancer", {"ssl": {"privateKey": ["hush-hush"], "certificate": "c"}}),
        ("Instance", {"userData": Secret({"password": "hush-hush"})}),
        ("Instance", {"appVariables": {"a": Secret(["hush-hush"])}}),
    ],
)
def test_what_is_secret_is_not_shown_where_it_is_refused(engine: Engine, kind: str, news: JSON) -> None:
    [failure] = engine("Check", kind, olds={}, news=ALL[kind] | news)["failures"]
    assert "got a secret. Examine" in failure["reason"]
    assert "hush" not in str(failure)


@pytest.mark.parametrize("kind", PROPERTIES)
def test_each_property_is_of_the_kind_that_the_sdk_has(kind: str) -> None:
    name = kind.rpartition(":")[2]
    resource = getattr(ediri_vultr, name)
    for key, prop in PROPERTIES[kind].items():
        getter = getattr(resource, "".join("_" + c.lower() if c.isupper() else c for c in key)).fget
        [told] = typing.get_args(typing.get_type_hints(getter, vars(ediri_vultr) | vars(typing))["return"])
        assert kind_of(told) == shown(prop), f"{name}.{key}"


def shown(prop: Prop) -> str:
    """The kind as Pulumi shows it."""
    block = "block" if prop.max_one and prop.table is not None else prop.kind
    return {"set": "list"}.get(block, block)


def kind_of(told: Any) -> str:
    origin, arguments = typing.get_origin(told), [one for one in typing.get_args(told) if one is not type(None)]
    if origin is not None and (origin is typing.Union or type(None) in typing.get_args(told)):
        return kind_of(arguments[0])
    if origin is not None:
        return "map" if issubclass(origin, typing.Mapping) else "list"
    return {str: "string", int: "int", float: "float", bool: "bool"}.get(told, "block")
