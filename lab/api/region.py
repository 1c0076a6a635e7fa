"""What every operation of the API works on, and the shape of an operation.

An operation is a plain function from the region and a call to a status and a JSON object (None: no body). It
validates first and changes state afterwards, runs on the event loop and never waits, so operations can't
interleave; whatever takes time is handed to `Machines`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from lab.api.addresses import Addresses
from lab.api.machines import Machines
from lab.api.store import Store

JSON = dict[str, Any]
Reply = tuple[int, JSON | None]


@dataclass(frozen=True)
class Region:
    """State, address plan and machines of the one region."""

    store: Store
    addresses: Addresses
    machines: Machines


@dataclass(frozen=True)
class Call:
    """One request: names from the path, the query, and the JSON object of the body (empty without one)."""

    params: Mapping[str, str]
    query: Mapping[str, str]
    body: JSON


Operation = Callable[[Region, Call], Reply]
Routes = list[tuple[str, str, Operation]]  # method, path template, operation
