"""Instances: create, read, change, delete, power, reinstall, user data, backup schedule."""

import base64
import binascii
import secrets
import uuid
from collections.abc import Callable

from lab.api import fields, networking
from lab.api.addresses import mac_of
from lab.api.catalogue import OSES, PLANS, REGIONS
from lab.api.errors import ATTACHED, PLAN, ApiError, refused
from lab.api.machines import Machines, Task, rebuild, set_plan
from lab.api.paging import page
from lab.api.region import JSON, Call, Region, Reply, Routes
from lab.api.store import now, public

_SCHEDULE = {"enabled": False, "type": "", "next_scheduled_time_utc": "", "hour": 0, "dow": 0, "dom": 0}
_FILTERS = ("label", "region", "main_ip", "hostname", "firewall_group_id")


def shown(instance: JSON) -> JSON:
    """The instance as the API answers it: addresses are known once the installation has begun."""
    answer = public(instance)
    if instance["status"] == "pending" and instance["server_status"] == "none":
        answer.update(netmask_v4="", gateway_v4="0.0.0.0", v6_network="", v6_main_ip="", v6_network_size=0)  # noqa: S104
        if not instance["_reserved"]:
            answer["main_ip"] = "0.0.0.0"  # noqa: S104
    return answer


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
        raise refused(ATTACHED)
    return reserved


def create(region: Region, call: Call) -> Reply:
    """Accept an instance; the machine is made afterwards."""
    body, store = call.body, region.store
    place = fields.text(body, "region", None).lower()
    plan = fields.text(body, "plan", None)
    if place not in REGIONS:
        raise refused("Invalid region chosen.")
    if plan not in PLANS:
        raise refused(PLAN)
    if place not in PLANS[plan]["locations"]:
        raise refused("Plan is not available in the selected region")
    os_id = fields.whole(body, "os_id", 0)
    if os_id not in OSES:
        raise refused("Invalid OS chosen.")
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
    tags = fields.texts(body, "tags") or []
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
        "power_status": "stopped", "server_status": "none", "v6_network": "", "v6_main_ip": "",
        "v6_network_size": 0, "label": label, "internal_ip": "", "kvm": "", "hostname": hostname,
        "os_id": os_id, "app_id": 0, "image_id": "", "firewall_group_id": group, "features": [],
        "tags": tags, "user_scheme": scheme,
        "_user_data": user_data, "_ssh_keys": keys, "_root_password": password, "_mac": mac_of(main_ip),
        "_reserved": bool(reserved), "_vpcs": [], "_backups": {**_SCHEDULE, "enabled": backups},
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
    return 202, {"instance": {**shown(instance), "default_password": password}}


def listing(region: Region, call: Call) -> Reply:
    """All instances, or those that the query's label, tag, region ... name exactly."""
    wanted = {name: call.query[name] for name in _FILTERS if call.query.get(name)}
    tag = call.query.get("tag")
    found = [
        shown(instance)
        for instance in region.store.table("instances").values()
        if all(instance[name] == value for name, value in wanted.items()) and (not tag or tag in instance["tags"])
    ]
    return 200, page(call.query, found, "instances")


def _get(region: Region, call: Call) -> JSON:
    return region.store.get("instances", call.params["id"])


def read(region: Region, call: Call) -> Reply:
    """One instance. After a failed build the first read answers the reason instead."""
    instance = _get(region, call)
    reason = instance.pop("_failure", None)
    if reason is not None:
        region.store.save()
        raise ApiError(409, f"Installation of the server failed: {reason}")
    return 200, {"instance": shown(instance)}


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


def _check_change(instance: JSON, plan: str, os_id: int) -> None:
    if plan and plan not in PLANS:
        raise refused(PLAN)
    if plan and PLANS[plan]["disk"] < instance["disk"]:
        raise refused("Unable to change plan: the disk of the new plan is smaller")
    if os_id and os_id not in OSES:
        raise refused("Invalid OS chosen.")


def update(region: Region, call: Call) -> Reply:
    """Change what the body names; null leaves alone. A new plan shows after the reboot, not here."""
    instance, body, store = _get(region, call), call.body, region.store
    plan, os_id = fields.text(body, "plan"), fields.whole(body, "os_id", 0)
    _check_change(instance, plan, os_id)
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
    return 202, {"instance": shown(instance)}


def discard(region: Region, instance: JSON) -> Task:
    """Forget the instance with all that hangs on it, and have its machine deleted. Reserved IPs stay."""
    store, id_ = region.store, instance["id"]
    del store.table("instances")[id_]
    store.table("reverse_ipv6").pop(id_, None)
    for address in networking.public_ipv4(region, instance):
        store.table("reverse_ipv4").pop(address, None)
    for reserved in store.table("reserved_ips").values():
        if reserved["instance_id"] == id_:
            reserved.update(instance_id="", _lost_instance=True)
    for block in store.table("blocks").values():
        if block["attached_to_instance"] == id_:
            block["attached_to_instance"] = ""
    return region.machines.remove(id_, instance["main_ip"])


def delete(region: Region, call: Call) -> Reply:
    """Delete; the machine goes a moment later."""
    discard(region, _get(region, call))
    return 204, None


def reinstall(region: Region, call: Call) -> Reply:
    """A new disk for the same instance."""
    instance = _get(region, call)
    instance["hostname"] = fields.text(call.body, "hostname") or instance["hostname"]
    rebuild(instance)
    region.machines.build(instance["id"])
    return 202, {"instance": shown(instance)}


def power(region: Region, instance: JSON, action: str) -> Task:
    """Have the machine do `action`: start, halt or reboot. ApiError 400 while it is not built."""
    if instance["status"] == "suspended" and action != "halt":
        rebuild(instance)
        return region.machines.build(instance["id"])
    if instance["status"] != "active":
        raise refused("Server is currently locked")
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
    return 204, None


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
