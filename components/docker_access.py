"""An application's access to the jobs it refers to: it may start them and wait for them, and nothing else of Docker.

Makes one remote command that gives the list of jobs to the host, where a small service answers on a socket of the
application's own (playbooks/roles/docker_access). An application that refers to no job any more loses its socket.
Leaves alone: which application may have it, which is whoever writes `+job` into its `env`; and which container a
job has, which the job itself tells the host (job.py), so that a changed job changes nothing here.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping

import pulumi
import pulumi_docker as docker
from pulumi_command import remote

from components.host import Host
from components.job import Job
from components.server import undo
from settings.order import SOCKET_FOLDER


class DockerAccess(pulumi.ComponentResource):
    """The socket of one application; its container depends on this component and mounts `folder`."""

    def __init__(
        self, name: str, jobs: Mapping[str, Job], host: Host, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("apiary:docker:DockerAccess", name, None, opts)
        grant = f"apiary-access grant {shlex.quote(name)}"
        remote.Command(
            f"{name}-docker-access",
            connection=host.server.connection.command(),
            create=grant,
            # In place: a replacement would revoke what it has just granted.
            update=grant,
            delete=host.server.instance.id.apply(
                lambda instance: undo(instance, f"apiary-access revoke {shlex.quote(name)}")
            ),
            stdin=json.dumps({"jobs": sorted(jobs)}),
            triggers=[host.server.instance.id],
            add_previous_output_in_env=False,
            opts=pulumi.ResourceOptions(
                parent=self,
                # A job has a container before anybody is allowed to start it, though it may not have run yet.
                depends_on=[host.bootstrap, *(job.told for job in jobs.values() if job.told)],
                deleted_with=host.server.instance,
            ),
        )
        self.folder = docker.ContainerVolumeArgs(
            # Of the host, and there before Docker starts anything; the socket in it comes and goes.
            host_path=f"/var/lib/apiary/access/{name}",
            container_path=SOCKET_FOLDER,
            read_only=True,
        )
        self.register_outputs({})
