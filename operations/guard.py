"""What an update would cost, asked before a repair ends with one.

Reads plans and changes nothing. A repair finishes what was meant before; a server that the stack file asks for
by now, in place of one that lives, takes a disk with it and is for `pulumi up`, which shows it first.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from operations.cli import Pulumi
from operations.state import INSTANCE

COSTLY = ("delete", "replace", "create-replacement", "delete-replaced")


def costs(pulumi: Pulumi) -> list[str]:
    """Names of the servers that `pulumi up` would replace or delete now. Raises OperationError without a plan."""
    return lost_servers(pulumi.preview(), pulumi.export())


def lost_servers(plan: Mapping[str, Any], exported: Mapping[str, Any]) -> list[str]:
    """Names of the instances that a plan (`pulumi preview --json`) replaces or deletes.

    Left out are those which an earlier update has replaced already by the state (`pulumi stack export`): what
    is left of them is only cleared away. The plan's own `oldState` does not tell, it marks any replacement.
    """
    resources = (exported.get("deployment") or {}).get("resources") or []
    decided = {entry["urn"] for entry in resources if entry.get("delete") or entry.get("pendingReplacement")}
    return sorted(
        {
            str(step["urn"]).rsplit("::", 1)[-1]
            for step in plan.get("steps") or []
            if INSTANCE in str(step["urn"]) and step["op"] in COSTLY and step["urn"] not in decided
        }
    )
