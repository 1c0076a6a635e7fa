"""A compose project as entries of a stack file.

Makes: `convert`, which says of each key what becomes of it, and checks the whole against the stack file's own rules.
Leaves alone: reading (project) and writing (stack_text).
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress

from operations.coming.conversion import Conversion
from operations.coming.entries import Entry
from operations.coming.errors import Problem, SourceError, Wrong, mapping, path_of, show
from operations.coming.files import Files
from operations.coming.told import Told
from operations.compose import (
    afterwards,
    building,
    databases,
    grants,
    guards,
    hush,
    keeping,
    keys,
    mounts,
    sites,
    surroundings,
)
from operations.compose.checking import check
from operations.compose.companions import companions
from operations.compose.project import Project
from operations.compose.scene import One, Scene, Wish
from operations.compose.variables_out import Client
from settings.errors import did_you_mean


def convert(project: Project, files: Files, wish: Wish, stack: Mapping[str, object]) -> Conversion:
    """Convert a project for a stack, given as its raw sections (none for a new one).

    Raises SourceError for what is wrong before any key is looked at.
    """
    scene = Scene(project, files, wish, Told(wish.leave_out))
    server, makes_server = _server(stack, wish)
    sites.gather(scene)
    guards.gather(scene)
    scene.builders = building.share(project.services)
    active = _named(scene)
    _environments(scene, active)
    for one in active.values():
        for path, is_written in mounts.bound(one).items():
            scene.bound[path] = scene.bound.get(path, False) or is_written
    for source in sorted(_named_volumes(scene)):
        mounts.name_of(scene, source)  # before the folders that are called alike
    for one in active.values():
        one.said = sites.read(one)
    guards.tell(scene, list(active.values()))
    made = [_one(scene, one) for one in active.values()]
    sites.rest(scene)
    _top(scene)
    entries = [one.entry for one in made]
    for one in made:
        _leave_out(one)
    afterwards.ended(made)
    afterwards.addresses(made)
    afterwards.unnamed(scene, made)
    for one in made:
        hush.settle(one)
        afterwards.unsaid(one)
        afterwards.keep(one)
    afterwards.circles(made)
    afterwards.unused(scene, made)
    afterwards.alike(scene, made)
    entries += companions(scene, stack, server)
    afterwards.unreached(scene, made)
    afterwards.copies(scene, made)
    hosts = list(dict.fromkeys(site.partition("/")[0] for site in scene.sites))
    done = Conversion(scene.told, entries, hosts, server, makes_server, dict(scene.secrets.values))
    done.redirects = scene.redirects
    if not makes_server and len(mapping(stack.get("servers"), "web1:")) > 1:
        for entry in entries:
            entry.settings = {"server": server, **entry.settings}
    check(done, scene, stack)
    for path in scene.told.unmet:
        raise SourceError(
            [Problem(path, "is left out by --leave-out, and there is nothing; copy the path from the report")]
        )
    return done


def _server(stack: Mapping[str, object], wish: Wish) -> tuple[str, bool]:
    servers = mapping(stack.get("servers"), "web1:")
    if not servers:
        return wish.server or "web1", True
    if wish.server:
        if wish.server not in servers:
            raise SourceError(
                [Problem("--server", f"{show(wish.server)} is no server; {did_you_mean(wish.server, servers)}")]
            )
        return wish.server, False
    if len(servers) > 1:
        raise SourceError([Problem("--server", f"missing; the stack has several: {', '.join(sorted(servers))}")])
    return next(iter(servers)), False


def _named(scene: Scene) -> dict[str, One]:
    """Give every service its entry's name, and say which are jobs. Raises SourceError."""
    told, services = scene.told, scene.project.services
    unknown = set(scene.wish.domains) - set(services)
    if unknown:
        name = sorted(unknown)[0]
        raise SourceError([Problem("--domain", f"{show(name)} is not a service; {did_you_mean(name, services)}")])
    for service in list(services):
        if told.is_left_out("services", service):
            told.left_out("services", service)
            del services[service]
    by_name: dict[str, str] = {}
    for service in services:
        name = scene.name_of(service)
        if name in by_name:
            raise SourceError([
                Problem(path_of("services", service), f"is called {name} here, and so is {by_name[name]}; rename one")
            ])  # fmt: skip
        by_name[name] = service
        scene.names[service] = name
        if name != service:
            told.becomes(("services", service), f"its entry is called {name}")
    for service, profiles in scene.project.inactive.items():
        told.needless(("services", service), f"it is of profile {profiles[0]}, which is not active (--profile)")
    if not services:
        raise SourceError([Problem("services", "nothing is left to convert; leave less out")])
    scene.jobs = {service for service in services if _is_job(scene, service)}
    active = {}
    for service, data in services.items():
        name = scene.names[service]
        entry = Entry("jobs" if service in scene.jobs else "applications", name)
        client = Client(name, {}, scene.servers, scene.secrets)
        active[service] = One(scene, service, data, entry, client)
    return active


def _is_job(scene: Scene, service: str) -> bool:
    """Whether a service runs to its end: others wait for that, or it is never started again and offers nothing."""
    if waits := _waits(scene, service):
        return "service_completed_successfully" in waits
    data = scene.project.services[service]
    deploy = data.get("deploy")
    restarts = deploy.get("restart_policy") if isinstance(deploy, dict) else None
    policy = restarts.get("condition") if isinstance(restarts, dict) else None
    return (
        (data.get("restart") in ("no", False) or policy == "none") and not data.get("ports") and not data.get("expose")
    )


def _waits(scene: Scene, service: str) -> list[object]:
    """The conditions under which others wait for a service."""
    return [
        mapping(how, "{condition: service_started}").get("condition")
        for other in scene.project.services.values()
        for name, how in mapping(other.get("depends_on"), "[db]").items()
        if name == service
    ]


def _environments(scene: Scene, active: Mapping[str, One]) -> None:
    """Read every environment, and with all of them know the database servers and who is called what."""
    common: dict[str, str] = {}
    held: dict[str, str] = {}
    for name, known in scene.project.secrets.items():
        with suppress(SourceError):  # told where a service is given it
            held[name] = grants.held(scene, known) or ""
    for one in active.values():
        try:
            one.environment = surroundings.given(one)
        except Wrong as error:
            raise SourceError([Problem(path_of(*one.at("environment", *error.below)), str(error))]) from error
        server = databases.recognised(one.entry.name, one.image, one.environment, held)
        if server is not None and not one.is_job and databases.serves(one.line):
            scene.servers[one.entry.name] = server
        for alias in dict.fromkeys(surroundings.aliases(one)) if not one.is_job else ():
            first = common.setdefault(alias, one.entry.name)
            if first != one.entry.name and alias not in active:
                scene.told.differs(
                    one.at("networks", alias),
                    f"it stands for {first} and {one.entry.name} there, in turn; here for {first}",
                )
        for name in [one.service, *surroundings.aliases(one)] if not one.is_job else ():
            for network in surroundings.networks_of(one):  # as Docker answers too: `db.shop_default`
                common.setdefault(f"{name}.{network}", one.entry.name)
    common |= {service: one.entry.name for service, one in active.items() if not one.is_job}
    for one in active.values():
        hosts = dict(common)
        for item in one.data.get("links") or []:  # type: ignore[attr-defined]
            service, _, alias = str(item).partition(":")
            if service in active:
                hosts[alias or service] = active[service].entry.name
                one.client.linked.add(active[service].entry.name)
        one.client.hosts = hosts
        granted = one.data.get("secrets")
        one.client.granted = frozenset(
            str(item.get("source")) for item in (granted if isinstance(granted, list) else []) if isinstance(item, dict)
        )
        needed = mapping(one.data.get("depends_on"), "[db]")
        one.client.linked |= {scene.names[other] for other in needed if other in active}


def _one(scene: Scene, one: One) -> One:
    """Convert a service, key by key."""
    for key in one.data:
        if key not in keys.KEYS and not key.startswith("x-"):
            scene.told.cannot(one.at(key), f"it is no key of a service; {did_you_mean(key, keys.KEYS)}")
    if "image" not in one.data and "build" not in one.data:
        scene.told.cannot(one.at("image"), "missing; write image: NAME, or build: ./folder")
    for key, row in keys.KEYS.items():
        if key not in one.data and key != "environment":
            continue
        if key in one.data and scene.told.is_left_out(*one.at(key)):
            scene.told.left_out(*one.at(key))
            continue
        one.key = key
        try:
            row(one, one.data.get(key))
        except Wrong as error:
            scene.told.cannot(one.at(key, *error.below), str(error))
        except SourceError as error:
            scene.told.cannot(one.at(key), "; ".join(problem.message for problem in error.problems))
    if "ports" not in one.data:
        sites.by_words(one)
    keeping.settle(one)
    building.settle(one)
    surroundings.reach(one)
    if one.is_job and one.service in scene.project.optional and not _waits(scene, one.service):
        one.entry.put("run", "manual", one.at())
        scene.told.becomes(one.at(), "run: manual, since it is of a profile: make run starts it")
    _settle_database(one)
    return one


def _leave_out(one: One) -> None:
    """Take out what came from an item that is left out; what a proxy said of it stays when that is left out."""
    one.entry.drop(lambda source: source[:2] == one.at() and one.told.is_left_out(*source))


def _settle_database(one: One) -> None:
    """What a database server needs here: time to stop and to begin, and the word for what it is."""
    server = one.database
    if server is None:
        return
    one.entry.settings.setdefault("grace_seconds", 60)
    if server.is_said:
        one.entry.put("database", server.engine, one.at("image"))
    health = one.entry.settings.setdefault("health", {})
    if isinstance(health, dict):
        health["timeout"] = max(180, int(health.get("timeout", 0)))


def _named_volumes(scene: Scene) -> set[str]:
    mounts = [mount for data in scene.project.services.values() for mount in data.get("volumes") or []]  # type: ignore[attr-defined]
    return {str(mount.get("source")) for mount in mounts if mount.get("source") and mount.get("type") == "volume"}


def _top(scene: Scene) -> None:
    """Say what becomes of the keys at the top."""
    for key in scene.project.others:
        if not key.startswith("x-"):
            scene.told.cannot((key,), "it is no key of a compose file; correct it, or take it out")
    used = _named_volumes(scene)
    for name, known in scene.project.volumes.items():
        if name in used:
            extra = " (external: copy it, docs/from-compose.md)" if known.get("external") else ""
            scene.told.needless(("volumes", name), f"a volume is made where somebody names it{extra}")
        else:
            scene.told.needless(("volumes", name), "nobody names it")
    for section in ("networks", "configs", "secrets"):
        for name in getattr(scene.project, section):
            why = (
                "who names another reaches it, nobody else does"
                if section == "networks"
                else "it stands with who uses it"
            )
            scene.told.needless((section, name), why)
