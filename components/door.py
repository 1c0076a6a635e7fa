"""The door: the network of a proxy, which outlives the proxy's releases.

Makes a docker.Container that sleeps, and holds what visitors come to: the static address, the published ports, the
alias, and the swarm's network where the proxy is on that. The containers of the proxy join its network, so that the
next one can serve before the last one has stopped (images/HAProxy/start.sh). Before it comes a command that stops
whatever container of the proxy holds these itself, one of before there were doors. It is another one when ports,
addresses, networks or whom the proxy reaches are, never for an image: it runs the proxy's first one on its server,
under a name of its own.
Leaves alone: that the proxy joins it again after a restart, to which the host sees (playbooks/roles/door).
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import Any

import pulumi
import pulumi_docker as docker
from pulumi_command import remote

import settings
from components.container import LOG_OPTIONS, digest, networks, ways
from components.host import Host
from components.image import Image
from components.labels import DOOR, OPTIONS, OVERLAY, container_labels
from settings import Neighbours
from settings.options import NEVER_APPLIED, OF_NETWORK, arguments

# As `apiary-door prepare` names it on the host; not by its content, which is another one with each release.
IMAGE = "apiary/door:1"


class Door(pulumi.ComponentResource):
    """The door of one proxy."""

    container: docker.Container

    def __init__(
        self,
        name: str,
        own: settings.Application,
        neighbours: Neighbours,
        image: Image,
        host: Host,
        *,
        network: docker.ContainerNetworksAdvancedArgs,
        ports: Sequence[docker.ContainerPortArgs],
        overlay: pulumi.Input[str] | None = None,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """`name` is the proxy's with `-door`, `own` are the proxy's settings, `image` is its image.

        `overlay` is the id of the swarm's network, of a proxy that answers for replicas.
        """
        super().__init__("apiary:docker:Door", name, None, opts)
        proxy = name.removesuffix("-door")
        prepared = remote.Command(
            f"{name}-prepared",
            connection=host.server.connection.command(),
            create=f"apiary-door prepare {shlex.quote(proxy)}",
            update="true",
            triggers=[host.server.instance.id, proxy],
            logging=remote.Logging.STDOUT_AND_STDERR,
            add_previous_output_in_env=False,
            opts=pulumi.ResourceOptions(
                parent=self, depends_on=[host.bootstrap, image], deleted_with=host.server.instance
            ),
        )
        self.container = docker.Container(
            name,
            image=IMAGE,
            entrypoints=["sleep", "infinity"],
            init=True,
            read_only=True,
            restart="unless-stopped",
            capabilities=docker.ContainerCapabilitiesArgs(drops=["ALL"], adds=[]),
            security_opts=["no-new-privileges:true"],
            log_driver="json-file",
            log_opts=LOG_OPTIONS,
            # The image's own asks HAProxy. What is left out here Docker takes from there, and it would be a change.
            healthcheck=docker.ContainerHealthcheckArgs(
                tests=["NONE"], interval="30s", timeout="5s", start_period="1s", retries=3
            ),
            networks_advanced=networks(network, overlay),
            ports=list(ports),
            labels=container_labels(
                f"applications.{name}",
                host.server.instance.id,
                {
                    **ways(neighbours),
                    **({OVERLAY: "true"} if overlay else {}),
                    DOOR: proxy,
                    OPTIONS: digest([own.hostname]),
                },
            ),
            **of_network(own),
            opts=pulumi.ResourceOptions(
                parent=self,
                provider=host.server.provider,
                depends_on=[host.bootstrap, prepared],
                deleted_with=host.server.instance,
                replace_on_changes=NEVER_APPLIED,
                # Two can't have the same address.
                delete_before_replace=True,
            ),
        )
        self.register_outputs({"container": self.container.name})


def of_network(own: settings.Application) -> dict[str, Any]:
    """The options that belong to a network, which who joins it has from there."""
    return {key: value for key, value in arguments(own).items() if key in OF_NETWORK} | {
        "sysctls": _sysctls(own, is_network=True)
    }


def joined(own: settings.Application) -> Mapping[str, Any]:
    """What the options of who joins a network become: Docker refuses those of the network."""
    return {**dict.fromkeys(OF_NETWORK), "sysctls": _sysctls(own, is_network=False)}


def _sysctls(own: settings.Application, *, is_network: bool) -> dict[str, Any] | None:
    return {key: value for key, value in own.sysctls.items() if key.startswith("net.") == is_network} or None
