"""Databases: who uses which, on which server, and which job makes them.

Makes: pure functions of a stack's containers. A database and its role have one name and one password; a container
uses those that its `db` lists and those whose password it refers to. Leaves alone: whether such a server or name may
be (`checks.databases`), and the passwords themselves (the components).
"""

from dataclasses import dataclass

from settings.models import Application, Container, Stack
from settings.references import DbMap, SecretRef


@dataclass(frozen=True, order=True)
class Database:
    """One database, with the role of its name."""

    server: str  # the application that serves it
    name: str


def own_name(container: str) -> str:
    """Return the name of a container's own database: `my-shop` has `my_shop`."""
    return container.replace("-", "_")


def listed(asker: str, container: Container) -> list[Database]:
    """Return the databases of `db`, in order."""
    return [Database(use.server, use.name or own_name(asker)) for use in container.databases]


def meant(asker: str, container: Container, reference: SecretRef) -> Database:
    """Return the database of a `^password` reference: the one it names, else the one of `db`, else the asker's own."""
    if reference.database is not None:
        return Database(reference.application, reference.database)
    own = [one for one in listed(asker, container) if one.server == reference.application]
    return own[0] if own else Database(reference.application, own_name(asker))


def used(asker: str, container: Container) -> list[Database]:
    """Return every database that a container uses, sorted."""
    referred = [
        meant(asker, container, reference)
        for reference in container.referred
        if isinstance(reference, SecretRef) and reference.kind == "password"
    ]
    return sorted({*listed(asker, container), *referred})


def served(stack: Stack, server: str) -> list[str]:
    """Return the names of all databases that the containers of a stack use on one server application."""
    everything = {one for name, container in stack.containers().items() for one in used(name, container)}
    return sorted(one.name for one in everything if one.server == server)


def makes_databases(container: Container) -> bool:
    """Whether a container is handed the databases to make."""
    return DbMap() in container.referred


def knows_adminpass(name: str, application: Application) -> bool:
    """Whether an application is handed its own administrator's password."""
    return SecretRef(name, None, "adminpass") in application.referred


def made_by(stack: Stack, job: str) -> list[str]:
    """Return the database servers on which a container makes databases: all of its own host, sorted."""
    container = stack.containers()[job]
    if not makes_databases(container):
        return []
    beside = stack.applications_on(stack.server_of(container))
    return sorted(name for name, application in beside.items() if _can_be_made_on(name, application))


def makers(stack: Stack, server: str) -> list[str]:
    """Return the jobs that make databases on one server application, sorted."""
    application = stack.applications.get(server)
    if application is None or application.is_replicated or not _can_be_made_on(server, application):
        return []
    host = stack.server_of(application)
    return sorted(name for name, job in stack.jobs.items() if makes_databases(job) and stack.server_of(job) == host)


def _can_be_made_on(name: str, application: Application) -> bool:
    return application.engine is not None and knows_adminpass(name, application)
