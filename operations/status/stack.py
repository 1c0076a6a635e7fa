"""What there should be: servers, sites, containers, by the state; when backups are due, by the stack file. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from operations.state import CONTAINER, DOMAIN, SERVICE, Server, State
from settings.entries import parse as parse_entry
from settings.site import name_of, statuses

COMMAND = "command:remote:Command"
VERDICT = "apiary:docker:Verdict"
STACK = "pulumi:pulumi:Stack"
# When nothing is said.
BACKUP, DRILL = "17 2 * * *", "0 5 * * 0"
KINDS = {
    "apiary:docker:Application": "application",
    "apiary:docker:Door": "application",
    "apiary:docker:Job": "job",
}


@dataclass(frozen=True)
class Site:
    """One domain, or a part of it, as the last update has told its proxy of it."""

    domain: str  # as it is written: `example.com`, `example.com/api`, `*.example.com`
    server: str
    zone: str
    path: str
    statuses: str  # which count: `200-399,401`
    tls: bool
    addresses: Mapping[str, str]  # "IPv6", "IPv4" -> where it should lead
    application: str = ""
    host: str = ""  # by which it is asked for, where it is not called so
    beside: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # family -> the other servers that it leads to

    def leads(self, family: str) -> list[str]:
        """Every address that it should lead to over a family, sorted; none where that is not known."""
        own = self.addresses.get(family)
        return sorted({own, *self.beside.get(family, ())}) if own else []

    @property
    def asked(self) -> str:
        """The host name by which it is asked for."""
        return self.host or self.domain

    def counts(self, status: int) -> bool:
        """Whether a status is a good answer."""
        ends = [part.partition("-") for part in self.statuses.split(",")]
        return any(int(first) <= status <= int(last or first) for first, _, last in ends)


@dataclass(frozen=True)
class Container:
    """An application's or a job's, as the state has it."""

    kind: str  # "application", "job"
    name: str
    server: str
    id: str
    image: str  # `apiary/certbot:0a1b2c3d`
    by_hand: bool = False  # no update runs it


@dataclass(frozen=True)
class Spread:
    """An application with replicas, as the state has it."""

    name: str
    replicas: int
    servers: tuple[str, ...]  # that it should run on
    manager: str  # a server that knows of all of them


@dataclass(frozen=True)
class Schedule:
    """When backups and their rehearsals are due."""

    backup: str  # crontab(5)
    drill: str | None  # None where none goes by the clock
    store: str | None  # the server that keeps those of the others, and is saved nowhere


@dataclass(frozen=True)
class Wanted:
    """All of a stack that can be asked how it is."""

    stack: str  # its name, as `--stack` takes it
    tag: str  # in labels: `apiary-prod`
    servers: tuple[Server, ...]
    sites: tuple[Site, ...]
    containers: tuple[Container, ...]
    pending: tuple[str, ...]  # what an update had begun, and not recorded the end of
    backups: Schedule | None  # None where none are made
    zones: Mapping[str, str]  # server -> time zone of its backups' schedule
    spread: tuple[Spread, ...] = ()
    drained: frozenset[str] = frozenset()  # servers that are being emptied

    def sites_on(self, server: str) -> list[Site]:
        return [site for site in self.sites if site.server == server]

    def on(self, server: str, kind: str) -> list[Container]:
        return [one for one in self.containers if (one.server, one.kind) == (server, kind)]


def wanted(stack: str, tag: str, state: State, config: Mapping[str, Any]) -> Wanted:
    """From a state, and `config` of the stack file, e.g. `{"apiary:backups": {...}}`."""
    servers = tuple(state.servers())
    settings = {key.partition(":")[2]: value for key, value in config.items()}
    machines = settings.get("servers") or {}
    return Wanted(
        stack,
        tag,
        servers,
        tuple(sorted(_together(_sites(state), machines), key=lambda site: (site.server, site.domain))),
        tuple(_containers(state, servers, settings.get("jobs") or {})),
        tuple(sorted(f"{how} {resource.name}" for how, resource in state.pending)),
        _schedule(settings.get("backups")),
        {server.name: str((machines.get(server.name) or {}).get("timezone", "Etc/UTC")) for server in servers},
        tuple(_spread(state, machines, settings.get("applications") or {})),
        frozenset(name for name, machine in machines.items() if (machine or {}).get("drain")),
    )


def _schedule(backups: Any) -> Schedule | None:  # noqa: ANN401 - YAML
    if not isinstance(backups, Mapping):
        return None
    drill = backups.get("drill", True)
    rehearsal = drill if isinstance(drill, Mapping) else {"scheduled": drill}
    repository = backups.get("repository")
    said = f"server:{repository.get('server', '')}" if isinstance(repository, Mapping) else str(repository)
    store = said.removeprefix("server:") if said.startswith("server:") else None
    return Schedule(
        backup=str(backups.get("when", BACKUP)),
        drill=str(rehearsal.get("when", DRILL)) if rehearsal.get("scheduled", True) else None,
        store=store or None,
    )


def served(state: State) -> dict[str, set[str]]:
    """By server, the applications that its proxy leads to, as the last update has told it."""
    return {
        server: {name for name, told in applications.items() if told["sites"]} for server, applications in _told(state)
    }


def _told(state: State) -> Iterable[tuple[str, Mapping[str, Any]]]:
    """What the verdict on each server is told of its applications."""
    for command in state.of_type(COMMAND):
        if VERDICT in command.full_type and not command.doomed:
            told = json.loads(str(command.inputs.get("stdin") or "{}"))
            yield command.name.removesuffix("-verdict"), told.get("applications") or {}


def _sites(state: State) -> Iterable[Site]:
    outputs = next((one.outputs for one in state.of_type(STACK)), {})
    exported = outputs.get("servers") or {}
    zones = sorted({one.name for one in state.of_type(DOMAIN) if not one.doomed}, key=len, reverse=True)
    for server, applications in _told(state):
        own = exported.get(server) or {}
        leads = {"IPv6": str(own.get("web_ipv6") or ""), "IPv4": str(own.get("ipv4") or "")}
        for name, application in applications.items():
            for domain, route in application["sites"].items():
                entry, visited = parse_entry(domain), route.get("visited") or {}
                serves = statuses(str(visited.get("status", route["status"])), route.get("site"))
                zone = next((one for one in zones if f".{entry.host}".endswith(f".{one}")), entry.host)
                yield Site(
                    name_of(entry.host, route.get("site")) + entry.below, server, zone,
                    str(visited.get("path", route["path"])), serves, bool(route["tls"]), leads, name,
                    name_of(entry.asked, route.get("site")),
                )  # fmt: skip


def _together(sites: Iterable[Site], machines: Mapping[str, Any]) -> Iterable[Site]:
    """Each site with the other servers that have the same one: its replicas are behind all of them. To a server that is
    being emptied none leads any more.
    """
    found = [site for site in sites if not (machines.get(site.server) or {}).get("drain")]
    for site in found:
        others = [one for one in found if one.domain == site.domain and one.server != site.server]
        families = {family for one in others for family in one.addresses}
        beside = {
            family: tuple(one.addresses[family] for one in others if one.addresses.get(family)) for family in families
        }
        yield replace(site, beside=beside) if others else site


def _containers(state: State, servers: Iterable[Server], jobs: Mapping[str, Any]) -> Iterable[Container]:
    names = {server.urn: server.name for server in servers}
    for resource in state.of_type(CONTAINER):
        kind = next((said for type_, said in KINDS.items() if f"{type_}$" in resource.full_type), None)
        server = names.get(resource.provider.rpartition("::")[0])
        if kind and server and not resource.doomed and not resource.gone:
            image = str(resource.inputs.get("image") or "")
            by_hand = kind == "job" and (jobs.get(resource.name) or {}).get("run") == "manual"
            yield Container(kind, resource.name, server, resource.id, image, by_hand)


def _spread(state: State, machines: Mapping[str, Any], applications: Mapping[str, Any]) -> Iterable[Spread]:
    roles = {name: (machine or {}).get("swarm") for name, machine in machines.items()}
    members = [name for name, role in roles.items() if role and not (machines[name] or {}).get("drain")]
    manager = next((name for name, role in roles.items() if role == "manager"), "a manager")
    for service in state.of_type(SERVICE):
        if not service.doomed and not service.gone:
            narrowed = (applications.get(service.name) or {}).get("servers") or members
            servers = tuple(name for name in members if name in narrowed)
            yield Spread(service.name, int(service.inputs["mode"]["replicated"]["replicas"]), servers, manager)
