"""Checks of the swarm: which servers can be one, what can be spread over them, and who reaches that."""

import re
from collections.abc import Iterator

from settings.checks.common import Placed, placed, server_of
from settings.draft import Draft
from settings.errors import Key, did_you_mean, show
from settings.models import Application
from settings.monitors import is_monitor
from settings.references import AppRef, DbMap, DomainsAll, JobRef, Reference
from settings.replicas import LARGEST_FILE, refused

PROXY = "HAProxy"  # of images/
_TMPFS = re.compile(r"(?:size=\d+[kmg]?|mode=0?[0-7]{3})(?:,(?:size=\d+[kmg]?|mode=0?[0-7]{3}))?")


def check(draft: Draft) -> None:
    """Report a swarm that can't be, replicas that can't be spread, and whoever would not reach them."""
    _managers(draft)
    _network(draft)
    _options(draft)
    _drained(draft)
    for one in placed(draft):
        app = one.container
        if isinstance(app, Application) and app.is_replicated:
            _replicated(draft, one, app)
        elif isinstance(app, Application) and app.servers:
            remedy = f"write server: {app.servers[0]}, or replicas: 2 as well"
            draft.report(f"it runs once, on one server; {remedy}", one.section, one.name, "servers")
        else:
            _reached(draft, one)


def _managers(draft: Draft) -> None:
    """Report numbers of managers that are worse than fewer would be."""
    servers = draft.stack.servers
    if any(not draft.whole("servers", name, "swarm") for name in draft.names["servers"]):
        return
    members = [name for name, server in servers.items() if server.swarm is not None]
    managers = [name for name, server in servers.items() if server.swarm == "manager"]
    if members and not managers:
        at = ("servers", members[0], "swarm")
        draft.report("a swarm without a manager does nothing; write manager at one server, or at three", *at)
    if len(managers) == 2:
        draft.report(
            "with two managers the loss of either leaves nobody to move replicas: worse than one; write worker here, "
            "or manager at a third server",
            "servers", managers[1], "swarm",
        )  # fmt: skip
    for name in managers[3:]:
        draft.report(
            "three managers outlive the loss of one, and more only ask each other longer; write worker",
            "servers", name, "swarm",
        )  # fmt: skip


def _network(draft: Draft) -> None:
    """Report servers of the swarm that are not on one private network."""
    first: str | None = None
    for name, server in draft.stack.servers.items():
        at = ("servers", name, "swarm")
        if server.swarm is None:
            continue
        if server.private_ip is None and draft.whole("servers", name, "private_ip"):
            message = "the servers of a swarm speak with each other on the private network alone"
            draft.report(f'{message}; write servers.{name}.private_ip as well, e.g. "192.168.150.10"', *at)
        if not draft.whole("servers", name, "region"):
            continue
        first = first or name
        region = draft.stack.servers[first].region
        if server.region != region:
            draft.report(
                f"a swarm lies in one region, whose private network does not reach from {region} ({first}) to "
                f"{server.region}; leave swarm out here, or make a stack of its own there",
                *at,
            )


def _options(draft: Draft) -> None:
    """Report options of a swarm that nobody is of."""
    servers = draft.stack.servers
    if draft.stack.swarm is None or any(not draft.whole("servers", name, "swarm") for name in draft.names["servers"]):
        return
    if not any(server.swarm for server in servers.values()):
        draft.report("no server is of a swarm; write swarm: manager at one, or at three, or leave this out", "swarm")


def _drained(draft: Draft) -> None:
    """Report a server that is to be emptied, and has what nobody else would answer for."""
    servers = draft.stack.servers
    kept = [name for name, server in servers.items() if server.swarm is not None and not server.drain]
    for name, server in servers.items():
        at = ("servers", name, "drain")
        if not server.drain or not draft.whole("servers", name, "swarm"):
            continue
        if server.swarm is None:
            draft.report("it is no server of the swarm, whose replicas could move; leave it out", *at)
        elif not kept:
            draft.report("no server of the swarm would be left for its replicas; leave it out at one", *at)
        for app_name, app in draft.stack.applications.items():
            if kept and name in app.servers and not set(app.servers) & set(kept):
                where = draft.written("applications", app_name, "servers")
                draft.report(
                    f"replicas of {app_name} could move nowhere; name another server in {where}, or leave drain out",
                    *at,
                )
        for domain in server.web_domains:
            if kept and not any(domain in servers[other].web_domains for other in kept):
                draft.report(
                    f"{show(domain)} leads to no other server of the swarm, and would lead nowhere; list it in "
                    f"servers.{kept[0]}.dns.web too, or leave drain out",
                    *at,
                )


def _replicated(draft: Draft, one: Placed, app: Application) -> None:
    at = (one.section, one.name)
    swarm = {name for name, server in draft.stack.servers.items() if server.swarm is not None}
    if not swarm and all(draft.whole("servers", name, "swarm") for name in draft.names["servers"]):
        remedy = "write swarm: manager and private_ip at one server, or at three"
        draft.report(f"there is no swarm to spread it over; {remedy}", *at, "replicas")
    for word, why in refused(app):
        draft.report(why, *at, word)
    for message, *where in _unkept(app, len(swarm)):
        draft.report(message, *at, *where)
    if alone := _alone(app):
        draft.report(f"{alone}; leave replicas out, so that it runs on one server", *at, "replicas")
    _files(draft, one)
    for index, name in enumerate(app.servers):
        if name not in draft.names["servers"]:
            remedy = did_you_mean(name, draft.names["servers"])
            draft.report(f"{show(name)} is not a server; {remedy}", *at, "servers", index)
        elif name in draft.stack.servers and name not in swarm and draft.whole("servers", name, "swarm"):
            draft.report(
                f"{name} is no server of the swarm; write servers.{name}.swarm: worker, or leave it out",
                *at, "servers", index,
            )  # fmt: skip
        elif name in app.servers[:index]:
            draft.report(f"{show(name)} stands here already; leave it out", *at, "servers", index)
    for path, options in app.tmpfs.items():
        if options and not _TMPFS.fullmatch(options):
            draft.report(
                f"a service of Docker knows size and mode alone, of mode the last three digits, not {show(options)}; "
                "write e.g. size=16m,mode=770; without mode it is the image's folder's, and 1777 where there is none",
                *at, "tmpfs", path,
            )  # fmt: skip
    for written, reference in app.references:
        _reference(draft, one, reference, (*at, *written.path))


def _unkept(app: Application, servers: int) -> Iterator[tuple[str, ...]]:
    """Yield what an application with replicas would not have although it says so: why and what to write, and where."""
    if app.health.test == ["NONE"]:
        yield (
            "nobody could tell a bad release of its replicas from a good one; write what tells it, e.g. "
            "[CMD, wget, -qO-, http://localhost:8080/], or leave it out where the image has a HEALTHCHECK",
            "health", "test",
        )  # fmt: skip
    if app.restart == "no":
        yield (
            "a replica whose server dies would not be started elsewhere either; leave it out, or write on-failure",
            "restart",
        )
    if app.site.sticky and servers > 1 and (app.replicas or 0) > 1:
        yield (
            "each server's proxy would keep a visitor on a replica of its own choice, and he may come by any server; "
            "keep what it remembers of him in a database (db), or leave replicas out",
            "site", "sticky",
        )  # fmt: skip


def _files(draft: Draft, one: Placed) -> None:
    """Report files that Swarm takes neither as a secret nor as a config."""
    for path, file in one.container.given_files.items():
        size = 1 if file.content is None else len(file.content.encode())
        at = (one.section, one.name, "files", path)
        if size == 0:
            draft.report(
                "a service of Docker gets no empty file; write what is as good as nothing, e.g. a newline", *at
            )
        elif size > LARGEST_FILE:
            most = f"gets files of at most {LARGEST_FILE} bytes, and this has {size}"
            draft.report(f"a service of Docker {most}; put it into the image", *at)


def _alone(app: Application) -> str | None:
    """Why an image of this program's own, or of a database server, is nothing to run several of."""
    if app.engine is not None and app.database is None:
        return "is a database server, and its replicas would each have data of their own"
    if app.build_dir == PROXY:
        return "is a proxy, and each server has one of its own: write one for each server"
    if is_monitor(app):
        return "is a monitor, which watches its own server: write one for each that is to have one"
    return None


def _reference(draft: Draft, one: Placed, reference: Reference, at: tuple[Key, ...]) -> None:
    """Report what replicas can't have, or could not reach from every server."""
    match reference:
        case JobRef():
            draft.report(
                "a job is started on its own server, and replicas run on several; start it from an application "
                "without replicas",
                *at,
            )
        case DomainsAll() | DbMap():
            draft.report("is for what serves one server; give it to a job there", *at)
        case AppRef(name):
            there = draft.stack.applications.get(name)
            if there is None or there.is_replicated:
                return
            where = f"applications.{name}"
            if not there.private and draft.whole("applications", name, "private"):
                draft.report(
                    f'"${name}" runs on one server, and replicas reach it from any of them by its private address; '
                    f"write its port there, e.g. private: [5432], in {where}",
                    *at,
                )
            runs_on = server_of(draft, "applications", name, there)
            server = draft.stack.servers.get(runs_on or "")
            if server is not None and server.private_ip is None and draft.whole("servers", str(runs_on)):
                draft.report(
                    f'"${name}" runs on {runs_on}, which is on no private network; write '
                    f"servers.{runs_on}.private_ip as well",
                    *at,
                )


def _reached(draft: Draft, one: Placed) -> None:
    """Report a container that names one with replicas, and is on no server of the swarm."""
    server = draft.stack.servers.get(one.server or "")
    if server is None or server.swarm is not None or not draft.whole("servers", str(one.server), "swarm"):
        return
    found: list[tuple[str, tuple[Key, ...]]] = [(name, ("reach", i)) for i, name in enumerate(one.container.reach)]
    found += [(ref.name, written.path) for written, ref in one.container.references if isinstance(ref, AppRef)]
    for name, path in found:
        app = draft.stack.applications.get(name)
        if app is not None and app.is_replicated:
            draft.report(
                f"{show(name)} has replicas, which the swarm's servers alone reach, and this container runs on "
                f"{one.server}; write servers.{one.server}.swarm: worker, or ask it at a domain of its own",
                one.section, one.name, *path,
            )  # fmt: skip
