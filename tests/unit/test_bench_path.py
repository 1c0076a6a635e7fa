"""The critical path that figures are held against is the longest chain, and no other."""

from __future__ import annotations

from typing import Any

from bench.path import Step, dependencies, longest, spans

URN = "urn:pulumi:lab::apiary::"


def step(name: str, began: float, ended: float) -> Step:
    return Step(f"{URN}{name}", began, ended)


def names(steps: list[Step]) -> list[str]:
    return [one.urn.removeprefix(URN) for one in steps]


def test_the_longest_chain_is_that_of_most_seconds_not_of_most_steps() -> None:
    server, image, site, record = step("server", 0, 9), step("image", 9, 12), step("site", 12, 13), step("record", 0, 2)
    needs = {image.urn: [server.urn], site.urn: [image.urn, record.urn], record.urn: []}
    assert names(longest([server, image, site, record], needs)) == ["server", "image", "site"]


def test_what_waited_for_a_hand_counts_with_its_own_seconds() -> None:
    first, second = step("first", 0, 2), step("second", 50, 51)
    chain = longest([first, second], {second.urn: [first.urn]})
    assert sum(one.seconds for one in chain) == 3


def test_a_component_hands_on_what_its_parts_wait_for() -> None:
    server, site = step("server", 0, 5), step("site", 5, 6)
    needs = {site.urn: [f"{URN}component"], f"{URN}component": [server.urn]}
    assert names(longest([server, site], needs)) == ["server", "site"]


def test_nothing_to_do_has_no_path() -> None:
    assert longest([], {}) == []


def test_a_state_says_who_waits_for_whom() -> None:
    state = {
        "deployment": {
            "resources": [
                {"urn": "a"},
                {"urn": "b", "parent": "c", "dependencies": ["a"], "provider": "urn:x::docker::web1::0a1b"},
            ]
        }
    }
    assert dependencies(state) == {"a": [], "b": ["a", "c", "urn:x::docker::web1"]}


def test_steps_are_read_from_the_engines_events() -> None:
    def event(kind: str, urn: str, op: str, type: str = "docker:index/image:Image") -> dict[str, dict[str, Any]]:
        return {kind: {"metadata": {"urn": urn, "op": op, "type": type}}}

    events = [
        (0.0, event("resourcePreEvent", "stack", "create", "pulumi:pulumi:Stack")),
        (1.0, event("resourcePreEvent", "a", "create")),
        (1.5, event("resourcePreEvent", "b", "same")),
        (2.0, event("resOutputsEvent", "b", "same")),
        (4.0, event("resOutputsEvent", "a", "create")),
        (5.0, event("resourcePreEvent", "a", "delete-replaced")),
        (6.0, event("resOutputsEvent", "stack", "create", "pulumi:pulumi:Stack")),
    ]
    assert spans(events) == [Step("a", 1.0, 4.0)]
