"""The region's network: one Docker bridge, IPv4 by Docker, IPv6 by the servers themselves.

Makes: the bridge `apiary-lab-HASH`, and fe80::1 on it as the servers' IPv6 gateway; a bridge for each VPC that
servers are on, and one rule of the host's firewall about it. Leaves alone: the host's routes and forwarding. The
servers' /64s are not routed anywhere: neighbours resolve each address by NDP, as on a provider's link.
"""

from __future__ import annotations

import hashlib
import json
import socket
import struct
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

from lab.paths import Paths
from lab.shell import LabError, docker, docker_json, exclusive, succeeds

SITE = "2001:db8:77::/48"  # every instance gets a /64 of it
PROBERS = "2001:db8:77:ffff::/64"  # the on-link prober: ::100
ROUTED = "2001:db8:77:fffe::/64"  # the prober that reaches the servers' prefixes by routes: ::100
GATEWAY6 = "fe80::1"
CHOICE_SECONDS = 120.0
LISTINGS = 5  # of networks, of which one was gone each time, before this counts as an error
HIDDEN = IPv4Network("198.18.0.0/15")  # for benchmarks: nobody routes it
VPC = "apiary.lab.vpc"  # label of the network of a VPC, its value the VPC's id
# Away from what the stacks and Swarm have inside (10.0, 10.1, 10.201). So many: a region that was cut off with
# its machine keeps its subnet until somebody takes it down, and others must have one all the same.
CANDIDATES = (
    "10.88.0.0/16",
    "10.89.0.0/16",
    "172.31.0.0/16",
    *(f"10.{second}.0.0/16" for second in range(100, 200)),
    "192.168.0.0/16",
)
# The places for backups (stores.py): which host of the subnet each is, and its names.
STORES = {
    "s3": (62, ("s3.lab.internal",)),
    "rest": (63, ("rest.lab.internal",)),
    "objects": (64, ("ewr1.vultrobjects.com", "ams1.vultrobjects.com")),
}


@dataclass(frozen=True)
class Plan:
    """The region's addresses. `subnet` is a /16; everything else follows from it."""

    subnet: str

    def _host(self, offset: int) -> str:
        return str(IPv4Network(self.subnet)[offset])

    @property
    def gateway(self) -> str:
        return self._host(1)

    @property
    def registry(self) -> str:
        return self._host(50)

    @property
    def nameserver(self) -> str:
        return self._host(53)

    @property
    def git(self) -> str:
        return self._host(60)

    @property
    def acme(self) -> str:
        return self._host(54)

    @property
    def metadata(self) -> str:
        return self._host(61)

    def store(self, name: str) -> str:
        return self._host(STORES[name][0])

    @property
    def prober(self) -> str:
        return self._host(100)

    @property
    def prober_routed(self) -> str:
        return self._host(101)

    @property
    def window(self) -> str:
        return self._host(102)

    @property
    def servers(self) -> str:
        """The /20 that instances and reserved addresses come from, given out by the emulator."""
        return f"{self._host(16 * 256)}/20"


def load_plan(paths: Paths) -> Plan | None:
    """The plan of a region that exists, else None."""
    if not paths.plan.exists():
        return None
    return Plan(subnet=json.loads(paths.plan.read_text())["subnet"])


def choose(taken: Iterable[IPv4Network], candidates: Iterable[str] = CANDIDATES) -> Plan:
    """The first candidate that overlaps nothing. Raises LabError when all do."""
    taken = list(taken)
    for subnet in candidates:
        if not any(IPv4Network(subnet).overlaps(other) for other in taken):
            return Plan(subnet)
    raise LabError(
        "lab network",
        "every subnet the lab could use overlaps a route or a Docker network of this machine: "
        + ", ".join(sorted({str(network) for network in taken})),
        "`make down` in the checkouts whose regions are up (docker network ls); networks that nobody uses: "
        "docker network prune",
    )


def routes(table: Path = Path("/proc/net/route")) -> list[IPv4Network]:
    """The host's IPv4 routes, without default routes."""
    found = []
    for line in table.read_text().splitlines()[1:]:
        fields = line.split()
        if fields[7] != "00000000":
            found.append(IPv4Network((_ipv4(fields[1]), _ipv4(fields[7]))))
    return found


def mtu(table: Path = Path("/proc/net/route")) -> int:
    """The MTU (bytes) of the interface of the host's default route, 1500 without one."""
    for line in table.read_text().splitlines()[1:]:
        fields = line.split()
        if fields[1] == fields[7] == "00000000":
            return int(Path(f"/sys/class/net/{fields[0]}/mtu").read_text())
    return 1500


def ensure(paths: Paths) -> Plan:
    """The region's network, made when missing. The plan is kept in `.lab/plan.json`."""
    plan = load_plan(paths)
    named = f"name=^{paths.name('net')}$"
    mine = docker("network", "ls", "-q", "--filter", f"label={paths.label}", "--filter", named).split()
    if plan and mine:
        return plan
    for network in mine:
        if not succeeds(["docker", "network", "rm", network]):  # the engine has lost count: engine.clean() tells it
            plan = Plan(docker("network", "inspect", network, "--format", "{{(index .IPAM.Config 0).Subnet}}").strip())
            return _keep(paths, plan)
    # Two labs that look at the same moment would choose the same subnet.
    with exclusive(paths.cache / "network.lock", CHOICE_SECONDS, "choosing a subnet"):
        plan = choose([*routes(), *_docker_subnets()], [plan.subnet, *CANDIDATES] if plan else CANDIDATES)
        docker(
            "network",
            "create",
            "--label",
            paths.label,
            "--subnet",
            plan.subnet,
            "--gateway",
            plan.gateway,
            "--ip-range",
            f"{plan._host(255 * 256)}/24",
            "--opt",
            f"com.docker.network.driver.mtu={mtu()}",
            paths.name("net"),
            step="lab network",
        )
    return _keep(paths, plan)


def _keep(paths: Paths, plan: Plan) -> Plan:
    details = {
        name: getattr(plan, name)
        for name in ("gateway", "registry", "nameserver", "acme", "metadata", "prober", "prober_routed", "servers")
    }
    paths.plan.write_text(json.dumps({**asdict(plan), **details, "site": SITE}, indent=1) + "\n")
    return plan


def bridge(paths: Paths) -> str:
    """The name of the host's interface that is the region's link."""
    network = docker_json("network", "inspect", paths.name("net"))[0]
    return str(network["Options"].get("com.docker.network.bridge.name") or f"br-{network['Id'][:12]}")


def ensure_gateway6(paths: Paths, image: str) -> None:
    """Puts fe80::1 on the bridge."""
    link = bridge(paths)
    addresses = Path("/proc/net/if_inet6")
    if addresses.exists() and any(
        line.split()[0] == "fe80" + "0" * 27 + "1" and line.split()[-1] == link
        for line in addresses.read_text().splitlines()
    ):
        return
    command = ["ip", "-6", "addr", "replace", f"{GATEWAY6}/64", "dev", link, "nodad"]
    on_host(paths, image, *command, step="IPv6 gateway of the lab network")


def on_host(paths: Paths, image: str, *command: str, step: str) -> None:
    """Runs a command in the host's network namespace, by a container: the docker group is enough."""
    rights = ["--network", "host", "--cap-add", "NET_ADMIN"]
    docker("run", *paths.passing(), *rights, image, *command, step=step)


def vpcs(paths: Paths) -> list[str]:
    """The networks of the region's VPCs, as they exist, by name."""
    mine = ["--filter", f"label={paths.label}", "--filter", f"label={VPC}"]
    return docker("network", "ls", *mine, "--format", "{{.Name}}", step="looking for VPCs").split()


def vpc(paths: Paths, id: str) -> str:
    """The name of a VPC's network, made or not."""
    return paths.name(f"vpc-{id}")


def ensure_vpc(paths: Paths, id: str, image: str) -> str:
    """A bridge of a VPC's own: one segment, which nothing routes. Its name.

    What the servers write on it is theirs: the engine's own subnet on it is a hidden one, so that any number of VPCs
    may be on the same private network.
    """
    name = vpc(paths, id)
    if name in vpcs(paths):
        return name
    with exclusive(paths.cache / "network.lock", CHOICE_SECONDS, "choosing a subnet"):
        taken = [*routes(), *_docker_subnets()]
        hidden = next(net for net in HIDDEN.subnets(new_prefix=24) if not any(net.overlaps(one) for one in taken))
        docker(
            "network",
            "create",
            "--label",
            paths.label,
            "--label",
            f"{VPC}={id}",
            "--subnet",
            str(hidden),
            "--opt",
            f"com.docker.network.bridge.name={_vpc_link(name)}",
            "--opt",
            "com.docker.network.bridge.enable_ip_masquerade=false",
            "--opt",
            f"com.docker.network.driver.mtu={mtu()}",
            name,
            step="the network of a VPC",
        )
    _untracked(paths, name, image, "-I")
    return name


def remove_vpc(paths: Paths, name: str, image: str) -> None:
    """Removes the network of a VPC, which nobody may be on, and what the host's firewall was told of it."""
    _untracked(paths, name, image, "-D")
    docker("network", "rm", name, step="removing the network of a VPC")


def untrack_vpcs(paths: Paths, image: str) -> None:
    """Takes back what the host's firewall was told of every VPC, before their networks go."""
    for name in vpcs(paths):
        _untracked(paths, name, image, "-D")


def _vpc_link(name: str) -> str:
    return f"vpc{hashlib.sha256(name.encode()).hexdigest()[:12]}"


def _untracked(paths: Paths, name: str, image: str, action: str) -> None:
    """Where bridged frames pass the host's firewall, its address translation would rewrite them: it may have a rule
    for the same private network. So they are not tracked. Taking back what was never said is no error."""
    rule = f"PREROUTING -i {_vpc_link(name)} -j CT --notrack"
    there = f"iptables -t raw -C {rule} 2>/dev/null"
    script = f"{there} || iptables -t raw -I {rule}" if action == "-I" else f"! {there} || iptables -t raw -D {rule}"
    on_host(paths, image, "sh", "-c", script, step="the lab's rule for a VPC in the firewall")


def _docker_subnets() -> list[IPv4Network]:
    found = []
    for network in _docker_networks():
        for config in network["IPAM"]["Config"] or []:
            if ":" not in config.get("Subnet", ":"):
                found.append(IPv4Network(config["Subnet"]))
    return found


def _docker_networks() -> list[dict[str, Any]]:
    """Every network of this machine. Asked again when one of them, another region's, goes between list and look."""
    for attempt in range(LISTINGS):
        ids = docker("network", "ls", "-q").split()
        try:
            found: list[dict[str, Any]] = docker_json("network", "inspect", *ids) if ids else []
        except LabError:
            if attempt == LISTINGS - 1:
                raise
        else:
            return found
    raise AssertionError("unreachable")


def _ipv4(field: str) -> str:
    return socket.inet_ntoa(struct.pack("=I", int(field, 16)))
