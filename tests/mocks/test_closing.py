"""What sites close is closed at the proxy before anything that the proxy leads to is released."""

from __future__ import annotations

import inspect
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "images" / "HAProxySetup"))

from hasetup.closing import _stricter
from hasetup.site import Site

from settings.site import CLOSING
from tests.mocks import program as mocked
from tests.mocks.program import Graph, Registered
from tests.unit.test_swarm_settings import three

CONTAINER = "docker:index/container:Container"
COMMAND = "command:remote:Command"


def before(graph: Graph, one: Registered) -> set[str]:
    """The names of all that goes before it, directly or not."""
    found: dict[str, str] = {}
    pending = [one.urn]
    while pending:
        resource = graph.by_urn(pending.pop())
        pending += [urn for urn in resource.dependencies if urn not in found]
        found |= {urn: graph.by_urn(urn).name for urn in resource.dependencies}
    return set(found.values())


def test_it_is_the_first_to_know_what_the_job_will_know(program: Any, stack_file: dict[str, Any]) -> None:
    stack_file["applications"]["site"]["site"] = {"password": {"anna": "_secrets^mail"}, "allow_from": ["203.0.113.7"]}
    graph = program(stack_file, secret_keys=("secrets",))
    closing = graph.one(COMMAND, "hasetup-closing")
    told = json.loads(closing.inputs["stdin"])
    known = dict(pair.split("=", 1) for pair in graph.one(CONTAINER, "hasetup").inputs["envs"])
    assert told == {name: known[name] for name in ("DOMAINS", "PASSWORDS")}
    assert json.loads(told["DOMAINS"])["example.com"]["site"]["allow_from"] == ["203.0.113.7/32"]
    assert json.loads(told["PASSWORDS"]) == {"site": {"anna": "correct horse"}}
    assert "stdin" in closing.secret_inputs
    words = closing.inputs["create"]
    assert " --volume haproxycfg:/etc/haproxy apiary/haproxysetup:" in words
    assert words.endswith(" closing")
    assert "correct horse" not in words


def test_every_application_that_the_proxy_leads_to_comes_after_it_and_no_other(graph: Graph) -> None:
    closing = graph.one(COMMAND, "hasetup-closing")
    waiting = {one.name for one in graph.of_type(CONTAINER) if closing.name in before(graph, one)}
    assert waiting == {"site", "shop"}


def test_it_waits_for_no_image_of_a_site_and_for_no_container(graph: Graph) -> None:
    closing = graph.one(COMMAND, "hasetup-closing")
    earlier = before(graph, closing)
    assert "web1/HAProxySetup" in earlier
    assert not earlier & {one.name for one in graph.of_type(CONTAINER)}
    assert not earlier & {"web1/NginxStatic", "web1/Echo", "web1/HAProxy"}


def test_after_each_one_the_job_runs(graph: Graph) -> None:
    """Also where an update has failed before the job was another one, and what it closed is taken back."""
    closing, run = graph.one(COMMAND, "hasetup-closing"), graph.one(COMMAND, "hasetup-run")
    assert run.inputs["triggers"] == ["hasetup-id", f"{closing.name}-id"]
    assert closing.urn in run.dependencies


def test_the_job_is_told_that_the_releases_are_through_and_no_other_job_is(graph: Graph) -> None:
    told = "docker cp /etc/hostname "
    for run in graph.of_type(COMMAND):
        if run.name.endswith("-run"):
            assert (told in run.inputs["create"]) == (run.name == "hasetup-run")
    lines = graph.one(COMMAND, "hasetup-run").inputs["create"].splitlines()
    [at] = [number for number, line in enumerate(lines) if told in line]
    assert ":/etc/haproxy/released 2>&1) || { " in lines[at]
    assert "docker start" in lines[at + 1]


ACCESS: list[dict[str, Any]] = [
    {"rate_limit": {"requests": 5, "seconds": 1}},
    {"allow_from": ["203.0.113.7"]},
    {"trusted_proxies": ["203.0.113.7"]},
    {"body_limit": "1m"},
    {"password": {"anna": "_secrets^mail"}},
]


@pytest.fixture
def triggers(program: Any, stack_file: dict[str, Any]) -> Callable[[], list[str]]:
    def now() -> list[str]:
        found: list[str] = (
            program(stack_file, secret_keys=("secrets",)).one(COMMAND, "hasetup-closing").inputs["triggers"]
        )
        return found

    return now


@pytest.mark.parametrize("access", ACCESS, ids=lambda site: str(*site))
def test_whatever_says_who_may_come_is_another_closing(
    triggers: Callable[[], list[str]], stack_file: dict[str, Any], access: dict[str, Any]
) -> None:
    first = triggers()
    stack_file["applications"]["shop"]["site"] = access
    assert (second := triggers()) != first
    # A domain that such an application comes to, too.
    stack_file["applications"]["shop"]["env"]["domains"].append("example.com/new")
    assert triggers() not in (first, second)


def test_an_application_that_leaves_the_web_is_another_closing(
    triggers: Callable[[], list[str]], stack_file: dict[str, Any]
) -> None:
    first = triggers()
    del stack_file["applications"]["shop"]["env"]["domains"]
    assert triggers() != first


def test_a_site_that_everybody_may_visit_and_another_image_of_the_job_are_none(
    triggers: Callable[[], list[str]], stack_file: dict[str, Any]
) -> None:
    first = triggers()
    stack_file["jobs"]["hasetup"]["build_args"] = {"REFRESHED": "2026-11"}
    stack_file["applications"]["shop"]["site"] = {"timeout": 600}
    stack_file["applications"]["new"] = {
        "build_dir": "Echo", "env": {"domains": ["example.com/new"], "http_port": 8080}
    }  # fmt: skip
    assert triggers() == first


def test_every_word_by_which_the_job_closes_is_known(stack_file: dict[str, Any]) -> None:
    assert {word for site in ACCESS for word in site} == CLOSING
    source = inspect.getsource(_stricter)
    told = {word for word in Site.__dataclass_fields__ if f"{word}=" in source}
    assert told | {"password"} == CLOSING


@pytest.mark.parametrize("change", [{"build_dir": "Echo"}, {"command": ["sh"]}])
def test_a_job_that_can_t_close_is_not_asked_to(
    program: Any, stack_file: dict[str, Any], change: dict[str, Any]
) -> None:
    stack_file["jobs"]["hasetup"] |= change
    graph = program(stack_file)
    assert not [one for one in graph.of_type(COMMAND) if one.name.endswith("-closing")]


def test_a_job_that_no_update_runs_closes_nothing_as_none_would_open_it(
    program: Any, stack_file: dict[str, Any]
) -> None:
    stack_file["jobs"]["again"] = {**stack_file["jobs"]["hasetup"], "run": "manual"}
    graph = program(stack_file)
    assert [one.name for one in graph.of_type(COMMAND) if one.name.endswith("-closing")] == ["hasetup-closing"]


def test_replicas_wait_for_the_closing_of_every_server_that_leads_to_them(
    program: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Which the engine is not told of: the service must not go with one of these servers."""
    monkeypatch.setitem(mocked.PREFIXES, "web3", "2001:db8:77:5")
    graph = program(three())
    names = [one.name for one in graph]
    closings = [one.name for one in graph.of_type(COMMAND) if one.name.endswith("-closing")]
    assert len(closings) == 3
    [service] = graph.of_type("docker:index/service:Service")
    assert all(names.index(one) < names.index(service.name, names.index(one)) for one in closings)
    assert max(map(names.index, closings)) < graph.resources.index(service)
    assert not set(closings) & before(graph, service)
