"""An application that runs several times over: a service of the swarm, and its releases.

Makes a docker.Service, a secret or a config of the swarm for each of its files, and three commands: one that refuses
an image that can't be asked for its health, one that waits until the release is through, and one that stops all
replicas before the service goes. A release starts a new replica, waits until it is healthy, stops an old one, and so
on; where one does not get healthy Swarm takes all of it back by itself, and the second command fails with the failed
replica's last lines: the old ones serve. A server that is new, has come back, is emptied or goes is a release too:
Swarm gives it replicas, and takes them from it while they serve, by no other way. Each ends with the replicas spread
evenly: a release replaces one by one, and may leave a server none.
Images are on every server that a replica may run on before the release begins.
Leaves alone: the proxies, which find the replicas by name, and what visitors get, which is the verdict's (verdict.py).
"""

from __future__ import annotations

import hashlib
import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_docker as docker
from pulumi_command import remote

import settings
from components import first_manager
from components.host import Host
from components.image import Image
from components.labels import RESOURCE, STACK, stack_tag
from components.replicated_files import given
from components.server import apart, later
from components.swarm import Swarm
from settings import image_texts, options
from settings import swarm as spread
from settings.container_texts import go_duration

# How often a replica is asked for its health where nothing else is written: a release waits for the first time.
INTERVAL = "5s"
CHECK_TIMEOUT = "5s"
SPARE_SECONDS = 60
CONDITIONS = {"no": "none", "on-failure": "on-failure", "always": "any", "unless-stopped": "any"}
MIB = 2**20


@dataclass(frozen=True)
class ReplicatedArgs:
    """One application of the stack file, with everything resolved."""

    settings: settings.Application
    environment: Mapping[str, pulumi.Input[str]]  # by the names that the container knows
    contents: Mapping[str, pulumi.Input[str]]  # of its files, by their paths
    elsewhere: Sequence[str]  # servers of the swarm that it must not run on
    images: Sequence[Image]  # the same one, on each server that it may run on
    checked: Host  # one of these servers, on which the image is looked at
    instances: Sequence[pulumi.Output[str]]  # of the servers that it is spread over
    after: Sequence[pulumi.Output[Any]] = ()  # each known when it is done: what comes before


class Replicated(pulumi.ComponentResource):
    """One application over the servers of a swarm."""

    service: docker.Service
    done: pulumi.Output[str]  # known when its release is through, and another one for each

    def __init__(
        self, name: str, args: ReplicatedArgs, swarm: Swarm, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("apiary:docker:Replicated", name, None, opts)
        own, manager = args.settings, swarm.manager
        connection = manager.server.connection.command()
        # What it waits for is of single servers, and the service is not: it must not go with one of them.
        waits = [*(image.command.id for image in args.images), *args.after]
        tag = later(apart(args.images[0].tag).apply(image_texts.shortest), waits)
        if own.health.test is None:
            checked = remote.Command(
                f"{name}-health",
                connection=args.checked.server.connection.command(),
                create=tag.apply(lambda known: f"apiary-replicas checked {shlex.join([name, known])}"),
                update="true",
                triggers=[tag],
                add_previous_output_in_env=False,
                opts=pulumi.ResourceOptions(parent=self, deleted_with=args.checked.server.instance),
            )
            tag = later(tag, [checked.id])
        files = given(name, own, args.contents, swarm, self)

        def task_spec(number: pulumi.Output[int]) -> docker.ServiceTaskSpecArgs:
            return docker.ServiceTaskSpecArgs(
                container_spec=_container_spec(own, args.environment, tag, files),
                force_update=number,
                networks_advanceds=[docker.ServiceTaskSpecNetworksAdvancedArgs(id=swarm.network.id)],
                # Always, also empty, as the limits and the nameservers: what is left out the plugin lets be as it was.
                placement=docker.ServiceTaskSpecPlacementArgs(
                    constraints=[f"node.labels.apiary.server!={server}" for server in sorted(args.elsewhere)]
                ),
                resources=_resources(own),
                # All four: the plugin sends what is left out as nothing, and reads something else back.
                restart_policy=docker.ServiceTaskSpecRestartPolicyArgs(
                    condition=CONDITIONS[own.restart], delay="2s", max_attempts=0, window="0s"
                ),
            )

        # Another one for other servers, and by which a release that was taken back is told from this one; one replica
        # more is none. No label says so: for another one the plugin replaces the service, with all replicas at once.
        over = pulumi.Output.all(*(apart(one) for one in args.instances)).apply(lambda known: " ".join(sorted(known)))
        release = _digest({"task_spec": task_spec(over.apply(_number))}).apply(lambda known: str(_number(known)))
        answers = first_manager.reached(name, release, swarm.first, manager.server.connection, self)
        inputs: dict[str, Any] = {
            "task_spec": task_spec(later(release, [answers.id]).apply(int)),
            "mode": docker.ServiceModeArgs(replicated=docker.ServiceModeReplicatedArgs(replicas=own.replicas)),
        }
        self.service = docker.Service(
            name,
            # By which it is found: the name is the alias of all replicas at once.
            name=name,
            labels=[
                docker.ServiceLabelArgs(label=RESOURCE, value=f"applications.{name}"),
                docker.ServiceLabelArgs(label=STACK, value=stack_tag()),
            ],
            # Each replica's own address in the name's answers: there is no other between the proxies and them.
            endpoint_spec=docker.ServiceEndpointSpecArgs(mode="dnsrr"),
            update_config=docker.ServiceUpdateConfigArgs(
                parallelism=1,
                delay="2s",
                failure_action="rollback",
                monitor="5s",
                max_failure_ratio="0.0",
                order="start-first",
            ),
            rollback_config=docker.ServiceRollbackConfigArgs(
                parallelism=1,
                delay="0s",
                failure_action="pause",
                monitor="5s",
                max_failure_ratio="0.0",
                order="start-first",
            ),
            **inputs,
            opts=pulumi.ResourceOptions(
                parent=self,
                provider=manager.server.provider,
                depends_on=list(swarm.joined.values()),
                deleted_with=swarm.begun,
                # What another swarm has it does not: it is made there first, and the old one is only forgotten.
                replace_with=[swarm.begun],
                additional_secret_outputs=["taskSpec"],
                # Of an image that a registry has, the plugin asks for these by itself as it makes the service.
                ignore_changes=["taskSpec.placement.platforms"],
            ),
        )
        grace = spread.grace(own)
        one = own.health.timeout + grace
        seconds = int(own.replicas or 1) * one + SPARE_SECONDS
        awaited = remote.Command(
            f"{name}-replicas-release",
            connection=connection,
            create=pulumi.Output.concat(
                f"apiary-replicas await {shlex.quote(name)} --timeout {seconds} --release ",
                release,
                f" && apiary-replicas spread {shlex.quote(name)} {own.replicas} --timeout {one + SPARE_SECONDS}",
            ),
            # Another limit, or another way to connect, is no reason to prove it again.
            update="true",
            # As one value: in a list the Command plugin refuses a secret that is not known yet.
            triggers=pulumi.Output.all(self.service.id, _digest(inputs)),
            logging=remote.Logging.STDOUT_AND_STDERR,
            add_previous_output_in_env=False,
            opts=pulumi.ResourceOptions(parent=self, depends_on=[self.service], deleted_with=manager.server.instance),
        )
        self.done = awaited.id
        # The plugin's own removal of a service gives its containers the grace period to be gone, from before they are
        # told to stop: who takes all of it has it fail, for good, because the service has gone by then.
        remote.Command(
            f"{name}-replicas-stop",
            connection=connection,
            create="true",
            update="true",
            # By its number: a swarm that was begun anew has another service of that name by then. A server that has
            # left the swarm has none, and not the program either.
            delete=pulumi.Output.concat(
                "! command -v apiary-replicas >/dev/null || apiary-replicas stop ",
                self.service.id,
                f" --timeout {grace + SPARE_SECONDS}",
            ),
            triggers=[self.service.id],
            add_previous_output_in_env=False,
            opts=pulumi.ResourceOptions(parent=self, depends_on=[self.service], deleted_with=manager.server.instance),
        )
        self.register_outputs({"service": self.service.name})


def _container_spec(
    own: settings.Application,
    environment: Mapping[str, pulumi.Input[str]],
    tag: pulumi.Output[str],
    files: Mapping[str, Any],
) -> docker.ServiceTaskSpecContainerSpecArgs:
    """Its options under the names that services have for them; those that they lack are refused (settings/replicas)."""
    health = own.health
    interval = health.interval if health.test is not None and "interval" in health.model_fields_set else INTERVAL
    return docker.ServiceTaskSpecContainerSpecArgs(
        image=tag,
        env=dict(sorted(environment.items())),
        commands=own.entrypoint or None,
        args=own.command or None,
        user=own.user,
        dir=own.working_dir,
        hostname=own.hostname,
        groups=[str(group) for group in own.group_add] or None,
        # The image says whose stack it is of; what Swarm starts and stops is nobody's else to look after (make heal).
        labels=[
            docker.ServiceTaskSpecContainerSpecLabelArgs(label=label, value=str(value))
            for label, value in sorted({**own.labels, STACK: f"{stack_tag()}, by its swarm"}.items())
        ],
        read_only=own.read_only or None,
        init=own.init,
        stop_signal=own.stop_signal,
        stop_grace_period=short_duration(go_duration(1000 * spread.grace(own))),
        cap_drops=["ALL"],
        cap_adds=sorted({f"CAP_{capability}" for capability in own.capabilities}) or None,
        sysctl={name: str(value) for name, value in sorted(own.sysctls.items())} or None,
        hosts=[
            docker.ServiceTaskSpecContainerSpecHostArgs(host=name, ip=own.extra_hosts[name])
            for name in sorted(own.extra_hosts)
        ]
        or None,
        dns_config=docker.ServiceTaskSpecContainerSpecDnsConfigArgs(nameservers=list(own.nameservers)),
        mounts=[_tmpfs(path, text) for path, text in sorted(own.tmpfs.items())] or None,
        # What is left out of it is the image's.
        healthcheck=docker.ServiceTaskSpecContainerSpecHealthcheckArgs(
            tests=list(health.test) if health.test else None,
            interval=short_duration(interval),
            timeout=CHECK_TIMEOUT if health.test else "0s",
            start_period=short_duration(health.start_period) if health.test else "0s",
            retries=health.retries if health.test else 0,
        ),
        **files,
    )


def _tmpfs(path: str, text: str) -> docker.ServiceTaskSpecContainerSpecMountArgs:
    said = dict(part.split("=", 1) for part in text.split(",") if part)
    units = {"k": 2**10, "m": MIB, "g": 2**30}
    size = said.get("size", "0")
    amount = int(size.rstrip("kmg")) * units.get(size[-1], 1)
    return docker.ServiceTaskSpecContainerSpecMountArgs(
        type="tmpfs",
        target=path,
        tmpfs_options=docker.ServiceTaskSpecContainerSpecMountTmpfsOptionsArgs(
            size_bytes=amount, mode=int(said["mode"], 8) if "mode" in said else None
        ),
    )


def _resources(own: options.Options) -> docker.ServiceTaskSpecResourcesArgs:
    return docker.ServiceTaskSpecResourcesArgs(
        limits=docker.ServiceTaskSpecResourcesLimitsArgs(
            memory_bytes=(own.memory_mib or 0) * MIB, nano_cpus=round(float(own.cpus or 0) * 1e9)
        )
    )


def short_duration(text: str) -> str:
    """A duration as the plugin reads it back of a service: `1m`, where a container has `1m0s`."""
    text = text.removesuffix("0s") if text.endswith("m0s") else text
    return text.removesuffix("0m") if text.endswith("h0m") else text


def _number(text: str) -> int:
    """Another one for another text."""
    return int(hashlib.sha256(text.encode()).hexdigest()[:7], 16)


def _digest(inputs: Mapping[str, Any]) -> pulumi.Output[str]:
    """Another one whenever the service is; secret as soon as anything in it is."""
    return pulumi.Output.from_input(dict(inputs)).apply(
        lambda known: hashlib.sha256(json.dumps(known, sort_keys=True, default=vars).encode()).hexdigest()[:16]
    )
