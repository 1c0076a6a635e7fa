"""The reverse name of an application's own IPv6 address, which a mail server is not believed without.

Makes a vultr.ReverseIpv6. Leaves alone: the names of the host's own addresses (server.py), and forward DNS
(zone.py).
"""

from __future__ import annotations

import ediri_vultr as vultr
import pulumi

from components.host import Host


class Reverse(pulumi.ComponentResource):
    """One name, of the address of the application `name` on `host`."""

    def __init__(self, name: str, reverse: str, host: Host, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("apiary:dns:Reverse", name, None, opts)
        vultr.ReverseIpv6(
            # An application may be called as its server is.
            f"applications/{name}",
            instance_id=host.server.instance.id,
            ip=host.plan.apply(lambda addresses: addresses.statics[name]),
            reverse=reverse,
            opts=pulumi.ResourceOptions(
                parent=self,
                # Another name for the same address would be refused, or taken away by the old one's deletion.
                delete_before_replace=True,
                deleted_with=host.server.instance,
            ),
        )
        self.register_outputs({})
