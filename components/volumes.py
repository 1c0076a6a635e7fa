"""The named volumes of a server.

Makes one docker.Volume for each name, and never deletes one: data go only by hand on the host, or with the
instance. A volume that exists already is adopted with what it holds. On a server with block storage each is a folder
there, and a command makes that ready (playbooks/roles/data): it moves what is still on the disk, and when the instance
is replaced, its deletion unmounts the storage on the old host, after all containers have gone. Leaves alone: the
attachment of the storage (server.py), and its mounting at each start of the host.
"""

from __future__ import annotations

from collections.abc import Iterable

import ediri_vultr as vultr
import pulumi
import pulumi_docker as docker
from pulumi_command import remote

import settings
from components.bootstrap import Bootstrap
from components.labels import volume_labels
from components.server import Server, undo

FOLDER = "/srv/data/volumes"


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
        wanted = sorted(names)
        after: list[pulumi.Resource] = [bootstrap]
        if server.data is not None:
            own = pulumi.ResourceOptions(parent=self, depends_on=[bootstrap], deleted_with=server.instance)
            after.append(_prepared(name, wanted, server, server.data, own))
        self.by_name = {
            volume: docker.Volume(
                f"{name}/{volume}",
                name=volume,
                labels=volume_labels(f"volumes.{volume}", server.instance.id),
                driver_opts={"type": "none", "o": "bind", "device": f"{FOLDER}/{volume}"} if server.data else None,
                opts=pulumi.ResourceOptions(
                    parent=self,
                    provider=server.provider,
                    depends_on=after,
                    deleted_with=server.instance,
                    # Also when a label changes: the plugin would delete the data otherwise.
                    retain_on_delete=True,
                    # One that has been moved from the disk has another place under the same name: all containers that
                    # have it are made anew, which without this would only be so where their own settings change.
                    delete_before_replace=True if server.data else None,
                ),
            )
            for volume in wanted
        }
        self.register_outputs({})


def _prepared(
    name: str, volumes: list[str], server: Server, data: vultr.BlockStorage, opts: pulumi.ResourceOptions
) -> remote.Command:
    """The block storage is mounted, all of it is used, and every volume has its folder there."""
    prepare = "apiary-data prepare"
    return remote.Command(
        f"{name}-data",
        connection=server.connection.command(),
        create=prepare,
        update=prepare,
        # The playbook of a server that has given its storage up has unmounted it already.
        delete=server.instance.id.apply(
            lambda instance: undo(instance, "! command -v apiary-data >/dev/null || apiary-data release")
        ),
        stdin=pulumi.Output.json_dumps({"volumes": volumes, "gb": data.size_gb}),
        triggers=[server.instance.id],
        logging=remote.Logging.STDOUT_AND_STDERR,
        add_previous_output_in_env=False,
        opts=opts,
    )
