"""Bee2's files: its settings, in the layout of 2018 (`docker.SERVER.applications`) or 2017 (`server:`), and its state.

Makes: `load`, from paths to `Hive`. Leaves alone: what becomes of a key. The layout is that of Bee2's public sources.
"""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv6Network

from operations.coming import yaml_data
from operations.coming.entries import Path
from operations.coming.errors import Key, Problem, SourceError, kind_of, path_of
from operations.coming.files import Files, joined
from settings.errors import did_you_mean

SECTIONS = ("applications", "jobs")
Data = Mapping[str, object]


@dataclass(frozen=True)
class Address:
    """What the state knows of a server: its IPv4 address and its /64; empty for what it does not say."""

    ipv4: str = ""
    prefix: str = ""


@dataclass(frozen=True)
class Container:
    """An application or a job as it stands in the settings."""

    server: str
    section: str
    name: str
    data: Data
    path: Path

    def at(self, *below: Key) -> Path:
        """A path below it."""
        return (*self.path, *below)


@dataclass
class Hive:
    """All that is read. `folder` is the one in which Bee2 is run."""

    data: Data
    folder: str
    servers: dict[str, Data] = field(default_factory=dict)
    containers: list[Container] = field(default_factory=list)
    addresses: dict[str, Address] = field(default_factory=dict)

    def on(self, server: str, section: str = "") -> list[Container]:
        """Its containers of one server, or those of one section."""
        return [one for one in self.containers if one.server == server and section in ("", one.section)]

    def prefix(self, server: str) -> str:
        """What Bee2 puts before the names of a server's containers."""
        docker = self.data.get("docker")
        inner = docker.get(server) if isinstance(docker, dict) else None
        return str(inner.get("prefix") or "bee2") if isinstance(inner, dict) else "bee2"


class _Reading:
    def __init__(self) -> None:
        self.problems: list[Problem] = []

    def refuse(self, message: str, *path: Key) -> None:
        self.problems.append(Problem(path_of(*path), message))

    def map(self, value: object, example: str, *path: Key) -> dict[str, object]:
        """A map, an empty one for nothing or for what is none, which is told."""
        if isinstance(value, dict):
            return value
        if value is not None:
            self.refuse(f"must be a map, not {kind_of(value)}; write e.g. {example}", *path)
        return {}


def load(settings: str, files: Files, *, state: str = "") -> Hive:
    """Read settings.yml, an absolute path, and the state it names, or `state`. Raises SourceError with all of it."""
    data = _document(settings, files)
    reading = _Reading()
    folder = posixpath.dirname(settings)
    hive = Hive(data, posixpath.dirname(folder) if posixpath.basename(folder) == "conf" else folder)
    for name, server in reading.map(data.get("servers"), "web1: {plan: 202}", "servers").items():
        hive.servers[name] = reading.map(server, "{plan: 202}", "servers", name)
    if not hive.servers:
        reading.refuse("there is none; name Bee2's settings.yml, which has servers", "servers")
    _by_server(reading, hive)
    _by_name(reading, hive)
    provisioner = reading.map(data.get("provisioner"), "{type: vultr}", "provisioner")
    named = provisioner.get("state_file")
    if named is not None and not isinstance(named, str):
        reading.refuse(f"must be text, not {kind_of(named)}; write e.g. conf/vultr-state.yml", "provisioner.state_file")
        named = None
    if reading.problems:
        raise SourceError(reading.problems)
    place = state or (joined(hive.folder, named) if named else "")
    if place and (state or files.kind(place) is not None):
        hive.addresses = _addresses(_document(place, files))
    return hive


def _document(path: str, files: Files) -> dict[str, object]:
    found = yaml_data.documents(files.read(path), posixpath.basename(path), of_ruby=True)
    if len(found) != 1 or not isinstance(found[0], dict):
        raise SourceError([Problem(posixpath.basename(path), "is no map; name the file that Bee2 is run with")])
    return found[0]


def _by_server(reading: _Reading, hive: Hive) -> None:
    """`docker.SERVER.applications`; a key without containers is an anchor's place or a setting of Bee2's."""
    for server, inner in reading.map(hive.data.get("docker"), "web1: {applications: {}}", "docker").items():
        if not isinstance(inner, dict):
            if server in hive.servers:
                reading.map(inner, "{applications: {}}", "docker", server)
            continue
        if server not in hive.servers:
            if set(SECTIONS) & set(inner):
                reading.refuse(f"is not a server; {did_you_mean(server, hive.servers)}", "docker", server)
            continue
        for section in SECTIONS:
            _take(reading, hive, inner.get(section), ("docker", server, section), server)


def _by_name(reading: _Reading, hive: Hive) -> None:
    """`applications` and `jobs` at the top, each with its `server`."""
    for section in SECTIONS:
        _take(reading, hive, hive.data.get(section), (section,), "")


def _take(reading: _Reading, hive: Hive, entries: object, path: Path, on: str) -> None:
    for name, raw in reading.map(entries, "blog: {image: x}", *path).items():
        data = reading.map(raw, "{image: x}", *path, name)
        server = on or data.get("server") or (next(iter(hive.servers)) if len(hive.servers) == 1 else None)
        if not isinstance(server, str) or server not in hive.servers:
            known = ", ".join(hive.servers) or "none"
            reading.refuse(f"names no server; write server: with one of {known}", *path, name)
            continue
        hive.containers.append(Container(server, str(path[-1]), name, data, (*path, name)))


def _addresses(state: Data) -> dict[str, Address]:
    """What the state says of each server; it was written by a program, so that what is odd is not there."""
    servers = state.get("servers")
    found = {}
    for name, entry in servers.items() if isinstance(servers, dict) else ():
        parts = {key: entry.get(key) if isinstance(entry, dict) else None for key in ("ipv4", "ipv6")}
        ipv4, ipv6 = (part if isinstance(part, dict) else {} for part in parts.values())
        found[name] = Address(str(ipv4.get("addr") or ""), _prefix(ipv6.get("subnet")))
    return found


def _prefix(subnet: object) -> str:
    try:
        return str(IPv6Network(f"{str(subnet).partition('/')[0]}/64", strict=False)) if subnet else ""
    except ValueError:
        return ""
