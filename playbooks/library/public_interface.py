#!/usr/bin/python3
"""Ansible module: finds the public interface (ens3, enp1s0, eth0, ...). Changes nothing.

The one that holds an address of the server's prefix; else that of the IPv6 default route; else of the IPv4
one. Returns: `interface`, its name.
"""

from __future__ import annotations

import ipaddress
import json
from typing import Any


def find(
    prefix: str | None,
    addresses: list[dict[str, Any]],
    routes6: list[dict[str, Any]],
    routes4: list[dict[str, Any]],
) -> str | None:
    """`addresses`, `routes6`, `routes4`: what `ip -j addr`, `ip -j -6 route show default` and the IPv4 one
    print.

    Docker's own bridges hold addresses of the prefix too (the gateways of the containers' networks), and so does the
    loopback interface (the host's own address in a reserved prefix): these never count.
    """
    inner = {link["ifname"] for link in addresses if link.get("linkinfo", {}).get("info_kind") == "bridge"} | {"lo"}
    if prefix:
        network = ipaddress.ip_network(prefix)
        for link in addresses:
            held = [info["local"] for info in link.get("addr_info", []) if "local" in info]
            if link["ifname"] not in inner and any(ipaddress.ip_address(address) in network for address in held):
                return str(link["ifname"])
    for routes in (routes6, routes4):
        for route in routes:
            hop = route if "dev" in route else next(iter(route.get("nexthops", [])), {})
            if hop.get("dev") and hop["dev"] not in inner:
                return str(hop["dev"])
    return None


def main() -> None:
    from ansible.module_utils.basic import AnsibleModule  # noqa: PLC0415 - only there on the host

    module = AnsibleModule(argument_spec={"prefix": {"type": "str"}}, supports_check_mode=True)

    def ip(*arguments: str) -> list[dict[str, Any]]:
        _, out, _ = module.run_command(["ip", "-j", *arguments], check_rc=True)
        return [entry for entry in json.loads(out or "[]") if entry]

    prefix = module.params["prefix"]
    name = find(prefix, ip("-d", "addr"), ip("-6", "route", "show", "default"), ip("-4", "route", "show", "default"))
    if name is None:
        module.fail_json(
            msg=f"no interface holds an address of {prefix} and there is no default route; check the host's network"
        )
    module.exit_json(changed=False, interface=name)


if __name__ == "__main__":
    main()
