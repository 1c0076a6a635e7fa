"""What a monitor is told: what it watches, and whom it alarms.

Makes one remote command that gives this to the host, in a folder that the monitor's container mounts, together with the
socket of the host's node exporter (playbooks/roles/monitoring). What it is told holds the secrets of `alerts`: they go
over standard input, and are in no container's environment. Another site or another address changes nothing of the
container, which takes up what it is told.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

import pulumi
import pulumi_docker as docker
from pulumi_command import remote

import settings
from components.host import Host
from components.server import undo
from settings.monitors import FOLDER

HOST_FOLDER = "/var/lib/apiary/monitor/host"


@dataclass(frozen=True)
class MonitoringArgs:
    """What a monitor is told of."""

    stack: settings.Stack
    after: list[pulumi.Resource]  # what brings up the sites that it watches: one that is not there yet is not down
    addresses: Mapping[str, pulumi.Output[str]]  # the public IPv4 address of each server, by its name


class Monitoring(pulumi.ComponentResource):
    """What one monitor has of its host; its container depends on this component and mounts `folder`."""

    def __init__(
        self,
        name: str,
        args: MonitoringArgs,
        host: Host,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("apiary:docker:Monitoring", name, None, opts)
        told = pulumi.Output.all(**args.addresses).apply(
            lambda found: json.dumps(settings.watched(args.stack, name, found), sort_keys=True)
        )
        secret: pulumi.Output[str] = pulumi.Output.secret(told)
        remote.Command(
            f"{name}-watched",
            connection=host.server.connection.command(),
            create="apiary-monitor tell",
            # In place: a replacement would have the host forget what it has just been told.
            update="apiary-monitor tell",
            # By no program of the host's: without a monitor the bootstrap, which comes first, has taken that away.
            delete=host.server.instance.id.apply(lambda instance: undo(instance, f"rm -f {HOST_FOLDER}/watch.json")),
            stdin=secret,
            triggers=[host.server.instance.id],
            logging=remote.Logging.NONE,
            add_previous_output_in_env=False,
            opts=pulumi.ResourceOptions(
                parent=self, depends_on=[host.bootstrap, *args.after], deleted_with=host.server.instance
            ),
        )
        self.folder = docker.ContainerVolumeArgs(host_path=HOST_FOLDER, container_path=FOLDER, read_only=True)
        self.register_outputs({})
