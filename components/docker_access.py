"""An application's access to the jobs it refers to: it may start them and wait for them, and nothing else of Docker.

Makes one remote command that gives the list of containers to the host, where a small service answers on a socket
of the application's own (playbooks/roles/docker_access). A job's new container changes the list in place; an
application that refers to no job any more loses its socket. Leaves alone: which application may have it, which
is whoever writes `+job` into its `env`.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi
import pulumi_docker as docker
from pulumi_command import remote

import settings
from components.host import Host
from components.job import Job
from settings.order import SOCKET_FOLDER, jobs_named

# As for images: after a rebuild the address answers for another instance, which has just been given this.
REVOKE = """\
set -eu
cat >/dev/null
grep -qxF {instance} /etc/apiary/instance || exit 0
apiary-access revoke {name}
"""


@dataclass(frozen=True)
class GrantedJob:
    """One job that may be started."""

    name: str  # as in the stack file
    container: pulumi.Input[str]  # name of its container
    seconds: int  # time limit of a run
    grace: int  # seconds it has to stop in


def granted(stack: settings.Stack, application: str, jobs: Mapping[str, Job]) -> list[GrantedJob]:
    """The jobs that an application refers to."""
    return [
        GrantedJob(name, jobs[name].name, stack.jobs[name].timeout, stack.jobs[name].grace_seconds)
        for name in jobs_named(stack.applications[application])
    ]


class DockerAccess(pulumi.ComponentResource):
    """The socket of one application; its container depends on this component and mounts `folder`."""

    def __init__(
        self, name: str, jobs: Sequence[GrantedJob], host: Host, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("apiary:docker:DockerAccess", name, None, opts)
        listed = [
            {"container": job.container, "job": job.name, "seconds": job.seconds, "grace": job.grace} for job in jobs
        ]
        grant = f"apiary-access grant {shlex.quote(name)}"
        remote.Command(
            f"{name}-docker-access",
            connection=host.server.connection.command(),
            create=grant,
            # In place: a replacement would revoke what it has just granted.
            update=grant,
            delete=host.server.instance.id.apply(
                lambda instance: REVOKE.format(instance=shlex.quote(instance), name=shlex.quote(name))
            ),
            stdin=pulumi.Output.json_dumps({"jobs": listed}),
            triggers=[host.server.instance.id],
            add_previous_output_in_env=False,
            opts=pulumi.ResourceOptions(
                parent=self,
                depends_on=[host.bootstrap],
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
