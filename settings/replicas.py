"""What an application says that runs several times over, on the servers of the stack's swarm.

Makes: `Replicas`, which applications have, and `refused`, what can't be said beside it, with what to write instead.
Leaves alone: which servers are of the swarm (`swarm`), and whatever needs more than one setting (`checks.swarm`).
"""

from collections.abc import Iterator, Mapping

from pydantic import Field

from settings import kinds as k
from settings.kinds import Settings

MOST = 50
LARGEST_FILE = 500_000  # bytes: Swarm takes a secret of less than 512,000, and none that is empty


class Replicas(Settings):
    """How often an application runs, and where."""

    replicas: int | None = Field(
        default=None,
        description="How many of it run at once, spread over the servers of the swarm (`servers.NAME.swarm`): one that "
        "ends, or whose server does, is started again elsewhere. Left out: one, on its own server, without a swarm.",
        examples=[4],
        ge=1,
        le=MOST,
    )
    servers: list[k.Name] = Field(
        default_factory=list,
        description="Servers of the swarm that its replicas may run on; all of them when left out.",
        examples=[["web1", "web2"]],
    )

    @property
    def is_replicated(self) -> bool:
        """Whether it is a service of the swarm, and no container of one server."""
        return self.replicas is not None


# What belongs to one server, or what Docker's services do not have; and what to write instead.
_ELSEWHERE = "leave replicas out, so that it runs on one server"
REFUSED: Mapping[str, str] = {
    "server": "its replicas run on the servers of the swarm; write servers: [...] to narrow these, or leave it out",
    "volumes": "what is on one server's disk is not there on the others; keep data in a database (db), give it what it "
    f"only reads by files or by its image, or {_ELSEWHERE}",
    "ports": "all replicas of a server would want them; write env.domains and http_port, and each server's proxy leads "
    f"visitors there, or {_ELSEWHERE}",
    "private": "all replicas of a server would want them; containers of the swarm's servers reach it by $NAME without, "
    f"or {_ELSEWHERE}",
    "static_ipv6": f"one address can't be that of several containers; {_ELSEWHERE}",
    "ipv6_web": "each server has a proxy of its own; leave replicas out, and write one proxy for each server",
    "open": f"its replicas have no IPv6 address of their own; {_ELSEWHERE}",
    "dns": "its replicas have no address of their own for these names to lead to; write env.domains, and list them in "
    "dns.web of the servers",
    "ipv4": "the swarm's network is IPv4 alone, and its replicas reach the world over IPv4; leave it out",
    "stateful": f"replicas are several at once; {_ELSEWHERE}",
    "database": f"its replicas would each have data of their own; {_ELSEWHERE}",
    "reach": "the swarm's network has no filter between neighbours; leave it out, and name in env whom it needs: $NAME",
    "renamed_from": "a service can't change its name; write the old name again, or take one out and add the other",
    "devices": f"a service of Docker gets no device; {_ELSEWHERE}",
    "ulimits": f"a service of Docker has none by the plugin; {_ELSEWHERE}",
    "shm_size": 'a service of Docker has none; write tmpfs: {/dev/shm: "size=256m"} instead',
    "pids_limit": f"a service of Docker has none by the plugin; {_ELSEWHERE}",
    "drill": "a rehearsal starts what runs on one server, and nothing of it is saved; leave it out",
    "backup": "it has no volume, so nothing of it is saved; leave it out",
}


def refused(given: Settings) -> Iterator[tuple[str, str]]:
    """Yield each setting of an application with replicas that can't be beside them, and why, with what to do."""
    for word, why in REFUSED.items():
        if word in given.model_fields_set:
            yield word, why
