"""A bare server becomes a firewalled Docker host.

Makes one remote command that carries playbooks/ and its variables to the server and runs them there
(playbooks/bootstrap.sh). It runs again when the playbooks, the variables or the instance change, and changes
nothing when all is as it should be. Leaves alone: everything in Docker (network.py and later).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pulumi
from pulumi_command import remote

import settings
from components.archive import Archive
from components.server import Server

# Long lines are folded, because a line over 64 KiB stalls the log; the status of the script is kept.
RUN = """\
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
base64 -d | tar -x -C "$folder"
cd "$folder"
set +e
bash bootstrap.sh {playbook} 2>&1 | stdbuf -oL fold -b -w 4000
exit "${{PIPESTATUS[0]}}"
"""


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
) -> pulumi.Output[dict[str, Any]]:
    """What the playbooks are told of a server: its addresses, and which of them visitors may reach."""
    wanted = stack.servers[server]
    applications = sorted(stack.applications_on(server).items())
    is_nat = wanted.ipv6.is_nat

    def build(instance: str, own: str, addresses: settings.Plan) -> dict[str, Any]:
        return {
            "apiary_instance": instance,
            "apiary_timezone": wanted.timezone,
            "apiary_prefix": addresses.prefix,
            "apiary_bridge_subnet": addresses.bridge,
            "apiary_net_subnet": addresses.net,
            "apiary_net_subnet_ipv4": addresses.ipv4_net,
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
            "apiary_git": any(container.git for container in stack.containers_on(server).values()),
            "apiary_registry_mirrors": list(wanted.registry_mirrors),
        }

    return pulumi.Output.all(instance_id, host_ipv6, plan).apply(lambda known: build(*known))


class Bootstrap(pulumi.ComponentResource):
    """A host that is ready for containers; whatever runs in Docker there depends on this."""

    def __init__(
        self, name: str, args: BootstrapArgs, server: Server, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("apiary:host:Bootstrap", name, None, opts)
        cargo = pulumi.Output.from_input(args.variables).apply(
            lambda variables: args.playbooks.with_file(
                "vars.json", json.dumps(variables, indent=2, sort_keys=True).encode()
            )
        )
        self.command = remote.Command(
            name,
            connection=server.connection.first_command(),
            create=RUN.format(playbook=args.playbook),
            update="cat >/dev/null",
            stdin=cargo.apply(lambda archive: archive.base64),
            triggers=[server.instance.id, cargo.apply(lambda archive: archive.digest)],
            logging=remote.Logging.STDOUT_AND_STDERR,
            add_previous_output_in_env=False,
            opts=pulumi.ResourceOptions(
                parent=self,
                deleted_with=server.instance,
                hide_diffs=["stdin"],
            ),
        )
        self.register_outputs({})
