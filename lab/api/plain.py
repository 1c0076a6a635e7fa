"""What is state and little else: SSH keys, VPCs, block storage, and the catalogue."""

import uuid
from ipaddress import ip_network

from lab.api import fields, later
from lab.api.catalogue import ACCOUNT, OSES, PLANS, REGIONS
from lab.api.errors import LOCKED, NOTHING_TO_CHANGE, VPC_IN_USE, ApiError, refused
from lab.api.paging import page
from lab.api.region import JSON, Call, Operation, Region, Reply, Routes
from lab.api.store import Store, now, public

#: Gigabytes that a volume of each type may have (Vultr's product page of block storage).
BLOCK_GB = {"high_perf": range(10, 10_001), "storage_opt": range(40, 40_001)}


def _place(body: JSON) -> str:
    place = fields.text(body, "region", None).lower()
    if place not in REGIONS:
        raise refused("Invalid region chosen.")
    return place


def _list(table: str, wrapper: str) -> Operation:
    return lambda region, call: (200, page(call.query, list(region.store.table(table).values()), wrapper))


def _read(table: str, wrapper: str) -> Operation:
    return lambda region, call: (200, {wrapper: region.store.get(table, call.params["id"])})


def _describe(table: str) -> Operation:
    def operation(region: Region, call: Call) -> Reply:
        found = region.store.get(table, call.params["id"])
        found["description"] = fields.text(call.body, "description", None)
        return 204, None

    return operation


def _delete(table: str) -> Operation:
    def operation(region: Region, call: Call) -> Reply:
        region.store.get(table, call.params["id"])
        del region.store.table(table)[call.params["id"]]
        return 204, None

    return operation


def _key(text: str) -> str:
    if len(text.split()) < 2 or not text.startswith(("ssh-", "ecdsa-", "sk-")):
        raise refused("Invalid SSH key")
    return text


def create_key(region: Region, call: Call) -> Reply:
    """Store a public key."""
    name, text = fields.text(call.body, "name", None), _key(fields.text(call.body, "ssh_key", None))
    key = {"id": str(uuid.uuid4()), "date_created": now(), "name": name, "ssh_key": text}
    region.store.table("ssh_keys")[key["id"]] = key
    return 201, {"ssh_key": key}


def update_key(region: Region, call: Call) -> Reply:
    """Change name or key, for instances made afterwards."""
    key = region.store.get("ssh_keys", call.params["id"])
    name = fields.text(call.body, "name", key["name"])
    text = _key(fields.text(call.body, "ssh_key", key["ssh_key"]))
    key.update(name=name, ssh_key=text)
    return 204, None


def _network(region: Region, subnet: str, size: int) -> str:
    """The subnet as given, or a free one. ApiError 400 when it is not private, too small or too large."""
    if not subnet:
        taken = {vpc["v4_subnet"] for vpc in region.store.table("vpcs").values()}
        return next(net for net in (f"10.{n}.96.0" for n in range(1, 256)) if net not in taken)
    try:
        network = ip_network(f"{subnet}/{size}")
    except ValueError as error:
        raise refused(f"Invalid subnet: {subnet}/{size} is not a network") from error
    if network.version != 4 or not network.is_private or not 8 <= size <= 29:
        raise refused(f"Invalid subnet: {subnet}/{size} is not a private IPv4 network between /8 and /29")
    return str(network.network_address)


def create_vpc(region: Region, call: Call) -> Reply:
    """A VPC on the given private network, or on one that is chosen; a mask of 0 is none."""
    body = call.body
    place, size = _place(body), fields.whole(body, "v4_subnet_mask", 0) or 20
    subnet = _network(region, fields.text(body, "v4_subnet"), size)
    vpc: JSON = {"id": str(uuid.uuid4()), "region": place, "description": fields.text(body, "description"),
           "v4_subnet": subnet, "v4_subnet_mask": size, "date_created": now()}  # fmt: skip
    region.store.table("vpcs")[vpc["id"]] = vpc
    return 201, {"vpc": vpc}


def delete_vpc(region: Region, call: Call) -> Reply:
    """Remove a VPC. ApiError 400 while instances are on it or have not let go of it; clients repeat on its text."""
    id_ = region.store.get("vpcs", call.params["id"])["id"]
    on_it = [instance["main_ip"] for instance in region.store.table("instances").values()
             if any(entry["id"] == id_ for entry in instance["_vpcs"])]  # fmt: skip
    on_it += later.waiting(region.store, "vpc_release", id_)
    if on_it:
        raise refused(VPC_IN_USE + ", ".join(on_it))
    del region.store.table("vpcs")[id_]
    return 204, None


def _shown_block(store: Store, block: JSON) -> JSON:
    answer = {"pending_charges": 0, "os_id": 0, "snapshot_id": "", "bootable": False} | public(block)
    instance = store.table("instances").get(block["attached_to_instance"], {})
    answer["attached_to_instance_ip"] = instance.get("main_ip", "")
    answer["attached_to_instance_label"] = instance.get("label", "")
    if later.waiting(store, "block_creation", block["id"]) or later.held(store, block["id"]):
        answer["status"] = "pending"
    return answer


def blocks(region: Region, call: Call) -> Reply:
    """All volumes."""
    found = [_shown_block(region.store, block) for block in region.store.table("blocks").values()]
    return 200, page(call.query, found, "blocks")


def read_block(region: Region, call: Call) -> Reply:
    """One volume."""
    return 200, {"block": _shown_block(region.store, region.store.get("blocks", call.params["id"]))}


def create_block(region: Region, call: Call) -> Reply:
    """A volume: pending for a time, then active."""
    body = call.body
    place, size = _place(body), fields.whole(body, "size_gb")
    kind = fields.text(body, "block_type") or "high_perf"
    if kind not in BLOCK_GB or size not in BLOCK_GB[kind]:
        raise refused("Invalid size_gb or block_type")
    if f"block_storage_{kind}" not in REGIONS[place]["options"]:
        raise refused(f"Invalid block_type: {kind} is not available in this region")
    id_ = str(uuid.uuid4())
    block: JSON = {
        "id": id_, "cost": size * (0.1 if kind == "high_perf" else 0.025), "status": "active",
        "size_gb": size, "region": place, "attached_to_instance": "", "date_created": now(),
        "label": fields.text(body, "label"), "block_type": kind,
        "mount_id": f"{place}-{id_.replace('-', '')[:14]}",
    }  # fmt: skip
    region.store.table("blocks")[id_] = block
    later.postpone(region.store, "block_creation", id_, names=(block["label"],))
    return 202, {"block": {**_shown_block(region.store, block), "status": "pending"}}


def update_block(region: Region, call: Call) -> Reply:
    """Change label or size; a volume only grows. ApiError 400 when both are what they were."""
    block = region.store.get("blocks", call.params["id"])
    size = fields.whole(call.body, "size_gb", block["size_gb"])
    if size not in BLOCK_GB[block["block_type"]]:
        raise refused("Invalid size_gb or block_type")
    label = fields.text(call.body, "label", block["label"])
    if size < block["size_gb"]:
        raise refused("Invalid size_gb: a volume can't be made smaller")
    if (size, label) == (block["size_gb"], block["label"]):
        raise refused(NOTHING_TO_CHANGE)
    block.update(size_gb=size, label=label)
    if block["attached_to_instance"]:
        region.machines.plug(block["attached_to_instance"])
    return 204, None


def delete_block(region: Region, call: Call) -> Reply:
    """Delete it with all that is on it, wherever it is attached."""
    block = region.store.get("blocks", call.params["id"])
    del region.store.table("blocks")[block["id"]]
    region.machines.erase(block["mount_id"], block["attached_to_instance"])
    return 204, None


def attach_block(region: Region, call: Call) -> Reply:
    """Attach to an instance of the same region, which is rebooted for it unless `live`."""
    block = region.store.get("blocks", call.params["id"])
    instance = region.store.get("instances", fields.text(call.body, "instance_id", None))
    if block["attached_to_instance"]:
        raise refused("Block storage volume is already attached to a server")
    if block["region"] != instance["region"]:
        raise refused("Invalid instance_id: the instance is in another region")
    if later.waiting(region.store, "block_creation", block["id"]) or later.held(region.store, block["id"]):
        raise refused("Block storage volume is not ready")
    if later.locked(region.store, instance):
        raise refused(f"Unable to attach block storage: {LOCKED}")
    block["attached_to_instance"] = instance["id"]
    region.machines.plug(instance["id"])
    _reboot_unless_live(region, call, instance)
    return 204, None


def _reboot_unless_live(region: Region, call: Call, instance: JSON | None) -> None:
    if instance is not None and not fields.flag(call.body, "live") and instance["power_status"] == "running":
        region.machines.reboot(instance["id"])


def detach_block(region: Region, call: Call) -> Reply:
    """Detach, which shows a moment later; the instance is rebooted for it unless `live`."""
    store = region.store
    block = store.get("blocks", call.params["id"])
    if not block["attached_to_instance"] or later.waiting(store, "block_release", block["id"]):
        raise refused("Block storage volume is not currently attached to a server")
    instance = store.table("instances").get(block["attached_to_instance"])
    if instance is not None and later.locked(store, instance):
        raise refused(f"Unable to detach block storage: {LOCKED}")
    label = instance["label"] if instance is not None else ""
    later.postpone(store, "block_release", block["id"], block["attached_to_instance"], (label, block["label"]))
    if instance is not None:
        region.machines.plug(instance["id"])
    _reboot_unless_live(region, call, instance)
    return 204, None


def _catalogue(wrapper: str, items: list[JSON]) -> Operation:
    return lambda region, call: (200, page(call.query, items, wrapper))


def _of_type(call: Call) -> list[JSON]:
    kind = call.query.get("type") or "all"
    return [plan for plan in PLANS.values() if kind in ("all", plan["type"])]


def plans(_region: Region, call: Call) -> Reply:
    """All plans, or those of the query's type."""
    return 200, page(call.query, _of_type(call), "plans")


def availability(_region: Region, call: Call) -> Reply:
    """The ids of the plans that can be had in a region now."""
    place = call.params["id"]
    if place not in REGIONS:
        raise ApiError(404, "Invalid region ID.")
    return 200, {"available_plans": [plan["id"] for plan in _of_type(call) if place in plan["locations"]]}


def account(_region: Region, _call: Call) -> Reply:
    """Who the key belongs to."""
    return 200, {"account": ACCOUNT}


#: What is answered without a key.
PUBLIC = ("/v2/regions", "/v2/regions/{id}/availability", "/v2/plans", "/v2/os")
ROUTES: Routes = [
    ("GET", "/v2/account", account),
    ("GET", "/v2/regions", _catalogue("regions", list(REGIONS.values()))),
    ("GET", "/v2/regions/{id}/availability", availability),
    ("GET", "/v2/plans", plans),
    ("GET", "/v2/os", _catalogue("os", list(OSES.values()))),
    ("GET", "/v2/ssh-keys", _list("ssh_keys", "ssh_keys")),
    ("POST", "/v2/ssh-keys", create_key),
    ("GET", "/v2/ssh-keys/{id}", _read("ssh_keys", "ssh_key")),
    ("PATCH", "/v2/ssh-keys/{id}", update_key),
    ("DELETE", "/v2/ssh-keys/{id}", _delete("ssh_keys")),
    ("GET", "/v2/vpcs", _list("vpcs", "vpcs")),
    ("POST", "/v2/vpcs", create_vpc),
    ("GET", "/v2/vpcs/{id}", _read("vpcs", "vpc")),
    ("PUT", "/v2/vpcs/{id}", _describe("vpcs")),
    ("DELETE", "/v2/vpcs/{id}", delete_vpc),
    ("GET", "/v2/blocks", blocks),
    ("POST", "/v2/blocks", create_block),
    ("GET", "/v2/blocks/{id}", read_block),
    ("PATCH", "/v2/blocks/{id}", update_block),
    ("DELETE", "/v2/blocks/{id}", delete_block),
    ("POST", "/v2/blocks/{id}/attach", attach_block),
    ("POST", "/v2/blocks/{id}/detach", detach_block),
]
