"""The region's address plan.

IPv4 addresses of servers and reserved IPs come from the second /20 of the lab's network (10.88.16.0/20 of
10.88.0.0/16), the first host of the network is the gateway. A released address is not given out again
before the pool has been gone through once. Each instance and each reserved IPv6 gets a /64 of its own,
which is never reused: ::N::/64 with N counted from 1.
"""

import secrets
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

from lab.api.errors import refused
from lab.api.store import Store

_LAST_PREFIX = 0xFEFF  # ::ffff is the prober's own


class Addresses:
    """Hands out addresses; what is in use is read from the state, so that nothing is lost in a crash."""

    def __init__(self, store: Store, ipv4_net: IPv4Network, ipv6_net: IPv6Network) -> None:
        if ipv4_net.prefixlen > 19 or ipv6_net.prefixlen != 48:
            raise SystemExit(f"lab.api: needs an IPv4 network of /19 or larger and an IPv6 /48, "
                             f"not {ipv4_net} and {ipv6_net}")  # fmt: skip
        self._store = store
        self._ipv6_net = ipv6_net
        self.pool = list(ipv4_net.subnets(new_prefix=20))[1]
        self.gateway = str(ipv4_net[1])
        self.netmask = str(ipv4_net.netmask)

    def _used(self) -> set[str]:
        data = self._store.data
        instances = {instance["main_ip"] for instance in data["instances"].values()}
        reserved = {ip["subnet"] for ip in data["reserved_ips"].values() if ip["ip_type"] == "v4"}
        return instances | reserved | set(data["deleting"].values())

    def ipv4(self) -> str:
        """A free IPv4 address. ApiError 400 when the pool is empty."""
        used = self._used()
        hosts = self.pool.num_addresses - 2
        for _ in range(hosts):
            number = (self._store.count("ipv4") - 1) % hosts + 1
            address = str(IPv4Address(int(self.pool.network_address) + number))
            if address not in used:
                return address
        raise refused("No IPv4 addresses are available in the selected region")

    def prefix(self) -> tuple[str, str]:
        """A new /64: its network address, and the address an instance takes in it."""
        number = self._store.count("prefix")
        if number > _LAST_PREFIX:
            raise refused("No IPv6 subnets are available in the selected region")
        network = int(self._ipv6_net.network_address) + (number << 64)
        host = (0x5400 << 48) + (0x00FF << 32) + (0xFE00 << 16) + number
        return str(IPv6Address(network)), str(IPv6Address(network + host))


def mac_of(ipv4: str) -> str:
    """The MAC address of a public interface, the same for the same IPv4 address: what follows a reserved one is found
    at once, without anybody's neighbour cache having to age."""
    return ":".join(f"{octet:02x}" for octet in (0x56, 0x00, *IPv4Address(ipv4).packed))


def mac(first: int) -> str:
    """A random MAC address that begins with this octet (0x5a: private)."""
    return ":".join(f"{octet:02x}" for octet in (first, *secrets.token_bytes(5)))
