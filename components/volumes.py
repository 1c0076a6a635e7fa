"""The named volumes of a server.

Makes one docker.Volume for each name, and never deletes one: data go only by hand on the host, or with the
instance. A volume that exists already is adopted with what it holds.
"""

from __future__ import annotations

from collections.abc import Iterable

import pulumi
import pulumi_docker as docker

import settings
from components.bootstrap import Bootstrap
from components.labels import volume_labels
from components.server import Server


def names_on(stack: settings.Stack, server: str) -> list[str]:
    """The named volumes of all containers of a server, sorted."""
    return sorted(
        {mount.name for container in stack.containers_on(server).values() for mount in container.mounts if mount.name}
    )


class Volumes(pulumi.ComponentResource):
    """The volumes of one server, by name."""

    by_name: dict[str, docker.Volume]

    def __init__(
        self,
        name: str,
        names: Iterable[str],
        server: Server,
        bootstrap: Bootstrap,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("apiary:docker:Volumes", name, None, opts)
        self.by_name = {
            volume: docker.Volume(
                f"{name}/{volume}",
                name=volume,
                labels=volume_labels(f"volumes.{volume}", server.instance.id),
                opts=pulumi.ResourceOptions(
                    parent=self,
                    provider=server.provider,
                    depends_on=[bootstrap],
                    deleted_with=server.instance,
                    # Also when a label changes: the plugin would delete the data otherwise.
                    retain_on_delete=True,
                ),
            )
            for volume in sorted(names)
        }
        self.register_outputs({})
