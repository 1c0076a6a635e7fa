"""What Vultr has to rent just now: asked before a server is deleted for another one."""

from __future__ import annotations

from collections.abc import Callable

from provider.errors import ApiError, BadAnswer
from provider.protocol.base import Failure, Props

SHOWN = 8  # of the plans that there are


def must_have(ask: Callable[[str], Props], region: str, plan: str) -> None:
    """Raises Failure where a region does not have a plan; ApiError where that can't be asked.

    `ask` gives the answer to a GET. The list is public, and holds what is in stock.
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
        return
    near = [str(one) for one in plans if str(one).partition("-")[0] == plan.partition("-")[0]]
    there = f"there are {', '.join(near[:SHOWN])}" if near else "nor any of its kind"
    raise Failure(
        f"Vultr has no {plan} in {region} just now ({there}), and this server would be deleted before another one is "
        "made; write another plan or region, or wait until it is there"
    )
