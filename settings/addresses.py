"""Address arithmetic: from the suffixes in the stack file and a server's /64 to every address on that server.

Makes: `Suffix` arithmetic (`in_prefix`) and `Plan`, the addresses of one server. Leaves alone: clashes
between addresses, which are reported with the whole file (`checks.addresses`), and getting a prefix, which
the provider does.

A suffix is the tail of an address, appended to the prefix with `::` between them: `2001:db8:1:2::/64` and
`2:0:0/96` give `2001:db8:1:2:0:2::/96`; with `2:0:a` they give `2001:db8:1:2:0:2:0:a`.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Network, IPv6Address, IPv6Network

from settings.errors import show

_GROUPS = re.compile(r"[0-9a-f]{1,4}(?::[0-9a-f]{1,4}){0,7}")
HOST_BITS = 64  # of a server's own prefix, a /64
OWN = "1"  # suffix of the host's own address in a reserved /64; no container network may hold it


class AddressError(ValueError):
    """A suffix that can't be read, or does not fit under its prefix; the message says what to write."""


@dataclass(frozen=True)
class Suffix:
    """The tail of an address (`length` None) or of a network: the low bits and the prefix length."""

    bits: int
    length: int | None

    def __str__(self) -> str:
        """Spell the suffix as the stack file does, without leading zero groups: `2:0:0/96`."""
        groups = [f"{self.bits >> shift & 0xFFFF:x}" for shift in range(112, -1, -16)]
        while len(groups) > 1 and groups[0] == "0":
            del groups[0]
        return ":".join(groups) + (f"/{self.length}" if self.length is not None else "")

    @property
    def first(self) -> int:
        """The lowest address of the suffix, as a number below the prefix."""
        return self.bits

    @property
    def last(self) -> int:
        """The highest address of the suffix, as a number below the prefix."""
        return self.bits if self.length is None else self.bits | ((1 << (128 - self.length)) - 1)

    def overlaps(self, other: "Suffix") -> bool:
        """Whether any address lies in both."""
        return self.first <= other.last and other.first <= self.last


def parse_suffix(text: str) -> Suffix:
    """Read a suffix of an address (`2:0:a`) or a network (`2:0:0/96`); AddressError if it is neither."""
    groups, slash, tail = text.partition("/")
    if not _GROUPS.fullmatch(groups):
        raise AddressError(
            f"{show(text)} is not a suffix; write the last groups of the address in lower-case hex, "
            'as in "2:0:a" or "2:0:0/96"'
        )
    bits = 0
    for group in groups.split(":"):
        bits = bits << 16 | int(group, 16)
    if not slash:
        return Suffix(bits, None)
    if not re.fullmatch(r"[0-9]{1,3}", tail) or int(tail) > 128:
        raise AddressError(f'{show(text)} has no usable length after "/"; write e.g. "2:0:0/96"')
    length = int(tail)
    if bits & ((1 << (128 - length)) - 1):
        net = Suffix(bits >> (128 - length) << (128 - length), length)
        remedy = f'write "{net}"' if net.bits else 'write zeros there, as in "2:0:0/96"'
        raise AddressError(f"{show(text)} has bits set behind its length /{length}; {remedy}")
    return Suffix(bits, length)


def in_prefix(prefix: str | IPv6Network, suffix: str) -> IPv6Network | IPv6Address:
    """Append `suffix` to `prefix`: a network if the suffix has a length, else an address.

    AddressError if the suffix reaches into the prefix's own bits, so the result always lies inside the
    prefix.
    """
    try:
        net = IPv6Network(prefix)
    except ValueError as error:
        raise AddressError(f"{show(str(prefix))} is not an IPv6 prefix; write e.g. 2001:db8:1:2::/64") from error
    tail = parse_suffix(suffix)
    host_bits = 128 - net.prefixlen
    if tail.bits >> host_bits or (tail.length is not None and tail.length < net.prefixlen):
        raise AddressError(f"{show(suffix)} does not fit under {net}; it may use the last {host_bits} bits only")
    address = IPv6Address(int(net.network_address) | tail.bits)
    return address if tail.length is None else IPv6Network((address, tail.length))


def own_address(prefix: str) -> str:
    """Return the host's own address in its reserved /64, whose first one it is. Raises AddressError.

    An address that the instance makes for itself (of its MAC address) would be another one with the next instance.
    """
    return str(in_prefix(prefix, OWN))


def container_net(text: str) -> str:
    """Check the suffix of a container network: inside a /64, /72 to /112, not the prefix's own start."""
    suffix = parse_suffix(text)
    if suffix.length is None:
        raise AddressError(
            f'{show(text)} is a single address; write a network, e.g. "{text}/96" with its last groups 0'
        )
    if not 72 <= suffix.length <= 112:
        raise AddressError(f'{show(text)} has an unusable length; write /96 (or /72 to /112), e.g. "2:0:0/96"')
    if suffix.bits >> HOST_BITS:
        raise AddressError(f'{show(text)} lies outside the server\'s /64; write at most four groups, e.g. "2:0:0/96"')
    if suffix.bits == 0:
        raise AddressError(f'{show(text)} is the start of the server\'s own /64; write e.g. "2:0:0/96"')
    return str(suffix)


def container_address(text: str) -> str:
    """Check the suffix of a container's own address: one address, inside a /64."""
    suffix = parse_suffix(text)
    if suffix.length is not None:
        raise AddressError(f'{show(text)} is a network; write one address, e.g. "2:0:a"')
    if suffix.bits >> HOST_BITS:
        raise AddressError(f'{show(text)} lies outside the server\'s /64; write at most four groups, e.g. "2:0:a"')
    return str(suffix)


def unquoted(number: int) -> str | None:
    """Return the suffix that YAML may have read as the base-60 number `number`: 7210 was `2:0:10`."""
    digits: list[str] = []
    while number > 0 and len(digits) < 4:
        number, digit = divmod(number, 60)
        digits.insert(0, str(digit))
    return ":".join(digits) if number == 0 and len(digits) > 1 else None


def private_net(address: str) -> IPv4Network:
    """Return the private network that a server's `private_ip` lies in: the /24 around it, one for each region."""
    return IPv4Network(f"{address}/24", strict=False)


@dataclass(frozen=True)
class Plan:
    """Every address of one server, as canonical text; the IPv6 ones are None while the prefix is unknown.

    Docker hands out addresses from `net_range` and `ipv4_range`, the upper halves of their networks;
    static addresses lie in the lower half, so that the two never meet.
    """

    prefix: str | None  # the server's /64; containers' addresses may lie in another, a private one
    bridge: str | None  # Docker's default bridge
    net: str | None  # the user-defined network of all containers
    net_gateway: str | None  # ::1 of `net`
    net_range: str | None  # dynamic addresses in `net`
    web: str | None  # the static web address
    ipv4_net: str
    ipv4_gateway: str
    ipv4_range: str
    statics: Mapping[str, str] = field(default_factory=dict)  # application -> its static IPv6
    ipv4_statics: Mapping[str, str] = field(default_factory=dict)  # application -> the IPv4 that it always has


def make_plan(
    prefix: str | None,
    *,
    bridge: str,
    net: str,
    web: str,
    ipv4_net: str,
    statics: Mapping[str, str],
    private: str | None = None,
    ipv4_statics: Mapping[str, str] | None = None,
) -> Plan:
    """Compute a server's plan from its suffixes; `statics` maps applications to suffixes. Raises
    AddressError.

    With a `private` /64 the containers' addresses lie in that one, and are known without the server's.
    """
    ipv4 = IPv4Network(ipv4_net)
    unknown = Plan(
        prefix=None,
        bridge=None,
        net=None,
        net_gateway=None,
        net_range=None,
        web=None,
        ipv4_net=str(ipv4),
        ipv4_gateway=str(ipv4[1]),
        ipv4_range=str(list(ipv4.subnets())[1]),
        ipv4_statics=dict(ipv4_statics or {}),
    )
    if prefix is not None:
        unknown = replace(unknown, prefix=str(IPv6Network(prefix)))
    held = private or prefix
    if held is None:
        return unknown
    net6 = IPv6Network(in_prefix(held, net))
    return replace(
        unknown,
        bridge=str(in_prefix(held, bridge)),
        net=str(net6),
        net_gateway=str(net6[1]),
        net_range=str(list(net6.subnets())[1]),
        web=str(in_prefix(held, web)),
        statics={name: str(in_prefix(held, suffix)) for name, suffix in statics.items()},
    )
