"""Models of what runs on a server.

Makes: `Application`, `Job` and what they share. Leaves alone: where they run (`models.Stack`), and whatever
needs more than one setting (`checks`). Attributes are as written in the stack file, respelt only where Docker
spells them another way; parsed forms are properties.
"""

from collections.abc import Mapping
from contextlib import suppress
from functools import cached_property
from typing import Literal, NamedTuple

from pydantic import Field, field_validator

from settings import container_texts, database_images, files
from settings import kinds as k
from settings.backups import Backup, BackupSetting
from settings.container_texts import DatabaseUse, OpenPort, Port, VolumeMount
from settings.database_images import Engine
from settings.drills import Drill, DrillSetting
from settings.entries import Entry
from settings.entries import parse as parse_entry
from settings.files import File
from settings.kinds import Settings
from settings.references import Reference, ReferenceSyntaxError, Value, parse, parse_text, parts
from settings.replicas import Replicas
from settings.site import Site
from settings.sources import Source

# What kind of database server an application of an image here is; of others: database_images.
_ENGINES_BY_FOLDER: Mapping[str, Engine] = {"PostgreSQL": "postgresql", "MariaDB": "mysql"}


class Written(NamedTuple):
    """A value of a container that may hold references, and where it stands in it."""

    path: tuple[str, ...]
    value: Value

    @property
    def variable(self) -> str:
        """Name of the variable that it is to the container."""
        return self.path[1].upper() if self.path[0] == "env" else self.path[1]

    def parse(self) -> Reference:
        """Read it as what it is; a file has references by `${...}` alone. Raises ReferenceSyntaxError."""
        if self.path[0] == "files":
            return parse_text(str(self.value))
        return parse(self.value, key=self.path[1] if self.path[0] == "env" else "")


class Container(Source):
    """What applications and jobs have in common."""

    server: k.Name | None = Field(
        default=None,
        description="Server it runs on; may be left out when there is one. Another one: it moves there, and its named "
        "volumes with it.",
        examples=["web1"],
    )
    renamed_from: k.Name | None = Field(
        default=None,
        description="Name it had before, for the update that renames it: the old one makes way instead of standing "
        "in it. Leave it out again afterwards.",
        examples=["blog"],
    )
    env: dict[k.EnvKey, k.EnvValue] = Field(
        default_factory=dict,
        description="Environment, in lower case; the container gets it in upper case, references resolved.",
        examples=[{"http_port": 8080, "db_host": "$postgres"}],
        repr=False,  # values may be secrets
    )
    environment: dict[k.VariableName, k.VariableValue] = Field(
        default_factory=dict,
        description="Further environment, which reaches the container by exactly these names; references are resolved.",
        examples=[{"url": "https://example.org", "database__client": "mysql"}],
        repr=False,
    )
    db: list[k.DatabaseSetting] = Field(
        default_factory=list,
        description="Databases it uses: the application that serves one, and its name (else its own, `-` as `_`). "
        "A job with `_dbmap` makes them before it starts.",
        examples=[["postgres", "mysql:shared"]],
    )
    after: list[k.Name] = Field(
        default_factory=list,
        description="Applications and jobs that come first: up, or through. After a job that fails applications "
        "stay as they were.",
        examples=[["haproxy", "dbsetup"]],
    )
    reach: list[k.Name] = Field(
        default_factory=list,
        description="Containers of its server that it may reach besides those it names (`$app`, `_app^password`, "
        "`db`): all others are closed to it. What one publishes is everybody's.",
        examples=[["redis"]],
    )
    volumes: list[k.VolumeSetting] = Field(
        default_factory=list,
        description="Named volumes (`name:/path`), folders of the server (`/folder/:/path`, made where they are not "
        "there, for its `user` where that is a number) or what is there already (`/file:/path`); `:ro`.",
        examples=[["letsencrypt:/etc/letsencrypt:ro", "/srv/media/:/media", "/srv/app.conf:/etc/app.conf:ro"]],
    )
    files: dict[k.AbsolutePath, k.FileSetting] = Field(
        default_factory=dict,
        description="Files that it finds, read-only: `content` with references by `${...}` (`$${` for plain `${`), or "
        "`from` a file or folder beside the stack file. `mode` is 0444 and `user` the container's own, where that is a "
        "number, else root. On the server only root gets to them.",
        examples=[{"/etc/app.yml": {"content": "key: ${_secrets^key}", "mode": "0400", "user": "1000:1000"}}],
        repr=False,
    )
    backup: BackupSetting = Field(
        default_factory=Backup,
        description="How its volumes are saved where the stack has `backups`; `false`: not at all, because what is in "
        "them can be made again.",
        examples=[False],
    )

    @cached_property
    def mounts(self) -> tuple[VolumeMount, ...]:
        """`volumes`, parsed, in order."""
        return tuple(container_texts.parse_volume(text) for text in self.volumes)

    @cached_property
    def databases(self) -> tuple[DatabaseUse, ...]:
        """`db`, parsed, in order."""
        return tuple(container_texts.parse_database(text) for text in self.db)

    @cached_property
    def written(self) -> tuple[Written, ...]:
        """Every value that may hold references, in order."""
        return (
            *(Written(("env", key), value) for key, value in self.env.items()),
            *(Written(("environment", name), value) for name, value in self.environment.items()),
            *(
                Written(("files", path), file.content)
                for path, file in self.given_files.items()
                if file.content is not None
            ),
        )

    @cached_property
    def variables(self) -> Mapping[str, Reference]:
        """`env` and `environment`, parsed, by the container's own names, in order. Raises ReferenceSyntaxError."""
        return {one.variable: one.parse() for one in self.written if one.path[0] != "files"}

    @cached_property
    def given_files(self) -> Mapping[str, File]:
        """`files`, parsed, by their paths in the container."""
        return {path: files.read(file) for path, file in self.files.items()}

    @cached_property
    def contents(self) -> Mapping[str, Reference]:
        """Of the files that the stack file writes: their content, parsed. Raises ReferenceSyntaxError."""
        return {one.path[1]: one.parse() for one in self.written if one.path[0] == "files"}

    @cached_property
    def references(self) -> tuple[tuple[Written, Reference], ...]:
        """All that it refers to, within text too, with where each is written; what can't be read is left out."""
        found: list[tuple[Written, Reference]] = []
        for one in self.written:
            with suppress(ReferenceSyntaxError):
                found += [(one, reference) for reference in parts(one.parse())]
        return tuple(found)

    @property
    def referred(self) -> tuple[Reference, ...]:
        """All that it refers to."""
        return tuple(reference for _, reference in self.references)


class Health(Settings):
    """How an application proves that it serves."""

    path: k.UrlPath = Field(
        default="/", description="Path that the proxy requests, of an application with domains.", examples=["/healthz"]
    )
    status: k.Statuses = Field(
        default="200-399",
        description="Statuses that count as healthy there: single ones and ranges, from 200 to 499.",
        examples=["200-399,401"],
    )
    timeout: int = Field(
        default=60,
        description="Seconds until a release that is not healthy has failed.",
        examples=[120],
        ge=1,
        le=3600,
    )
    test: list[k.Argument] | None = Field(
        default=None,
        description="Docker's health command; the image's own when left out.",
        examples=[["CMD", "pg_isready"]],
    )
    interval: k.Duration = Field(
        default="30s",
        description="Time between two runs of `test`; a release does not wait for it.",
        examples=["1m30s"],
    )
    retries: int = Field(
        default=3,
        description="Failures of `test` in a row that make the container unhealthy.",
        examples=[5],
        ge=1,
        le=100,
    )
    start_period: k.Duration = Field(
        default="0s", description="Time in which failures of `test` do not count.", examples=["30s"]
    )

    @field_validator("test")
    @classmethod
    def _is_a_health_command(cls, test: list[str] | None) -> list[str] | None:
        return None if test is None else container_texts.health_test(test)


class Application(Container, Replicas):
    """A container that stays up, or several of it. Its network alias is its name."""

    drill: DrillSetting = Field(
        default_factory=Drill,
        description="What it has to show when its backups are tried; `false`: it is not started then.",
        examples=[{"sql": "select count(*) from orders", "at_least": 1}],
    )

    ipv6_web: bool = Field(
        default=False,
        description="Whether it takes the static web address, as the proxy does.",
        examples=[True],
    )
    static_ipv6: k.AddressSuffix | None = Field(
        default=None, description="Another public IPv6 address of its own, as a suffix.", examples=["2:0:b"]
    )
    ports: list[k.PortSetting] = Field(
        default_factory=list,
        description='Ports published on the server: `80`, `"8080:80"` (server:container), `"53:53/udp"`, or ranges. '
        "Write pairs in quotes.",
        examples=[[80, 443, "53:53/udp", "49160-49200:49160-49200/udp"]],
    )
    open: list[k.OpenSetting] = Field(
        default_factory=list,
        description="Ports opened on its own IPv6 address and nowhere else, protocol first; with `static_ipv6` or "
        "`ipv6_web`.",
        examples=[["tcp/25565", "udp/6000-6010"]],
    )
    dns: list[k.Domain] = Field(
        default_factory=list,
        description="Names of its own IPv6 address: AAAA, and A of the server where it publishes `ports`. The "
        "address's reverse name is the first of them.",
        examples=[["mc.example.com"]],
    )
    private: list[k.PortSetting] = Field(
        default_factory=list,
        description="Ports published on the server's `private_ip` alone, for the other servers of the stack and nobody "
        "else; spelled as in `ports`.",
        examples=[[5432]],
    )
    ipv4: bool = Field(
        default=True,
        description="Whether it speaks IPv4 with the world. `false`: it is reached, and reaches out, over IPv6 alone; "
        "with other containers of the server it still speaks both.",
        examples=[False],
    )
    stateful: bool = Field(
        default=False,
        description="Whether two must never run at once: the old one stops before the new one starts. "
        "So it is anyway with published or private ports, an address of its own, `ipv4: false`, or a volume that it "
        "writes to; but for the proxy of build_dir HAProxy.",
        examples=[True],
    )
    database: Engine | None = Field(
        default=None,
        description="What it serves, where it is a database server; known by itself for the images PostgreSQL, "
        "MariaDB, `postgres`, `postgis`, `pgvector`, `mariadb`, `mysql`, `percona`, `percona-server`.",
        examples=["postgresql"],
    )
    rotate: dict[k.Argument, k.Text] = Field(
        default_factory=dict,
        description="Passwords to generate anew, on a database server: the name of a database, or `adminpass`; "
        "another value, another password.",
        examples=[{"shop": "2026-11", "adminpass": "2026-11"}],
    )
    passwords: dict[k.Argument, k.SecretSetting] = Field(
        default_factory=dict,
        description="Passwords that exist and are kept, on a database server: by the name of a database, or "
        "`adminpass`, a secret of the stack. Without its line one is generated.",
        examples=[{"shop": "_secrets^shop_db"}],
    )
    health: Health = Field(
        default_factory=Health, description="How it proves that it serves.", examples=[{"path": "/healthz"}]
    )
    site: Site = Field(
        default_factory=Site,
        description="What the proxy does for the visitors of its domains.",
        examples=[{"timeout": 600, "body_limit": "100m"}],
    )
    restart: Literal["no", "always", "on-failure", "unless-stopped"] = Field(
        default="unless-stopped", description="When Docker starts it again.", examples=["unless-stopped"]
    )

    @cached_property
    def published(self) -> tuple[Port, ...]:
        """The ports of `ports`, in order."""
        return tuple(port for ports in self.ports_published for port in ports)

    @cached_property
    def ports_published(self) -> tuple[tuple[Port, ...], ...]:
        """The published ports of each entry of `ports`: one, or those of a range."""
        return tuple(container_texts.parse_ports(port) for port in self.ports)

    @cached_property
    def opened(self) -> tuple[OpenPort, ...]:
        """What may be reached at its own IPv6 address: its published ports, those of `open`; sorted."""
        published = {OpenPort(of[0].proto, of[0].container, of[-1].container) for of in self.ports_published}
        return tuple(sorted(published | {container_texts.parse_open(text) for text in self.open}))

    @property
    def has_address(self) -> bool:
        """Whether it has an IPv6 address of its own."""
        return self.ipv6_web or self.static_ipv6 is not None

    @cached_property
    def private_published(self) -> tuple[Port, ...]:
        """The ports of `private`, in order."""
        return tuple(port for ports in self.ports_private for port in ports)

    @cached_property
    def ports_private(self) -> tuple[tuple[Port, ...], ...]:
        """The published ports of each entry of `private`."""
        return tuple(container_texts.parse_ports(port) for port in self.private)

    @property
    def engine(self) -> Engine | None:
        """What kind of database server it is; None when it is none, or nothing says so."""
        if self.database is not None or self.build_dir is not None:
            return self.database or _ENGINES_BY_FOLDER.get(str(self.build_dir))
        return database_images.engine(self.image)

    @property
    def domains(self) -> tuple[str, ...]:
        """The domains it serves, or their parts, `env.domains`; none when that is `all` or missing."""
        value = self.env.get("domains")
        return tuple(value) if isinstance(value, list) else ()

    @cached_property
    def entries(self) -> tuple[Entry, ...]:
        """`domains`, parsed."""
        return tuple(map(parse_entry, self.domains))

    @property
    def http_port(self) -> int | None:
        """The port its domains are served at, `env.http_port`; None when missing or not a port."""
        value = self.env.get("http_port")
        if isinstance(value, bool) or not isinstance(value, (int, str)):
            return None
        text = str(value)
        port = int(text) if text.isascii() and text.isdigit() and len(text) <= 5 else 0
        return port if 1 <= port <= 65535 else None

    @property
    def has_door(self) -> bool:
        """Whether its network outlives its containers: of the proxy of images/, two of which can serve in one."""
        return self.ipv6_web and self.build_dir == "HAProxy"

    @property
    def is_rolling(self) -> bool:
        """Whether a release starts the new container before the old one stops.

        Nothing may be theirs exclusively: no published port, no address of their own (one without IPv4 has a fixed
        IPv4 address, by which the firewall knows it), nothing they write to. With a door these are the door's.
        """
        if self.has_door:
            return not self.stateful
        writes = any(not mount.read_only for mount in self.mounts)
        shared = not (self.ports or self.private or self.ipv6_web or self.static_ipv6 or self.stateful or writes)
        return self.is_replicated or (self.ipv4 and shared)


class Job(Container):
    """A container that runs to its end when its inputs change, and stays stopped."""

    run: Literal["update", "manual"] = Field(
        default="update",
        description="Whether an update runs it when its inputs change, or `make run`, `make start` and the scheduler "
        "alone.",
        examples=["manual"],
    )
    timeout: int = Field(
        default=600, description="Seconds after which a run has failed.", examples=[60], ge=1, le=86400
    )
