"""Instances: create, read, change, delete, power, reinstall, user data, backup schedule."""

import base64
import binascii
import secrets
import uuid
from collections.abc import Callable
from ipaddress import IPv6Address

from lab.api import fields, later, networking, reserved_ips
from lab.api.addresses import mac_of
from lab.api.catalogue import OSES, PLANS, REGIONS
from lab.api.errors import (
    ADD_FAILED,
    ALREADY_DESTROYED,
    LOCKED,
    NOT_REMOVED,
    PENDING_DESTRUCTION,
    PLAN,
    ApiError,
    refused,
)
from lab.api.machines import Machines, Task, rebuild, set_plan
from lab.api.paging import page
from lab.api.region import JSON, Call, Region, Reply, Routes
from lab.api.store import Store, now, public

_SCHEDULE = {"enabled": False, "type": "", "next_scheduled_time_utc": "", "hour": 0, "dow": 0, "dom": 0}
_UNDONE = ("app_id", "app_variables", "block_devices", "ddos_protection", "disable_public_ipv4", "image_id",
           "ipxe_chain_url", "iso_id", "script_id", "snapshot_id", "vpc_only")  # fmt: skip
_FILTERS = ("label", "region", "main_ip", "hostname", "firewall_group_id")


def shown(store: Store, instance: JSON) -> JSON:
    """The instance as the API answers it: a new one has neither disk nor addresses before it is active."""
    answer = public(instance) | {
        "v6_main_ip": IPv6Address(instance["v6_main_ip"]).exploded if instance["v6_main_ip"] else "",
        "tag": instance["tags"][0] if instance["tags"] else "",
        "vpcs": [_vpc(store, entry["id"]) for entry in instance["_vpcs"]],
        "vpc_only": False, "snapshot_id": "", "pending_charges": 0,
        "kvm": f"https://my.vultr.com/subs/vps/novnc/api.php?data={instance['id']}",
    }  # fmt: skip
    if instance.get("_fresh"):
        answer.update(
            disk=0, kvm="", main_ip="0.0.0.0", netmask_v4="", gateway_v4="0.0.0.0",  # noqa: S104
            v6_network="", v6_main_ip="", v6_network_size=0,
        )  # fmt: skip
    return answer | later.INSTANCE_STATES.get(later.held(store, instance["id"]) or "", {})


def _vpc(store: Store, id_: str) -> JSON:
    vpc = store.get("vpcs", id_)
    return {"id": id_, "version": "1", "subnet": f"{vpc['v4_subnet']}/{vpc['v4_subnet_mask']}"}


def _user_data(body: JSON) -> str:
    encoded = fields.text(body, "user_data")
    try:
        base64.b64decode(encoded, validate=True)
    except (ValueError, binascii.Error) as error:
        raise refused("Invalid user_data: must be base64 encoded") from error
    return encoded


def _reserved(region: Region, body: JSON, place: str) -> JSON | None:
    id_ = fields.text(body, "reserved_ipv4")
    if not id_:
        return None
    reserved = region.store.get("reserved_ips", id_)
    if reserved["ip_type"] != "v4" or reserved["region"] != place:
        raise refused("Invalid reserved_ipv4: not an IPv4 address of this region")
    if reserved["instance_id"]:
        raise refused(ADD_FAILED)
    return reserved


def create(region: Region, call: Call) -> Reply:
    """Accept an instance; the machine is made afterwards."""
    body, store = call.body, region.store
    fields.refuse_undone(body, *_UNDONE)
    place = fields.text(body, "region", None).lower()
    plan = fields.text(body, "plan", None)
    if place not in REGIONS:
        raise refused("Invalid region chosen.")
    if plan not in PLANS:
        raise refused(PLAN)
    if place not in PLANS[plan]["locations"]:
        raise refused("Plan is not available in the selected region")
    os_id = fields.whole(body, "os_id", 0)
    _check_os(region, os_id)
    hostname = fields.text(body, "hostname") or "vultr.guest"
    if len(hostname) > 253 or not all(part and part.replace("-", "a").isalnum() for part in hostname.split(".")):
        raise refused("Invalid hostname")
    keys = [store.get("ssh_keys", id_)["ssh_key"] for id_ in fields.texts(body, "sshkey_id") or []]
    group = fields.text(body, "firewall_group_id")
    if group:
        store.get("firewall_groups", group)
    vpcs = [networking.vpc_of(region, id_, place) for id_ in fields.texts(body, "attach_vpc") or []]
    scheme = fields.text(body, "user_scheme") or "root"
    if scheme not in ("root", "limited"):
        raise refused("Invalid user_scheme: must be root or limited")
    user_data, reserved = _user_data(body), _reserved(region, body, place)
    tags = fields.texts(body, "tags") or [tag for tag in [fields.text(body, "tag")] if tag]  # `tag`: as it was once
    label = fields.text(body, "label")
    ipv6 = fields.flag(body, "enable_ipv6")
    backups = fields.text(body, "backups") == "enabled"

    id_ = str(uuid.uuid4())
    password = secrets.token_urlsafe(12)
    main_ip = reserved["subnet"] if reserved else region.addresses.ipv4()
    instance: JSON = {
        "id": id_, "os": OSES[os_id]["name"], "ram": 0, "disk": 0, "main_ip": main_ip, "vcpu_count": 0,
        "region": place, "plan": plan, "date_created": now(), "status": "pending", "allowed_bandwidth": 0,
        "netmask_v4": region.addresses.netmask, "gateway_v4": region.addresses.gateway,
        "power_status": "running", "server_status": "none", "v6_network": "", "v6_main_ip": "",
        "v6_network_size": 0, "label": label, "internal_ip": "", "hostname": hostname,
        "os_id": os_id, "app_id": 0, "image_id": "", "firewall_group_id": group, "features": [],
        "tags": tags, "user_scheme": scheme,
        "_user_data": user_data, "_ssh_keys": keys, "_root_password": password, "_mac": mac_of(main_ip),
        "_fresh": True, "_boots": 0, "_vpcs": [], "_backups": {**_SCHEDULE, "enabled": backups},
    }  # fmt: skip
    set_plan(instance, plan)
    if ipv6:
        networking.enable_ipv6(region, instance)
    if backups:
        instance["features"].append("auto_backups")
    for vpc in vpcs:
        networking.join(region, instance, vpc)
    store.table("instances")[id_] = instance
    if reserved:
        reserved["instance_id"] = id_
    region.machines.build(id_)
    return 202, {"instance": {**shown(store, instance), "default_password": password}}


def listing(region: Region, call: Call) -> Reply:
    """All instances, or those that the query's label, tag, region ... name exactly."""
    wanted = {name: call.query[name] for name in _FILTERS if call.query.get(name)}
    tag = call.query.get("tag")
    found = [
        shown(region.store, instance)
        for instance in region.store.table("instances").values()
        if all(instance[name] == value for name, value in wanted.items()) and (not tag or tag in instance["tags"])
    ]
    return 200, page(call.query, found, "instances")


def _get(region: Region, call: Call) -> JSON:
    return region.store.get("instances", call.params["id"])


def read(region: Region, call: Call) -> Reply:
    """One instance, or for a time that it is pending destruction. After a failed build the first read tells why."""
    if later.waiting(region.store, "destruction", call.params["id"]):
        raise ApiError(404, PENDING_DESTRUCTION)
    instance = _get(region, call)
    reason = instance.pop("_failure", None)
    if reason is not None:
        region.store.save()
        raise ApiError(409, f"Installation of the server failed: {reason}")
    return 200, {"instance": shown(region.store, instance)}


def _check_os(region: Region, os_id: int) -> None:
    if os_id not in OSES:
        raise refused("Invalid OS chosen.")
    if not region.machines.backend.runs(os_id):
        raise refused(
            f"Invalid OS chosen. The lab has no disk image of {OSES[os_id]['name']}: it runs Debian 12 and 13"
        )


def _settle(region: Region, instance: JSON, plan: str, os_id: int) -> None:
    """Carry out a change of plan or operating system, or another try after a failed build."""
    if os_id != instance["os_id"] or instance["status"] == "suspended":
        instance.update(os_id=os_id, os=OSES[os_id]["name"])
        rebuild(instance)
    if instance["status"] == "pending":
        set_plan(instance, plan)
        region.machines.build(instance["id"])
    elif plan != instance["plan"]:
        region.machines.resize(instance["id"], plan)


def _check_change(region: Region, instance: JSON, plan: str, os_id: int) -> None:
    if plan and plan not in PLANS:
        raise refused(PLAN)
    if plan and plan != instance["plan"] and instance["status"] != "suspended" and later.locked(region.store, instance):
        raise refused(f"Unable to change plan: {LOCKED}")
    if plan and PLANS[plan]["disk"] < instance["disk"]:
        raise refused("Unable to change plan: the disk of the new plan is smaller")
    if os_id:
        _check_os(region, os_id)


def update(region: Region, call: Call) -> Reply:
    """Change what the body names; null leaves alone. A new plan shows at once, its sizes after the reboot."""
    instance, body, store = _get(region, call), call.body, region.store
    fields.refuse_undone(body, *_UNDONE)
    plan, os_id = fields.text(body, "plan"), fields.whole(body, "os_id", 0)
    _check_change(region, instance, plan, os_id)
    group = fields.text(body, "firewall_group_id", instance["firewall_group_id"])
    if group:
        store.get("firewall_groups", group)
    joins = [networking.vpc_of(region, id_, instance["region"]) for id_ in fields.texts(body, "attach_vpc") or []]
    leaves = [store.get("vpcs", id_) for id_ in fields.texts(body, "detach_vpc") or []]
    user_data = _user_data(body) if body.get("user_data") is not None else instance["_user_data"]
    label, tags = fields.text(body, "label", instance["label"]), fields.texts(body, "tags")
    ipv6, backups = fields.flag(body, "enable_ipv6"), fields.text(body, "backups")

    instance.update(label=label, firewall_group_id=group, _user_data=user_data)
    if tags is not None:
        instance["tags"] = tags
    if backups:
        instance["_backups"]["enabled"] = backups == "enabled"
    for vpc in leaves:
        networking.leave(region, instance, vpc["id"])
    for vpc in joins:
        networking.join(region, instance, vpc)
    if leaves or joins:
        region.machines.wire(instance["id"])
    if ipv6:
        networking.enable_ipv6(region, instance)
    _settle(region, instance, plan or instance["plan"], os_id or instance["os_id"])
    return 202, {"instance": shown(store, instance)}


def discard(region: Region, instance: JSON) -> Task:
    """Forget the instance with all that hangs on it, and have its machine deleted.

    Reserved IPs stay, and are held for a time, as its VPCs are.
    """
    store, id_, label = region.store, instance["id"], instance["label"]
    del store.table("instances")[id_]
    later.postpone(store, "destruction", id_, names=(label,))
    for entry in instance["_vpcs"]:
        networking.let_go(region, instance, entry["id"])
    store.table("reverse_ipv6").pop(id_, None)
    for address in networking.public_ipv4(region, instance):
        store.table("reverse_ipv4").pop(address, None)
    for reserved in store.table("reserved_ips").values():
        if reserved["instance_id"] == id_:
            reserved["_lost_instance"] = True
            reserved_ips.deliver(region, reserved)
            names = (label, reserved["label"], reserved["subnet"])
            later.postpone(store, "reserved_release", reserved["id"], id_, names)
    for block in store.table("blocks").values():
        if block["attached_to_instance"] == id_:
            later.postpone(store, "block_release", block["id"], id_, (label, block["label"]))
    return region.machines.remove(id_, instance["main_ip"])


def delete(region: Region, call: Call) -> Reply:
    """Delete; the machine goes a moment later. ApiError 500 while the instance is locked."""
    if later.waiting(region.store, "destruction", call.params["id"]):
        raise ApiError(500, ALREADY_DESTROYED)
    instance = _get(region, call)
    if later.locked(region.store, instance):
        raise ApiError(500, NOT_REMOVED)
    discard(region, instance)
    return 204, None


def reinstall(region: Region, call: Call) -> Reply:
    """A new disk for the same instance."""
    instance = _get(region, call)
    instance["hostname"] = fields.text(call.body, "hostname") or instance["hostname"]
    rebuild(instance)
    region.machines.build(instance["id"])
    return 202, {"instance": shown(region.store, instance)}


def power(region: Region, instance: JSON, action: str) -> Task:
    """Have the machine do `action`: start, halt or reboot. ApiError 400 while it is not built."""
    if instance["status"] == "suspended" and action != "halt":
        rebuild(instance)
        return region.machines.build(instance["id"])
    if instance["status"] != "active":
        raise refused(LOCKED)
    verbs: dict[str, Callable[[Machines, str], Task]] = {
        "start": Machines.start, "halt": Machines.halt, "reboot": Machines.reboot,
    }  # fmt: skip
    return verbs[action](region.machines, instance["id"])


def _power(action: str) -> Callable[[Region, Call], Reply]:
    def operation(region: Region, call: Call) -> Reply:
        if "id" in call.params:
            instances = [_get(region, call)]
        else:
            ids = fields.texts(call.body, "instance_ids") or []
            instances = [region.store.get("instances", id_) for id_ in ids]
        for instance in instances:
            power(region, instance, action)
        return 204, None

    return operation


def user_data(region: Region, call: Call) -> Reply:
    """What the instance was given at creation, base64 encoded."""
    return 200, {"user_data": {"data": _get(region, call)["_user_data"]}}


def schedule(region: Region, call: Call) -> Reply:
    """The backup schedule; `enabled` is always there."""
    return 200, {"backup_schedule": _get(region, call)["_backups"]}


def set_schedule(region: Region, call: Call) -> Reply:
    """Set type, hour, dow and dom."""
    backups = _get(region, call)["_backups"]
    kind = fields.text(call.body, "type", None)
    numbers = {name: fields.whole(call.body, name, 0) for name in ("hour", "dow", "dom")}
    backups.update(type=kind, **numbers)
    return 200, None


ROUTES: Routes = [
    ("GET", "/v2/instances", listing),
    ("POST", "/v2/instances", create),
    *[("POST", f"/v2/instances/{action}", _power(action)) for action in ("start", "halt", "reboot")],
    ("GET", "/v2/instances/{id}", read),
    ("PATCH", "/v2/instances/{id}", update),
    ("DELETE", "/v2/instances/{id}", delete),
    *[("POST", f"/v2/instances/{{id}}/{action}", _power(action)) for action in ("start", "halt", "reboot")],
    ("POST", "/v2/instances/{id}/reinstall", reinstall),
    ("GET", "/v2/instances/{id}/user-data", user_data),
    ("GET", "/v2/instances/{id}/backup-schedule", schedule),
    ("POST", "/v2/instances/{id}/backup-schedule", set_schedule),
]
