"""The logins of one server to private registries.

Makes one command: it tries every login, and only when all of them succeed the server has these and no others
(apiary-image), readable by root alone. They reach it on standard input. With the last of them the command goes, and
takes them from the server. Leaves alone: what is pulled with them (image.py), and
whom Docker trusts (bootstrap.py): its engine 20.10 learns that when it starts.
"""

from __future__ import annotations

import json

import pulumi
from pulumi_command import remote

import settings
from components.bootstrap import Bootstrap
from components.server import Server, undo

LOGIN = "apiary-image login 2>&1"
# In the same words a server that has been replaced, or is gone, is left alone.
LOGOUT = "echo '{}' | apiary-image login"


class Registries(pulumi.ComponentResource):
    """Logged in, so that images can be pulled and built; images depend on `command`."""

    def __init__(
        self,
        name: str,
        stack: settings.Stack,
        server: Server,
        bootstrap: Bootstrap,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("apiary:docker:Registries", name, None, opts)
        logins = {
            host: {"user": one.user, "password": stack.secrets[one.secret_name]}
            for host, one in sorted(stack.registries_on(name).items())
        }
        self.command = remote.Command(
            f"{name}-registries",
            connection=server.connection.command(),
            create=LOGIN,
            update=LOGIN,
            delete=server.instance.id.apply(lambda instance: undo(instance, LOGOUT)),
            stdin=pulumi.Output.secret(json.dumps(logins)),
            triggers=[server.instance.id],
            logging=remote.Logging.STDOUT_AND_STDERR,
            add_previous_output_in_env=False,
            opts=pulumi.ResourceOptions(
                parent=self,
                depends_on=[bootstrap],
                deleted_with=server.instance,
                # Replaced by hand on the same server, the old one would take away what the new one has just brought.
                delete_before_replace=True,
            ),
        )
        self.register_outputs({})
