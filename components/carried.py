"""The volumes of a container follow it to another server of the stack.

Makes, for each container that has named volumes, or folders of the server that are made, one local command, and in the
state with it where they are. It runs operations/carry.py when the container's server is another one than before: all is
copied while the application serves, then what has changed while it stands still, and only then is the container made on
the new server. It waits for that server, its volumes and the images; the container, and the records that lead to it,
wait for it. Leaves alone: the files on the old server.

None depends on what it waits for, as the engine sees it: what drops a dead instance with its dependents must
neither forget where the data were nor take the records of a site along.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import pulumi
from pulumi_command import local

import settings
from components.host import Host
from components.image import Image
from components.labels import stack_tag
from components.server import apart, later
from settings import carried

# Of the program's own environment (Pulumi.yaml), by a path that is the same on every machine.
INTERPRETER = [".venv/bin/python", "-m", "operations.carry"]


class Carried(pulumi.ComponentResource):
    """The volumes of all containers of a stack."""

    commands: Mapping[str, local.Command]  # by container; of one without data there is none

    def __init__(
        self,
        name: str,
        stack: settings.Stack,
        hosts: Mapping[str, Host],
        image_of: Callable[[str], Image],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """`image_of` is the image of a container on its server."""
        super().__init__("apiary:docker:Carried", name, None, opts)
        self._stack, self._hosts = stack, hosts
        self.commands = {
            # Of all that share a volume with it: none of them stands still for a build.
            one: self._command(one, [image_of(other) for other in carried.together(stack, one)])
            for one, container in stack.containers().items()
            if carried.has_data(container)
        }
        self.register_outputs({})

    def _command(self, name: str, images: Sequence[Image]) -> local.Command:
        container = self._stack.containers()[name]
        server = self._stack.server_of(container)
        host = self._hosts[server]
        told = {
            "stack": stack_tag(),
            "names": carried.labels(self._stack, name),
            "volumes": carried.volumes(container),
            "folders": carried.folders(container),
            "placed": carried.placed(self._stack, name),
            "here": _place(server, host),
        }
        ready = [host.bootstrap.command.id, *(host.volumes.by_name[one].id for one in carried.volumes(container))]
        ready += [image.command.id for image in images]
        others = [_place(other, there) for other, there in sorted(self._hosts.items()) if other != server]
        old = container.renamed_from
        return local.Command(
            _name(name),
            interpreter=INTERPRETER,
            create="carry",
            update="carry",
            stdin=apart(later(pulumi.Output.json_dumps(told, sort_keys=True), ready)),
            # Only for a container of which nothing is known, so not a change when a server comes or goes.
            environment={"APIARY_OTHERS": apart(pulumi.Output.json_dumps(others))},
            logging=local.Logging.STDERR,
            # What it printed the last time says where the volumes were.
            add_previous_output_in_env=True,
            opts=pulumi.ResourceOptions(
                parent=self,
                ignore_changes=["environment"],
                aliases=[pulumi.Alias(name=_name(old))] if old else None,
            ),
        )


def _name(container: str) -> str:
    return f"{container}-carried"


def _place(server: str, host: Host) -> pulumi.Output[dict[str, object]]:
    """As operations/carry.py reads it, and prints it."""
    there = host.server
    return pulumi.Output.all(there.instance.id, there.ipv4, there.connection.ssh_options()).apply(
        lambda known: {"server": server, "instance": known[0], "host": known[1], "ssh": known[2]}
    )
