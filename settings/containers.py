"""Models of what runs on a server.

Makes: `Application`, `Job` and what they share. Leaves alone: where they run (`models.Stack`), and whatever
needs more than one setting (`checks`). Attributes are as written in the stack file, respelt only where Docker
spells them another way; parsed forms are properties.
"""

from collections.abc import Mapping
from functools import cached_property
from typing import Literal

from pydantic import Field, field_validator

from settings import container_texts, git_texts
from settings import kinds as k
from settings.backups import Backup, BackupSetting
from settings.container_texts import DatabaseUse, OpenPort, Port, VolumeMount
from settings.drills import Drill, DrillSetting
from settings.kinds import Settings
from settings.references import Reference, parse

Engine = Literal["postgresql", "mysql"]
# What kind of database server an application is, where that needs no saying.
_ENGINES_BY_FOLDER: Mapping[str, Engine] = {"PostgreSQL": "postgresql", "MariaDB": "mysql"}
_ENGINES_BY_IMAGE: Mapping[str, Engine] = {"postgres": "postgresql", "mariadb": "mysql", "mysql": "mysql"}


class Git(Settings):
    """A repository whose Dockerfile is built on the server. Of `branch`, `tag` and `commit` one at most."""

    url: k.GitUrl = Field(
        description="Where it is, by https (or http, where nothing is secret).",
        examples=["https://git.example.org/team/site.git"],
    )
    branch: k.GitRef | None = Field(
        default=None,
        description="Branch whose newest commit is built: the first time, and whenever `make run` or `make release` "
        "asks for it. The repository's default branch when nothing is said.",
        examples=["main"],
    )
    tag: k.GitRef | None = Field(default=None, description="Tag that is built.", examples=["v1.4"])
    commit: k.GitCommit | None = Field(
        default=None,
        description="Commit that is built, wherever its branch has gone.",
        examples=["0a1b2c3d4e5f60718293a4b5c6d7e8f901234567"],
    )
    dir: k.GitFolder | None = Field(
        default=None,
        description="Folder of it with the Dockerfile, and all that is built from; its top when left out.",
        examples=["sites/blog"],
    )
    secret: k.SecretSetting | None = Field(
        default=None,
        description="Token that may read a private one. It is used to fetch, and gets into no image and no log.",
        examples=["_secrets^git_token"],
    )

    @property
    def ref(self) -> str:
        """What is looked up in the repository: `refs/heads/main`, `refs/tags/v1.4`, `HEAD`."""
        if self.tag is not None:
            return f"refs/tags/{self.tag}"
        return "HEAD" if self.branch is None else f"refs/heads/{self.branch}"

    @property
    def secret_name(self) -> str | None:
        """Name in `secrets` of the token."""
        return None if self.secret is None else git_texts.secret_name(self.secret)


class Container(Settings):
    """What applications and jobs have in common."""

    server: k.Name | None = Field(
        default=None, description="Server it runs on; may be left out when there is one.", examples=["web1"]
    )
    renamed_from: k.Name | None = Field(
        default=None,
        description="Name it had before, for the update that renames it: the old one makes way instead of standing "
        "in it. Leave it out again afterwards.",
        examples=["blog"],
    )
    build_dir: k.Folder | None = Field(
        default=None,
        description="Folder of images/ that is built on the server. Either this, `image` or `git`.",
        examples=["HAProxy"],
    )
    image: k.Image | None = Field(
        default=None,
        description="Image that is pulled. Either this, `build_dir` or `git`.",
        examples=["postgres:15"],
    )
    git: Git | None = Field(
        default=None,
        description="Repository that is built on the server. Either this, `build_dir` or `image`.",
        examples=[{"url": "https://git.example.org/team/site.git", "branch": "main", "dir": "sites/blog"}],
    )
    build_args: dict[k.BuildArg, k.Argument] = Field(
        default_factory=dict,
        description="Build arguments, with `build_dir` or `git`.",
        examples=[{"VERSION": "1.2"}],
    )
    env: dict[k.EnvKey, k.EnvValue] = Field(
        default_factory=dict,
        description="Environment, in lower case; the container gets it in upper case, references resolved.",
        examples=[{"http_port": 8080, "db_host": "$postgres"}],
        repr=False,  # values may be secrets
    )
    db: list[k.DatabaseSetting] = Field(
        default_factory=list,
        description="Databases it uses: the application that serves one, and its name (else its own, `-` as `_`). "
        "A job with `_dbmap` makes them before it starts.",
        examples=[["postgres", "mysql:shared"]],
    )
    volumes: list[k.VolumeSetting] = Field(
        default_factory=list,
        description="Named volumes (`name:/path`), folders of the server (`/folder/:/path`, made where they are not "
        "there) or what is there already (`/file:/path`); `:ro`.",
        examples=[["letsencrypt:/etc/letsencrypt:ro", "/srv/media/:/media", "/srv/app.conf:/etc/app.conf:ro"]],
    )
    backup: BackupSetting = Field(
        default_factory=Backup,
        description="How its volumes are saved where the stack has `backups`; `false`: not at all, because what is in "
        "them can be made again.",
        examples=[False],
    )
    command: list[k.Argument] | None = Field(
        default=None,
        description="Program and arguments; the image's own when left out.",
        examples=[["serve", "--quiet"]],
    )
    user: k.Text | None = Field(
        default=None, description="User it runs as; the image's own when left out.", examples=["1000:1000"]
    )
    memory: k.Memory | None = Field(default=None, description="Memory limit, swap included.", examples=["256m"])
    cpus: k.Cpus | None = Field(default=None, description="Limit in processors.", examples=["0.5"])
    capabilities: list[k.Capability] = Field(
        default_factory=list,
        description="Linux capabilities given back; all are dropped first.",
        examples=[["NET_BIND_SERVICE"]],
    )
    read_only: bool = Field(default=False, description="Whether its root file system is read-only.", examples=[True])
    tmpfs: dict[k.AbsolutePath, k.Argument] = Field(
        default_factory=dict,
        description="Folders in memory, with mount options.",
        examples=[{"/run": "size=16m"}],
    )
    grace_seconds: int = Field(
        default=10, description="Seconds it has to stop before it is killed.", examples=[30], ge=0, le=3600
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
    def environment(self) -> Mapping[str, Reference]:
        """`env`, parsed, by the container's own (upper-case) names, in order. Raises ReferenceSyntaxError."""
        return {key.upper(): parse(value, key=key) for key, value in self.env.items()}

    @property
    def memory_mib(self) -> int | None:
        """Memory limit in MiB."""
        return None if self.memory is None else container_texts.parse_memory(self.memory)

    @property
    def docker_capabilities(self) -> tuple[str, ...]:
        """`capabilities` as Docker reads them back, sorted: `CAP_NET_BIND_SERVICE`."""
        return tuple(sorted({f"CAP_{name}" for name in self.capabilities}))


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


class Application(Container):
    """A container that stays up. Its network alias is its name."""

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
        description='Ports published on the server: `80`, `"8080:80"` (server:container), `"53:53/udp"`. '
        "Write pairs in quotes.",
        examples=[[80, 443, "53:53/udp"]],
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
        "writes to.",
        examples=[True],
    )
    database: Engine | None = Field(
        default=None,
        description="What it serves, where it is a database server; known by itself for the images PostgreSQL, "
        "MariaDB, `postgres`, `mariadb`, `mysql`.",
        examples=["postgresql"],
    )
    rotate: dict[k.Argument, k.Text] = Field(
        default_factory=dict,
        description="Passwords to generate anew, on a database server: the name of a database, or `adminpass`; "
        "another value, another password.",
        examples=[{"shop": "2026-11", "adminpass": "2026-11"}],
    )
    health: Health = Field(
        default_factory=Health, description="How it proves that it serves.", examples=[{"path": "/healthz"}]
    )
    restart: Literal["no", "always", "on-failure", "unless-stopped"] = Field(
        default="unless-stopped", description="When Docker starts it again.", examples=["unless-stopped"]
    )

    @cached_property
    def published(self) -> tuple[Port, ...]:
        """`ports`, parsed, in order."""
        return tuple(container_texts.parse_port(port) for port in self.ports)

    @cached_property
    def opened(self) -> tuple[OpenPort, ...]:
        """What may be reached at its own IPv6 address: its published ports, those of `open`; sorted."""
        published = {OpenPort(port.proto, port.container, port.container) for port in self.published}
        return tuple(sorted(published | {container_texts.parse_open(text) for text in self.open}))

    @property
    def has_address(self) -> bool:
        """Whether it has an IPv6 address of its own."""
        return self.ipv6_web or self.static_ipv6 is not None

    @cached_property
    def private_published(self) -> tuple[Port, ...]:
        """`private`, parsed, in order."""
        return tuple(container_texts.parse_port(port) for port in self.private)

    @property
    def engine(self) -> Engine | None:
        """What kind of database server it is; None when it is none, or nothing says so."""
        if self.database is not None or self.build_dir is not None:
            return self.database or _ENGINES_BY_FOLDER.get(str(self.build_dir))
        bare = (self.image or "").partition("@")[0].rpartition("/")[2].partition(":")[0]
        return _ENGINES_BY_IMAGE.get(bare)

    @property
    def domains(self) -> tuple[str, ...]:
        """The domains it serves, `env.domains`; none when that is `all` or missing."""
        value = self.env.get("domains")
        return tuple(value) if isinstance(value, list) else ()

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
    def is_rolling(self) -> bool:
        """Whether a release starts the new container before the old one stops.

        Nothing may be theirs exclusively: no published port, no address of their own (one without IPv4 has a fixed
        IPv4 address, by which the firewall knows it), nothing they write to.
        """
        writes = any(not mount.read_only for mount in self.mounts)
        shared = not (self.ports or self.private or self.ipv6_web or self.static_ipv6 or self.stateful or writes)
        return self.ipv4 and shared


class Job(Container):
    """A container that runs to its end when its inputs change, and stays stopped."""

    after: list[k.Name] = Field(
        default_factory=list,
        description="Applications and jobs that come first.",
        examples=[["haproxy", "dbsetup"]],
    )
    timeout: int = Field(
        default=600, description="Seconds after which a run has failed.", examples=[60], ge=1, le=86400
    )
