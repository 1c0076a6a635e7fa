"""Who of a server's containers may reach whom: from what Docker and the kernel tell of them to the sets of the filter.

Pure: nothing here asks or changes anything (apiary-neighbours does). A container says by its labels what it is
(`apiary.resource`), whom it names (`apiary.reach`), whether the proxy leads to it (`apiary.visited`) and whether it is
the proxy (`apiary.proxy`), or the door that has the proxy's network (`apiary.door`, the proxy's name). The ways are
between ports of the bridge, so that no address counts: somebody else might take it.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

TABLE = "bridge apiary"
SETS = ("known", "elsewhere", "mac", "ipv4", "ipv6", "target", "reach", "answer", "published")
RESOURCE, REACH, VISITED, PROXY = "apiary.resource", "apiary.reach", "apiary.visited", "apiary.proxy"
DOOR = "apiary.door"
NOBODY = "-"  # is reached

Elements = dict[str, set[str]]


@dataclass(frozen=True)
class Endpoint:
    """A container at a port of the stack's bridge."""

    port: str  # the interface of the host that is its end of the cable
    mac: str
    ipv4: str
    ipv6: str  # "" where it has none
    resource: str = ""  # `applications.blog`; "" for a stranger
    reach: frozenset[str] | None = frozenset()  # None: made before there was a filter, and soon replaced
    is_visited: bool = False
    is_proxy: bool = False
    published: tuple[tuple[str, int], ...] = ()  # on the server's IPv4 address: protocol, the container's port

    @property
    def name(self) -> str:
        """What it is called in the stack file."""
        return self.resource.partition(".")[2]


def endpoint(port: str, attached: Mapping[str, Any], listed: Mapping[str, Any]) -> Endpoint:
    """Of what Docker says of it among its network's containers, and in the list of all."""
    labels = listed.get("Labels") or {}
    is_own = RESOURCE in labels
    return Endpoint(
        port=port,
        mac=attached["MacAddress"].lower(),
        ipv4=attached["IPv4Address"].partition("/")[0],
        ipv6=attached["IPv6Address"].partition("/")[0],
        # At a door is whoever serves in its network.
        resource=f"applications.{labels[DOOR]}" if DOOR in labels else labels.get(RESOURCE, ""),
        reach=frozenset(labels[REACH].split(",")) - {NOBODY} if REACH in labels else None if is_own else frozenset(),
        is_visited=labels.get(VISITED) == "true",
        is_proxy=labels.get(PROXY) == "true" or DOOR in labels,
        published=tuple(
            sorted(
                {
                    (one["Type"], one["PrivatePort"])
                    for one in listed.get("Ports") or []
                    # On a private address it is published for other servers.
                    if one.get("PublicPort") and one.get("IP") == "0.0.0.0"  # noqa: S104
                }
            )
        ),
    )


def reaches(one: Endpoint, other: Endpoint) -> bool:
    """Whether one may begin to talk to another."""
    if one.port == other.port or None in (one.reach, other.reach):
        return True  # also to itself, by way of the server's own address
    if not one.resource or not other.resource:
        return False
    return one.resource == other.resource or other.name in (one.reach or ()) or (one.is_proxy and other.is_visited)


def elements(endpoints: Iterable[Endpoint], elsewhere: Iterable[str]) -> Elements:
    """What each set of the filter holds, as nft spells it."""
    found: Elements = {name: set() for name in SETS}
    found["elsewhere"] = {f'"{port}"' for port in elsewhere}
    known = list(endpoints)
    for one in known:
        port = f'"{one.port}"'
        found["known"].add(port)
        found["mac"].add(f"{port} . {one.mac}")
        found["ipv4"].add(f"{port} . {one.ipv4}")
        for address in {link_local(one.mac), one.ipv6} - {""}:
            found["ipv6"].add(f"{port} . {address}")
            found["target"].add(f"{port} . 0x{int(ipaddress.IPv6Address(address)):032x}")
        found["published"] |= {f"{port} . {proto} . {number}" for proto, number in one.published}
        for other in known:
            if reaches(one, other):
                found["reach"].add(f'{port} . "{other.port}"')
                found["answer"].add(f'"{other.port}" . {port}')
    found["answer"] -= found["reach"]
    return found


def link_local(mac: str) -> str:
    """The address that an interface gives itself (RFC 4291, appendix A)."""
    octets = bytes.fromhex(mac.replace(":", ""))
    tail = bytes([octets[0] ^ 2]) + octets[1:3] + b"\xff\xfe" + octets[3:]
    return str(ipaddress.IPv6Address(b"\xfe\x80" + bytes(6) + tail))


def transaction(found: Elements) -> str:
    """What nft is told, to take effect as one."""
    lines = []
    for name, members in found.items():
        lines.append(f"flush set {TABLE} {name}")
        if members:
            lines.append(f"add element {TABLE} {name} {{ {', '.join(sorted(members))} }}")
    return "\n".join(lines) + "\n"


def refused(listed: Mapping[str, Any], known: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Who tried to reach whom in vain, by their names, from what `nft -j list set` says.

    `known`: {"ports": {port: resource}, "reach": [[port, port], ...], "proxies": [resource, ...]}. What has been opened
    meanwhile is left out, and what the proxies tried: for seconds they follow addresses that an application has left
    and another one has now, and what they reach nobody writes.
    """
    open_now = {(known["ports"][one], known["ports"][other]) for one, other in known["reach"]}
    counted: dict[tuple[str, str, str, int], int] = {}
    for part in listed.get("nftables", []):
        for item in part.get("set", {}).get("elem", []):
            one, other, proto, number = item["elem"]["val"]["concat"]
            ends = (known["ports"].get(one, ""), known["ports"].get(other, ""))
            if "" in ends or ends in open_now or ends[0] in known.get("proxies", ()):
                continue
            key = (*ends, str(proto), int(number))
            counted[key] = counted.get(key, 0) + int(item["elem"].get("counter", {}).get("packets", 1))
    return [
        {"from": one, "to": other, "proto": proto, "port": number, "count": count}
        for (one, other, proto, number), count in sorted(counted.items())
    ]


def told(one: Mapping[str, Any]) -> str:
    """A line about a refusal: who, whom, and what to write."""
    name = one["to"].partition(".")[2]
    return (
        f"{one['from']} tried to reach {one['to']} at {one['proto']}/{one['port']} and may not; "
        f"if it should, write reach: [{name}] in {one['from']}"
    )
