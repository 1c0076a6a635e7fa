"""File systems that several instances mount: what they are told, and where they are attached. None is behind them.

Shapes by Vultr's OpenAPI description: an object stands in its answer without a wrapper, its attachments in a list of
their own.
"""

import time
import uuid

from lab.api import fields
from lab.api.catalogue import REGIONS
from lab.api.errors import gone, refused
from lab.api.paging import page
from lab.api.region import JSON, Call, Region, Reply, Routes
from lab.api.store import now, public

TABLE = "vfs"
PENDING_SECONDS = 2.0
MONTHLY = 0.1  # USD for a GB
STILL_ATTACHED = "Can not delete this subscription until it is detatched from all machines"  # as it is spelled there


def _shown(storage: JSON) -> JSON:
    """A file system as it is by now."""
    return public(storage) | ({"status": "pending"} if time.time() < storage["_active_at"] else {})


def _sized(body: JSON, default: int | None = None) -> JSON:
    size = fields.whole(body.get("storage_size") or {}, "gb", default)
    if not 10 <= size <= 10000:
        raise refused("Invalid storage_size: must be from 10 to 10000 GB")
    return {"storage_size": {"gb": size, "bytes": size << 30}, "billing": {"charges": 0.0, "monthly": size * MONTHLY}}


def create(region: Region, call: Call) -> Reply:
    """Make one; it is pending for a time."""
    place, kind = fields.text(call.body, "region", None).lower(), fields.text(call.body, "disk_type", "nvme")
    if place not in REGIONS:
        raise refused("Invalid region chosen.")
    if kind not in ("nvme", "hdd"):
        raise refused("Invalid disk_type")
    storage: JSON = {
        "id": str(uuid.uuid4()), "region": place, "date_created": now(), "status": "active",
        "label": fields.text(call.body, "label", None), "tags": fields.texts(call.body, "tags") or [],
        "disk_type": kind, "storage_used": {"gb": 0, "bytes": 0}, **_sized(call.body),
        "_attachments": {}, "_active_at": time.time() + PENDING_SECONDS,
    }  # fmt: skip
    region.store.table(TABLE)[storage["id"]] = storage
    return 200, _shown(storage)


def listing(region: Region, call: Call) -> Reply:
    """All of them."""
    return 200, page(call.query, [_shown(storage) for storage in region.store.table(TABLE).values()], TABLE)


def read(region: Region, call: Call) -> Reply:
    """One of them."""
    return 200, _shown(region.store.get(TABLE, call.params["id"]))


def update(region: Region, call: Call) -> Reply:
    """Label it anew, or make it larger."""
    storage = region.store.get(TABLE, call.params["id"])
    sized = _sized(call.body, storage["storage_size"]["gb"])
    if sized["storage_size"]["gb"] < storage["storage_size"]["gb"]:
        raise refused("Invalid storage_size: a file system can't be made smaller")
    storage.update(label=fields.text(call.body, "label", storage["label"]), **sized)
    return 200, _shown(storage)


def delete(region: Region, call: Call) -> Reply:
    """Delete it, once nothing mounts it."""
    if region.store.get(TABLE, call.params["id"])["_attachments"]:
        raise refused(STILL_ATTACHED)
    del region.store.table(TABLE)[call.params["id"]]
    return 204, None


def attachments(region: Region, call: Call) -> Reply:
    """Where it is attached."""
    return 200, {"attachments": list(region.store.get(TABLE, call.params["id"])["_attachments"].values())}


def attach(region: Region, call: Call) -> Reply:
    """Attach it to an instance of the same region."""
    storage, target = region.store.get(TABLE, call.params["id"]), call.params["target"]
    if region.store.get("instances", target)["region"] != storage["region"]:
        raise refused("Invalid target: the instance is in another region")
    there = storage["_attachments"]
    tag = max((entry["mount_tag"] for entry in there.values()), default=0) + 1
    there.setdefault(target, {"vfs_id": storage["id"], "state": "ATTACHED", "target_id": target, "mount_tag": tag})
    return 200, there[target]


def detach(region: Region, call: Call) -> Reply:
    """Detach it."""
    if region.store.get(TABLE, call.params["id"])["_attachments"].pop(call.params["target"], None) is None:
        raise gone("instances")
    return 204, None


ROUTES: Routes = [
    ("GET", "/v2/vfs", listing),
    ("POST", "/v2/vfs", create),
    ("GET", "/v2/vfs/{id}", read),
    ("PUT", "/v2/vfs/{id}", update),
    ("DELETE", "/v2/vfs/{id}", delete),
    ("GET", "/v2/vfs/{id}/attachments", attachments),
    ("PUT", "/v2/vfs/{id}/attachments/{target}", attach),
    ("DELETE", "/v2/vfs/{id}/attachments/{target}", detach),
]
