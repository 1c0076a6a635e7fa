"""What the conversion of one service knows of all the others, and of what the caller wants."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from operations.coming.entries import Entry, Path
from operations.coming.errors import Key
from operations.coming.files import Files
from operations.coming.secrets import Secrets
from operations.coming.told import Told
from operations.compose.databases import Server
from operations.compose.project import Project
from operations.compose.proxied import Option, Said
from operations.compose.reading import Data
from operations.compose.traefik_middlewares import Parts
from operations.compose.variables_out import Client


@dataclass(frozen=True)
class Wish:
    """What the caller says beside the files."""

    prefix: str = ""  # before every name, so that two projects fit into one stack
    domains: Mapping[str, str] = field(default_factory=dict)  # by service
    leave_out: tuple[str, ...] = ()  # paths of the compose files
    server: str = ""
    keep_passwords: bool = False  # of the databases that there are


@dataclass
class Scene:
    """All services, and what is found out once for all of them."""

    project: Project
    files: Files
    wish: Wish
    told: Told
    secrets: Secrets = field(default_factory=Secrets)
    names: dict[str, str] = field(default_factory=dict)  # of entries, by service
    jobs: set[str] = field(default_factory=set)  # services that run to their end
    servers: dict[str, Server] = field(default_factory=dict)  # of databases, by application
    unset: dict[str, str] = field(default_factory=dict)  # secrets that have no value here, by their names there
    folders: dict[str, str] = field(default_factory=dict)  # of images/, by context
    builders: dict[str, str] = field(default_factory=dict)  # who builds the image that a service names
    copies: dict[str, str] = field(default_factory=dict)  # folders that become volumes, by volume
    bound: dict[str, bool] = field(
        default_factory=dict
    )  # what services mount of this machine; whether one writes there
    volumes: dict[str, str] = field(default_factory=dict)  # what each volume holds, by its name here
    sites: dict[str, str] = field(default_factory=dict)  # application by domain
    behind: dict[str, tuple[str, str]] = field(
        default_factory=dict
    )  # services with no way of their own: their domain, and the variable that says it
    used: dict[str, set[str]] = field(default_factory=dict)  # names of databases, by server
    middlewares: Parts = field(default_factory=dict)  # of Traefik, which any service may name
    middlewares_met: set[Path] = field(default_factory=set)  # where those are said that a site goes by
    guards: list[Option] = field(default_factory=list)  # of proxies that are left out, for all sites
    redirects: dict[str, str] = field(default_factory=dict)  # of the server
    redirected: dict[str, Path] = field(default_factory=dict)  # where each of those is said
    mail: str = ""  # who is told before a certificate ends

    def name_of(self, text: str) -> str:
        """Spell a name of the compose files as one of the stack file."""
        bare = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")
        bare = f"{self.wish.prefix}-{bare}" if self.wish.prefix else bare
        return (bare if bare[:1].isalpha() else f"x-{bare}")[:40].rstrip("-")

    def volume_of(self, text: str, holds: str) -> str:
        """Spell the name of a volume. What holds something else has another: a volume `data`, and a folder ./data."""
        bare = re.sub(r"[^A-Za-z0-9_.-]+", "-", text).strip("-._")
        bare = f"{self.wish.prefix}-{bare}" if self.wish.prefix else bare
        name = base = bare if len(bare) > 1 else f"{bare or 'x'}-data"
        number = 2
        while self.volumes.setdefault(name, holds) != holds:
            name, number = f"{base}-{number}", number + 1
        return name


@dataclass
class One:
    """A service on its way to an entry."""

    scene: Scene
    service: str
    data: Data
    entry: Entry
    client: Client
    sources: list[str] = field(default_factory=list)  # where its own source would be mounted
    key: str = ""  # which is being converted
    environment: dict[str, str] = field(default_factory=dict, repr=False)  # as the container has it now

    said: Said = field(init=False)  # what it tells the reverse proxy that it had

    def __post_init__(self) -> None:
        self.said = Said(self.told)

    @property
    def told(self) -> Told:
        """Where verdicts go."""
        return self.scene.told

    @property
    def is_job(self) -> bool:
        """Whether it runs to its end."""
        return self.service in self.scene.jobs

    @property
    def image(self) -> str:
        """The image that is pulled; empty where one is built."""
        image = self.data.get("image")
        return image if isinstance(image, str) and "build" not in self.data else ""

    @property
    def line(self) -> str:
        """What it runs, as one text; empty where that is the image's own program."""
        said = [self.data.get(word) or "" for word in ("entrypoint", "command")]
        return " ".join(" ".join(map(str, words)) if isinstance(words, list) else str(words) for words in said).strip()

    @property
    def database(self) -> Server | None:
        """The database server that it is."""
        return self.scene.servers.get(self.entry.name)

    def at(self, *below: Key) -> Path:
        """A path below the service."""
        return ("services", self.service, *below)

    def same(self, word: str, value: object) -> None:
        """Write a setting that has the same word in both."""
        self.entry.put(word, value, self.at(word))
        self.told.as_is(*self.at(word))
