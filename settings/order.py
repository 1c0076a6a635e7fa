"""Which container has to be there before which.

Makes: the order in which a stack's containers are declared, and what each waits for: a job for what it names, an
application for those it names and the jobs that make its databases, since applications find each other by name at run
time; and the circles that prevent such an order, which are reported with the whole file (`checks`).
"""

from collections import deque
from collections.abc import Mapping, Sequence

from settings import databases
from settings.domains import shared, zones_served
from settings.models import Container, Job, Stack
from settings.monitors import is_monitor, servers_watched
from settings.references import AppRef, DbMap, DomainsAll, JobRef

# Where an application that refers to jobs finds the socket by which it may start them.
SOCKET_FOLDER = "/run/apiary"
CERTIFICATES = "CertBot"  # of images/: a job that is given all domains, and tells no proxy of them
PROXY_SETUP = "HAProxySetup"  # of images/: the one that knows how to close at the proxy what is to be closed
OWN_CERTIFICATE = "CERTIFICATE_"  # with it begin its variables that hold certificates of the stack file's
PROXY_FOLDER = "/etc/haproxy"  # there it has the proxy's configuration


def waits_for(stack: Stack, name: str) -> list[str]:
    """Return the containers that one starts after: those it names in `after`, the jobs that make its databases, and for
    a job those it refers to, routes visitors to, or makes databases on.
    """
    container = stack.containers()[name]
    servers = {one.server for one in databases.used(name, container)} - {name}
    found = [*container.after]
    found += [job for server in servers for job in databases.makers(stack, server)]
    if not isinstance(container, Job):
        if is_monitor(container):
            # A site that its proxy has not been told of is not down.
            found += [job for server in servers_watched(stack, name) for job in _given_domains(stack, server)]
        return sorted(set(found) - {name})
    for reference in container.referred:
        match reference:
            case AppRef(other):
                found.append(other)
            case DomainsAll() if gets_certificates(container):
                found += _before_certificates(stack, stack.server_of(container))
            case DomainsAll():
                served = stack.led_to(stack.server_of(container))
                found += [other for other, application in served.items() if application.domains]
            case DbMap():
                found += databases.made_by(stack, name)
    return sorted(set(found) - {name})


def _before_certificates(stack: Stack, server: str) -> list[str]:
    """Return what the job that gets a server's certificates waits for: its proxy, which answers the challenges of sites
    that are still to come. Releases are not waited for, so that those open with their certificates.
    """
    setups = proxy_setups(stack, server)
    # Of a domain of several servers an authority asks any: all of their proxies have to be told of it.
    others = {one for named in shared(stack, server).values() for one in named}
    if others:
        return [job for one in sorted({server, *others}) for job in proxy_setups(stack, one)]
    if any(one.variable.startswith(OWN_CERTIFICATE) for job in setups for one in stack.jobs[job].written):
        return setups  # what the stack file has certificates of its own for is asked for by nobody
    return [other for other, application in stack.applications_on(server).items() if application.ipv6_web]


def gets_certificates(container: Container) -> bool:
    """Whether it is the job that gets a server's certificates."""
    return isinstance(container, Job) and container.build_dir == CERTIFICATES and DomainsAll() in container.referred


def zones_before(stack: Stack, name: str) -> list[str]:
    """Return the zones whose records a job runs after: an authority that it asks looks its domains up."""
    container = stack.containers()[name]
    if not (isinstance(container, Job) and DomainsAll() in container.referred):
        return []
    return sorted(zones_served(stack, stack.server_of(container)))


def proxy_setups(stack: Stack, server: str) -> list[str]:
    """Return the jobs of a server that tell its proxy of the domains: those that are given them all, but for the one
    that gets certificates.
    """
    return [name for name in _given_domains(stack, server) if stack.jobs[name].build_dir != CERTIFICATES]


def closes(job: Job) -> bool:
    """Whether a job that sets a proxy up can close, before releases, what it will be told to close.

    Not one that no update runs: it would open none of it.
    """
    is_own = job.build_dir == PROXY_SETUP and job.run == "update" and not (job.entrypoint or job.command)
    return is_own and any(mount.path == PROXY_FOLDER for mount in job.mounts)


def closed_by(stack: Stack, name: str) -> list[str]:
    """Return the jobs that close first, at every proxy that leads visitors to an application, what they will close."""
    app = stack.applications.get(name)
    servers = [server for server in stack.servers if app and app.domains and name in stack.led_to(server)]
    return [job for server in servers for job in proxy_setups(stack, server) if closes(stack.jobs[job])]


def _given_domains(stack: Stack, server: str) -> list[str]:
    """Return the jobs of a server that are given all of its domains."""
    return [name for name, job in stack.jobs.items() if stack.server_of(job) == server and DomainsAll() in job.referred]


def database_servers(stack: Stack, name: str) -> list[str]:
    """Return the database servers that a container uses, refers to, or makes databases on."""
    container = stack.containers()[name]
    referred = [one.name for one in container.referred if isinstance(one, AppRef)]
    used = [one.server for one in databases.used(name, container)]
    found = {*referred, *used, *databases.made_by(stack, name)} - {name}
    return sorted(one for one in found if one in stack.applications and stack.applications[one].engine)


def needs(stack: Stack, name: str) -> list[str]:
    """Return the containers that have to be declared before `name`: what it waits for, jobs it may start, and where
    there are backups the database servers that are filled before anybody uses them.
    """
    servers = database_servers(stack, name) if stack.backups else []
    return sorted({*waits_for(stack, name), *jobs_named(stack.containers()[name]), *servers} - {name})


def container_order(stack: Stack) -> list[str]:
    """Return every container, each after those it needs, otherwise in the order of the file.

    A checked stack has no circles; in one that has, their members keep the order of the file.
    """
    waiting = {name: needs(stack, name) for name in stack.containers()}
    order: list[str] = []
    done: set[str] = set()
    while waiting:
        ready = (name for name, others in waiting.items() if done.issuperset(others))
        name = next(ready, next(iter(waiting)))
        del waiting[name]
        done.add(name)
        order.append(name)
    return order


def circles(waits: Mapping[str, Sequence[str]]) -> list[list[str]]:
    """Return circles of names that wait for one another: the shortest through a name, each name once."""
    found: list[list[str]] = []
    for start in sorted(waits):
        if not any(start in circle for circle in found) and (circle := _way_back(start, waits)):
            found.append(circle)
    return found


def _way_back(start: str, waits: Mapping[str, Sequence[str]]) -> list[str]:
    """Return the shortest circle through `start`, from it on; empty when there is none."""
    came_from: dict[str, str] = {}
    pending = deque([start])
    while pending:
        name = pending.popleft()
        for other in waits.get(name, ()):
            if other == start:
                circle = [name]
                while circle[-1] != start:
                    circle.append(came_from[circle[-1]])
                return circle[::-1]
            if other not in came_from:
                came_from[other] = name
                pending.append(other)
    return []


def jobs_named(container: Container) -> list[str]:
    """Return the jobs that a container refers to: it knows their names, and an application may start them."""
    return sorted({reference.name for reference in container.referred if isinstance(reference, JobRef)})


def startable(stack: Stack) -> set[str]:
    """Return the jobs that some application may start."""
    return {job for application in stack.applications.values() for job in jobs_named(application)}
