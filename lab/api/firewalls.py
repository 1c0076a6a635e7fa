"""Firewall groups and their rules: kept and answered, not enforced on the lab's machines."""

import uuid
from ipaddress import ip_network

from lab.api import fields
from lab.api.errors import gone, refused
from lab.api.paging import page
from lab.api.region import JSON, Call, Region, Reply, Routes
from lab.api.store import now

_PROTOCOLS = ("icmp", "tcp", "udp", "gre", "ah", "esp")
_MAX_RULES = 50


def _get(region: Region, call: Call) -> JSON:
    return region.store.get("firewall_groups", call.params["group"])


def _shown(region: Region, group: JSON) -> JSON:
    linked = [i for i in region.store.table("instances").values() if i["firewall_group_id"] == group["id"]]
    return {
        "id": group["id"], "description": group["description"], "date_created": group["date_created"],
        "date_modified": group["date_modified"], "instance_count": len(linked),
        "rule_count": len(group["rules"]), "max_rule_count": _MAX_RULES,
    }  # fmt: skip


def create(region: Region, call: Call) -> Reply:
    """A new group without rules."""
    id_, created = str(uuid.uuid4()), now()
    group = {"id": id_, "description": fields.text(call.body, "description"), "date_created": created,
             "date_modified": created, "rules": {}, "last_rule": 0}  # fmt: skip
    region.store.table("firewall_groups")[id_] = group
    return 201, {"firewall_group": _shown(region, group)}


def listing(region: Region, call: Call) -> Reply:
    """All groups."""
    groups = [_shown(region, group) for group in region.store.table("firewall_groups").values()]
    return 200, page(call.query, groups, "firewall_groups")


def read(region: Region, call: Call) -> Reply:
    """One group with its counts."""
    return 200, {"firewall_group": _shown(region, _get(region, call))}


def update(region: Region, call: Call) -> Reply:
    """Change the description."""
    group = _get(region, call)
    group.update(description=fields.text(call.body, "description", None), date_modified=now())
    return 204, None


def delete(region: Region, call: Call) -> Reply:
    """Remove a group with its rules. ApiError 400 while instances use it."""
    group = _get(region, call)
    count = _shown(region, group)["instance_count"]
    if count:
        raise refused(f"Unable to delete firewall group: it is in use by {count} server(s)")
    del region.store.table("firewall_groups")[group["id"]]
    return 204, None


def _port(body: JSON, protocol: str) -> str:
    port = fields.text(body, "port").replace("-", ":")
    if protocol not in ("tcp", "udp"):
        if port:
            raise refused(f"Invalid port: {protocol} has no ports")
        return ""
    ends = port.split(":")
    if not 1 <= len(ends) <= 2 or not all(end.isdecimal() and 1 <= int(end) <= 65535 for end in ends):
        raise refused("Invalid port: must be a number or a range from:to")
    return port


def create_rule(region: Region, call: Call) -> Reply:
    """Add a rule. One that differs from an existing rule in nothing but its notes is refused."""
    group, body = _get(region, call), call.body
    family = fields.text(body, "ip_type") or fields.text(body, "type", None)
    protocol = fields.text(body, "protocol", None).lower()
    if family not in ("v4", "v6"):
        raise refused("Invalid ip_type: must be v4 or v6")
    if protocol not in _PROTOCOLS:
        raise refused(f"Invalid protocol: must be one of {', '.join(_PROTOCOLS)}")
    subnet = fields.address(fields.text(body, "subnet", None), 4 if family == "v4" else 6, "subnet")
    size = fields.whole(body, "subnet_size")
    try:
        ip_network(f"{subnet}/{size}", strict=False)
    except ValueError as error:
        raise refused("Invalid subnet_size") from error
    source = fields.text(body, "source")
    if source not in ("", "cloudflare"):
        raise refused("Invalid source")
    if len(group["rules"]) >= _MAX_RULES:
        raise refused("Unable to create firewall rule: the group is full")
    rule: JSON = {
        "action": "accept", "ip_type": family, "type": family, "protocol": protocol,
        "port": _port(body, protocol), "subnet": subnet, "subnet_size": size, "source": source,
    }  # fmt: skip
    if any(all(other[name] == value for name, value in rule.items()) for other in group["rules"].values()):
        raise refused("Unable to create firewall rule: This rule is already defined")
    group["last_rule"] += 1
    rule = {"id": group["last_rule"], **rule, "notes": fields.text(body, "notes")}
    group["rules"][str(rule["id"])] = rule
    group["date_modified"] = now()
    return 201, {"firewall_rule": rule}


def rules(region: Region, call: Call) -> Reply:
    """All rules of a group."""
    return 200, page(call.query, list(_get(region, call)["rules"].values()), "firewall_rules")


def _rule(region: Region, call: Call) -> JSON:
    rule: JSON | None = _get(region, call)["rules"].get(call.params["rule"])
    if rule is None:
        raise gone("firewall_rules")
    return rule


def read_rule(region: Region, call: Call) -> Reply:
    """One rule."""
    return 200, {"firewall_rule": _rule(region, call)}


def delete_rule(region: Region, call: Call) -> Reply:
    """Remove one rule."""
    del _get(region, call)["rules"][str(_rule(region, call)["id"])]
    return 204, None


ROUTES: Routes = [
    ("GET", "/v2/firewalls", listing),
    ("POST", "/v2/firewalls", create),
    ("GET", "/v2/firewalls/{group}", read),
    ("PUT", "/v2/firewalls/{group}", update),
    ("DELETE", "/v2/firewalls/{group}", delete),
    ("GET", "/v2/firewalls/{group}/rules", rules),
    ("POST", "/v2/firewalls/{group}/rules", create_rule),
    ("GET", "/v2/firewalls/{group}/rules/{rule}", read_rule),
    ("DELETE", "/v2/firewalls/{group}/rules/{rule}", delete_rule),
]
