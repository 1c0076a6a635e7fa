"""Which applications are monitors (images/Monitor), and whose sites each watches.

Makes: pure functions of a checked `Stack`. Leaves alone: what else a monitor is told (`monitoring`).
"""

from settings.models import Container, Stack

IMAGE = "Monitor"
# Where it finds what the host has for it, its figures, and the proxy's metrics.
FOLDER, DATA, PROXY = "/run/apiary", "/var/lib/monitor", "/etc/haproxy"


def is_monitor(application: Container) -> bool:
    """Whether an application watches its server."""
    return application.build_dir == IMAGE


def monitors(stack: Stack) -> dict[str, str]:
    """The monitor of each server that has one, by the server's name, in the order of the file."""
    return {stack.server_of(app): name for name, app in stack.applications.items() if is_monitor(app)}


def servers_watched(stack: Stack, name: str) -> list[str]:
    """The servers whose sites a monitor watches: its own, and those that have none where it is the first one."""
    has_one = monitors(stack)
    own = stack.server_of(stack.applications[name])
    is_first = own == next(iter(has_one), own)
    return [server for server in stack.servers if server == own or (is_first and server not in has_one)]


def unwatched(stack: Stack) -> dict[str, str]:
    """What nobody is told of a server that has no monitor where another one has, and the lines to write; by server."""
    has_one = monitors(stack)
    return {
        server: (
            f"server {server} has no monitor, and nobody is told of its backups and rehearsals, disks and memory, jobs "
            f"and containers: a monitor looks at these of its own server alone. Write, under apiary:applications, "
            f'monitor-{server}: {{server: {server}, build_dir: {IMAGE}, volumes: ["metrics-{server}:{DATA}"], backup: '
            "false, memory: 100m}"
        )
        for server in stack.servers
        if has_one and server not in has_one
    }
