"""What clients read as they look over an account: lists of what this region has none of, what an instance may become.

That the lists are empty is true here: to make what would be in them (snapshots, scripts, bare metal) is refused.
"""

from collections.abc import Callable

from lab.api.catalogue import PLANS
from lab.api.object_storage import CLUSTERS, TIERS
from lab.api.paging import page
from lab.api.region import JSON, Call, Region, Reply, Routes

# Path of a list, and what its entries stand under (govultr).
NONE = {
    "/v2/applications": "applications",
    "/v2/backups": "backups",
    "/v2/bare-metals": "bare_metals",
    "/v2/databases": "databases",
    "/v2/iso": "isos",
    "/v2/iso-public": "public_isos",
    "/v2/kubernetes/clusters": "vke_clusters",
    "/v2/plans-metal": "plans_metal",
    "/v2/snapshots": "snapshots",
    "/v2/startup-scripts": "startup_scripts",
    "/v2/users": "users",
}


def _none(wrapper: str) -> Callable[[Region, Call], Reply]:
    return lambda _region, call: (200, page(call.query, [], wrapper))


def _instance(region: Region, call: Call) -> JSON:
    return region.store.get("instances", call.params["id"])


def upgrades(region: Region, call: Call) -> Reply:
    """The plans that the instance can get: those of its region whose disk is no smaller."""
    instance, kind = _instance(region, call), call.query.get("type") or "all"
    fit = [
        plan["id"]
        for plan in PLANS.values()
        if instance["region"] in plan["locations"]
        and plan["id"] != instance["plan"]
        and plan["disk"] >= PLANS[instance["plan"]]["disk"]
    ]
    wanted: dict[str, list[JSON]] = {"plans": fit, "os": [], "applications": []}
    return 200, {"upgrades": {name: found for name, found in wanted.items() if kind in ("all", name)}}


def bandwidth(region: Region, call: Call) -> Reply:
    """Traffic by the day, which nobody counts here."""
    _instance(region, call)
    return 200, {"bandwidth": {}}


def neighbors(region: Region, call: Call) -> Reply:
    """Other instances of the account on the same machine of the provider's."""
    _instance(region, call)
    return 200, {"neighbors": []}


def iso(region: Region, call: Call) -> Reply:
    """Which ISO is attached: none."""
    _instance(region, call)
    return 200, {"iso_status": {"state": "", "iso_id": ""}}


def clusters(_region: Region, call: Call) -> Reply:
    """Where there is object storage."""
    found = [
        {"id": id_, "region": place, "hostname": host, "deploy": "yes"} for id_, (place, _, host) in CLUSTERS.items()
    ]
    return 200, page(call.query, found, "clusters")


def tiers(_region: Region, _call: Call) -> Reply:
    """How fast it is; here, as in no list of accounts, a tier's number is its `id` (govultr)."""
    return 200, {"tiers": [{"id": id_, "sales_name": name, "slug": f"tier_00{id_}"} for id_, name in TIERS.items()]}


ROUTES: Routes = [
    *[("GET", path, _none(wrapper)) for path, wrapper in NONE.items()],
    ("GET", "/v2/instances/{id}/upgrades", upgrades),
    ("GET", "/v2/instances/{id}/bandwidth", bandwidth),
    ("GET", "/v2/instances/{id}/neighbors", neighbors),
    ("GET", "/v2/instances/{id}/iso", iso),
    ("GET", "/v2/object-storage/clusters", clusters),
    ("GET", "/v2/object-storage/tiers", tiers),
]
