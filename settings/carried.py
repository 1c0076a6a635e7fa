"""What goes with a container that moves to another server, and who has to move with it.

Makes: pure functions of a stack. Leaves alone: where a container was before, which only the state knows, and the
carrying (operations/carry.py).
"""

from collections.abc import Iterable

from settings.models import Container, Stack


def has_data(container: Container) -> bool:
    """Whether it has anything on its server that another server lacks."""
    return bool(volumes(container) or folders(container))


def volumes(container: Container) -> list[str]:
    """Return its named volumes, sorted."""
    return sorted({mount.name for mount in container.mounts if mount.name})


def folders(container: Container) -> list[str]:
    """Return the folders of the server that are made where they are not there, sorted."""
    return sorted({str(mount.host_path) for mount in container.mounts if mount.host_path and mount.is_made})


def labels(stack: Stack, name: str) -> list[str]:
    """Return what the container is called on its host, `applications.shop`, and then what it was called before."""
    kind = "applications" if name in stack.applications else "jobs"
    before = stack.containers()[name].renamed_from
    return [f"{kind}.{one}" for one in (name, before) if one]


def placed(stack: Stack, name: str) -> dict[str, str]:
    """Return the server of each container, on whatever server, that has a volume of the name of one of `name`'s."""
    own = set(volumes(stack.containers()[name]))
    return {
        label: stack.server_of(container)
        for other, container in stack.containers().items()
        if own & set(volumes(container))
        for label in labels(stack, other)
    }


def together(stack: Stack, name: str) -> list[str]:
    """Return the containers of its server that share a volume with it, itself among them, in the order of the file;
    none of one with replicas, which has no server of its own.
    """
    server = stack.server_of(stack.containers()[name])
    beside = stack.containers_on(server)
    return list(_sharing(beside[name], beside.items())) if name in beside else []


def _sharing(container: Container, others: Iterable[tuple[str, Container]]) -> Iterable[str]:
    own = set(volumes(container))
    return (name for name, other in others if other is container or own & set(volumes(other)))
