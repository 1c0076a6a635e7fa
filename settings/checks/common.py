"""What the checks share: walking the containers of a draft, and servers that may not exist."""

from collections.abc import Iterator
from typing import NamedTuple

from settings.draft import Draft
from settings.models import Application, Container


class Placed(NamedTuple):
    """A container, where it stands in the stack file, and its server, None when that is not known."""

    section: str
    name: str
    container: Container
    server: str | None


def placed(draft: Draft) -> Iterator[Placed]:
    """Yield every readable application and job."""
    for section, entries in (("applications", draft.stack.applications), ("jobs", draft.stack.jobs)):
        for name, container in entries.items():
            yield Placed(section, name, container, server_of(draft, section, name, container))


def applications_on(draft: Draft, server: str) -> dict[str, Application]:
    """Return the readable applications that are known to run on a server."""
    return {
        name: app
        for name, app in draft.stack.applications.items()
        if server_of(draft, "applications", name, app) == server
    }


def server_of(draft: Draft, section: str, name: str, container: Container) -> str | None:
    """Return the server a container runs on; None when it names none that exists, or leaves open which."""
    if container.server is not None:
        return container.server if container.server in draft.names["servers"] else None
    only = list(draft.names["servers"])
    return only[0] if len(only) == 1 and draft.whole(section, name, "server") else None
