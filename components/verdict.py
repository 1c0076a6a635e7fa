"""The verdict on an update: what visitors get of every domain that it has touched.

Makes one remote command a server, the last of an update there: `apiary-verdict` asks the proxy itself, over both
families, for every domain (playbooks/roles/tools/files/apiary-verdict says how). It runs when a container behind the
proxy is another one, or what the proxy is told of it, or the proxy, or the job that tells it. It comes after all of
these and before what they replace is drained and removed: where it fails, the old containers serve on.
Leaves alone: certificates, on which the job that gets them reports, and applications without domains.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi
from pulumi_command import remote

from components.application import Application
from components.host import Host
from components.job import Job
from components.replicated import Replicated
from settings.domains import Moved, Route


@dataclass(frozen=True)
class VerdictArgs:
    """What is judged on one server."""

    sites: Mapping[str, Route]  # by domain
    redirects: Mapping[str, Moved]  # by domain
    applications: Mapping[str, Application]  # those that serve them, by name
    replicated: Mapping[str, Replicated]  # those of them that have replicas, which only visitors are asked for
    proxy: Sequence[Application | Job]  # the proxy, and the jobs that tell it of the domains


class Verdict(pulumi.ComponentResource):
    """The verdict on one server."""

    def __init__(self, name: str, args: VerdictArgs, host: Host, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("apiary:docker:Verdict", name, None, opts)
        sites: dict[str, dict[str, Route]] = {}
        for domain, route in args.sites.items():
            sites.setdefault(route["app"], {})[domain] = route
        told = pulumi.Output.json_dumps(
            {
                "proxy": [one.container.id for one in args.proxy],
                "applications": {
                    application: {
                        "container": made.container.id,
                        "sites": sites.get(application, {}),
                    }
                    for application, made in args.applications.items()
                }
                | {
                    application: {
                        "container": "",
                        "release": made.done,
                        "sites": sites.get(application, {}),
                    }
                    for application, made in args.replicated.items()
                },
                **({"redirects": args.redirects} if args.redirects else {}),
            },
            sort_keys=True,
        )
        remote.Command(
            f"{name}-verdict",
            connection=host.server.connection.command(),
            create="apiary-verdict",
            # Another way to connect is no reason to judge again.
            update="cat >/dev/null",
            stdin=told,
            triggers=[host.server.instance.id, told],
            logging=remote.Logging.STDOUT_AND_STDERR,
            add_previous_output_in_env=False,
            opts=pulumi.ResourceOptions(
                parent=self,
                depends_on=[*args.applications.values(), *args.replicated.values(), *args.proxy],
                deleted_with=host.server.instance,
            ),
        )
        self.register_outputs({})
