"""What Vultr has to rent just now: asked before a server is deleted for another one, and when one is refused."""

from __future__ import annotations

import math
import re
from collections.abc import Callable

from provider.errors import ApiError, BadAnswer
from provider.protocol.base import Failure, Props

SHOWN = 8  # of the plans that there are
UNFIT = re.compile(r"vbm-.*|.*-v6|vx1-[a-z]-\d+c-\d+g")  # bare metal, without IPv4, without a disk
REMEDY = "write one of these, or another region, or wait until it is there"


def lacking(ask: Callable[[str], Props], region: str, plan: str) -> str:
    """That a region does not have a plan, and what there is instead; empty where it has it, or does not tell.

    `ask` gives the answer to a GET. The list is public, and holds what is in stock. Raises ApiError where that can't be
    asked, Failure where there is no such region.
    """
    try:
        answer = ask(f"/v2/regions/{region}/availability")
    except ApiError as error:
        if error.status not in (400, 404) or isinstance(error, BadAnswer):
            raise
        raise Failure(
            f"Vultr has no region {region!r} ({error.said}); they are listed at https://api.vultr.com/v2/regions"
        ) from error
    plans = answer.get("available_plans")
    if not isinstance(plans, list) or plan in plans:
        return ""
    fit = [str(one) for one in plans if not UNFIT.fullmatch(str(one))]
    near = sorted(fit, key=lambda one: (_kind(one) != _kind(plan), abs(_size(one) - _size(plan)), one))[:SHOWN]
    return f"Vultr has no {plan} in {region} just now ({'there are ' + ', '.join(near) if near else 'nor any other'})"


def upgrades(ask: Callable[[str], Props], id: str, urn: str) -> str:
    """Which plans an instance can get, for one that was refused another. Asks as `lacking` does."""
    try:
        found = ask(f"/v2/instances/{id}/upgrades?type=plans").get("upgrades")
    except ApiError:  # then the refusal alone has to do
        found = None
    plans = found.get("plans") if isinstance(found, dict) else None
    known = f"{', '.join(map(str, plans)) or 'none'} just now" if isinstance(plans, list) else "one with more"
    return (
        f"This server can get {known}. It can get no smaller disk: for any other plan it has to be made anew, which "
        f"loses what is on it, `pulumi up --replace '{urn}'`"
    )


def _kind(plan: str) -> str:
    return plan.partition("-")[0]


def _size(plan: str) -> float:
    """Its memory, so that half and twice of it are equally far."""
    found = re.search(r"-(\d+(?:\.\d+)?)gb?(?:-|$)", plan)
    return math.log2(max(float(found[1]), 0.1)) if found else 0.0
