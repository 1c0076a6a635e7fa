"""Accounts of the object storage: where they are and their keys. Behind them is a store of the region (stores.py).

Shapes and states by Vultr's OpenAPI description; the tier of an account stands in the list alone (tpv's importer).
"""

import secrets
import time
import uuid

from lab.api import fields
from lab.api.errors import refused
from lab.api.paging import page
from lab.api.region import JSON, Call, Region, Reply, Routes
from lab.api.store import now, public

TABLE = "object_storages"
PENDING_SECONDS = 2.0
# Clusters and tiers that the lab has: id, where, and what a tier is called.
CLUSTERS = {2: ("ewr", "New Jersey", "ewr1.vultrobjects.com"), 4: ("ams", "Amsterdam", "ams1.vultrobjects.com")}
TIERS = {1: "legacy", 2: "standard", 3: "premium", 4: "performance", 5: "accelerated"}


def _shown(account: JSON) -> JSON:
    """An account as it is by now: its keys are told once it is active."""
    if time.time() < account["_active_at"]:
        return {**public(account), "status": "pending", "s3_hostname": "", "s3_access_key": "", "s3_secret_key": ""}
    return public(account)


def create(region: Region, call: Call) -> Reply:
    """Open an account; it is pending for a time."""
    cluster, tier = fields.whole(call.body, "cluster_id"), fields.whole(call.body, "tier_id", 2)
    if cluster not in CLUSTERS:
        raise refused("Invalid cluster ID.")
    if tier not in TIERS:
        raise refused("Invalid tier ID.")
    place, location, host = CLUSTERS[cluster]
    account: JSON = {
        "id": str(uuid.uuid4()), "date_created": now(), "cluster_id": cluster, "region": place, "location": location,
        "label": fields.text(call.body, "label"), "status": "active", "s3_hostname": host,
        "s3_access_key": secrets.token_hex(10).upper(), "s3_secret_key": secrets.token_urlsafe(30),
        "_tier": tier, "_active_at": time.time() + PENDING_SECONDS,
    }  # fmt: skip
    region.store.table(TABLE)[account["id"]] = account
    return 202, {"object_storage": _shown(account)}


def listing(region: Region, call: Call) -> Reply:
    """All accounts, with their tiers."""
    accounts = region.store.table(TABLE).values()
    # Under its name in Vultr's own tables, here alone (govultr: "different ID json field").
    tiers = [{"OBJSTORETIERID": account["_tier"], "sales_name": TIERS[account["_tier"]]} for account in accounts]
    shown = [{**_shown(account), "tier": tier} for account, tier in zip(accounts, tiers, strict=True)]
    return 200, page(call.query, shown, TABLE)


def read(region: Region, call: Call) -> Reply:
    """One account."""
    return 200, {"object_storage": _shown(region.store.get(TABLE, call.params["id"]))}


def update(region: Region, call: Call) -> Reply:
    """Label it anew."""
    region.store.get(TABLE, call.params["id"])["label"] = fields.text(call.body, "label", None)
    return 204, None


def delete(region: Region, call: Call) -> Reply:
    """Close it, with all that is in it."""
    region.store.get(TABLE, call.params["id"])
    del region.store.table(TABLE)[call.params["id"]]
    return 204, None


ROUTES: Routes = [
    ("GET", "/v2/object-storage", listing),
    ("POST", "/v2/object-storage", create),
    ("GET", "/v2/object-storage/{id}", read),
    ("PUT", "/v2/object-storage/{id}", update),
    ("DELETE", "/v2/object-storage/{id}", delete),
]
