"""The network that a server's containers share: dual stack, with public IPv6 addresses.

Makes one user-defined bridge network on the server's second /96, where containers find each other by alias.
IPv6 is routed, not translated, so a visitor's address reaches the container. What may be reached from
outside, and with `ipv6: nat` the forwarding, is decided by the host's firewall (playbooks/), not here.
"""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
import pulumi_docker as docker

import settings
from components.bootstrap import Bootstrap
from components.labels import network_labels
from components.server import Server


@dataclass(frozen=True)
class Subnet:
    """One family's part of the network; all three are unknown until the server has its prefix."""

    subnet: pulumi.Input[str]  # CIDR
    gateway: pulumi.Input[str]
    # Where Docker may take addresses from; static ones lie outside, or a parallel start could take them.
    ip_range: pulumi.Input[str]


def subnets(plan: pulumi.Output[settings.Plan]) -> tuple[Subnet, Subnet]:
    """The two families of a server's network."""
    return (
        Subnet(
            plan.apply(lambda known: known.ipv4_net),
            plan.apply(lambda known: known.ipv4_gateway),
            plan.apply(lambda known: known.ipv4_range),
        ),
        Subnet(
            plan.apply(lambda known: str(known.net)),
            plan.apply(lambda known: str(known.net_gateway)),
            plan.apply(lambda known: str(known.net_range)),
        ),
    )


class Network(pulumi.ComponentResource):
    """One Docker network; containers join it by `id`, never by name, so that they follow its replacement."""

    id: pulumi.Output[str]

    def __init__(
        self,
        name: str,
        subnets: tuple[Subnet, Subnet],
        server: Server,
        bootstrap: Bootstrap,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("apiary:docker:Network", name, None, opts)
        network = docker.Network(
            name,
            driver="bridge",
            ipv6=True,
            ipam_configs=[
                docker.NetworkIpamConfigArgs(subnet=part.subnet, gateway=part.gateway, ip_range=part.ip_range)
                for part in subnets
            ],
            # Docker 27 and later; older engines route anyway and ignore the option.
            options={"com.docker.network.bridge.gateway_mode_ipv6": "routed"},
            labels=network_labels(f"networks.{name}", server.instance.id),
            opts=pulumi.ResourceOptions(
                parent=self,
                provider=server.provider,
                depends_on=[bootstrap],
                deleted_with=server.instance,
                # The subnet of the old network would overlap.
                delete_before_replace=True,
            ),
        )
        self.id = network.id
        self.register_outputs({"id": self.id})
