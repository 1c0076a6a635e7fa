"""A job: a container that runs to its end, and stays stopped until it is started again.

Makes a docker.Container that is created but not started, and a command that starts it and waits for its end.
It runs when anything that goes into the container changes, but for one that is run by hand and by the clock alone. A
status other than 0 fails the update, shows the job's output, and leaves nothing in the state, so the next update runs
it again, in the same container: jobs must bear being repeated.

Of a job that an application may start (docker_access.py), the host is told the container by a command of its own,
before the run and whatever comes of it: an update that ends with a failed run leaves the new container startable.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi
import pulumi_docker as docker
from pulumi_command import remote

import settings
from components.closing import Closing
from components.container import container, limits, renamed
from components.host import Host
from components.image import Image
from components.server import undo
from settings import Neighbours
from settings.order import PROXY_FOLDER

RUN = """\
set -u
{first}timeout {seconds} docker start --attach {container} 2>&1 | stdbuf -oL fold -b -w 4000
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
# It knows by this file that what a closing has come before is released, and that it is to open the rest. Docker puts it
# there, which follows no link out of the volume.
RELEASED = """\
said=$(docker cp /etc/hostname {container}:{folder}/released 2>&1) || {{ echo "$said" >&2; exit 1; }}
"""


@dataclass(frozen=True)
class JobArgs:
    """One job of the stack file, with everything resolved."""

    settings: settings.Job
    environment: Mapping[str, pulumi.Input[str]]  # by the names that the container knows
    contents: Mapping[str, pulumi.Input[str]]  # of its files, by their paths
    neighbours: Neighbours  # whom it may reach on its server
    after: Sequence[pulumi.Resource]  # what has to be up or done before it runs
    startable: bool = False  # whether an application may start it
    overlay: pulumi.Input[str] | None = None  # the swarm's network, where it is on that too
    closing: Closing | None = None  # what it has closed before the releases, of a job that sets a proxy up


class Job(pulumi.ComponentResource):
    """One job on one host; whatever needs its result depends on this component."""

    container: docker.Container
    done: pulumi.Output[str]  # known when it has run, or, by hand and by the clock alone, when it could
    told: remote.Command | None  # the host knows its container then; None when no application may start it

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
        job = self.container = container(
            name,
            "jobs",
            args.settings,
            environment=args.environment,
            contents=args.contents,
            neighbours=args.neighbours,
            image=image,
            host=host,
            stop_first=True,
            network=docker.ContainerNetworksAdvancedArgs(name=host.network.id, aliases=[name]),
            overlay=args.overlay,
            restart="no",
            start=False,
            must_run=False,
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.told = _told(name, args, job, host, self) if args.startable else None
        first = [*([self.told] if self.told else []), *limits(name, args.settings, job, host, self), *args.after]
        self.done = self._run(name, args, host, first).id if args.settings.run == "update" else job.id
        self.register_outputs({"container": job.name})

    def _run(self, name: str, args: JobArgs, host: Host, first: Sequence[pulumi.Resource]) -> remote.Command:
        job = self.container
        before = RELEASED if args.closing else ""
        return remote.Command(
            f"{name}-run",
            connection=host.server.connection.command(),
            create=job.name.apply(
                lambda container_name: RUN.format(
                    first=before.format(container=shlex.quote(container_name), folder=PROXY_FOLDER),
                    container=shlex.quote(container_name),
                    name=shlex.quote(name),
                    seconds=args.settings.timeout,
                    grace=args.settings.grace_seconds,
                )
            ),
            # Another time limit, or another way to connect, is no reason to run it again.
            update="true",
            # After each closing, also of one that was taken back in an update that failed: what it closed is opened.
            triggers=[job.id, *([args.closing.done] if args.closing else [])],
            logging=remote.Logging.STDOUT_AND_STDERR,
            add_previous_output_in_env=False,
            # A job may print what it was given.
            opts=pulumi.ResourceOptions(
                parent=self,
                depends_on=list(first),
                deleted_with=host.server.instance,
                additional_secret_outputs=["stdout", "stderr"],
            ),
        )


def _told(name: str, args: JobArgs, job: docker.Container, host: Host, parent: Job) -> remote.Command:
    """The host knows which container a job has now, and for how long that may run."""
    tell = f"apiary-access job {shlex.quote(name)}"
    known = {"container": job.name, "seconds": args.settings.timeout, "grace": args.settings.grace_seconds}
    return remote.Command(
        f"{name}-startable",
        connection=host.server.connection.command(),
        create=tell,
        # In place: a replacement would have the host forget what it has just been told.
        update=tell,
        delete=host.server.instance.id.apply(
            lambda instance: undo(instance, f"apiary-access forget {shlex.quote(name)}")
        ),
        stdin=pulumi.Output.json_dumps(known),
        # A renamed job is another one here, and the old name is forgotten.
        triggers=[host.server.instance.id, name],
        add_previous_output_in_env=False,
        opts=pulumi.ResourceOptions(parent=parent, depends_on=[host.bootstrap], deleted_with=host.server.instance),
    )
