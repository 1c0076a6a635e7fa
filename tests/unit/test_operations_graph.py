"""The picture of the graph: complete, the same each time, and well-formed."""

from __future__ import annotations

import random
from itertools import pairwise
from typing import Any
from xml.etree import ElementTree

import pytest

from operations import jobs
from operations.cli import OperationError
from operations.drawing import Layout, svg
from operations.graph import Graph, build, reduce
from operations.state import State

PREFIX = "urn:pulumi:lab::apiary::"
STACK = f"{PREFIX}pulumi:pulumi:Stack::apiary-lab"


def component(kind: str, name: str) -> dict[str, Any]:
    return {"urn": f"{PREFIX}apiary:{kind}::{name}", "type": f"apiary:{kind}", "parent": STACK}


def part(of: dict[str, Any], type_: str, name: str, *needs: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "urn": f"{PREFIX}{of['type']}${type_}::{name}",
        "type": type_,
        "id": f"id-{name}",
        "parent": of["urn"],
        "dependencies": [needed["urn"] for needed in needs],
        **more,
    }


SERVER, NETWORK = component("host:Server", "web1"), component("docker:Network", "web1")
SITE, JOB = component("docker:Application", "a<b>"), component("docker:Job", "setup")
INSTANCE = part(SERVER, "vultr:index/instance:Instance", "web1")
PROVIDER = part(SERVER, "pulumi:providers:docker", "web1")
ON_HOST = {"provider": f"{PROVIDER['urn']}::id-web1"}
NET = part(NETWORK, "docker:index/network:Network", "web1", **ON_HOST)
CONTAINER = "docker:index/container:Container"
BLOG = part(SITE, CONTAINER, "a<b>", NET, INSTANCE, **ON_HOST)
SETUP = part(JOB, CONTAINER, "setup", NET, BLOG, **ON_HOST)
RESOURCES = [
    {"urn": STACK, "type": "pulumi:pulumi:Stack"},
    *(SERVER, NETWORK, SITE, JOB, INSTANCE, PROVIDER, NET, BLOG, SETUP),
]
ZONES = [component("dns:Zone", f"zone{number}.example") for number in range(6)]
WIDE = [
    *RESOURCES,
    *ZONES,
    *(part(zone, "vultr:index/dnsRecord:DnsRecord", f"r{i}", INSTANCE) for i, zone in enumerate(ZONES)),
]


def state(resources: list[dict[str, Any]]) -> State:
    return State.of({"deployment": {"resources": resources}})


def drawn(graph: Graph) -> str:
    return svg(graph.cards, graph.needs, "apiary-lab")


def test_components_need_what_their_resources_need_and_nothing_that_follows_from_it() -> None:
    graph = build(state(RESOURCES))
    names = {urn: urn.rsplit(":", 3)[1] for urn in graph.cards}
    assert {names[urn]: {names[other] for other in needs} for urn, needs in graph.needs.items()} == {
        "Server": set(),
        "Network": {"Server"},
        "Application": {"Network"},
        "Job": {"Application"},
    }


def test_the_same_stack_gives_the_same_picture_in_whatever_order_the_state_has_it() -> None:
    shuffled = list(WIDE)
    random.Random(4).shuffle(shuffled)  # noqa: S311
    assert drawn(build(state(shuffled))) == drawn(build(state(WIDE)))


def test_every_component_is_in_the_picture_and_the_picture_is_xml() -> None:
    text = drawn(build(state(RESOURCES)))
    said = "".join(ElementTree.fromstring(text).itertext())  # noqa: S314 - our own text
    for word in ("SERVER", "NETWORK", "a<b>", "setup", "Instance", "Provider"):
        assert word in said


def test_no_id_gets_into_the_picture() -> None:
    assert "id-web1" not in drawn(build(state(RESOURCES)))


def test_cards_of_a_column_do_not_overlap() -> None:
    graph = build(state(WIDE))
    layout = Layout(graph.cards, graph.needs)
    for column in layout.columns:
        places = sorted((layout.y[node], layout.y[node] + layout.height(node)) for node in column)
        assert all(first[1] < second[0] for first, second in pairwise(places))


def test_a_long_way_makes_the_short_one_superfluous() -> None:
    needs = {"a": set(), "b": {"a"}, "c": {"a", "b"}}
    assert reduce(needs)["c"] == {"b"}


@pytest.mark.parametrize("wanted", ["setup", "web1:setup"])
def test_a_job_is_found_by_its_name_with_or_without_its_server(wanted: str) -> None:
    assert jobs.find(state(RESOURCES), wanted).urn == SETUP["urn"]


@pytest.mark.parametrize("wanted", ["web2:setup", "a<b>", "none"])
def test_what_is_no_job_is_refused_with_the_jobs_there_are(wanted: str) -> None:
    with pytest.raises(OperationError, match="web1:setup"):
        jobs.find(state(RESOURCES), wanted)
