"""What every object of a stack carries, so that it can be told from all others on a host or in an account.

`make heal` finds what an interrupted update left behind by these labels alone.
"""

from __future__ import annotations

from collections.abc import Mapping

import pulumi
import pulumi_docker as docker

STACK = "apiary.stack"
RESOURCE = "apiary.resource"
INSTANCE = "apiary.instance"
PROXY = "apiary.proxy"
# Whom a container may reach on its server, and whether the proxy may reach it (playbooks/roles/neighbours).
REACH, NOBODY = "apiary.reach", "-"
VISITED = "apiary.visited"
# On a container whose network another one serves in: the name of that one (door.py).
DOOR = "apiary.door"
# It is on the swarm's network too, and is started again when Docker has forgotten it (playbooks/roles/swarm).
OVERLAY = "apiary.overlay"
# Digest of what the Docker plugin would leave as it was when it is taken out of the stack file.
OPTIONS = "apiary.options"


def stack_tag() -> str:
    """The name under which this stack's objects are kept in the Vultr account, e.g. `apiary-prod`."""
    return f"{pulumi.get_project()}-{pulumi.get_stack()}"


def container_labels(
    resource: str, instance_id: pulumi.Input[str], more: Mapping[str, str]
) -> list[docker.ContainerLabelArgs]:
    """Labels of a container; a changed instance id replaces it, which is what carries it to a rebuilt server."""
    return [
        docker.ContainerLabelArgs(label=label, value=value)
        for label, value in _labels(resource, instance_id, more).items()
    ]


def network_labels(resource: str, instance_id: pulumi.Input[str]) -> list[docker.NetworkLabelArgs]:
    """Labels of a network, as `container_labels`."""
    return [
        docker.NetworkLabelArgs(label=label, value=value) for label, value in _labels(resource, instance_id, {}).items()
    ]


def volume_labels(resource: str, instance_id: pulumi.Input[str]) -> list[docker.VolumeLabelArgs]:
    """Labels of a volume, as `container_labels`."""
    return [
        docker.VolumeLabelArgs(label=label, value=value) for label, value in _labels(resource, instance_id, {}).items()
    ]


def _labels(resource: str, instance_id: pulumi.Input[str], more: Mapping[str, str]) -> dict[str, pulumi.Input[str]]:
    # Sorted, because the order of a set must not depend on who wrote it.
    labels: dict[str, pulumi.Input[str]] = {
        STACK: stack_tag(),
        RESOURCE: resource,
        INSTANCE: instance_id,
        **more,
    }
    return dict(sorted(labels.items()))
