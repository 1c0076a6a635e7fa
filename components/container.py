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
from pulumi_command import remote

from components.files import files
from components.host import Host
from components.host_paths import host_paths
from components.image import Image
from components.labels import NOBODY, OPTIONS, OVERLAY, PROXY, REACH, VISITED, container_labels
from settings import Container, Neighbours
from settings.options import NEVER_APPLIED, arguments, missed

LOG_OPTIONS = {"max-size": "10m", "max-file": "3"}


def renamed(settings: Container, tail: str = "") -> pulumi.ResourceOptions:
    """Options of a component whose container had another name before.

    What the component is made of takes part in it, since all of that is called `NAME` or `NAME-...`. Without
    this a new component would be made before the old one goes, and find its port or address taken. `tail` is what the
    component's own name adds to the container's.
    """
    old = settings.renamed_from
    return pulumi.ResourceOptions(aliases=[pulumi.Alias(name=f"{old}{tail}")] if old else None)


def container(
    name: str,
    kind: str,
    settings: Container,
    *,
    environment: Mapping[str, pulumi.Input[str]],
    contents: Mapping[str, pulumi.Input[str]],
    neighbours: Neighbours,
    image: Image,
    host: Host,
    stop_first: bool,
    opts: pulumi.ResourceOptions,
    network: docker.ContainerNetworksAdvancedArgs | None,
    overlay: pulumi.Input[str] | None = None,
    labels: Mapping[str, str] | None = None,
    optional: Sequence[object] = (),
    folders: Sequence[docker.ContainerVolumeArgs] = (),
    **more: Any,  # noqa: ANN401 - further arguments of docker.Container
) -> docker.Container:
    """A container of `settings` on `host`, under Pulumi's automatic name.

    `kind` is `applications` or `jobs`. With `stop_first` a replacement removes the old container before it
    makes the new one; without it both run side by side until all of the update has succeeded. `network` is None when
    `more` says whose it joins. `overlay` is the id of the swarm's network, of a container that is on that too.
    `optional` are further settings that replace the container when they are taken away. `folders` are mounted beside
    its own volumes.
    """
    sent, files_of_it = files(name, settings, contents, host, opts.parent)
    inputs: dict[str, Any] = dict(
        image=image.tag,
        envs=_environment(environment),
        volumes=[
            docker.ContainerVolumeArgs(
                volume_name=host.volumes.by_name[mount.name].name if mount.name else None,
                host_path=mount.host_path,
                container_path=mount.path,
                read_only=mount.read_only,
            )
            for mount in settings.mounts
        ]
        + [*folders, *files_of_it],
        networks_advanced=networks(network, overlay),
        labels=container_labels(
            f"{kind}.{name}",
            host.server.instance.id,
            {
                **settings.labels,
                **ways(neighbours),
                **({OVERLAY: "true"} if overlay else {}),
                **(labels or {}),
                OPTIONS: digest(missed(settings, optional)),
            },
        ),
        security_opts=["no-new-privileges:true"],
        log_driver="json-file",
        log_opts=LOG_OPTIONS,
        **{**arguments(settings), **more},
    )
    volumes = {mount.name for mount in settings.mounts if mount.name}
    filled = {id(one): one for volume, one in host.filled.items() if volume in volumes}
    carried = [host.carried[name]] if name in host.carried else []
    present = host_paths(f"{kind}.{name}", settings, inputs, host, opts.parent)
    return docker.Container(
        name,
        **inputs,
        opts=pulumi.ResourceOptions.merge(
            opts,
            pulumi.ResourceOptions(
                provider=host.server.provider,
                depends_on=[host.bootstrap, image, *sent, *present, *filled.values(), *carried],
                deleted_with=host.server.instance,
                # Given in both cases, because the plugin asks for deletion first when nothing is said.
                delete_before_replace=stop_first,
                replace_on_changes=NEVER_APPLIED,
                additional_secret_outputs=["envs"],
            ),
        ),
    )


def limits(
    name: str, settings: Container, made: docker.Container, host: Host, parent: pulumi.Resource
) -> list[pulumi.Resource]:
    """What a release or a run of the container waits for: the Docker plugin knows no limit of processes.

    Docker keeps it with the container, over restarts too.
    """
    if settings.pids_limit is None:
        return []
    limited = remote.Command(
        f"{name}-pids-limit",
        connection=host.server.connection.command(),
        create=pulumi.Output.concat(f"docker update --pids-limit {settings.pids_limit} ", made.id, " >/dev/null"),
        update="true",
        triggers=[made.id],
        add_previous_output_in_env=False,
        opts=pulumi.ResourceOptions(parent=parent, deleted_with=host.server.instance),
    )
    return [limited]


def networks(
    own: docker.ContainerNetworksAdvancedArgs | None, overlay: pulumi.Input[str] | None
) -> list[docker.ContainerNetworksAdvancedArgs] | None:
    """The networks of a container: its server's, and the swarm's of that id; None for one that joins another's."""
    if own is None:
        return None
    return [own, *([docker.ContainerNetworksAdvancedArgs(name=overlay)] if overlay else [])]


def ways(neighbours: Neighbours) -> dict[str, str]:
    """The labels that say whom a container reaches. All are always said: those of the image would be the container's
    otherwise. A container without `REACH` is older than the filter, and let be until it is replaced.
    """
    reached = ",".join(neighbours.reached) or NOBODY
    return {PROXY: "false", REACH: reached, VISITED: "true" if neighbours.is_visited else "false"}


def digest(options: Sequence[object]) -> str:
    """What a label says of settings that the plugin would not miss."""
    return hashlib.sha256(json.dumps(options, sort_keys=True).encode()).hexdigest()[:12]


def _environment(environment: Mapping[str, pulumi.Input[str]]) -> list[pulumi.Input[str]]:
    """One input a variable: the plugin shows a list that is unknown as a whole as no change in a preview."""
    return [_variable(key, value) for key, value in sorted(environment.items())]


def _variable(key: str, value: pulumi.Input[str]) -> pulumi.Input[str]:
    return f"{key}={value}" if isinstance(value, str) else pulumi.Output.concat(key, "=", value)
