"""That the swarm's first manager stays what it is: the one by way of which all that the swarm has is made.

Makes one local command, which goes before every instance and remembers who that is, and one for each application with
replicas, which asks it whether it is there before a release of that: of one that is not, Docker's plugin says how it
could not be reached, and not what to do. To the engine whatever is made by way of another server is another thing,
which takes the name of the one that is there before that is gone: an update that has another first manager would fail
half-way, or begin a second swarm. It is refused before a server is touched.
Leaves alone: whether a manager that goes leaves a majority (majority.py, swarm.py).
"""

from __future__ import annotations

import shlex

import pulumi
from pulumi_command import local

import settings
from components.connection import Connection
from components.server import apart
from settings import swarm

# FIRST is who shall be it, PULUMI_COMMAND_STDOUT who was it the last time.
KEPT = """\
[ "$PULUMI_COMMAND_STDOUT" = "$FIRST" ] || {{ echo "$PULUMI_COMMAND_STDOUT:" {refused} >&2; exit 1; }}
printf %s "$FIRST"
"""
REFUSED = (
    "it is the first manager of the swarm, by way of which all is made that this has, and the stack file has another "
    "one first; nothing was touched. Write swarm: manager there again, and that server before the other managers. A "
    "dead one comes back by make revive. To have another one first, take the swarm out and begin it again: "
    "docs/scale.md#how-many-managers"
)


def kept(stack: settings.Stack) -> local.Command | None:
    """What goes before every instance of the stack; None where there is no swarm."""
    managers = swarm.managers(stack)
    if not managers:
        return None
    return local.Command(
        "swarm-first",
        create='printf %s "$FIRST"',
        update=KEPT.format(refused=shlex.quote(REFUSED)),
        environment={"FIRST": managers[0]},
        logging=local.Logging.STDERR,
    )


REACHED = """\
ssh -T -o ConnectTimeout=15 -o ConnectionAttempts=2 -o ControlPath=none {options} root@{host} true </dev/null || {{
    echo {refused} >&2
    exit 1
}}
"""
AWAY = (
    "{name} can't be reached, by way of which all with replicas is released; what runs goes on, and is not changed. "
    "First: make revive SERVER={name}"
)


def reached(
    application: str, release: pulumi.Output[str], name: str, connection: Connection, parent: pulumi.Resource
) -> local.Command:
    """What goes before a `release`: the first manager `name` is there."""
    create = pulumi.Output.all(apart(connection.host), apart(connection.ssh_options())).apply(
        lambda known: REACHED.format(
            host=known[0], options=shlex.join(known[1]), refused=shlex.quote(AWAY.format(name=name))
        )
    )
    return local.Command(
        f"{application}-reached",
        create=create,
        update="true",
        # As one value: in a list the Command plugin refuses a secret that is not known yet.
        triggers=pulumi.Output.all(release),
        logging=local.Logging.STDERR,
        add_previous_output_in_env=False,
        opts=pulumi.ResourceOptions(parent=parent, hide_diffs=["create"]),
    )
