"""The stack file as typed models.

Makes: `Stack`, and one place to import every model from. Each setting has its type, its default (stated there
and nowhere else), what it does and an example; `docs/configuration.md` and the remedies in error messages are
made from these lines. Leaves alone: whatever needs more than one setting (`checks`), and reading a file
(`loading`).
"""

from collections.abc import Mapping
from typing import TypeVar

from pydantic import Field

from settings import kinds as k
from settings.addresses import private_net
from settings.alerts import Alerts, Mail, Ntfy
from settings.backups import Backup, Backups, Keep
from settings.containers import Application, Container, Health, Job
from settings.hosts import Data, Dns, Record, Server, Swarm, Zone
from settings.kinds import Settings
from settings.sources import Git, Registry

__all__ = [
    "Alerts",
    "Application",
    "Backup",
    "Backups",
    "Container",
    "Data",
    "Dns",
    "Git",
    "Health",
    "Job",
    "Keep",
    "Mail",
    "Ntfy",
    "Record",
    "Registry",
    "Server",
    "Settings",
    "Stack",
    "Swarm",
    "Zone",
]


C = TypeVar("C", bound=Container)


class Stack(Settings):
    """A whole stack file."""

    name: k.Argument = Field(description="Name of the Pulumi stack.", examples=["prod"], exclude=True)
    servers: dict[k.Name, Server] = Field(
        description="Servers by name.",
        examples=[{"web1": {"plan": "vc2-1c-2gb", "region": "ewr", "os": 2136}}],
    )
    applications: dict[k.Name, Application] = Field(
        default_factory=dict,
        description="Applications by name.",
        examples=[{"haproxy": {"build_dir": "HAProxy", "ipv6_web": True, "ports": [80, 443]}}],
    )
    jobs: dict[k.Name, Job] = Field(
        default_factory=dict,
        description="Jobs by name.",
        examples=[{"hasetup": {"build_dir": "HAProxySetup"}}],
    )
    zones: dict[k.Domain, Zone] = Field(
        default_factory=dict, description="Zones by domain name.", examples=[{"example.com": {"ttl": 300}}]
    )
    swarm: Swarm | None = Field(
        default=None,
        description="The network of the servers that say `swarm`; all defaults when left out.",
        examples=[{"encrypted": True}],
    )
    alerts: Alerts | None = Field(
        default=None,
        description="Whom the applications of images/Monitor tell when something is wrong.",
        examples=[{"ntfy": {"url": "https://ntfy.sh/my-hive-7f3a"}}],
    )
    secrets: dict[k.SecretName, k.Argument] = Field(
        default_factory=dict,
        description="Secrets by name, for `_secrets^NAME`; set with `pulumi config set --secret`.",
        examples=[{"mail_password": "..."}],
        repr=False,
    )
    registries: dict[k.RegistryHost, Registry] = Field(
        default_factory=dict,
        description="Private registries by their hosts, as the names of images begin; `docker.io` is Docker Hub.",
        examples=[{"ghcr.io": {"user": "shop-bot", "password": "_secrets^registry"}}],
    )
    backups: Backups | None = Field(
        default=None,
        description="Backups of all servers; none when left out.",
        examples=[{"repository": "s3:https://ewr1.vultrobjects.com/my-hive"}],
    )

    def containers(self) -> dict[str, Container]:
        """Every application and job by name, applications first."""
        return {**self.applications, **self.jobs}

    def server_of(self, container: Container) -> str:
        """Name of the server a container runs on; of replicas, the manager that is told of them (`swarm.runs_on`)."""
        if isinstance(container, Application) and container.is_replicated:
            managers = [name for name, server in self.servers.items() if server.swarm == "manager"]
            return [*managers, *self.servers][0]
        return container.server or next(iter(self.servers))

    def containers_on(self, server: str) -> dict[str, Container]:
        """The applications and jobs of a server by name, applications first, those with replicas left out."""
        return {**self.applications_on(server), **_on(self, self.jobs, server)}

    def applications_on(self, server: str) -> dict[str, Application]:
        """The applications of a server by name, those with replicas left out."""
        own = {name: app for name, app in self.applications.items() if not app.is_replicated}
        return _on(self, own, server)

    def led_to(self, server: str) -> dict[str, Application]:
        """The applications that a server's proxy may lead to, by name: its own, and those with replicas of a domain
        that the server answers for.
        """
        web = set(self.servers[server].dns.web)
        return {
            name: app
            for name, app in self.applications.items()
            if (any(entry.host in web for entry in app.entries) if app.is_replicated else self.server_of(app) == server)
        }

    def registries_on(self, server: str) -> dict[str, Registry]:
        """The registries that a server may need, by host: of its images, and all where it builds any."""
        spread = [app for app in self.applications.values() if app.is_replicated and self.servers[server].swarm]
        there = [*self.containers_on(server).values(), *spread]
        return {
            host: registry
            for host, registry in self.registries.items()
            if any(container.registry in (None, host) for container in there)
        }

    def private_peers(self, server: str) -> dict[str, str]:
        """The private addresses of the other servers on a server's private network, by name; none without one."""
        own = self.servers[server]
        return {
            name: other.private_ip
            for name, other in self.servers.items()
            if name != server and own.private_ip and other.private_ip and other.region == own.region
        }

    def private_nets(self) -> dict[str, str]:
        """The private network of each region that has one, in CIDR."""
        return {
            server.region: str(private_net(server.private_ip)) for server in self.servers.values() if server.private_ip
        }


def _on(stack: Stack, containers: Mapping[str, C], server: str) -> dict[str, C]:
    return {name: made for name, made in containers.items() if stack.server_of(made) == server}
