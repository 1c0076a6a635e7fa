"""A bare server becomes a firewalled Docker host.

Makes one command that carries playbooks/ and its variables to the server (cargo.py) and runs them there
(playbooks/bootstrap.sh). It runs again when the playbooks, the variables or the instance change, and changes
nothing when all is as it should be. Leaves alone: everything in Docker (network.py and later).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pulumi

import settings
from components import cargo
from components.archive import Archive
from components.server import Server
from settings import swarm

# Long lines are folded, because a line over 64 KiB stalls the log; the status of the script is kept.
RUN = """\
mkdir "$cargo/playbooks" && tar -x -C "$cargo/playbooks" -f "$cargo/tar" && cd "$cargo/playbooks" || exit 1
bash bootstrap.sh {playbook} 2>&1 | stdbuf -oL fold -b -w 4000
exit "${{PIPESTATUS[0]}}"
"""

# DefaultTimeoutStopSec of systemd-system.conf(5): after it, what has not ended is killed.
DEBIANS_STOP_SECONDS = 90
SPARE_STOP_SECONDS = 10


@dataclass(frozen=True)
class BootstrapArgs:
    """What the host shall become."""

    playbooks: Archive  # the folder playbooks/
    playbook: str  # file in it, e.g. `web.yml`
    variables: pulumi.Input[Mapping[str, Any]]  # `apiary_...`, see playbooks/web.yml


def variables(
    stack: settings.Stack,
    server: str,
    instance_id: pulumi.Input[str],
    host_ipv6: pulumi.Input[str],
    plan: pulumi.Input[settings.Plan],
    *,
    backups: pulumi.Input[Mapping[str, Any]] | None = None,
    mount_id: pulumi.Input[str] | None = None,
) -> pulumi.Output[dict[str, Any]]:
    """What the playbooks are told of a server: its addresses, and which of them visitors may reach.

    `backups` are variables about those, where the stack has any. `mount_id` is Vultr's name for its block storage, by
    which the server knows it too.
    """
    wanted = stack.servers[server]
    applications = sorted(stack.applications_on(server).items())
    is_nat = wanted.ipv6.is_nat
    authorities = {host: one.ca for host, one in stack.registries_on(server).items() if one.ca}

    def build(
        instance: str, own: str, addresses: settings.Plan, more: Mapping[str, Any], disk: str | None
    ) -> dict[str, Any]:
        return {
            "apiary_instance": instance,
            # Another plan is another boot: what runs in Docker has to wait until that is up again.
            "apiary_vultr_plan": wanted.plan,
            "apiary_timezone": wanted.timezone,
            "apiary_prefix": addresses.prefix,
            # Only in a reserved /64: the instance makes itself no address there that stays.
            "apiary_own_address": own if wanted.ipv6.reserved else None,
            "apiary_bridge_subnet": addresses.bridge,
            "apiary_net_subnet": addresses.net,
            "apiary_net_subnet_ipv4": addresses.ipv4_net,
            "apiary_net_gateways": [addresses.ipv4_gateway, addresses.net_gateway],
            "apiary_ipv6_only": sorted(
                addresses.ipv4_statics[name] for name, application in applications if not application.ipv4
            ),
            "apiary_ndp": wanted.ndp,
            "apiary_addresses": [] if is_nat else sorted(addresses.statics.values()),
            "apiary_published": [
                {"address": addresses.statics[name], "proto": opened.proto, "port": opened.first, "last": opened.last}
                for name, application in applications
                if name in addresses.statics
                for opened in application.opened
            ],
            # Only with NAT: what is forwarded from the server's own address, and where to.
            "apiary_nat": {
                "address": own,
                "forwarded": [
                    {"proto": port.proto, "port": port.host, "to": addresses.statics[name], "to_port": port.container}
                    for name, application in applications
                    for port in application.published
                ],
            }
            if is_nat
            else None,
            "apiary_published_ipv4": [
                {"proto": port.proto, "port": port.host}
                for _, application in applications
                for port in application.published
            ],
            "apiary_private_ip": wanted.private_ip,
            "apiary_private_peers": sorted(stack.private_peers(server).values()),
            "apiary_private_ports": [
                {"proto": proto, "port": port}
                for proto, port in sorted(
                    (port.proto, port.host) for _, application in applications for port in application.private_published
                )
            ],
            # What the other servers have for this one's containers, on the private network.
            "apiary_private_reached": [
                {"address": address, "proto": proto, "port": port}
                for address, proto, port in sorted(
                    (address, port.proto, port.host)
                    for peer, address in stack.private_peers(server).items()
                    for application in stack.applications_on(peer).values()
                    for port in application.private_published
                )
            ],
            "apiary_ssh_from": wanted.ssh_from or [],
            "apiary_stop_seconds": _stop_seconds(stack, server),
            **more,
            # Left out where there is none, so that nothing is another for a stack without.
            **({"apiary_monitor": True} if server in settings.monitors(stack) else {}),
            **_swarm(stack, server),
            "apiary_git": any(container.git for container in _may_run_on(stack, server).values()),
            "apiary_registry_mirrors": list(wanted.registry_mirrors),
            **({"apiary_registry_authorities": authorities} if authorities else {}),
            **({"apiary_data": {"device": f"virtio-{disk}"}} if disk is not None else {}),
        }

    return pulumi.Output.all(instance_id, host_ipv6, plan, backups or {}, mount_id).apply(lambda known: build(*known))


def _swarm(stack: settings.Stack, server: str) -> dict[str, Any]:
    """The other servers of its swarm, and the network by which its replicas get out; nothing where it is of none."""
    members = swarm.members(stack)
    if server not in members:
        return {}
    peers = sorted(str(stack.servers[other].private_ip) for other in members if other != server)
    # Left out where it is not, so that nothing is another for a swarm of before.
    more = {"encrypted": True} if swarm.is_encrypted(stack) else {}
    return {"apiary_swarm": {"gateway": swarm.nets(stack)["gateway"], "peers": peers, **more}}


def _may_run_on(stack: settings.Stack, server: str) -> dict[str, settings.Container]:
    """The containers of a server, and those with replicas that it may get."""
    spread = {name: app for name, app in swarm.replicated(stack).items() if server in swarm.runs_on(stack, name)}
    return {**stack.containers_on(server), **spread}


def _stop_seconds(stack: settings.Stack, server: str) -> int | None:
    """How long a shutdown has to wait for the server's containers; None where Debian's own limit is enough."""
    spread = swarm.replicated(stack)
    graces = [
        swarm.grace(spread[name]) if name in spread else one.grace_seconds
        for name, one in _may_run_on(stack, server).items()
    ]
    seconds = max(graces, default=0) + SPARE_STOP_SECONDS
    return seconds if seconds > DEBIANS_STOP_SECONDS else None


class Bootstrap(pulumi.ComponentResource):
    """A host that is ready for containers; whatever runs in Docker there depends on this."""

    def __init__(
        self, name: str, args: BootstrapArgs, server: Server, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("apiary:host:Bootstrap", name, None, opts)
        folder = pulumi.Output.from_input(args.variables).apply(
            lambda variables: args.playbooks.with_file(
                "vars.json", json.dumps(variables, indent=2, sort_keys=True).encode()
            )
        )
        self.command = cargo.command(
            name,
            folder,
            f"playbooks/{name}",
            server.connection,
            RUN.format(playbook=args.playbook),
            triggers=[server.instance.id, folder.apply(lambda archive: archive.digest)],
            is_first=True,
            opts=pulumi.ResourceOptions(parent=self, deleted_with=server.instance),
        )
        self.register_outputs({})
