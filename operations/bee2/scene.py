"""What the conversion of one container knows of all the others, and of what the caller wants."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from operations.bee2.reading import Container, Hive
from operations.coming.entries import Entry, Path
from operations.coming.errors import Key
from operations.coming.files import Files
from operations.coming.images import named
from operations.coming.secrets import Secrets
from operations.coming.told import Told
from settings.checks.images import USERS

# Folders of Bee2's dockerfiles/ that have a counterpart here, and what they are called in this room.
FOLDERS = {
    "AWStatsCGI": "awstats",
    "AWStatsGenerator": "awstats",
    "CertBot": "certbot",
    "DBSetup": "dbsetup",
    "DuplicityBackup": "backup",
    "HAProxy": "proxy",
    "HAProxySetup": "hasetup",
    "HTTPRedirects": "redirects",
    "JobScheduler": "scheduler",
    "LogRotate": "logs",
    "NginxStatic": "static",
}
GONE = ("awstats", "backup", "logs", "redirects")  # of which no container is left
ENGINES = {
    "postgres": "postgres", "postgis/postgis": "postgres", "mdillon/postgis": "postgres", "mysql": "mysql",
    "mariadb": "mysql",
}  # fmt: skip


@dataclass(frozen=True)
class Wish:
    """What the caller says beside the files. Plans and regions are by server, or by `""` for all."""

    leave_out: tuple[str, ...] = ()
    plans: Mapping[str, str] = field(default_factory=dict)
    regions: Mapping[str, str] = field(default_factory=dict)
    new_passwords: bool = False


@dataclass
class Scene:
    """The whole hive, and what is found out once for all of it."""

    hive: Hive
    files: Files
    wish: Wish
    told: Told
    secrets: Secrets = field(default_factory=Secrets)
    given: dict[str, str] = field(default_factory=dict)  # secrets that a command brings: the command, by name
    names: dict[Path, str] = field(default_factory=dict)  # of entries, by the container's path
    parts: dict[tuple[str, str], str] = field(default_factory=dict)  # entry by server and role, made or yet to be
    more_web: dict[str, list[str]] = field(default_factory=dict)  # domains that are new, by server
    entries: list[Entry] = field(default_factory=list)
    sources: dict[str, Path] = field(default_factory=dict)  # of settings, by their paths in the stack file

    def taken(self) -> list[str]:
        """The servers that are taken over: those with containers."""
        return [name for name in self.hive.servers if self.hive.on(name)]

    def find(self, server: str, section: str, name: str) -> Container | None:
        """A container by its name, on its own server."""
        return next((one for one in self.hive.on(server, section) if one.name == name), None)

    def of_role(self, server: str, role: str) -> list[Container]:
        """The containers of a server that play a part."""
        return [one for one in self.hive.on(server) if role_of(one) == role]

    def web(self, server: str) -> list[str]:
        """The domains that lead to a server's proxy, as Bee2's `dns.web` has them."""
        dns = self.hive.servers[server].get("dns")
        web = dns.get("web") if isinstance(dns, dict) else None
        return [item for item in web if isinstance(item, str)] if isinstance(web, list) else []

    def database(self, server: str, kind: str) -> Container | None:
        """The application that serves what Bee2 calls `postgres` or `mysql`: the one DBSetup asks, or of its image."""
        if kind not in ENGINES.values():
            return None
        for setup in self.of_role(server, "dbsetup"):
            env = setup.data.get("env")
            for name, value in env.items() if isinstance(env, dict) else ():
                if name.lower() == f"{kind}_host" and isinstance(value, str) and value.startswith("$"):
                    return self.find(server, "applications", value[1:])
        return self.find(server, "applications", kind) or next(
            (one for one in self.hive.on(server, "applications") if ENGINES.get(image_of(one)) == kind), None
        )

    def free(self, server: str, name: str) -> str:
        """A name for an entry that is new."""
        taken = {*self.names.values(), *self.parts.values(), *(entry.name for entry in self.entries)}
        return next(one for one in (name, f"{name}-{server}", f"new-{name}-{server}") if one not in taken)


@dataclass
class One:
    """A container on its way to an entry."""

    scene: Scene
    old: Container
    entry: Entry

    def at(self, *below: Key) -> Path:
        """A path below it."""
        return self.old.at(*below)

    @property
    def told(self) -> Told:
        """Where verdicts go."""
        return self.scene.told

    def put(self, word: str, value: object, key: str, comment: str = "") -> None:
        """Write a setting that came from a key."""
        self.entry.put(word, value, self.at(key), comment)


def image_of(one: Container) -> str:
    """The name of its image, as `images.named` has it; empty where it is built."""
    image = one.data.get("image")
    return named(image) if isinstance(image, str) else ""


def role_of(one: Container) -> str:
    """The part that a container plays: a value of FOLDERS, `official` for an image whose user is known, or nothing."""
    folder = one.data.get("build_dir")
    if isinstance(folder, str) and folder in FOLDERS:
        return FOLDERS[folder]
    if image_of(one) == "haproxy" or (one.data.get("ipv6_web") is True and one.section == "applications"):
        return "proxy"
    return "official" if image_of(one) in USERS and one.section == "applications" else ""


def spelt(name: str) -> str:
    """Spell a name of Bee2's as one of the stack file."""
    bare = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
    return (bare if bare[:1].isalpha() else f"x-{bare}")[:40].rstrip("-")
