"""Load balancers: what they are told, and the states they go through. Nothing is balanced.

Shapes and states by Vultr's OpenAPI description; a certificate goes in and never comes out. `Load balancer is not
ready.` is what a deletion is refused with while one is being made (tpv repeats it).
"""

import time
import uuid
from collections.abc import Callable
from typing import Any

from lab.api import fields
from lab.api.catalogue import REGIONS
from lab.api.errors import ApiError, refused
from lab.api.paging import page
from lab.api.region import JSON, Call, Region, Reply, Routes
from lab.api.store import now, public

TABLE = "load_balancers"
PENDING_SECONDS = 2.0
PROTOCOLS = ("http", "https", "tcp")
HEALTH: JSON = {
    "protocol": "http", "port": 80, "path": "/", "check_interval": 15, "response_timeout": 5,
    "unhealthy_threshold": 5, "healthy_threshold": 5,
}  # fmt: skip

AUTO_SSL: JSON = {"domain_zone": "", "domain_sub": "", "domain": ""}  # there without one too: tpv reads it unasked


def _pending(balancer: JSON) -> bool:
    return time.time() < float(balancer["_active_at"])


def _shown(balancer: JSON) -> JSON:
    """A load balancer as it is by now: it has its addresses once it is active."""
    if _pending(balancer):
        return {**public(balancer), "status": "pending", "ipv4": "", "ipv6": ""}
    return public(balancer)


def _blocks(body: JSON, name: str, default: list[JSON], read: Callable[[JSON], JSON]) -> list[JSON]:
    """A list of objects, each with an id of its own; null is the default."""
    given = body.get(name)
    if given is None:
        return default
    if not isinstance(given, list) or not all(isinstance(block, dict) for block in given):
        raise refused(f"Invalid {name}: must be a list of objects")
    return [{"id": uuid.uuid4().hex[:16], **read(block)} for block in given]


def _one_of(body: JSON, name: str, words: tuple[str, ...], default: str | None = None) -> str:
    word = fields.text(body, name, default)
    if word not in words:
        raise refused(f"Invalid {name}: must be one of {', '.join(words)}")
    return word


def _port(body: JSON, name: str) -> int:
    port = fields.whole(body, name)
    if not 1 <= port <= 65535:
        raise refused(f"Invalid {name}: must be from 1 to 65535")
    return port


def _forwarding(rule: JSON) -> JSON:
    return {
        "frontend_protocol": _one_of(rule, "frontend_protocol", PROTOCOLS),
        "frontend_port": _port(rule, "frontend_port"),
        "backend_protocol": _one_of(rule, "backend_protocol", PROTOCOLS),
        "backend_port": _port(rule, "backend_port"),
    }


def _firewall(rule: JSON) -> JSON:
    return {
        "port": _port(rule, "port"),
        "source": fields.text(rule, "source", None),
        "ip_type": _one_of(rule, "ip_type", ("v4", "v6")),
    }


def _object(body: JSON, name: str) -> JSON:
    value: Any = body.get(name) or {}
    if not isinstance(value, dict):
        raise refused(f"Invalid {name}: must be an object")
    return value


def _apply(region: Region, balancer: JSON, body: JSON) -> JSON:
    """The load balancer with what a request says; what it leaves out stays."""
    generic = balancer["generic_info"]
    instances = fields.texts(body, "instances")
    for instance in instances or []:
        if region.store.get("instances", instance)["region"] != balancer["region"]:
            raise refused("Invalid instances: the instance is in another region")
    vpc = fields.text(body, "vpc", generic["vpc"])
    if vpc:
        region.store.get("vpcs", vpc)
    nodes, regions = fields.whole(body, "nodes", balancer["nodes"]), fields.texts(body, "global_regions")
    if not (1 <= nodes <= 99 and nodes % 2):
        raise refused("Invalid nodes: must be an odd number from 1 to 99")
    objects = ("sticky_session", "health_check", "ssl", "auto_ssl")
    sticky, health, ssl, auto = (_object(body, name) for name in objects)
    if ssl:
        fields.text(ssl, "private_key", None)
        fields.text(ssl, "certificate", None)
    return {
        **balancer,
        "label": fields.text(body, "label", balancer["label"]),
        "has_ssl": balancer["has_ssl"] or bool(ssl),
        "auto_ssl": {**balancer["auto_ssl"], **{key: auto[key] for key in AUTO_SSL if key in auto}},
        "http2": fields.flag(body, "http2", balancer["http2"]),
        "http3": fields.flag(body, "http3", balancer["http3"]),
        "nodes": nodes,
        "global_regions": balancer["global_regions"] if regions is None else regions,
        "instances": balancer["instances"] if instances is None else instances,
        "health_check": {**balancer["health_check"], **{key: health[key] for key in HEALTH if key in health}},
        "forwarding_rules": _blocks(body, "forwarding_rules", balancer["forwarding_rules"], _forwarding),
        "firewall_rules": _blocks(body, "firewall_rules", balancer["firewall_rules"], _firewall),
        "generic_info": {
            "balancing_algorithm": _one_of(
                body, "balancing_algorithm", ("roundrobin", "leastconn"), generic["balancing_algorithm"]
            ),
            "ssl_redirect": fields.flag(body, "ssl_redirect", generic["ssl_redirect"]),
            "proxy_protocol": fields.flag(body, "proxy_protocol", generic["proxy_protocol"]),
            "sticky_sessions": {
                "cookie_name": fields.text(sticky, "cookie_name", generic["sticky_sessions"]["cookie_name"])
            },
            "timeout": fields.whole(body, "timeout", generic["timeout"]),
            "vpc": vpc,
        },
    }


def create(region: Region, call: Call) -> Reply:
    """Make one; it is pending for a time."""
    place = fields.text(call.body, "region", None).lower()
    if place not in REGIONS:
        raise refused("Invalid region chosen.")
    number = region.store.count("load_balancers")
    fresh: JSON = {
        "id": str(uuid.uuid4()), "date_created": now(), "region": place, "label": "", "status": "active",
        "ipv4": f"198.51.100.{number % 250 + 1}", "ipv6": f"2001:db8:1b::{number:x}", "has_ssl": False,
        "instances": [], "health_check": HEALTH, "forwarding_rules": [], "firewall_rules": [],
        "auto_ssl": AUTO_SSL, "http2": False, "http3": False, "nodes": 1, "global_regions": [],
        "generic_info": {"balancing_algorithm": "roundrobin", "timeout": 600, "ssl_redirect": False,
                         "proxy_protocol": False, "sticky_sessions": {"cookie_name": ""}, "vpc": ""},
        "_active_at": time.time() + PENDING_SECONDS,
    }  # fmt: skip
    balancer = _apply(region, fresh, call.body)
    if not balancer["forwarding_rules"]:
        raise refused("Missing required field: forwarding_rules")
    region.store.table(TABLE)[balancer["id"]] = balancer
    return 202, {"load_balancer": _shown(balancer)}


def listing(region: Region, call: Call) -> Reply:
    """All of them."""
    return 200, page(call.query, [_shown(balancer) for balancer in region.store.table(TABLE).values()], TABLE)


def read(region: Region, call: Call) -> Reply:
    """One of them."""
    return 200, {"load_balancer": _shown(region.store.get(TABLE, call.params["id"]))}


def update(region: Region, call: Call) -> Reply:
    """Change what the request says."""
    balancer = region.store.get(TABLE, call.params["id"])
    region.store.table(TABLE)[balancer["id"]] = _apply(region, balancer, call.body)
    return 204, None


def delete_certificate(region: Region, call: Call) -> Reply:
    """Forget its certificate."""
    region.store.get(TABLE, call.params["id"])["has_ssl"] = False
    return 204, None


def delete(region: Region, call: Call) -> Reply:
    """Delete it, once it is ready."""
    if _pending(region.store.get(TABLE, call.params["id"])):
        raise refused("Load balancer is not ready.")
    del region.store.table(TABLE)[call.params["id"]]
    return 204, None


def _rules(segment: str, read: Callable[[JSON], JSON]) -> Routes:
    """Its rules of one kind, one by one: `forwarding-rules` are `forwarding_rules`, of which each is a `..._rule`."""
    name, path = segment.replace("-", "_"), f"/v2/load-balancers/{{id}}/{segment}"
    one = name.removesuffix("s")

    def found(region: Region, call: Call) -> tuple[list[JSON], JSON]:
        rules: list[JSON] = region.store.get(TABLE, call.params["id"])[name]
        for rule in rules:
            if rule["id"] == call.params["rule"]:
                return rules, rule
        raise ApiError(404, f"Invalid {one.replace('_', ' ')} ID")

    def listing(region: Region, call: Call) -> Reply:
        return 200, page(call.query, region.store.get(TABLE, call.params["id"])[name], name)

    def create(region: Region, call: Call) -> Reply:
        rule = {"id": uuid.uuid4().hex[:16], **read(call.body)}
        region.store.get(TABLE, call.params["id"])[name].append(rule)
        return 202, {one: rule}

    def delete(region: Region, call: Call) -> Reply:
        rules, rule = found(region, call)
        rules.remove(rule)
        return 204, None

    return [
        ("GET", path, listing),
        ("POST", path, create),
        ("GET", f"{path}/{{rule}}", lambda region, call: (200, {one: found(region, call)[1]})),
        ("DELETE", f"{path}/{{rule}}", delete),
    ]


ROUTES: Routes = [
    *_rules("forwarding-rules", _forwarding),
    *_rules("firewall-rules", _firewall),
    ("GET", "/v2/load-balancers", listing),
    ("POST", "/v2/load-balancers", create),
    ("GET", "/v2/load-balancers/{id}", read),
    ("PATCH", "/v2/load-balancers/{id}", update),
    ("DELETE", "/v2/load-balancers/{id}/ssl", delete_certificate),
    ("DELETE", "/v2/load-balancers/{id}", delete),
]
