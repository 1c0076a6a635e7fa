"""Reserved IPs of both families. Attaching an IPv4 address to a machine that runs already is state only; an IPv6 /64
is delivered to the machine it is attached to, and to no other.

A server that runs lets go of a /64 only when it has been restarted since that was first asked for: the refusal is known
from terraform-provider-vultr#348, what ends it from its own text. Of a server that is gone, all is let go.
"""

import uuid

from lab.api import fields
from lab.api.catalogue import REGIONS
from lab.api.errors import ATTACHED, HELD, NOT_ATTACHED, refused
from lab.api.paging import page
from lab.api.region import JSON, Call, Region, Reply, Routes
from lab.api.store import public


def _get(region: Region, call: Call) -> JSON:
    return region.store.get("reserved_ips", call.params["id"])


def _add(region: Region, *, place: str, subnet: str, label: str, instance_id: str) -> JSON:
    ip_type, size = ("v6", 64) if ":" in subnet else ("v4", 32)
    reserved: JSON = {
        "id": str(uuid.uuid4()), "region": place, "ip_type": ip_type, "subnet": subnet, "subnet_size": size,
        "label": label, "instance_id": instance_id,
    }  # fmt: skip
    region.store.table("reserved_ips")[reserved["id"]] = reserved
    _deliver(region, reserved)
    return reserved


def _deliver(region: Region, reserved: JSON) -> None:
    """Lead a /64 to where it is attached; an unattached one to nobody."""
    if reserved["ip_type"] == "v6":
        region.machines.deliver(reserved["subnet"], reserved["instance_id"] or None)


def release(region: Region, instance: JSON) -> None:
    """Detach what a deleted instance had."""
    for reserved in region.store.table("reserved_ips").values():
        if reserved["instance_id"] == instance["id"]:
            reserved.update(instance_id="", _lost_instance=True)
            reserved.pop("_asked", None)
            _deliver(region, reserved)


def _let_go(region: Region, reserved: JSON) -> None:
    """ApiError 400 where the server that has it must be restarted first."""
    instance = region.store.table("instances").get(reserved["instance_id"], {})
    running = (instance.get("status"), instance.get("power_status")) == ("active", "running")
    if reserved["ip_type"] == "v6" and running:
        boots = instance.get("_boots", 0)
        if reserved.setdefault("_asked", boots) == boots:
            region.store.save()
            raise refused(HELD)
    reserved.pop("_asked", None)


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
    reserved["instance_id"] = instance["id"]
    for field in ("_lost_instance", "_asked"):
        reserved.pop(field, None)
    _deliver(region, reserved)
    return 204, None


def _is_main(region: Region, reserved: JSON) -> bool:
    instance = region.store.table("instances").get(reserved["instance_id"])
    return instance is not None and bool(instance["main_ip"] == reserved["subnet"])


def detach(region: Region, call: Call) -> Reply:
    """Detach. One whose instance has been deleted may be detached once more without an error."""
    reserved = _get(region, call)
    if not reserved["instance_id"] and not reserved.pop("_lost_instance", False):
        raise refused(NOT_ATTACHED)
    if _is_main(region, reserved):
        raise refused("Unable to detach reserved IP: it is the main address of its server")
    _let_go(region, reserved)
    reserved["instance_id"] = ""
    _deliver(region, reserved)
    return 204, None


def delete(region: Region, call: Call) -> Reply:
    """Release it, also an attached one, unless it is the only IPv4 address of a server or still held by one."""
    reserved = _get(region, call)
    if _is_main(region, reserved):
        raise refused("Unable to delete reserved IP: it is attached to a server as its main address")
    _let_go(region, reserved)
    del region.store.table("reserved_ips")[reserved["id"]]
    _deliver(region, reserved | {"instance_id": ""})
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
