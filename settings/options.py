"""The options of a container: one row a setting, with what Docker calls it.

Makes: `Options`, which applications and jobs have, and `rows`, from which the arguments of the container
(components/container.py), the words of Compose (`foreign`) and docs/configuration.md follow. A new option is a field
here with its `Docker`, and its language in `option_texts`. Leaves alone: what has parts of its own elsewhere (health,
ports, volumes, environment).

Docker changes none of them in a container that runs: another value is another container.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, NamedTuple

from pydantic import Field

from settings import kinds as k
from settings import option_texts
from settings.kinds import Settings


@dataclass(frozen=True)
class Docker:
    """What a setting is to the Docker plugin (5.x): its arguments, and where the plugin needs help."""

    arguments: tuple[str, ...] = ()  # of docker.Container, each given the same value; none: components/ has another way
    value: Callable[[Any], object] = lambda value: value  # from the setting, None where there is nothing to say
    compose: str = ""  # its word in Compose, where that is another
    is_applied: bool = True  # else the plugin reports a change in place and does nothing
    is_missed: bool = False  # taken out of the stack file it makes no difference that the plugin would see


class Row(NamedTuple):
    """One option: its word here, an example, and what Docker calls it."""

    word: str
    example: object
    docker: Docker


def _mib(amount: str | None) -> int | None:
    return None if amount is None else option_texts.parse_amount(amount)


def _shm_mib(amount: str | None) -> int | None:
    return None if amount is None else option_texts.parse_shm(amount)


def _capabilities(names: list[str]) -> Mapping[str, list[str]]:
    """All dropped but these, as Docker reads them back: sorted, `CAP_NET_BIND_SERVICE`."""
    return {"drops": ["ALL"], "adds": sorted({f"CAP_{name}" for name in names})}


def _ulimits(limits: Mapping[str, object]) -> list[dict[str, object]] | None:
    read = {name: option_texts.parse_limit(limits[name]) for name in sorted(limits)}
    return [{"name": name, "soft": one.soft, "hard": one.hard} for name, one in read.items()] or None


def _devices(devices: list[str]) -> list[dict[str, str]] | None:
    read = [option_texts.parse_device(text) for text in devices]
    return [
        {"host_path": one.host, "container_path": one.container, "permissions": one.permissions} for one in read
    ] or None


def _hosts(hosts: Mapping[str, str]) -> list[dict[str, str]] | None:
    return [{"host": name, "ip": hosts[name]} for name in sorted(hosts)] or None


def _some(value: Any) -> Any:  # noqa: ANN401 - a list or a map, whichever it is
    """None in place of an empty one, which the plugin would take for another."""
    return value or None


class Options(Settings):
    """How a container runs, in Compose's own words wherever it has one. Another value makes another container."""

    command: Annotated[list[k.Argument] | None, Docker(("command",), is_missed=True)] = Field(
        default=None,
        description="Program and arguments; the image's own when left out.",
        examples=[["serve", "--quiet"]],
    )
    user: Annotated[k.Text | None, Docker(("user",), is_missed=True)] = Field(
        default=None, description="User it runs as; the image's own when left out.", examples=["1000:1000"]
    )
    memory: Annotated[
        k.Memory | None,
        Docker(
            ("memory", "memory_swap"),
            _mib,
            "mem_limit",
            is_missed=True,
        ),
    ] = Field(
        default=None,
        description="Memory limit, swap included; with `replicas` each may use as much swap besides.",
        examples=["256m", "1.5g"],
    )
    cpus: Annotated[k.Cpus | None, Docker(("cpus",))] = Field(
        default=None, description="Limit in processors.", examples=["0.5"]
    )
    capabilities: Annotated[list[k.Capability], Docker(("capabilities",), _capabilities, "cap_add")] = Field(
        default_factory=list,
        description="Linux capabilities given back; all are dropped first. An image that begins as root and becomes "
        "another user needs `SETGID`, `SETUID`, mostly `CHOWN`, and `KILL` to be told to stop.",
        examples=[["NET_BIND_SERVICE"]],
    )
    read_only: Annotated[bool, Docker(("read_only",))] = Field(
        default=False, description="Whether its root file system is read-only.", examples=[True]
    )
    tmpfs: Annotated[dict[k.AbsolutePath, k.Argument], Docker(("tmpfs",), _some, is_applied=False)] = Field(
        default_factory=dict,
        description="Folders in memory, with mount options.",
        examples=[{"/run": "size=16m"}],
    )
    grace_seconds: Annotated[
        # The first is the plugin's, when it removes the container; the second is Docker's, whoever stops it.
        int,
        Docker(("destroy_grace_seconds", "stop_timeout"), compose="stop_grace_period"),
    ] = Field(
        default=10,
        description="Seconds it has to stop before it is killed; of replicas with "
        "`domains` 60 when left out, as long as others' visitors have.",
        examples=[30],
        ge=0,
        le=3600,
    )
    entrypoint: Annotated[k.Words | None, Docker(("entrypoints",), is_missed=True)] = Field(
        default=None,
        description="Program that is run with `command` as its arguments, instead of the image's own entrypoint; the "
        "image's command is then left out too.",
        examples=[["/usr/bin/tini", "--", "serve"]],
    )
    working_dir: Annotated[k.AbsolutePath | None, Docker(("working_dir",), is_missed=True)] = Field(
        default=None, description="Folder it starts in; the image's own when left out.", examples=["/srv/app"]
    )
    hostname: Annotated[k.Hostname | None, Docker(("hostname",), is_missed=True)] = Field(
        default=None,
        description="Its name for itself, where a program keeps data by it; else another one at each release.",
        examples=["rabbit-1"],
    )
    shm_size: Annotated[k.ShmSize | None, Docker(("shm_size",), _shm_mib, is_missed=True)] = Field(
        default=None, description="Size of /dev/shm; 64 MiB when left out.", examples=["256m"]
    )
    ulimits: Annotated[k.Ulimits, Docker(("ulimits",), _ulimits)] = Field(
        default_factory=dict,
        description="Limits of its processes, as getrlimit(2) names them: one number, or soft and hard ones.",
        examples=[{"nofile": {"soft": 20000, "hard": 40000}, "memlock": -1}],
    )
    sysctls: Annotated[dict[k.Sysctl, k.PlainValue], Docker(("sysctls",), _some)] = Field(
        default_factory=dict,
        description="Settings of the kernel that it has for itself: `net.*` but for most of `net.core`, `fs.mqueue.*`, "
        "and those of messages and shared memory.",
        examples=[{"net.core.somaxconn": 1024}],
    )
    devices: Annotated[list[k.Device], Docker(("devices",), _devices)] = Field(
        default_factory=list,
        description="Devices of the server (`server:container:rights`), which have to be there; none that is the "
        "server itself, as its disks.",
        examples=[["/dev/net/tun"]],
    )
    group_add: Annotated[list[k.Group], Docker(("group_adds",), _some)] = Field(
        default_factory=list,
        description="Further groups of its user, by number or by their names in the image.",
        examples=[["video", 44]],
    )
    extra_hosts: Annotated[dict[k.HostName, k.HostAddress], Docker(("hosts",), _hosts)] = Field(
        default_factory=dict,
        description="Names with the IPv4 addresses it finds them at, before anybody is asked.",
        examples=[{"ldap.example.com": "192.0.2.10"}],
    )
    nameservers: Annotated[list[k.Nameserver], Docker(("dns",), _some, "dns")] = Field(
        default_factory=list,
        description="Resolvers it asks, in no order; those of the server when left out. Containers are found by name "
        "either way.",
        examples=[["9.9.9.9", "2620:fe::fe"]],
    )
    labels: Annotated[dict[k.LabelName, k.PlainValue], Docker()] = Field(
        default_factory=dict,
        description="Labels for tools of your own on the server; nothing here goes by them.",
        examples=[{"com.example.team": "shop"}],
    )
    stop_signal: Annotated[k.Signal | None, Docker(("stop_signal",), is_missed=True)] = Field(
        default=None,
        description="Signal that asks it to stop; the image's own, or SIGTERM, when left out.",
        examples=["SIGQUIT"],
    )
    pids_limit: Annotated[int | None, Docker(is_missed=True)] = Field(
        default=None,
        description="Most processes and threads it may have at once.",
        examples=[200],
        ge=1,
        le=4_194_304,
    )
    init: Annotated[bool, Docker(("init",), is_applied=False)] = Field(
        default=True,
        description="Whether its first process is a small init that clears away children and hands signals on. `false` "
        "for an image whose own has to be the first (s6, systemd).",
        examples=[False],
    )

    @property
    def memory_mib(self) -> int | None:
        """Memory limit in MiB."""
        return _mib(self.memory)


def rows() -> Iterator[Row]:
    """Every option, in the order of the reference."""
    for word, field in Options.model_fields.items():
        [docker] = [part for part in field.metadata if isinstance(part, Docker)]
        yield Row(word, (field.examples or [None])[0], docker)


def arguments(options: Options) -> dict[str, object]:
    """Return the arguments of docker.Container that its options are."""
    found: dict[str, object] = {}
    for row in rows():
        value = row.docker.value(getattr(options, row.word))
        found |= dict.fromkeys(row.docker.arguments, value)
    return found


def missed(options: Options, more: Sequence[object] = ()) -> list[object]:
    """Return what the plugin would not miss, and `more` that it would not either: another list whenever one is another.

    It is told by a label.
    """
    given = {row.word: getattr(options, row.word) for row in rows() if row.docker.is_missed}
    # Always there, and in these places: containers of before there were others keep their label.
    always = [given.pop(word) for word in ("command", "user", "memory")]
    others = {word: value for word, value in given.items() if value is not None}
    return [*always, *more, *([others] if others else [])]


# Arguments that belong to a network, which a container that joins another one's has from there.
OF_NETWORK = ("hostname", "hosts", "dns")
# Arguments of which the plugin reports a change in place and does nothing.
NEVER_APPLIED = sorted(
    {"healthcheck"} | {name for row in rows() if not row.docker.is_applied for name in row.docker.arguments}
)
