"""What the checks share: walking the containers of a draft, and servers that may not exist."""

from collections.abc import Iterator
from contextlib import suppress
from typing import NamedTuple

from settings import entries
from settings.draft import Draft
from settings.entries import Entry
from settings.models import Application, Container


class Placed(NamedTuple):
    """A container, where it stands in the stack file, and its server; None when that is not known, or several."""

    section: str
    name: str
    container: Container
    server: str | None


def placed(draft: Draft) -> Iterator[Placed]:
    """Yield every readable application and job."""
    for section, containers in (("applications", draft.stack.applications), ("jobs", draft.stack.jobs)):
        for name, container in containers.items():
            yield Placed(section, name, container, server_of(draft, section, name, container))


def applications_on(draft: Draft, server: str) -> dict[str, Application]:
    """Return the readable applications that are known to run on a server."""
    return {
        name: app
        for name, app in draft.stack.applications.items()
        if server_of(draft, "applications", name, app) == server
    }


def led_to(draft: Draft, server: str) -> dict[str, Application]:
    """Return the readable applications that a server's proxy may lead to: its own, and those with replicas of a domain
    that it answers for.
    """
    web = set(draft.stack.servers[server].dns.web) if server in draft.stack.servers else set()
    spread = {
        name: app
        for name, app in draft.stack.applications.items()
        if app.is_replicated and any(entry.host in web for _, entry in readable(app))
    }
    return {**applications_on(draft, server), **spread}


def readable(app: Application) -> list[tuple[int, Entry]]:
    """Return the entries of its domains that can be read, with their places."""
    found = []
    for index, text in enumerate(app.domains):
        with suppress(ValueError):
            found.append((index, entries.check(text)))
    return found


def server_of(draft: Draft, section: str, name: str, container: Container) -> str | None:
    """Return the server a container runs on; None when it names none that exists, leaves it open, or has replicas."""
    if isinstance(container, Application) and container.is_replicated:
        return None
    if container.server is not None:
        return container.server if container.server in draft.names["servers"] else None
    only = list(draft.names["servers"])
    return only[0] if len(only) == 1 and draft.whole(section, name, "server") else None
