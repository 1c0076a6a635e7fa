"""Checks of what is said of well-known images: the folders of images/, and the official images of databases.

Bee2 has the same words for other things, and what it made of them would be green here and not work.
"""

import re

from settings.checks.common import Placed, applications_on, led_to, placed, server_of
from settings.container_texts import VolumeMount
from settings.containers import Application, Container, Job
from settings.draft import Draft
from settings.errors import show
from settings.image_texts import HUB, registry_of

# Folders of images/ whose program ends, and those whose program never does.
_JOBS = ("CertBot", "DBSetup", "HAProxySetup", "Reports", "SiteBuilder")
_SERVERS = (
    "AccessLog", "HAProxy", "JobScheduler", "MariaDB", "Monitor", "NginxStatic", "PostgreSQL",
)  # fmt: skip
_CERTBOT, _DBSETUP, _HASETUP, _PROXY, _STATIC = "CertBot", "DBSetup", "HAProxySetup", "HAProxy", "NginxStatic"
# What hasetup was told in Bee2, and finds out by itself here.
_NOT_ASKED = ("certbot_container", "awstats_container")
_OTHERS = {*_JOBS, *_SERVERS} - {_HASETUP}  # they ask for all domains for a reason of their own
_CONFIGURATION = "/etc/haproxy"
_SITE = "/srv/site"
_SITES_ELSEWHERE = ("/www", "/var/www", "/usr/share/nginx/html")
# Official images whose entrypoint, begun as root, becomes this user, and can't without SETUID and SETGID; the second
# one is that of variants on Alpine. By their Dockerfiles.
USERS = {
    "cassandra": ("999:999", "999:999"),
    "clickhouse/clickhouse-server": ("101:101", "101:101"),
    "couchdb": ("5984:5984", "5984:5984"),
    "mariadb": ("999:999", "999:999"),
    "mongo": ("999:999", "999:999"),
    "mysql": ("999:999", "999:999"),
    "neo4j": ("7474:7474", "7474:7474"),
    "pgvector/pgvector": ("999:999", "70:70"),
    "postgis/postgis": ("999:999", "70:70"),
    "postgres": ("999:999", "70:70"),
    "rabbitmq": ("999:999", "100:101"),
    "redis": ("999:999", "999:1000"),
    "valkey/valkey": ("999:999", "999:1000"),
}
# Images of Docker Hub whose own program ends; those of certbot's plugins do as well.
_JOB_IMAGES = ("goacme/lego", "hello-world")
_JOB_ORGANIZATIONS = ("certbot/",)
# The programs that it does so for, by their names or by options alone.
_DAEMONS = ("mariadbd", "mysqld", "mongod", "postgres", "rabbitmq-server", "redis-server", "valkey-server")


def check(draft: Draft) -> None:
    """Report images in the wrong section, without what they need, or told what they do not hear."""
    for one in placed(draft):
        _section(draft, one)
        _user(draft, one)
        _door(draft, one)
        if one.container.build_dir == _DBSETUP:
            _databases(draft, one)
        if one.container.build_dir == _HASETUP:
            for key in _NOT_ASKED:
                if key in one.container.env:
                    # Before what it refers to is looked for: whoever that is, nobody asks.
                    draft.refuse("hasetup asks nobody by this name; take the line out", *_env(one), key)
            if "passwords" in one.container.env:
                remedy = "write site: {password: {NAME: _secrets^SECRET}} at each application"
                draft.report(f"these are told by themselves; {remedy}, and take the line out", *_env(one), "passwords")
        if one.container.build_dir in (_HASETUP, _CERTBOT):
            _proxy(draft, one)
        if one.container.build_dir == _STATIC:
            _site(draft, one)
    for server in draft.stack.servers:
        _unserved(draft, server)
        _unpublished(draft, server)


def _env(one: Placed) -> tuple[str, str, str]:
    return one.section, one.name, "env"


def _section(draft: Draft, one: Placed) -> None:
    folder = str(one.container.build_dir)
    name = _official(one)[0]
    ends = name in _JOB_IMAGES or name.startswith(_JOB_ORGANIZATIONS)
    if one.section == "applications" and ends and not one.container.entrypoint:  # a loop around it does not end
        draft.report(f"{show(name)} runs to its end, so it is a job here; move it to jobs", one.section, one.name)
    if one.section == "applications" and folder in _JOBS:
        draft.report(f"{folder} runs to its end, so it is a job here; move it to jobs", one.section, one.name)
    own = one.container
    another = own.command or own.entrypoint or own.dockerfile or own.target  # program than the image's
    if one.section == "jobs" and folder in _SERVERS and not another:
        draft.report(f"{folder} does not end, so it is an application; move it to applications", one.section, one.name)


def _official(one: Placed) -> tuple[str, str]:
    return _named(one.container.image)


def _named(given: str | None) -> tuple[str, str]:
    """Name of an image as Docker Hub has it, also where it comes from a mirror of that, and what stands behind;
    nothing where it is built.
    """
    image = given or ""
    path = image.removeprefix(f"{registry_of(image)}/")
    name, behind = re.split(r"[:@]", path.removeprefix("docker/").removeprefix("library/") + ":", maxsplit=1)
    # `registry.example.com/postgres` is somebody's own; mirrors have the official ones under `library`.
    official = "/" in name or "library/" in image or registry_of(image) == HUB
    return (name if official else ""), behind


def _user(draft: Draft, one: Placed) -> None:
    name, tag = _official(one)
    given = {"SETUID", "SETGID"} <= set(one.container.capabilities)
    at = (one.section, one.name)
    if name not in USERS or one.container.user is not None or given or not starts_daemon(one.container.command):
        return
    if one.container.entrypoint and not any("entrypoint" in word for word in one.container.entrypoint):
        return  # it is the image's own that changes it
    if all(draft.whole(*at, key) for key in ("user", "capabilities", "command", "entrypoint")):
        user = USERS[name]["alpine" in tag]
        message = f"missing; {show(name)} would change its user at the start, and no capability is left for that; write"
        draft.report(f'{message} user: "{user}"', *at, "user")


def starts_daemon(command: list[str] | None) -> bool:
    """Whether an official image's entrypoint, begun as root, becomes another user for a command."""
    return not command or command[0].startswith("-") or command[0] in _DAEMONS


def _door(draft: Draft, one: Placed) -> None:
    """Report an application by the name of the door (components/door.py)."""
    app, name = one.container, f"{one.name}-door"
    if isinstance(app, Application) and app.has_door and name in draft.stack.applications:
        draft.report(
            f"{name} is what holds the addresses and ports of the proxy {one.name}; call this one something else",
            *("applications", name),
        )


def _proxy(draft: Draft, one: Placed) -> None:
    """Report what hasetup or certbot is told to set up and is another program, or reads another volume."""
    written = one.container.env.get("haproxy_container")
    name = str(written).removeprefix("$") if str(written).startswith("$") else ""
    app = draft.stack.applications.get(name)
    if app is None or not draft.whole(*_env(one), "haproxy_container"):
        return
    if app.build_dir in _OTHERS - {_PROXY} or _named(app.image)[0] == "haproxy":
        draft.report(
            f"{one.container.build_dir} speaks with the proxy of images/ alone, and {show(written)} is another "
            "program; name the one that has build_dir: HAProxy, or write that there",
            *_env(one),
            "haproxy_container",
        )
    if app.build_dir == _PROXY:
        _one_volume(draft, one, name)


def _one_volume(draft: Draft, one: Placed, proxy: str) -> None:
    """Report a job whose work its proxy would never see: they meet in a volume."""
    theirs = _configuration(draft.stack.applications[proxy])
    own = _configuration(one.container)
    there = server_of(draft, "applications", proxy, draft.stack.applications[proxy])
    if one.server and there and one.server != there:
        message = f"{proxy} runs on {there} and would never see what this writes here; write server: {there}"
        draft.report(message, one.section, one.name, "server")
    elif theirs is None:
        if draft.whole("applications", proxy, "volumes"):
            message = f'what {one.name} tells this proxy is kept nowhere; write "haproxycfg:{_CONFIGURATION}"'
            draft.report(message, "applications", proxy, "volumes")
    elif (own is None or own.read_only or _source(own) != _source(theirs)) and draft.whole(
        one.section, one.name, "volumes"
    ):
        message = f'{proxy} would never see what this writes; write "{_source(theirs)}:{_CONFIGURATION}", as it has'
        draft.report(message, one.section, one.name, "volumes")


def _configuration(container: Container) -> VolumeMount | None:
    return next((mount for mount in container.mounts if mount.path == _CONFIGURATION), None)


def _source(mount: VolumeMount) -> str | None:
    return mount.name or mount.host_path


def _databases(draft: Draft, one: Placed) -> None:
    if one.container.env.get("dbmap") == "_dbmap":
        return
    for key, value in one.container.env.items():
        if value == "_dbmap":
            draft.report("DBSetup looks for it in dbmap; write dbmap: _dbmap", *_env(one), key)


def _site(draft: Draft, one: Placed) -> None:
    for index, mount in enumerate(one.container.mounts):
        if f"{mount.path}/".startswith(tuple(f"{folder}/" for folder in _SITES_ELSEWHERE)):
            source = mount.name or mount.host_path
            draft.report(
                f"NginxStatic serves one site, at {_SITE}, and would never look here; write "
                f'"{source}:{_SITE}:ro", and an application for each further site',
                *(one.section, one.name, "volumes", index),
            )


def _unserved(draft: Draft, server: str) -> None:
    """Report sites behind the proxy of images/ that no job tells it about: visitors would see its own page for ever."""
    apps = applications_on(draft, server)
    if not any(app.ipv6_web and app.build_dir == _PROXY for app in apps.values()):
        return
    told = [
        one
        for one in placed(draft)
        if one.container.env.get("domains") == "all"
        and one.server in (server, None)
        and one.container.build_dir not in _OTHERS
    ]
    manual = [one for one in told if isinstance(one.container, Job) and one.container.run == "manual"]
    waited_for = {name for one in placed(draft) for name in one.container.after}  # that is refused as such
    for one in manual if manual == told else ():
        if one.name in waited_for:
            continue
        remedy = "leave run out, and have it run again by make run"
        draft.report(f"no update would tell the proxy of its sites; {remedy}", one.section, one.name, "run")
    if told or not draft.whole("jobs"):
        return
    names = [name for name, app in led_to(draft, server).items() if app.domains]
    proxy = next(name for name, app in apps.items() if app.ipv6_web)
    places = [("applications", name, "env", "domains") for name in names]
    for at in [*places, *([("servers", server, "redirects")] if draft.stack.servers[server].redirects else [])]:
        draft.report(
            "no job tells the proxy of these domains; add one: hasetup: {build_dir: HAProxySetup, env: {domains: all, "
            f'haproxy_container: ${proxy}}}, volumes: ["haproxycfg:/etc/haproxy"]}}',
            *at,
        )


def _unpublished(draft: Draft, server: str) -> None:
    """Report a proxy whose sites nobody could reach: it would be asked on the server itself, and be green."""
    apps = applications_on(draft, server)
    proxy = next((name for name, app in apps.items() if app.ipv6_web and app.build_dir == _PROXY), None)
    asked = any(app.domains for app in led_to(draft, server).values()) or draft.stack.servers[server].redirects
    if proxy is None or not asked:
        return
    at = ("applications", proxy)
    reached = any(
        port.proto == "tcp" and port.first <= known <= port.last for port in apps[proxy].opened for known in (80, 443)
    )
    if not reached and draft.whole(*at, "ports") and draft.whole(*at, "open"):
        draft.report("nobody would reach the sites behind it; write ports: [80, 443]", *at, "ports")
