"""The order of jobs.

Makes: a stable topological order, and the circles that prevent one. Leaves alone: what a job waits for
besides other jobs; applications wait for nothing.
"""

from collections import deque
from collections.abc import Mapping, Sequence

from settings.models import Stack


def job_order(stack: Stack) -> list[str]:
    """Return the names of all jobs, each after the jobs it comes `after`; otherwise in the order of the file.

    A checked stack has no circles; in one that has, their members keep the order of the file.
    """
    waits = {name: [other for other in job.after if other in stack.jobs] for name, job in stack.jobs.items()}
    order: list[str] = []
    while len(order) < len(waits):
        waiting = [name for name in waits if name not in order]
        ready = [name for name in waiting if all(other in order for other in waits[name])]
        order.append((ready or waiting)[0])
    return order


def circles(waits: Mapping[str, Sequence[str]]) -> list[list[str]]:
    """Return circles of names that wait for one another: the shortest through a name, each name once."""
    found: list[list[str]] = []
    for start in sorted(waits):
        if not any(start in circle for circle in found) and (circle := _way_back(start, waits)):
            found.append(circle)
    return found


def _way_back(start: str, waits: Mapping[str, Sequence[str]]) -> list[str]:
    """Return the shortest circle through `start`, from it on; empty when there is none."""
    came_from: dict[str, str] = {}
    pending = deque([start])
    while pending:
        name = pending.popleft()
        for other in waits.get(name, ()):
            if other == start:
                circle = [name]
                while circle[-1] != start:
                    circle.append(came_from[circle[-1]])
                return circle[::-1]
            if other not in came_from:
                came_from[other] = name
                pending.append(other)
    return []
