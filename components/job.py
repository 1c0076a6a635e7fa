"""A job: a container that runs to its end, and stays stopped until it is started again.

Makes a docker.Container that is created but not started, and a command that starts it and waits for its end.
It runs when anything that goes into the container changes. A status other than 0 fails the update, shows the
job's output, and leaves nothing in the state, so the next update runs it again, in the same container: jobs
must bear being repeated.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi
import pulumi_docker as docker
from pulumi_command import remote

import settings
from components.container import container, renamed
from components.host import Host
from components.image import Image

RUN = """\
set -u
timeout {seconds} docker start --attach {container} 2>&1 | stdbuf -oL fold -b -w 4000
status=${{PIPESTATUS[0]}}
[ "$status" = 0 ] && exit 0
if [ "$status" = 124 ]; then
  docker stop --time {grace} {container} >/dev/null
  echo {name}: stopped, because it ran for more than {seconds} seconds >&2
else
  echo {name}: ended with status "$status" >&2
fi
exit "$status"
"""


@dataclass(frozen=True)
class JobArgs:
    """One job of the stack file, with everything resolved."""

    settings: settings.Job
    environment: Mapping[str, pulumi.Input[str]]  # upper-case names
    after: Sequence[pulumi.Resource]  # what has to be up or done before it runs


class Job(pulumi.ComponentResource):
    """One job on one host; whatever needs its result depends on this component."""

    name: pulumi.Output[str]  # of the container

    def __init__(
        self,
        name: str,
        args: JobArgs,
        image: Image,
        host: Host,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        opts = pulumi.ResourceOptions.merge(renamed(args.settings), opts)
        super().__init__("apiary:docker:Job", name, None, opts)
        job = container(
            name,
            "jobs",
            args.settings,
            environment=args.environment,
            image=image,
            host=host,
            stop_first=True,
            network=docker.ContainerNetworksAdvancedArgs(name=host.network.id, aliases=[name]),
            restart="no",
            start=False,
            must_run=False,
            opts=pulumi.ResourceOptions(parent=self),
        )
        remote.Command(
            f"{name}-run",
            connection=host.server.connection.command(),
            create=job.name.apply(
                lambda container_name: RUN.format(
                    container=shlex.quote(container_name),
                    name=shlex.quote(name),
                    seconds=args.settings.timeout,
                    grace=args.settings.grace_seconds,
                )
            ),
            # Another time limit, or another way to connect, is no reason to run it again.
            update="true",
            triggers=[job.id],
            logging=remote.Logging.STDOUT_AND_STDERR,
            add_previous_output_in_env=False,
            # A job may print what it was given.
            opts=pulumi.ResourceOptions(
                parent=self,
                depends_on=list(args.after),
                deleted_with=host.server.instance,
                additional_secret_outputs=["stdout", "stderr"],
            ),
        )
        self.name = job.name
        self.register_outputs({"container": self.name})
