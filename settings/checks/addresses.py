"""Checks of addresses: networks that overlap, addresses outside them or taken twice."""

from ipaddress import IPv4Address, IPv4Network

from settings.addresses import Suffix, parse_suffix, private_net
from settings.checks.common import applications_on
from settings.draft import Draft
from settings.errors import Key
from settings.plans import FIRST_IPV4, with_fixed_ipv4

_DOCKER_DEFAULT = IPv4Network("172.17.0.0/16")


def check(draft: Draft) -> None:
    """Report addresses that can't be used together on one server."""
    private: dict[str, str] = {}
    nets: dict[str, str] = {}  # region -> the server whose address says where its private network lies
    for name, server in draft.stack.servers.items():
        _networks(draft, name)
        _statics(draft, name)
        _web(draft, name)
        if server.private_ip is not None:
            at = ("servers", name, "private_ip")
            if first := private.get(server.private_ip):
                draft.report(f"{server.private_ip} is taken by {first}; write another address", *at)
            private.setdefault(server.private_ip, draft.written(*at))
            if draft.whole("servers", name, "region"):
                _private(draft, name, nets.setdefault(server.region, name))


def _private(draft: Draft, name: str, first: str) -> None:
    """Report a private address that can't be on the private network of its region."""
    at = ("servers", name, "private_ip")
    address = str(draft.stack.servers[name].private_ip)
    net = private_net(str(draft.stack.servers[first].private_ip))
    if IPv4Address(address) not in net:
        draft.report(
            f"{address} lies outside {net}, the private network of this region that servers.{first}.private_ip "
            f'begins; write an address in it, e.g. "{net[11]}"',
            *at,
        )
    elif IPv4Address(address) in (net.network_address, net.broadcast_address):
        draft.report(f'{address} is the address of {net} as a whole; write another, e.g. "{net[10]}"', *at)
    elif net.overlaps(_DOCKER_DEFAULT):
        draft.report(f"{net} overlaps Docker's default bridge, {_DOCKER_DEFAULT}; write an address elsewhere", *at)


def _networks(draft: Draft, name: str) -> None:
    server = draft.stack.servers[name]
    docker = server.ipv6.docker
    if server.ipv6.reserved and server.ipv6.is_nat:
        message = "with mode: nat containers have private addresses, and none would lie in a reserved /64"
        draft.report(f"{message}; leave one of them out", "servers", name, "ipv6", "reserved")
    if parse_suffix(docker.suffix_bridge).overlaps(parse_suffix(docker.suffix_net)):
        at = ("servers", name, "ipv6", "docker")
        if draft.whole(*at, "suffix_bridge") and draft.whole(*at, "suffix_net"):
            draft.report(
                f"{docker.suffix_net} and suffix_bridge {docker.suffix_bridge} overlap; "
                'write networks apart from each other, e.g. "1:0:0/96" and "2:0:0/96"',
                *at,
                "suffix_net",
            )
    net = IPv4Network(server.ipv4_net)
    fixed = len(with_fixed_ipv4(draft.stack, name))
    if fixed > (room := net.num_addresses // 2 - FIRST_IPV4):
        message = f"{net} has fixed addresses for {room} applications with static IPv6 or ipv4: false, here are {fixed}"
        draft.report(f"{message}; write a larger network", "servers", name, "ipv4_net")
    if net.overlaps(_DOCKER_DEFAULT):
        message = f"{net} overlaps Docker's default bridge, {_DOCKER_DEFAULT}; write another, e.g. 172.30.0.0/24"
        draft.report(message, "servers", name, "ipv4_net")
    if server.private_ip is not None and net.overlaps(private_net(server.private_ip)):
        message = f"{net} overlaps the private network around private_ip {server.private_ip}; write another network"
        draft.report(message, "servers", name, "ipv4_net")


def _statics(draft: Draft, name: str) -> None:
    docker = draft.stack.servers[name].ipv6.docker
    web_path: tuple[Key, ...] = ("servers", name, "ipv6", "docker", "static_web")
    taken = {docker.static_web: draft.written(*web_path)}
    _inside(draft, name, docker.static_web, *web_path)
    for app_name, app in applications_on(draft, name).items():
        at = ("applications", app_name, "static_ipv6")
        if app.static_ipv6 is None or draft.stack.servers[name].ipv6.is_nat:
            continue  # with NAT it is refused altogether (checks.reach)
        _inside(draft, name, app.static_ipv6, *at)
        if app.ipv6_web:
            draft.report("ipv6_web gives this application an address already; leave one of them out", *at)
        elif first := taken.get(app.static_ipv6):
            draft.report(f"{app.static_ipv6} is taken by {first}; write another address", *at)
        taken.setdefault(app.static_ipv6, draft.written(*at))


def _inside(draft: Draft, server: str, suffix: str, *at: Key) -> None:
    """Report a static address that is not in the lower half of the container network, behind its gateway."""
    if not draft.whole("servers", server, "ipv6", "docker", "suffix_net"):
        return
    net = parse_suffix(draft.stack.servers[server].ipv6.docker.suffix_net)
    address = parse_suffix(suffix)
    middle = (net.first + net.last + 1) // 2
    example = f'e.g. "{Suffix(net.first + 10, None)}"'
    if not net.overlaps(address):
        draft.report(f"{suffix} lies outside servers.{server}.ipv6.docker.suffix_net, {net}; write {example}", *at)
    elif address.first - net.first < 2:
        draft.report(f"{suffix} is the network's own or its gateway's address; write {example}", *at)
    elif address.first >= middle:
        draft.report(
            f"{suffix} lies in the upper half of {net}, from which Docker hands out addresses; write {example}",
            *at,
        )


def _web(draft: Draft, name: str) -> None:
    takers = [app_name for app_name, app in applications_on(draft, name).items() if app.ipv6_web]
    for other in takers[1:]:
        if draft.stack.applications[other].static_ipv6 is not None:
            continue  # already told to leave one of the two out
        draft.report(
            f"{takers[0]} has the static web address of {name} already; leave it out, "
            "or give this application an address of its own with static_ipv6",
            "applications",
            other,
            "ipv6_web",
        )
    unclear = not draft.whole("applications") or any(
        app.ipv6_web and app.server is None and len(draft.names["servers"]) > 1
        for app in draft.stack.applications.values()
    )
    server = draft.stack.servers[name]
    if server.web_domains and not takers and not (unclear and _may_be_taken(draft)):
        draft.report(
            "no application of this server takes the static web address that these domains lead to; "
            "write ipv6_web: true in the proxy's settings",
            "servers",
            name,
            *(("dns", "web") if server.dns.web else ("redirects",)),
        )


def _may_be_taken(draft: Draft) -> bool:
    """Whether an application that could not be read in full may be meant to take the static web address."""
    apps = draft.stack.applications
    return (
        any(
            name not in apps
            or not draft.whole("applications", name, "ipv6_web")
            or not draft.whole("applications", name, "server")
            or (apps[name].ipv6_web and apps[name].server is None)
            for name in draft.names["applications"]
        )
        or not draft.names["applications"]
    )
