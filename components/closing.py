"""The closing: what the stack file's sites close, closed at the proxy before the releases.

Makes one remote command for the job that sets a server's proxy up: a run of the job's own image that does nothing but
this (images/HAProxySetup/hasetup/closing.py). Every application that the proxy leads to is released after it, and the
job itself runs after the releases, again whenever this has run: what opens, and what new names lead to, is then there.
It waits for no other image than its own: what can't be built holds up nobody else's release. Where nothing can close
by what has changed, such as a new site that everybody may visit, it does not run.
Leaves alone: the proxy's own container, which starts with whatever configuration is there.
"""

from __future__ import annotations

import hashlib
import json
import shlex
from collections.abc import Iterable, Mapping, Sequence
from functools import partial

import pulumi
from pulumi_command import remote

import settings
from components.container import renamed
from components.host import Host
from components.image import Image
from settings.order import PROXY_FOLDER
from settings.site import CLOSING as ACCESS

CLOSING = ("DOMAINS", "PASSWORDS", "METRICS_FROM")  # variables of the job by which something may be closed
SECONDS = 300  # it waits for the end of a release that drains, as the job does
CLOSE = (
    f"timeout {SECONDS} docker run --rm --interactive --network none --read-only --cap-drop ALL "
    "--security-opt no-new-privileges:true {user}--volume {volume}:" + PROXY_FOLDER + " {image} closing"
)


class Closing(pulumi.ComponentResource):
    """The closing at the proxy of one server."""

    done: pulumi.Output[str]  # known when it is through, and another one for each

    def __init__(
        self,
        name: str,
        job: settings.Job,
        host: Host,
        *,
        environment: Mapping[str, pulumi.Input[str]],
        image: Image,
        applications: Iterable[str],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """`name` is the job's with `-closing`; `environment` are its variables, `image` is its image, `applications`
        are all that may be on the web.
        """
        opts = pulumi.ResourceOptions.merge(renamed(job, "-closing"), opts)
        super().__init__("apiary:docker:Closing", name, None, opts)
        [mount] = [mount for mount in job.mounts if mount.path == PROXY_FOLDER]
        folder = mount.name or ""
        volume, filled = host.volumes.by_name.get(folder), host.filled.get(folder)
        create = pulumi.Output.all(image.tag, volume.name if volume else mount.host_path).apply(
            lambda known: CLOSE.format(
                user=f"--user {shlex.quote(job.user)} " if job.user else "",
                volume=shlex.quote(known[1]),
                image=shlex.quote(known[0]),
            )
        )
        # Secret: passwords are among them.
        closing = {variable: environment[variable] for variable in CLOSING if variable in environment}
        told: pulumi.Output[str] = pulumi.Output.secret(pulumi.Output.json_dumps(closing, sort_keys=True))
        self.done = remote.Command(
            name,
            connection=host.server.connection.command(),
            create=create,
            # Another way to connect is no reason to close anything anew.
            update="cat >/dev/null",
            stdin=told,
            # As one value: in a list the Command plugin refuses a secret that is not known yet.
            triggers=pulumi.Output.all(host.server.instance.id, told.apply(partial(_digest, list(applications)))),
            logging=remote.Logging.STDOUT_AND_STDERR,
            add_previous_output_in_env=False,
            opts=pulumi.ResourceOptions(
                parent=self,
                depends_on=[host.bootstrap, image, *(one for one in (volume, filled) if one)],
                deleted_with=host.server.instance,
            ),
        ).id
        self.register_outputs({})


def _digest(applications: Sequence[str], text: str) -> str:
    """Of what `text` may close in any configuration that serves: the same while sites only come that all may visit."""
    told = json.loads(text)
    domains = json.loads(told.pop("DOMAINS", "{}"))
    led_to = {route["app"] for route in domains.values() if "app" in route}
    told["closed"] = {domain: route for domain, route in domains.items() if ACCESS & route.get("site", {}).keys()}
    told["left the web"] = sorted(set(applications) - led_to)
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:16]
