"""Whether the swarm outlives an update: most of its managers made anew at once take all that it knows along.

Makes one local command for each of several managers, which goes before its instance. It remembers what each of them is
made of: where that is another now, of its own and of so many that the swarm could not do without them, it refuses. In a
preview, where no command runs, the program asks the same of those whose instance is not known yet. Whoever does not
decide stops nothing: it is new, or dead and being revived.
Leaves alone: managers that go, or become workers, which the first server's command takes out in order (swarm.py), and
a single one, whose swarm goes with it in any case, and is begun anew.
"""

from __future__ import annotations

import asyncio
import shlex
import subprocess
from collections.abc import Mapping
from typing import TYPE_CHECKING

import pulumi
from pulumi_command import local

import settings
from components.connection import Connection
from settings import swarm

if TYPE_CHECKING:
    from components.host import Host

SEVERAL = 3
CONNECT_SECONDS, SECONDS = 5, 20
PATIENCE = ["-o", f"ConnectTimeout={CONNECT_SECONDS}", "-o", "ControlPath=none"]
# Runs on a manager, told who is made anew. Exit status 0: it decides, and most would be missing then.
ENDS = """\
docker node ls --filter role=manager --format '{{.Hostname}} {{.ManagerStatus}}' | awk -v anew=" $* " '
    { all++ }
    ($2 == "Leader" || $2 == "Reachable") && !index(anew, " " $1 " ") { stay++ }
    END { exit !(all && stay * 2 <= all) }'
"""
# MANAGERS is `web1=WORDS web2=WORDS ...` as it shall be, PULUMI_COMMAND_STDOUT the same as it was the last time.
SPARE = """\
set -u
anew=
for one in $MANAGERS; do
    case " ${{PULUMI_COMMAND_STDOUT:-}} " in *" $one "*) ;; *) anew="$anew ${{one%%=*}}" ;; esac
done
case "$anew " in *' {name} '*)
    if ssh -T {options} root@{host} sh -s -- $anew <<'END'
{ends}END
    then
        echo "$anew:" {refused} >&2
        exit 1
    fi ;;
esac
printf %s "$MANAGERS"
"""
REFUSED = """\
this update makes them anew at once, which leaves the swarm without most of its managers, and ends it with all that it
knows; none of them was touched. One at a time, and while the others are there: write what is new (`os`, say) at one of
them alone, `pulumi up`, and go on with the next when `make status` shows the swarm whole. Where most are dead, this is
not the way either: make recover SERVER=... of one that is left, then make revive SERVER="..." of the others
"""


def made_of(stack: settings.Stack) -> dict[str, str]:
    """By manager, what of the stack file makes another instance of it; nothing where there is no majority to lose."""
    managers = swarm.managers(stack) if len(swarm.managers(stack)) >= SEVERAL else []
    return {name: f"{stack.servers[name].os}/{stack.servers[name].region}" for name in managers}


def spared(
    name: str, managers: Mapping[str, str], connection: Connection, opts: pulumi.ResourceOptions
) -> local.Command:
    """What goes before the instance of the manager `name`, of `made_of`."""
    update = pulumi.Output.all(connection.host, connection.ssh_options()).apply(
        lambda known: SPARE.format(
            name=name,
            host=known[0],
            options=shlex.join([*PATIENCE, *known[1]]),
            ends=ENDS,
            refused=shlex.quote(REFUSED.strip()),
        )
    )
    return local.Command(
        f"{name}-spared",
        create='printf %s "$MANAGERS"',
        update=update,
        environment={"MANAGERS": " ".join(f"{manager}={words}" for manager, words in managers.items())},
        logging=local.Logging.STDERR,
        opts=opts,
    )


async def keep(stack: settings.Stack, hosts: Mapping[str, Host]) -> None:
    """Raises RunError, in a preview, where the swarm could not do without the managers that are to be made anew."""
    if not pulumi.runtime.is_dry_run():
        return
    made = [name for name in made_of(stack) if not await hosts[name].server.instance.id.is_known()]
    if any(await asyncio.gather(*(_ends(hosts[name].server.connection, made) for name in made))):
        raise pulumi.RunError(f"{', '.join(made)}: {REFUSED.strip()}")


async def _ends(connection: Connection, made: list[str]) -> bool:
    """Whether the server is there, decides about the swarm, and knows that it ends with those."""
    way = pulumi.Output.all(connection.host, connection.ssh_options())
    if not await way.is_known():
        return False
    address, options = await way.future() or ("", [])
    try:
        done = await asyncio.to_thread(
            subprocess.run, ["ssh", "-T", *PATIENCE, *options, f"root@{address}", "sh", "-s", "--", *made],
            input=ENDS, text=True, capture_output=True, timeout=SECONDS, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:  # it lets somebody in, and hangs
        return False
    return done.returncode == 0
