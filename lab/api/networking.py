"""The addresses of an instance: IPv4 and IPv6 lists, reverse names, and its place in VPCs."""

from ipaddress import IPv4Network, ip_address, ip_network

from lab.api import fields, later
from lab.api.addresses import mac
from lab.api.errors import gone, refused
from lab.api.paging import page
from lab.api.region import JSON, Call, Region, Reply, Routes


def _get(region: Region, call: Call) -> JSON:
    return region.store.get("instances", call.params["id"])


def enable_ipv6(region: Region, instance: JSON) -> None:
    """Give the instance a /64 unless it has one; a machine that runs learns of it when reinstalled."""
    if not instance["v6_network"]:
        network, own = region.addresses.prefix()
        instance.update(v6_network=network, v6_main_ip=own, v6_network_size=64)
        instance["features"].append("ipv6")


def _attached(region: Region, instance: JSON, ip_type: str) -> list[str]:
    return [ip["subnet"] for ip in region.store.table("reserved_ips").values()
            if ip["instance_id"] == instance["id"] and ip["ip_type"] == ip_type]  # fmt: skip


def public_ipv4(region: Region, instance: JSON) -> list[str]:
    """The instance's IPv4 addresses, the main one first."""
    main = instance["main_ip"]
    return [main, *(ip for ip in _attached(region, instance, "v4") if ip != main)]


def ipv4(region: Region, call: Call) -> Reply:
    """Its IPv4 addresses with their reverse names, private ones too; the MAC of the public adapter if asked for."""
    instance = _get(region, call)
    reverse = region.store.table("reverse_ipv4")
    addresses = []
    for ip in public_ipv4(region, instance):
        entry = {"ip": ip, "netmask": "255.255.255.255", "gateway": "", "type": "secondary_ip",
                 "reverse": reverse.get(ip, f"{ip}.vultrusercontent.com")}  # fmt: skip
        if ip == instance["main_ip"]:
            entry.update(netmask=instance["netmask_v4"], gateway=instance["gateway_v4"], type="main_ip")
            if call.query.get("public_network") == "true":
                entry["mac_address"] = instance["_mac"]
        addresses.append(entry)
    for joined in instance["_vpcs"]:
        network = _network(region.store.get("vpcs", joined["id"]))
        addresses.append({"ip": joined["ip_address"], "netmask": str(network.netmask), "gateway": "",
                          "type": "private", "reverse": ""})  # fmt: skip
    return 200, page(call.query, addresses, "ipv4s")


def _own_ipv4(region: Region, call: Call) -> str:
    instance = _get(region, call)
    ip = fields.address(fields.text(call.body, "ip", None), 4)
    if ip not in public_ipv4(region, instance):
        raise refused("Invalid ip: not an address of this instance")
    return ip


def set_reverse_ipv4(region: Region, call: Call) -> Reply:
    """Give one of its IPv4 addresses a name."""
    ip = _own_ipv4(region, call)
    region.store.table("reverse_ipv4")[ip] = fields.text(call.body, "reverse", None)
    return 204, None


def default_reverse_ipv4(region: Region, call: Call) -> Reply:
    """Take the name away again."""
    region.store.table("reverse_ipv4").pop(_own_ipv4(region, call), None)
    return 204, None


def ipv6(region: Region, call: Call) -> Reply:
    """Its own IPv6 address and prefix."""
    instance = _get(region, call)
    addresses = []
    if instance["v6_network"]:
        addresses.append({"ip": ip_address(instance["v6_main_ip"]).exploded, "network": instance["v6_network"],
                          "network_size": 64, "type": "main_ip"})  # fmt: skip
    for network in _attached(region, instance, "v6"):
        addresses.append({"ip": ip_address(network).exploded, "network": network, "network_size": 64,
                          "type": "secondary_ip"})  # fmt: skip
    return 200, page(call.query, addresses, "ipv6s")


def reverse_ipv6(region: Region, call: Call) -> Reply:
    """Names of its IPv6 addresses; this list has no pages."""
    names = region.store.table("reverse_ipv6").get(_get(region, call)["id"], {})
    return 200, {"reverse_ipv6s": [{"ip": ip_address(ip).exploded, "reverse": name} for ip, name in names.items()]}


def set_reverse_ipv6(region: Region, call: Call) -> Reply:
    """Name one address of its prefixes. Its list spells all eight groups in full, whatever was sent."""
    instance = _get(region, call)
    ip = fields.address(fields.text(call.body, "ip", None), 6)
    name = fields.text(call.body, "reverse", None)
    prefixes = [instance["v6_network"], *_attached(region, instance, "v6")]
    if not any(prefix and ip_address(ip) in ip_network(f"{prefix}/64") for prefix in prefixes):
        raise refused("Invalid ip: not an address of this instance")
    region.store.table("reverse_ipv6").setdefault(instance["id"], {})[ip] = name
    return 204, None


def delete_reverse_ipv6(region: Region, call: Call) -> Reply:
    """Remove one name. ApiError 404 when there is none."""
    names = region.store.table("reverse_ipv6").get(_get(region, call)["id"], {})
    ip = fields.address(call.params["ip"], 6)
    if names.pop(ip, None) is None:
        raise refused("Invalid ip: no reverse entry")
    return 204, None


def default_reverse_ipv6(region: Region, call: Call) -> Reply:
    """Same as deleting the name of one address, which need not have one."""
    names = region.store.table("reverse_ipv6").get(_get(region, call)["id"], {})
    names.pop(fields.address(fields.text(call.body, "ip", None), 6), None)
    return 204, None


def vpc_of(region: Region, id_: str, place: str) -> JSON:
    """The VPC that an instance in `place` may join. ApiError 404, or 400 when it is elsewhere."""
    vpc = region.store.get("vpcs", id_)
    if vpc["region"] != place:
        raise refused("Invalid VPC: it is in another region")
    return vpc


def join(region: Region, instance: JSON, vpc: JSON) -> None:
    """Put the instance on the VPC with its first free address from .3 on; nothing if it is there already."""
    if any(entry["id"] == vpc["id"] for entry in instance["_vpcs"]):
        return
    used = {entry["ip_address"] for other in region.store.table("instances").values()
            for entry in other["_vpcs"] if entry["id"] == vpc["id"]}  # fmt: skip
    network = _network(vpc)
    for number in range(3, network.num_addresses - 1):
        address = str(network[number])
        if address not in used:
            break
    else:
        raise refused("No addresses are available in this VPC")
    instance["_vpcs"].append({"id": vpc["id"], "mac_address": mac(0x5A), "ip_address": address})
    _set_internal(instance)


def leave(region: Region, instance: JSON, vpc_id: str) -> None:
    """Take the instance off the VPC, which is let go of later; nothing if it is not on it."""
    if any(entry["id"] == vpc_id for entry in instance["_vpcs"]):
        instance["_vpcs"] = [entry for entry in instance["_vpcs"] if entry["id"] != vpc_id]
        _set_internal(instance)
        let_go(region, instance, vpc_id)


def let_go(region: Region, instance: JSON, vpc_id: str) -> None:
    """Have the VPC held on behalf of an instance that is not on it any more."""
    names = (instance["id"], instance["label"], region.store.get("vpcs", vpc_id)["description"])
    later.postpone(region.store, "vpc_release", vpc_id, instance["main_ip"], names)


def _set_internal(instance: JSON) -> None:
    """The address on its VPC; with several the API names none."""
    joined = instance["_vpcs"]
    instance["internal_ip"] = joined[0]["ip_address"] if len(joined) == 1 else ""


def _network(vpc: JSON) -> IPv4Network:
    return IPv4Network(f"{vpc['v4_subnet']}/{vpc['v4_subnet_mask']}")


def vpcs(region: Region, call: Call) -> Reply:
    """The VPCs of the instance with its address on each."""
    return 200, page(call.query, _get(region, call)["_vpcs"], "vpcs")


def attach_vpc(region: Region, call: Call) -> Reply:
    """Join a VPC."""
    instance = _get(region, call)
    join(region, instance, vpc_of(region, fields.text(call.body, "vpc_id", None), instance["region"]))
    region.machines.wire(instance["id"])
    return 204, None


def detach_vpc(region: Region, call: Call) -> Reply:
    """Leave a VPC. ApiError 404 when the instance is not on it."""
    instance, id_ = _get(region, call), fields.text(call.body, "vpc_id", None)
    if not any(entry["id"] == id_ for entry in instance["_vpcs"]):
        raise gone("vpcs")
    leave(region, instance, id_)
    region.machines.wire(instance["id"])
    return 204, None


ROUTES: Routes = [
    ("GET", "/v2/instances/{id}/ipv4", ipv4),
    ("POST", "/v2/instances/{id}/ipv4/reverse", set_reverse_ipv4),
    ("POST", "/v2/instances/{id}/ipv4/reverse/default", default_reverse_ipv4),
    ("GET", "/v2/instances/{id}/ipv6", ipv6),
    ("GET", "/v2/instances/{id}/ipv6/reverse", reverse_ipv6),
    ("POST", "/v2/instances/{id}/ipv6/reverse", set_reverse_ipv6),
    ("POST", "/v2/instances/{id}/ipv6/reverse/default", default_reverse_ipv6),
    ("DELETE", "/v2/instances/{id}/ipv6/reverse/{ip:path}", delete_reverse_ipv6),
    ("GET", "/v2/instances/{id}/vpcs", vpcs),
    ("POST", "/v2/instances/{id}/vpcs/attach", attach_vpc),
    ("POST", "/v2/instances/{id}/vpcs/detach", detach_vpc),
]
