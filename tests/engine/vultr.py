"""A program of nothing but Vultr's own types, one of each, for tests of the plugin through the engine.

`RESOURCES` is what it makes, as data: the program reads it from its folder, so a test may change it there.
`{"of": name, "output": output}` stands for another resource's output.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lab.api.testing import Emulator
from tests.engine.workplace import Project, Run, Workplace

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGenericGenericGenericGenericGenericGeneric1 somebody"
PROGRAM = '''"""Makes what resources.json says."""

import json
from pathlib import Path

import ediri_vultr as vultr

made = {}


def resolved(value):
    if isinstance(value, dict) and set(value) == {"of", "output"}:
        return getattr(made[value["of"]], value["output"])
    if isinstance(value, list):
        return [resolved(inner) for inner in value]
    return value


for name, (kind, inputs) in json.loads(Path("resources.json").read_text()).items():
    made[name] = getattr(vultr, kind)(name, **{key: resolved(value) for key, value in inputs.items()})
'''
Resources = dict[str, tuple[str, dict[str, Any]]]


def output(name: str, of: str = "id") -> dict[str, str]:
    """Another resource's output, in a program's data."""
    return {"of": name, "output": of}


RESOURCES: Resources = {
    "key": ("SSHKey", {"name": "somebody", "ssh_key": KEY}),
    "net": ("Vpc", {"region": "ewr", "description": "private", "v4_subnet": "10.1.2.0", "v4_subnet_mask": 24}),
    "address": ("ReservedIp", {"region": "ewr", "ip_type": "v4", "label": "web1"}),
    "group": ("FirewallGroup", {"description": "web"}),
    "ssh": ("FirewallRule", {"firewall_group_id": output("group"), "ip_type": "v6", "protocol": "tcp", "subnet": "::",
                             "subnet_size": 0, "port": "22", "notes": "ssh"}),
    "web1": ("Instance", {"region": "ewr", "plan": "vc2-1c-1gb", "os_id": 2136, "enable_ipv6": True, "label": "web1",
                          "hostname": "web1", "tags": ["b", "a"], "firewall_group_id": output("group"),
                          "ssh_key_ids": [output("key")], "vpc_ids": [output("net")],
                          "reserved_ip_id": output("address"), "user_data": "#cloud-config\n"}),
    "name4": ("ReverseIpv4", {"instance_id": output("web1"), "ip": output("address", "subnet"),
                              "reverse": "web1.example.org"}),
    "name6": ("ReverseIpv6", {"instance_id": output("web1"), "ip": output("web1", "v6_main_ip"),
                              "reverse": "web1.example.org"}),
    "zone": ("DnsDomain", {"domain": "example.org"}),
    "a": ("DnsRecord", {"domain": output("zone"), "name": "", "type": "A", "data": output("address", "subnet"),
                        "ttl": 300}),
    "mx": ("DnsRecord", {"domain": output("zone"), "name": "", "type": "MX", "data": "mail.example.org",
                         "priority": 10}),
    "txt": ("DnsRecord", {"domain": output("zone"), "name": "_spf", "type": "TXT", "data": '"v=spf1 -all"'}),
    "disk": ("BlockStorage", {"region": "ewr", "size_gb": 40, "block_type": "storage_opt", "label": "data",
                              "attached_to_instance": output("web1")}),
    "files": ("VirtualFileSystemStorage", {"region": "ewr", "label": "shared", "size_gb": 10, "tags": ["b", "a"],
                                           "attached_instances": [output("web1")]}),
    "bucket": ("ObjectStorage", {"cluster_id": 2, "tier_id": 3, "label": "backups"}),
    "balancer": ("LoadBalancer", {
        "region": "ewr", "label": "front", "attached_instances": [output("web1")], "vpc": output("net"),
        "forwarding_rules": [
            {"frontend_protocol": "http", "frontend_port": 80, "backend_protocol": "http", "backend_port": 8080},
            {"frontend_protocol": "tcp", "frontend_port": 443, "backend_protocol": "tcp", "backend_port": 443},
        ],
        "firewall_rules": [{"port": 443, "ip_type": "v4", "source": "192.0.2.0/24"}],
        "health_check": {"protocol": "http", "port": 8080, "path": "/up"},
    }),
}  # fmt: skip


def project(workplace: Workplace, name: str, resources: Resources = RESOURCES) -> Project:
    """A project `name` with a stack of that name whose program makes `resources`."""
    made = workplace.project(name, name, {"config": {"vultr:apiKey": "a-key"}})
    (made.folder / "__main__.py").write_text(PROGRAM)
    write(made, resources)
    return made.made()


def write(made: Project, resources: Mapping[str, tuple[str, dict[str, Any]]]) -> None:
    """Make the program make `resources` from now on."""
    (made.folder / "resources.json").write_text(json.dumps(resources))


def reaching(emulator: Emulator) -> dict[str, str]:
    """The environment in which the plugin reaches this emulated API."""
    proxies = dict.fromkeys(("HTTPS_PROXY", "https_proxy"), emulator.proxy)
    return {**proxies, "SSL_CERT_FILE": str(emulator.info["ca"])}


def resources_of(made: Project) -> dict[str, dict[str, Any]]:
    """What is in the state, by name; providers and the stack aside."""
    deployment = made.run("stack", "export", "--show-secrets").json()["deployment"]
    found = {r["urn"].split("::")[-1]: r for r in deployment.get("resources") or [] if r["type"].startswith("vultr:")}
    return dict(found)


def succeeded(run: Run) -> Run:
    """The run, when it has ended well."""
    assert run.status == 0, run.output
    return run


def marker(path: Path) -> str:
    """A plugin's executable that only says that it was started, by a file at `path`."""
    return f"#!/bin/sh\ntouch {path}\nexit 1\n"
