"""The region's metadata service: what Vultr's servers are told of themselves at http://169.254.169.254.

Runs on its own inside a container on the servers' link, with the standard library and nothing of the lab:

    python3 metadata.py --state /lab/region.json

Whoever asks is known by the address it asks from, and is told of that instance alone, as the emulator's state has it at
the moment; to anybody else there is nothing (404). Paths and fields are those that cloud-init's Vultr data source reads
(`/v1.json`; cloudinit/sources/DataSourceVultr.py and helpers/vultr.py, with the answers of its unit tests) and those of
https://www.vultr.com/metadata/: each field of it by its path under `/v1/`, and user data as it was given at
`/latest/user-data`. Of several VPCs the first is shown: the one that the machine has an interface on.
"""

from __future__ import annotations

import argparse
import base64
import ipaddress
import json
import sys
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

ADDRESS = "169.254.169.254"
JSON = dict[str, Any]
INDEX = "latest\nv1\nv1.json"
# As the provider's images: keys and password are root's, nobody else is made.
LOGIN: JSON = {"users": [], "disable_root": False, "ssh_pwauth": True}


def instance_of(state: Mapping[str, Any], address: str) -> JSON | None:
    """The instance that has this public IPv4 address, its own or a reserved one."""
    instances: dict[str, JSON] = state.get("instances") or {}
    for instance in instances.values():
        if instance["main_ip"] == address:
            return instance
    for reserved in (state.get("reserved_ips") or {}).values():
        if reserved["ip_type"] == "v4" and reserved["subnet"] == address and reserved["instance_id"]:
            return instances.get(reserved["instance_id"])
    return None


def document(state: Mapping[str, Any], instance: JSON) -> JSON:
    """`/v1.json`: all that an instance is told of itself."""
    vendor = {**LOGIN, "chpasswd": {"expire": False, "users": [_password(instance)]}}
    return {
        "bgp": {"ipv4": _bgp(), "ipv6": _bgp()},
        "hostname": instance["hostname"],
        "local-hostname": instance["hostname"],
        "instance-id": instance["id"],
        "instance-v2-id": instance["id"],
        "instanceid": str(int(instance["id"][:8], 16)),  # the number that API v1 had
        "interfaces": [_public(state, instance), *(_private(state, entry) for entry in instance["_vpcs"][:1])],
        "public-keys": list(instance["_ssh_keys"]),
        "region": {"regioncode": instance["region"].upper()},
        "startup-script": "",
        "user-data": user_data(instance).decode(errors="replace"),
        "user-defined": [],
        "vendor-data": f"#cloud-config\n{json.dumps(vendor)}\n",
    }


def user_data(instance: JSON) -> bytes:
    """As it was given, byte for byte; empty without any."""
    return base64.b64decode(instance["_user_data"])


def at(state: Mapping[str, Any], instance: JSON, path: str) -> bytes | None:
    """What is at a path for this instance; None where nothing is."""
    match [part for part in path.split("/") if part]:
        case []:
            return INDEX.encode()
        case ["v1.json"]:
            return json.dumps(document(state, instance)).encode()
        case ["latest", "user-data"]:
            return user_data(instance) or None
        case ["latest", "meta-data", "hostname"]:
            return str(instance["hostname"]).encode()
        case ["v1", *parts]:
            return _field(document(state, instance), parts)
    return None


def _field(value: Any, parts: list[str]) -> bytes | None:  # noqa: ANN401 - JSON
    """A field as text; of an object or a list of objects the names in it, with a slash where more lies below."""
    for part in parts:
        if isinstance(value, list):
            value = dict(enumerate(value)).get(int(part)) if part.isdecimal() else None
        else:
            value = value.get(part) if isinstance(value, dict) else None
        if value is None:
            return None
    if isinstance(value, list) and not any(isinstance(entry, dict) for entry in value):
        value = "\n".join(value)
    if isinstance(value, (dict, list)):
        entries = value.items() if isinstance(value, dict) else enumerate(value)
        value = "\n".join(f"{name}/" if isinstance(below, (dict, list)) else str(name) for name, below in entries)
    return str(value).encode()


def _password(instance: JSON) -> JSON:
    return {"name": "root", "password": instance["_root_password"], "type": "text"}


def _bgp() -> JSON:
    return dict.fromkeys(("my-address", "my-asn", "peer-address", "peer-asn"), "")


def _public(state: Mapping[str, Any], instance: JSON) -> JSON:
    attached = [
        reserved
        for reserved in (state.get("reserved_ips") or {}).values()
        if reserved["instance_id"] == instance["id"] and reserved["subnet"] != instance["main_ip"]
    ]
    return {
        "ipv4": {
            "additional": [
                {"address": reserved["subnet"], "netmask": "255.255.255.255"}
                for reserved in attached
                if reserved["ip_type"] == "v4"
            ],
            "address": instance["main_ip"],
            "gateway": instance["gateway_v4"],
            "netmask": instance["netmask_v4"],
        },
        "ipv6": {
            "additional": [
                {"network": reserved["subnet"], "prefix": str(reserved["subnet_size"])}
                for reserved in attached
                if reserved["ip_type"] == "v6"
            ],
            "address": instance["v6_main_ip"],
            "network": instance["v6_network"],
            "prefix": str(instance["v6_network_size"]) if instance["v6_network"] else "",
        },
        "mac": instance["_mac"],
        "network-type": "public",
    }


def _private(state: Mapping[str, Any], entry: JSON) -> JSON:
    size = state["vpcs"][entry["id"]]["v4_subnet_mask"]
    return {
        "ipv4": {
            "additional": [],
            "address": entry["ip_address"],
            "gateway": "",
            "netmask": str(ipaddress.IPv4Network((0, size)).netmask),
        },
        "ipv6": {"additional": [], "network": "", "prefix": ""},
        "mac": entry["mac_address"],
        "network-type": "private",
        "network-v2-id": entry["id"],
        "networkid": f"net{entry['id'].replace('-', '')[:13]}",
    }


def server(state_file: str, address: str, port: int) -> ThreadingHTTPServer:
    """Answers there as soon as it is told to serve; the state is read anew for each question."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = 20  # s, of a connection that says nothing

        def do_GET(self) -> None:
            try:
                with open(state_file, encoding="utf-8") as file:
                    state = json.load(file)
            except FileNotFoundError:
                state = {}  # no region yet
            instance = instance_of(state, self.client_address[0])
            body = at(state, instance, self.path.partition("?")[0]) if instance else None
            self.send_response(404 if body is None else 200)
            self.send_header("Content-Type", "text/plain; charset=utf-8")
            self.send_header("Content-Length", str(len(body or b"")))
            self.end_headers()
            self.wfile.write(body or b"")

        def log_message(self, format: str, *words: Any) -> None:  # noqa: ANN401 - the base class's signature
            print(self.client_address[0], format % words, file=sys.stderr, flush=True)

    return ThreadingHTTPServer((address, port), Handler)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--state", required=True)
    options = parser.parse_args()
    server(options.state, ADDRESS, 80).serve_forever()


if __name__ == "__main__":
    main()
