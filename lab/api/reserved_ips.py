"""Reserved IPs of both families. Attaching an IPv4 address to a machine that runs already is state only; an IPv6 /64
is delivered to the machine it is attached to, and to no other.
"""

import uuid

from lab.api import fields
from lab.api.catalogue import REGIONS
from lab.api.errors import ATTACHED, NOT_ATTACHED, RESTART_FIRST, refused
from lab.api.paging import page
from lab.api.region import JSON, Call, Region, Reply, Routes
from lab.api.store import public


def _get(region: Region, call: Call) -> JSON:
    return region.store.get("reserved_ips", call.params["id"])


def _boots(region: Region, instance_id: str) -> int:
    """How often the instance has been restarted; 0 without one."""
    return int(region.store.table("instances").get(instance_id, {}).get("_boots", 0))


def _check_loose(region: Region, reserved: JSON) -> None:
    """ApiError 400 while the server still uses the IPv6 network: it has not been restarted since it was attached."""
    attached = reserved["instance_id"] in region.store.table("instances")
    restarted = _boots(region, reserved["instance_id"]) > reserved.get("_boots", 0)
    if reserved["ip_type"] == "v6" and attached and not restarted:
        raise refused(RESTART_FIRST)


def _add(region: Region, *, place: str, subnet: str, label: str, instance_id: str) -> JSON:
    ip_type, size = ("v6", 64) if ":" in subnet else ("v4", 32)
    reserved: JSON = {
        "id": str(uuid.uuid4()), "region": place, "ip_type": ip_type, "subnet": subnet, "subnet_size": size,
        "label": label, "instance_id": instance_id, "_boots": _boots(region, instance_id),
    }  # fmt: skip
    region.store.table("reserved_ips")[reserved["id"]] = reserved
    deliver(region, reserved)
    return reserved


def deliver(region: Region, reserved: JSON) -> None:
    """Lead a /64 to the machine it is attached to; where that is gone, or it is attached to none, to nobody."""
    if reserved["ip_type"] == "v6":
        holder = reserved["instance_id"]
        region.machines.deliver(reserved["subnet"], holder if holder in region.store.table("instances") else None)


def create(region: Region, call: Call) -> Reply:
    """Reserve an IPv4 address or an IPv6 /64, attached when `instance_id` is given."""
    place = fields.text(call.body, "region", None).lower()
    ip_type = fields.text(call.body, "ip_type", None)
    label, instance_id = fields.text(call.body, "label"), fields.text(call.body, "instance_id")
    if place not in REGIONS:
        raise refused("Invalid region chosen.")
    if ip_type not in ("v4", "v6"):
        raise refused("Invalid ip_type: must be v4 or v6")
    if instance_id:
        region.store.get("instances", instance_id)
    subnet = region.addresses.ipv4() if ip_type == "v4" else region.addresses.prefix()[0]
    reserved = _add(region, place=place, subnet=subnet, label=label, instance_id=instance_id)
    return 201, {"reserved_ip": public(reserved)}


def convert(region: Region, call: Call) -> Reply:
    """Make the main IPv4 address of an instance a reserved one."""
    ip = fields.address(fields.text(call.body, "ip_address", None), 4, "ip_address")
    label = fields.text(call.body, "label")
    if any(reserved["subnet"] == ip for reserved in region.store.table("reserved_ips").values()):
        raise refused("Invalid ip_address: already reserved")
    for instance in region.store.table("instances").values():
        if instance["main_ip"] == ip:
            instance["_reserved"] = True
            owner = {"place": instance["region"], "instance_id": instance["id"]}
            return 201, {"reserved_ip": public(_add(region, subnet=ip, label=label, **owner))}
    raise refused("Invalid ip_address: not the address of an instance")


def listing(region: Region, call: Call) -> Reply:
    """All reserved IPs."""
    reserved = [public(ip) for ip in region.store.table("reserved_ips").values()]
    return 200, page(call.query, reserved, "reserved_ips")


def read(region: Region, call: Call) -> Reply:
    """One reserved IP."""
    return 200, {"reserved_ip": public(_get(region, call))}


def update(region: Region, call: Call) -> Reply:
    """Change the label."""
    reserved = _get(region, call)
    reserved["label"] = fields.text(call.body, "label", reserved["label"])
    return 200, {"reserved_ip": public(reserved)}


def attach(region: Region, call: Call) -> Reply:
    """Attach to an instance; attaching again to the same one changes nothing."""
    reserved = _get(region, call)
    instance = region.store.get("instances", fields.text(call.body, "instance_id", None))
    if reserved["instance_id"] not in ("", instance["id"]):
        raise refused(ATTACHED)
    if reserved["region"] != instance["region"]:
        raise refused("Invalid instance_id: the instance is in another region")
    if reserved["instance_id"] != instance["id"]:
        reserved.update(instance_id=instance["id"], _boots=_boots(region, instance["id"]))
    reserved.pop("_lost_instance", None)
    deliver(region, reserved)
    return 204, None


def _is_main(region: Region, reserved: JSON) -> bool:
    instance = region.store.table("instances").get(reserved["instance_id"])
    return instance is not None and bool(instance["main_ip"] == reserved["subnet"])


def detach(region: Region, call: Call) -> Reply:
    """Detach. One whose instance has been deleted may be detached without an error, and is held all the same."""
    reserved = _get(region, call)
    if reserved["instance_id"] and reserved["instance_id"] not in region.store.table("instances"):
        return 204, None
    if not reserved["instance_id"] and not reserved.pop("_lost_instance", False):
        raise refused(NOT_ATTACHED)
    if _is_main(region, reserved):
        raise refused("Unable to detach reserved IP: it is the main address of its server")
    _check_loose(region, reserved)
    reserved["instance_id"] = ""
    deliver(region, reserved)
    return 204, None


def delete(region: Region, call: Call) -> Reply:
    """Release it, also an attached one, unless it is a server's only IPv4 address or an IPv6 network in use."""
    reserved = _get(region, call)
    if _is_main(region, reserved):
        raise refused("Unable to delete reserved IP: it is attached to a server as its main address")
    _check_loose(region, reserved)
    del region.store.table("reserved_ips")[reserved["id"]]
    deliver(region, reserved | {"instance_id": ""})
    return 204, None


ROUTES: Routes = [
    ("GET", "/v2/reserved-ips", listing),
    ("POST", "/v2/reserved-ips", create),
    ("POST", "/v2/reserved-ips/convert", convert),
    ("GET", "/v2/reserved-ips/{id}", read),
    ("PATCH", "/v2/reserved-ips/{id}", update),
    ("DELETE", "/v2/reserved-ips/{id}", delete),
    ("POST", "/v2/reserved-ips/{id}/attach", attach),
    ("POST", "/v2/reserved-ips/{id}/detach", detach),
]
