"""Everything that a container needs to find on its server, in one place.

No resource of its own: `__main__.py` makes one for each server and hands it to applications and jobs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import pulumi

import settings
from components.bootstrap import Bootstrap
from components.network import Network
from components.server import Server
from components.volumes import Volumes


@dataclass(frozen=True)
class Host:
    """A server that is ready for containers."""

    server: Server
    bootstrap: Bootstrap
    network: Network
    volumes: Volumes
    plan: pulumi.Output[settings.Plan]  # its addresses
    private_ip: str | None  # its address on the stack's private network
    with_static_ipv6: frozenset[str]  # applications that have a static IPv6 address in the plan
    filled: Mapping[str, pulumi.Resource]  # by volume: what fills it from a backup, before a container uses it
    # By container: what brings its volumes from another server before. Added when all hosts are known.
    carried: dict[str, pulumi.Resource] = field(default_factory=dict)
