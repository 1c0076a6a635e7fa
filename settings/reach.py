"""What visitors may reach of a server's containers, as pure functions of a checked stack.

Makes: what the cloud firewall has to let through for them. Leaves alone: whether an application may open what it
opens (`checks.reach`), and opening anything (the components do).
"""

from collections.abc import Iterable
from dataclasses import dataclass

from settings.containers import Application
from settings.models import Stack


@dataclass(frozen=True, order=True)
class Opening:
    """Ports that anybody may reach, at whatever address of the server."""

    protocol: str  # tcp or udp
    port: str  # `80`, or a range as Vultr spells it, `6000:6010`
    family: str  # v4 or v6


def openings(stack: Stack, server: str) -> list[Opening]:
    """Return what a server's applications publish and open, sorted."""
    return openings_of(stack.applications_on(server).values(), is_nat=stack.servers[server].ipv6.is_nat)


def openings_of(applications: Iterable[Application], *, is_nat: bool) -> list[Opening]:
    """Return what applications publish and open, sorted: over IPv4 the server's ports, over IPv6 the containers' own.

    With `nat` it is the server's over both. SSH's port is left out: the firewall has rules of its own for it.
    """
    found: set[Opening] = set()
    for app in applications:
        for family in ("v4", "v6") if is_nat else ("v4",):
            found |= {Opening(of[0].proto, _range(of[0].host, of[-1].host), family) for of in app.ports_published}
        if app.has_address and not is_nat:
            found |= {Opening(opened.proto, _range(opened.first, opened.last), "v6") for opened in app.opened}
    return sorted(opening for opening in found if (opening.protocol, opening.port) != ("tcp", "22"))


def _range(first: int, last: int) -> str:
    return str(first) if first == last else f"{first}:{last}"
