"""What applications and jobs have in common: one docker.Container with this project's defaults.

All capabilities dropped but those named, no new privileges, an init as process 1, bounded logs, no fixed name.
The spellings are those which the Docker plugin finds unchanged at the next update (docs/decisions).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

import pulumi
import pulumi_docker as docker

from components.host import Host
from components.host_paths import host_paths
from components.image import Image
from components.labels import OPTIONS, container_labels
from settings import Container

# The plugin reports a change of these as an update in place and never applies it.
NEVER_APPLIED = ["healthcheck", "init", "tmpfs"]
LOG_OPTIONS = {"max-size": "10m", "max-file": "3"}


def renamed(settings: Container) -> pulumi.ResourceOptions:
    """Options of a component whose container had another name before.

    What the component is made of takes part in it, since all of that is called `NAME` or `NAME-...`. Without
    this a new component would be made before the old one goes, and find its port or address taken.
    """
    old = settings.renamed_from
    return pulumi.ResourceOptions(aliases=[pulumi.Alias(name=old)] if old else None)


def container(
    name: str,
    kind: str,
    settings: Container,
    *,
    environment: Mapping[str, pulumi.Input[str]],
    image: Image,
    host: Host,
    stop_first: bool,
    opts: pulumi.ResourceOptions,
    network: docker.ContainerNetworksAdvancedArgs,
    labels: Mapping[str, str] | None = None,
    optional: Sequence[object] = (),
    folders: Sequence[docker.ContainerVolumeArgs] = (),
    **more: Any,  # noqa: ANN401 - further arguments of docker.Container
) -> docker.Container:
    """A container of `settings` on `host`, under Pulumi's automatic name.

    `kind` is `applications` or `jobs`. With `stop_first` a replacement removes the old container before it
    makes the new one; without it both run side by side until all of the update has succeeded. `optional` are
    further settings that replace the container when they are taken away. `folders` are mounted beside its own volumes.
    """
    inputs: dict[str, Any] = dict(
        image=image.tag,
        envs=_environment(environment),
        command=settings.command,
        user=settings.user,
        volumes=[
            docker.ContainerVolumeArgs(
                volume_name=host.volumes.by_name[mount.name].name if mount.name else None,
                host_path=mount.host_path,
                container_path=mount.path,
                read_only=mount.read_only,
            )
            for mount in settings.mounts
        ]
        + list(folders),
        networks_advanced=[network],
        labels=container_labels(
            f"{kind}.{name}",
            host.server.instance.id,
            {**(labels or {}), OPTIONS: _digest(settings.command, settings.user, settings.memory, *optional)},
        ),
        capabilities=docker.ContainerCapabilitiesArgs(drops=["ALL"], adds=list(settings.docker_capabilities)),
        security_opts=["no-new-privileges:true"],
        init=True,
        read_only=settings.read_only,
        tmpfs=dict(settings.tmpfs) or None,
        memory=settings.memory_mib,
        memory_swap=settings.memory_mib,
        cpus=settings.cpus,
        log_driver="json-file",
        log_opts=LOG_OPTIONS,
        # The first is the plugin's, when it removes the container; the second is Docker's, whoever stops it.
        destroy_grace_seconds=settings.grace_seconds,
        stop_timeout=settings.grace_seconds,
        **more,
    )
    volumes = {mount.name for mount in settings.mounts if mount.name}
    filled = {id(one): one for volume, one in host.filled.items() if volume in volumes}
    present = host_paths(f"{kind}.{name}", settings, _inputs_digest(inputs), host, opts.parent)
    return docker.Container(
        name,
        **inputs,
        opts=pulumi.ResourceOptions.merge(
            opts,
            pulumi.ResourceOptions(
                provider=host.server.provider,
                depends_on=[host.bootstrap, image, *present, *filled.values()],
                deleted_with=host.server.instance,
                # Given in both cases, because the plugin asks for deletion first when nothing is said.
                delete_before_replace=stop_first,
                replace_on_changes=NEVER_APPLIED,
                additional_secret_outputs=["envs"],
            ),
        ),
    )


def _digest(*options: object) -> str:
    return hashlib.sha256(json.dumps(options, sort_keys=True).encode()).hexdigest()[:12]


def _inputs_digest(inputs: Mapping[str, Any]) -> pulumi.Output[str]:
    """Another one whenever the container is; secret as soon as anything in it is."""
    return pulumi.Output.from_input(dict(inputs)).apply(
        lambda known: hashlib.sha256(json.dumps(known, sort_keys=True, default=vars).encode()).hexdigest()
    )


def _environment(environment: Mapping[str, pulumi.Input[str]]) -> list[pulumi.Input[str]]:
    """One input a variable: the plugin shows a list that is unknown as a whole as no change in a preview."""
    return [pulumi.Output.concat(key, "=", value) for key, value in sorted(environment.items())]
