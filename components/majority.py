"""Whether the swarm outlives an update: most of its managers made anew at once take all that it knows along.

Makes nothing. Asks, in a preview that makes most of them, whether those are there already, by SSH: one that answers and
decides is about to be replaced; one that is new, or dead and being revived, is not. Leaves alone: managers that go, or
become workers, which the first server's command takes out in order (swarm.py), and a single one, whose swarm goes with
it in any case.
"""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Mapping

import pulumi

import settings
from components.host import Host
from settings import swarm

SEVERAL = 3
CONNECT_SECONDS, SECONDS = 5, 20
# Exit status 0: it is a manager, and most of them are there.
ASK = ("apiary-swarm", "decides")
REFUSED = """\
this update makes {names} anew, most managers of the swarm at once, and would end it with all that it knows; nothing was
changed. One at a time: write what is new (`os`, say) at one of them alone, `pulumi up`, and go on with the next when
`make status` shows the swarm whole. Where most are dead, this is not the way either: make recover SERVER=... of one
that is left, then make revive SERVER="..." of the others
"""


async def keep(stack: settings.Stack, hosts: Mapping[str, Host]) -> None:
    """Raises RunError, in a preview, where most managers of the swarm are to be made anew, and one of those lives."""
    managers = swarm.managers(stack)
    if len(managers) < SEVERAL or not pulumi.runtime.is_dry_run():
        return
    made = [name for name in managers if not await hosts[name].server.instance.id.is_known()]
    if len(made) * 2 < len(managers):
        return
    if any(await asyncio.gather(*(_decides(hosts[name]) for name in made))):
        raise pulumi.RunError(REFUSED.format(names=", ".join(made)).strip())


async def _decides(host: Host) -> bool:
    """Whether the server is there, and decides about the swarm."""
    way = pulumi.Output.all(host.server.connection.host, host.server.connection.ssh_options())
    if not await way.is_known():
        return False
    address, options = await way.future() or ("", [])
    patience = ["-o", f"ConnectTimeout={CONNECT_SECONDS}", "-o", "ControlPath=none"]
    try:
        done = await asyncio.to_thread(
            subprocess.run, ["ssh", "-T", *patience, *options, f"root@{address}", *ASK],
            stdin=subprocess.DEVNULL, capture_output=True, timeout=SECONDS, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:  # it lets somebody in, and hangs
        return False
    return done.returncode == 0
