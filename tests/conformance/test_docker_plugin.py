"""The docker stand-in answers what the official plugin was recorded to answer, where no engine is needed.

`docker.jsonl` holds the recorded requests and answers, stripped to what is asserted: Diff requests keep the
properties that take part, empty members were left out of the recording. `stables` is asserted where the
table names it.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from lab.plugins.docker import plugin
from lab.plugins.docker_container import _cpus_seen
from provider.protocol.base import UNKNOWN_TEXT
from provider.protocol.dispatch import Dispatcher

TABLE = [json.loads(line) for line in Path(__file__).with_name("docker.jsonl").read_text().splitlines()]
ONLY_IF_NAMED = ("stables",)


def pruned(value: Any) -> Any:
    """Without null and empty members, as the recording is; automatic names lose their random end."""
    if isinstance(value, dict):
        members = {key: pruned(item) for key, item in value.items()}
        return {key: item for key, item in members.items() if item not in (None, {}, [])}
    if isinstance(value, list):
        return [pruned(item) for item in value]
    if isinstance(value, str):
        return re.sub(r"\b(net|vol|c)-[0-9a-f]{7}$", r"\1-<random>", value)
    return value


def asserted(answer: dict[str, Any], wanted: dict[str, Any]) -> dict[str, Any]:
    """What of an answer is compared.

    Flags that are off do not count, nor what the table leaves out on purpose.
    """
    out = pruned({k: v for k, v in answer.items() if k not in ONLY_IF_NAMED or k in wanted})
    for key in ("deleteBeforeReplace", "hasDetailedDiff", "id"):
        if not out.get(key):
            out.pop(key, None)
    for failure in out.get("failures", []):
        if not failure.get("property"):
            failure.pop("property", None)
    for kind in out.get("detailedDiff", {}).values():
        if not kind.get("inputDiff"):
            kind.pop("inputDiff", None)
    return out


@pytest.mark.parametrize("entry", TABLE, ids=[f"{e['method']}: {e['scenario']}" for e in TABLE])
def test_answers_as_the_official_plugin_was_recorded(entry: dict[str, Any]) -> None:
    answer = Dispatcher(plugin("5.2.0")).call(entry["method"], entry["request"])
    assert asserted(answer, entry["answer"]) == asserted(entry["answer"], entry["answer"])


def test_the_table_covers_every_kind_of_answer() -> None:
    methods = {entry["method"] for entry in TABLE}
    assert methods == {"CheckConfig", "DiffConfig", "Check", "Diff", "Create", "Update"}
    assert len(TABLE) > 50


def call(method: str, **request: Any) -> dict[str, Any]:
    return Dispatcher(plugin("5.2.0")).call(method, request)


CONTAINER = "urn:pulumi:dev::demo::docker:index/container:Container::x"


def test_a_missing_image_is_found_by_check() -> None:
    failures = call("Check", urn=CONTAINER, olds={}, news={"name": "x"})["failures"]
    assert [f["reason"] for f in failures] == ["Missing required property 'image'"]


def test_an_automatic_name_is_kept_by_the_next_check() -> None:
    first = call("Check", urn=CONTAINER, olds={}, news={"image": "i"})["inputs"]
    assert re.fullmatch(r"x-[0-9a-f]{7}", first["name"])
    assert call("Check", urn=CONTAINER, olds=first, news={"image": "i"})["inputs"] == first


def test_ports_in_another_order_are_no_difference() -> None:
    ports = [
        {"internal": 80, "external": 8080, "ip": "0.0.0.0", "protocol": "tcp"},
        {"internal": 53, "external": 5353, "ip": "127.0.0.1", "protocol": "udp"},
    ]
    answer = call("Diff", urn=CONTAINER, id="1", olds={"ports": ports[::-1], "entrypoints": []}, news={"ports": ports})
    assert "ports" not in answer["diffs"]


def test_a_fixed_name_asks_for_delete_first_and_an_automatic_one_does_not() -> None:
    urn = "urn:pulumi:dev::demo::docker:index/network:Network::n"
    olds = {"name": "n", "labels": []}
    news = {"name": "n", "labels": [{"label": "a", "value": "b"}]}
    fixed = call("Diff", urn=urn, id="1", olds=olds, news={**news, "__defaults": []})
    automatic = call("Diff", urn=urn, id="1", olds=olds, news={**news, "__defaults": ["name"]})
    assert (fixed["deleteBeforeReplace"], automatic["deleteBeforeReplace"]) == (True, False)


def test_a_host_that_is_not_known_yet_is_no_difference() -> None:
    """So `replace_on_changes` has nothing to act on, and who moves a server must not count on it."""
    olds = {"host": "ssh://root@192.0.2.1:22", "version": "5.2.0"}
    provider = "urn:pulumi:dev::demo::pulumi:providers:docker::dk"
    assert call("DiffConfig", urn=provider, olds=olds, news={**olds, "host": UNKNOWN_TEXT}) == {}


@pytest.mark.parametrize(
    ("type_", "name", "was"),
    [
        ("container:Container", "logDriver", "json-file"),
        ("network:Network", "driver", "bridge"),
        ("volume:Volume", "driver", "local"),
        ("volume:Volume", "name", "data"),
    ],
)
def test_an_empty_text_in_place_of_what_the_engine_has_chosen_is_no_difference(type_: str, name: str, was: str) -> None:
    kind = type_.partition(":")[0]
    urn = f"urn:pulumi:dev::demo::docker:index/{kind}:{type_.partition(':')[2]}::x"
    base = {"image": "i", "name": "x"} if kind == "container" else {"name": "x"}
    inputs = call("Check", urn=urn, olds={}, news=base)["inputs"]
    state = {**call("Create", urn=urn, properties=inputs, preview=True)["properties"], name: was}
    answer = call("Diff", urn=urn, id="1", olds=state, news={**inputs, name: ""})
    assert name not in answer["diffs"]


def test_a_name_that_the_program_takes_back_stays() -> None:
    first = call("Check", urn=CONTAINER, olds={}, news={"image": "i", "name": "chosen"})["inputs"]
    assert call("Check", urn=CONTAINER, olds=first, news={"image": "i"})["inputs"]["name"] == "chosen"


@pytest.mark.parametrize("given", [{"adds": ["CAP_KILL"]}, {"drops": ["ALL"]}, {}])
@pytest.mark.parametrize("was", [{"adds": ["CAP_NET_ADMIN"], "drops": ["ALL"]}, {"adds": ["CAP_NET_ADMIN"]}])
def test_capabilities_may_leave_out_either_list(given: dict[str, Any], was: dict[str, Any]) -> None:
    inputs = call("Check", urn=CONTAINER, olds={}, news={"image": "i", "name": "x", "capabilities": given})["inputs"]
    state = call("Create", urn=CONTAINER, properties=inputs, preview=True)["properties"]
    answer = call("Diff", urn=CONTAINER, id="1", olds={**state, "capabilities": was}, news=inputs)
    assert "capabilities" in answer["replaces"]


@pytest.mark.parametrize(
    ("nano", "seen"),
    [(10**9, "1.0"), (10**10, "10.0"), (5 * 10**8, "0.5"), (5 * 10**7, "0.05"), (125 * 10**7, "1.25")],
)
def test_processors_are_read_with_one_decimal_at_least(nano: int, seen: str) -> None:
    assert _cpus_seen(nano) == seen
