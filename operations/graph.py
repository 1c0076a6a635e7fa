"""The graph of a stack's resources, component by component, ready to be drawn.

Reads the state; leaves alone how it looks (drawing.py). The same state gives the same file, byte for byte: no
ids, no addresses, no times.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from operations.cli import OperationError, Pulumi, say
from operations.drawing import Card, Row, svg
from operations.state import Resource, State

STACK = "pulumi:pulumi:Stack"


@dataclass(frozen=True)
class Graph:
    """Components and what each needs, without what follows from the rest."""

    cards: Mapping[str, Card]  # by urn
    needs: Mapping[str, frozenset[str]]


def write(pulumi: Pulumi, file: Path) -> None:
    """Draw the stack into `file`. Raises OperationError when it has no resources yet."""
    state = State.of(pulumi.export())
    if not any(resource.custom for resource in state.resources):
        raise OperationError(f"graph: stack {pulumi.stack} has no resources yet; bring it up first")
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(draw(state, pulumi.tag))
    say(f"graph: {file}")


def draw(state: State, title: str) -> str:
    """The picture of a state as SVG, under `title` and the number of its resources."""
    found = build(state)
    count = sum(resource.custom and not resource.type.startswith("pulumi:") for resource in state.resources)
    return svg(found.cards, found.needs, f"{title}: {count} resources")


def build(state: State) -> Graph:
    """Components with the resources in each; a component needs those that its resources depend on."""
    by_urn = {resource.urn: resource for resource in state.resources if not resource.doomed}
    components = {
        urn: resource
        for urn, resource in by_urn.items()
        if not resource.custom and resource.type != STACK and _is_top(resource, by_urn)
    }
    home = {urn: _home(urn, by_urn, components) for urn in by_urn}
    parts: dict[str, list[Resource]] = {urn: [] for urn in components}
    needs: dict[str, set[str]] = {urn: set() for urn in components}
    for urn, resource in by_urn.items():
        own = home[urn]
        if own is None:
            continue
        if urn != own and resource.custom:
            parts[own].append(resource)
        provider = resource.provider.rpartition("::")[0]
        for needed in (*resource.dependencies, provider):
            other = home.get(needed)
            if other is not None and other != own:
                needs[own].add(other)
    cards = {
        urn: Card(component.type.rsplit(":", 1)[-1], component.name, _rows(parts[urn]))
        for urn, component in components.items()
    }
    return Graph(cards, reduce(acyclic(needs)))


def acyclic(needs: Mapping[str, set[str]]) -> dict[str, set[str]]:
    """Without the edges that close a circle: components may need each other, their resources never do."""
    kept: dict[str, set[str]] = {node: set() for node in needs}
    for node in sorted(needs):
        for other in sorted(needs[node]):
            if node not in _reach(other, kept):
                kept[node].add(other)
    return kept


def reduce(needs: Mapping[str, set[str]]) -> dict[str, frozenset[str]]:
    """Without the edges that a longer way implies."""
    return {
        node: frozenset(
            other for other in others if not any(other in _reach(rival, needs) for rival in others if rival != other)
        )
        for node, others in needs.items()
    }


def _reach(start: str, needs: Mapping[str, set[str]]) -> set[str]:
    seen: set[str] = set()
    todo = [start]
    while todo:
        node = todo.pop()
        if node not in seen:
            seen.add(node)
            todo += needs.get(node, ())
    return seen


def _is_top(resource: Resource, by_urn: Mapping[str, Resource]) -> bool:
    parent = by_urn.get(resource.parent)
    return parent is None or parent.type == STACK


def _home(urn: str, by_urn: Mapping[str, Resource], components: Mapping[str, Resource]) -> str | None:
    while urn in by_urn:
        if urn in components:
            return urn
        urn = by_urn[urn].parent
    return None


def _rows(parts: list[Resource]) -> tuple[Row, ...]:
    """One row a type, by package and type."""
    counts = Counter(_kind(part) for part in parts)
    return tuple(Row(package, type_, count) for (package, type_), count in sorted(counts.items()))


def _kind(resource: Resource) -> tuple[str, str]:
    if resource.type.startswith("pulumi:providers:"):
        return resource.type.rsplit(":", 1)[-1], "Provider"
    return resource.type.split(":", 1)[0], resource.type.rsplit(":", 1)[-1]
