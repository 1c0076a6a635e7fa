"""An application: a container that stays up, and its releases.

Makes a docker.Container, a command that waits until the release is proven alive, and, where the proxy routes
visitors to it, a command that drains the release when it goes. A release goes like this:

  rolling     new container -> await (healthy) -> verdict (verdict.py) -> drain the old one -> remove it
  stop first  remove the old container with its grace period -> new container -> await -> verdict
  the proxy   new container, in the network of its door (door.py), serving beside the old one -> await -> stop the old
              one, when what it still serves has ended -> verdict -> remove it

It stops first where two containers can't run side by side: published ports, a static address, a volume that it
writes to, `stateful`; but for the proxy, whose image knows how. The command that awaits is named after the one that
happens, so that a preview says which. A release that does not come up fails the update with the container's last log
lines; a rolling one leaves the old container serving.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_docker as docker
from pulumi_command import remote

import settings
from components.container import container, limits, renamed
from components.docker_access import DockerAccess
from components.door import Door, joined
from components.host import Host
from components.image import Image
from components.labels import PROXY
from components.monitoring import Monitoring
from settings import Neighbours
from settings.entries import first
from settings.swarm import DRAIN_SECONDS


@dataclass(frozen=True)
class ApplicationArgs:
    """One application of the stack file, with everything resolved."""

    settings: settings.Application
    environment: Mapping[str, pulumi.Input[str]]  # by the names that the container knows
    contents: Mapping[str, pulumi.Input[str]]  # of its files, by their paths
    neighbours: Neighbours  # whom it may reach on its server
    # What it has of its host: access to the jobs it refers to, what it is to watch.
    given: Sequence[DockerAccess | Monitoring] = ()
    after: Sequence[pulumi.Resource] = ()  # what has to be done before it starts: the jobs that make its databases
    overlay: pulumi.Input[str] | None = None  # the swarm's network, where it is on that too


class Application(pulumi.ComponentResource):
    """One application on one host."""

    container: docker.Container
    done: pulumi.Output[str]  # known when its release is proven

    def __init__(
        self,
        name: str,
        args: ApplicationArgs,
        image: Image,
        host: Host,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        opts = pulumi.ResourceOptions.merge(renamed(args.settings), opts)
        super().__init__("apiary:docker:Application", name, None, opts)
        own = args.settings
        network, ports = _network(name, own, host), _ports(own, host)
        where: dict[str, Any] = {"network": network, "overlay": args.overlay, "ports": ports}
        if own.has_door:
            door = Door(
                f"{name}-door",
                own,
                args.neighbours,
                image,
                host,
                network=network,
                ports=ports,
                overlay=args.overlay,
                opts=renamed(own, "-door"),
            )
            where = {
                "network": None,
                "network_mode": pulumi.Output.concat("container:", door.container.id),
                **joined(own),
            }
        self.container = container(
            name,
            "applications",
            own,
            environment=args.environment,
            contents=args.contents,
            neighbours=args.neighbours,
            image=image,
            host=host,
            stop_first=not own.is_rolling,
            labels={PROXY: "true"} if own.ipv6_web else None,
            restart=own.restart,
            **where,
            healthcheck=_healthcheck(own.health),
            # The rest of `health` is a question to the container, and makes no other one of it.
            optional=[own.health.model_dump(include={"test", "interval", "retries", "start_period"})],
            folders=[one.folder for one in args.given],
            opts=pulumi.ResourceOptions(parent=self, depends_on=[*args.given, *args.after]),
        )
        question = _question(own)
        released = remote.Command(
            f"{name}-{'rolling' if own.is_rolling else 'stop-first'}-release",
            connection=host.server.connection.command(),
            create=self.container.id.apply(lambda made: _release(own, made, question)),
            # Another limit, or another way to connect, is no reason to prove it again; another question is.
            update="true",
            triggers=[self.container.id, *question],
            logging=remote.Logging.STDOUT_AND_STDERR,
            add_previous_output_in_env=False,
            opts=pulumi.ResourceOptions(
                parent=self,
                depends_on=limits(name, own, self.container, host, self),
                deleted_with=host.server.instance,
            ),
        )
        self.done = released.id
        if args.settings.domains and own.is_rolling:
            # Replaced with the container: its `delete` then names the old container, after everything new is up and
            # before the old one goes. Not its addresses: after a reboot they may be another container's.
            remote.Command(
                f"{name}-drain",
                connection=host.server.connection.command(),
                create="true",
                update="true",
                delete=self.container.id.apply(lambda made: f"apiary-drain {made} {name} --limit {DRAIN_SECONDS}"),
                triggers=[self.container.id],
                add_previous_output_in_env=False,
                opts=pulumi.ResourceOptions(parent=self, depends_on=[released], deleted_with=host.server.instance),
            )
        self.register_outputs({"container": self.container.name})


def _release(own: settings.Application, container: str, question: list[str]) -> str:
    """What proves a container that has just been made, and lets the one of before go."""
    steps = [f"apiary-await {container} {shlex.join(['--timeout', str(own.health.timeout), *question])}"]
    if own.has_door:
        steps.append(f"apiary-door handover {container} --limit {DRAIN_SECONDS}")
    return " && ".join(steps)


def _network(name: str, own: settings.Application, host: Host) -> docker.ContainerNetworksAdvancedArgs:
    return docker.ContainerNetworksAdvancedArgs(
        name=host.network.id,
        aliases=[name],
        ipv6_address=_static_ipv6(name, host),
        ipv4_address=_fixed_ipv4(name, own, host),
    )


def _ports(own: settings.Application, host: Host) -> list[docker.ContainerPortArgs]:
    return [
        # IPv4 alone: over IPv6 the container is reached on its own address.
        docker.ContainerPortArgs(
            internal=port.container,
            external=port.host,
            protocol=port.proto,
            ip="0.0.0.0",  # noqa: S104
        )
        for port in own.published
    ] + [
        docker.ContainerPortArgs(internal=port.container, external=port.host, protocol=port.proto, ip=host.private_ip)
        for port in own.private_published
    ]


def _static_ipv6(name: str, host: Host) -> pulumi.Output[str] | None:
    if name not in host.with_static_ipv6:
        return None
    return host.plan.apply(lambda addresses: addresses.statics[name])


def _fixed_ipv4(name: str, own: settings.Application, host: Host) -> pulumi.Output[str] | None:
    if own.ipv4 and name not in host.with_static_ipv6:
        return None
    return host.plan.apply(lambda addresses: addresses.ipv4_statics[name])


def _healthcheck(health: settings.Health) -> docker.ContainerHealthcheckArgs | None:
    if not health.test:
        return None
    return docker.ContainerHealthcheckArgs(
        tests=list(health.test),
        interval=health.interval,
        retries=health.retries,
        start_period=health.start_period,
        timeout="5s",
    )


def _question(own: settings.Application) -> list[str]:
    """What a container with domains is asked, as the proxy will ask it: nothing of any other."""
    if not (own.domains and own.http_port):
        return []
    return ["--http", str(own.http_port), own.health.path, own.health.status, first(own.domains).asked]
