"""What is saved on a server, what is left out and why, in what order its containers start.

Makes: pure functions of a stack with `backups`. Leaves alone: how it is saved (playbooks/roles/backups), and where to.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from settings import databases
from settings.calendar import calendar
from settings.crontab import Schedule
from settings.models import Application, Backups, Container, Stack
from settings.order import container_order

FILES_OF_DATABASES = "files of a database server; its databases are dumped"


@dataclass(frozen=True)
class Saved:
    """What is saved of one server; names sorted."""

    volumes: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)  # name -> who stops, what runs before
    databases: Mapping[str, str] = field(default_factory=dict)  # application -> engine
    left_out: Mapping[str, str] = field(default_factory=dict)  # volume or application -> why

    def shown(self) -> dict[str, Any]:
        """In words, for the people who read a preview."""
        return {
            "saved": [
                *(f"all databases of {name}" for name in self.databases),
                *(f"volume {name}" + (_how(how)) for name, how in self.volumes.items()),
            ],
            "left out": dict(self.left_out),
        }


def _how(how: Mapping[str, Any]) -> str:
    words = [f"{name} runs {' '.join(command)} before" for name, command in how["before"]]
    words += [f"{', '.join(how['stop'])} stopped meanwhile"] if how["stop"] else []
    return f" ({'; '.join(words)})" if words else ""


def has_backups(stack: Stack, server: str) -> bool:
    """Whether a server is saved: all are, but for the one that keeps the backups of the others."""
    return stack.backups is not None and stack.backups.store_server != server


def keeper_first(stack: Stack) -> list[str]:
    """The servers in the order of the file, but for the one that keeps the others' backups: it is there first."""
    keeper = stack.backups.store_server if stack.backups else None
    return sorted(stack.servers, key=lambda name: name != keeper)


def saved(stack: Stack, server: str) -> Saved:
    """What is saved of a server, and what is left out."""
    volumes: dict[str, dict[str, Any]] = {}
    left_out: dict[str, str] = {}
    servers = {name: app for name, app in stack.applications_on(server).items() if app.engine}
    for name, app in servers.items():
        if not app.backup.save:
            left_out[f"databases of {name}"] = f"backup: false of applications.{name}"
    for volume in sorted(
        {mount.name for one in stack.containers_on(server).values() for mount in one.mounts if mount.name}
    ):
        writing = writers(stack, server, volume)
        if any(name in servers for name in writing):
            left_out[volume] = FILES_OF_DATABASES
        elif not any(one.backup.save for one in writing.values()):
            left_out[volume] = "backup: false of " + ", ".join(_setting(stack, name) for name in writing)
        else:
            is_quiet = any(one.backup.stop for one in writing.values())
            volumes[volume] = {
                "stop": [name for name in container_order(stack) if name in writing] if is_quiet else [],
                "before": [[name, one.backup.before] for name, one in writing.items() if one.backup.before],
            }
    return Saved(volumes, {name: str(app.engine) for name, app in sorted(servers.items()) if app.backup.save}, left_out)


def writers(stack: Stack, server: str, volume: str) -> dict[str, Container]:
    """The containers of a server that write to a volume; where none does, those that mount it."""
    mounting = {
        name: [mount for mount in one.mounts if mount.name == volume]
        for name, one in stack.containers_on(server).items()
    }
    writing = [name for name, mounts in mounting.items() if any(not mount.read_only for mount in mounts)]
    chosen = writing or [name for name, mounts in mounting.items() if mounts]
    return {name: stack.containers()[name] for name in chosen}


def told(stack: Stack, server: str) -> dict[str, Any]:
    """What a server is told of its backups, but for what is secret (the role's config.py has the shape)."""
    backups = _backups(stack)
    here, containers = saved(stack, server), stack.containers_on(server)
    return {
        "server": server,
        "place": place(backups.repository, server),
        "append_only": backups.append_only,
        "keep": backups.keep.periods,
        "restore": stack.servers[server].restore,
        "volumes": here.volumes,
        "left_out": here.left_out,
        "calendar": calendar(Schedule.parse(backups.when)),
        "drill_calendar": calendar(Schedule.parse(backups.drill.when)) if backups.drill.scheduled else [],
        "read_percent": backups.drill.read,
        "databases": {
            name: {
                "engine": engine,
                "volumes": _written(stack.applications[name]),
                **_if_any("folders", _folders(stack.applications[name])),
                **_if_any("used_from", _used_from(stack, server, name)),
                **_if_any("renamed_from", stack.applications[name].renamed_from),
            }
            for name, engine in here.databases.items()
        },
        "applications": {
            name: {
                "volumes": [volume for volume in _mounted(app) if volume in here.volumes],
                "databases": [
                    [used.server, used.name] for used in databases.used(name, app) if used.server in here.databases
                ],
                "http_port": app.http_port,
                "drill": _drill(name, app, here),
                **_if_any("elsewhere", _elsewhere(stack, server, name, app)),
            }
            for name, app in sorted(stack.applications_on(server).items())
            if _has_data(name, app)
        },
        **_if_any(
            "jobs",
            {
                name: used
                for name, job in sorted(containers.items())
                if name in stack.jobs
                and (
                    used := [
                        [one.server, one.name] for one in databases.used(name, job) if one.server in here.databases
                    ]
                )
            },
        ),
        "order": [name for name in container_order(stack) if name in containers and _has_data(name, containers[name])],
    }


def _has_data(name: str, container: Container) -> bool:
    """Whether a server has to know it: of one without, nothing is saved, and a new one is not waited for."""
    serves = isinstance(container, Application) and container.engine
    return bool(container.mounts or serves or databases.used(name, container))


def _if_any(key: str, found: list[Any] | dict[str, Any] | str | None) -> dict[str, Any]:
    return {key: found} if found else {}


def _used_from(stack: Stack, server: str, serving: str) -> list[list[str]]:
    """(database, application) of those that a restore on this server does not stop: of other servers, and replicas."""
    here = stack.applications_on(server)
    return [
        [used.name, f"{stack.server_of(app)}:{name}"]
        for name, app in sorted(stack.applications.items())
        if name not in here
        for used in databases.used(name, app)
        if used.server == serving
    ]


def _elsewhere(stack: Stack, server: str, name: str, app: Application) -> list[str]:
    """Databases of an application that are on other servers, as they are restored."""
    return [
        f"{there}:{used.server}/{used.name}"
        for used in databases.used(name, app)
        if (there := stack.server_of(stack.applications[used.server])) != server
    ]


def _drill(name: str, app: Application, here: Saved) -> dict[str, Any]:
    """What an application has to show. One whose database is on another server can't be started without it."""
    is_whole = all(used.server in here.databases for used in databases.used(name, app))
    said = app.drill.model_dump(exclude_none=True, exclude_defaults=True)
    return said if is_whole else {"start": False}


def place(repository: str, server: str) -> str:
    """A server's own part of a repository, as restic spells it."""
    return f"{repository.rstrip('/')}/{server}"


def _backups(stack: Stack) -> Backups:
    if stack.backups is None:
        raise ValueError("the stack has no backups")
    return stack.backups


def _mounted(container: Container) -> list[str]:
    return sorted({mount.name for mount in container.mounts if mount.name})


def _written(application: Application) -> list[str]:
    return sorted({mount.name for mount in application.mounts if mount.name and not mount.read_only})


def _folders(application: Application) -> list[str]:
    """What of the server itself it can write to, be it a folder or a file."""
    return sorted({mount.host_path for mount in application.mounts if mount.host_path and not mount.read_only})


def _setting(stack: Stack, name: str) -> str:
    return f"{'applications' if name in stack.applications else 'jobs'}.{name}"
