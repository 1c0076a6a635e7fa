"""The properties of each resource type, those of the official plugin 2.27.1: a state of either is one of both.

Data only; `resource.py` acts on it. Names are Pulumi's (camelCase); the API's are the same in snake_case, except
where a table says otherwise.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable

from provider.protocol.base import Value
from provider.protocol.bridge import Prop


def one_of(name: str, *words: str) -> Callable[[Value], str | None]:
    """A check that a value is one of `words`."""
    listed = " ".join(f'"{word}"' for word in words)
    return lambda value: None if value in words else f"expected {name} to be one of [{listed}], got {value}"


def address_of(name: str, version: int | None = None) -> Callable[[Value], str | None]:
    """A check that a value is an IP address (of one version) without a length."""
    kind = {None: "IP", 4: "IPv4", 6: "IPv6"}[version]

    def check(value: Value) -> str | None:
        try:
            parsed = ipaddress.ip_address(str(value))
        except ValueError:
            parsed = None
        if parsed is None or version not in (None, parsed.version):
            return f"expected {name} to contain a valid {kind}{' address' if version else ''}, got: {value}"
        return None

    return check


def not_empty(name: str) -> Callable[[Value], str | None]:
    """A check that a value is not its kind's zero value."""
    return lambda value: None if value else f"{name} must not be empty, got {value}"


def within(name: str, most: int) -> Callable[[Value], str | None]:
    """A check that a number is from 1 to `most`."""
    return lambda value: (
        None if 1 <= int(value) <= most else f"expected {name} to be in the range (1 - {most}), got {value}"
    )


def lasting(name: str) -> Callable[[Value], str | None]:
    """A check that a time to live is one: 0 would be sent as none, and read back as another."""
    return lambda value: (
        None if int(value) > 0 else f"expected {name} to be at least 1, got {value}; leave it out for 3600"
    )


def same_but_case(old: Value, new: Value) -> bool:
    """Regions are compared without regard to case."""
    return str(old).lower() == str(new).lower()


def given(kind: str = "string", **more: Value) -> Prop:
    """A computed output that is no input."""
    return Prop(kind, computed=True, output=True, **more)


def region() -> Prop:
    """The region every regional object names."""
    return Prop("string", required=True, force_new=True, diff_suppress=same_but_case)


def fixed(kind: str = "string", **more: Value) -> Prop:
    """A required input whose change replaces the object."""
    return Prop(kind, required=True, force_new=True, **more)


PROPERTIES: dict[str, dict[str, Prop]] = {
    "vultr:index/sSHKey:SSHKey": {
        "name": Prop("string", required=True, auto_name=True),
        "sshKey": Prop("string", required=True),
        "dateCreated": given(),
    },
    "vultr:index/vpc:Vpc": {
        "region": region(),
        "description": Prop("string", default=""),
        "v4Subnet": Prop("string", computed=True, force_new=True, check=address_of("v4_subnet", 4)),
        "v4SubnetMask": Prop("int", computed=True, force_new=True),
        "dateCreated": given(),
    },
    "vultr:index/reservedIp:ReservedIp": {
        "region": region(),
        "ipType": fixed(check=one_of("ip_type", "v4", "v6")),
        "label": Prop("string", default=""),
        "instanceId": Prop("string", computed=True),
        "subnet": given(),
        "subnetSize": given("int"),
    },
    "vultr:index/dnsDomain:DnsDomain": {
        "domain": fixed(check=not_empty("domain")),
        "ip": Prop("string", force_new=True, check=address_of("ip")),
        "dnsSec": Prop("string", default="disabled", check=one_of("dns_sec", "disabled", "enabled")),
        "dateCreated": given(),
    },
    "vultr:index/dnsRecord:DnsRecord": {
        "data": Prop("string", required=True),
        "domain": fixed(),
        "name": Prop("string", required=True, auto_name=True),
        "type": fixed(check=one_of("type", "A", "AAAA", "CNAME", "NS", "MX", "SRV", "TXT", "CAA", "SSHFP")),
        "priority": Prop("int"),
        "ttl": Prop("int", default=3600, check=lasting("ttl")),
    },
    "vultr:index/firewallGroup:FirewallGroup": {
        "description": Prop("string", default=""),
        "dateCreated": given(),
        "dateModified": given(),
        "instanceCount": given("int"),
        "ruleCount": given("int"),
        "maxRuleCount": given("int"),
    },
    "vultr:index/firewallRule:FirewallRule": {
        "firewallGroupId": fixed(),
        "ipType": fixed(check=one_of("ip_type", "v4", "v6")),
        "protocol": fixed(check=one_of("protocol", "icmp", "tcp", "udp", "gre", "ah", "esp")),
        "subnet": fixed(check=address_of("subnet")),
        "subnetSize": fixed("int"),
        "port": Prop("string", force_new=True, default=""),
        "notes": Prop("string", force_new=True, default=""),
        "source": Prop("string", force_new=True, default="", check=one_of("source", "", "cloudflare")),
    },
    "vultr:index/reverseIpv4:ReverseIpv4": {
        "instanceId": fixed(),
        "ip": fixed(),
        "reverse": fixed(),
        "netmask": given(),
        "gateway": given(),
    },
    "vultr:index/reverseIpv6:ReverseIpv6": {"instanceId": fixed(), "ip": fixed(), "reverse": fixed()},
    "vultr:index/blockStorage:BlockStorage": {
        "sizeGb": Prop("int", required=True),
        "region": region(),
        "attachedToInstance": Prop("string"),
        "label": Prop("string", default=""),
        "live": Prop("bool", default=False),
        "blockType": Prop(
            "string", computed=True, force_new=True, check=one_of("block_type", "storage_opt", "high_perf")
        ),
        "cost": given("float"),
        "dateCreated": given(),
        "mountId": given(),
        "status": given(),
    },
    "vultr:index/objectStorage:ObjectStorage": {
        "clusterId": fixed("int"),
        "tierId": fixed("int"),
        "label": Prop("string", default=""),
        "s3AccessKey": given(secret=True),
        "s3SecretKey": given(secret=True),
    }
    | {name: given() for name in ("dateCreated", "location", "region", "status", "s3Hostname")},
    "vultr:index/virtualFileSystemStorage:VirtualFileSystemStorage": {
        "region": region(),
        "label": Prop("string", required=True),
        "sizeGb": Prop("int", required=True),
        "tags": Prop("set", of="string", force_new=True),
        "attachedInstances": Prop("set", of="string"),
        "diskType": Prop("string", default="nvme"),
        "status": given(),
        "dateCreated": given(),
        "cost": given("float"),
        "charges": given("float"),
        "attachments": given(
            "list", of={"instanceId": given(), "mount": given("int"), "state": given()}
        ),
    },
    "vultr:index/loadBalancer:LoadBalancer": {
        "region": region(),
        "label": Prop("string", default=""),
        "balancingAlgorithm": Prop(
            "string", computed=True, check=one_of("balancing_algorithm", "leastconn", "roundrobin")
        ),
        "vpc": Prop("string"),
        "sslRedirect": Prop("bool", default=False),
        "proxyProtocol": Prop("bool", default=False),
        "cookieName": Prop("string"),
        "attachedInstances": Prop("list", of="string", computed=True),
        "healthCheck": Prop(
            "list",
            max_one=True,
            computed=True,
            of={
                "protocol": Prop("string", required=True, check=one_of("protocol", "http", "https", "tcp")),
                "port": Prop("int", required=True, check=within("port", 65535)),
                "path": Prop("string", default="/"),
                "checkInterval": Prop("int", default=15, check=within("check_interval", 300)),
                "responseTimeout": Prop("int", default=5, check=within("response_timeout", 300)),
                "unhealthyThreshold": Prop("int", default=5, check=within("unhealthy_threshold", 300)),
                "healthyThreshold": Prop("int", default=5, check=within("healthy_threshold", 300)),
            },
        ),
        "forwardingRules": Prop(
            "set",
            required=True,
            of={
                "frontendProtocol": Prop(
                    "string", required=True, check=one_of("frontend_protocol", "http", "https", "tcp")
                ),
                "frontendPort": Prop("int", required=True, check=within("frontend_port", 65535)),
                "backendProtocol": Prop(
                    "string", required=True, check=one_of("backend_protocol", "http", "https", "tcp")
                ),
                "backendPort": Prop("int", required=True, check=within("backend_port", 65535)),
                "ruleId": Prop("string", computed=True),
            },
        ),
        "firewallRules": Prop(
            "set",
            of={
                "port": Prop("int", required=True, check=within("port", 65535)),
                "ipType": Prop("string", required=True, check=one_of("ip_type", "v4", "v6")),
                "source": Prop("string", required=True),
                "id": Prop("string", computed=True),
            },
        ),
        "ssl": Prop(
            "set",
            max_one=True,
            secret=True,
            of={
                "privateKey": Prop("string", required=True, check=not_empty("private_key")),
                "certificate": Prop("string", required=True, check=not_empty("certificate")),
                "chain": Prop("string"),
            },
        ),
        "hasSsl": given("bool"),
        "status": given(),
        "ipv4": given(),
        "ipv6": given(),
    },
    "vultr:index/instance:Instance": {
        "region": region(),
        "plan": Prop("string", required=True, check=not_empty("plan")),
        "isoId": Prop("string", default=""),
        "appId": Prop("int", computed=True, force_new=True),
        "imageId": Prop("string", computed=True, force_new=True),
        "osId": Prop("int", computed=True, force_new=True),
        "scriptId": Prop("string", computed=True, force_new=True),
        "snapshotId": Prop("string", computed=True, force_new=True),
        "ipxeChainUrl": Prop("string", force_new=True),
        "enableIpv6": Prop("bool"),
        "disablePublicIpv4": Prop("bool", force_new=True),
        "vpcIds": Prop("set", of="string", computed=True),
        "vpc2Ids": Prop("set", of="string"),
        "label": Prop("string", computed=True),
        "sshKeyIds": Prop("list", of="string", force_new=True),
        "userData": Prop("string", computed=True, force_new=True),
        "activationEmail": Prop("bool"),
        "ddosProtection": Prop("bool", default=False),
        "hostname": Prop("string", computed=True, force_new=True),
        "tags": Prop("set", of="string"),
        "reservedIpId": Prop("string", computed=True, force_new=True),
        "firewallGroupId": Prop("string", computed=True),
        "backups": Prop("string", default="disabled", check=one_of("backups", "enabled", "disabled")),
        "backupsSchedule": Prop(
            "list",
            max_one=True,
            of={
                "type": Prop(
                    "string",
                    required=True,
                    check=one_of(
                        "backups_schedule.0.type", "daily", "weekly", "monthly", "daily_alt_even", "daily_alt_odd"
                    ),
                ),
                "hour": Prop("int", computed=True),
                "dow": Prop("int", computed=True),
                "dom": Prop("int", computed=True),
            },
        ),
        "userScheme": Prop("string", force_new=True, default="root"),
        "appVariables": Prop("map", of="string", force_new=True),
        "defaultPassword": given(secret=True),
        "features": given("list", of="string"),
    }
    | {
        name: given()
        for name in (
            "os", "mainIp", "dateCreated", "status", "netmaskV4", "gatewayV4", "powerStatus", "serverStatus",
            "v6Network", "v6MainIp", "internalIp", "kvm",
        )
    }
    | {name: given("int") for name in ("ram", "disk", "vcpuCount", "allowedBandwidth", "v6NetworkSize")},
}  # fmt: skip
