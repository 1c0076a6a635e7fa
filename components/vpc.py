"""The private network of a stack's servers in one region.

Makes a vultr.Vpc, to which every server with a `private_ip` is attached (server.py). Leaves alone: the servers'
addresses on it, which each host gives itself (playbooks/roles/private), because Vultr's own choice is not known
beforehand and changes with a rebuild.
"""

from __future__ import annotations

from ipaddress import IPv4Network

import ediri_vultr as vultr
import pulumi

from components.labels import stack_tag


class Vpc(pulumi.ComponentResource):
    """One region's private network, named by the region."""

    id: pulumi.Output[str]

    def __init__(self, region: str, subnet: str, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("apiary:host:Vpc", region, None, opts)
        net = IPv4Network(subnet)
        vpc = vultr.Vpc(
            region,
            region=region,
            description=f"{stack_tag()}-{region}",
            v4_subnet=str(net.network_address),
            v4_subnet_mask=net.prefixlen,
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.id = vpc.id
        self.register_outputs({"id": self.id})
